"""The adaptive limit: each rule, and in virtual time against servers of unknown capacity."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from random import Random

import anyio
import pytest

from swarm.base.errors import EndpointBusy, EndpointError
from swarm.endpoints.traffic.flights import Flight
from swarm.endpoints.traffic.limit import HOLD_SECONDS, Limit
from swarm.endpoints.traffic.refusals import COOL_SECONDS
from swarm.endpoints.traffic.retry import Retrying
from swarm.record.events import SlotsChanged
from swarm.spec.chat import Reply, Request, says
from swarm.testing import Function, Limited, reply, virtual_time

ASK = Request(model="default", messages=(says("user", "hi"),))
CALLERS = 60


class Watched(Limit):
    """A limit that records its changes."""

    def __init__(self, start: int, most: int | None = None) -> None:
        self.changes: list[SlotsChanged] = []
        super().__init__("here", start=start, most=most, emit=self.changes.append)

    @property
    def sizes(self) -> list[int]:
        return [change.after for change in self.changes]

    async def busy(self, *, until: Callable[[], bool], callers: int = 200) -> None:
        """Let so many callers call continuously, one second per call, until a condition holds."""
        async with anyio.create_task_group() as group:

            async def call() -> None:
                while not until():
                    async with self:
                        flight = self.sent()
                        await anyio.sleep(1)
                        self.answered(flight)
                group.cancel_scope.cancel()

            for _ in range(callers):
                group.start_soon(call)

    async def busy_for(self, seconds: float, *, callers: int = 200) -> None:
        end = anyio.current_time() + seconds
        await self.busy(until=lambda: anyio.current_time() >= end, callers=callers)

    async def used_once(self) -> None:
        """Use a slot for a second, with no answer."""
        async with self:
            await anyio.sleep(1)

    @asynccontextmanager
    async def holding(self, calls: int) -> AsyncGenerator[float]:
        """Hold so many calls in flight. Yield when they began."""
        async with AsyncExitStack() as stack:
            for _ in range(calls):
                await stack.enter_async_context(_Call(self))
            yield anyio.current_time()

    def rate_limited(self, *began: float) -> None:
        """Refuse calls that began then, and begin the next one."""
        for each in began:
            self.refused(sent_at(each))
        self.begin()


def sent_at(began: float, others: int = 0) -> Flight:
    """A call that was sent at some time, with others in flight."""
    return Flight(number=1, at=began, place=others + 1, seconds=300, scope=anyio.CancelScope(), turn=began)


class _Call:
    """A call in flight, with its own slot: anyio allows one per task."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._slot = limit.spare()

    async def __aenter__(self) -> None:
        self._slot.__enter__()
        self._flight = self._limit.sent()

    async def __aexit__(self, *_: object) -> None:
        self._limit.left(self._flight)
        self._slot.__exit__(None, None, None)


