"""Audio in an answer: from pieces of base64 on the wire to a file in the run's folder."""

import io
import json
import wave
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.errors import EndpointBusy, EndpointError
from swarm.endpoints.wire.answers import Assembly
from swarm.endpoints.wire.audio import MOST_SOUND, Heard, Sound, asked_sound, decoded
from swarm.endpoints.wire.dialect import Dialect
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wire.shapes import BadAnswer
from swarm.spec.chat import Reply, Request, says
from swarm.spec.providers import quirks_of
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer
from tests.sounds import FINISHED, SAMPLES, TEXT_AND_AUDIO, audio, made_of, qwen, streamed, words

ASK = Request(model="default", messages=(says("user", "Say it."),))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


# Pieces


@given(st.binary(max_size=600), st.data())
def test_base64_is_put_together_however_it_was_cut(content: bytes, data: st.DataObject) -> None:
    text = b64encode(content).decode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert decoded(pieces) == content
    assert decoded([text.rstrip("=")]) == content, "some leave the padding out"
    spots = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    parts = [content[a:b] for a, b in zip([0, *spots], [*spots, len(content)], strict=True)]
    assert decoded([b64encode(part).decode() for part in parts]) == content, "each piece padded by itself"


@pytest.mark.parametrize("wrong", ["QUJ", "QUJD*A==", "A", "=QUJD", "QUJDé", "Q==="])
def test_what_is_no_base64_is_no_sound(wrong: str) -> None:
    if wrong == "QUJ":
        assert decoded([wrong]) == b"AB"
        return
    with pytest.raises(ValueError, match=r"."):
        decoded([wrong])


@pytest.mark.parametrize("asked", ["wav", "pcm16", "pcm", ""])
def test_bare_samples_become_a_file_that_is_played(asked: str) -> None:
    made = made_of(SAMPLES, asked)
    assert (made.mime, made.size) == ("audio/wav", len(SAMPLES) + 44)
    assert made.sha256 == sha256(made.content).hexdigest()
    with wave.open(io.BytesIO(made.content)) as played:
        assert (played.getnchannels(), played.getsampwidth(), played.getframerate()) == (1, 2, 24_000)
        assert played.readframes(10**9) == SAMPLES


@pytest.mark.parametrize(
    ("content", "asked", "mime"),
    [
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "wav", "audio/wav"),
        (b"\xff\xfb\x90 frames", "mp3", "audio/mpeg"),
        (b"ID3\x04 tags", "mp3", "audio/mpeg"),
        (b"fLaC\0", "flac", "audio/flac"),
        (b"OggS\0", "opus", "audio/ogg"),
        (b"\xff\xf1 frames", "aac", "audio/aac"),
    ],
)
def test_what_is_a_file_already_stays_as_it_is(content: bytes, asked: str, mime: str) -> None:
    made = made_of(content, asked)
    assert (made.mime, made.content) == (mime, content)


def test_a_sound_is_bounded() -> None:
    sound = Sound()
    full = "A" * (MOST_SOUND * 4 // 3)
    assert sound.add(Heard(data=full))
    with pytest.raises(OverflowError, match="32,000,000 bytes"):
        sound.add(Heard(data="AAAA"))
    answer = Assembly()
    half = json.dumps(audio(data=full[: len(full) // 2 + 4])).encode()
    answer.add(half)
    with pytest.raises(BadAnswer) as caught:
        answer.add(half)
    assert caught.value.fault.kind == "too_large_response"


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"extra": TEXT_AND_AUDIO}, "wav"),
        ({"extra": {"modalities": ["text", "audio"]}, "params": {"audio": {"format": "mp3"}}}, "mp3"),
        ({"extra": {"modalities": ["text", "audio"]}}, ""),
        ({"extra": {"modalities": ["text"], "audio": {"format": "wav"}}}, None),
        ({"extra": {"modalities": "audio"}}, None),
        ({}, None),
    ],
)
def test_the_task_says_whether_sound_is_wanted(fields: dict[str, Any], asked: str | None) -> None:
    assert asked_sound(Model(endpoint="qwen", **fields)) == asked


# On the wire


async def ask(server: FakeServer, **settings: Any) -> Reply:
    model = Model.model_validate({"endpoint": server.url, "name": "m", "extra": TEXT_AND_AUDIO, **settings})
    async with OpenAIEndpoint(model) as endpoint:
        return await endpoint.complete(ASK)


