"""Rows 109 to 139 of the fault matrix, as far as the wire goes: what endpoints do in their own ways."""

import gzip
import json
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from faults import ASK, Case, chunk, model, of, seen_on_the_wire, streamed

from swarm.endpoints.wire.answers import Assembly
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wire.shapes import BadAnswer
from swarm.endpoints.wire.stream import IDLE_SECONDS, TAIL_SECONDS, read_stream
from swarm.endpoints.wire.thoughts import answer_in
from swarm.record.cache import Cache
from swarm.record.events import StepFinished, TurnTaken
from swarm.spec.chat import Reply, Request, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Task
from swarm.testing.fake import Answer, FakeServer, completion, error, sse
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


FIVE = "The sum is five."
SAID = f"answered {FIVE!r}, 1 call"
LEAKS = {
    "channels": f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{FIVE}",
    "channels, the first token lost": f"Hm.<|end|><|start|>assistant<|channel|>final<|message|>{FIVE}<|return|>",
    "channels with a form": f"<|channel|>analysis<|message|>Hm<|channel|>final <|constrain|>json<|message|>{FIVE}",
    "channels without tokens": f"analysisWe add.assistantfinal{FIVE}",
    "thinking": f"<thinking>Hm.</thinking>\n\n{FIVE}",
    "thought": f"<thought>\nHm.\n</thought>\n{FIVE}",
    "THINK": f"[THINK]Hm.[/THINK]{FIVE}",
    "a triangle": f"◁think▷Hm.◁/think▷{FIVE}",
    "a prefix": f"<seed:think>Hm.</seed:think>{FIVE}",
    "a channel of one pipe": f"<|channel>thought\nHm.<channel|>{FIVE}",
    "two blocks": f"<think>One.</think>\n<think>Two.</think>\n{FIVE}",
    "one block in another": f"<think>One. <think>Two.</think> Three.</think>{FIVE}",
    "capitals": f"<Think>Hm.</THINK>{FIVE}",
    "attributes": f'<think effort="low">Hm.</think>{FIVE}',
    "reasoning": f"<reasoning>Hm.</reasoning>{FIVE}",
    "no opening": f"Hm.\n</think>\n\n{FIVE}",
    "a fence in the thought": f"<think>```\nx = </think>{FIVE}",
    "an answer in tags": f"<think>Hm.</think><answer>{FIVE}</answer>",
    "start and end tokens": f"<|im_start|>assistant\n{FIVE}<|im_end|>\n",
    "a response in tokens": f"<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>{FIVE}<|END_RESPONSE|>",
    "several end tokens": f"{FIVE}<|eot_id|></s>",
}
ABOUT = (
    "Put it in `<think>` tags:\n\n```\n<think>why</think>\n```\n\nThat is all.",
    "Harmony writes `<|channel|>final<|message|>` before its answer.",
    "```\n<|channel|>analysis<|message|>x\n```\nThat is all.",
    "Use <think> and </think> around it, he said.",
    '{"html": "<think>x</think>"}',
    "The token `<|im_end|>` ends a turn, as `</s>`",
)


@of(
    *(Case(112, what, SAID, said) for what, said in LEAKS.items()),
    *(Case(112, f"quoted, {n}", f"answered {said!r}, 1 call", said) for n, said in enumerate(ABOUT, 1)),
    Case(112, "between two sentences", f"answered 'Add. {FIVE}', 1 call", f"Add. <think>Hm.</think>{FIVE}"),
    Case(112, "later, never closed", SAID, f"<think>One.</think>{FIVE}\n<think>Two"),
)  # fmt: skip
async def test_thoughts_are_not_part_of_an_answer(case: Case) -> None:
    whole = await seen_on_the_wire(Answer(case.give))
    pieces = [chunk(content=case.give[n : n + 3]) for n in range(0, len(case.give), 3)]
    in_stream = await seen_on_the_wire(streamed(*pieces, chunk("stop")), stream=True)
    assert (whole.replace("\\n'", "'"), in_stream.replace("\\n'", "'")) == (case.seen, case.seen)


@pytest.mark.parametrize(
    ("text", "left"),
    [("<think>" * 90_000, ""), ("</think>" * 90_000, ""), ("`a` <think> " * 9000, None), ("<|channel|>" * 90_000, "")],
)
def test_hostile_thoughts_are_read_in_one_pass(text: str, left: str | None) -> None:
    """A search of the rest of the text for each mark would take minutes."""
    assert answer_in(text) == (text if left is None else left)


LOOK = {"name": "look", "arguments": '{"city": "Ulm"}'}
LOOK_TOO = {"name": "look", "arguments": '{"city": "Bonn"}'}
MORE = {"name": "", "arguments": '{"city": "Bonn"}'}


