"""What a simulated step costs: microseconds a step, its growth from 1,000 to 100,000 steps, and peak memory.

    python bench/simulate.py [--steps 1000,10000,100000] [--workers 64] [--rounds 3]

The graph is layered, about 200 wide, with log-normal durations; each step needs one to three of the layer before. Each
size is simulated in a process of its own, so that the peak memory is its own, the graph included; the time is CPU, the
median of the rounds. The aim for 100,000 steps is 5 s. The same shell without a scheduler, a heap of times alone, is
measured in the same run: it is what the decisions and the facts are compared with.
"""

import argparse
import heapq
import json
import resource
import statistics
import subprocess
import sys
import time
from random import Random

from swarm.forecast.simulate import Course, simulate
from swarm.spec.plan import Step

WIDTH = 200


def layered(count: int) -> tuple[Step, ...]:
    """Draw the graph."""
    random = Random(1)
    made: list[Step] = []
    before: list[str] = []
    layer: list[str] = []
    for n in range(count):
        needs = random.sample(before, min(len(before), random.randint(1, 3)))
        made.append(Step(id=f"s{n}", needs=tuple(needs), seconds=random.lognormvariate(0, 0.8)))
        layer.append(f"s{n}")
        if len(layer) >= WIDTH:
            before, layer = layer, []
    return tuple(made)


def bare(steps: tuple[Step, ...], workers: int) -> float:
    """Schedule the graph by a heap of times and counts of what each step waits for; give the makespan."""
    waits = {step.id: len(step.needs) for step in steps}
    behind: dict[str, list[Step]] = {step.id: [] for step in steps}
    for step in steps:
        for name in step.needs:
            behind[name].append(step)
    ready = [(n, step.id, step) for n, step in enumerate(steps) if not step.needs]
    due: list[tuple[float, str]] = []
    t, order = 0.0, len(steps)
    while ready or due:
        while ready and len(due) < workers:
            _, name, step = heapq.heappop(ready)
            heapq.heappush(due, (t + (step.seconds or 0.0), name))
        t, name = heapq.heappop(due)
        for step in behind[name]:
            waits[step.id] -= 1
            if not waits[step.id]:
                order += 1
                heapq.heappush(ready, (order, step.id, step))
    return t


def measure(count: int, workers: int, rounds: int) -> dict[str, float]:
    """Simulate one size in this process."""
    steps = layered(count)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        began = time.process_time()
        simulate(Course(steps), workers=workers)
        ours.append(time.process_time() - began)
        began = time.process_time()
        bare(steps, workers)
        theirs.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": statistics.median(ours), "bare": statistics.median(theirs), "mib": peak}


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="1000,10000,100000")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.workers, options.rounds)))
        return
    first = None
    for count in map(int, options.steps.split(",")):
        command = [sys.executable, __file__, "--one", str(count), "--workers", str(options.workers)]
        done = subprocess.run([*command, "--rounds", str(options.rounds)], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        each = found["seconds"] / count * 1e6
        first = first or each
        print(
            f"{count:>9,} steps {found['seconds']:7.2f} s {each:6.1f} µs a step, growth {each / first:.2f}, "
            f"peak {found['mib']:.0f} MiB; a bare heap {found['bare'] / count * 1e6:.1f} µs, ratio "
            f"{found['seconds'] / found['bare']:.1f}"
        )


if __name__ == "__main__":
    main()
