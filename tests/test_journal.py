"""The journal as a file: what is written is what is read, whatever cuts or damages it."""

import json
import os
import stat
import tracemalloc
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.clock import RunClock
from swarm.base.errors import JournalError
from swarm.base.redaction import Redactor
from swarm.record import events as e
from swarm.record.journal import Journal, cut_tail, encode, read, scan
from swarm.record.outcome import Outcome
from swarm.spec.chat import Usage, says
from swarm.spec.plan import Step

FACTS: tuple[e.Stamped, ...] = (
    e.RunStarted(run="r", trace="0" * 32, versions={}, task={"goal": "why?"}, agents=()),
    e.StepsAdded(by="task", steps=(Step(id="a", each=({"x": 1}, None)), Step(id="b", needs=("a",)))),
    e.StepStarted(step="b", attempt=1, span="0" * 16, model="default"),
    e.TurnTaken(
        step="b",
        attempt=1,
        messages=(says("assistant", "line\nbreak \u2028 \x1b[2J"),),
        usage=Usage(calls=1, input_tokens=3),
        seconds=0.5,
        model="m",
        endpoint="here",
    ),
    e.StepFailed(step="b", attempt=1, error=e.Failure(kind="empty", message="nothing"), retry_in=0.25),
    e.SlotsChanged.model_validate({"endpoint": "here", "from": 8, "to": 4, "why": "429"}),
    e.StepFinished(
        step="b", attempt=2, outcome=Outcome(output={"event": "RunFinished", "seq": 1}, spawned=(Step(id="c"),))
    ),
    e.StepSkipped(step="c", because="no"),
    e.LimitReached(limit="tokens", value=5),
    e.RunFinished(status="limit", report="b"),
)
EVENTS = tuple(fact.model_copy(update={"seq": n, "t": n / 8}) for n, fact in enumerate(FACTS, 1))
BYTES = b"".join(encode(event) for event in EVENTS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.mark.anyio
async def test_what_is_appended_is_read_back(path: Path) -> None:
    journal = Journal(path)
    for event in EVENTS:
        journal.append(event)
    journal.close()
    assert tuple(read(path)) == EVENTS
    assert path.read_bytes() == BYTES


def test_every_line_is_json_with_its_event_named() -> None:
    names = [json.loads(line)["event"] for line in BYTES.splitlines()]
    assert names == [type(fact).__name__ for fact in FACTS]


@pytest.mark.anyio
async def test_an_event_is_in_the_file_before_append_returns(path: Path) -> None:
    journal = Journal(path)
    for n, event in enumerate(EVENTS, 1):
        journal.append(event)
        assert path.read_bytes().count(b"\n") == n
    journal.close()


@pytest.mark.anyio
async def test_nobody_else_may_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        Journal(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_cut_at_every_byte_the_whole_lines_are_read_and_the_rest_is_cut(path: Path) -> None:
    for size in range(len(BYTES) + 1):
        path.write_bytes(BYTES[:size])
        whole = BYTES[:size].count(b"\n")
        assert tuple(read(path)) == EVENTS[:whole]
        warning = mend(path)
        assert (warning is None) == BYTES[:size].endswith(b"\n") or size == 0
        assert path.read_bytes() == b"".join(encode(event) for event in EVENTS[:whole])


def mend(path: Path) -> str | None:
    """Read a journal and cut off its torn tail, as resuming does."""
    return cut_tail(path, max((end for _, end in scan(path)), default=0))


@pytest.mark.parametrize("tail", [b"\0" * 5000, b'{"event":"Run\0\0\0\0', b"\0\0\0\n\0\0", b"\0\n"])
def test_a_tail_of_nul_bytes_is_cut(path: Path, tail: bytes) -> None:
    path.write_bytes(BYTES + tail)
    assert tuple(read(path)) == EVENTS
    assert "torn by a crash" in (mend(path) or "")
    assert path.read_bytes() == BYTES


@given(st.integers(0, len(BYTES) - 2), st.integers(1, 255))
def test_a_changed_byte_is_refused_with_its_line_or_was_in_the_tail(
    tmp_path_factory: pytest.TempPathFactory, at: int, by: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    damaged = bytearray(BYTES)
    damaged[at] ^= by
    path.write_bytes(damaged)
    line = BYTES[:at].count(b"\n") + 1
    with pytest.raises(JournalError) as caught:
        list(read(path))
    assert f"line {line}" in str(caught.value) or f"line {line + 1}" in str(caught.value)
    with pytest.raises(JournalError):
        mend(path)
    assert path.read_bytes() == damaged


def test_a_missing_line_is_refused(path: Path) -> None:
    lines = BYTES.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3] + lines[4:]))
    with pytest.raises(JournalError, match="line 4: event 5 is out of order; expected event 4"):
        list(read(path))


