"""Invalid input leads to one message per problem; a run that fails is known by its exit code."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.base.errors import BugError, JournalError
from swarm.cli.failures import explain, keep_trace, save_anywhere
from swarm.cli.interrupts import Interrupts
from swarm.cli.options import Display
from swarm.cli.outcome import Show
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder
from swarm.testing import Answer, Scripted
from tests.commands import Command, in_process, make_task, only_run, served, serving

FAR = "models: {default: {endpoint: 'http://127.0.0.1:9/v1', name: x}}"
BAD_TASKS: dict[str, tuple[str, str]] = {
    "not-yaml": ("goal: [", "bad.yaml:1:8: not YAML"),
    "not-a-mapping": ("- a", "bad.yaml:1:1"),
    "no-goal": ("inputs: []", "goal: is required"),
    "unknown-key": ("goal: x\ngaol: y", "bad.yaml:2:1: gaol: unknown"),
    "other-version": ("version: 2\ngoal: x", "bad.yaml:1:10: version"),
    "empty-plan": ("goal: x\nplan: []", "bad.yaml:2:7: plan: is an empty list"),
    "reserved-id": ("plan: [{id: plan, prompt: x}, {id: b, prompt: y, needs: [plan]}]", "the id 'plan' is reserved"),
    "cycle": ("plan: [{id: a, prompt: x, needs: [b]}, {id: b, prompt: x, needs: [a]}]", "a → b → a"),
    "unknown-model": ("goal: x\nplan: [{id: a, prompt: x, model: nope}]", "no model 'nope'"),
    "unset-key": ("goal: x\nmodels: {default: {endpoint: 'http://x', key: '${NO_SUCH}'}}", "NO_SUCH is not set"),
    "no-schema": ("plan: [{id: a, prompt: x, output: {type: nope}}]", "is not a JSON Schema"),
    "no-file": ("goal: x\ninputs: [nope/*.md]", "`nope/*.md` matches no file"),
    "no-plan-file": ("goal: x\nplan: nope.yaml", "no plan file `nope.yaml`"),
    "no-agents": ("goal: x\nagents: nope", "nope"),
    "no-tool": ("goal: x\ntools: [nope]", "no tool 'nope'"),
    "no-endpoint-url": ("goal: x\nmodels: {default: {endpoint: nowhere}}", "nowhere"),
}
BAD_LINES: dict[str, tuple[tuple[str, ...], str]] = {
    "missing-file": (("run", "nope.yaml"), "nope.yaml: there is no such file"),
    "a-question": (("run", "what is this?"), "hint: to ask a question, use `swarm run --goal"),
    "a-folder": (("run", "notes"), "is a folder"),
    "not-text": (("run", "binary.yaml"), "is not UTF-8"),
    "two-tasks": (("run", "task.yaml", "notes/mail.md"), "expected one TASK, found 2"),
    "no-pair": (
        ("run", "task.yaml", "--set", "x"),
        "--set: invalid value `x`: expected NAME=VALUE, for example audience=managers",
    ),
    "twice": (("run", "task.yaml", "--limit", "usd=1", "--limit", "usd=2"), "given twice"),
    "unknown-limit": (("run", "task.yaml", "--limit", "wrokers=1"), "did you mean `workers`"),
    "no-limit": (("run", "task.yaml", "--workers", "0"), "at least 1"),
    "unknown-parameter": (("run", "task.yaml", "--set", "a=b"), "--set a: unknown"),
    "negative-grace": (("run", "task.yaml", "--grace", "-1"), "-1 is below the minimum of 0"),
    "no-number": (("runs", "-n", "0"), "0 is below the minimum of 1"),
    "two-forms": (("run", "task.yaml", "--json", "--jsonl"), "choose one"),
    "loud-and-quiet": (("run", "task.yaml", "-q", "-v"), "choose one"),
    "empty-goal": (("run", "--goal", ""), "--goal: is empty"),
    "missing-input": (("run", "--goal", "x", "nope.md"), "nope.md"),
    "no-plan": (("run", "task.yaml", "--plan", "nope.yaml"), "nope.yaml"),
    "bad-plan": (("run", "task.yaml", "--plan", "plan.yaml"), "plan.yaml:1:28: steps.0.needs"),
    "no-runs-folder": (("run", "task.yaml", "--runs", "task.yaml"), "--runs: is not a folder"),
    "no-run": (("resume", "nope"), "no run 'nope'"),
    "nothing-to-show": (("show",), "no runs here yet"),
    "no-place": (("plan", "task.yaml", "-o", "notes"), "cannot write notes: it is a folder"),
}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""
    return in_process(capsys)


@pytest.fixture
def folder(empty: Path) -> Path:
    """Make a folder with a small task the current one."""
    make_task(empty)
    (empty / "binary.yaml").write_bytes(b"goal: \xff")
    (empty / "plan.yaml").write_text("[{id: a, prompt: x, needs: [nope]}]")
    return empty


@pytest.mark.parametrize(
    ("verb", "name"),
    [(verb, name) for verb in ("run", "plan", "check") for name in BAD_TASKS if (verb, name) != ("check", "unset-key")],
)
def test_a_bad_task_is_told_and_nothing_is_left(command: Command, folder: Path, verb: str, name: str) -> None:
    text, words = BAD_TASKS[name]
    (folder / "bad.yaml").write_text(text)
    said = command(verb, "bad.yaml")
    assert (said.code, said.out) == (2, "")
    assert said.errors
    assert words in said.err
    assert not (folder / ".swarm").exists()


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_command_line_is_told_and_nothing_is_left(command: Command, folder: Path, name: str) -> None:
    arguments, words = BAD_LINES[name]
    said = command(*arguments)
    assert (said.code, said.out, len(said.errors)) == (2, "", 1)
    assert words in said.errors[0]
    assert not (folder / ".swarm").exists()


@pytest.mark.parametrize("place", ["task.yaml/runs", "/proc/x"])
def test_a_place_that_can_have_no_runs_is_told_with_what_to_do(command: Command, folder: Path, place: str) -> None:
    said = command("run", "task.yaml", "--runs", place)
    assert (said.code, said.out, len(said.errors)) == (2, "", 1)
    assert said.errors[0].startswith(place)
    assert said.errors[0].endswith("\nhint: choose another folder: `--runs DIR`")
    assert "cannot create the folder of the run: No" in said.errors[0]


def test_a_run_that_is_in_use_is_left_alone(command: Command, folder: Path) -> None:
    command("plan", "task.yaml", "--quiet")
    run = only_run(folder)
    before = (run / "journal.jsonl").read_bytes()
    owner = RunFolder(run)
    owner.acquire()
    said = command("resume", "last")
    assert (said.code, said.out) == (75, "")
    assert f"in use by process {os.getpid()}" in said.errors[0]
    assert command("show", "last").code == 0
    owner.release()
    assert (run / "journal.jsonl").read_bytes() == before
    assert command("resume", "last", "--quiet").code == 0


# Failing runs at a real endpoint


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an endpoint that refuses, is slow or answers, depending on the step."""
    rules = tmp_path_factory.mktemp("server") / "rules.json"
    rules.write_text(json.dumps([{"when": "step-that-fails", "status": 400}, {"when": "step-that-waits", "delay": 20}]))
    with serving("--rules", str(rules)) as served:
        yield served


