"""How much one endpoint takes, with one key: not known before, so found out while it works.

It may limit how many calls are in flight, or how many begin in a minute, or both; a 429 does not say which. For the
one there are slots, by additive growth and multiplicative cuts (AIMD; Chiu and Jain 1989), on an
`anyio.CapacityLimiter`; for the other there is a pace (`pace.py`).

| seen | done |
| --- | --- |
| a clean round: as many answers as slots | twice as many slots; after the first rate limit 5 % more, at least one |
| … in which less than 80 % of the slots were in use at once | nothing: a limit that is not reached says nothing |
| more slots than before | each answer opens two: a refusal comes before all of them are used |
| a rate limit (429) | slots × 0.8, or what was let in where that is less, down to 8 |
| … for 15 s after it, or as long as the endpoint says | answers do not count |
| … in the round after a growth | the growth is taken back to what was let in, and no more: it was a trial |
| … of a call that began before the last one came | nothing: it is the same burst, and was not let in |
| … again, in one episode, with as many in flight | slots down to those |
| … three in a row, in 3 s or more, with a fifth less in flight than at first, and as many in the last minute | it \
counts calls by the minute: the episode's cuts are taken back, and the pace is what was let in in that one, 8 at least |
| … 15 s after the last row, with a fifth less in flight, and as many in the last minute as then | the same |
| … with a fifth less in flight, and fewer in the last minute | nothing: it has a bad time, or others use it as well |
| … with a pace, and nine tenths of it let in | the pace is what was let in during the last minute |
| an overload | no cut; 15 s in which answers do not count |
| any other fault | nothing: it says nothing about how many are too many |
| growth would reach the width that last was too much | one slot less than that, for a minute; then it is tried again |
| a clean round at that width | it was not too much after all: twice as many slots, as at first |

An episode is over after 15 s, once a call that began after its last rate limit is answered. "Before" is since the rate
limit before. What is taken for the wrong one of the two is mended: a pace that is too low is raised after a minute
(`pace.py`), slots that are too few by the last two rows, and while one of them is too many the next 429 says which.

A change of slots is told with its reason, and so is a pace: where it is learnt, falls, or has risen by a tenth.

**Where it starts.** At `calls`, which is the most, too. Where a model does not say, a run starts at its `workers`, the
most that it can use: an endpoint that never says 429 never slows it down. That is a guess. Where it is wrong, what was
let in of that first burst is what is left, 8 at least: a hundred workers at an endpoint for ten cost one burst, not
eleven cuts 15 s apart. Without `workers` the start is 8.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf

import anyio

from swarm.endpoints.traffic.bucket import Permit
from swarm.endpoints.traffic.pace import Pace
from swarm.record.events import SlotsChanged

START = 8
"""Slots at first where nobody says how many; and the least that a first burst leaves: a quota that others had used up
lets in none at all."""
KEEPS = 0.8
"""What a cut leaves; and the share of what was let in before that is clearly less: of two refusals by one width, the
second cannot have so few in flight, unless the width fell."""
GROWS = 0.05
"""What a clean round adds."""
USED = 0.8
"""Share of the slots that must have been in use at once for a round to count."""
PACED = 0.9
"""Share of what was let in in a minute that is as much: clocks, and what calls cost, differ a little."""
ROW = 3
"""Rate limits in a row that tell a quota from bad luck; or two rows apart after as many calls in a minute."""
ROW_SECONDS = 3.0
"""How long such a row lasts, at least: bad luck at a fast endpoint may be three in a tenth of a second."""
OPENS = 2
"""Slots more that an answer opens: a growth to twice as many is open when half of its round is over."""
COOL_SECONDS = 15.0
"""How long answers do not count after a rate limit, at least: what is answered then was let in before it."""
HOLD_SECONDS = 60.0
"""How long a width that was too much is not tried again: quotas are counted by the minute."""

Emit = Callable[[SlotsChanged], object]


@dataclass
class _Load:
    """What an endpoint had let in."""

    calls: int = 0
    """Calls in flight."""
    minute: int = 0
    """Calls that began in the last minute."""
    at: float = -inf
    """When so many were in flight."""


class Limit:
    """The slots and the pace of one endpoint with one key; enter it for each call.

    `async with limit:` waits for a slot. Whoever calls says what came of it: `sent`, then `answered`, `refused`,
    `strained`; and `begin` before the next one.
    """

    def __init__(
        self,
        name: str = "",
        *,
        start: int = START,
        most: int | None = None,
        emit: Emit = lambda _: None,
    ) -> None:
        """Start with `start` slots, from 1; never have more than `most`. `name` is the endpoint's, for people."""
        self._name = name
        self._most: float = inf if most is None else most
        self._emit = emit
        self._slots: anyio.CapacityLimiter | None = None
        self._size = self._opened = max(1, int(min(start, self._most)))
        self._peak = 0
        self._answers = 0
        self._counts_from = -inf
        self._limited = False
        self._too_much = inf
        self._hold_until = -inf
        self._before: int | None = None
        """The slots before the last growth, while its round is not over."""
        self._uncut = (self._size, False, inf)
        """Slots, `_limited` and `_too_much` before the episode."""
        self._most_let_in = _Load()
        """The most of each since the last rate limit after which any was let in."""
        self._let_in: _Load | None = None
        """What was let in when the last rate limit came, until that is judged."""
        self._refused_at = -inf
        self._took = 0.0
        self._episode_from = -inf
        self._episode = False
        self._row = 0
        """Rate limits without an answer to a later call between them."""
        self._row_from = self._row_before = -inf
        """When this row began, and the one before."""
        self._since = 0
        """Calls that were let in since the last rate limit."""
        self._last_minute = 0
        self._pace = Pace()
        self._told: int | None = None

    @property
    def size(self) -> int:
        """Calls that may be in flight at once."""
        return self._size

    @property
    def in_use(self) -> int:
        """Calls that are in flight."""
        return 0 if self._slots is None else self._slots.borrowed_tokens

    @property
    def full(self) -> bool:
        """Whether the pace has no room for another call."""
        return self._pace.full

    async def __aenter__(self) -> None:
        await self._limiter().acquire()
        self._peak = max(self._peak, self.in_use)

    async def __aexit__(self, *_: object) -> None:
        self._limiter().release()

    @contextmanager
    def spare(self) -> Generator[None]:
        """Take a slot for a while if one is free and nobody waits for it; raises `anyio.WouldBlock` otherwise."""
        borrower = object()
        self._limiter().acquire_on_behalf_of_nowait(borrower)
        try:
            yield
        finally:
            self._limiter().release_on_behalf_of(borrower)

    def _limiter(self) -> anyio.CapacityLimiter:
        """Give the slots; they are made in the event loop that uses them."""
        if self._slots is None:
            self._slots = anyio.CapacityLimiter(self._opened)
        return self._slots

    # The pace

    async def join(self, permit: Permit) -> None:
        """Wait until the pace has room for a call, and take it."""
        permit.pace = self._pace, await self._pace.take(1)
        permit.parts.append(permit.pace)

    def join_now(self, permit: Permit) -> bool:
        """Take a call's part of the pace if there is room and nobody waits."""
        taken = self._pace.take_now(1)
        if taken is not None:
            permit.pace = self._pace, taken
            permit.parts.append(permit.pace)
        return taken is not None

    # What is seen

    def sent(self) -> int:
        """Take in that a call is being sent; give how many others are in flight."""
        most = self._most_let_in
        if self.in_use > most.calls:
            most.calls, most.at = self.in_use, anyio.current_time()
        most.minute = max(most.minute, self._pace.begun)
        self._since += 1
        return self.in_use - 1

    def answered(self, began: float) -> None:
        """Count an answer to a call that began at that time."""
        now = anyio.current_time()
        if began > self._refused_at:
            self._row = 0
            self._episode = self._episode and now < self._episode_from + COOL_SECONDS
        self._open()
        if now < self._counts_from:
            return
        self._answers += 1
        if self._answers >= self._size:
            used = self._peak >= USED * self._size
            self._answers, self._peak = 0, self.in_use
            self._before = None
            if used:
                self._grow(now)

    def refused(self, began: float, wait: float | None = None, *, beside: int = 0) -> None:
        """Take in a rate limit of a call that began at that time, beside so many others.

        `wait` is what the endpoint asks for, in seconds.
        """
        now, most = anyio.current_time(), self._most_let_in
        self._cool(now, wait)
        most.minute -= 1
        self._since -= 1
        if began <= most.at:
            most.calls -= 1
        if self._let_in is not None and began <= self._refused_at:
            self._let_in.calls -= 1
            self._let_in.minute -= 1
        elif began > self._refused_at:
            self._judge()
            self._refused_at, self._took = now, now - began
            self._let_in = _Load(max(beside, self.in_use - 1), self._pace.begun)

    def strained(self, wait: float | None = None) -> None:
        """Take in an overload: no cut, but no growth either for a while."""
        self._cool(anyio.current_time(), wait)

    def begin(self) -> None:
        """Do what the last rate limit says, before calls queue for slots again."""
        self._judge()
        if self._told is not None and PACED * (self._pace.learnt or 0) >= self._told:
            self._tell_pace(self._size, "")

    # What is done

    def _cool(self, now: float, wait: float | None) -> None:
        self._counts_from = max(self._counts_from, now + max(COOL_SECONDS, wait or 0.0))
        self._answers, self._peak = 0, self.in_use

    def _judge(self) -> None:
        """Find out what was too much when the last rate limit came: the calls at once, or those of a minute."""
        if self._let_in is None:
            return
        calls, minute = max(0, self._let_in.calls), max(0, self._let_in.minute)
        growing, self._let_in, self._before = self._before, None, None
        most, again = self._most_let_in, self._episode
        self._row += 1
        if self._row == 1:
            self._row_from, self._row_before = self._refused_at, self._row_from
        if not again:
            self._episode, self._episode_from = True, self._refused_at
            self._uncut = self._size, self._limited, self._too_much
        fewer = calls < KEEPS * most.calls
        if growing is not None and calls >= growing and not again:
            self._cut(min(calls, self._size - 1), calls, f"a growth was refused: {calls} at once were let in")
        elif minute >= PACED * (self._pace.learnt or inf) or (fewer and self._as_many(minute)):
            self._learn(max(START, minute))
        elif again and calls and not fewer:
            self._cut(calls, calls, f"rate limit again: {calls} at once were let in")
        elif not again and not (fewer and minute < PACED * most.minute):
            self._cut_first(calls)
        self._last_minute = minute
        if self._row == 1 or self._since > 0:
            self._most_let_in = _Load(calls, minute, self._refused_at)
        self._since = 0

    def _as_many(self, minute: int) -> bool:
        """Whether as many calls were let in during the last minute as it takes to be refused."""
        if self._row >= ROW:
            lasts = self._refused_at - self._row_from >= ROW_SECONDS
            return lasts and minute >= PACED * self._most_let_in.minute
        apart = self._refused_at - self._row_before >= COOL_SECONDS
        return self._row == 1 and apart and abs(minute - self._last_minute) < (1 - PACED) * self._last_minute

    def _cut_first(self, calls: int) -> None:
        size = max(1, min(self._size - 1, round(self._size * KEEPS)))
        if max(calls, START) < size:
            self._cut(max(calls, START), calls, f"rate limit: {calls} at once were let in")
        else:
            self._cut(size, calls, "rate limit")

    def _cut(self, size: int, let_in: int, why: str) -> None:
        size = max(1, min(size, self._size))
        self._limited = True
        self._too_much = max(let_in, size) + 1
        self._hold_until = self._refused_at + HOLD_SECONDS
        self._change(size, why)

    def _learn(self, minute: int) -> None:
        """Take back the cuts of this episode: the number of calls at once was not why."""
        self._pace.learn(minute, self._took)
        size = self._size
        if self._uncut[0] > size:
            self._size, self._limited, self._too_much = self._uncut
        if self._pace.learnt != self._told or self._size != size:
            self._tell_pace(size, "not how many at once but how many a minute was too much: ")

    def _tell_pace(self, before: int, why: str) -> None:
        self._told = self._pace.learnt
        self._tell(before, f"{why}{self._told} calls a minute are let in")

    def _grow(self, now: float) -> None:
        if self._size >= self._too_much:
            self._limited, self._too_much = False, inf
        step = ceil(self._size * GROWS) if self._limited else self._size
        size = min(self._size + step, self._most)
        if size >= self._too_much:
            size = self._too_much - 1 if now < self._hold_until else self._too_much
        if size > self._size:
            self._before = self._size
            self._change(int(size), "a clean round")

    def _change(self, size: int, why: str) -> None:
        before, self._size = self._size, size
        if before == size:
            return
        if size < self._opened:
            self._opened = size
            self._limiter().total_tokens = size
        self._open()
        self._tell(before, why)

    def _open(self) -> None:
        """Open more of the slots, where there are more."""
        if self._opened < self._size:
            self._opened = min(self._size, self._opened + OPENS)
            self._limiter().total_tokens = self._opened

    def _tell(self, before: int, why: str) -> None:
        change = {"endpoint": self._name, "from": before, "to": self._size, "why": why}
        self._emit(SlotsChanged.model_validate(change))
