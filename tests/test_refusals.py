"""What an endpoint had admitted when it refused: bursts, rows and episodes, in virtual time."""

import anyio
import pytest

from swarm.endpoints.traffic.refusals import COOL_SECONDS, ROW_SECONDS, Refusal, Refusals

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


async def burst(refusals: Refusals, *, after: float = 1.0, calls: int = 5, minute: int = 10, most: int = 0) -> Refusal:
    """Refuse one call beside so many; `most` is the most calls of a minute until then, that one included."""
    await anyio.sleep(after)
    began = anyio.current_time()
    refusals.sent(calls + 1, max(minute + 1, most))
    assert refusals.refused(began)
    refusals.note(began, calls, minute)
    refusal = refusals.judged()
    assert refusal is not None
    return refusal


async def answer(refusals: Refusals, *, after: float = 1.0) -> None:
    await anyio.sleep(after)
    refusals.answered(anyio.current_time())


async def test_a_burst_is_judged_once_and_its_calls_were_not_admitted() -> None:
    refusals, began = Refusals(), anyio.current_time()
    for n in range(1, 6):
        refusals.sent(n, n)
    await anyio.sleep(1)
    assert refusals.refused(began)
    refusals.note(began, 4, 4)
    assert not refusals.refused(began)
    refusal = refusals.judged()
    assert refusal is not None
    assert (refusal.calls, refusal.minute, refusal.fewer, refusal.fewer_a_minute) == (3, 3, False, False)
    assert refusals.seconds == 1
    assert refusals.judged() is None


async def test_a_call_that_began_as_the_first_refusal_arrived_is_of_the_same_burst() -> None:
    refusals = Refusals()
    await burst(refusals)
    assert not refusals.refused(refusals.last_at)


async def test_if_all_calls_are_refused_none_was_admitted() -> None:
    refusals, began = Refusals(), anyio.current_time()
    refusals.sent(1, 1)
    assert refusals.refused(began)
    refusals.note(began, 0, 0)
    assert not refusals.refused(began)
    refusal = refusals.judged()
    assert refusal is not None
    assert (refusal.calls, refusal.minute) == (0, 0)


@pytest.mark.parametrize(("minute", "fewer"), [(17, True), (18, False)])
async def test_fewer_a_minute_is_less_than_nine_tenths_of_what_was_admitted(minute: int, fewer: bool) -> None:
    refusal = await burst(Refusals(), minute=minute, most=20)
    assert refusal.fewer_a_minute is fewer


@pytest.mark.parametrize(("calls", "fewer"), [(7, True), (8, False)])
async def test_fewer_is_less_than_four_fifths_of_the_calls_before(calls: int, fewer: bool) -> None:
    refusals = Refusals()
    refusals.sent(10, 10)
    refusal = await burst(refusals, calls=calls)
    assert refusal.fewer is fewer


async def test_the_first_rate_limit_after_answers_starts_an_episode() -> None:
    refusals = Refusals()
    await answer(refusals)
    assert (await burst(refusals)).first


async def test_an_episode_ends_with_an_answer_after_its_seconds() -> None:
    refusals = Refusals()
    assert (await burst(refusals)).first
    await answer(refusals, after=COOL_SECONDS - 2)
    assert not (await burst(refusals)).first
    await answer(refusals, after=1)
    assert (await burst(refusals)).first


@pytest.mark.parametrize(
    ("apart", "minute", "repeats"), [(ROW_SECONDS / 2, 9, True), (ROW_SECONDS / 2, 8, False), (1, 9, False)]
)
async def test_the_third_of_a_row_that_lasts_shows_a_quota(apart: float, minute: int, repeats: bool) -> None:
    """If nine tenths of the most calls of a minute were admitted."""
    refusals = Refusals()
    assert not (await burst(refusals)).repeats_a_minute
    assert not (await burst(refusals, after=apart)).repeats_a_minute
    assert (await burst(refusals, after=apart, minute=minute, most=11)).repeats_a_minute is repeats


async def test_an_answer_ends_a_row() -> None:
    refusals = Refusals()
    for _ in range(2):
        await burst(refusals, after=2)
    await answer(refusals)
    assert not (await burst(refusals, after=2)).repeats_a_minute


@pytest.mark.parametrize(
    ("apart", "minute", "repeats"), [(COOL_SECONDS, 91, True), (COOL_SECONDS, 90, False), (14, 91, False)]
)
async def test_two_rows_far_apart_with_as_many_calls_show_a_quota(apart: float, minute: int, repeats: bool) -> None:
    refusals = Refusals()
    await burst(refusals, minute=100)
    await answer(refusals)
    assert (await burst(refusals, after=apart - 1, minute=minute)).repeats_a_minute is repeats