def write_steps(folder: Path, url: str, steps: str, more: str = "") -> None:
    """Write a task with its own steps for an endpoint."""
    model = f"models: {{default: {{endpoint: '{url}', name: fake}}}}"
    (folder / "steps.yaml").write_text(f"{model}\nplan: [{steps}]\n{more}")


FAILS, WORKS = "{id: a, prompt: step-that-fails, retries: 0}", "{id: b, prompt: works}"


def test_a_report_with_a_gap_exits_3(command: Command, folder: Path, url: str) -> None:
    write_steps(folder, url, f"{FAILS}, {WORKS}")
    said = command("run", "steps.yaml")
    assert said.code == 3
    assert "[a] failed" in said.out
    assert f"swarm resume {only_run(folder).name} --failed" in said.err


def test_no_report_exits_1(command: Command, folder: Path, url: str) -> None:
    write_steps(folder, url, FAILS)
    said = command("run", "steps.yaml", "--json")
    assert said.code == 1
    assert said.json["report"] is None
    assert [error["step"] for error in said.json["errors"]] == ["a"]
    assert command("run", "steps.yaml", "--quiet").errors[0].startswith("a: ")


def test_a_limit_exits_4(command: Command, folder: Path, url: str) -> None:
    write_steps(folder, url, f"{{id: a, prompt: step-that-waits}}, {WORKS}", "limits: {seconds: 1.5}")
    said = command("run", "steps.yaml")
    assert said.code == 4
    assert said.out
    assert f"swarm resume {only_run(folder).name} --limit seconds=" in said.err


