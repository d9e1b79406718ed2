"""Calls that wait for room in the ledger of a run.

No call waits for ever. A call that holds a reservation is being sent or waits for a slot; a call
that holds a slot has its reservation already, and ends by its deadline. Waiting calls are served in
order, so that small calls cannot overtake a large one for ever.
"""

from collections import deque
from dataclasses import dataclass, field

import anyio

from swarm.base.errors import LimitError, NoRoomError, TooLargeError
from swarm.budget.ledger import Amount, Ledger, LimitName, Reservation
from swarm.endpoints.account import Account
from swarm.spec.tariff import usd_of


@dataclass(eq=False)
class _Waiter:
    worst: Amount
    report: bool
    served: anyio.Event = field(default_factory=anyio.Event)
    reservation: Reservation | None = None


class BudgetQueue:
    """A ledger, and the calls that wait for space in it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._waiters: deque[_Waiter] = deque()
        self._settled = anyio.Event()

    async def reserve(self, worst: Amount, *, report: bool = False) -> Reservation:
        """Return a reservation. Wait for calls in flight if that may help, else raise `LimitError`."""
        if not self._waiters:
            reservation = self.ledger.reserve(worst, report=report)
            if reservation is not None:
                return reservation
        waiter = _Waiter(worst, report)
        self._waiters.append(waiter)
        self._serve()
        try:
            await waiter.served.wait()
        except BaseException:
            # Cancelled while it waited, or right after it was served: release what it holds.
            self._leave(waiter)
            raise
        if waiter.reservation is None:
            raise self._refusal(worst, report=report)
        return waiter.reservation

    def take_over(self, account: Account, worst: Amount) -> Reservation | None:
        """Return the reservation of a call in place of the one that was made before it was sent, if that fits."""
        held, account.held = account.held, None
        if not isinstance(held, Reservation):
            return None
        held.release()
        return self.ledger.reserve(worst, report=account.report)

    def give_back(self, account: Account) -> None:
        """Release what was reserved before a request was sent, if it was not sent."""
        held, account.held = account.held, None
        if isinstance(held, Reservation):
            self.settle(held, Amount())

    async def settled(self) -> None:
        """Wait until the next call in flight is settled."""
        await self._settled.wait()

    def settle(self, reservation: Reservation, used: Amount) -> None:
        """Charge the usage of a call, and serve calls that wait for the rest of its reservation."""
        reservation.settle(used)
        self._settled.set()
        self._settled = anyio.Event()
        self._serve()

    def _serve(self) -> None:
        """Serve waiting calls in order; refuse those that cannot fit even with no call in flight."""
        while self._waiters:
            first = self._waiters[0]
            if self.ledger.exceeded(first.worst, report=first.report) is None:
                first.reservation = self.ledger.reserve(first.worst, report=first.report)
                if first.reservation is None:
                    return
            self._waiters.popleft()
            first.served.set()

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.reservation is not None:
            self.settle(waiter.reservation, Amount())
        elif waiter in self._waiters:
            self._waiters.remove(waiter)
            self._serve()

    def _refusal(self, worst: Amount, *, report: bool) -> LimitError:
        """Return the error of a call that does not fit: never, or not any more."""
        limit = self.ledger.exceeded(worst, report=report) or next(iter(self.ledger.pots))
        pot = self.ledger.pots[limit]
        value = usd_of(pot.limit) if limit == "usd" else pot.limit
        kept = ""
        if pot.kept and not report:
            kept = f", {_shown(limit, pot.kept)} reserved for the report"
        facts = f"limit {_shown(limit, pot.limit)}, spent {_shown(limit, pot.spent)}{kept}"
        needed, available = worst.of(limit), max(0, pot.most(report=report))
        message = (
            f"limits.{limit} is too small: the next call may use up to {_shown(limit, needed)}; "
            f"available: {_shown(limit, available)} ({facts})\n"
            f"hint: continue with a higher limit, `swarm resume … --limit {limit}=…`"
        )
        if not self.ledger.too_large(worst, report=report):
            return NoRoomError(message, limit=limit, value=value)
        message += ", or lower `max_tokens`, or let the step read less"
        return TooLargeError(message, limit=limit, value=value)


def _shown(limit: LimitName, count: int) -> str:
    return f"${usd_of(count):,.4f}" if limit == "usd" else f"{count:,} tokens"