@pytest.mark.anyio
@pytest.mark.virtual
class TestRules:
    async def test_it_grows_while_more_in_flight_gives_more_answers_until_the_first_429(self) -> None:
        limit = Watched(8, most=64)
        await limit.busy(until=lambda: limit.size == 64)
        assert limit.sizes in ([16, 64], [32, 64]), "two or four times as many"
        assert {change.why for change in limit.changes} == {"trying whether more in flight gives more answers a second"}
        await limit.busy_for(4)
        async with limit.holding(64) as began:
            limit.rate_limited(began)
        assert limit.size == 51
        assert limit.changes[-1].why == "rate limit"

    async def test_then_it_grows_by_a_twentieth_up_to_what_was_too_much_and_after_a_minute_beyond(self) -> None:
        limit = Watched(60)
        async with limit.holding(60) as began:
            limit.rate_limited(began)
        await limit.busy(until=lambda: limit.size == 60)
        assert limit.sizes == [48, 51, 54, 57, 60], "once it is tried again soon"
        limit.refused(sent_at(anyio.current_time(), others=59))
        limit.begin()
        await limit.busy_for(HOLD_SECONDS - 1)
        assert limit.sizes[5:] == [59]
        await limit.busy(until=lambda: limit.size > 100)
        assert limit.sizes[6:] == [60, 120], "what was too much is tried, and was not too much after all"

    async def test_after_a_429_more_slots_are_opened_two_an_answer(self) -> None:
        limit = Watched(100)
        async with limit.holding(100) as began:
            limit.rate_limited(began)
        await limit.busy(until=lambda: limit.size == 84)
        async with limit.holding(82):
            with pytest.raises(anyio.WouldBlock):
                async with limit.holding(1):
                    pass
            limit.answered(sent_at(anyio.current_time(), others=81))
            async with limit.holding(2):
                pass

    async def test_a_growth_that_is_refused_is_taken_back_and_nothing_is_cut(self) -> None:
        limit = Watched(40, most=80)
        await limit.busy(until=lambda: limit.size == 80)
        async with limit.holding(42) as began:
            limit.rate_limited(began)
        assert (limit.size, limit.changes[-1].why) == (41, "rate limit after growth: 41 in flight were accepted")

    async def test_a_growth_that_is_refused_with_the_former_slots_in_flight_was_a_trial_too(self) -> None:
        limit = Watched(40, most=80)
        await limit.busy(until=lambda: limit.size == 80)
        async with limit.holding(41) as began:
            limit.rate_limited(began)
        assert (limit.size, limit.changes[-1].why) == (40, "rate limit after growth: 40 in flight were accepted")

    async def test_a_call_that_is_sent_learns_how_many_others_are_in_flight(self) -> None:
        limit = Watched(8)
        async with limit.holding(3), limit:
            assert limit.sent().others == 3

    async def test_one_episode_is_one_cut_and_its_answers_do_not_count(self) -> None:
        limit = Watched(100)
        async with limit.holding(100) as began:
            await anyio.sleep(1)
            for _ in range(5):
                limit.rate_limited(began)
                await anyio.sleep(2)
        for _ in range(100):
            limit.answered(sent_at(began, others=99))
        assert limit.sizes == [80]
        await anyio.sleep(COOL_SECONDS)
        limit.rate_limited(began)
        assert limit.sizes == [80], "a call from before the cut"
        limit.answered(sent_at(anyio.current_time()))
        async with limit.holding(80) as began:
            limit.rate_limited(began)
        assert limit.sizes == [80, 64]

    async def test_again_in_an_episode_leaves_what_is_in_flight(self) -> None:
        limit = Watched(100)
        async with limit.holding(100) as began:
            limit.rate_limited(*[began] * 10)
        await anyio.sleep(1)
        limit.begin()
        async with limit.holding(80) as began:
            limit.rate_limited(began)
        assert limit.changes[-1].why == "rate limit again: 79 in flight were accepted"
        assert limit.sizes == [80, 79]

    async def test_again_in_an_episode_with_fewer_in_flight_cuts_nothing(self) -> None:
        """The endpoint has a bad time: the slots are not what is too much."""
        limit = Watched(100)
        async with limit.holding(100) as began:
            limit.rate_limited(*[began] * 10)
        await anyio.sleep(1)
        async with limit.holding(40) as began:
            limit.rate_limited(began)
        assert limit.sizes == [80]

    async def test_the_endpoint_s_own_wait_is_kept_where_it_is_longer(self) -> None:
        limit = Watched(10)
        async with limit.holding(10) as began:
            limit.refused(sent_at(began), 100.0)
            limit.begin()
        await limit.busy_for(95)
        assert limit.size == 8
        await limit.busy_for(10)
        assert limit.size > 8

    async def test_it_grows_only_where_it_was_used(self) -> None:
        limit = Watched(10)
        await limit.busy_for(10, callers=7)
        assert limit.sizes == []
        await limit.busy_for(3, callers=8)
        assert limit.sizes[:1] == [40]

    async def test_what_was_in_use_before_a_cooldown_does_not_count_after_it(self) -> None:
        limit = Watched(10)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(limit.used_once)
        limit.strained()
        await limit.busy_for(COOL_SECONDS + 10, callers=7)
        assert limit.sizes == [], "seven of ten slots are fewer than it takes"
        await limit.busy_for(3, callers=8)
        assert limit.sizes == [20]

    async def test_it_never_falls_below_one_nor_grows_above_its_most(self) -> None:
        limit = Watched(4, most=6)
        await limit.busy_for(10)
        assert limit.sizes == [6]
        for _ in range(12):
            async with limit.holding(limit.size) as began:
                limit.rate_limited(began)
            await anyio.sleep(COOL_SECONDS)
            limit.answered(sent_at(anyio.current_time()))
        assert limit.sizes[:6] == [6, 5, 4, 3, 2, 1]
        assert set(limit.sizes[6:]) == {1, 2}
        assert Watched(20, most=6).size == 6

    async def test_an_overload_pauses_growth_and_cuts_nothing(self) -> None:
        limit = Watched(8)
        limit.strained()
        await limit.busy_for(10)
        assert limit.sizes == []
        async with limit.holding(8) as began:
            limit.rate_limited(began)
        assert limit.sizes == [6], "nor does it hide a rate limit"

    @pytest.mark.parametrize(("start", "refused", "left"), [(100, 88, 12), (100, 100, 8), (100, 10, 80), (8, 8, 6)])
    async def test_a_first_burst_leaves_what_was_let_in(self, start: int, refused: int, left: int) -> None:
        limit = Watched(start)
        async with limit.holding(start) as began:
            limit.rate_limited(*[began] * refused)
        assert limit.sizes == [left]
        assert limit.changes[0].why.startswith("rate limit")


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("rate_limited", [8]), ("overloaded", []), ("server_error", []), ("disconnected", []), ("malformed", [])],
)
async def test_only_a_rate_limit_shrinks_it(kind: str, sizes: list[int]) -> None:
    limit = Watched(10)
    answers = [EndpointBusy("no", kind=kind), reply("ok")]
    await Retrying(Function(lambda _: answers.pop(0)), rng=Random(1), limit=limit).complete(ASK)
    assert limit.sizes == sizes
    assert limit.in_use == 0


