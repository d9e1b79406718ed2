"""Sound in an answer: from pieces of base64 on the wire to a file in the run's folder, and who is told of it."""

import io
import json
import wave
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import events as e
from swarm.chat import Made, Message, Reply, Request, Text, Usage, says
from swarm.cli.reading import recorded
from swarm.endpoints.answers import Assembly, BadAnswer
from swarm.endpoints.audio import MOST_SOUND, Heard, Sound, asked_sound, decoded
from swarm.endpoints.dialect import Dialect
from swarm.endpoints.openai import OpenAIEndpoint
from swarm.endpoints.providers import quirks_of
from swarm.errors import EndpointBusy, EndpointError, JournalError
from swarm.folder import RunFolder
from swarm.journal import Journal, RunClock
from swarm.plan import Plan, Step
from swarm.prepare import Options
from swarm.recorder import Recorder
from swarm.replay import replaying
from swarm.result import Result
from swarm.run import Run
from swarm.state import State
from swarm.task import Model, Task
from swarm.testing import Answer, FakeServer, Scripted
from swarm.testing.fake import STREAM_HEAD, piece, sse
from swarm.views.tables import run_table, step_page
from tests.models import events_of, resume_with, run_with

SAMPLES = bytes(range(256)) * 40
TEXT_AND_AUDIO: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "Cherry", "format": "wav"}}
ASK = Request(model="default", messages=(says("user", "Say it."),))
FINISHED: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


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


def made_of(content: bytes, asked: str = "wav") -> Made:
    sound = Sound(asked)
    assert sound.add(Heard(data=b64encode(content).decode()))
    sound.settle()
    assert sound.made is not None
    return sound.made


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


def audio(**fields: Any) -> Any:
    return {"choices": [{"index": 0, "delta": {"audio": fields}, "finish_reason": None}]}


def words(text: str) -> Any:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def streamed(*events: Any) -> Answer:
    return Answer(
        pieces=(STREAM_HEAD, *(piece(sse([event], done=False)) for event in events), piece(sse([])), piece(b""))
    )


def qwen(*, padded: bool = False) -> Answer:
    """Stream words and samples as Qwen-Omni does."""
    half = len(SAMPLES) // 2 + 1
    whole = b64encode(SAMPLES).decode()
    cut = (
        [b64encode(SAMPLES[:half]).decode(), b64encode(SAMPLES[half:]).decode()]
        if padded
        else [whole[:101], whole[101:]]
    )
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 60,
        "completion_tokens_details": {"audio_tokens": 50, "text_tokens": 10},
    }
    sounds = [audio(data=each, id="a1", expires_at=1) for each in cut]
    return streamed(words("Hello "), sounds[0], words("there."), sounds[1], FINISHED, {"choices": [], "usage": usage})


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


@pytest.mark.anyio
async def test_a_stream_of_sound_alone_is_not_silent() -> None:
    async with FakeServer(streamed(audio(data="QUJD"))) as server:
        with pytest.raises(EndpointBusy) as caught:
            await ask(server, stream=True)
    assert caught.value.kind == "truncated_stream"


def test_sound_is_never_given_up_for_words() -> None:
    model = Model(endpoint="openai", name="gpt-audio", extra={**TEXT_AND_AUDIO, "seed_of_ours": 1})
    dialect = Dialect(model, name="gpt-audio", quirks=quirks_of("https://api.openai.com/v1"))
    said = "Unsupported value: 'audio.format' does not support 'wav' when stream=true; see modalities"
    assert not dialect.learn(dialect.write(ASK), said)
    assert dialect.learn(dialect.write(ASK), "unknown parameter: seed_of_ours")


# In a run

MADE = made_of(SAMPLES)
FILE = MADE.content


def spoken(text: str, made: Made = MADE, **more: Any) -> Reply:
    message = Message(role="assistant", parts=(Text(text=text), made), **more)
    return Reply(message=message, usage=Usage(calls=1, input_tokens=9, output_tokens=60), endpoint="m", model="m")


def one(folder: Path, **more: Any) -> Task:
    return Task(goal="Say it.", plan=Plan(steps=(Step(id="say", prompt="Say it.", **more),)), folder=folder)


def heard(result: Result) -> list[bytes]:
    """Give the files of a result."""
    return [each.path.read_bytes() for each in result.media]


@pytest.mark.anyio
async def test_a_sound_is_a_file_of_the_run_and_every_view_names_it(tmp_path: Path) -> None:
    result = await run_with(Scripted(spoken("Hello.")), one(tmp_path))
    assert result.report is not None
    assert result.report.value == "Hello."
    (media,) = result.media
    assert (media.step, media.mime, media.size, media.path.read_bytes()) == ("say", "audio/wav", len(FILE), FILE)
    assert media.path == result.folder / "artifacts" / MADE.sha256
    named: dict[str, Any] = {"step": "say", "medium": "audio", "mime": "audio/wav", "sha256": MADE.sha256}
    assert result.to_dict()["media"] == [{**named, "size": len(FILE), "path": str(media.path)}]
    found = recorded(RunFolder(result.folder))
    for shown in (step_page(found.state, "say", found.events), run_table(found.state, result.parallelism)):
        assert f"audio/wav, {len(FILE):,} bytes: artifacts/{MADE.sha256}" in shown
    page = (result.folder / "steps" / "000-say.md").read_text(encoding="utf-8")
    assert f"(../artifacts/{MADE.sha256})" in page


