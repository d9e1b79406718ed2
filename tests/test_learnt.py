"""Memory of rejections: shared by all aliases of a run, and for a week by later runs."""

import json
import stat
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import SecretStr

import swarm
from swarm.endpoints.offline import Offline
from swarm.endpoints.route import routes_of
from swarm.endpoints.router import connect
from swarm.endpoints.wire.dialect import Dialect
from swarm.endpoints.wire.learnt import DAYS, FILE, Learnt, Memory, mark
from swarm.endpoints.wiring import Wiring
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.spec.chat import Form, Request, says
from swarm.spec.plan import Plan, Step
from swarm.spec.providers import quirks_of
from swarm.spec.task import Model, Task
from swarm.testing import Answer, FakeServer
from swarm.testing.fake import Received, error
from tests.commands import Command, in_process, served
from tests.models import events_of

DAY = date(2026, 11, 22)
URL = "https://api.example.com/v1"
MODEL = Model(endpoint=URL, name="m")
SHAPE: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ASK = Request(model="default", messages=(says("user", "hi"),), form=Form(name="answer", json_schema=SHAPE))


def memory(file: Path, day: date = DAY) -> Memory:
    return Memory(file, today=lambda: day)


def learns(file: Path, day: date = DAY, model: Model = MODEL, **what: Any) -> None:
    this = memory(file, day)
    learnt = this.of(model)
    for name, value in what.items():
        setattr(learnt, name, value)
    this.save()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / FILE


# The file


def test_all_of_it_comes_back_and_nothing_else_is_kept(file: Path) -> None:
    refused = frozenset({mark("temperature", 0.3)})
    learns(file, form="json_object", cap="max_completion_tokens", usage=False, refused=refused)
    again = memory(file).of(MODEL)
    assert again == Learnt("json_object", "max_completion_tokens", usage=False, refused=refused)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [FILE]
    before = file.read_bytes()
    same = memory(file)
    same.of(MODEL)
    same.save()
    assert file.read_bytes() == before
    for other in (MODEL.model_copy(update={"name": "n"}), MODEL.model_copy(update={"endpoint": URL + "2"})):
        assert memory(file).of(other) == Learnt()


def test_nothing_learnt_is_no_file(file: Path) -> None:
    this = memory(file)
    this.of(MODEL)
    this.save()
    assert not file.exists()


def test_it_tells_no_address_no_key_and_no_value(file: Path) -> None:
    secret = Model(endpoint="https://me:pa55w0rd@api.example.com/v1", name="m", key=SecretStr("sk-secret-1"))
    learns(file, model=secret, refused=frozenset({mark("user", "alice@example.com")}))
    written = file.read_text()
    assert [word for word in ("pa55", "sk-", "example", "alice", "https") if word in written] == []
    assert memory(file).of(MODEL).refused, "who asks is no part of what is asked"


@pytest.mark.parametrize(("days", "known"), [(0, True), (DAYS - 1, True), (DAYS, False), (-1, False)])
def test_it_is_forgotten_after_a_week(file: Path, days: int, known: bool) -> None:
    learns(file, usage=False)
    later = DAY + timedelta(days=days)
    assert memory(file, later).known == known
    assert memory(file, later).of(MODEL).usage is not known