@pytest.mark.anyio
@pytest.mark.parametrize("padded", [False, True])
async def test_a_stream_as_of_qwen_omni_gives_words_and_a_file(padded: bool) -> None:
    async with FakeServer(qwen(padded=padded)) as server:
        reply = await ask(server, stream=True)
        assert {name: server.requests[0].body[name] for name in TEXT_AND_AUDIO} == TEXT_AND_AUDIO
    (made,) = reply.message.made
    assert (reply.text, made.mime, made.content[44:]) == ("Hello there.", "audio/wav", SAMPLES)
    assert (reply.usage.output_tokens, reply.usage.estimated) == (60, False), "the tokens of the sound are in the total"


@pytest.mark.anyio
async def test_a_stream_as_of_openai_gives_its_transcript_as_words() -> None:
    text = b64encode(SAMPLES).decode()
    events = [audio(id="a1", transcript="Hel"), audio(data=text[:400]), audio(transcript="lo."), audio(data=text[400:])]
    async with FakeServer(streamed(*events, audio(expires_at=1_900_000_000), FINISHED)) as server:
        reply = await ask(server, stream=True, extra={**TEXT_AND_AUDIO, "audio": {"voice": "ash", "format": "pcm16"}})
    assert (reply.text, reply.message.made[0].content[44:]) == ("Hello.", SAMPLES)
    assert reply.usage.estimated
    assert reply.usage.output_tokens >= len(SAMPLES) / 960, "what nobody counted is estimated, the sound included"


@pytest.mark.anyio
async def test_a_whole_answer_as_of_openai_may_be_larger_than_words() -> None:
    sound = b"RIFF\0\0\0\0WAVE" + bytes(7_000_000)
    heard = {"id": "a1", "data": b64encode(sound).decode(), "transcript": "Hello.", "expires_at": 1_900_000_000}
    answer = Answer("", message={"content": None, "audio": heard})
    async with FakeServer(answer) as server:
        reply = await ask(server)
        (made,) = reply.message.made
        assert (reply.text, made.content) == ("Hello.", sound)
        with pytest.raises(EndpointError) as caught:
            await ask(server, extra={})
    assert caught.value.kind == "too_large_response", "where no sound was asked for, the cap is that of words"


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_a_sound_that_is_none_is_no_answer(stream: bool) -> None:
    broken = streamed(words("Hello."), audio(data="not base64!"), FINISHED)
    whole = Answer("Hello.", message={"audio": {"data": "not base64!"}})
    async with FakeServer(broken if stream else whole) as server:
        with pytest.raises(EndpointBusy, match="audio: ") as caught:
            await ask(server, stream=stream)
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize("field", [None, {}, "QUJD", [1], {"data": None, "id": "a1"}, {"data": "", "transcript": ""}])
def test_a_field_of_that_name_that_holds_no_sound_does_no_harm(field: Any) -> None:
    answer = Assembly()
    answer.whole(json.dumps({"choices": [{"message": {"content": "Hello.", "audio": field}}]}).encode())
    answer.settle()
    assert (answer.reply(ASK).text, answer.reply(ASK).message.made) == ("Hello.", ())


def test_a_sound_in_a_choice_of_its_own_is_heard_and_no_second_answer_s_is() -> None:
    def choice(n: int, content: str | None, sound: bytes | None) -> Any:
        heard = None if sound is None else {"data": b64encode(sound).decode()}
        return {"index": n, "message": {"content": content, "audio": heard}, "finish_reason": "stop"}

    for first in (None, b"RIFF one"):
        answer = Assembly()
        choices = [choice(0, "Hello.", first), choice(1, None, b"RIFF two"), choice(2, None, b"RIFF three")]
        answer.whole(json.dumps({"choices": choices}).encode())
        answer.settle()
        (made,) = answer.reply(ASK).message.made
        assert (answer.reply(ASK).text, made.content) == ("Hello.", first or b"RIFF two")


@pytest.mark.anyio
async def test_a_stream_of_sound_alone_is_not_silent() -> None:
    async with FakeServer(streamed(audio(data="QUJD"))) as server:
        reply = await ask(server, stream=True)
    assert [each.medium for each in reply.message.made] == ["audio"], "`[DONE]` says that it is whole"


def test_sound_is_never_given_up_for_words() -> None:
    model = Model(endpoint="openai", name="gpt-audio", extra={**TEXT_AND_AUDIO, "seed_of_ours": 1})
    dialect = Dialect(model, name="gpt-audio", quirks=quirks_of("https://api.openai.com/v1"))
    said = "Unsupported value: 'audio.format' does not support 'wav' when stream=true; see modalities"
    assert not dialect.learn(dialect.write(ASK), said)
    assert dialect.learn(dialect.write(ASK), "unknown parameter: seed_of_ours")
