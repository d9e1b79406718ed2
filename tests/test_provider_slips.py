"""What endpoints say and send, in more words and encodings than the cases of the fault matrix have."""

import gzip
import json
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from swarm.endpoints.wire.answers import Assembly
from swarm.endpoints.wire.dialect import Dialect
from swarm.endpoints.wire.finishes import ending_of
from swarm.endpoints.wire.inflate import Inflated
from swarm.endpoints.wire.learnt import Learnt
from swarm.endpoints.wire.stream import read_answer_in
from swarm.spec.chat import Form, Message, Request, Text, says
from swarm.spec.providers import quirks_of
from swarm.spec.task import Model

URL = "https://api.example.com/v1"
SHAPE: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}}
BODY = b'{"choices": []}' * 20
OLD = Message(role="assistant", parts=(Text(text="a"),), raw={"reasoning_content": "x"})


def learnt(said: str, *, form: bool = True) -> Learnt:
    """Return what a rejection with these words teaches."""
    found = Learnt()
    dialect = Dialect(Model(endpoint=URL, name="m", max_tokens=8192), name="m", quirks=quirks_of(URL), learnt=found)
    messages = (says("system", "s"), says("user", "hi"), OLD, says("user", "go"))
    shape = Form(name="answer", json_schema=SHAPE) if form else None
    dialect.learn(dialect.write(Request(model="m", messages=messages, form=shape)), said)
    return found


@pytest.mark.parametrize(
    "said",
    [
        "role 'system' is not allowed",
        "messages[0].role must be one of ['user','assistant']",
        "Input should be 'user' or 'assistant'",
        "the first message must be from user",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "System instructions are disabled",
        "不支持system角色",
    ],
)
def test_fault_119_a_model_without_a_system_role(said: str) -> None:
    assert learnt(said) == Learnt(system=False)


@pytest.mark.parametrize(
    "said",
    [
        "The value of max_tokens (8192) exceeds the maximum value (4096)",
        "max_tokens cannot be greater than 4096",
        "Max tokens limit is 4,096",
        "max_tokens 最大值为 4096",
        "requested 8192 output tokens; model limit 4096",
        "expected max_tokens in range 1..4096",
    ],
)
def test_fault_121_the_number_that_was_not_sent_is_the_largest_cap(said: str) -> None:
    assert learnt(said) == Learnt(most=4096)


@pytest.mark.parametrize(
    "said", ["max_tokens is not supported by gpt-4096", "max_tokens exceeds 4096 or 2048", "top_k exceeds the limit 40"]
)
def test_fault_121_another_number_is_none(said: str) -> None:
    assert learnt(said, form=False) == Learnt()


@pytest.mark.parametrize(
    "said",
    [
        "Non-streaming requests are not supported",
        "This endpoint requires stream: true",
        "Stream must be set to true",
        "only streaming is supported",
        "该模型仅支持流式输出",
    ],
)
def test_a_model_that_only_streams(said: str) -> None:
    assert learnt(said, form=False) == Learnt(stream=True)
    assert learnt("stream_options is only allowed when stream: true", form=False) == Learnt()


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("whole", "end eot_id stop_token done finished FINISH_REASON_STOP"),
        ("cut", "truncated token_limit max_tokens_reached output_limit context_length_exceeded"),
        ("refused", "IMAGE_SAFETY blocked moderation policy_violation sensitive_words error_toxic"),
        (
            "broken",
            "engine_error upstream_error user_cancel client_disconnect preempted MALFORMED_TOOL_CALL time_limit",
        ),
        ("unknown", "other natural FINISH_REASON_UNSPECIFIED errorless"),
    ],
)
def test_fault_46_words_of_a_finish(ending: str, words: str) -> None:
    assert {ending_of(word) for word in words.split()} == {ending}


def inflated(label: str, data: bytes, size: int = 7) -> bytes:
    body = Inflated(label, 100_000)
    return b"".join(body.feed(data[n : n + size]) for n in range(0, len(data), size)) + body.end()


@pytest.mark.parametrize(
    ("label", "data"),
    [
        ("", zlib.compress(BODY)),
        ("identity", zlib.compress(BODY, 9)),
        ("zlib", zlib.compress(BODY, 1)),
        ("deflate;q=1", zlib.compress(BODY)),
        ('"x-deflate"', zlib.compress(BODY)[2:-4]),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
        ("gzip", gzip.compress(BODY[:90]) + gzip.compress(BODY[90:])),
        ("gzip", gzip.compress(BODY) + b"\0\0\0"),
        ("gzip", BODY),
    ],
    ids=lambda value: "data" if isinstance(value, bytes) else None,  # bytes of gzip have the time in them
)
def test_fault_129_the_bytes_decide_how_a_body_is_unpacked(label: str, data: bytes) -> None:
    assert inflated(label, data) == BODY
    assert inflated(label, data, size=100_000) == BODY


def test_fault_47_a_bomb_in_a_bomb_is_refused() -> None:
    bomb = gzip.compress(gzip.compress(bytes(20_000_000)))
    with pytest.raises(Exception, match=r"over 100000 bytes|times its size"):
        inflated("gzip", bomb, size=4096)


def piece(words: str = "", finish: str | None = None, **more: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": finish}], **more})


HEL, LO, STOP = piece("hel"), piece("lo"), piece(finish="stop")
WORDS = json.dumps({"choices": [{"text": "hello", "finish_reason": None}]})
MESSAGE = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]})


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [
        f"data: {HEL}\ndata: {LO}\ndata: {STOP}\ndata: [DONE]\n",
        f"data: {HEL}\n\ndata: {LO}\ndata: {STOP}\n\ndata: [DONE]\n\n",
        f"{HEL}\n{LO}\n{STOP}\n",
        f"{HEL}\r\n\r\n{LO}\r\n{STOP}",
        f"data: {WORDS}\n\ndata: {STOP}\n\n",
        json.dumps({"object": "text_completion", "choices": [{"text": "hello", "finish_reason": "stop"}]}),
        f"data: {MESSAGE}\n\ndata: [DONE]\n\n",
        f"data: {HEL[:13]}\ndata: {HEL[13:]}\n\ndata: {piece('lo', 'EndTurn')}\n\n",
        f"data: {piece('hello', 'normal')}\n\n",
    ],
    ids=["no blank", "some blanks", "lines", "lines CRLF", "text", "whole text", "message", "two lines", "normal"],
)
async def test_fault_127_frames_of_other_shapes_are_read(body: str) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7].encode()

    answer = Assembly()
    await read_answer_in(chunks(), answer, "text/event-stream" if body.startswith("data") else "application/json")
    assert "".join(answer.words) == "hello"
    assert answer.incomplete() is None