def test_what_is_learnt_later_does_not_make_the_first_of_it_younger(file: Path) -> None:
    learns(file, usage=False)
    learns(file, DAY + timedelta(days=DAYS - 1), form="prompt")
    assert memory(file, DAY + timedelta(days=DAYS - 1)).of(MODEL) == Learnt("prompt", usage=False)
    assert memory(file, DAY + timedelta(days=DAYS)).of(MODEL) == Learnt()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"endpoints": {"x": 1}}', b'{"format": 1, "more": 1}', b"[" * 100_000],
)
def test_a_broken_file_is_told_of_and_made_anew(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    assert memory(file).of(MODEL) == Learnt()
    assert memory(file).warning == f"{file}: the stored facts about endpoints cannot be read; they will be replaced"
    learns(file, usage=False)
    assert (memory(file).of(MODEL).usage, memory(file).warning) == (False, "")


def test_a_newer_file_is_told_of_and_left_alone(file: Path) -> None:
    file.parent.mkdir()
    newer = json.dumps({"format": 2, "endpoints": {"x": {"day": "2026-11-22", "colour": "blue"}}})
    file.write_text(newer)
    assert "newer version" in memory(file).warning
    learns(file, usage=False)
    assert file.read_text() == newer


def test_runs_side_by_side_keep_what_each_other_wrote(file: Path) -> None:
    one, two = memory(file), memory(file)
    one.of(MODEL).usage = False
    two.of(MODEL.model_copy(update={"name": "n"})).form = "prompt"
    one.save()
    two.save()
    assert memory(file).known == 2


def test_a_disk_that_takes_nothing_fails_nobody(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    learns(tmp_path / "cache" / FILE, usage=False)


# Who uses it


def test_another_value_of_a_refused_parameter_is_sent() -> None:
    learnt = Learnt()

    def dialect(**params: Any) -> Dialect:
        return Dialect(MODEL.model_copy(update={"params": params}), name="m", quirks=quirks_of(URL), learnt=learnt)

    hot = dialect(temperature=0.3)
    assert hot.learn(hot.write(ASK), "invalid temperature: only 1 is allowed for this model")
    assert "temperature" not in json.loads(hot.write(ASK).body)
    assert "temperature" not in json.loads(dialect(temperature=0.3).write(ASK).body)
    assert json.loads(dialect(temperature=1).write(ASK).body)["temperature"] == 1


def test_a_form_that_a_provider_has_not_is_no_rung() -> None:
    learnt = Learnt("json_object")
    claude = Dialect(MODEL, name="m", quirks=quirks_of("https://api.anthropic.com/v1"), learnt=learnt)
    assert claude.write(ASK).form == "tool"


def strict(received: Received) -> str | Answer:
    """Reject a schema and a temperature."""
    body = received.body
    if "temperature" in body:
        return Answer(status=400, body=error("invalid temperature: only 1 is allowed for this model"))
    if "response_format" in body and body["response_format"]["type"] == "json_schema":
        return Answer(status=400, body=error("response_format of type json_schema is not supported"))
    if "tools" in body:
        return Answer(status=400, body=error("tool_choice is not supported"))
    return '{"n": 3}'


@pytest.mark.anyio
async def test_aliases_of_one_model_learn_together() -> None:
    async with FakeServer(respond=strict) as server:
        one = Model(endpoint=server.url, name="m", params={"temperature": 0.3})
        models = {"a": one, "b": one.model_copy(update={"max_tokens": 99}), "c": Model(endpoint=server.url, name="n")}
        async with connect(routes_of(models), Wiring(offline=Offline, rng=Random(1))) as router:
            calls = [(await router.complete(ASK.model_copy(update={"model": alias}))).usage.calls for alias in "abc"]
    assert calls == [4, 1, 3]


def task(server: FakeServer, folder: Path, number: int) -> Task:
    plan = Plan(steps=(Step(id="count", prompt=f"Count to {number}.", output=SHAPE),))
    models = {"default": Model(endpoint=server.url, name="m", params={"temperature": 0.3})}
    return Task(goal="Count.", plan=plan, models=models, folder=folder)


@pytest.mark.anyio
async def test_a_second_run_asks_right_away_as_the_endpoint_wants_it_and_says_so(tmp_path: Path) -> None:
    async with FakeServer(respond=strict) as server:
        first = await swarm.run(task(server, tmp_path, 1))
        second = await swarm.run(task(server, tmp_path, 2))
        bodies = [received.body for received in server.requests]
    assert [run.usage.calls for run in (first, second)] == [4, 1]
    assert (bodies[-1]["response_format"], "temperature" in bodies[-1]) == ({"type": "json_object"}, False)
    for run in (first, second):
        (turn,) = (event for event in events_of(run.folder) if isinstance(event, e.TurnTaken))
        assert (turn.form, turn.dropped) == ("json_object", ("temperature",)), "each journal tells"


@pytest.mark.anyio
async def test_without_the_cache_nothing_is_remembered(tmp_path: Path) -> None:
    async with FakeServer(respond=strict) as server:
        for number in (1, 2):
            async with Run(task(server, tmp_path, number), cache=False) as run:
                pass
            assert run.result.usage.calls == 4
    assert not (tmp_path / ".swarm" / "cache").exists()


def test_it_is_shown_and_cleared_with_the_cache(capsys: pytest.CaptureFixture[str], empty: Path) -> None:
    command: Command = in_process(capsys)
    where = empty / ".swarm" / "cache" / FILE
    this = Memory(where)
    this.of(MODEL).usage = False
    this.save()
    assert command("cache", "--json").json["endpoints"] == 1
    assert "models with stored facts: 1" in command("cache").out
    assert "and the stored facts about endpoints" in command("cache", "clear").err
    assert not where.exists()


def test_swarm_models_tells_of_it(capsys: pytest.CaptureFixture[str], empty: Path) -> None:
    command: Command = in_process(capsys)
    with served(lambda _: "ok") as server:
        model = Model(endpoint=server.url, name="fake")
        this = Memory(empty / ".swarm" / "cache" / FILE)
        learnt = this.of(model)
        learnt.form, learnt.usage = "json_object", False
        learnt.refused = frozenset({mark("top_p", 0.3), mark("seed", 1)})
        this.save()
        (empty / "task.yaml").write_text(json.dumps({"goal": "x", "models": {"default": f"{server.url}#fake"}}))
        said = command("models", "task.yaml")
    assert "output format json_object" in said.out
    words = "output format json_object, no usage of streams, without seed and top_p"
    assert f"known from earlier runs: {words}" in said.out
