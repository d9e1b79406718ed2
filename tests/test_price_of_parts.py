"""What reading in parts costs, counted in calls and tokens: of texts of every kind, and after refusals without a size.

The reader counts tokens as real tokenizers do, so its texts are denser or less dense than estimated.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest

from swarm.attempt.part_schemas import joined
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.results.result import Result
from swarm.spec.plan import Part, Plan, Step
from swarm.spec.task import Limits, Model, Task
from tests.kinds_of_text import FACT, RECORDS, Reader, name_of, text_of, tokens_of
from tests.models import events_of, resume_with

CONTEXT = 6144
pytestmark = pytest.mark.anyio


async def read(folder: Path, kind: str, text: str, reader: Reader, workers: int = 2, stated: int = CONTEXT) -> Result:
    """Return the result of a step that reads a text, on a model whose context is stated."""
    (folder / name_of(kind)).write_text(text, encoding="utf-8", newline="")
    task = Task(
        goal="List them.",
        inputs=(name_of(kind),),
        plan=Plan(steps=(Step(id="study", prompt="List every one.", inputs=(name_of(kind),)),)),
        models={"default": Model(endpoint="offline", context=stated)},
        limits=Limits(tokens=None, workers=workers),
        folder=folder,
    )
    async with Run(task, options=Options(endpoint=reader, cache=False, runs=folder / "runs")) as run:
        pass
    return run.result


def missing(result: Result, text: str, reader: Reader) -> set[str]:
    """Return what a reader was asked for and the report does not have."""
    assert result.report is not None
    return set(reader.every.findall(text)) - set(reader.every.findall(result.report.text))


@pytest.mark.parametrize("kind", ["prose", "cjk", "json", "csv", "code"])
async def test_few_facts_cost_little_more_than_the_text(tmp_path: Path, kind: str) -> None:
    text, reader = text_of(kind, 40_000, 12), Reader(CONTEXT)
    result = await read(tmp_path, kind, text, reader)
    assert (result.status, missing(result, text, reader)) == ("done", set())
    # At this context, rules and prompt are 600 of about 3,000 tokens of a call. At 8,192 it is less: `bench/parts.py`.
    assert reader.spent["input"] < 1.1 * tokens_of(text)
    assert reader.spent["all"] < 1.4 * tokens_of(text)
    assert reader.refused <= 3


@pytest.mark.parametrize(("kind", "size"), [("prose", 50_000), ("cjk", 40_000), ("csv", 18_000)])
async def test_every_record_costs_little_more_than_to_read_and_write_it(tmp_path: Path, kind: str, size: int) -> None:
    text, reader = text_of(kind, size, 0), Reader(CONTEXT, RECORDS[kind])
    result = await read(tmp_path, kind, text, reader)
    assert (result.status, missing(result, text, reader)) == ("done", set())
    least = tokens_of(text) + tokens_of("\n".join(RECORDS[kind].findall(text)))
    # Two answers show that the pieces are too large: only those two are read a second time.
    assert reader.spent["all"] < 1.35 * least + 2 * CONTEXT
    added = [event.steps for event in events_of(result.folder) if isinstance(event, e.StepsAdded)]
    cut_for = {step.density for step in chain.from_iterable(added) if step.density is not None}
    assert kind != "prose" or max(cut_for, default=1) < 1  # as measured by the first parts, not as estimated
    assert reader.spent["calls"] <= 1.3 * least / (CONTEXT * 7 / 8 - 600) + 6


@pytest.mark.parametrize("share", [0.85, 0.7, 0.4])
async def test_a_size_that_no_refusal_states_is_found_with_few_calls(tmp_path: Path, share: float) -> None:
    context, text = int(share * CONTEXT), text_of("cjk", 70_000, 12)
    (tmp_path / "best").mkdir()
    best, reader = Reader(context), Reader(context, states=False)
    await read(tmp_path / "best", "cjk", text, best, workers=4, stated=context)
    result = await read(tmp_path, "cjk", text, reader, workers=4)
    assert (result.status, missing(result, text, reader)) == ("done", set())
    assert reader.refused <= 12  # four at once, and eight steps down to less than a third
    assert reader.spent["calls"] <= 1.35 * best.spent["calls"] + 3
    assert reader.spent["input"] <= 1.2 * tokens_of(text) + context


def parts_of_leaves(folder: Path) -> Sequence[Part]:
    """Return the parts that are read by a step of its own, in the order of the text."""
    added = [event for event in events_of(folder) if isinstance(event, e.StepsAdded)]
    above = {event.by for event in added} | {name for event in added for name in event.takes}
    leaves = [step.part for event in added for step in event.steps if step.id not in above]
    return sorted((part for part in leaves if part is not None), key=lambda part: part.own)


async def test_parts_that_were_cut_again_together_have_every_byte_once(tmp_path: Path) -> None:
    text, reader = text_of("csv", 60_000, 12), Reader(CONTEXT // 2, states=False)
    result = await read(tmp_path, "csv", text, reader, workers=3)
    added = [event for event in events_of(result.folder) if isinstance(event, e.StepsAdded)]
    assert sum(len(event.takes) for event in added) > 3
    parts = parts_of_leaves(result.folder)
    assert [parts[0].own, *(part.end for part in parts)] == [*(part.own for part in parts), len(text.encode())]
    assert [parts[0].lines[0], *(part.lines[1] + 1 for part in parts)][:-1] == [part.lines[0] for part in parts]
    asked = reader.spent["calls"]
    again = await resume_with(reader, result.folder)
    assert (reader.spent["calls"], again.report) == (asked, result.report)
    assert missing(result, text, reader) == set()
    assert FACT.search(text)


async def test_many_short_entries_that_two_parts_share_are_counted_once() -> None:
    assert joined([list(range(60)), list(range(20, 90))]) == list(range(90))
