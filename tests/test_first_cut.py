"""What a first rate limit leaves is right: servers that refuse the next call, and several runs at one server."""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from swarm.testing import BusyServer
from tests.busy_servers import TOGETHER, UNKNOWN, Case, about, drive, drive_together, slots

SECONDS = 2.0
COSTS = 1.5
"""Seconds that a refusal may cost: its backoff, and the opening after it."""
WAITS = {"asks for 1 s": 1.0, "asks for 5 s": 5.0, "refuses slowly": 2.5}
"""Seconds more that it may cost by what it asks for, or because it comes late."""


def slowly(rng: Random) -> float:
    """Refusals that come later than others of the same burst."""
    return rng.uniform(0.05, 2.5)


def at_once(count: int, *, how: str) -> Callable[[], BusyServer]:
    match how:
        case "asks for 1 s":
            return lambda: BusyServer(most=count, seconds=about(SECONDS), retry_after=1.0)
        case "asks for 5 s":
            return lambda: BusyServer(most=count, seconds=about(SECONDS), retry_after=5.0)
        case "refuses slowly":
            return lambda: BusyServer(most=count, seconds=about(SECONDS), refusal_seconds=slowly)
        case _:
            return lambda: BusyServer(most=count, seconds=about(SECONDS))


@pytest.mark.parametrize("how", ["says nothing", "asks for 1 s", "asks for 5 s", "refuses slowly"])
@pytest.mark.parametrize(
    ("count", "start"),
    [(1, UNKNOWN), (2, UNKNOWN), (3, UNKNOWN), (3, 4), (8, 9), (50, 64)],
)
def test_after_the_first_cut_only_the_trial_of_one_more_is_refused(count: int, start: int, how: str) -> None:
    steps = 10 * count
    ours = drive(Case(at_once(count, how=how), steps, 100, 300, count, start=start))
    assert ours.lost == 0
    assert ours.width in {count, count + 1}, "the next one may be on trial"
    assert ours.refused <= 1
    best = steps * SECONDS / count
    assert ours.seconds <= 1.1 * best + (1 + ours.refused) * (COSTS + WAITS.get(how, 0.0))


@pytest.mark.parametrize("told", [False, True], ids=["untold", "told by headers"])
@pytest.mark.parametrize(("rate", "size"), [(2.0, 8), (1.0, 60)])
def test_a_bucket_of_tokens_is_used_up_and_not_stormed(rate: float, size: int, told: bool) -> None:
    server = BusyServer(bucket=(rate, size), seconds=about(SECONDS))
    ours = drive(Case(lambda: server, int(60 * rate + size), 100, 300, 4, told=told))
    assert ours.lost == 0
    assert ours.seconds <= 1.1 * 60 + 2 * COSTS
    assert len(server.refusals) <= 40


@pytest.mark.parametrize("apart", [0.0, 8.0])
@pytest.mark.parametrize("name", TOGETHER)
def test_three_runs_at_one_server_lose_nothing_and_none_starves(name: str, apart: float) -> None:
    """They know nothing of one another: each is bound by its own answers. With refusals, who is first has the most."""
    case, least = TOGETHER[name]
    server, seen = drive_together(case, runs=3, apart=apart)
    assert [run.lost for run in seen] == [0, 0, 0]
    assert server.wasted <= 0.05 * 3 * case.steps
    assert max(run.seconds for run in seen) <= 1.25 * (least + apart)
    for n, run in enumerate(seen):
        answers = [n * apart, *run.answers]
        assert max(b - a for a, b in pairwise(answers)) <= case.deadline


def test_the_queue_is_shared_alike_by_runs_that_begin_together() -> None:
    case, _ = TOGETHER["4 slots"]
    _, seen = drive_together(case, runs=3, apart=0.0)
    first = min(run.seconds for run in seen)
    assert min(sum(at <= first for at in run.answers) for run in seen) >= 0.5 * case.steps


@pytest.mark.parametrize("seed", [5, 6])
def test_a_few_refusals_by_chance_narrow_little(seed: int) -> None:
    """The first calls have few others to compare with: those on the wire count as soon as they outlast a refusal."""

    def server() -> BusyServer:
        return BusyServer(slots=slots(64), seconds=about(4), refuses=0.02, rng=Random(seed))

    case = Case(server, 400, 300, 300, 96)
    ours = drive(case)
    assert ours.lost == 0
    assert ours.seconds <= 70, "400 calls of 4 s at 64 slots are 25 s; at 16 they are 100 s"
