"""The command in this process: its output, exit codes and messages."""

import json
from pathlib import Path

import pytest

import swarm
from swarm.spec.files import load_plan
from tests.commands import TASK, Command, Said, in_process, make_task, only_run

COMMANDS = ("run", "plan", "check", "resume", "runs", "show", "agents", "schema", "init")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""
    return in_process(capsys)


@pytest.fixture
def folder(empty: Path) -> Path:
    """Make a folder with a small task the current one."""
    return make_task(empty)


# Help and version


def test_the_version_is_the_answer(command: Command) -> None:
    assert command("--version") == Said(0, f"swarm {swarm.__version__}\n", "")


def test_help_lists_every_command_and_exit_code(command: Command) -> None:
    said = command("--help")
    assert (said.code, said.err) == (0, "")
    assert [name for name in COMMANDS if f"\n  {name} " not in said.out] == []
    codes = ("0", "1", "2", "3", "4", "5", "70", "75", "130", "143")
    assert [code for code in codes if f"\n  {code} " not in said.out] == []
    assert "..." not in said.out.partition("Run:")[2], "a summary was truncated"


def test_nothing_at_all_is_a_mistake_that_is_helped(command: Command) -> None:
    said = command()
    assert (said.code, said.out) == (2, "")
    assert "\nRun:\n" in said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_teaches_by_example(command: Command, name: str) -> None:
    said = command(name, "--help")
    assert said.code == 0
    assert f"Usage: swarm {name}" in said.out
    assert f"\n  swarm {name}" in said.out.partition("Examples:")[2]
    assert len(said.out.split("\n\n")[2].split()) > 8, "it says what it is for"


@pytest.mark.parametrize(
    "arguments",
    [("nope",), ("run", "--nope"), ("run", "--workers"), ("run", "t", "--workers", "many"), ("show", "a", "b", "c")],
)
def test_a_wrong_command_line_is_told_in_a_line(command: Command, empty: Path, arguments: tuple[str, ...]) -> None:
    said = command(*arguments)
    assert (said.code, said.out, len(said.errors)) == (2, "", 1)
    assert "\nhint: list the " in said.errors[0]
    assert "--help`" in said.errors[0]
    assert list(empty.iterdir()) == []


# Commands


def test_a_run_prints_its_report_and_nothing_else(command: Command, folder: Path) -> None:
    said = command("run", "task.yaml")
    assert said.code == 0
    assert said.out == (only_run(folder) / "report.md").read_text()
    assert all(f"{gb} GB" in said.out for gb in (3, 12, 5))
    for part in ("model: offline", "limits: workers auto", only_run(folder).name, "swarm show"):
        assert part in said.err, part
    assert "\x1b" not in said.err


def test_quiet_says_nothing(command: Command, folder: Path) -> None:
    assert command("run", "task.yaml", "--quiet").err == ""


def test_verbose_says_more(command: Command, folder: Path) -> None:
    said = command("run", "task.yaml", "-v")
    assert "inputs: 3, " in said.err
    assert "agents: " in said.err
    logged = [line for line in said.err.splitlines() if line.startswith("seq=")]
    journal = (only_run(folder) / "journal.jsonl").read_text().splitlines()
    assert len(logged) == len(journal)
    assert "event='run started'" in logged[0]
    assert {f"run='{only_run(folder).name}'" in line for line in logged} == {True}, "each line names its run"
    assert "event='run finished'" in logged[-1]


def test_verbose_goes_with_events_on_stdout(command: Command, folder: Path) -> None:
    said = command("run", "task.yaml", "-v", "--jsonl")
    logged = [line for line in said.err.splitlines() if line.startswith("seq=")]
    assert len(logged) == len(said.out.splitlines())


def test_json_is_one_object_and_show_gives_it_again(command: Command, folder: Path) -> None:
    said = command("run", "task.yaml", "--json")
    found = said.json
    assert (said.code, found["status"], found["run"]) == (0, "done", only_run(folder).name)
    assert {"report", "steps", "usage", "parallelism", "errors"} <= found.keys()
    assert found["steps"]["done"] == found["steps"]["total"] == 5
    assert command("show", "last", "--json").json == found