@of(
    *(Case(125, what, 'look {"city": "Ulm"}; look {"city": "Bonn"}', pieces)
      for what, pieces in {
          "empty ids": [[{"index": 0, "id": "", "function": LOOK}], [{"index": 0, "id": "", "function": LOOK_TOO}]],
          "no ids": [[{"index": 0, "function": LOOK}], [{"index": 0, "function": LOOK_TOO}]],
          "no index": [[{"function": LOOK}], [{"function": LOOK_TOO}]],
          "one id": [[{"index": 0, "id": "x", "function": LOOK}], [{"index": 0, "id": "x", "function": LOOK_TOO}]],
          "one chunk": [[{"index": 0, "id": "", "function": LOOK}, {"index": 0, "id": "", "function": LOOK_TOO}]],
          "the second without a name": [[{"index": 0, "id": "a", "function": LOOK}], [{"index": 0, "function": MORE}]],
          "the first is empty at first": [
              [{"index": 0, "id": "a", "function": {"name": "look", "arguments": "{}"}}],
              [{"index": 0, "function": {"arguments": '{"city": '}}],
              [{"index": 0, "function": {"arguments": '"Ulm"}'}}],
              [{"index": 0, "function": MORE}],
          ],
      }.items()),
    Case(125, "white space after the arguments", 'look {"city": "Ulm"}',
         [[{"index": 0, "id": "a", "function": LOOK}], [{"index": 0, "function": {"arguments": "\n "}}]]),
    Case(125, "a bracket ends a piece", 'look {"city": [1]}',
         [[{"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"city": [1]'}}],
          [{"index": 0, "id": "a", "function": {"name": "look", "arguments": "}"}}]]),
)  # fmt: skip
def test_parallel_calls_are_told_apart(case: Case) -> None:
    answer = Assembly()
    for calls in case.give:
        answer.add(json.dumps(chunk(tool_calls=calls)).encode())
    reply = answer.reply(ASK)
    assert "; ".join(f"{call.name} {call.arguments.strip()}" for call in reply.message.tool_calls) == case.seen
    assert len({call.id for call in reply.message.tool_calls}) == len(reply.message.tool_calls)


MARK = b"\xef\xbb\xbf"
BODY = json.dumps(completion(Answer(FIVE), model="m")).encode()
EVENTS = [chunk(role="assistant", content="The sum "), chunk(content="is five."), chunk("stop")]


def response(content: bytes, head: str = "content-type: text/event-stream", status: int = 200) -> Answer:
    """An answer with exactly these headers, and its bytes."""
    lines = f"HTTP/1.1 {status} X\r\n{head}\r\ncontent-length: {len(content)}\r\n\r\n".replace("\r\n\r\nc", "\r\nc")
    return Answer(pieces=(lines.encode() + content,))


def typed(kind: str) -> Answer:
    return response(sse(EVENTS), f"content-type: {kind}" if kind else "x-none: 1")


def encoded(label: str, content: bytes = BODY) -> Answer:
    return response(content, f"content-type: application/json\r\ncontent-encoding: {label}")


@of(
    Case(114, "before a body", SAID, response(MARK + BODY, "content-type: application/json")),
    Case(114, "before a stream", SAID, response(MARK + sse(EVENTS))),
    *(Case(118, f"a stream as {kind or 'nothing'}", SAID, typed(kind))
      for kind in ("application/json", "text/plain; charset=utf-8", "", "application/octet-stream",
                   "Text/Event-Stream; charset=UTF-8", "text/event-stream")),
    Case(118, "an answer as a stream", SAID, response(b"\n \n" + BODY)),
    Case(118, "a whole answer in a stream", SAID, response(b"data: " + BODY + b"\n\n")),
    *(Case(129, f"plain bytes as {label or 'nothing'}", SAID, encoded(label))
      for label in ("", "utf-8", "none", "Identity", "identity, identity", "aws-chunked", "gzip", "deflate", "br")),
    *(Case(129, label, SAID, encoded(label, gzip.compress(BODY))) for label in ("gzip", "x-gzip", "identity", "")),
    Case(129, "deflate", SAID, encoded("deflate", zlib.compress(BODY))),
    Case(129, "deflate without a head", SAID, encoded("Deflate", zlib.compress(BODY)[2:-4])),
    Case(129, "a compressed stream", SAID, response(gzip.compress(sse(EVENTS)), "content-encoding: gzip")),
    Case(129, "compressed with brotli", "retried: malformed, 2 calls; once: answered 'passed', 2 calls",
         encoded("br", b"\x8b\x02\x80")),
    Case(129, "a compressed refusal", "endpoint stopped: quota, 1 call",
         response(gzip.compress(json.dumps(error("no", code="insufficient_quota")).encode()),
                  "content-encoding: gzip", 429)),
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_the_bytes_decide(case: Case, stream: bool) -> None:
    assert await seen_on_the_wire(case.give, stream=stream) == case.seen


BEGIN, MIDDLE, END = (sse([event], done=False) for event in EVENTS)


@of(
    *(Case(127, what, SAID, frame)
      for what, frame in {
          "a priming frame": b"data: \nid: 0\nretry: 3000\n\n",
          "empty": b"data:\n\n",
          "null": b"data: null\n\n",
          "a word": b"data: keepalive\n\n",
          "a text": b'data: "ping"\n\n',
          "a number": b"data: 1\n\n",
          "an empty object": b"data: {}\n\n",
          "a named text": b"event: ping\ndata: still here\n\n",
          "a named object": b'event: ping\ndata: {"type": "ping"}\n\n',
          "a cost": b'data: {"cost": "0.001", "x": [1], "model": {"id": 1}}\n\n',
          "a message": b'data: {"message": "queued", "code": 0}\n\n',
          "no choices": b'data: {"choices": null}\n\n',
          "no delta": b'data: {"choices": [{"index": 0, "delta": null, "finish_reason": null}]}\n\n',
          "an error that is none": b'data: {"choices": [], "error": {"code": 0, "message": ""}}\n\n',
          "an empty error": b'data: {"choices": [{"index": "0", "delta": {}}], "error": ""}\n\n',
      }.items()),
)  # fmt: skip
async def test_frames_without_an_answer_are_ignored(case: Case) -> None:
    for done in (b"data: [DONE]\n\n", b'data: "[DONE]"\n\n', b"data: [done]\n\n"):
        for content in (BEGIN + case.give + MIDDLE + END + done, case.give + BEGIN + MIDDLE + END + case.give + done):
            assert await seen_on_the_wire(response(content), stream=True) == case.seen


@of(
    Case(130, "without `data:`", "endpoint stopped: quota, 1 call",
         b'{"error": {"message": "no credits", "code": "insufficient_quota"}}\n\n'),
    Case(130, "in a list", "endpoint stopped: quota, 1 call",
         b'data: [{"error": {"message": "no credits", "code": 402}}]\n\n'),
    Case(130, "flat", "endpoint stopped: quota, 1 call",
         b'data: {"object": "error", "message": "no credits", "code": "insufficient_quota"}\n\n'),
    Case(130, "an event of its own", "endpoint stopped: quota, 1 call",
         b'event: error\ndata: {"code": 402, "msg": "no credits", "success": false}\n\n'),
)  # fmt: skip
async def test_an_error_in_a_stream_has_any_shape(case: Case) -> None:
    assert await seen_on_the_wire(response(BEGIN + case.give), stream=True) == case.seen


COUNTS = {"prompt_tokens": 432, "completion_tokens": 21, "cached_tokens": 400}
ZEROS: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}


def last(**more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **more}


PLACES: dict[str, list[dict[str, Any]]] = {
    "in the last chunk": [last(usage=COUNTS)],
    "in the choice": [{"choices": [{"delta": {}, "finish_reason": "stop", "usage": COUNTS}]}],
    "in `x_groq`": [last(x_groq={"usage": COUNTS})],
    "in `timings`": [last(timings={"prompt_n": 32, "cache_n": 400, "predicted_n": 21})],
    "other names": [last(usage={"input_tokens": 432, "output_tokens": 21, "cache_read_input_tokens": 400})],
    "text": [last(usage={name: str(count) for name, count in COUNTS.items()})],
    "zeros last": [last(usage=COUNTS), ZEROS],
    "in two parts": [last(usage={"prompt_tokens": 432, "cached_tokens": 400}), {"usage": {"output_tokens": 21}}],
}


@of(
    *(Case(135, what, "432 + 21 tokens, 400 cached", chunks)
      for what, chunks in PLACES.items()),
)  # fmt: skip
def test_counts_are_read_at_every_place(case: Case) -> None:
    answer = Assembly()
    for sent in (chunk(content="five"), *case.give):
        answer.add(json.dumps(sent).encode())
    usage = answer.reply(ASK).usage
    assert not usage.estimated
    assert f"{usage.input_tokens} + {usage.output_tokens} tokens, {usage.cached_tokens} cached" == case.seen


LONG = Request(model="default", messages=(says("user", "filler words here " * 6000),))


@of(
    Case(113, "a tenth of it", "noted: read 2,050 tokens of a prompt with at least 13,500", (2050, 0)),
    Case(113, "nearly all of it", "no note", (13_000, 0)),
    Case(113, "the rest was in the cache", "no note", (2050, 2048)),
    Case(113, "a count that is none", "no note", (10, 0)),
    Case(113, "of 108,000 spaces", "no note", (2050, 0, "a" + " " * 108_000)),
)
async def test_a_prompt_that_the_server_truncated_is_noted(case: Case) -> None:
    read, cached, *text = case.give
    usage = {"prompt_tokens": read, "completion_tokens": 5, "cached_tokens": cached}
    ask = LONG if not text else Request(model="default", messages=(says("user", text[0]),))
    async with FakeServer(Answer(FIVE, usage=usage)) as server, OpenAIEndpoint(model(server)) as endpoint:
        answer = await endpoint.complete(ask)
        doubts = answer.message.doubts
        short = await endpoint.complete(ASK)
    assert short.message.doubts == (), "a short prompt is not checked"
    assert (answer.prompt_cut, short.prompt_cut) == (read if doubts else None, None)
    assert all("num_ctx" in doubt for doubt in doubts)
    noted = [doubt.partition(":")[0].removeprefix("the endpoint ") for doubt in doubts]
    assert (f"noted: {noted[0]}" if noted else "no note") == case.seen
