"""Nothing that was found is lost: a report over more than its model can read or write."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.spec.chat import Data, Request, split_data
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from tests.readers import FACT, PerfectReader, document, share_found

READ = Step(id="read", each="inputs", prompt="Find the facts in {item}.")
REDUCE = Step(id="reduce", agent="reducer", after=("read",))


def task(folder: Path, documents: int, context: int = 4_096, **more: Any) -> Task:
    (folder / "d").mkdir(exist_ok=True)
    for n in range(documents):
        (folder / "d" / f"{n:04}.md").write_text(document(n, words=1), encoding="utf-8")
    fields: dict[str, Any] = {
        "goal": "List all facts.",
        "inputs": ("d/*.md",),
        "folder": folder,
        "models": {"default": Model(endpoint="offline", context=context, max_tokens=1024)},
        "plan": Plan(steps=(READ, REDUCE)),
        "limits": {"steps": 6_000, "workers": 16},
    }
    return Task.model_validate(fields | more)


async def run(this: Task, model: PerfectReader, **options: Any) -> Run:
    async with Run(this, options=Options(endpoint=model, cache=False, **options)) as started:
        pass
    return started


def text_of(done: Run) -> str:
    assert done.result.report is not None
    return done.result.report.text


def partials(state: State) -> list[str]:
    return [s.id for s in state.steps.values() if s.step.partial_of is not None]


@pytest.mark.anyio
@pytest.mark.parametrize(("documents", "context"), [(3, 4_096), (24, 4_096), (24, 131_072)])
async def test_every_fact_is_in_the_report_at_every_width(tmp_path: Path, documents: int, context: int) -> None:
    model = PerfectReader(context)
    done = await run(task(tmp_path, documents, context), model)
    assert done.result.status == "done"
    assert share_found(text_of(done), documents) == 1.0
    assert model.refused == 0
    assert bool(partials(done.state)) == (documents > 3)
    assert done.state.step_count == documents + 1


@pytest.mark.anyio
async def test_each_leaf_is_shown_whole_to_exactly_one_section(tmp_path: Path) -> None:
    model = PerfectReader(4_096)
    done = await run(task(tmp_path, 24), model)
    shown: list[str] = []
    for request in model.requests:
        if request.purpose == "report":
            parts = split_data(part for message in request.messages for part in message.parts)
            shown += [part.name for part in parts if isinstance(part, Data) and part.name.startswith("read.")]
    assert sorted(shown) == sorted(s.id for s in done.state.steps.values() if s.step.instance_of == "read")


@pytest.mark.anyio
async def test_the_report_cites_the_leaves_below_its_sections(tmp_path: Path) -> None:
    done = await run(task(tmp_path, 24), PerfectReader(4_096))
    assert done.result.report is not None
    cited = {step for steps in done.result.report.sources.values() for step in steps}
    assert {f"read.{n}" for n in range(1, 25)} <= cited
    assert not any(s.outcome.doubts for s in done.state.steps.values())


@pytest.mark.anyio
@pytest.mark.parametrize("fails", [{0}, {1}, {99}, set(range(200))], ids=["first", "second", "none", "all"])
async def test_a_section_that_fails_loses_nothing(tmp_path: Path, fails: set[int]) -> None:
    done = await run(task(tmp_path, 24), PerfectReader(4_096, fails=frozenset(fails)))
    assert share_found(text_of(done), 24) == 1.0
    assert done.result.status == ("done" if fails == {99} else "partial")


@pytest.mark.anyio
async def test_a_section_that_reaches_its_cap_becomes_smaller_ones(tmp_path: Path) -> None:
    """Citations make answers longer than what they were made from."""
    model = PerfectReader(32_768, cap=700)
    this = task(tmp_path, 48, 32_768, models={"default": Model(endpoint="offline", context=32_768, max_tokens=700)})
    done = await run(this, model)
    assert any(s.combine == "text" for s in done.state.steps.values())
    assert share_found(text_of(done), 48) == 1.0


@pytest.mark.anyio
async def test_a_summary_is_one_answer_from_partial_reports(tmp_path: Path) -> None:
    class Brief(PerfectReader):
        """Obeys the length that it is asked for."""

        def _answer(self, request: Request) -> str:
            most = 2 * (request.max_tokens or self.cap)
            return super()._answer(request)[:most] if request.purpose == "report" else super()._answer(request)

    done = await run(task(tmp_path, 48, report="summary"), Brief(4_096))
    assert {s.combine for s in done.state.steps.values() if s.combine} == {"list", "last"}
    assert done.state.steps["reduce"].status is Status.DONE
    assert len(FACT.findall(text_of(done))) > 0
    lengths = [s.step.length for s in done.state.steps.values() if s.step.partial_of and not s.id.endswith(".0")]
    assert all(length is not None and length <= 1024 for length in lengths)


@pytest.mark.anyio
async def test_a_step_with_many_inputs_is_asked_in_shares(tmp_path: Path) -> None:
    steps = (Step(id="all", prompt="Find all facts.", inputs=("d/*.md",)),)
    done = await run(task(tmp_path, 24, plan=Plan(steps=steps)), PerfectReader(4_096))
    assert done.state.steps["all"].combine == "last"
    assert done.result.status in ("done", "partial")
    read = [name for s in done.state.steps.values() if s.step.partial_of for name in s.step.inputs or ()]
    assert sorted(read) == [f"d/{n:04}.md" for n in range(24)]


@pytest.mark.anyio
async def test_under_a_limit_of_tokens_the_report_has_all_that_was_paid_for(tmp_path: Path) -> None:
    for tokens in (16_000, 30_000):
        folder = tmp_path / str(tokens)
        folder.mkdir()
        limits = {"steps": 6_000, "workers": 16, "tokens": tokens}
        done = await run(task(folder, 24, limits=limits), PerfectReader(4_096))
        leaves = [s for s in done.state.steps.values() if s.step.instance_of == "read" and s.status is Status.DONE]
        facts = {match for s in leaves for match in FACT.findall(str(s.outcome.output))}
        assert leaves
        assert set(FACT.findall(text_of(done))) == facts
        assert done.state.usage.tokens <= tokens


@pytest.mark.anyio
async def test_a_replay_takes_the_expansion_of_the_journal(tmp_path: Path) -> None:
    this = task(tmp_path, 24)
    done = await run(this, PerfectReader(4_096))
    async with Run(this, options=Options(endpoint=PerfectReader(4_096)), replay=done.folder) as again:
        pass
    assert again.result.report == done.result.report


@pytest.mark.anyio
@pytest.mark.slow  # forty resumed runs
async def test_killed_after_any_event_and_resumed_the_report_is_the_same(tmp_path: Path) -> None:
    this = task(tmp_path, 24)
    done = await run(this, PerfectReader(4_096))
    assert partials(done.state)
    lines = (done.folder.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(2, len(lines), max(1, len(lines) // 40)):
        copy = tmp_path / "cut" / str(cut)
        copy.parent.mkdir(exist_ok=True)
        shutil.copytree(done.folder.path, copy)
        (copy / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        options = Options(endpoint=PerfectReader(4_096), cache=False)
        async with Run(options=options, resume=RunFolder(copy)) as again:
            pass
        assert again.result.report == done.result.report, cut
