"""Messages as they are written, and answers as they are read, however they are split."""

import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.endpoints.wire.answers import Assembly
from swarm.endpoints.wire.dialect import Dialect
from swarm.endpoints.wire.messages import encode, write_message
from swarm.endpoints.wire.shapes import BadAnswer, mend_surrogates
from swarm.endpoints.wire.sse import EventStream, EventTooLargeError
from swarm.endpoints.wire.stream import IDLE_SECONDS, TAIL_SECONDS, read_stream
from swarm.endpoints.wire.thoughts import answer_in
from swarm.endpoints.wire.usage import read_usage
from swarm.spec.chat import Form, Message, Reply, Request, Usage, says
from swarm.spec.providers import quirks_of
from swarm.spec.task import Model

ASK = Request(model="default", messages=(says("user", "hi"),))

FORM = Form(name="answer", json_schema={"type": "object"})


def dialect(url: str = "http://127.0.0.1:1/v1", **settings: Any) -> Dialect:
    return Dialect(Model.model_validate({"endpoint": url, **settings}), name="m", quirks=quirks_of(url))


@pytest.mark.parametrize(
    ("url", "form", "cap"),
    [
        ("http://127.0.0.1:8000/v1", "json_schema", "max_tokens"),
        ("https://api.openai.com/v1", "json_schema", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "json_schema", "max_completion_tokens"),
        ("https://api.openai.com.evil.example/v1", "json_schema", "max_tokens"),
        ("https://api.deepseek.com", "json_object", "max_tokens"),
        ("https://api.anthropic.com/v1/", "tool", "max_tokens"),
        ("https://api.moonshot.cn/v1", "json_schema", "max_completion_tokens"),
    ],
)
def test_a_provider_s_quirks_are_known_from_its_host(url: str, form: str, cap: str) -> None:
    written = dialect(url).write(ASK.model_copy(update={"form": FORM}))
    body = json.loads(written.body)
    assert (written.form, body[cap]) == (form, 4096)
    assert "strict" not in body.get("response_format", {}).get("json_schema", {})
    assert body.get("response_format", {"type": "tool"})["type"] == form


def test_a_refused_usage_is_not_asked_for_again() -> None:
    spoken = dialect(stream=True)
    first = spoken.write(ASK)
    assert json.loads(first.body)["stream_options"] == {"include_usage": True}
    assert spoken.learn(first, "Unrecognized request argument supplied: stream_options")
    assert "stream_options" not in json.loads(spoken.write(ASK).body)


def test_nothing_is_learnt_from_other_refusals() -> None:
    spoken = dialect()
    written = spoken.write(ASK.model_copy(update={"form": FORM}))
    assert not spoken.learn(written, "messages: at least one is required")
    assert not spoken.learn(spoken.write(ASK), "response_format is not supported"), "none was sent"


def test_the_last_rung_is_the_last() -> None:
    spoken = dialect()
    request = ASK.model_copy(update={"form": FORM})
    rungs: list[str] = []
    while True:
        written = spoken.write(request)
        rungs.append(written.form)
        if not spoken.learn(written, "response_format or tools refused"):
            break
    assert rungs == ["json_schema", "tool", "json_object", "prompt"]


@given(st.lists(st.text(st.characters(codec=None, categories=None), max_size=5), max_size=4))
def test_any_text_can_be_written(texts: list[str]) -> None:
    assert isinstance(json.loads(encode({"a": texts, **dict.fromkeys(texts)})), dict)


def test_one_text_is_plain_content_and_an_empty_assistant_has_some() -> None:
    assert write_message(says("user", "hi"))["content"] == "hi"
    assert write_message(Message(role="assistant"))["content"] == ""


def whole(**message: Any) -> Reply:
    assembly = Assembly()
    finish = message.pop("finish", "stop")
    assembly.whole(json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode())
    return assembly.reply(ASK)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("<think>hm</think>\n\nyes", "yes"),
        ("\n<think>a <b> c</think>yes", "yes"),
        ("thought without its tag</think>\nyes", "yes"),
        ("<think>cut short", ""),
        ("yes, a <think> tag</think> later", "yes, a <think> tag</think> later"),
        ("plain", "plain"),
    ],
)
def test_a_leading_thought_is_taken_off(said: str, text: str) -> None:
    assert answer_in(said) == text


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "refused"), ("eos", "stop"), (None, "stop")],
)
def test_a_finish_reason_is_one_of_four(reason: str | None, finish: str) -> None:
    assert whole(content="x", finish=reason).finish == finish


