"""What holds for every tree of partial reports: its calls, its stability, its end after a crash."""

import shutil
from pathlib import Path

import pytest

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from tests.readers import PerfectReader, document, share_found
from tests.test_reduction import run, task, text_of

pytestmark = pytest.mark.anyio


def calling(state: State) -> list[StepState]:
    return [s for s in state.steps.values() if s.kind != "stand_in" and s.step.merge is None]


async def test_there_is_one_call_for_each_leaf_and_each_node_of_the_tree(tmp_path: Path) -> None:
    model = PerfectReader(8_192, cap=4_096)
    models = {"default": Model(endpoint="offline", context=8_192, max_tokens=4_096)}
    done = await run(task(tmp_path, 60, 8_192, models=models), model)
    assert len(model.requests) == len(calling(done.state))
    assert share_found(text_of(done), 60) == 1.0


async def test_a_changed_leaf_makes_its_own_path_again_and_no_other(tmp_path: Path) -> None:
    this = task(tmp_path, 60)
    first = PerfectReader(4_096)
    done = await run(this, first)
    changed = tmp_path / "d" / "0030.md"
    changed.write_text(changed.read_text(encoding="utf-8").replace("F-30-0 is 3000.", "F-30-0 is 3999."), "utf-8")
    model = PerfectReader(4_096)
    async with Run(options=Options(endpoint=model, cache=False), resume=done.folder) as again:
        pass
    assert "F-30-0 is 3999." in text_of(again)
    assert "F-30-0 is 3000." not in text_of(again)
    assert len(model.requests) <= 0.2 * len(first.requests), "the leaf, its section and what is above it"


@pytest.mark.parametrize("steps", [None, (Step(id="all", prompt="Find all facts.", inputs=("d/*.md",)),)])
async def test_a_file_that_joins_after_the_expansion_is_read(tmp_path: Path, steps: tuple[Step, ...] | None) -> None:
    this = task(tmp_path, 24) if steps is None else task(tmp_path, 24, plan=Plan(steps=steps))
    first = PerfectReader(4_096)
    done = await run(this, first)
    assert any(s.kind == "stand_in" for s in done.state.steps.values())
    (tmp_path / "d" / "0010b.md").write_text(document(99, words=1), encoding="utf-8")
    model = PerfectReader(4_096)
    async with Run(options=Options(endpoint=model, cache=False), resume=done.folder) as again:
        pass
    assert "F-99-0 is 9900." in text_of(again)
    assert share_found(text_of(again), 24) == share_found(text_of(done), 24)
    assert steps is not None or len(model.requests) <= 0.3 * len(first.requests)
    async with Run(options=Options(endpoint=PerfectReader(4_096), cache=False), resume=done.folder) as same:
        pass
    assert same.result.usage == again.result.usage, "nothing has changed since"


@pytest.mark.slow  # twelve resumed runs
async def test_parts_and_partial_reports_under_a_limit_end_with_the_same_report_after_a_crash(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text(document(1, facts=120, words=3), encoding="utf-8")
    study = Step(id="study", prompt="List every fact.")
    this = Task(
        goal="List all facts.",
        inputs=("long.md",),
        folder=tmp_path,
        models={"default": Model(endpoint="offline", context=4_096, max_tokens=512)},
        plan=Plan(steps=(study, Step(id="reduce", agent="reducer", needs=("study",)))),
        limits=Limits(tokens=400_000, workers=1),
    )
    done = await run(this, PerfectReader(4_096, cap=512))
    assert done.result.status == "done"
    lines = (done.folder.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(2, len(lines), max(1, len(lines) // 12)):
        copy = tmp_path / "cut" / str(cut)
        copy.parent.mkdir(exist_ok=True)
        shutil.copytree(done.folder.path, copy)
        (copy / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        options = Options(endpoint=PerfectReader(4_096, cap=512), cache=False)
        async with Run(options=options, resume=RunFolder(copy)) as again:
            pass
        assert again.result.report == done.result.report, cut