def test_an_endpoint_that_is_not_there_exits_1(command: Command, folder: Path) -> None:
    (folder / "task.yaml").write_text(f"goal: x\n{FAR}\n")
    said = command("run", "task.yaml")
    assert (said.code, said.out) == (1, "")
    assert "no connection" in said.err
    assert (only_run(folder) / "journal.jsonl").exists()


def test_a_planner_that_cannot_plan_exits_1(command: Command, folder: Path, url: str) -> None:
    (folder / "task.yaml").write_text(f"goal: x\nmodels: {{default: {{endpoint: '{url}', name: fake}}}}\n")
    said = command("run", "task.yaml", "--json")
    assert said.code == 1
    assert said.json["status"] == "failed"
    assert command("plan", "task.yaml").code == 1


# Internal errors


def test_a_bug_in_a_run_exits_70_and_names_its_trace(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("an unexpected thing")

    monkeypatch.setattr("swarm.executors.local.Local.execute", broken)
    (folder / "task.yaml").write_text("plan: [{id: a, prompt: x}]")
    run = Run("task.yaml", options=Options(endpoint=Scripted("x")))
    with Interrupts() as interrupts:
        code = Show(Display(quiet=True), interrupts, 1.0).carry(run)
    said = capsys.readouterr()
    assert (code, said.out) == (70, "")
    (trace,) = only_run(folder).glob("bug*.txt")
    assert str(trace.name) in said.err
    assert "Traceback" not in said.err
    assert "an unexpected thing" in trace.read_text()


def test_a_traceback_that_cannot_be_saved_is_summed_up() -> None:
    message = keep_trace(RuntimeError("boom"), lambda _: None)
    assert message == "internal error (RuntimeError: boom); the traceback could not be saved"


@pytest.mark.parametrize("error", [RuntimeError("boom"), BugError("boom"), ExceptionGroup("g", [RuntimeError("boom")])])
def test_a_bug_elsewhere_is_saved_and_named(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(error) == 70
    err = capsys.readouterr().err
    first, hint = err.splitlines()
    assert hint == "  hint: report it with that file"
    path = Path(first.rpartition("the traceback is in ")[2])
    assert "boom" in path.read_text()
    path.unlink()


def test_a_trace_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "abcdef-very-secret")
    path = save_anywhere("with abcdef-very-secret inside")
    assert path is not None
    assert path.read_text() == "with *** inside"
    assert path.stat().st_mode & 0o077 == 0
    path.unlink()


def test_an_error_of_several_lines_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(ExceptionGroup("tasks", [JournalError("one\ntwo\x1b[2J")])) == 1
    assert capsys.readouterr().err == "error: one two␛[2J\n"


def test_a_run_in_which_nothing_was_found_says_why_once_even_if_it_is_quiet(command: Command, empty: Path) -> None:
    steps = ", ".join(f"{{id: s{n}, prompt: x}}" for n in range(1, 5))
    refusal = Answer(message={"content": None, "refusal": "I will not."})
    with served(lambda _: refusal) as server:
        (empty / "task.yaml").write_text(
            f"goal: x\nplan: [{steps}]\nmodels: {{default: {{endpoint: '{server.url}', name: fake}}}}\n"
        )
        said = command("run", "task.yaml", "--quiet")
    assert (said.code, said.out) == (1, "")
    assert [line for line in said.err.splitlines() if "I will not" in line] == [
        "error: s1, s2, s3 and 1 more: the model refused: I will not.",
        "error: reduce: none of 4 steps gave an output, so there is nothing to report; 4 of them: the model refused: "
        "I will not.",
    ]