@pytest.mark.anyio
@pytest.mark.virtual
async def test_aliases_of_one_endpoint_share_its_slots() -> None:
    limit, peaks = Watched(3, most=3), list[int]()

    async def complete(request: Request) -> Reply:
        peaks.append(limit.in_use)
        await anyio.sleep(1)
        return reply("ok")

    aliases = [Retrying(Function(complete), rng=Random(n), limit=limit) for n in range(2)]
    async with anyio.create_task_group() as group:
        for n in range(20):
            group.start_soon(aliases[n % 2].complete, ASK)
    assert max(peaks) == 3


SECONDS = 1800


def drive(server: Limited, *, limit: Limit | None = None, width: int | None = None) -> Limited:
    """Call a server continuously, in virtual time, within a limit or a constant width."""

    async def main() -> None:
        server.began = anyio.current_time()
        slots = None if width is None else anyio.CapacityLimiter(width)
        endpoint = Retrying(server, rng=Random(1), slots=slots, limit=limit)

        async def work() -> None:
            while True:
                try:
                    await endpoint.complete(ASK)
                except EndpointError as error:
                    if not error.may_help:
                        raise

        with anyio.move_on_after(SECONDS):
            async with anyio.create_task_group() as group:
                for _ in range(CALLERS):
                    group.start_soon(work)

    backend, options = virtual_time()
    anyio.run(main, backend=backend, backend_options=options)
    return server


