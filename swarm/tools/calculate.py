"""The kit `calculate`: sums and small programs in a subset of Python, in a process of its own without anything else.

It needs no sandbox of the system: the interpreter (pydantic-monty) has no files, no network, no
processes and no modules of Python's. Each call is a fresh program: nothing stays.
"""

import os
from typing import Any

import anyio
import anyio.to_thread

from swarm.base.errors import ToolError
from swarm.base.redaction import safe_text
from swarm.tools.functions import tool
from swarm.tools.kinds import Tool, ToolContext, ToolResult, words
from swarm.tools.kit import Kit, Opening, offered

SECONDS = 10.0
"""Maximum seconds of a program."""
MEMORY_BYTES = 256_000_000
MOST_PRINTED = 1_000_000
"""Maximum bytes that a program may print."""
POLICY: Any = {"random_start": {"seed": 0}, "sleep": "zero"}
"""The same program gives the same result, and does not sleep."""
MOST_VALUE = 20_000
"""Maximum characters of the value of its last expression."""


@tool(name="calculate")
async def _calculate(code: str) -> str:
    """Calculate with a small Python program. Print what you want to see, or end with an expression.

    For exact sums, dates, counting, text and lists. It has math, re, json and datetime. It has no pandas, numpy,
    statistics, io, files, network, classes with inheritance or yield. Nothing stays from call to call.

    Args:
        code: the program
    """
    return code


class CalculateKit(Kit):
    """The kit: a few processes that all steps share, opened with the run."""

    name = prefix = "calculate"

    def __init__(self) -> None:
        self._pool: Any = None
        self._limiter: anyio.CapacityLimiter | None = None
        made = Tool(
            _calculate.spec,
            self._run,
            check=_calculate.check,
            seconds=600.0,
            stable=True,
            shared=False,
            alone="no",
            kit="calculate",
            version=_version(),
        )
        self.tools = (made,)
        self.offers = offered(self.tools)

    def problem(self) -> str | None:
        """Return what is missing."""
        if _version():
            return None
        return 'calculate needs pydantic-monty\nhint: pip install "local-agent-swarm[sandbox]"'

    async def open(self, opening: Opening) -> None:
        """Start the processes."""
        del opening
        await self._opened()

    async def _opened(self) -> Any:
        if self._pool is None:
            count = min(4, os.cpu_count() or 1)
            self._pool = await anyio.to_thread.run_sync(_started, count)
            self._limiter = anyio.CapacityLimiter(count)
        return self._pool

    async def close(self) -> None:
        """End the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await anyio.to_thread.run_sync(pool.__exit__, None, None, None)

    async def _run(self, text: str, context: ToolContext) -> ToolResult:
        code = str(await _calculate.run(text, context))
        pool = await self._opened()
        # Cancellation point: the program has a limit of its own, and its thread is left behind.
        said = await anyio.to_thread.run_sync(_run, pool, code, abandon_on_cancel=True, limiter=self._limiter)
        return ToolResult((words("calculate", said),))


def _version() -> str:
    """Return the version of the interpreter; empty if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pydantic-monty")
    except PackageNotFoundError:
        return ""


def _started(count: int) -> Any:
    from pydantic_monty import Monty

    pool = Monty(min_processes=1, max_processes=count, request_timeout=2 * SECONDS)
    return pool.__enter__()


def _run(pool: Any, code: str) -> str:
    """Run a program and return what it printed and its value. Raise `ToolError`, worded for the model."""
    from pydantic_monty import CollectString, MontyError

    printed = CollectString(MOST_PRINTED)
    limits = {"max_feed_duration_secs": SECONDS, "max_memory": MEMORY_BYTES}
    try:
        with pool.checkout(script_name="code.py", limits=limits, os_policy=POLICY) as session:
            value = session.feed_run(code, print_callback=printed)
    except MontyError as error:
        raise ToolError(safe_text(f"{printed.output}\n{error}".strip())[-MOST_VALUE:]) from error
    shown = [safe_text(printed.output).strip("\n")]
    if value is not None:
        shown.append(safe_text(repr(value))[:MOST_VALUE])
    return "\n".join(part for part in shown if part) or "(no output)"
