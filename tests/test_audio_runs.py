"""Sound in an answer, in whole runs: a file of the run, and who is told of it."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from swarm.attempt.types import Attempt, Note
from swarm.base.clock import RunClock
from swarm.base.errors import JournalError, LimitError
from swarm.endpoints.wire.dialect import Dialect
from swarm.executors.salvaging import Salvaging
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.journal import Journal
from swarm.record.outcome import Outcome
from swarm.record.recorded import recorded
from swarm.record.recorder import Recorder
from swarm.record.state import State
from swarm.results.result import Result
from swarm.spec.agent import Agent
from swarm.spec.chat import Usage, says
from swarm.spec.plan import Plan, Step
from swarm.spec.providers import quirks_of
from swarm.spec.task import Model, Task
from swarm.testing import FakeServer, Scripted
from swarm.views.tables import run_table, step_page
from tests.models import events_of, resume_with, run_with
from tests.sounds import FILE, MADE, SAMPLES, TEXT_AND_AUDIO, made_of, qwen, spoken


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


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
    assert result.to_dict()["media"] == [{**named, "size": len(FILE), "path": str(media.path), "name": ""}]
    found = recorded(RunFolder(result.folder))
    for shown in (step_page(found.state, "say", found.events), run_table(found.state, result.parallelism)):
        assert f"audio/wav, {len(FILE):,} bytes: artifacts/{MADE.sha256}" in shown
    page = (result.folder / "steps" / "000-say.md").read_text(encoding="utf-8")
    assert f"(../artifacts/{MADE.sha256})" in page


@pytest.mark.anyio
async def test_the_journal_has_the_hash_and_never_the_bytes(tmp_path: Path) -> None:
    result = await run_with(Scripted(spoken("Hello.")), one(tmp_path))
    written = (result.folder / "journal.jsonl").read_text(encoding="utf-8")
    assert len(written) < 32_000
    assert b64encode(SAMPLES[:300]).decode() not in written
    turn = next(event for event in events_of(result.folder) if isinstance(event, e.TurnTaken))
    end = next(event for event in events_of(result.folder) if isinstance(event, e.StepFinished))
    assert turn.messages[0].made == end.outcome.media == (MADE.model_copy(update={"content": b""}),)


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
    first = await run_with(Scripted(spoken("Hello."), identity="one"), one(tmp_path))
    again = await run_with(Scripted(identity="one"), one(tmp_path))
    assert (again.steps["cached"], heard(again)) == (1, [FILE])
    assert again.folder != first.folder
    kept = next((tmp_path / ".swarm" / "cache").glob("??/*.bytes"))
    kept.write_bytes(b"changed")
    third = await run_with(Scripted(spoken("Hello."), identity="one"), one(tmp_path))
    assert (third.steps["cached"], heard(third)) == (0, [FILE]), "what is damaged is a miss"
    assert (await run_with(Scripted(identity="one"), one(tmp_path))).steps["cached"] == 1, "and is mended by that"


@pytest.mark.anyio
async def test_a_run_that_is_resumed_still_has_it(tmp_path: Path) -> None:
    """Cut behind the turn: the answer is in the journal, the step's end is not."""
    result = await run_with(Scripted(spoken("Hello."), identity="one"), one(tmp_path), cache=False)
    journal = result.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    end = next(n for n, line in enumerate(lines) if b'"event":"StepFinished"' in line)
    journal.write_bytes(b"".join(lines[:end]))
    again = await resume_with(Scripted(identity="one"), result.folder, cache=True)
    assert (again.status, heard(again)) == ("done", [FILE])
    assert (await run_with(Scripted(identity="one"), one(tmp_path))).media[0].path.read_bytes() == FILE, (
        "kept in the cache from there"
    )
    twice = await resume_with(Scripted(identity="one"), result.folder)
    assert heard(twice) == [FILE], "a run with nothing left to do has it too"


@pytest.mark.anyio
async def test_whatever_was_written_when_it_died_the_sound_is_there_in_the_end(tmp_path: Path) -> None:
    result = await run_with(Scripted(spoken("Hello.")), one(tmp_path), cache=False)
    journal = result.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    said = next(n for n, line in enumerate(lines) if b'"event":"TurnTaken"' in line)
    for kept in range(2, len(lines) + 1):
        journal.write_bytes(b"".join(lines[:kept]) + b'{"event":"TurnTak')
        model = Scripted(spoken("Hello."))
        again = await resume_with(model, result.folder, cache=False)
        assert (again.status, heard(again)) == ("done", [FILE]), kept
        assert len(model.requests) == (0 if kept > said else 1), "an answer in the journal is not asked for again"


@pytest.mark.anyio
async def test_a_step_that_was_renamed_has_it_from_the_journal(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    task = Task(goal="Say it.", plan="plan.yaml", folder=tmp_path)
    plan.write_text("steps:\n- {id: say, prompt: Say it.}\n", encoding="utf-8")
    result = await run_with(Scripted(spoken("Hello.")), task, cache=False)
    plan.write_text("steps:\n- {id: tell, prompt: Say it.}\n", encoding="utf-8")
    async with Run(
        options=Options(endpoint=Scripted(), cache=False, plan=plan), resume=RunFolder(result.folder)
    ) as run:
        pass
    assert [(each.step, each.path.read_bytes()) for each in run.result.media] == [("tell", FILE)]


@pytest.mark.anyio
async def test_a_replay_has_the_files_of_the_record(tmp_path: Path) -> None:
    result = await run_with(Scripted(spoken("Hello.")), one(tmp_path))
    replay = Replay(RunFolder(result.folder))
    async with Run(one(tmp_path), options=replay.options(Options(endpoint=Scripted())), replay=replay) as run:
        pass
    assert heard(run.result) == [FILE]
    (result.folder / "artifacts" / MADE.sha256).write_bytes(b"changed")
    async with Run(one(tmp_path), options=replay.options(Options(endpoint=Scripted())), replay=replay) as run:
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
async def test_a_report_that_is_saved_from_a_limit_keeps_its_sound() -> None:
    class Spent:
        async def execute(self, attempt: Attempt, note: Note) -> Outcome:
            said = (spoken("It is so.").message, says("user", "Cite your steps."))
            note(e.TurnTaken(step="say", attempt=1, messages=said, usage=Usage(), seconds=0, model="", endpoint=""))
            raise LimitError("spent", limit="tokens", value=1)

    state = State()
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=()))
    state.apply(e.StepsAdded(by="task", steps=(Step(id="say", prompt="Say it."),)))
    attempt = Attempt(run="r", step=Step(id="say", prompt="Say it."), agent=Agent(name="worker", instructions="Say."))
    outcome = await Salvaging(Spent(), state).execute(attempt, lambda _: None)
    assert (outcome.output, outcome.media) == ("It is so.", (MADE,))


@pytest.mark.anyio
async def test_a_sound_from_a_server_is_a_file_of_the_run(tmp_path: Path) -> None:
    async with FakeServer(qwen()) as server:
        omni = Model(endpoint=server.url, name="qwen-omni", stream=True, extra=TEXT_AND_AUDIO)
        task = one(tmp_path).model_copy(update={"models": {"default": omni}})
        async with Run(task, options=Options(cache=False)) as run:
            pass
    assert [each[44:] for each in heard(run.result)] == [SAMPLES]
