"""Servers that queue, batch, hang and go away, and a run of calls against one, in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import anyio

from swarm.base.errors import EndpointError
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Request, says
from swarm.testing import BusyServer, virtual_time

ASK = Request(model="m", messages=(says("user", "x"),))
UNKNOWN = 16
"""Slots at first, as in a run."""
ATTEMPTS = 2
"""Attempts at a step, as in a run."""


def slots(count: int) -> Callable[[float], int]:
    return lambda at: count


def about(seconds: float) -> Callable[[float, Random], float]:
    """Answers that take nearly the same time."""
    return lambda at, rng: seconds * rng.uniform(0.8, 1.2)


def short_or_long(at: float, rng: Random) -> float:
    return rng.choice([0.5, 10.0])


def of_any_length(at: float, rng: Random) -> float:
    """Answers of 20 to 4,000 tokens."""
    return float(min(200.0, max(1.0, 20 * 2 ** rng.gauss(0, 1.2))))


@dataclass(frozen=True)
class Case:
    """A server, and the work that is sent to it."""

    make: Callable[[], BusyServer]
    steps: int
    workers: int
    deadline: float
    best: int
    """The best fixed width, with hindsight."""
    most: float = 1.25
    """Maximum makespan, as a multiple of the one at the best width."""
    start: int = UNKNOWN
    wasted: float = 0.05
    """Maximum share of calls that are worked on for nobody."""
    slow: bool = False
    """Whether it takes more than a moment."""


CASES: dict[str, Case] = {
    "4 slots of 0.5 s": Case(lambda: BusyServer(slots=slots(4), seconds=about(0.5)), 200, 200, 5, 4, 1.05),
    "4 slots of 1 s, deadline 10 s": Case(lambda: BusyServer(slots=slots(4), seconds=about(1)), 200, 200, 10, 4, 1.05),
    "1 slot of 40 s": Case(lambda: BusyServer(slots=slots(1), seconds=about(40)), 40, 16, 300, 1, 1.05),
    "8 slots, the newest first": Case(
        lambda: BusyServer(slots=slots(8), order="lifo", seconds=about(3)), 300, 200, 30, 8, 1.1, wasted=0.1
    ),
    "8 slots in any order": Case(
        lambda: BusyServer(slots=slots(8), order="random", seconds=about(3)), 300, 200, 30, 8, 1.05
    ),
    "8 slots, one call in a hundred hangs": Case(
        lambda: BusyServer(slots=slots(8), seconds=about(3), hangs=0.01), 400, 200, 30, 8, 1.27
    ),
    "20 calls to 4 slots": Case(lambda: BusyServer(slots=slots(4), seconds=about(3)), 20, 200, 30, 4, 1.05),
    "slow, and no queue": Case(lambda: BusyServer(seconds=about(40)), 400, 200, 60, 200, 2.7),
    "slow, and no queue, remembered": Case(lambda: BusyServer(seconds=about(40)), 400, 200, 60, 200, 1.5, start=150),
    "16 slots of 3 s": Case(lambda: BusyServer(slots=slots(16), seconds=about(3)), 600, 300, 60, 16, 1.05, slow=True),
    "64 slots of 4 s": Case(lambda: BusyServer(slots=slots(64), seconds=about(4)), 1500, 300, 300, 64, 1.15, slow=True),
    "no limit": Case(lambda: BusyServer(seconds=about(2)), 1000, 300, 300, 300, 1.6, slow=True),
    "no limit, remembered": Case(lambda: BusyServer(seconds=about(2)), 1000, 300, 300, 300, 1.15, start=225, slow=True),
    "no limit, one call in a hundred hangs": Case(
        lambda: BusyServer(seconds=about(3), hangs=0.01), 1000, 200, 30, 200, 1.55, slow=True
    ),
    "wrongly remembered": Case(
        lambda: BusyServer(slots=slots(4), seconds=about(0.5)), 200, 200, 5, 4, 1.05, start=60, wasted=0.2
    ),
    "it batches": Case(lambda: BusyServer(knee=24, seconds=about(2)), 1000, 300, 120, 96, 1.25, slow=True),
    "it batches, and thrashes": Case(
        lambda: BusyServer(knee=24, thrashes=64, seconds=about(2)), 1000, 300, 120, 64, 1.3, slow=True
    ),
    "20 at once, then 429": Case(lambda: BusyServer(most=20, seconds=about(2)), 600, 100, 60, 20, 1.14, slow=True),
    "64 slots of 4 s, two in a hundred refused": Case(
        lambda: BusyServer(slots=slots(64), seconds=about(4), refuses=0.02), 800, 300, 300, 96, 2.4, slow=True
    ),
    "slots go from 32 to 8 and back": Case(
        lambda: BusyServer(slots=lambda at: (32, 8, 32)[min(2, int(at // 60))], seconds=about(3)),
        600,
        200,
        60,
        32,
        1.1,
        slow=True,
    ),
    "slots fall from 64 to 8": Case(
        lambda: BusyServer(slots=lambda at: 64 if at < 30 else 8, seconds=about(3)), 1000, 300, 60, 64, slow=True
    ),
    "slots rise from 8 to 64": Case(
        lambda: BusyServer(slots=lambda at: 8 if at < 60 else 64, seconds=about(3)), 1500, 300, 60, 64, slow=True
    ),
    "answers of any length, 16 slots": Case(
        lambda: BusyServer(slots=slots(16), seconds=of_any_length), 400, 200, 300, 16, 1.1, slow=True
    ),
    "answers of any length, batched": Case(
        lambda: BusyServer(knee=24, seconds=of_any_length), 1000, 300, 600, 96, 1.2, slow=True
    ),
    "0.5 s and 10 s mixed, 16 slots": Case(
        lambda: BusyServer(slots=slots(16), seconds=short_or_long), 600, 200, 60, 16, 1.1, slow=True
    ),
    "first short answers, then long ones": Case(
        lambda: BusyServer(slots=slots(32), seconds=lambda at, rng: 1.0 if at < 20 else 8.0),
        800,
        200,
        60,
        32,
        1.2,
        slow=True,
    ),
}


@dataclass
class Seen:
    """What became of the work."""

    seconds: float = 0.0
    lost: int = 0
    calls: int = 0
    wasted: int = 0
    late: float = 0.0
    """95th percentile of the seconds of an answer."""
    width: int = 0
    """The width at the end."""
    found: int | None = None
    """The width for a later run to know."""


def drive(case: Case, *, width: int | None = None) -> Seen:
    """Send all steps of a case, within a limit or a constant width."""
    server, seen = case.make(), Seen()

    async def main() -> None:
        limit = Limit("x", start=min(case.start, case.workers), most=case.workers, deadline=case.deadline)
        fixed = None if width is None else anyio.CapacityLimiter(width)
        endpoint = Retrying(
            server, rng=Random(1), slots=fixed, limit=limit if fixed is None else None, deadline=case.deadline
        )
        left = case.steps

        async def step() -> bool:
            for _ in range(ATTEMPTS):
                try:
                    await endpoint.complete(ASK)
                except EndpointError:
                    continue
                return True
            return False

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                seen.lost += not await step()

        async with server.serving():
            async with anyio.create_task_group() as group:
                for _ in range(min(case.workers, case.steps)):
                    group.start_soon(work)
            seen.seconds, seen.width, seen.found = server.now, limit.size, limit.found(None)

    backend, options = virtual_time()
    anyio.run(main, backend=backend, backend_options=options)
    took = sorted(server.took)
    seen.calls, seen.wasted = server.calls, server.wasted
    seen.late = took[int(0.95 * len(took))] if took else 0.0
    return seen
