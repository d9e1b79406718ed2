"""What a model call costs this process, ours against the client library as it comes: CPU milliseconds, same run.

    python bench/calls.py [--calls 1000] [--flight 100] [--rounds 5] [--history 0]

A fake endpoint answers in a process of its own after `--delay` seconds, so that the calls overlap. The rounds of the
two alternate; the medians and their ratio are printed. The aim is a ratio of 0.5, the stretch 0.35.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio

from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.spec.chat import Request, says
from swarm.spec.task import Model

Call = Callable[[], Awaitable[Any]]


async def spend(call: Call, *, calls: int, flight: int) -> tuple[float, float]:
    """Make the calls, `flight` at a time; CPU milliseconds and wall seconds."""
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await call()

    wall, cpu = time.perf_counter(), time.process_time()
    async with anyio.create_task_group() as group:
        for _ in range(flight):
            group.start_soon(worker)
    return (time.process_time() - cpu) * 1000 / calls, time.perf_counter() - wall


async def measure(url: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Alternate the two for as many rounds as asked."""
    from openai import AsyncOpenAI

    history = [says("user", f"question {n}") for n in range(options.history)]
    request = Request(model="default", messages=(says("system", "Be brief."), *history, says("user", "hi")))
    messages: Any = [{"role": message.role, "content": message.text} for message in request.messages]
    figures: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(AsyncOpenAI(base_url=url, api_key="-"))
        plain = await stack.enter_async_context(OpenAIEndpoint(Model(endpoint=url, name="m")))
        streamed = await stack.enter_async_context(OpenAIEndpoint(Model(endpoint=url, name="m", stream=True)))

        async def stream_theirs() -> None:
            async for _ in await theirs.chat.completions.create(model="m", messages=messages, stream=True):
                pass

        rows: dict[str, Call] = {
            "theirs": lambda: theirs.chat.completions.create(model="m", messages=messages),
            "ours": lambda: plain.complete(request),
        }
        if options.stream:
            rows |= {"theirs, streamed": stream_theirs, "ours, streamed": lambda: streamed.complete(request)}
        for call in rows.values():
            await spend(call, calls=options.flight, flight=options.flight)
        for _ in range(options.rounds):
            for name, call in rows.items():
                cpu, _ = await spend(call, calls=options.calls, flight=options.flight)
                figures.setdefault(name, []).append(cpu)
    return figures


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--flight", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--history", type=int, default=0, help="messages before the last")
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--answer", default="hello", help="what the endpoint says; long ones make long streams")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--url", help="of a server that is running; by default one is started")
    options = parser.parse_args()
    command = [sys.executable, "-m", "swarm.testing.server", "--delay", str(options.delay), "--answer", options.answer]
    server = None if options.url else subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = options.url or (server.stdout.readline().strip() if server and server.stdout else "")
        figures = anyio.run(measure, url, options)
    finally:
        if server:
            server.terminate()
            server.wait()
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, values in figures.items():
        print(f"{name:18} {medians[name]:6.2f} ms  ({min(values):.2f}–{max(values):.2f}, {options.flight} in flight)")
    for name in [name for name in medians if name.startswith("ours")]:
        print(f"ratio, {name}: {medians[name] / medians[name.replace('ours', 'theirs')]:.2f}")


if __name__ == "__main__":
    main()
