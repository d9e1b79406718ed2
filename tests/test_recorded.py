"""A recorded run, kept as data: every later version reads its files, and writes them again with the same bytes.

`data/recorded/` has the journal, the artifacts and the cache of one run of version 0.1.0 against a scripted endpoint.
The run planned a second wave, reached `limits.steps`, was resumed, was interrupted, and was resumed again. It has every
kind of event, a step taken from the cache of an earlier run, an output over 64 KiB, a sound and a truncated report.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.record import events as e
from swarm.record.cache import BYTES, CURRENT, SUFFIX, Cache
from swarm.record.folder import ARTIFACT_BYTES, RunFolder
from swarm.record.journal import encode, read
from swarm.record.outcome import Outcome
from swarm.record.state import State

RECORDED = Path(__file__).parent / "data" / "recorded"
JOURNAL = RECORDED / "journal.jsonl"


def finished() -> Iterator[e.StepFinished]:
    return (event for event in read(JOURNAL) if isinstance(event, e.StepFinished))


def test_every_line_of_the_journal_is_written_again_with_the_same_bytes() -> None:
    lines = JOURNAL.read_bytes().splitlines(keepends=True)
    assert [encode(event) for event in read(JOURNAL)] == lines


def test_the_journal_has_every_kind_of_event() -> None:
    later = {e.EndpointGone, e.EndpointBack, e.CallDecided}  # added after the run was recorded
    assert {type(event) for event in read(JOURNAL)} == set(e.Stamped.__subclasses__()) - later


def test_the_journal_has_every_field_of_an_outcome() -> None:
    """A field that is empty everywhere would be read and written without a test."""
    lines = [json.loads(encode(event)) for event in finished()]
    filled = {name for line in lines for name, value in line.items() if value not in (None, [], False)}
    later = {
        "doubts",
        "opened",
        "unread",
        "unfounded",
    }  # added after the run was recorded, and not written if it is empty
    assert filled >= set(Outcome.model_fields) - e.StepFinished.NOT_WRITTEN - later


def test_the_journal_is_folded_to_its_end() -> None:
    state = State()
    for event in read(JOURNAL):
        state.apply(event)
    assert state.finished is not None
    assert (state.finished.status, state.over, state.resumed) == ("partial", True, 2)


def test_the_artifacts_are_read() -> None:
    folder = RunFolder(RECORDED)
    large = [event.outcome.artifact for event in finished() if event.outcome.artifact is not None]
    assert [len(folder.content(artifact)) > ARTIFACT_BYTES for artifact in large] == [True]
    sounds = [made for event in finished() for made in event.outcome.media]
    assert [len(folder.content(made.sha256)) for made in sounds] == [made.size for made in sounds] != []


KEYS = sorted(path.name.removesuffix(SUFFIX) for path in RECORDED.glob(f"cache/*/*{SUFFIX}"))
ENTRIES = {entry.key: entry for entry in Cache(RECORDED / "cache").entries()}


@pytest.mark.parametrize("key", KEYS)
def test_every_entry_of_the_cache_is_written_again_with_the_same_bytes(key: str, tmp_path: Path) -> None:
    folder = RECORDED / "cache"
    media = ENTRIES[key].outcome.media
    contents = [(folder / made.sha256[:2] / (made.sha256 + BYTES)).read_bytes() for made in media]
    old = ENTRIES[key].with_media(
        tuple(made.model_copy(update={"content": content}) for made, content in zip(media, contents, strict=True))
    )
    Cache(tmp_path).put(old.model_copy(update={"format": CURRENT}))
    entry = Cache(tmp_path).get(key)
    assert entry is not None
    assert [made.content for made in entry.outcome.media] == contents
    Cache(tmp_path).put(old)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 1 + len(media)
    for path in written:
        assert path.read_bytes() == (RECORDED / "cache" / path.relative_to(tmp_path)).read_bytes()


def test_no_entry_from_before_answers_had_to_be_whole_is_used() -> None:
    cache = Cache(RECORDED / "cache")
    assert {entry.format for entry in cache.entries()} == {1}
    assert [cache.get(key) for key in KEYS] == [None] * len(KEYS)


def test_the_cache_has_a_plan_and_a_sound() -> None:
    assert len(KEYS) == 15
    assert list(ENTRIES) == KEYS
    assert any(entry.outcome.spawned for entry in ENTRIES.values())
    assert len(list(RECORDED.glob(f"cache/*/*{BYTES}"))) == 1
