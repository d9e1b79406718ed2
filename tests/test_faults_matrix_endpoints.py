"""Rows 109 to 139 of the fault matrix, as far as the wire goes: what endpoints do in their own ways."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from faults import ASK, Case, chunk, of, seen_on_the_wire, streamed

from swarm.endpoints.wire.answers import Assembly
from swarm.endpoints.wire.shapes import BadAnswer
from swarm.endpoints.wire.stream import IDLE_SECONDS, TAIL_SECONDS, read_stream
from swarm.record.cache import Cache
from swarm.record.events import StepFinished, TurnTaken
from swarm.spec.chat import Reply, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Task
from swarm.testing.fake import Answer, sse
from tests.models import Model, events_of, run_with

pytestmark = pytest.mark.anyio


async def timed(*pieces: bytes | float) -> AsyncGenerator[bytes]:
    """Give the pieces of a stream; a number is a pause in seconds."""
    for sent in pieces:
        if isinstance(sent, bytes):
            yield sent
        else:
            await anyio.sleep(sent)


def part(finish: str | None = None, **delta: Any) -> bytes:
    return sse([chunk(finish, **delta)], done=False)


DONE = b"data: [DONE]\n\n"
FIRST, LAST = "The sum ", "is five."
USAGE = sse([{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}], done=False)


@of(
    Case(110, "on every chunk, with a pause", "'The sum is five.' after 6 s",
         (part("stop", content=FIRST), 4.0, part("stop", content=LAST), USAGE, DONE, 90.0)),
    Case(110, "on the first chunk only", "'The sum is five.' after 4 s",
         (part("stop", content=FIRST), 4.0, part(content=LAST), DONE)),
    Case(110, "on every chunk, without DONE", "'The sum is five.' after 4 s",
         (part("stop", content=FIRST), 4.0, part("stop", content=LAST))),
    Case(110, "on every chunk, then silence", "'The sum is five.' after 64 s, with a note",
         (part("stop", content=FIRST), 4.0, part("stop", content=LAST), 900.0)),
    Case(110, "empty on every chunk", "'The sum is five.' after 4 s",
         (part("", content=FIRST), 4.0, part("", content=LAST), part("stop"), DONE)),
    Case(110, "before any content", "'The sum is five.' after 4 s",
         (part("stop", content=""), 4.0, part("stop", content=FIRST + LAST), DONE)),
    Case(110, "at the end, and the connection stays open", "'The sum is five.' after 2 s",
         (part(content=FIRST + LAST), part("stop"), *[0.5, b": ping\n\n"] * 40)),
    Case(110, "content after the tail began", "'The sum is five.' after 1 s",
         (part(content=FIRST), part("stop"), 1.0, part(content=LAST), DONE)),
)  # fmt: skip
@pytest.mark.virtual
async def test_a_finish_counts_on_a_chunk_after_which_no_content_follows(case: Case) -> None:
    began, answer = anyio.current_time(), Assembly()
    async with aclosing(timed(*case.give)) as chunks:
        await read_stream(chunks, answer)
    reply = answer.reply(ASK)
    seconds = anyio.current_time() - began
    note = ", with a note" if reply.message.doubts else ""
    assert f"{reply.text!r} after {seconds:.0f} s{note}" == case.seen
    assert (reply.finish, TAIL_SECONDS, IDLE_SECONDS) == ("stop", 2, 60)


@pytest.mark.virtual
async def test_a_stream_with_worthless_finishes_that_is_reset_is_broken() -> None:
    import httpx2

    async def stream() -> AsyncGenerator[bytes]:
        yield part("stop", content=FIRST)
        yield part("stop", content=LAST)
        raise httpx2.ReadError("reset")

    async with aclosing(stream()) as chunks:
        with pytest.raises(httpx2.ReadError):
            await read_stream(chunks, Assembly())


@pytest.mark.parametrize("tail", [(), (DONE,)])
async def test_a_stream_of_done_alone_is_no_answer(tail: tuple[bytes, ...]) -> None:
    async with aclosing(timed(part(content=""), *tail)) as chunks:
        with pytest.raises(BadAnswer) as bad:
            await read_stream(chunks, Assembly())
    assert bad.value.fault.kind == "empty"


async def test_an_error_inside_a_choice_is_judged_by_its_code() -> None:
    spent = {"code": 402, "message": "Insufficient credits"}
    whole = {"index": 0, "message": {"content": "The"}, "finish_reason": "error", "error": spent}
    line = "endpoint stopped: quota, 1 call"
    assert await seen_on_the_wire(Answer(body={"choices": [whole]})) == line
    piece = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": spent}
    assert await seen_on_the_wire(streamed(chunk(content="The"), {"choices": [piece]}), stream=True) == line


@of(
    Case(109, "an answer with a doubt", "done, with the doubt; no entry in the cache", ("it may be incomplete",)),
    Case(109, "a whole answer", "done; one entry in the cache", ()),
)
async def test_only_a_whole_answer_is_kept_for_later_runs(case: Case, tmp_path: Path) -> None:
    said = says("assistant", "It is five.").model_copy(update={"doubts": case.give})
    task = Task(goal="x", plan=Plan(steps=(Step(id="a", prompt="Say."),)), folder=tmp_path)
    result = await run_with(Model({"Say": Reply(message=said)}), task)
    finished = next(event for event in events_of(result.folder) if isinstance(event, StepFinished))
    assert finished.outcome.doubts == case.give
    entries = Cache(tmp_path / ".swarm" / "cache").size().entries
    noted = ", with the doubt" if finished.outcome.doubts else ""
    assert f"{result.status}{noted}; {'one entry' if entries else 'no entry'} in the cache" == case.seen
    turn = next(event for event in events_of(result.folder) if isinstance(event, TurnTaken))
    assert turn.messages[0].doubts == case.give, "a resumed attempt sees it, too"
