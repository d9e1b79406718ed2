"""The cache of runs: whose answers it gives, and which runs use it."""

from pathlib import Path

import pytest

from swarm.base.values import digest
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record.cache import Cache, Entry
from tests.models import Model, four, resume_with, run_with, write_notes

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_notes(tmp_path)


async def test_fault_150_the_answer_of_another_endpoint_is_not_taken(folder: Path) -> None:
    await run_with(Model(), four(folder))
    other, nobody = Model(), Model()
    other.identity, nobody.identity = "another model", None
    for model in (other, nobody, nobody):
        model.requests.clear()
        await run_with(model, four(folder))
        assert len(model.requests) == 4
    again = Model()
    await run_with(again, four(folder))
    assert again.requests == []


async def test_an_object_that_nothing_tells_from_others_is_not_cached_and_that_is_said(folder: Path) -> None:
    nobody = Model()
    nobody.identity = None
    warnings: list[list[str]] = []
    for cache in (None, False):
        async with Run(four(folder), options=Options(endpoint=nobody, cache=cache)) as run:
            pass
        warnings.append([each for each in run.warnings if "identity" in each])
    assert [len(each) for each in warnings] == [1, 0]
    assert Cache(folder / ".swarm" / "cache").size().entries == 0


async def test_fault_143_what_was_said_of_the_cache_holds_for_a_resumed_run(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for said, entries in ((False, (0, 0)), (elsewhere, (0, 4)), (None, (4, 0))):
        result = await run_with(Model(), four(folder), cache=said)
        journal = result.folder / "journal.jsonl"
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
        Cache(elsewhere).clear()
        await resume_with(Model(), result.folder)
        assert (Cache(folder / ".swarm" / "cache").size().entries, Cache(elsewhere).size().entries) == entries


async def test_a_finished_step_is_kept_if_its_endpoint_has_moved(folder: Path) -> None:
    result = await run_with(Model(), four(folder), cache=False)
    moved = Model()
    moved.identity = "moved"
    again = await resume_with(moved, result.folder)
    assert (moved.requests, again.report) == ([], result.report)


async def test_entries_of_earlier_versions_which_name_no_endpoint_are_not_used(folder: Path) -> None:
    await run_with(Model(), four(folder))
    cache = Cache(folder / ".swarm" / "cache")
    old: list[Entry] = []
    for entry in cache.entries():
        parts = {name: part for name, part in entry.parts.items() if name != "endpoint"}
        old.append(entry.model_copy(update={"parts": parts, "key": digest(parts)}))
    cache.clear()
    for entry in old:
        cache.put(entry)
    assert cache.size().entries == 4
    again = Model()
    await run_with(again, four(folder))
    assert len(again.requests) == 4
