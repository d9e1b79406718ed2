"""A width that is driven by answers: against servers that queue, and each rule by itself."""

from collections.abc import Callable
from random import Random

import anyio
import pytest

from swarm.base.errors import EndpointBusy
from swarm.endpoints.traffic.flights import Flights
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.traffic.width import Bound, Trial
from swarm.spec.chat import Reply, Request
from swarm.testing import BusyServer, Function, reply
from tests.busy_servers import ASK, CASES, Case, about, drive, slots

NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if case.slow else [])  # a thousand calls take a second
    for name, case in CASES.items()
]


@pytest.mark.parametrize("name", NAMES)
def test_no_step_is_lost_and_the_work_takes_little_longer_than_at_the_best_width(name: str) -> None:
    case = CASES[name]
    best, ours = drive(case, width=case.best), drive(case)
    assert ours.lost == 0
    assert ours.wasted <= case.wasted * case.steps
    assert ours.calls <= 1.2 * case.steps + case.broken
    assert ours.seconds <= case.most * best.seconds


def flights_of(places: list[int], seconds: list[float]) -> Bound:
    bound = Bound(10.0)
    for place, took in zip(places, seconds, strict=True):
        bound.note(place, took)
    return bound


@pytest.mark.parametrize(
    ("places", "seconds"),
    [
        ([n + 1 for n in range(16)], [1.0 + n // 4 for n in range(16)]),  # a burst at four slots
        ([16] * 16, [4.0] * 16),  # sixteen that always wait for four slots
        ([4] * 16, [1.0] * 16),  # four, and none waits
    ],
    ids=["burst", "queue", "idle"],
)
def test_calls_in_flight_over_seconds_are_the_answers_a_second(places: list[int], seconds: list[float]) -> None:
    assert flights_of(places, seconds).most == pytest.approx(0.5 * 10 * 4, rel=0.16)


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize(("gain", "width"), [(1.20, 32), (1.05, 8)])
async def test_growth_is_kept_for_a_fifth_more_and_taken_back_for_a_twentieth(gain: float, width: int) -> None:
    trial, flights = Trial(), Flights()

    def answers(size: int, seconds: float) -> int:
        """Answer as many calls as decide, each sent with all slots in use; return the next width."""
        for _ in range(100):
            flight = flights.begin(300)
            flight.place = size
            flights.end(flight, answered=True)
            if trial.note(flight, seconds, 1, size):
                return trial.decide(size, 64, flights)
        raise AssertionError("nothing was decided")

    assert answers(8, 1.0) == 16
    assert answers(16, 2 / gain) == width


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_429_in_a_trial_ends_it_and_the_next_one_has_nothing_to_compare_with() -> None:
    limit = Limit("x", start=8, most=64)
    await Answering(limit).busy(lambda: limit.size > 8)
    assert limit.trying
    for _ in range(3):
        limit.refused(limit.sent())
    limit.begin()
    assert not limit.trying


class Answering:
    """Callers of a limit that keep all its slots in use, one second a call."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit

    async def busy(self, until: Callable[[], bool]) -> None:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                while not until():
                    async with self.limit:
                        flight = self.limit.sent()
                        await anyio.sleep(1)
                        self.limit.answered(flight)
                group.cancel_scope.cancel()

            for _ in range(100):
                group.start_soon(call)


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize(("place", "late"), [(16, True), (4, False)])
async def test_a_timeout_is_the_call_s_own_unless_too_much_was_in_flight(place: int, late: bool) -> None:
    limit = Limit("x", start=16, deadline=10)
    for seconds in (2.0,) * 16:
        flight = limit.sent(10)
        flight.place, flight.at = 2, flight.at - seconds
        limit.answered(flight)
    flight = limit.sent(10)
    flight.place, flight.at = place, flight.at - 10
    assert limit.timed_out(flight) is late


@pytest.mark.anyio
@pytest.mark.virtual
async def test_timeouts_within_the_bound_fail_after_one_deadline() -> None:
    async def hang(request: Request) -> Reply:
        await anyio.sleep(1000)
        return reply("late")

    endpoint = Retrying(Function(hang), rng=Random(1), limit=Limit("x"), deadline=10)
    began = anyio.current_time()
    with pytest.raises(EndpointBusy) as caught:
        await endpoint.complete(ASK)
    assert (caught.value.kind, anyio.current_time() - began) == ("timeout", pytest.approx(10))


def test_a_few_refusals_at_any_time_do_not_narrow() -> None:
    """A provider with many servers refuses some calls whatever the load: halving for each took six times as long."""
    case = Case(lambda: BusyServer(slots=slots(32), seconds=about(4), refuses=0.03), 250, 100, 300, 48)
    best, ours = drive(case, width=48), drive(case)
    assert ours.lost == 0
    assert ours.seconds <= 2.6 * best.seconds
    assert ours.width >= 16
