"""`swarm simulate`, `swarm diff`, the advice in `swarm plan`, and a plan that is edited before it runs."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Command, at_terminal, events_of, in_process, make_task

PLAN: dict[str, Any] = {
    "steps": [
        {"id": "a", "seconds": 4},
        {"id": "b", "seconds": 3},
        {"id": "c", "seconds": 2, "needs": ["a"]},
        {"id": "d", "seconds": 5, "needs": ["b", "c"]},
    ]
}


def by_age(folder: Path) -> list[Path]:
    """Return the folders of runs, newest last: ids of the same second have no order."""
    return sorted((folder / ".swarm" / "runs").iterdir(), key=lambda path: (path / "journal.jsonl").stat().st_mtime_ns)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""
    return in_process(capsys)


@pytest.fixture
def plan(empty: Path) -> Path:
    """Make a folder with a plan the current one."""
    path = empty / "plan.json"
    path.write_text(json.dumps(PLAN))
    return path


class TestSimulate:
    def test_a_plan_at_several_widths(self, command: Command, plan: Path) -> None:
        found = command("simulate", "plan.json", "--workers", "1,2,unlimited", "--json").json
        assert (found["work_seconds"], found["critical_path_seconds"], found["seeds"]) == (14, 11, 1)
        figures = [(w["workers"], w["seconds"], w["bound_seconds"], w["speedup"]) for w in found["widths"]]
        assert figures == [(1, 14, 14, 1), (2, 11, 12.5, 1.272727), ("unlimited", 11, 11, 1.272727)]

    def test_for_people(self, command: Command, plan: Path) -> None:
        said = command("simulate", "plan.json", "--workers", "1,2")
        assert said.code == 0
        assert "4 steps, 14.0 s of work, critical path 11.0 s" in said.out
        assert "12.5 s" in said.out

    def test_latency_replaces_what_the_plan_says(self, command: Command, plan: Path) -> None:
        found = command("simulate", "plan.json", "--workers", "inf", "--latency", "fixed:500ms", "--json").json
        assert (found["work_seconds"], found["critical_path_seconds"]) == (2, 1.5)

    def test_what_is_drawn_has_percentiles_and_is_the_same_again(self, command: Command, plan: Path) -> None:
        line = ("simulate", "plan.json", "--workers", "2", "--latency", "lognormal:8s,0.8", "--failures", "0.1")
        found = command(*line, "--seeds", "20", "--json").json
        assert found == command(*line, "--seeds", "20", "--json").json
        (width,) = found["widths"]
        spread = width["spread"]
        assert spread["min"] < spread["p10"] < spread["p50"] < spread["p90"] < spread["max"]
        assert width["seconds"] == spread["p50"]
        assert 4 < width["attempts"] < 6
        assert found["seeds"] == 20

    def test_lists_that_are_not_known_have_so_many_items(self, command: Command, plan: Path) -> None:
        plan.write_text(json.dumps({"steps": [{"id": "l", "seconds": 1}, {"id": "s", "each": "l", "seconds": 1}]}))
        found = command("simulate", "plan.json", "--items", "7", "--json").json
        assert (found["steps"], found["work_seconds"]) == (8, 8)

    def test_a_run_is_known_again(self, command: Command, empty: Path) -> None:
        make_task(empty)
        command("run", "task.yaml", "-q")
        shown = command("show", "last", "--json").json["parallelism"]
        found = command("simulate", "last", "--workers", "16", "--json").json
        assert found["work_seconds"] == pytest.approx(shown["work_seconds"], abs=1e-5)
        assert found["critical_path_seconds"] == pytest.approx(shown["critical_path_seconds"], abs=1e-5)
        assert found["steps"] == 5

    def test_a_task_is_simulated_as_it_would_run(self, command: Command, empty: Path) -> None:
        make_task(empty)
        task = (empty / "task.yaml").read_text()
        (empty / "task.yaml").write_text(task + "plan: [{id: read, each: inputs, prompt: Read it., seconds: 2}]\n")
        found = command("simulate", "task.yaml", "--json").json
        assert found["steps"] == 4, "three notes and the report that is added"
        assert found["widths"][0]["usd"] == 0, "nothing is paid on this machine"

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("nothing",), "no such file, and"),
            (("plan.json", "--workers", "0"), "--workers: invalid worker count `0`"),
            (("plan.json", "--workers", "1,,2"), "--workers"),
            (("plan.json", "--latency", "normal:3s"), "--latency: invalid value `normal:3s`"),
            (("plan.json", "--latency", "lognormal:3s"), "--latency"),
            (("plan.json", "--failures", "1.5"), "--failures"),
            (("plan.json", "--failures", "nan"), "--failures"),
            (("plan.json", "--seeds", "0"), "--seeds"),
            (("cycle.json",), "cyclic dependency: a → b → a"),
            (("lost.json",), "needs the unknown step"),
            (("twice.json",), "2 steps have the id 'a'"),
            (("task.yaml",), "the task has no plan"),
        ],
    )
    def test_what_is_wrong(self, command: Command, plan: Path, arguments: tuple[str, ...], words: str) -> None:
        folder = make_task(plan.parent)
        wrong = {"cycle": [{"id": "a", "needs": ["b"]}, {"id": "b", "needs": ["a"]}]}
        wrong |= {"lost": [{"id": "a", "needs": ["gone"]}], "twice": [{"id": "a"}, {"id": "a"}]}
        for name, steps in wrong.items():
            (folder / f"{name}.json").write_text(json.dumps(steps))
        said = command("simulate", *arguments)
        assert (said.code, said.out) == (2, "")
        assert words in said.errors[0]


class TestDiff:
    def test_what_differs_between_two_runs(self, command: Command, empty: Path) -> None:
        make_task(empty)
        command("run", "task.yaml", "-q")
        (empty / "notes" / "wiki.md").unlink()
        (empty / "notes" / "mail.md").write_text("# mail\n\nThe mail service needs 7 GB of memory.\n")
        command("run", "task.yaml", "-q")
        one, other = (path.name for path in by_age(empty))
        found = command("diff", one, other, "--json").json
        changes = {step["step"]: (step["change"], step["differs"]) for step in found["steps"]}
        assert changes["read.3"] == ("gone", [])
        assert changes["read.1"] == ("changed", ["inputs"])
        assert changes["read.2"] == ("same", [])
        assert "given" in changes["reduce"][1]
        assert found["counts"]["gone"] == 1
        said = command("diff", one, other)
        assert "read.3" in said.out
        assert "read.2" not in said.out
        same = command("diff", one, one, "--json").json
        assert same["counts"]["same"] == len(same["steps"]) == 5

    def test_a_run_that_is_not_there(self, command: Command, empty: Path) -> None:
        assert command("diff", "one", "other").code == 2


class TestPlan:
    def test_it_is_shown_with_what_it_takes_and_advice(self, command: Command, empty: Path) -> None:
        make_task(empty)
        said = command("plan", "task.yaml")
        assert "Advice: one agent: it holds all of the work" in said.err
        assert "Worst case: " in said.err

    def test_in_json(self, command: Command, plan: Path) -> None:
        steps = [{**step, "prompt": f"Do {step['id']} after {step.get('needs')}."} for step in PLAN["steps"]]
        plan.write_text(json.dumps(steps))
        found = command("plan", "--plan", "plan.json", "--goal", "x", "--endpoint", "offline", "--json", "-q").json
        assert found["advice"]["ideal_speedup"] == pytest.approx(14 / 11, abs=1e-3)
        assert found["advice"]["critical_path"] == ["a", "c", "d"]
        assert found["worst"]["tokens"] > 4 * 2000
        assert found["advice"]["one_agent"]["seconds"] == 14


def editor(folder: Path, before: str, after: str) -> str:
    """Write an editor that replaces one text by another, and return its command."""
    path = folder / "editor.py"
    path.write_text(
        "import pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1])\n"
        f"path.write_text(path.read_text().replace({before!r}, {after!r}))\n"
    )
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(path))}"


class TestEditing:
    @pytest.mark.parametrize("given", [True, False], ids=["the task's plan", "a planner's plan"])
    def test_an_edited_plan_is_what_runs(self, empty: Path, given: bool) -> None:
        make_task(empty)
        more = "approve: ask\n" + ("plan: [{id: read, each: inputs, prompt: 'From {item}:'}]\n" if given else "")
        (empty / "task.yaml").write_text((empty / "task.yaml").read_text() + more)
        edit = editor(empty, "read", "look")
        code, shown = at_terminal(empty, "run", "task.yaml", types="e\ny\n", EDITOR=edit, VISUAL="")
        assert code == 0, shown
        newest = by_age(empty)[-1]
        began = [event["step"] for event in events_of(newest) if event["event"] == "StepStarted"]
        assert began[:3] == ["look.1", "look.2", "look.3"]
        assert "[look.1]" in shown

    def test_an_edited_plan_that_is_wrong_does_not_run(self, empty: Path) -> None:
        make_task(empty)
        (empty / "task.yaml").write_text("approve: ask\nplan: [{id: a, prompt: x}, {id: b, prompt: y, needs: [a]}]\n")
        edit = editor(empty, "- a", "- nobody")
        line = ("run", "task.yaml", "--endpoint", "offline")
        code, shown = at_terminal(empty, *line, types="e\ny\n", EDITOR=edit, VISUAL="")
        assert code == 1
        assert "nobody" in shown
        assert not (empty / ".swarm" / "runs").exists()