def test_a_refusal_is_refused_and_says_why() -> None:
    answer = whole(content=None, refusal="I cannot help with that.")
    assert (answer.finish, answer.text) == ("refused", "I cannot help with that.")


def test_content_may_come_in_parts() -> None:
    assert whole(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "?"]).text == "ab"


def call(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **fields}


def test_every_tool_call_has_an_id_of_its_own() -> None:
    calls = [call("a", "{}", id="x"), call("b", "{}", id="x"), call("c", "{}"), call("d", "{}", id="call-1")]
    answer = whole(content=None, tool_calls=calls)
    ids = [c.id for c in answer.message.tool_calls]
    assert len(set(ids)) == 4
    assert (ids[0], ids[3]) == ("x", "call-1"), "an id that is good stays"
    assert [c.name for c in answer.message.tool_calls] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("arguments", "text"), [({"b": 1, "a": 2}, '{"a":2,"b":1}'), ('{"x": 1}', '{"x": 1}'), (None, "{}"), ("", "{}")]
)
def test_arguments_are_text(arguments: Any, text: str) -> None:
    assert whole(tool_calls=[call("a", arguments)]).message.tool_calls[0].arguments == text


def test_what_must_go_back_is_kept_as_it_came() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "s"}}}
    calls = [call("a", "{}", id="1"), call("b", "{}", id="2", **signed)]
    answer = whole(content="x", reasoning_content="hm", tool_calls=calls)
    written = write_message(answer.message)
    assert written["reasoning_content"] == "hm"
    assert written["tool_calls"][1]["extra_content"] == signed["extra_content"]
    assert "extra_content" not in written["tool_calls"][0]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3, 0, False)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}, (7, 3, 4, False)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": 4}, (7, 3, 4, False)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_cache_hit_tokens": 9}, (7, 3, 7, False)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": "?"}, (7, 3, 0, False)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": -1}, (7, 3, 0, False)),
        ({"prompt_tokens": -5, "completion_tokens": 3}, (9, 3, 0, True)),
        ({"prompt_tokens": 7, "completion_tokens": None}, (7, 2, 0, True)),
        ({"prompt_tokens": "7", "completion_tokens": float("nan")}, (7, 2, 0, True)),
        ({"prompt_tokens": "7 tokens", "completion_tokens": "3"}, (9, 3, 0, True)),
        ({"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 4}, (7, 3, 4, False)),
        ({"prompt_tokens": 0, "input_tokens": 7, "completion_tokens": 3}, (7, 3, 0, False)),
        ({"prompt_n": 3, "cache_n": 4, "predicted_n": 5}, (7, 5, 4, False)),
        ({"prompt_tokens": 10**12, "completion_tokens": 0}, (9, 2, 0, True)),
        (None, (9, 2, 0, True)),
        ("free", (9, 2, 0, True)),
    ],
)  # fmt: skip
def test_usage_is_read_or_estimated(usage: Any, expected: tuple[int, int, int, bool]) -> None:
    took, gave, cached, estimated = expected
    assert read_usage(usage, request=ASK, written="hello") == Usage(
        calls=1, input_tokens=took, output_tokens=gave, cached_tokens=cached, estimated=estimated
    )


@given(st.text(st.characters(codec=None, categories=None), max_size=20))
def test_surrogates_are_mended_and_nothing_else(text: str) -> None:
    mended = mend_surrogates(json.dumps(text).encode())
    assert json.loads(mended).encode("utf-8") is not None
    assert json.loads(mended) == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


CHUNKS: list[Any] = [
    {"choices": [{"delta": {"role": "assistant", "content": "Hé "}}]},
    {"choices": [{"delta": {"content": "😀\n\ndata: no"}}]},
    {"choices": [{"delta": {"reasoning": "be"}}]},
    {"choices": [{"delta": {"reasoning": "cause"}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"y'}}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"x": "\\'}}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 1, "function": {"arguments": '": 2}'}}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": 'n"}'}}]}}]},
    {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
]


def assembled(pieces: Iterable[bytes]) -> Reply:
    events, assembly = EventStream(), Assembly()
    for data in pieces:
        for event in events.feed(data):
            assembly.add(event.data)
    for event in events.end():
        assembly.add(event.data)
    return assembly.reply(ASK)


