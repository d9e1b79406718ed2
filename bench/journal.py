"""The journal: an event appended and durable, by 100 producers; reading n events, in time and memory.

    python bench/journal.py [--events 20000] [--read 10000,100000,1000000]

Appending is compared with writing the same bytes in one process with no events at all (a bare `write` a line), reading
with `json.loads` a line. Aims: at most 50 µs a durable event; reading linear, its memory bounded by one line.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from itertools import count
from pathlib import Path

import anyio

from swarm.record import events as e
from swarm.record.journal import Journal, encode, read
from swarm.spec.chat import Usage, says
from swarm.spec.plan import Step

PRODUCERS = 100
TURN = e.TurnTaken(
    step="s1",
    attempt=1,
    messages=(says("assistant", "A sentence of an answer. " * 60),),
    usage=Usage(calls=1, input_tokens=1000, output_tokens=400),
    seconds=1.5,
    model="some-model",
    endpoint="http://127.0.0.1:8000/v1",
)
"""About 2 kB, as most are."""


async def append(path: Path, events: int) -> float:
    """Append from many producers with group commit; microseconds an event."""
    journal, numbers = Journal(path), count(1)

    async def produce() -> None:
        for _ in range(events // PRODUCERS):
            journal.append(TURN.model_copy(update={"seq": next(numbers)}))
            await anyio.lowlevel.checkpoint()

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        group.start_soon(journal.keep_synced)
        async with anyio.create_task_group() as producers:
            for _ in range(PRODUCERS):
                producers.start_soon(produce)
        group.cancel_scope.cancel()
    journal.close()
    return (time.perf_counter() - began) / events * 1e6


def bare(path: Path, events: int) -> float:
    """Write as many lines of as many bytes; microseconds a line."""
    line = encode(TURN)
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(events):
            file.write(line)
        os.fsync(file.fileno())
    return (time.perf_counter() - began) / events * 1e6


def write(path: Path, events: int) -> None:
    """Write a journal of small events, without a run."""
    with path.open("wb") as file:
        start = e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=())
        file.write(encode(start.model_copy(update={"seq": 1})))
        file.write(encode(e.StepsAdded(by="task", steps=(Step(id="s1"),), seq=2)))
        for seq in range(3, events + 1):
            file.write(encode(e.StepStarted(step="s1", attempt=seq, span="0" * 16, model="default", seq=seq)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--read", default="10000,100000,1000000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        ours = anyio.run(append, path, options.events)
        floor = bare(Path(folder) / "bare", options.events)
        print(f"append, {PRODUCERS} producers, group commit: {ours:.1f} µs an event, {ours / floor:.1f} × a bare write")
        for events in (int(word) for word in options.read.split(",")):
            write(path, events)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            began = time.process_time()
            seen = sum(1 for _ in read(path))
            took = (time.process_time() - began) / events * 1e6
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            began = time.process_time()
            with path.open("rb") as file:
                for line in file:
                    json.loads(line)
            ratio = took / ((time.process_time() - began) / events * 1e6)
            print(
                f"read {seen:>9,} events: {took:.1f} µs an event, {ratio:.1f} × json.loads, peak memory +{grown:.1f} MB"
            )
            path.unlink()


if __name__ == "__main__":
    main()
