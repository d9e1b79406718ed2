"""One plan, N workers of 1.0 s, one report: the makespan over its ideal, ours and that of the bare client library.

    python bench/wide.py [--steps 100] [--delay 1.0] [--rounds 3]

A fake endpoint answers each call after `--delay` seconds, in a process of its own. Ideal is the time the planner took
plus one delay plus the time the reducer took, all N calls being in flight at once. The same shape of calls through
`AsyncOpenAI().chat.completions.create` as it comes is measured in the same run, against three delays. The aim for
N = 100 is at most 1.15 where the model states `calls`; the library by itself takes about 1.20. An endpoint of which
nothing is known is tried from 16 calls on, in a first run: that is the second figure.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio

from swarm.base.values import Json
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.journal import read
from swarm.spec.plan import PLAN_STEP
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Answer, FakeServer, Received


async def serve(steps: int, delay: float) -> None:
    """Answer the planner with a plan of independent steps, everybody else with a word; then tell the peak."""
    listed: list[dict[str, Json]] = [{"id": f"s{n}", "prompt": f"Say {n}.", "inputs": []} for n in range(steps)]
    plan = json.dumps({"steps": listed})

    def respond(received: Received) -> Answer:
        return Answer(plan if b'"json_schema"' in received.raw else "ok", delay=delay)

    async with FakeServer(respond=respond) as server:
        print(server.url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
        print(server.peak, flush=True)


@contextmanager
def server(steps: int, delay: float) -> Generator[subprocess.Popen[str]]:
    """Run the server in a process of its own."""
    command = [sys.executable, __file__, "--serve", "--steps", str(steps), "--delay", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


async def ours(steps: int, delay: float, *, calls: int | None) -> tuple[float, float, int]:
    """Run the task, with so many `calls` stated; give its seconds, its ideal seconds, and the most calls in flight."""
    with tempfile.TemporaryDirectory() as folder, server(steps, delay) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        model = Model(endpoint=url, name="fake", calls=calls)
        limits = Limits(workers=steps, steps=steps + 10)
        task = Task(goal="Many at once.", models={"default": model}, limits=limits, folder=Path(folder))
        async with Run(task, options=Options(cache=False)) as run:
            pass
        assert run.result.status == "done", run.result
        peak = int(process.communicate("")[0])
        events = list(read(RunFolder(run.folder.path).journal))
    spans = {name: sum((s.end or 0) - s.start for s in state.spans) for name, state in run.state.steps.items()}
    report = run.state.report_step or ""
    began = next(event.t for event in events if isinstance(event, e.RunStarted))
    return events[-1].t - began, spans[PLAN_STEP] + delay + spans[report], peak


async def bare(steps: int, delay: float) -> float:
    """Make the same calls through the client library as it comes; give the seconds."""
    from openai import AsyncOpenAI

    with server(steps, delay) as process:
        assert process.stdout is not None
        client = AsyncOpenAI(base_url=process.stdout.readline().strip(), api_key="none")

        async def call() -> None:
            await client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "Say it."}])

        began = time.perf_counter()
        await call()
        async with anyio.create_task_group() as tasks:
            for _ in range(steps):
                tasks.start_soon(call)
        await call()
        seconds = time.perf_counter() - began
        await client.close()
        process.communicate("")
    return seconds


async def measure(steps: int, delay: float, rounds: int) -> None:
    """Alternate the two and print the medians."""
    ratios: list[float] = []
    library: list[float] = []
    peaks: list[int] = []
    unknown: list[tuple[float, int]] = []
    for _ in range(rounds):
        seconds, ideal, peak = await ours(steps, delay, calls=steps)
        ratios.append(seconds / ideal)
        peaks.append(peak)
        library.append(await bare(steps, delay) / (3 * delay))
        seconds, ideal, found = await ours(steps, delay, calls=None)
        unknown.append((seconds / ideal, found))
    print(f"N = {steps}, {delay:g} s a call, median of {rounds}")
    print(f"  ours: {statistics.median(ratios):.3f} × ideal (worst {max(ratios):.3f}), {min(peaks)} calls in flight")
    first = statistics.median(ratio for ratio, _ in unknown)
    print(f"  an endpoint of which nothing is known: {first:.3f} × ideal, {max(peak for _, peak in unknown)} in flight")
    print(f"  the client library as it comes: {statistics.median(library):.3f} × ideal")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--delay", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        anyio.run(serve, options.steps, options.delay)
    else:
        anyio.run(measure, options.steps, options.delay, options.rounds)


if __name__ == "__main__":
    main()
