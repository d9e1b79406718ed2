"""The adaptive limit over the best constant width, in virtual time: servers that refuse, and servers that queue.

    python bench/limit.py [--seconds 1800] [--latency 10] [--rpm 100] [--seed 5] [--queues] [NAME …]

**Servers that refuse**: calls that get through in half an hour. A model of a server answers as many calls at once as it
has room for, or as many tokens a minute, and says 429 to the rest; nobody is told how many that is. A quota is of any
60 seconds, or of the minutes of the server's clock; its 429 says nothing, or 5 s, which is too short. 80 callers want
to call it all the time. The best constant width is chosen with hindsight, out of fifteen. The aim is at least 0.9 of
its calls, and no storm: after two minutes, 15 429s in one at most.

**Servers that queue** (`--queues`: only these; `tests/busy_servers.py` says what each does): the time until all steps
are done. They never say that they have too much to do. The aim is that no step is lost, that hardly any call is made
twice, and 1.25 times the best constant width. Then three runs share a server, and know nothing of one another.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import anyio

from swarm.base.errors import EndpointError
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Request, says
from swarm.testing import Limited, virtual_time

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.busy_servers import CASES, TOGETHER, drive_together
from tests.busy_servers import drive as run_of

CALLERS = 80
WIDTHS = (4, 6, 8, 9, 10, 12, 14, 17, 20, 25, 30, 35, 40, 50, 60)
ASK = Request(model="m", messages=(says("user", "x"),))


def drive(
    server: Limited, seconds: float, *, limit: Limit | None = None, width: int | None = None, seed: int = 1
) -> Limited:
    """Call a server for so long, within a limit or a constant width."""

    async def main() -> None:
        server.began = anyio.current_time()
        slots = None if width is None else anyio.CapacityLimiter(width)
        endpoint = Retrying(server, rng=Random(seed), slots=slots, limit=limit)

        async def work() -> None:
            while True:
                with suppress(EndpointError):  # a deadline that passed: the scheduler would try again
                    await endpoint.complete(ASK)

        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                for _ in range(CALLERS):
                    group.start_soon(work)

    backend, options = virtual_time()
    anyio.run(main, backend=backend, backend_options=options)
    return server


def weathers(seconds: float, latency: float, rpm: int = 100, seed: int = 5) -> dict[str, Callable[[], Limited]]:
    """Make the servers: each call gives a fresh one."""
    half = seconds / 2

    def quota(*, told: bool, by_clock: bool) -> Limited:
        wait = 5.0 if told else None
        return Limited(latency=latency, rpm=rpm, by_clock=by_clock, retry_after=wait, rng=Random(seed))

    def room(capacity: Callable[[float], int]) -> Limited:
        return Limited(capacity, latency, rng=Random(seed))

    return {
        "fixed": lambda: room(lambda _: 10),
        "wide": lambda: room(lambda _: 40),
        "falling": lambda: room(lambda t: 40 if t < half else 10),
        "rising": lambda: room(lambda t: 10 if t < half else 40),
        "quota": lambda: quota(told=False, by_clock=False),
        "quota, told": lambda: quota(told=True, by_clock=False),
        "quota by the clock": lambda: quota(told=False, by_clock=True),
        "quota by the clock, told": lambda: quota(told=True, by_clock=True),
    }


def main() -> None:
    """Read the arguments and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--latency", type=float, default=10.0)
    parser.add_argument("--rpm", type=int, default=100)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--queues", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if not options.queues:
        refusing(options)
    queueing(options.names)


def queueing(names: list[str]) -> None:
    """Print what becomes of the work at each server that queues."""
    print(
        f"{'':40} {'best width':>10} {'s there':>9} {'× ours':>7} {'lost':>5} {'calls':>6} {'wasted':>6} {'95 % in':>8}"
    )
    for name, case in CASES.items():
        if names and name not in names:
            continue
        best, ours = run_of(case, width=case.best), run_of(case)
        print(
            f"{name:40} {case.best:10} {best.seconds:9.1f} {ours.seconds / best.seconds:7.2f} {ours.lost:5} "
            f"{ours.calls:6} {ours.wasted:6} {ours.late:6.1f} s"
        )
    for name, (case, least) in TOGETHER.items():
        if not names or name in names:
            server, runs = drive_together(case, runs=3, apart=8.0)
            ends = ", ".join(f"{run.seconds:.0f}" for run in runs)
            print(
                f"three runs, 8 s apart, at {name}: they end after {ends} s, at best {least:.0f} s; "
                f"{sum(run.lost for run in runs)} lost, {server.calls} calls for {3 * case.steps} steps"
            )


def refusing(options: argparse.Namespace) -> None:
    """Print how many calls get through at each server that refuses."""
    for name, make in weathers(options.seconds, options.latency, options.rpm, options.seed).items():
        if options.names and name not in options.names:
            continue
        constant = {n: len(drive(make(), options.seconds, width=n, seed=options.seed).served) for n in WIDTHS}
        best = max(constant, key=lambda width: constant[width])
        print(f"{name}: the best constant width is {best}, {constant[best]} calls")
        for start, why in ((8, "nobody says how many"), (CALLERS, "as wide as the run")):
            server = drive(make(), options.seconds, limit=Limit(start=start, most=CALLERS), seed=options.seed)
            refused = server.refused_by_minute(options.seconds)
            print(
                f"  start {start} ({why}): {len(server.served) / constant[best]:.3f} × of it, "
                f"429s a minute: {refused[0]} and {refused[1]} at first, then at most {max(refused[2:])}"
            )


if __name__ == "__main__":
    main()