def test_jsonl_is_the_journal_without_its_checksums(command: Command, folder: Path) -> None:
    said = command("run", "task.yaml", "--jsonl")
    events = [json.loads(line) for line in said.out.splitlines()]
    journal = [json.loads(line) for line in (only_run(folder) / "journal.jsonl").read_text().splitlines()]
    assert [event.pop("crc") for event in journal]
    assert events == journal
    assert (events[0]["event"], events[-1]["event"]) == ("RunStarted", "RunFinished")


def test_resuming_gives_the_events_from_there_on(command: Command, folder: Path) -> None:
    command("plan", "task.yaml", "--quiet")
    said = command("resume", "last", "--jsonl")
    events = [json.loads(line)["event"] for line in said.out.splitlines()]
    assert (events[0], events[-1], events.count("RunFinished")) == ("RunResumed", "RunFinished", 1)
    assert command("resume", "last", "--jsonl").out == ""  # nothing is left to do, and nothing happens


def test_a_goal_and_inputs_need_no_file(command: Command, folder: Path) -> None:
    (folder / "task.yaml").unlink()
    inputs = ("notes/search.md", "notes/wiki.md")
    said = command("run", "--goal", "How much memory does search need?", *inputs, "--endpoint", "offline", "--json")
    assert said.code == 0
    assert "12 GB" in said.json["report"]["text"]
    assert command("show", "--json").json["run"] == said.json["run"]
    first = json.loads((only_run(folder) / "journal.jsonl").read_text().splitlines()[0])
    assert tuple(each["name"] for each in first["inputs"]) == inputs


def test_a_task_may_come_on_stdin(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / "task.yaml").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert "12 GB" in command("run", "-").out
    with (folder / "task.yaml").open("w+") as stdin:
        stdin.write("# " + "x" * 1_000_000)
        stdin.seek(0)
        monkeypatch.setattr("sys.stdin", stdin)
        assert command("check", "-").errors == ["stdin: more than 1,000,000 bytes, the maximum"]


def test_a_parameter_may_come_with_the_goal(command: Command, folder: Path) -> None:
    goal = "Does it need ${memory}, or $${more}?"
    given = ("--set", "memory=12", "--set", "more=no")
    assert command("run", "--goal", goal, "notes/mail.md", *given, "--endpoint", "offline").code == 0
    task = json.loads((only_run(folder) / "journal.jsonl").read_text().splitlines()[0])["task"]
    assert task["goal"].replace("$${", "${") == goal
    assert task["parameters"] == {"memory": 12, "more": "no"}


def test_options_win_over_the_task(command: Command, folder: Path) -> None:
    said = command("run", "task.yaml", "--workers", "2", "--limit", "tokens=300_000", "--runs", "elsewhere")
    assert "workers 2," in said.err
    assert "tokens 300,000," in said.err
    assert len(list((folder / "elsewhere").iterdir())) == 1
    assert command("show", "last", "--runs", "elsewhere").code == 0


def test_a_plan_is_the_answer_and_runs_exactly(command: Command, folder: Path) -> None:
    said = command("plan", "task.yaml", "-o", "plan.yaml")
    assert (said.code, said.out) == (0, "")
    assert "STAGE" in said.err
    plan = load_plan(folder / "plan.yaml")
    assert f"swarm resume {only_run(folder).name}" in said.err
    assert "cancelled" not in said.err, "a plan that was asked for is a success"
    assert command("plan", "task.yaml", "--runs", "again", "--quiet").out == (folder / "plan.yaml").read_text()
    command("run", "task.yaml", "--plan", "plan.yaml", "--runs", "planned", "--quiet")
    (ran,) = (folder / "planned").iterdir()
    assert load_plan(ran / "plan.yaml") == plan
    kinds = [json.loads(line)["event"] for line in (ran / "journal.jsonl").read_text().splitlines()]
    assert kinds[:2] == ["RunStarted", "StepsAdded"], "no planner was asked"


