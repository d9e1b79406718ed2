"""How long a run holds the event loop, with many steps at once: the longest time in which nothing else could happen.

    python bench/gaps.py [--steps 1000] [--facts 8] [--context 8192] [--large 0]

A run of one step a document and a report over them, whose calls all end after a second, shares its loop with a task
that wants to run every 5 milliseconds. Such a task is the live view, Ctrl-C, or the program that calls swarm. Two
things are printed: the gaps between its turns, and the longest single callbacks of the loop, in CPU time, so that other
programs on the machine do not count. The aim is no callback above 50 ms. With `--large`, one more document has so many
kilobytes.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import anyio

from bench.known import FACTS, reading
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.results.result import Result
from swarm.spec.chat import Reply, Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from tests.readers import PerfectReader, document

TICK = 0.005
"""Seconds between the turns of the other task."""
AIM = 0.05
"""Maximum seconds of CPU time of a callback."""


class Slow(PerfectReader):
    """A model that never errs and takes a second."""

    async def complete(self, request: Request) -> Reply:
        """Answer after a second."""
        await anyio.sleep(1.0)
        return await super().complete(request)


@contextmanager
def timed_callbacks(found: list[float]) -> Generator[None]:
    """Note the CPU seconds of each callback of the loop."""
    run = asyncio.Handle._run

    def timed(self: asyncio.Handle) -> None:
        began = time.thread_time()
        run(self)
        found.append(time.thread_time() - began)

    asyncio.Handle._run = timed
    try:
        yield
    finally:
        asyncio.Handle._run = run


async def ticking(gaps: list[float]) -> None:
    """Note the seconds between two turns, beyond those that were asked for."""
    before = time.monotonic()
    while True:
        await anyio.sleep(TICK)
        now = time.monotonic()
        gaps.append(now - before - TICK)
        before = now


async def measured(folder: Path, plan: Plan, context: int, gaps: list[float]) -> Result:
    """Run a plan while the other task runs, too."""
    task = Task(
        goal="List all facts.",
        inputs=("*.md",),
        folder=folder,
        models={"default": Model(endpoint="offline", context=context, max_tokens=4096)},
        plan=plan,
        limits=Limits(workers=1_000, steps=20_000),
    )
    options = Options(endpoint=Slow(context, cap=4096), cache=False, runs=folder / "runs")
    other = asyncio.create_task(ticking(gaps))
    try:
        async with Run(task, options=options) as run:
            pass
    finally:
        other.cancel()
    return run.result


def main() -> None:
    """Read the arguments, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--facts", type=int, default=FACTS)
    parser.add_argument("--context", type=int, default=8_192)
    parser.add_argument("--large", type=int, default=0)
    given = parser.parse_args()
    gaps: list[float] = []
    callbacks: list[float] = []
    steps = [reading(), Step(id="reduce", agent="reducer", after=("read",))]
    with tempfile.TemporaryDirectory() as name, timed_callbacks(callbacks):
        folder = Path(name)
        for n in range(given.steps):
            (folder / f"{n:05}.md").write_text(document(n, given.facts, words=2), encoding="utf-8")
        if given.large:
            (folder / "large.md").write_text(document(given.steps, given.large * 11), encoding="utf-8")
        result = anyio.run(measured, folder, Plan(steps=tuple(steps)), given.context, gaps)
    print(f"{given.steps:,} steps, {result.usage.calls:,} calls, {result.status}, {time.process_time():.1f} s of CPU")
    gaps.sort()
    print(f"gaps between turns: median {1000 * gaps[len(gaps) // 2]:.0f} ms, longest {1000 * gaps[-1]:.0f} ms")
    longest = sorted(callbacks, reverse=True)
    over = sum(took > AIM for took in longest)
    shown = ", ".join(f"{1000 * took:.0f}" for took in longest[:8])
    print(f"callbacks above {1000 * AIM:.0f} ms: {over}; the longest: {shown} ms of CPU")


if __name__ == "__main__":
    main()
