"""The permits of an attempt's tool calls: a person's yes, and room in the limits of the run."""

from dataclasses import dataclass

from swarm.attempt.permits import Reserved
from swarm.attempt.types import Attempt, Note
from swarm.budget.ledger import Amount, Reservation
from swarm.budget.queue import BudgetQueue
from swarm.executors.approvals import Approvals
from swarm.spec.chat import ToolCall
from swarm.spec.tariff import picos_of
from swarm.tools import Tool
from swarm.tools.approval import CallDecision


@dataclass(frozen=True)
class CallPermits:
    """The permits of one attempt."""

    attempt: Attempt
    note: Note
    approvals: Approvals
    queue: BudgetQueue
    report: bool
    """Whether the attempt may use what is reserved for the report."""

    def asks(self, tool: Tool) -> bool:
        """Return whether a person must allow each call of a tool."""
        return self.approvals.asks(tool)

    def refused(self, call: ToolCall) -> bool:
        """Return whether a person did not allow a call."""
        return self.approvals.refused(self.attempt.step.id, call)

    async def decide(self, call: ToolCall, tool: Tool, *, may_have_run: bool) -> CallDecision:
        """Return a person's decision on a call; wait for it. It is noted before it is returned."""
        return await self.approvals.decide(self.attempt, call, tool, self.note, may_have_run=may_have_run)

    async def reserve(self, usd: float) -> Reserved:
        """Reserve the price of a call. Wait for calls in flight if that may help, else raise `LimitError`."""
        held = await self.queue.reserve(Amount(picos=picos_of(usd)), report=self.report)
        return _Held(self.queue, held)


@dataclass(frozen=True)
class _Held:
    """The price of a call that is in flight."""

    queue: BudgetQueue
    reservation: Reservation

    def settle(self, usd: float) -> None:
        """Charge what the call cost, and serve calls that wait for the rest."""
        self.queue.settle(self.reservation, Amount(picos=picos_of(usd)))