def test_a_plan_that_was_looked_at_goes_on(command: Command, folder: Path) -> None:
    planned = command("plan", "task.yaml", "--json").json
    assert planned["plan"]["steps"]
    assert (planned["width"], planned["depth"]) == (1, 2)
    said = command("resume", planned["run"])
    assert said.code == 0
    assert "12 GB" in said.out


def test_a_plan_of_the_task_costs_nothing(command: Command, folder: Path) -> None:
    (folder / "task.yaml").write_text(TASK + "plan: [{id: a, prompt: Read it., inputs: [notes/mail.md]}]\n")
    said = command("plan", "task.yaml")
    assert said.code == 0
    assert "id: a" in said.out
    assert not (folder / ".swarm").exists()


def test_plans_may_be_the_whole_task(command: Command, folder: Path) -> None:
    (folder / "only.yaml").write_text("[{id: a, prompt: Say something.}]")
    (folder / "goalless.yaml").write_text("inputs: [notes/*.md]\nplan: only.yaml\n")
    said = command("run", "goalless.yaml", "--endpoint", "offline", "--json")
    assert (said.code, said.json["steps"]["total"]) == (0, 1)
    assert command("simulate", "only.yaml", "--workers", "1").code == 0


def test_checking_spends_and_writes_nothing(command: Command, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    said = command("check", "task.yaml")
    assert said.code == 0
    assert "notes/search.md" in said.out
    assert "plan: made by a planner" in said.out
    (folder / "one.yaml").write_text("plan: [{id: a, prompt: Say it.}]\n")
    assert "plan: 1 step, 0 findings" in command("check", "one.yaml").out
    (folder / "one.yaml").unlink()
    assert command("check", "task.yaml", "--json").json["inputs"][0]["name"] == "notes/mail.md"
    assert sorted(folder.rglob("*")) == before


def test_checking_needs_no_key(command: Command, folder: Path) -> None:
    models = 'models: {default: {endpoint: "https://x.invalid/v1", name: "${NAME:-m}", key: "${NO_SUCH_KEY}"}}\n'
    (folder / "task.yaml").write_text(f"goal: x\n{models}")
    said = command("check", "task.yaml", "--json")
    assert said.code == 0
    assert said.err.startswith("warning: NO_SUCH_KEY is not set")
    assert said.json["models"]["default"] == {"endpoint": "https://x.invalid/v1", "name": "m", "key": "not set"}
    assert command("run", "task.yaml").code == 2
    (folder / "task.yaml").write_text(f"goal: x\ninputs: [nope]\n{models}wrong: 1\n")
    said = command("check", "task.yaml")
    assert (said.code, len(said.errors)) == (2, 2), "a key is told beside what is wrong"
    assert "NO_SUCH_KEY" in said.err


def test_checking_says_everything_at_once(command: Command, folder: Path) -> None:
    (folder / "roles").mkdir()
    (folder / "roles" / "odd.md").write_text("---\nname: odd\nwrong: 1\n---\nWork.\n")
    (folder / "task.yaml").write_text("goal: x\ninputs: [nope.md]\nagents: roles\ntools: [nope]\n")
    said = command("check", "task.yaml")
    assert (said.code, said.out) == (2, "")
    for part in ("nope.md", "odd.md:3", "wrong", "tool 'nope'"):
        assert any(part in error for error in said.errors), part


def test_fault_160_check_accepts_what_run_accepts(command: Command, folder: Path) -> None:
    models = "models: {default: {endpoint: offline}}\n"
    (folder / "task.yaml").write_text(
        f"goal: How much {{what}}?\ninputs: [notes/*.md]\nparameters: {{what: x}}\n{models}"
    )
    more = ("--set", "what=memory", "--limit", "tokens=500000", "--workers", "2", "--output", "r.md")
    assert [command(verb, "task.yaml", *more).code for verb in ("check", "run")] == [0, 0]


def test_runs_lists_the_newest_first(command: Command, folder: Path) -> None:
    assert command("runs") == Said(
        0, "", "note: no runs in .swarm/runs\n  hint: choose another folder with --runs DIR\n"
    )
    first = command("run", "task.yaml", "--json").json["run"]
    runs = folder / ".swarm" / "runs"
    (runs / "00000000-old").mkdir()
    (runs / "00000000-old" / "journal.jsonl").write_text("nonsense\n")
    (runs / "00000000-oldest").mkdir()
    (runs / "00000000-oldest" / "journal.jsonl").touch()
    said = command("runs", "--json")
    found = [(row["run"], row["status"]) for row in said.json]
    assert found == [(first, "done"), ("00000000-oldest", "damaged"), ("00000000-old", "damaged")]
    assert "line 1" in said.err
    assert "is empty" in said.err
    said = command("runs", "-n", "1")
    assert first in said.out
    assert "2 older runs are not shown" in said.err


def test_a_run_without_an_end_is_stopped_or_running(command: Command, folder: Path) -> None:
    command("run", "task.yaml", "--quiet")
    run = only_run(folder)
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run / "journal.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    assert command("runs", "--json").json[0]["status"] == "running", "this process owned it, and is there"
    (run / "lock").write_text("nobody\n")
    assert command("show", run.name[:10], "--json").json["status"] == "stopped"


def test_show_tells_a_run_and_a_step(command: Command, folder: Path) -> None:
    command("run", "task.yaml", "--quiet")
    said = command("show")
    assert said.code == 0
    assert "read.3" in said.out
    assert "parallelism" in said.out
    page = command("show", "last", "read.2")
    assert "turn 1" in page.out
    assert command("show", "last", "read.2", "--json").json["events"][0]["event"] == "StepStarted"
    wrong = command("show", "last", "reed.2")
    assert (wrong.code, wrong.out) == (2, "")
    assert "read.2" in wrong.errors[0]


def test_a_damaged_journal_is_told_with_its_line(command: Command, folder: Path) -> None:
    command("run", "task.yaml", "--quiet")
    journal = only_run(folder) / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], lines[2].replace(b"plan", b"plam"), *lines[3:]]))
    for arguments in (("show", "last"), ("resume", "last")):
        said = command(*arguments)
        assert (said.code, said.out) == (1, "")
        assert "line 3" in said.errors[0]


