"""What a call of a tool needs in addition to its grant: a person's yes, and room in the budget."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from swarm.spec.chat import ToolCall
from swarm.tools import Tool
from swarm.tools.approval import CallDecision


@dataclass
class Bill:
    """What a call costs."""

    usd: float
    """US dollars. It is the price of the call until its result says less."""


class Permits(Protocol):
    """The permits of the calls of one attempt."""

    def asks(self, tool: Tool) -> bool:
        """Return whether a person must allow each call of a tool."""
        ...

    def refused(self, call: ToolCall) -> bool:
        """Return whether a person did not allow a call."""
        ...

    async def decide(self, call: ToolCall, tool: Tool, *, may_have_run: bool) -> CallDecision:
        """Return a person's decision on a call of a tool that asks; wait for it. It is noted before it is returned."""
        ...

    async def reserve(self, usd: float) -> "Reserved":
        """Reserve the price of a call. Raise `LimitError` if it does not fit the limits of the run."""
        ...


class Reserved(Protocol):
    """Money that is held for a call."""

    def settle(self, usd: float) -> None:
        """Charge what the call cost, and release the rest."""
        ...


class Permitted:
    """Permits outside of a run: nobody is asked, and nothing is counted."""

    def asks(self, tool: Tool) -> bool:
        """Return false."""
        del tool
        return False

    def refused(self, call: ToolCall) -> bool:
        """Return false."""
        del call
        return False

    async def decide(self, call: ToolCall, tool: Tool, *, may_have_run: bool) -> CallDecision:
        """Allow the call."""
        del call, tool, may_have_run
        return CallDecision("yes")

    async def reserve(self, usd: float) -> Reserved:
        """Reserve nothing."""
        return _Unlimited(usd)


@dataclass(frozen=True)
class _Unlimited:
    usd: float

    def settle(self, usd: float) -> None:
        """Charge nothing."""


@asynccontextmanager
async def billed(permits: Permits, tool: Tool) -> AsyncGenerator[Bill]:
    """Reserve the price of a call around it, and charge what it cost. Raise `LimitError` before the call.

    A call that is cut off is charged in full: it may have been billed.
    """
    bill = Bill(tool.price)
    if not tool.price:
        yield bill
        return
    held = await permits.reserve(tool.price)
    try:
        yield bill
    finally:
        held.settle(bill.usd)
