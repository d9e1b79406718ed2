"""Servers that queue, batch, hang and go away, and a run of calls against one, in virtual time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import anyio

from swarm.base.errors import EndpointError
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.record.events import SlotsChanged
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
    broken: int = 0
    """Maximum calls in flight that the server's end breaks: they are made again."""
    told: bool = False
    """Whether its answers say what is left of its quota."""
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
    "slow, and no queue": Case(lambda: BusyServer(seconds=about(40)), 400, 200, 60, 200, 2.0),
    "slow, and no queue, remembered": Case(lambda: BusyServer(seconds=about(40)), 400, 200, 60, 200, 1.4, start=150),
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
        lambda: BusyServer(slots=slots(64), seconds=about(4), refuses=0.02), 800, 300, 300, 96, 1.45, slow=True
    ),
    "64 slots of 4 s, five in a hundred refused": Case(
        lambda: BusyServer(slots=slots(64), seconds=about(4), refuses=0.05), 800, 300, 300, 96, 1.5, slow=True
    ),
    "away for 20 s, 16 workers": Case(
        lambda: BusyServer(slots=slots(16), seconds=about(2), away=((10, 30),)), 200, 16, 60, 16, 1.2, broken=16
    ),
    "away for 20 s, 300 workers": Case(
        lambda: BusyServer(slots=slots(64), seconds=about(2), away=((10, 30),)),
        1200,
        300,
        60,
        64,
        1.2,
        broken=300,
        slow=True,
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


TOGETHER: dict[str, tuple[Case, float]] = {
    "4 slots": (Case(lambda: BusyServer(slots=slots(4), seconds=about(1)), 100, 100, 20, 4), 300 / 4),
    "16 slots": (Case(lambda: BusyServer(slots=slots(16), seconds=about(3)), 150, 150, 60, 16), 450 * 3 / 16),
    "20 at once, then 429": (Case(lambda: BusyServer(most=20, seconds=about(2)), 200, 100, 60, 20), 600 * 2 / 20),
}
"""Servers, and the seconds that all steps of three runs take them at least."""


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
    answers: list[float] = field(default_factory=list[float])
    """When each step was answered, in seconds since the start."""
    refused: int = 0
    """Calls that got a 429 and were sent after the first cut."""


class Work:
    """The steps of a case at a server, within a limit or a constant width."""

    def __init__(self, case: Case, server: BusyServer, *, width: int | None = None) -> None:
        self.seen = Seen()
        self._case = case
        self._server = server
        self._left = case.steps
        self._cut_at: float | None = None
        start = min(case.start, case.workers)
        self.limit = Limit("x", start=start, most=case.workers, deadline=case.deadline, emit=self._note)
        self._endpoint = Retrying(
            server,
            rng=Random(1),
            slots=None if width is None else anyio.CapacityLimiter(width),
            limit=self.limit if width is None else None,
            deadline=case.deadline,
            cooldown=(cooldown := Cooldown()),
        )
        if case.told:
            server.on_headers = cooldown.heed

    async def do(self, *, after: float = 0.0) -> None:
        """Do all steps, and see what became of them; start after so many seconds."""
        await anyio.sleep(after)
        async with anyio.create_task_group() as group:
            for _ in range(min(self._case.workers, self._case.steps)):
                group.start_soon(self._worker)
        seen, cut_at = self.seen, self._cut_at
        seen.seconds, seen.width, seen.found = self._server.now, self.limit.size, self.limit.found(None)
        seen.refused = 0 if cut_at is None else sum(at > cut_at for at in self._server.refusals)

    def _note(self, change: SlotsChanged) -> None:
        if change.after < change.before and self._cut_at is None:
            self._cut_at = self._server.now

    async def _worker(self) -> None:
        while self._left > 0:
            self._left -= 1
            self.seen.lost += not await self._step()

    async def _step(self) -> bool:
        for _ in range(ATTEMPTS):
            try:
                await self._endpoint.complete(ASK)
            except EndpointError:
                continue
            self.seen.answers.append(self._server.now)
            return True
        return False


def drive(case: Case, *, width: int | None = None) -> Seen:
    """Send all steps of a case, within a limit or a constant width."""
    server = case.make()
    work = Work(case, server, width=width)

    async def main() -> None:
        async with server.serving():
            await work.do()

    _in_virtual_time(main)
    took, seen = sorted(server.took), work.seen
    seen.calls, seen.wasted = server.calls, server.wasted
    seen.late = took[int(0.95 * len(took))] if took else 0.0
    return seen


def drive_together(case: Case, *, runs: int, apart: float) -> tuple[BusyServer, list[Seen]]:
    """Send the steps of several runs that know nothing of one another to one server; each begins `apart` s later."""
    server = case.make()
    works = [Work(case, server) for _ in range(runs)]

    async def main() -> None:
        async with server.serving(), anyio.create_task_group() as group:
            for n, work in enumerate(works):
                group.start_soon(partial(work.do, after=n * apart))

    _in_virtual_time(main)
    return server, [work.seen for work in works]


def _in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    backend, options = virtual_time()
    anyio.run(main, backend=backend, backend_options=options)