def test_agents_and_their_task(command: Command, folder: Path) -> None:
    said = command("agents")
    assert [line.split()[0] for line in said.out.splitlines()[::2]] == [
        "analyst",
        "critic",
        "planner",
        "reducer",
        "researcher",
        "worker",
    ]
    (folder / "roles").mkdir()
    (folder / "roles" / "auditor.md").write_text("---\nname: auditor\ndescription: Checks figures.\n---\nCheck.\n")
    (folder / "task.yaml").write_text(
        'goal: x\nagents: roles\nmodels: {default: {endpoint: "http://x", key: "${NO_KEY}"}}'
    )
    found = {agent["name"]: agent for agent in command("agents", "task.yaml", "--json").json}
    assert found["auditor"]["description"] == "Checks figures."
    assert "worker" in found


def test_init_writes_once_what_runs_and_checks(command: Command, empty: Path) -> None:
    said = command("init", "new")
    written = ("task.yaml", "task.schema.json", "notes/alpha.md", "notes/beta.md")
    assert (said.code, said.out) == (0, "".join(f"new/{name}\n" for name in written))
    assert "swarm run new/task.yaml" in said.err
    assert command("check", "new/task.yaml").code == 0
    assert json.loads((empty / "new" / "task.schema.json").read_text()) == command("schema").json
    (empty / "new" / "task.yaml").write_text("mine")
    said = command("init", "new")
    assert (said.code, said.out) == (0, "")
    assert "new/task.yaml exists and is kept" in said.err
    assert (empty / "new" / "task.yaml").read_text() == "mine"
    assert command("init", "new/task.yaml").code == 2