QUOTA = (16, 17, 20)
WEATHERS: dict[str, tuple[Callable[[], Limited], tuple[int, ...]]] = {
    "fixed": (lambda: Limited(lambda _: 20, 20.0), (19, 20)),
    "falling": (lambda: Limited(lambda t: 30 if t < SECONDS / 2 else 10, 20.0), (10, 30)),
    "rising": (lambda: Limited(lambda t: 10 if t < SECONDS / 2 else 30, 20.0), (10, 30)),
    "quota": (lambda: Limited(rpm=100, latency=10), QUOTA),
    "quota, told too little": (lambda: Limited(rpm=100, latency=10, retry_after=5.0), (*QUOTA, 60)),
    "quota by the clock": (lambda: Limited(rpm=100, latency=10, by_clock=True), QUOTA),
    "quota by the clock, told too little": (
        lambda: Limited(rpm=100, latency=10, by_clock=True, retry_after=5.0),
        (*QUOTA, 60),
    ),
}
"""Each server, and the constant widths that may be the best: `bench/limit.py` tries fifteen."""

MOST_REFUSED = 15
"""429s in a minute, after the first two: waits double from half a second to half a minute, so that a minute in which
nothing is let in costs about eight, and finding out what is let in now a few more. Most minutes have one: a trial."""


@cache
def best_constant(weather: str) -> int:
    """Return the number of calls of the best constant width, chosen with hindsight."""
    make, widths = WEATHERS[weather]
    return max(len(drive(make(), width=width).served) for width in widths)


@pytest.mark.parametrize("start", [8, CALLERS], ids=["from eight", "from a guess"])
@pytest.mark.parametrize("weather", WEATHERS)
def test_it_comes_within_a_tenth_of_the_best_constant_width_without_a_storm(weather: str, start: int) -> None:
    server = drive(WEATHERS[weather][0](), limit=Limit(start=start, most=CALLERS))
    assert len(server.served) >= 0.9 * best_constant(weather)
    refused = server.refused_by_minute(SECONDS)
    assert sum(refused[:2]) <= 2 * CALLERS
    assert max(refused[2:]) <= MOST_REFUSED
    assert sum(refused[2:]) <= 4 * len(refused[2:])


@pytest.mark.parametrize("latency", [10, 20])
def test_a_quota_is_kept_to_by_a_pace_that_is_told(latency: float) -> None:
    """The cuts of slots are undone, and the calls per minute are learned to within the trials."""
    limit = Watched(CALLERS, most=CALLERS)
    drive(Limited(rpm=60, latency=latency), limit=limit)
    learnt = [change.why for change in limit.changes if "per minute" in change.why]
    assert limit.size == CALLERS
    assert learnt[0].startswith("calls per minute are limited, not calls in flight: ")
    assert 54 <= int(learnt[-1].split(" calls per minute are accepted")[0].split()[-1]) <= 66


def test_a_width_is_not_taken_for_a_pace() -> None:
    limit = Watched(CALLERS, most=CALLERS)
    drive(Limited(lambda _: 20, 20.0), limit=limit)
    assert not [change.why for change in limit.changes if "per minute" in change.why]
    assert limit.size in {19, 20, 21}


@pytest.mark.anyio
@pytest.mark.virtual
async def test_one_call_that_was_refused_by_chance_paces_nobody() -> None:
    limit = Watched(8)
    answers = [reply("ok"), EndpointBusy("no", kind="rate_limited"), *[reply("ok")] * 30]
    endpoint = Retrying(Function(lambda _: answers.pop(0)), rng=Random(1), limit=limit)
    began = anyio.current_time()
    for _ in range(30):
        await endpoint.complete(ASK)
    assert anyio.current_time() - began < 5


class Learned(Watched):
    """A limit that learns a pace when the test says so, and reports it."""

    def learn(self, calls: int) -> None:
        self._learn(calls)


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_pace_is_reported_again_when_it_has_risen_by_a_tenth() -> None:
    limit = Learned(8)
    limit.learn(10)
    endpoint = Retrying(Function(lambda _: reply("ok")), rng=Random(1), limit=limit)
    with anyio.move_on_after(600):
        while len(limit.changes) < 2:
            await endpoint.complete(ASK)
    assert [change.why for change in limit.changes] == [
        "calls per minute are limited, not calls in flight: 10 calls per minute are accepted",
        "12 calls per minute are accepted",
    ]
