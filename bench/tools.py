"""A hundred agents with one call each at one MCP server.

    python bench/tools.py

Measured is the whole run: opening the server, prompts, two model calls an agent, tool calls, journal, report. Compared
with a bare loop that opens the same server and makes the same calls over one session at once, and with the same run
without tools; all in turns, median of `REPEATS`. Aimed at: below three times the bare loop, which records nothing and
asks no model.
"""

import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

import swarm
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.servers import Server
from swarm.spec.task import Model, Task
from swarm.testing import Function, reply

ROOT = Path(__file__).parent.parent
SERVER = str(ROOT / "tests" / "servers.py")
AGENTS = 100
REPEATS = 3


def main() -> None:
    """Print the table."""
    rows: list[tuple[float, float, float]] = []
    for _ in range(REPEATS):
        with TemporaryDirectory() as folder:
            bare = anyio.run(_bare, folder)
        rows.append((bare, anyio.run(_run, True), anyio.run(_run, False)))
    bare, with_calls, without = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"{AGENTS} agents, one server, one call each; median of {REPEATS}")
    print(f"bare loop, opening included        {bare:6.2f} s")
    print(f"run with calls, opening included   {with_calls:6.2f} s   {with_calls / bare:5.2f} of the bare loop")
    print(f"the same run without tools         {without:6.2f} s   {with_calls / without:5.2f} is the ratio to it")


async def _bare(folder: str) -> float:
    from mcp import Client, StdioServerParameters

    parameters = StdioServerParameters(command=sys.executable, args=[SERVER, folder])
    start = time.perf_counter()
    async with Client(parameters) as client:
        await client.list_tools()
        async with anyio.create_task_group() as calls:
            for n in range(AGENTS):
                calls.start_soon(client.call_tool, "find", {"word": f"w{n}"})
    return time.perf_counter() - start


async def _run(calls: bool) -> float:
    """Run the task once and return its seconds. Without `calls`, the server is not opened."""
    with TemporaryDirectory() as folder:
        steps = tuple(Step(id=f"s{n}", prompt=f"Ask for w{n}.") for n in range(AGENTS))
        server = Server(command=(sys.executable, SERVER, folder), box=False, tools={"find": "read"})
        task = Task(
            goal="Ask.",
            models={"default": Model(endpoint="offline")},
            plan=Plan(steps=steps),
            folder=Path(folder),
            tools=("notes",) if calls else (),
            mcp={"notes": server},
        )
        start = time.perf_counter()
        result = await swarm.run(task, endpoint=Function(_answer), cache=False, runs=Path(folder) / "runs")
        seconds = time.perf_counter() - start
        found = Path(folder) / "found"
        made = len(found.read_text().splitlines()) if found.exists() else 0
        assert result.status == "done", result.errors
        assert made == (AGENTS if calls else 0), f"{made} calls reached the server"
        return seconds


def _answer(request: Request) -> Any:
    last = request.messages[-1]
    if request.tools and last.role == "user" and len(request.messages) == 2:
        return reply(calls=[("notes__find", {"word": f"w{abs(hash(last.text)) % 10**9}"})])
    return "done"


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