@given(st.lists(st.integers(0, 2000), max_size=40), st.sampled_from(["\n", "\r\n", "\r"]))
@example(cuts=list(range(2000)), end="\r\n")
def test_a_stream_is_the_same_however_its_bytes_are_cut(cuts: list[int], end: str) -> None:
    texts = [json.dumps(c, ensure_ascii=False).replace('"choices": ', f'"choices":{end}data: ', 1) for c in CHUNKS]
    stream = "".join(f": ping{end}{end}data: {text}{end}{end}" for text in texts).encode()
    places = sorted({0, *[cut for cut in cuts if cut < len(stream)], len(stream)})
    answer = assembled(stream[a:b] for a, b in pairwise(places))
    assert answer.text == "Hé 😀\n\ndata: no"
    assert answer.message.raw == {"reasoning": "because"}
    assert [(c.id, c.name, json.loads(c.arguments)) for c in answer.message.tool_calls] == [
        ("a", "f", {"x": "\n"}),
        ("b", "g", {"y": 2}),
    ]
    assert answer.usage == Usage(calls=1, input_tokens=3, output_tokens=4)


def delta(*calls: dict[str, Any]) -> bytes:
    return json.dumps({"choices": [{"delta": {"tool_calls": list(calls)}}]}).encode()


@pytest.mark.parametrize(
    "chunks",
    [
        [delta(call("a", "{}", id="1")), delta(call("b", '{"x"', id="2")), delta({"function": {"arguments": ":1}"}})],
        [delta(call("a", "{}", id="1", index=0)), delta(call("b", '{"x":1}', id="2", index=0))],
        [delta(call("a", "{}", id="1", index=0), call("b", '{"x":1}', id="2", index=1))],
        [delta(call("a", "{}", id="1", index=0)), delta(call("b", '{"x":', index=1)), delta(call("", "1}", index=1))],
    ],
)
def test_pieces_of_calls_find_their_call_where_index_or_id_is_missing(chunks: list[bytes]) -> None:
    assembly = Assembly()
    for data in chunks:
        assembly.add(data)
    calls = assembly.reply(ASK).message.tool_calls
    assert [(c.name, json.loads(c.arguments)) for c in calls] == [("a", {}), ("b", {"x": 1})]


def test_one_tool_called_twice_is_two_calls() -> None:
    assembly = Assembly()
    for n in "12":
        assembly.add(delta(call("a", f"{{{n}", id=n)))
        assembly.add(delta(call("a", "}", id=n)))
    assert [(c.id, c.arguments) for c in assembly.reply(ASK).message.tool_calls] == [("1", "{1}"), ("2", "{2}")]


WORD = b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'
SOUND = b'data: {"choices":[{"delta":{"audio":{"data":"QUJD"}}}]}\n\n'
LAST = b'data: {"choices": [{"delta": {"content": "."}, "finish_reason": "stop"}]}\n\n'
END = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
PING = b": ping\n\n"


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize(
    ("chunks", "gap", "seconds", "kind"),
    [
        ([PING] * 20, 30.0, 600.0, "empty"),  # thinking may take as long as the deadline of the call lets it
        ([WORD] + [PING] * 20, 30.0, 30.0 + IDLE_SECONDS, "timeout"),
        ([WORD] * 20 + [LAST], 50.0, 1050.0, ""),
        ([WORD] + [SOUND] * 20 + [LAST], 50.0, 1100.0, ""),
        ([WORD, END] + [PING] * 200, 1.0, 2.0 + TAIL_SECONDS, ""),
        ([WORD, LAST] + [PING] * 200, 1.0, 2.0 + IDLE_SECONDS, ""),  # more content may follow
    ],
)
async def test_only_words_are_a_sign_of_life(chunks: list[bytes], gap: float, seconds: float, kind: str) -> None:
    async def stream() -> AsyncGenerator[bytes]:
        for data in chunks:
            await anyio.sleep(gap)
            yield data

    began, seen = anyio.current_time(), ""
    async with aclosing(stream()) as source:
        try:
            await read_stream(source, Assembly())
        except BadAnswer as bad:
            seen = bad.fault.kind
    assert (seen, anyio.current_time() - began) == (kind, pytest.approx(seconds))


def test_an_event_without_end_is_dropped_at_its_cap() -> None:
    with pytest.raises(EventTooLargeError):
        list(EventStream(most=100).feed(b"data: " + b"a" * 200))
    with pytest.raises(EventTooLargeError):
        list(EventStream(most=100).feed(b"data: aaaaaaaaaa\n" * 20))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for read in (Assembly().add, Assembly().whole):
        try:
            read(data)
        except BadAnswer as bad:
            assert bad.fault.kind or bad.fault.text is not None  # noqa: PT017 - either outcome is fine
