"""Sizes that a run finds out, and a later run starts from: calls at once, and tokens of a context."""

from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

import swarm
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.shared import UNKNOWN, SharedLimits
from swarm.endpoints.wire.learnt import FILE, Learnt, Memory
from swarm.lifecycle.options import Options
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.testing import Answer, FakeServer
from swarm.testing.fake import Received, error
from tests.busy_servers import CASES, drive
from tests.models import Model as Double
from tests.models import events_of, run_with

URL = "https://api.example.com/v1"
CLOUD = "https://api.openai.com/v1"
MODEL = Model(endpoint=URL, name="m")


def limits(*models: Model, known: dict[str, int] | None = None, workers: int = 300, auto: bool = True) -> SharedLimits:
    named = {str(number): model for number, model in enumerate(models)}
    return SharedLimits(
        named, workers=workers, auto=auto, emit=lambda _: None, known=lambda model: (known or {}).get(model.name or "")
    )


@pytest.mark.parametrize(
    ("known", "start"),
    [
        ({}, UNKNOWN),
        ({"m": 4}, 4),
        ({"m": UNKNOWN}, UNKNOWN),
        ({"m": 20}, UNKNOWN),
        ({"m": 100}, 75),
        ({"m": 100, "n": 40}, 30),
        ({"n": 40}, 30),
        ({"m": 10_000}, 300),
    ],
)
def test_an_endpoint_starts_with_what_earlier_runs_found(known: dict[str, int], start: int) -> None:
    _, limit = limits(MODEL, Model(endpoint=URL, name="n"), known=known).lane(URL, "", "x")
    assert limit.size == start


def test_what_the_task_says_goes_before_what_is_remembered() -> None:
    _, stated = limits(MODEL.model_copy(update={"calls": 5}), known={"m": 100}).lane(URL, "", "x")
    _, few = limits(MODEL, known={"m": 100}, workers=10).lane(URL, "", "x")
    assert (stated.size, few.size) == (5, 10)


def test_a_provider_that_refuses_starts_with_what_is_remembered_too() -> None:
    model = Model(endpoint=CLOUD, name="m")
    _, unknown = limits(model, workers=100, auto=False).lane(CLOUD, "", "x")
    _, known = limits(model, workers=100, auto=False, known={"m": 40}).lane(CLOUD, "", "x")
    assert (unknown.size, known.size) == (100, 30)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("4 slots of 1 s, deadline 10 s", 4, 20), ("1 slot of 40 s", 1, 4)],
)
def test_a_run_finds_the_width_of_a_server(name: str, least: int, most: int) -> None:
    found = drive(CASES[name]).found
    assert found is not None
    assert least <= found <= most


def test_a_few_calls_find_out_nothing_and_forget_nothing() -> None:
    limit = Limit("x", start=12, most=12)
    assert [limit.found(before) for before in (None, 7, 200)] == [None, 7, 200]


@pytest.mark.anyio
@pytest.mark.virtual
async def test_of_a_width_that_is_still_on_trial_the_one_before_is_found() -> None:
    limit, sizes = Limit("x", start=16), [16]
    while len(sizes) < 3:
        flights = [limit.sent() for _ in range(limit.size)]
        await anyio.sleep(1)
        for flight in flights:
            limit.answered(flight)
        if limit.size > sizes[-1]:
            sizes.append(limit.size)
    assert limit.found(None) == sizes[1]
    assert limit.found(1000) == 1000, "there was not enough to do for more"
    limit.refused(limit.sent())
    limit.begin()
    assert limit.found(1000) == limit.size < 1000, "it was too much"


def test_of_several_keys_the_least_width_is_found_and_a_stated_one_never() -> None:
    model = Model(endpoint=URL, name="m", key=(SecretStr("one"), SecretStr("two")))
    shared = limits(model)
    for key, size in (("one", 30), ("two", 20)):
        _, limit = shared.lane(URL, key, key)
        limit.found = lambda before, size=size: size  # type: ignore[method-assign]
    assert shared.found(model) == 20
    assert shared.found(model.model_copy(update={"calls": 3})) is None


# Contexts


def refusing(most: int) -> FakeServer:
    """Make a server that refuses a request of more than so many bytes, in its own words, and states nothing."""

    def respond(received: Received) -> str | Answer:
        if len(str(received.body)) > 4 * most:
            return Answer(status=400, body=error(f"This model's maximum context length is {most} tokens."))
        return "Alpha uses 5 MB."

    return FakeServer(respond=respond)


def reading(server: FakeServer, folder: Path, prompt: str) -> Task:
    (folder / "long.txt").write_text("Alpha uses 5 MB. " * 1_300)
    steps = (Step(id="a", prompt="First.", inputs=()), Step(id="b", prompt=prompt, needs=("a",), inputs=("long.txt",)))
    models = {"default": Model(endpoint=server.url, name="m", max_tokens=200)}
    return Task(goal="Alpha.", inputs=("long.txt",), plan=Plan(steps=steps), models=models, folder=folder)


def refusals(run: swarm.Result) -> int:
    return sum(isinstance(event, e.StepFailed) for event in events_of(run.folder))


@pytest.mark.anyio
async def test_a_context_that_a_refusal_taught_is_known_to_the_next_run(tmp_path: Path) -> None:
    async with refusing(4000) as server:
        first = await swarm.run(reading(server, tmp_path, "How much?"))
        again = await swarm.run(reading(server, tmp_path, "How much?"))
        other = await swarm.run(reading(server, tmp_path, "What of Alpha?"))
    assert (refusals(first), again.usage.calls, refusals(other)) == (1, 0, 0)
    assert first.report is not None
    assert again.report == first.report
    (started,) = (event for event in events_of(other.folder) if isinstance(event, e.RunStarted))
    assert started.contexts == {"default": 4000}
    replay = Replay(RunFolder(other.folder))
    async with Run(
        reading(server, tmp_path, "What of Alpha?"), options=replay.options(Options()), replay=replay
    ) as run:
        pass
    assert run.result.report == other.report


@pytest.mark.anyio
async def test_nothing_of_an_object_is_remembered(tmp_path: Path) -> None:
    plan = Plan(steps=(Step(id="a", prompt="First."),))
    await run_with(Double(), Task(goal="x", plan=plan, folder=tmp_path))
    assert not (tmp_path / ".swarm" / "cache" / FILE).exists()


def test_sizes_come_back_and_are_told(tmp_path: Path) -> None:
    this = Memory(tmp_path / FILE)
    learnt = this.of(MODEL)
    learnt.context, learnt.stated, learnt.width = 8192, 32_000, 48
    this.save()
    again = Memory(tmp_path / FILE).of(MODEL)
    assert again == Learnt(context=8192, stated=32_000, width=48)
    assert again.words == "reads 8,192 tokens at once, 48 calls at once"
    assert [again.context_if(stated) for stated in (32_000, None, 64_000)] == [8192, None, None]
