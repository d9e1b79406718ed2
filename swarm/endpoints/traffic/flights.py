"""Flights: the calls of one endpoint that are on the wire, their places, and deadlines that count from their turn.

A server that queues answers a call late because of the calls before it, and works on for a caller
who has given up. Giving up and asking again then loses one's place and the work that was done. So a
deadline counts from a call's *turn*: each answer to a call that was sent earlier renews it in full.
A call that hangs is given up one deadline after all before it are gone, and every call after
`MOST_DEADLINES`, so that what is reserved for it comes back.

"Earlier" is by number, not by time: calls of one instant have equal times.

To renew all later flights at each answer costs O(flights). So a flight is renewed again after an
eighth of its deadline only: until then it is *fresh*, and after that *due*. Due flights are kept by
number, so that an answer finds those that were sent later, and leaves the others alone. A deadline
may end by that eighth too early, and never later.
"""

import heapq
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from math import inf

import anyio

MOST_DEADLINES = 4
"""Maximum seconds of one call, in deadlines."""
FRESH = 0.125
"""Share of a deadline for which a flight is not renewed again."""
_KEPT = 64
"""Entries of flights that are over, which are kept at least."""


@dataclass(eq=False)
class Flight:
    """A call on the wire."""

    number: int
    """Order of sending."""
    at: float
    """When it was sent."""
    place: int
    """Calls in flight when it was sent, itself included."""
    seconds: float
    """Its deadline, in seconds, from its turn."""
    scope: anyio.CancelScope
    turn: float
    """When its deadline began to count: when it was sent, or at the last answer to an earlier call."""
    is_late: bool = False
    """Whether it timed out because too much was in flight."""

    @property
    def others(self) -> int:
        """Other calls in flight when it was sent."""
        return self.place - 1


@dataclass
class Flights:
    """The calls of one endpoint that are on the wire."""

    last: int = 0
    """Number of the newest call."""
    answered: int = 0
    """Highest number of a call that was answered."""
    _open: dict[int, Flight] = field(default_factory=dict[int, Flight])
    _fresh: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """A heap of when which flight is due."""
    _due: list[int] = field(default_factory=list[int])
    """Numbers of the flights that an answer to an earlier one renews, in order."""

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, seconds: float, left: float | None = None) -> Flight:
        """Add a call that is being sent, with a deadline of `seconds`, of which the first may be shorter: `left`.

        Run it inside of its `scope`.
        """
        now = anyio.current_time()
        self.last += 1
        scope = anyio.CancelScope(deadline=now + (seconds if left is None else left))
        flight = Flight(self.last, now, len(self._open) + 1, seconds, scope, now)
        self._open[flight.number] = flight
        heapq.heappush(self._fresh, (now + FRESH * seconds, flight.number))
        return flight

    def end(self, flight: Flight, *, answered: bool) -> None:
        """Remove a call. An answer renews the deadlines of the calls that were sent after it."""
        self._open.pop(flight.number, None)
        if answered:
            self.answered = max(self.answered, flight.number)
            self._renew(flight.number, anyio.current_time())

    def is_passed(self, flight: Flight) -> bool:
        """Whether a flight takes long by itself: a later one has been answered, or no earlier one is left."""
        return self.answered > flight.number or next(iter(self._open), flight.number) >= flight.number

    def lasting(self, seconds: float, *, since: float = -inf) -> list[int]:
        """Return the places of the calls that were sent after `since`, and last for as long at least."""
        before = anyio.current_time() - seconds
        return [each.place for each in self._open.values() if since < each.at <= before]

    def overtaken(self, seconds: float) -> float:
        """Return what calls have waited that wait for more than `seconds` while later ones are answered, added up."""
        before = anyio.current_time() - seconds
        late = [each.at for each in self._open.values() if each.at < before and each.number < self.answered]
        return len(late) * (before + seconds) - sum(late)

    def _renew(self, number: int, now: float) -> None:
        """Renew the deadlines of the flights that were sent after one that was answered."""
        while self._fresh and self._fresh[0][0] <= now:
            due = heapq.heappop(self._fresh)[1]
            if due in self._open:
                insort(self._due, due)
        first = bisect_right(self._due, number)
        for later in self._due[first:]:
            flight = self._open.get(later)
            if flight is not None:
                flight.turn = now
                flight.scope.deadline = min(now + flight.seconds, flight.at + MOST_DEADLINES * flight.seconds)
                heapq.heappush(self._fresh, (now + FRESH * flight.seconds, later))
        del self._due[first:]
        self._tidy()

    def _tidy(self) -> None:
        """Forget the flights that are over, once they are the most of what is kept."""
        most = 2 * len(self._open) + _KEPT
        if len(self._due) > most:
            self._due = [number for number in self._due if number in self._open]
        if len(self._fresh) > most:
            self._fresh = [each for each in self._fresh if each[1] in self._open]
            heapq.heapify(self._fresh)
