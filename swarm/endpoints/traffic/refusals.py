"""Rate limits of one endpoint, and how many calls it admitted when each one came.

A call is *admitted* if it was sent and not refused. What was admitted is known only later, when the
last refusal of the same burst has arrived; so a rate limit is judged right before the next one, or
before the next call.

- A *burst* is rate limits of calls that began before the first of them arrived. It counts once.
- A *row* is rate limits without an answer, between them, to a call that began after the last one.
- An *episode* starts with a rate limit. It ends after `COOL_SECONDS`, as soon as a call that began
  after its last rate limit is answered.
- "Before" is since the rate limit before this one.
- A rate limit is *lone* if nine of ten other calls with as many in flight were admitted of late: it says nothing about
  how many are accepted. A provider with many servers refuses a few calls in a hundred at any time. Calls on the wire
  count as admitted if they last longer than a refusal takes.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from math import inf

import anyio

COOL_SECONDS = 15.0
"""Minimum seconds of an episode. What is answered in them was admitted before the rate limit."""
CLEARLY_FEWER = 0.8
"""Share of the calls in flight before, below which they are clearly fewer now.

Of two refusals by one number of slots, the second cannot have so few in flight, unless the number
the endpoint accepts fell."""
AS_MANY = 0.9
"""Share of the calls of a minute before, from which there are as many: clocks and calls differ."""
ROW = 3
"""Rate limits in a row that show a quota and not bad luck."""
RECENT = 64
"""Ended calls that tell whether a rate limit is lone."""
LEAST_PEERS, ADMITTED = 3, 0.9
"""Minimum of these without the call itself with as many in flight, and the share that must have been admitted."""
ROWS_OF, LONE_OF_ROW = 10, 2
"""Maximum of the last ten ended calls that a lone rate limit may be one of."""
LONE_SECONDS = 2.0
"""Maximum seconds that a lone rate limit asks to wait."""
ROW_SECONDS = 3.0
"""Minimum seconds of such a row: bad luck at a fast endpoint may be three within 0.1 s."""


class Case(IntEnum):
    """The cases of a rate limit, by their number in the table of `limit.py`."""

    TRIAL = 1
    PACE = 2
    QUOTA = 3
    AGAIN = 4
    FIRST = 5
    OTHER = 6


@dataclass
class _Load:
    """Calls that an endpoint had admitted."""

    calls: int = 0
    """Calls in flight."""
    minute: int = 0
    """Calls that began in the last minute."""
    at: float = -inf
    """When `calls` were in flight."""


@dataclass(frozen=True)
class Refusal:
    """A rate limit, and what the endpoint had admitted when it came."""

    calls: int
    """Calls in flight."""
    minute: int
    """Calls of the last minute."""
    first: bool
    """True if it is the first of its episode."""
    fewer: bool
    """True if `calls` is clearly less than before."""
    fewer_a_minute: bool
    """True if `minute` is clearly less than before."""
    repeats_a_minute: bool
    """True if `minute` is as many as it takes to be refused: a sign that minutes are counted."""

    @property
    def bad_time(self) -> bool:
        """Whether the endpoint admits less of everything: it is busy, or others use it as well."""
        return self.fewer and self.fewer_a_minute


class Refusals:
    """Counter of what an endpoint admits, between rate limits. It takes no decisions."""

    def __init__(self) -> None:
        self.last_at = -inf
        """When the last burst began."""
        self.seconds = 0.0
        """Seconds that its first refusal took."""
        self._most = _Load()
        """The most of each since the rate limit before."""
        self._pending: _Load | None = None
        """What was admitted when the last burst came, until it is judged."""
        self._sent = 0
        """Calls that were admitted since the last rate limit."""
        self._minute_before = 0
        """Calls of a minute at the rate limit before."""
        self._in_episode = False
        self._episode_from = -inf
        self._row = 0
        """Rate limits of this row."""
        self._row_from = self._row_before = -inf
        """When this row and the one before began."""
        self._ended: deque[tuple[int, bool]] = deque(maxlen=RECENT)
        """The last calls that ended: how many were in flight when each was sent, and whether it was admitted."""

    def ended(self, place: int, *, admitted: bool) -> None:
        """Note a call that was sent as one of `place` in flight."""
        self._ended.append((place, admitted))

    def admitted(self) -> None:
        """End the row: a call that began after the last rate limit lasts too long to be refused."""
        self._row = 0

    def is_lone(self, place: int, wait: float | None, lasting: list[int]) -> bool:
        """Return whether the refusal of such a call, noted already, is lone; `wait` is what it asks for.

        `lasting` are the places of the calls that last too long to be refused.
        """
        peers = [admitted for others, admitted in self._ended if others >= place]
        peers += [True for others in lasting if others >= place]
        known = len(peers) > LEAST_PEERS and sum(peers) >= ADMITTED * (len(peers) - 1)
        return known and self.is_short(wait)

    def is_short(self, wait: float | None) -> bool:
        """Return whether a refusal that asks to wait so long is no sign of a row."""
        refused = sum(not admitted for _, admitted in list(self._ended)[-ROWS_OF:])
        return refused <= LONE_OF_ROW and (wait or 0.0) <= LONE_SECONDS

    def sent(self, in_flight: int, minute: int) -> None:
        """Count a call that is being sent; `in_flight` and `minute` include it."""
        most = self._most
        if in_flight > most.calls:
            most.calls, most.at = in_flight, anyio.current_time()
        most.minute = max(most.minute, minute)
        self._sent += 1

    def answered(self, began: float) -> None:
        """Count an answer to a call that began at that time."""
        if began <= self.last_at:
            return
        self._row = 0
        if anyio.current_time() >= self._episode_from + COOL_SECONDS:
            self._in_episode = False

    def is_late(self, began: float) -> bool:
        """Return whether such a call is of a burst that is judged already: its refusal took longer."""
        return began <= self.last_at and self._pending is None

    def refused(self, began: float) -> bool:
        """Discount a call that was refused. Return True if that begins a new burst.

        Judge the last one then, before `note`.
        """
        self._sent -= 1
        self._most.minute -= 1
        if began <= self._most.at:
            self._most.calls -= 1
        if began > self.last_at:
            return True
        if self._pending is not None:
            self._pending.calls -= 1
            self._pending.minute -= 1
        return False

    def note(self, began: float, others: int, minute: int) -> None:
        """Note a new burst, by a call that began at that time, with so many others in flight."""
        self.last_at = anyio.current_time()
        self.seconds = self.last_at - began
        self._pending = _Load(others, minute)

    def judged(self) -> Refusal | None:
        """Return the last burst, once; None if there is none that is not judged yet."""
        if self._pending is None:
            return None
        calls, minute = max(0, self._pending.calls), max(0, self._pending.minute)
        self._pending = None
        first = not self._in_episode
        if first:
            self._in_episode, self._episode_from = True, self.last_at
        self._row += 1
        if self._row == 1:
            self._row_from, self._row_before = self.last_at, self._row_from
        refusal = Refusal(
            calls=calls,
            minute=minute,
            first=first,
            fewer=calls < CLEARLY_FEWER * self._most.calls,
            fewer_a_minute=minute < AS_MANY * self._most.minute,
            repeats_a_minute=self._repeats_a_minute(minute),
        )
        self._minute_before = minute
        if self._row == 1 or self._sent > 0:
            self._most = _Load(calls, minute, self.last_at)
        self._sent = 0
        return refusal

    def _repeats_a_minute(self, minute: int) -> bool:
        """Return whether the calls of the last minute are as many as it takes to be refused.

        Either a row is long enough for that, or it comes long after the one before and as many
        calls were admitted then.
        """
        if self._row >= ROW:
            lasts = self.last_at - self._row_from >= ROW_SECONDS
            return lasts and minute >= AS_MANY * self._most.minute
        apart = self.last_at - self._row_before >= COOL_SECONDS
        difference = abs(minute - self._minute_before)
        return self._row == 1 and apart and difference < (1 - AS_MANY) * self._minute_before