def test_a_newer_format_is_refused_untouched(path: Path) -> None:
    newer = EVENTS[0].model_copy(update={"format": 2})
    path.write_bytes(encode(newer) + b"a line of a format we do not know\n" + b"torn")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"format 2.*update local-agent-swarm"):
        mend(path)
    with pytest.raises(JournalError, match=r"format 2.*update local-agent-swarm"):
        list(read(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        b'{"lc":2,"type":"constructor","id":["os","system"]}',
        b'{"event":"StepFinished","step":"b","attempt":1,"__reduce__":"os.system"}',
        b'{"event":"Subclass","seq":2}',
        b"[" * 100_000,
        b"null",
        b"",
    ],
    ids=lambda line: line[:30].decode() or "empty",
)
def test_a_line_that_is_no_event_of_ours_is_refused(path: Path, line: bytes) -> None:
    path.write_bytes(encode(EVENTS[0]) + line + b"\n" + encode(EVENTS[2]))
    with pytest.raises(JournalError, match="line 2"):
        list(read(path))


def test_what_does_not_begin_with_a_start_is_refused(path: Path) -> None:
    path.write_bytes(encode(EVENTS[1].model_copy(update={"seq": 1})))
    with pytest.raises(JournalError, match="begins with a RunStarted"):
        list(read(path))


def test_no_journal_is_an_error_that_names_the_file(path: Path) -> None:
    with pytest.raises(JournalError, match=r"journal\.jsonl: cannot read"):
        list(read(path))


@pytest.mark.anyio
async def test_a_full_disk_leaves_no_half_line_and_takes_nothing_more() -> None:
    journal = Journal(Path("/dev/full"))
    for _ in range(2):
        with pytest.raises(JournalError, match=r"cannot write the journal|no longer be written"):
            journal.append(EVENTS[0])


@pytest.mark.anyio
async def test_a_deleted_folder_stops_the_run_with_a_message(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal(folder / "journal.jsonl")
    journal.append(EVENTS[0])
    (folder / "journal.jsonl").unlink()
    folder.rmdir()
    with pytest.raises(JournalError, match="the run folder was deleted"):
        journal.append(EVENTS[1])
    journal.close()


@pytest.mark.anyio
async def test_no_secret_reaches_the_file_or_the_state(path: Path) -> None:
    journal = Journal(path, Redactor(["sk-canary-123456"]).clean)
    told = e.StepFailed(step="b", attempt=1, error=e.Failure(kind="auth", message="key sk-canary-123456 is bad"), seq=1)
    written = journal.append(told)
    journal.close()
    assert b"canary" not in path.read_bytes()
    assert "canary" not in repr(written)
    assert isinstance(written, e.StepFailed)
    assert written.error.message == "key *** is bad"


@pytest.mark.anyio
async def test_events_become_durable_without_being_asked(path: Path) -> None:
    journal = Journal(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.keep_synced)
        journal.append(EVENTS[0])
        with anyio.fail_after(60):
            while journal.synced < 1:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    journal.close()


def test_reading_holds_one_line_at_a_time_however_long_the_journal(path: Path) -> None:
    """A million events are read by `bench/journal.py`; memory that grew with them would show in 20,000."""
    with path.open("wb") as file:
        file.write(encode(EVENTS[0]))
        for seq in range(2, 20_001):
            file.write(encode(EVENTS[3].model_copy(update={"seq": seq})))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(path)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()


@pytest.mark.anyio
@pytest.mark.virtual
async def test_the_clock_of_a_run_goes_on_where_it_stopped() -> None:
    clock = RunClock(start=100)
    await anyio.sleep(7)
    assert clock.t() == pytest.approx(107)
