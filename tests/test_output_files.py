"""The files that a report is written to: what is refused before a call, and what happens when writing fails."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import swarm
from swarm.base.errors import InputError, TaskError
from swarm.spec.chat import Request
from swarm.spec.files import load_task, read_inputs, read_outputs
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Task
from swarm.testing import Function
from tests.commands import Command, in_process, only_run

TASK = "goal: How much memory?\ninputs: [{inputs}]\noutput: [{output}]\nmodels: {{default: {{endpoint: offline}}}}\n"
PLAN = "steps: [{id: one, prompt: Read.}]\n"
AGENT = "---\nname: worker\ndescription: works\n---\nWork.\n"


@pytest.fixture
def folder(empty: Path) -> Path:
    """A folder with everything that a task is made of."""
    (empty / "notes").mkdir()
    (empty / "notes" / "mail.md").write_text("Mail needs 3 GB.\n")
    (empty / "agents").mkdir()
    (empty / "agents" / "worker.md").write_text(AGENT)
    (empty / "plan.json").write_text(PLAN)
    return empty


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


def write_task(
    folder: Path, output: str, *, inputs: str = "notes/mail.md", more: str = "", name: str = "t.yaml"
) -> str:
    (folder / name).write_text(TASK.format(inputs=inputs, output=output) + more)
    return name


def linked(target: str, name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to(folder / target)


def hard_linked(target: str, name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).hardlink_to(folder / target)


def made(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).mkdir(parents=True)


def dangling(folder: Path) -> None:
    (folder / "l.md").symlink_to("/nonexistent/x")


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "pipe.md")


REFUSED: dict[str, tuple[str, str, Callable[[Path], None] | None]] = {
    "input": ("notes/mail.md", "is an input, and `output: notes/mail.md` would replace it", None),
    "input-dots": ("./sub/../notes/mail.md", "is an input", made("sub")),
    "input-absolute": ("{folder}/notes/mail.md", "is an input", None),
    "input-link": ("l.md", "is an input", linked("notes/mail.md", "l.md")),
    "input-hard-link": ("h.md", "is an input", hard_linked("notes/mail.md", "h.md")),
    "input-through-a-folder": ("n/mail.md", "is an input", linked("notes", "n")),
    "plan": ("plan.json", "is the plan file", None),
    "plan-link": ("p.json", "is the plan file", linked("plan.json", "p.json")),
    "agent": ("agents/worker.md", "is in the folder of the task's agents", None),
    "new-agent": ("agents/new.md", "is in the folder of the task's agents", None),
    "agent-link": ("a.md", "is in the folder of the task's agents", hard_linked("agents/worker.md", "a.md")),
    "folder": ("out.md", "is a folder", made("out.md")),
    "pipe": ("pipe.md", "is not a regular file", fifo),
    "below-a-file": ("plan.json/r.md", "is not a folder", None),
    "loop": ("loop.md", "", linked("loop.md", "loop.md")),
    "parent": ("../r.md", "leads out of the task's folder", None),
    "absolute": ("{folder}/../r.md", "leads out of the task's folder", None),
    "through-a-link": ("up/r.md", "leads out of the task's folder", linked("..", "up")),
    "dangling": ("l.md", "leads out of the task's folder, to /nonexistent/x", dangling),
    "home": ("~/r.md", "begins with `~`", None),
    "kernel": ("/proc/nothing/r.md", "is in a folder of the operating system", None),
    "runs": (".swarm/r.md", "is in `.swarm`", None),
    "long": ("x" * 253 + ".md", "more than 255 bytes", None),
    "long-folder": ("x" * 256 + "/r.md", "more than 255 bytes", None),
    "control": ('"a\\tb.md"', "has a control character", None),
    "nul": ('"a\\0b.md"', "", None),
    "escape": ('"a\\x1b[2Jb.md"', "has a control character", None),
    "twice": ("r.md, r.md", "is the same file as `r.md`", None),
    "twice-spelled": ("r.md, ./R.md", "is the same file as `r.md`", None),
    "twice-linked": ("r.md, s.md", "is the same file as `r.md`", linked("r.md", "s.md")),
    "ending": ("r.docx", "must end in .md", None),
}  # fmt: skip


def refusal(folder: Path, task: str) -> str:
    """Return why a task is refused, before anything else is looked at."""
    try:
        found = load_task(task, environ={})
        read_inputs(found, read_outputs(found, source=str(folder / task)))
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", REFUSED)
def test_threat_s41_an_output_is_refused_before_the_first_call(case: str, folder: Path) -> None:
    output, words, prepare = REFUSED[case]
    if prepare is not None:
        prepare(folder)
    more = "plan: plan.json\nagents: ./agents\n"
    task = write_task(folder, output.format(folder=folder), more=more)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = refusal(folder, task)
    assert found.startswith("t.yaml:")
    assert words in found
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_threat_s41_commands_refuse_it_with_exit_code_2(command: str, folder: Path, run: Command) -> None:
    said = run(command, write_task(folder, "notes/mail.md"))
    assert (said.code, said.out, len(said.errors)) == (2, "", 1)
    assert not (folder / ".swarm").exists()


def test_fault_115_the_task_file_is_no_output(folder: Path, run: Command) -> None:
    name = write_task(folder, "./t.json", name="t.json")
    said = run("run", name)
    assert (said.code, "`./t.json` is the task file" in said.errors[0]) == (2, True)


def test_a_name_as_long_as_a_file_system_allows_is_written(folder: Path, run: Command) -> None:
    name = "x" * 252 + ".md"
    assert run("run", write_task(folder, name)).code == 0
    assert (folder / name).exists()


def test_an_output_elsewhere_is_allowed_on_the_command_line(folder: Path, run: Command, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere" / "r.md"
    said = run("run", write_task(folder, "r.md"), "--output", str(there))
    assert said.code == 0
    assert there.read_text() == said.out
    assert not (folder / "r.md").exists()
    there.unlink()
    assert run("resume", "last").code == 0
    assert there.read_text() == said.out


@pytest.mark.parametrize("output", ["r.pdf", "notes/mail.md"])
def test_an_output_of_the_command_line_is_checked_alike(folder: Path, run: Command, output: str) -> None:
    said = run("run", write_task(folder, ""), "--output", output)
    assert said.code == 2
    assert not (folder / ".swarm").exists()


def test_a_task_in_python_may_name_an_absolute_path_elsewhere(folder: Path, tmp_path: Path) -> None:
    there = tmp_path / "r.md"
    (output,) = read_outputs(Task(goal="x", output=(str(there),), folder=folder))
    assert output.path == there
    with pytest.raises(TaskError, match="leads out of the task's folder"):
        read_outputs(Task(goal="x", output=("../r.md",), folder=folder))


def test_threat_s41_an_output_that_a_glob_finds_is_left_out_of_the_inputs(folder: Path, run: Command) -> None:
    task = write_task(folder, "notes/report.md", inputs="'notes/*.md'")
    first = run("run", task)
    assert (first.code, "left out" in first.err) == (0, False)
    again = run("run", task)
    assert again.code == 0
    assert again.err.count("warning: `notes/report.md` is an output of this task, so it is left out of the inputs") == 1
    assert again.out == first.out
    assert "notes/report.md` is an output" in run("check", task).err


@pytest.mark.parametrize("inputs", ["'notes/*.md'", "notes", "'**/*.md'"])
@pytest.mark.parametrize("output", ["notes/mail.md", "notes/../notes/mail.md", "linked.md"])
def test_threat_s41_a_file_that_no_run_has_written_is_an_input(
    folder: Path, run: Command, inputs: str, output: str
) -> None:
    (folder / "linked.md").symlink_to(folder / "notes" / "mail.md")
    before = (folder / "notes" / "mail.md").read_bytes()
    task = write_task(folder, output, inputs=inputs)
    for command in ("check", "run"):
        said = run(command, task)
        assert (said.code, said.out) == (2, "")
        assert ".md` is an input, and `output: " in said.err
        assert "no run here has written this file" in said.err
    assert (folder / "notes" / "mail.md").read_bytes() == before


def test_threat_s41_an_output_of_an_earlier_run_is_known_by_its_name_and_by_its_words(
    folder: Path, run: Command
) -> None:
    task = write_task(folder, "notes/r.md", inputs="'notes/*.md'")
    assert run("run", task, "--runs", "elsewhere").code == 0
    assert run("run", task).code == 2, "no run of this folder wrote it"
    (folder / "notes" / "r.md").write_text("Edited.")
    assert run("run", task, "--runs", "elsewhere").code == 0, "it is on the list of its run"
    for path in (folder / "elsewhere").glob("*/outputs"):
        path.unlink()
    assert run("run", task, "--runs", "elsewhere").code == 0, "it is the report of its run"


def test_an_output_that_a_path_and_a_glob_name_is_refused(folder: Path) -> None:
    (folder / "notes" / "r.md").write_text("x")
    write_task(folder, "notes/r.md", inputs="'notes/*.md', notes/r.md")
    task = load_task("t.yaml", environ={})
    with pytest.raises(TaskError, match=r"inputs\.0: `notes/r\.md` is an input"):
        read_inputs(task, read_outputs(task))


def test_check_shows_every_output(folder: Path, run: Command) -> None:
    (folder / "r.json").write_text("{}")
    task = write_task(folder, "r.md, r.json")
    said = run("check", task)
    assert f"output: {folder / 'r.md'}\n" in said.out
    assert f"output: {folder / 'r.json'} (exists; it would be replaced, and kept in the run's folder)" in said.out
    outputs = run("check", task, "--json").json["outputs"]
    assert [(each["name"], each["exists"]) for each in outputs] == [("r.md", False), ("r.json", True)]


def test_a_file_that_is_replaced_is_kept(folder: Path, run: Command) -> None:
    (folder / "r.md").write_text("PRECIOUS")
    said = run("run", write_task(folder, "r.md"))
    kept = only_run(folder) / "replaced" / "r.md"
    assert (said.code, kept.read_text(), (folder / "r.md").read_text()) == (0, "PRECIOUS", said.out)
    assert f"r.md was replaced; the earlier file is in {kept}" in said.err


async def _run_while_the_folder_goes(folder: Path) -> swarm.Result:
    def answer(request: Request) -> str:
        (folder / "out").rmdir()
        (folder / "out").write_text("a file now")
        return "Mail needs 3 GB."

    (folder / "out").mkdir()
    plan = Plan(steps=(Step(id="one", prompt="Read."),))
    return await swarm.run(Task(goal="x", plan=plan, folder=folder, output="out/r.md"), endpoint=Function(answer))


@pytest.mark.anyio
async def test_threat_s43_a_report_that_cannot_be_written_is_kept(folder: Path) -> None:
    result = await _run_while_the_folder_goes(folder)
    assert (result.status, result.exit_code) == ("done", 3)
    assert result.report is not None
    kept = result.folder / "report.md"
    assert kept.read_text() == result.report.text == "Mail needs 3 GB.\n"
    (message,) = result.unwritten
    assert str(folder / "out" / "r.md") in message
    assert f"the report is in {kept}\nhint: " in message
    assert result.to_dict()["unwritten"] == [message]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS])
def test_threat_s43_a_folder_that_refuses_files_is_found_before_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: object, flags: int, *more: object, **named: object) -> int:
        raise OSError(number, os.strerror(number))

    write_task(folder, "r.md")
    task = load_task("t.yaml", environ={})
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(TaskError, match=os.strerror(number)):
        read_outputs(task)
