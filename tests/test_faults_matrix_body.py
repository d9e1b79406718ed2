"""Rows 37 to 63 of the fault matrix: bodies of status 200 that are no answer, and streams that break."""

import gzip
import json
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from faults import ASK, Case, ask_once, chunk, model, of, seen_on_the_wire, streamed, told
from hypothesis import given
from hypothesis import strategies as st

import swarm
from swarm.endpoints.wire.answers import Assembly
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wire.shapes import BadAnswer
from swarm.endpoints.wire.sse import EventStream
from swarm.endpoints.wire.stream import read_stream
from swarm.record.events import TurnTaken
from swarm.spec.chat import Reply
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from swarm.testing.fake import STREAM_HEAD, Answer, FakeServer, completion, error, piece, sse
from tests.budgets import texts
from tests.models import events_of, run_with

pytestmark = pytest.mark.anyio

PASSES = "once: answered 'passed', 2 calls"
MALFORMED = f"retried: malformed, 2 calls; {PASSES}"
WHOLE: dict[str, Any] = completion(Answer("hello"), model="m")
GZIP = {"content-encoding": "gzip"}


def body(**changed: Any) -> Answer:
    """Write an answer with some of its fields changed."""
    return Answer(body={**WHOLE, **changed})


def choice(**changed: Any) -> Answer:
    return body(choices=[{"index": 0, "finish_reason": "stop", **changed}])


@of(
    Case(37, "server_error", f"retried: server_error, 4 calls; {PASSES}",
         Answer(body=error("upstream exploded", code="server_error"))),
    Case(37, "code 429", f"retried: rate_limited, 16 calls; {PASSES}", Answer(body=error("slow down", code=429))),
    Case(37, "exhausted quota", "endpoint stopped: quota, 1 call",
         Answer(body={"choices": None, "error": {"message": "no credits", "code": 402}})),
    Case(38, "text/html", MALFORMED, Answer(body=b"<html>Sign in</html>", headers={"content-type": "text/html"})),
    Case(39, "HTML as JSON", MALFORMED, Answer(body=b"<html>Sign in</html>")),
    Case(39, "empty", MALFORMED, Answer(body=b"")),
    Case(39, "truncated", MALFORMED, Answer(body=json.dumps(WHOLE).encode()[:80])),
    Case(40, "null", MALFORMED, Answer(body=b"null")),
    Case(40, "list", MALFORMED, Answer(body=b"[]")),
    Case(41, "choices empty", MALFORMED, body(choices=[])),
    Case(41, "choices null", MALFORMED, body(choices=None)),
    Case(41, "no message", MALFORMED, choice()),
    Case(42, "content 42", MALFORMED, choice(message={"content": 42})),
    Case(43, "invalid UTF-8", MALFORMED,
         Answer(body=json.dumps(WHOLE).encode().replace(b"hello", b"he\xff\xfello"))),
    Case(44, "content", "answered '\ufffd x', 1 call", choice(message={"content": "\ud800 x"})),
    *(Case(46, word, "answered 'x', 1 call", choice(message={"content": "x"}, finish_reason=word))
      for word in ("eos", "STOP", "end_turn", "FinishReason.STOP", "")),
    *(Case(46, word, f"retried: truncated_stream, 4 calls; {PASSES}",
           choice(message={"content": "x"}, finish_reason=word))
      for word in ("error", "insufficient_system_resource", "network_error", "Abort", "malformed_function_call")),
    Case(46, "other, with an error", f"retried: overloaded, 8 calls; {PASSES}",
         choice(message={"content": "x"}, finish_reason="other", error={"message": "overloaded"})),
    *(Case(46, word, "answered 'x', 2 calls", choice(message={"content": "x"}, finish_reason=word))
      for word in ("other", "OTHER", "finish_reason_unspecified")),
    Case(48, "corrupt gzip", MALFORMED, Answer(body=b"\x1f\x8bnot gzip", headers=GZIP)),
    Case(48, "incomplete gzip", MALFORMED, Answer(body=gzip.compress(json.dumps(WHOLE).encode())[:-9], headers=GZIP)),
    Case(48, "not gzip at all", MALFORMED, Answer(body=b"not gzip", headers=GZIP)),
    Case(49, "100,000 deep", MALFORMED, Answer(body=b"[" * 100_000 + b"]" * 100_000)),
    Case(59, "an answer", "answered 'hello', 1 call", Answer(body=WHOLE)),
    Case(59, "something else", MALFORMED, Answer(body={"hello": "there"})),
)  # fmt: skip
async def test_a_body_that_is_no_answer(case: Case) -> None:
    assert await seen_on_the_wire(case.give, stream=True) == case.seen
    assert await seen_on_the_wire(case.give) == case.seen