@pytest.mark.anyio
async def test_the_journal_has_the_hash_and_never_the_bytes(tmp_path: Path) -> None:
    result = await run_with(Scripted(spoken("Hello.")), one(tmp_path))
    written = (result.folder / "journal.jsonl").read_text(encoding="utf-8")
    assert len(written) < 20_000
    assert b64encode(SAMPLES[:300]).decode() not in written
    turn = next(event for event in events_of(result.folder) if isinstance(event, e.TurnTaken))
    end = next(event for event in events_of(result.folder) if isinstance(event, e.StepFinished))
    assert turn.messages[0].made == end.media == (MADE.model_copy(update={"content": b""}),)


@pytest.mark.anyio
async def test_the_file_is_there_before_the_event_that_names_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    seen: list[bool] = []

    class Watched(Journal):
        def append(self, event: e.Stamped) -> e.Stamped:
            if isinstance(event, e.TurnTaken):
                seen.append((tmp_path / "artifacts" / MADE.sha256).read_bytes() == FILE)
            return super().append(event)

    journal = Watched(folder.journal)
    state = State()
    record = Recorder(journal, state, RunClock(), folder)
    record(e.RunStarted(run="r", trace="", versions={}, task={}, agents=()))
    record(e.StepsAdded(by="task", steps=(Step(id="say", prompt="Say it."),)))
    record(e.StepStarted(step="say", attempt=1, span="", model="m"))
    record(
        e.TurnTaken(
            step="say", attempt=1, messages=(spoken("x").message,), usage=Usage(), seconds=0, model="", endpoint=""
        )
    )
    journal.close()
    assert seen == [True]
    assert not state.steps["say"].transcript[0].made[0].content, "a state holds no bytes"


@pytest.mark.anyio
async def test_a_later_run_takes_the_sound_from_the_cache(tmp_path: Path) -> None:
    first = await run_with(Scripted(spoken("Hello.")), one(tmp_path))
    again = await run_with(Scripted(), one(tmp_path))
    assert (again.steps["cached"], heard(again)) == (1, [FILE])
    assert again.folder != first.folder
    kept = next((tmp_path / ".swarm" / "cache").glob("??/*.bytes"))
    kept.write_bytes(b"changed")
    third = await run_with(Scripted(spoken("Hello.")), one(tmp_path))
    assert (third.steps["cached"], heard(third)) == (0, [FILE]), "what is damaged is a miss"
    assert (await run_with(Scripted(), one(tmp_path))).steps["cached"] == 1, "and is mended by that"


@pytest.mark.anyio
async def test_a_run_that_is_resumed_still_has_it(tmp_path: Path) -> None:
    """Cut behind the turn: the answer is in the journal, the step's end is not."""
    result = await run_with(Scripted(spoken("Hello.")), one(tmp_path), cache=False)
    journal = result.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    end = next(n for n, line in enumerate(lines) if b'"event":"StepFinished"' in line)
    journal.write_bytes(b"".join(lines[:end]))
    again = await resume_with(Scripted(), result.folder)
    assert (again.status, heard(again)) == ("done", [FILE])
    assert (await run_with(Scripted(), one(tmp_path))).media[0].path.read_bytes() == FILE, (
        "kept in the cache from there"
    )
    twice = await resume_with(Scripted(), result.folder)
    assert heard(twice) == [FILE], "a run with nothing left to do has it too"


@pytest.mark.anyio
async def test_a_replay_has_the_files_of_the_record(tmp_path: Path) -> None:
    result = await run_with(Scripted(spoken("Hello.")), one(tmp_path))
    record = RunFolder(result.folder)
    async with Run(one(tmp_path), options=replaying(record, Options(endpoint=Scripted())), replay=record) as run:
        pass
    assert heard(run.result) == [FILE]
    (result.folder / "artifacts" / MADE.sha256).write_bytes(b"changed")
    async with Run(one(tmp_path), options=replaying(record, Options(endpoint=Scripted())), replay=record) as run:
        pass
    with pytest.raises(JournalError, match="was changed after it was written"):
        _ = run.result


@pytest.mark.anyio
async def test_a_conversation_goes_on_in_words(tmp_path: Path) -> None:
    """The step's form is asked for again; of the sound only the words go back, now and after a crash alike."""
    task = one(tmp_path, output={"type": "object", "required": ["n"]})
    live = Scripted(spoken("No JSON."), spoken('{"n": 1}', made_of(b"RIFF second")))
    result = await run_with(live, task, cache=False)
    assert [each.path.read_bytes() for each in result.media] == [b"RIFF second"], "the step's own is that of its answer"
    assert (result.folder / "artifacts" / MADE.sha256).is_file(), "and every other is kept too"
    journal = result.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    turns = [n for n, line in enumerate(lines) if b'"event":"TurnTaken"' in line]
    journal.write_bytes(b"".join(lines[: turns[1]]))
    resumed = Scripted(spoken('{"n": 1}'))
    await resume_with(resumed, result.folder, cache=False)
    model = Model(endpoint="openai", name="gpt-audio")
    dialect = Dialect(model, name="m", quirks=quirks_of("https://api.openai.com/v1"))
    bodies = [dialect.write(request).body for request in (live.requests[1], resumed.requests[0])]
    assert bodies[0] == bodies[1]
    assert {"role": "assistant", "content": "No JSON."} in json.loads(bodies[0])["messages"]


@pytest.mark.anyio
async def test_a_sound_from_a_server_is_a_file_of_the_run(tmp_path: Path) -> None:
    async with FakeServer(qwen()) as server:
        omni = Model(endpoint=server.url, name="qwen-omni", stream=True, extra=TEXT_AND_AUDIO)
        task = one(tmp_path).model_copy(update={"models": {"default": omni}})
        async with Run(task, options=Options(cache=False)) as run:
            pass
    assert [each[44:] for each in heard(run.result)] == [SAMPLES]
