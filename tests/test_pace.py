"""A learned pace, in virtual time."""

import anyio
import pytest

from swarm.endpoints.traffic.pace import Pace

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


async def begun(pace: Pace, seconds: float) -> list[float]:
    """Begin calls as fast as the pace allows. Return when each began."""
    began = anyio.current_time()
    times: list[float] = []
    with anyio.move_on_after(seconds):
        while True:
            pace.begin(await pace.take(1))
            times.append(anyio.current_time() - began)
    return times


async def test_calls_are_counted_before_anything_is_learnt_and_none_waits() -> None:
    pace = Pace()
    for _ in range(1000):
        pace.begin(await pace.take(1))
    assert (pace.begun, pace.full, pace.learnt) == (1000, False, None)


async def test_no_minute_has_more_than_what_was_learnt() -> None:
    pace = Pace()
    pace.learn(20, 0.0)
    times = await begun(pace, 59)
    assert times == [0.0] * 20
    assert pace.full


async def test_after_a_minute_it_tries_one_more_then_two_in_a_second_then_four() -> None:
    pace = Pace()
    pace.begin(await pace.take(1))
    pace.learn(20, 0.0)
    await anyio.sleep(55)
    times = await begun(pace, 8.5)
    assert times[:19] == [0.0] * 19
    extra = [at - 5.0 for at in times[20:]]
    assert extra[0] == pytest.approx(0.0)
    assert [sum(n <= at < n + 1 for at in extra) for n in range(3)] == [1, 2, 4]
    pace.learn(22, 0.0)
    assert await begun(pace, 40) == [], "it was refused: that is the pace for another minute"


async def test_a_call_that_waits_for_a_slot_does_not_raise_it() -> None:
    """If slots are the limit, the pace is not."""
    pace = Pace()
    pace.learn(2, 0.0)
    held = [await pace.take(1) for _ in range(2)]
    await anyio.sleep(100)
    assert pace.take_now(1) is None
    assert pace.learnt == 2
    for each in held:
        pace.close(each)
    assert pace.left == 2