@of(
    Case(45, "missing", "9 + 2 tokens, estimated", None),
    Case(45, "negative", "9 + 2 tokens, estimated", {"prompt_tokens": -5, "completion_tokens": None}),
    Case(45, "NaN", "9 + 2 tokens, estimated", {"prompt_tokens": float("nan"), "completion_tokens": float("inf")}),
    Case(45, "strings", "7 + 1 tokens", {"prompt_tokens": "7", "completion_tokens": "1"}),
    Case(45, "true", "7 + 1 tokens", {"prompt_tokens": 7, "completion_tokens": 1}),
)
@pytest.mark.parametrize("stream", [False, True])
async def test_usage_is_never_less_than_nothing(case: Case, stream: bool) -> None:
    async with FakeServer(Answer("hello", usage=case.give)) as server:
        result, _ = await ask_once(server, stream=stream)
    assert isinstance(result, Reply)
    usage = result.usage
    line = f"{usage.input_tokens} + {usage.output_tokens} tokens{', estimated' if usage.estimated else ''}"
    assert line == case.seen


LIMITED = "in a run: every call charged at its worst case; limits.tokens ends it after 3 of 5"
WORDS = "in a run: what is missing is estimated from the words; 5 of 5 calls within limits.tokens"


@of(
    Case(45, "plausible", "in a run: 5 of 5 calls within limits.tokens", (700, 90)),
    Case(45, "both missing", WORDS, (None, None)),
    Case(45, "input missing", WORDS, (None, 90)),
    Case(45, "input as other text", WORDS, ("7e2", 90)),
    Case(45, "input negative, output far above the answer", WORDS, (-1, 5_000)),
    Case(45, "output negative", WORDS, (900, -1)),
    Case(45, "output NaN, input far above the request", LIMITED, (90_000, float("nan"))),
    Case(45, "output as other text", WORDS, (700, "some")),
    Case(45, "output below the answer", LIMITED, (700, 1)),
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_is_charged_the_larger_of_what_is_told_and_what_is_seen(
    case: Case, stream: bool, tmp_path: Path
) -> None:
    took, gave = case.give
    names = ("a", "b", "c")
    steps = [Step(id=name, prompt=f"Do {name}.", needs=names[n - 1 : n] if n else ()) for n, name in enumerate(names)]
    plan = Plan(steps=(*steps, Step(id="end", agent="reducer", prompt="Sum.", needs=("c",))))
    words = "It is so. [a] " + "hello " * 100
    async with FakeServer(Answer(words, usage={"prompt_tokens": took, "completion_tokens": gave})) as server:
        models = {"default": model(server, max_tokens=200, stream=stream, key=None)}
        limits = Limits(tokens=14_000)
        result = await swarm.run(Task(goal="x", plan=plan, models=models, limits=limits, folder=tmp_path))
        sent = [sum(map(len, texts(received.body["messages"]))) for received in server.requests]
    events = events_of(result.folder)
    turns = [event.usage for event in events if isinstance(event, TurnTaken) and event.is_answer]
    assert result.usage.tokens == sum(turn.tokens for turn in turns) <= 14_000
    if case.what == "plausible":
        assert {(turn.input_tokens, turn.output_tokens, turn.estimated) for turn in turns} == {(took, gave, False)}
        assert case.seen == f"in a run: {len(turns)} of 5 calls within limits.tokens"
        return
    assert all(turn.estimated for turn in turns)
    if case.seen == WORDS:
        assert len(turns) == 5
        for turn, size in zip(turns, sent, strict=True):
            assert turn.input_tokens == took or size / 3 <= turn.input_tokens <= size / 3 + 50
            assert turn.output_tokens in (gave, -(-len(words) // 3), len(words), len(words.rstrip()))
        return
    for turn, size in zip(turns, sent, strict=True):
        assert size <= turn.input_tokens <= size + 500, "a token a byte, and the frames"
        told = gave if isinstance(gave, int) and gave <= len(words) else 0
        assert max(told, 200, len(words) // 4) <= turn.output_tokens <= len(words)
    assert case.seen == f"in a run: every call charged at its worst case; limits.tokens ends it after {len(turns)} of 5"


@of(
    Case(47, "200 MB in 200 kB of gzip", "refused: too_large_response, 1 call; unpacked to 8 MB at most", "gzip"),
    Case(47, "9 MB, not compressed", "refused: too_large_response, 1 call; dropped at 8 MB", "plain"),
)
async def test_a_bomb_fills_no_memory(case: Case) -> None:
    if case.give == "gzip":
        answer = Answer(body=gzip.compress(b" " * 200_000_000, 1), headers=GZIP)
    else:
        answer = Answer(body=b" " * 9_000_000)
    async with FakeServer(answer) as server:
        tracemalloc.start()
        result, number = await ask_once(server)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40_000_000, "the server's own copy is part of it"
    how = "unpacked to 8 MB at most" if case.give == "gzip" else "dropped at 8 MB"
    assert f"{told(result, number)}; {how}" == case.seen


@of(Case(50, "to two steps", "two answers, each recorded once"))
async def test_the_same_answer_to_two_requests(case: Case, tmp_path: Path) -> None:
    steps = tuple(Step(id=name, prompt=f"Do {name}.") for name in "ab")
    task = Task(goal="x", plan=Plan(steps=(*steps, Step(id="c", prompt="Sum.", needs=("a", "b")))), folder=tmp_path)
    async with FakeServer(Answer(body=WHOLE)) as server, OpenAIEndpoint(model(server)) as endpoint:
        result = await run_with(endpoint, task)
    turns = [event.step for event in events_of(result.folder) if isinstance(event, TurnTaken)]
    assert sorted(turns) == ["a", "b", "c"]
    assert result.status == "done"
    assert case.seen == "two answers, each recorded once"


TRUNCATED = f"retried: truncated_stream, 4 calls; {PASSES}"
LOST = f"retried: disconnected, 4 calls; {PASSES}"
EMPTY = f"retried: empty, 2 calls; {PASSES}"


@of(
    Case(51, "no DONE", "answered 'hello', 1 call",
         streamed(chunk(content="hel"), chunk("stop", content="lo"), done=False)),
    Case(51, "reset after the finish_reason", "answered 'hello', 1 call",
         streamed(chunk(content="hel"), chunk("stop", content="lo"), done=False, then="reset")),
    Case(52, "with DONE", "answered 'hello', 1 call", streamed(chunk(content="hel"), chunk(content="lo"))),
    Case(52, "without DONE", TRUNCATED, streamed(chunk(content="hel"), done=False)),
    Case(53, "closed", LOST, streamed(chunk(content="hel"), done=False, then="close")),
    Case(53, "reset", LOST, streamed(chunk(content="hel"), done=False, then="reset")),
    Case(53, "mid-chunk", LOST,
         Answer(pieces=(STREAM_HEAD, b"40\r\ndata: {\"choi"), then="close")),
    Case(54, "bad JSON", MALFORMED, streamed(chunk(content="hel"), b'data: {"choices": [\n\n')),
    Case(55, "overloaded", f"retried: overloaded, 8 calls; {PASSES}",
         streamed(chunk(content="hel"), error("busy", code="overloaded"))),
    Case(55, "exhausted quota", "endpoint stopped: quota, 1 call",
         streamed(chunk(content="hel"), error("no", code="insufficient_quota"))),
    Case(56, "event: error", f"retried: overloaded, 8 calls; {PASSES}",
         streamed(b'event: error\ndata: {"type": "error", "message": "overloaded"}\n\n')),
    Case(56, "not JSON", f"retried: server_error, 4 calls; {PASSES}", streamed(b"event: error\ndata: boom\n\n")),
    Case(60, "nothing", EMPTY, streamed(done=False)),
    Case(60, "usage only", EMPTY, streamed({"choices": [], "usage": {"prompt_tokens": 1}})),
    Case(61, "9 MB without a line end", "refused: too_large_response, 1 call",
         Answer(pieces=(STREAM_HEAD, piece(b"data: " + b"a" * 9_000_000)), then="hang")),
    Case(61, "70 MB of small events", "refused: too_large_response, 1 call",
         Answer(pieces=(STREAM_HEAD, *[piece((b": " + b"p" * 9998 + b"\n\n") * 100)] * 70, piece(b"")))),
)  # fmt: skip
async def test_a_stream_that_breaks(case: Case) -> None:
    assert await seen_on_the_wire(case.give, stream=True) == case.seen


# Streams in time


async def trickle(*pieces: bytes, every: float) -> AsyncGenerator[bytes]:
    """Give pieces with time between them, the last of them for ever."""
    for sent in pieces[:-1]:
        yield sent
    while True:
        await anyio.sleep(every)
        yield pieces[-1]


WORD = sse([chunk(content="hel")], done=False)


@of(
    Case(57, "after a chunk", "timeout after 60 s of silence", (WORD, 1000.0)),
    Case(58, "endless pings", "timeout after 60 s of silence", (WORD, b": ping\n\n", 0.5)),
    Case(62, "a word every 10 s", "timeout at the deadline of 300 s", (WORD, 10.0)),
)
@pytest.mark.virtual
async def test_a_stream_that_never_ends(case: Case) -> None:
    *pieces, every = case.give
    began = anyio.current_time()
    try:
        with anyio.fail_after(300):  # the deadline of a call, as the endpoint sets it
            async with aclosing(trickle(*pieces, pieces[-1], every=every)) as chunks:
                await read_stream(chunks, Assembly())
        pytest.fail("it ended")
    except BadAnswer as broken:
        seen = f"{broken.fault.kind} after {anyio.current_time() - began:.0f} s of silence"
    except TimeoutError:
        seen = f"timeout at the deadline of {anyio.current_time() - began:.0f} s"
    assert seen == case.seen


CALLS = [
    {"index": 0, "id": "t1", "function": {"name": "look", "arguments": '{"word": "'}},
    {"index": 1, "id": "t2", "function": {"name": "wipe", "arguments": ""}},
    {"index": 0, "function": {"arguments": "\\u00"}},
    {"index": 1, "function": {"arguments": '{"a'}},
    {"index": 0, "function": {"arguments": 'e9"}'}},
    {"index": 1, "function": {"arguments": '": 1}'}},
]
"""Two calls, interleaved; the id comes first only, and an escape is cut in two."""
ALONE = [{name: value for name, value in call.items() if name != "index"} for call in CALLS[::2]]
"""One of them, from a server that leaves the index out."""


@of(
    Case(63, "interleaved, cut in an escape", 'look {"word": "é"}; wipe {"a": 1}', CALLS),
    Case(63, "no index", 'look {"word": "é"}', ALONE),
)
@given(cuts=st.lists(st.integers(0, 1500), max_size=12))
def test_any_split_of_a_stream_gives_the_same_calls(case: Case, cuts: list[int]) -> None:
    data = sse([chunk(tool_calls=[call]) for call in case.give] + [chunk("tool_calls")])
    answer = Assembly()
    events = EventStream()
    for start, end in pairwise([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]):
        for event in events.feed(data[start:end]):
            if not event.data.startswith(b"[DONE]"):
                answer.add(event.data)
    reply = answer.reply(ASK)
    read = [
        f"{call.name} {json.dumps(json.loads(call.arguments), ensure_ascii=False)}" for call in reply.message.tool_calls
    ]
    assert "; ".join(read) == case.seen
    assert reply.finish == "tool_calls"
