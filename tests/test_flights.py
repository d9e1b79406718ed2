"""Deadlines that count from a call's turn, in virtual time."""

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.endpoints.traffic.flights import FRESH, MOST_DEADLINES, Flights
from swarm.endpoints.traffic.slots import Slots
from swarm.testing import virtual_time

DEADLINE = 10.0
EXACT = FRESH * DEADLINE
"""How much too early a call may be given up."""


async def ends(lives: Sequence[tuple[float, float]]) -> list[float]:
    """Send calls at the given times; each is answered at the other time if it waits so long. Return when each ended."""
    flights = Flights()
    ended = [0.0] * len(lives)
    start = anyio.current_time()

    async def call(n: int, at: float, answered_at: float) -> None:
        await anyio.sleep(at)
        flight = flights.begin(DEADLINE)
        with flight.scope:
            await anyio.sleep_until(start + answered_at)
        flights.end(flight, answered=not flight.scope.cancelled_caught)
        ended[n] = anyio.current_time() - start

    async with anyio.create_task_group() as group:
        for n, (at, answered_at) in enumerate(lives):
            group.start_soon(call, n, at, answered_at)
            await anyio.lowlevel.checkpoint()
    return ended


@pytest.mark.anyio
@pytest.mark.virtual
class TestFlights:
    async def test_a_queue_loses_nothing_however_long_it_is(self) -> None:
        """Calls of one instant have equal times: only their numbers tell which came first."""
        assert await ends([(0, 5.0 * n) for n in range(1, 9)]) == pytest.approx([5.0 * n for n in range(1, 9)])

    async def test_a_call_that_hangs_is_given_up_one_deadline_after_those_before_it(self) -> None:
        ended = await ends([(0, 9), (0, 1000), (1, 12), (1, 14)])
        assert ended == pytest.approx([9, 19, 12, 14], abs=EXACT)

    async def test_a_call_whose_turn_came_is_not_renewed_by_later_ones(self) -> None:
        ended = await ends([(0, 1000), *[(1 + n, 2.0 + n) for n in range(15)]])
        assert ended[0] == pytest.approx(DEADLINE)

    async def test_no_call_takes_more_than_four_deadlines(self) -> None:
        ended = await ends([*[(0, 4.0 * n) for n in range(1, 20)], (0, 1000)])
        assert ended[-1] == pytest.approx(MOST_DEADLINES * DEADLINE, abs=EXACT)

    async def test_what_is_kept_does_not_grow_with_the_calls(self) -> None:
        flights = Flights()
        hangs = flights.begin(DEADLINE)
        for _ in range(2_000):
            flights.end(flights.begin(DEADLINE), answered=True)
        kept = len(flights._fresh) + len(flights._due)  # pyright: ignore[reportPrivateUsage]
        assert kept < 200
        assert len(flights) == 1
        assert flights.is_passed(hangs)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 60), st.floats(0.1, 60)), min_size=1, max_size=12, unique_by=lambda each: each[0])
)
def test_no_call_is_given_up_before_its_turn_has_lasted_a_deadline(drawn: list[tuple[float, float]]) -> None:
    """Compared with a computation that looks at every answer."""
    lives = [(at, at + seconds) for at, seconds in sorted(drawn)]

    async def main() -> list[float]:
        return await ends(lives)

    backend, options = virtual_time()
    ended = anyio.run(main, backend=backend, backend_options=options)
    for n, (at, answered_at) in enumerate(lives):
        answers = [ended[m] for m in range(n) if ended[m] == pytest.approx(lives[m][1]) and at <= ended[m] <= ended[n]]
        turn = max([at, *answers])
        if ended[n] < answered_at - 1e-6:
            latest = min(turn + DEADLINE, at + MOST_DEADLINES * DEADLINE)
            assert latest - EXACT - 1e-6 <= ended[n] <= latest + 1e-6


@pytest.mark.anyio
@pytest.mark.virtual
async def test_the_queue_for_slots_has_two_ends_and_a_cancelled_caller_leaves_it() -> None:
    slots, order = Slots(1), list[str]()

    async def call(name: str, *, first: bool = False) -> None:
        async with slots.held(first=first):
            order.append(name)
            await anyio.sleep(1)

    async with anyio.create_task_group() as group:
        group.start_soon(call, "running")
        await anyio.sleep(0.1)
        group.start_soon(call, "waiting")
        await anyio.sleep(0.1)
        with anyio.move_on_after(0.1):
            await call("gone")
        async with anyio.create_task_group() as late:
            late.start_soon(lambda: call("first", first=True))
    assert order == ["running", "first", "waiting"]
    assert slots.in_use == 0
