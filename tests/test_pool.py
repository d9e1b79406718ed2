"""Several endpoints as one: order, equals, rests and probes; and the weather of issue C."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import anyio
import pytest
from pydantic import SecretStr

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused
from swarm.endpoints import Endpoint
from swarm.endpoints.pool import REST_SECONDS, SICK, Pool
from swarm.endpoints.route import routes_of
from swarm.endpoints.router import connect
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.wiring import Told, Wiring
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.journal import read
from swarm.spec.chat import Reply, Request, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.testing import Answer, FakeServer, Faulty, Function, Received, reply
from swarm.testing.fake import error
from tests.together import Together

ASK = Request(model="default", messages=(says("user", "hi"),))


def busy(kind: str = "server_error") -> EndpointBusy:
    return EndpointBusy("busy", kind=kind)


class Patient:
    """An endpoint that is well or not, and counts."""

    def __init__(self, name: str, *, well: bool = True, seconds: float = 1.0) -> None:
        self.name = name
        self.well = well
        self.seconds = seconds
        self.calls = 0
        self.active = 0
        self.peak = 0

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.active -= 1
        if not self.well:
            raise busy()
        return reply("ok").model_copy(update={"endpoint": self.name})


async def at_once(endpoint: Endpoint, count: int, request: Request = ASK) -> list[Reply]:
    """Make calls side by side."""
    replies: list[Reply] = []

    async def one() -> None:
        replies.append(await endpoint.complete(request))

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return replies


@pytest.mark.anyio
@pytest.mark.virtual
class TestPool:
    async def test_aliases_are_in_order_however_busy_the_first_is(self) -> None:
        first, second = Patient("first"), Patient("second")
        await at_once(Pool([first, second]), 10)
        assert (first.calls, second.calls) == (10, 0)

    async def test_keys_are_equals_and_the_least_busy_comes_first(self) -> None:
        keys = [Patient("host") for _ in range(3)]
        replies = await at_once(Pool(keys, equal=True), 9)
        assert [key.peak for key in keys] == [3, 3, 3]
        assert {reply.endpoint for reply in replies} == {"host (key 1)", "host (key 2)", "host (key 3)"}

    async def test_a_key_that_cools_down_counts_as_busy(self) -> None:
        limited = Function(lambda _: EndpointBusy("429", kind="rate_limited", retry_after=50))
        spare = Patient("spare")
        cooling = Retrying(limited, rng=Random(1))
        pool = Pool([cooling, spare], equal=True)
        async with anyio.create_task_group() as group:
            group.start_soon(cooling_call, cooling)
            await anyio.sleep(1)
            assert cooling.cooling == pytest.approx(49)
            await at_once(pool, 5)
            group.cancel_scope.cancel()
        assert (spare.calls, len(limited.requests)) == (5, 1)

    async def test_the_sick_rest_and_are_probed_by_one(self) -> None:
        first, second = Patient("first", well=False), Patient("second")
        pool = Pool([first, second])
        for _ in range(SICK):
            await pool.complete(ASK)
        assert first.calls == SICK
        await at_once(pool, 20)
        assert first.calls == SICK, "it rests"
        await anyio.sleep(REST_SECONDS)
        await at_once(pool, 20)
        assert first.calls == SICK + 1, "one probe, whatever comes meanwhile"
        await anyio.sleep(REST_SECONDS)
        await pool.complete(ASK)
        assert first.calls == SICK + 1, "twice as long after a failed probe"
        first.well = True
        await anyio.sleep(REST_SECONDS)
        await pool.complete(ASK)
        await at_once(pool, 20)
        assert first.calls == SICK + 2 + 20, "well again"

    async def test_a_pool_of_the_sick_asks_them_all_the_same(self) -> None:
        only, other = Patient("only", well=False), Patient("other", well=False)
        pool = Pool([only, other])
        for _ in range(SICK + 2):
            with pytest.raises(EndpointBusy):
                await pool.complete(ASK)
        other.well = True
        assert (await pool.complete(ASK)).endpoint == "other"

    async def test_a_breaker_does_not_latch_where_every_other_call_fails(self) -> None:
        count = 0

        def flip(request: Request) -> str | Exception:
            nonlocal count
            count += 1
            return busy() if count % 2 else "ok"

        pool = Pool([Retrying(Function(flip), rng=Random(1)), Patient("spare")])
        replies = await at_once(pool, 1000)
        assert len(replies) == 1000
        assert count <= 3000
        assert sum(each.endpoint == "scripted" for each in replies) > 800, "half of all calls do not make it sick"

    async def test_calls_made_in_vain_are_counted_with_the_answer(self) -> None:
        first = Retrying(Function(lambda _: busy()), rng=Random(1))
        answer = await Pool([first, Patient("second")]).complete(ASK)
        assert answer.usage.calls == 4 + 1

    async def test_one_that_refused_for_good_is_left_out_and_the_words_of_all_are_told(self) -> None:
        spent = Function(lambda _: EndpointRefused("spent", kind="quota", stops=True))
        down = Function(lambda _: busy())
        pool = Pool([spent, down])
        for _ in range(2):
            with pytest.raises(EndpointError, match="spent; then busy") as caught:
                await pool.complete(ASK)
            assert (caught.value.may_help, caught.value.stops) == (True, False)
        assert (len(spent.requests), len(down.requests)) == (1, 2)


async def cooling_call(endpoint: Retrying) -> None:
    with pytest.raises(EndpointBusy):
        await endpoint.complete(ASK)


WEATHER = {
    "rate_limited": 0.2,
    "server_error": 0.05 + 0.02,  # an error body in a 200 is judged as if by status
    "disconnected": 0.03,
    "truncated_stream": 0.03,
    "malformed": 0.02,
}
"""What the server of issue C answers."""


async def again(endpoint: Endpoint, request: Request) -> Reply:
    """Do what the scheduler does: try an attempt that may be helped again, twice."""
    for _ in range(2):
        try:
            return await endpoint.complete(request)
        except EndpointBusy:
            continue
    return await endpoint.complete(request)


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize("seed", range(20))
async def test_three_hundred_steps_in_bad_weather_are_all_done_with_fewer_than_two_calls_each(seed: int) -> None:
    faulty = Faulty(Patient("server"), seed=seed, rates=WEATHER)
    changes: list[e.SlotsChanged] = []
    limit = Limit("server", start=100, most=100, emit=changes.append)
    endpoint = Retrying(faulty, rng=Random(seed), limit=limit)
    workers = anyio.CapacityLimiter(100)
    done: list[str] = []

    async def step(n: int) -> None:
        async with workers:
            request = Request(model="default", messages=(says("user", f"question {n}"),))
            done.append((await again(endpoint, request)).text)

    async with anyio.create_task_group() as group:
        for n in range(300):
            group.start_soon(step, n)
    assert done == ["ok"] * 300
    assert faulty.calls < 600
    assert changes
    assert limit.in_use == 0


def storm(seed: int) -> Callable[[Received], Answer]:
    """Answer the way the server of issue C does, by dice."""
    rng = Random(seed)
    kinds: list[tuple[float, Answer]] = [
        (0.20, Answer(status=429, headers={"retry-after-ms": "20"})),
        (0.05, Answer(status=500, headers={"retry-after-ms": "20"})),
        (0.03, Answer(pieces=(), then="reset")),
        (0.03, Answer(pieces=(b"HTTP/1.1 200 X\r\ncontent-length: 999\r\n\r\n{",), then="close")),
        (0.02, Answer(body=error("upstream failed", code=502))),
        (0.02, Answer(body=b"<html>hello</html>", headers={"content-type": "text/html"})),
    ]

    def respond(received: Received) -> Answer:
        draw = rng.random()
        for rate, answer in kinds:
            draw -= rate
            if draw < 0:
                return answer
        return Answer("ok", delay=0.01)

    return respond


@pytest.mark.anyio
async def test_the_same_on_real_sockets() -> None:
    changes: list[Told] = []
    async with FakeServer(respond=storm(7)) as server:
        models = {"default": Model(endpoint=server.url, name="m", calls=100)}
        made = connect(routes_of(models), Wiring(offline=unused, rng=Random(1), workers=100, emit=changes.append))
        async with made as router:
            done: list[str] = []

            async def step() -> None:
                done.append((await again(router, ASK)).text)

            async with anyio.create_task_group() as group:
                for _ in range(300):
                    group.start_soon(step)
        assert done == ["ok"] * 300
        assert len(server.requests) < 600
        assert server.peak <= 100
    slots = [change for change in changes if isinstance(change, e.SlotsChanged)]
    assert slots[0].before == 100
    assert {change.endpoint for change in slots} == {server.url.split("/")[2]}


def unused() -> Endpoint:
    raise AssertionError("nobody asked for it")


@pytest.mark.anyio
async def test_several_keys_share_the_calls_and_each_event_can_say_which_served() -> None:
    together = Together(4)
    async with FakeServer(respond=together.respond) as server:
        model = Model(endpoint=server.url, name="m", key=(SecretStr("key-one"), SecretStr("key-two")), calls=4)
        async with connect(routes_of({"default": model}), Wiring(offline=unused, rng=Random(1))) as router:
            with anyio.fail_after(60):
                replies = await at_once(router, 12)
        sent = [received.headers["authorization"][-3:] for received in server.requests]
    assert (sent.count("one"), sent.count("two"), server.peak) == (6, 6, 4)
    assert {each.endpoint[-7:] for each in replies} == {"(key 1)", "(key 2)"}
    assert not any("key-one" in each.endpoint for each in replies)


@pytest.mark.anyio
async def test_a_server_that_takes_a_hundred_calls_has_a_hundred_in_flight_from_the_first_moment() -> None:
    together = Together(100)
    async with FakeServer(respond=together.respond) as server:
        models = {"default": Model(endpoint=server.url, name="m", calls=100)}
        async with connect(routes_of(models), Wiring(offline=unused, rng=Random(1), workers=100)) as router:
            with anyio.fail_after(60):
                await at_once(router, 100)
        assert server.peak == 100


@pytest.mark.anyio
async def test_a_run_journals_every_change_and_who_served(empty: Path) -> None:
    together, cut = Together(5), anyio.Event()

    async def respond(received: Received) -> str | Answer:
        number = together.count
        text = await together.respond(received)
        if number == 0:
            return Answer(status=429, headers={"retry-after-ms": "10"})
        await cut.wait()  # the other four are still in flight when the refusal is taken in
        return text

    async with FakeServer(respond=respond) as server:
        plan = Plan(steps=tuple(Step(id=f"s{n}", prompt=f"Say {n}.") for n in range(5)))
        models = {"default": Model(endpoint=server.url, name="m")}
        async with Run(Task(goal="Say.", models=models, plan=plan, folder=empty)) as run:
            async for event in run.events():
                if isinstance(event, e.SlotsChanged):
                    cut.set()
    events = list(read(run.folder.journal))
    changed = [event for event in events if isinstance(event, e.SlotsChanged)]
    label = server.url.split("/")[2]
    assert run.result.status == "done"
    assert [(event.endpoint, event.before, event.after, event.why) for event in changed[:1]] == [
        (label, 16, 4, "rate limit: 4 in flight were accepted")
    ]
    assert run.state.slots == {label: changed[-1].after}
    assert {event.endpoint for event in events if isinstance(event, e.TurnTaken)} == {label}
