"""Where the time of a request goes: seconds on the wire, and seconds of waiting by cause.

The clock of a request travels with its account, so that whoever lets the request wait can say why.
Of several things at the same time one counts: a call on the wire, else the wait that began last. So
the seconds of all causes never exceed those of the request.
"""

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from swarm.record.signals import Doing, Teller
from swarm.spec.chat import Request

Cause = Doing
"""`slots` of the endpoint or the model, or a shared prefix that another call reads first; a `rate_limit` or an
overload; a pause before a `retry`; space in the `budget`; `wire`: no waiting, the call is being answered."""
WIRE: Cause = "wire"


class RequestClock:
    """The seconds of one request, by cause."""

    def __init__(self, teller: Teller | None = None) -> None:
        self.teller = Teller() if teller is None else teller
        """Tells whoever watches what the request does."""
        self._seconds: dict[Cause, float] = {}
        self._open: list[Cause] = []
        self._turned_at = 0.0

    @property
    def waited(self) -> dict[str, float]:
        """Seconds of waiting by cause, without those on the wire."""
        return {cause: spent for cause, spent in self._seconds.items() if cause != WIRE and spent > 0}

    @contextmanager
    def spent(self, cause: Cause) -> Generator[None]:
        """Count the seconds of the block under a cause."""
        self._turn()
        before = self._cause
        self._open.append(cause)
        self._tell(before)
        try:
            yield
        finally:
            self._turn()
            before = self._cause
            self._open.remove(cause)
            self._tell(before)

    @property
    def _cause(self) -> Cause | None:
        """What counts now."""
        if not self._open:
            return None
        return WIRE if WIRE in self._open else self._open[-1]

    def _tell(self, before: Cause | None) -> None:
        cause = self._cause
        if cause != before:
            self.teller.turned(cause)

    def _turn(self) -> None:
        """Count the seconds since the last turn under what was open."""
        now, cause = anyio.current_time(), self._cause
        if cause is not None:
            self._seconds[cause] = self._seconds.get(cause, 0.0) + now - self._turned_at
        self._turned_at = now


def clock_of(request: Request) -> RequestClock:
    """Return the clock of the account that pays for a request; a new one if nobody does."""
    found = getattr(request.account, "clock", None)
    return found if isinstance(found, RequestClock) else RequestClock()
