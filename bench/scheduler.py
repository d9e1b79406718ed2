"""What scheduling a step costs, ours against a bare slot scheduler on asyncio: CPU microseconds a step, same run.

    python bench/scheduler.py [--steps 10000,100000] [--workers 64] [--rounds 3]

Steps do nothing but give way once. Ours decides, makes an event of every fact and folds it, on asyncio through anyio,
without a journal (`bench/journal.py` measures that). The bare one counts what each step waits for and starts a task for
each that is ready, with a semaphore for the slots: no facts, no failures, no priorities. The graph is layered, 200
wide. The aims are a ratio of at most 4 and a growth of at most 1.3 from 10,000 to 100,000 steps.
"""

import argparse
import asyncio
import statistics
import time
from random import Random

import anyio

from swarm.attempt.types import Attempt, Note
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.agent import Agent
from swarm.spec.plan import Step
from swarm.spec.task import Limits

WIDTH = 200
WORKER = Agent(name="worker", instructions="Work.")
DONE = Outcome(output="done")
SHARED = dict.fromkeys(("agent", "goal", "model", "wording"), "0" * 16)
"""What a run hashes once for all attempts, as `swarm.scheduling.assign` does."""


def layered(count: int) -> tuple[Step, ...]:
    """Draw the graph."""
    random = Random(1)
    made: list[Step] = []
    for n in range(count):
        start = n // WIDTH * WIDTH - WIDTH
        needs = {f"s{start + random.randrange(WIDTH)}" for _ in range(2)} if start >= 0 else ()
        made.append(Step(id=f"s{n}", needs=tuple(sorted(needs))))
    return tuple(made)


class Nothing:
    """An executor whose attempts give way once."""

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Give way."""
        del attempt, note
        await asyncio.sleep(0)
        return DONE


async def ours(steps: tuple[Step, ...], workers: int) -> None:
    """Run the graph under the scheduler."""
    state = State()
    began = time.monotonic()

    def emit(event: e.Stamped) -> None:
        state.apply(event.model_copy(update={"seq": state.seq + 1, "t": time.monotonic() - began}))

    def attempt_of(s: StepState) -> Attempt:
        return Attempt(run="bench", step=s.step, attempt=s.attempt + 1, agent=WORKER, span="0" * 16, shared=SHARED)

    emit(e.RunStarted(run="bench", trace="0" * 32, versions={}, task={}, agents=(WORKER,)))
    emit(e.StepsAdded(by="task", steps=steps))
    rules = Rules(limits=Limits(workers=workers, steps=len(steps), seconds=None))
    scheduler = Scheduler(state, emit, rules, lambda s: s.outcome.output)
    finished = await Dispatcher(scheduler, Nothing(), attempt_of, emit).run()
    assert finished.status != "cancelled"
    assert state.over


async def bare(steps: tuple[Step, ...], workers: int) -> None:
    """Run the graph with a task a step and a semaphore."""
    slots = asyncio.Semaphore(workers)
    waits = {step.id: len(step.needs) for step in steps}
    behind: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for name in step.needs:
            behind[name].append(step.id)
    tasks: set[asyncio.Task[None]] = set()
    over = asyncio.Event()
    left = len(steps)

    def start(name: str) -> None:
        task = asyncio.create_task(work(name))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def work(name: str) -> None:
        nonlocal left
        async with slots:
            await asyncio.sleep(0)
        left -= 1
        for waiter in behind[name]:
            waits[waiter] -= 1
            if not waits[waiter]:
                start(waiter)
        if not left:
            over.set()

    for step in steps:
        if not step.needs:
            start(step.id)
    await over.wait()


def cpu(run: object, steps: tuple[Step, ...], workers: int) -> float:
    """Give the CPU microseconds a step of one run."""
    began = time.process_time()
    anyio.run(run, steps, workers)  # pyright: ignore[reportArgumentType]
    return (time.process_time() - began) / len(steps) * 1e6


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="10000,100000")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    first = None
    for count in map(int, options.steps.split(",")):
        steps = layered(count)
        figures: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(options.rounds):
            figures["bare"].append(cpu(bare, steps, options.workers))
            figures["ours"].append(cpu(ours, steps, options.workers))
        mine, theirs = (statistics.median(figures[name]) for name in ("ours", "bare"))
        first = first or mine
        print(
            f"{count:>9,} steps: ours {mine:6.1f} µs a step, growth {mine / first:.2f}; bare {theirs:5.1f} µs; "
            f"ratio {mine / theirs:.1f}"
        )


if __name__ == "__main__":
    main()
