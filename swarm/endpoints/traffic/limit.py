"""The limits of one endpoint with one key: unknown at first, and measured while it works.

An endpoint may limit the calls in flight, the calls that begin per minute, or both. A 429 does not
say which. For the first there are slots, with additive growth and multiplicative cuts (AIMD; Chiu
and Jain 1989), on an `anyio.CapacityLimiter`. For the second there is a pace (`pace.py`). Bursts,
rows, episodes and what "admitted" means are defined in `refusals.py`.

**Growth.** A round is as many answers as there are slots.

| after | slots |
| --- | --- |
| a round with 80 % of the slots in use | doubled; once there was a rate limit, 5 % more |
| a round with fewer in use | unchanged: a limit that is not reached says nothing |
| an answer in `COOL_SECONDS` after a rate limit, or while it asks to wait | not counted |
| growth to the width that last was too much | one less, for a minute; then that width is tried |
| a round at that width | doubled, as at first: it was not too much |

New slots are opened two per answer, so a rate limit comes before all of them are used.

**Rate limits.** The first case that applies decides (`_case`).

| # | a rate limit | effect |
| --- | --- | --- |
| 1 | first of an episode, in the round after growth, with the former slots in flight or more | slots: \
those admitted. The growth was a trial, so nothing more is cut |
| 2 | with a pace, of which nine tenths were admitted | the pace: those admitted in the minute |
| 3 | with fewer in flight than before, but as many in a minute | calls per minute are limited: \
the cuts of the episode are undone, and the pace is what was admitted, 8 at least |
| 4 | again in an episode, with as many in flight | slots: those admitted |
| 5 | any other first of an episode, unless fewer are in flight and fewer were admitted in the minute \
| slots × 0.8, or those admitted if that is less, 8 at least |
| 6 | any other | none: the endpoint has a bad time, or others use it as well |

"Fewer" is a fifth less. Case 3 requires three rate limits in a row within 3 s or more, or two rows
15 s apart with as many calls in the minute before each. A rate limit of the same burst is not
judged: its call was not admitted. An overload cuts nothing, but starts `COOL_SECONDS`. Any other
fault says nothing about a limit.

A wrong decision is corrected later. A pace that is too low is raised after a minute (`pace.py`).
Slots that are too few are restored by case 3, and while slots are too many the next 429 says so.

**Start.** Slots start at `calls`, which is also their maximum. If a model states none, a run starts
at its `workers`, the most that it can use: an endpoint that never answers 429 never slows it down.
If that is too many, case 5 leaves what was admitted of the first burst, 8 at least. So a hundred
workers at an endpoint for ten cost one burst, not eleven cuts 15 s apart. Without `workers` the
start is 8.

Each change of slots is reported with its reason. A pace is reported when it is learned, when it
falls, and when it has risen by a tenth.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import IntEnum
from math import ceil, inf
from typing import NamedTuple

import anyio

from swarm.endpoints.traffic.bucket import Permit
from swarm.endpoints.traffic.pace import Pace
from swarm.endpoints.traffic.refusals import AS_MANY, COOL_SECONDS, Refusal, Refusals
from swarm.record.events import SlotsChanged

START = 8
"""Slots at first if no number is given, and the minimum that a first burst leaves: if others have
used up a quota, none of it is admitted."""
KEEPS = 0.8
"""Share of the slots that a cut leaves."""
GROWS = 0.05
"""Share of the slots that a round adds after the first rate limit."""
USED = 0.8
"""Share of the slots that must have been in use in parallel for a round to count."""
OPENS = 2
"""Slots that an answer opens: a growth to twice as many is open when half of its round is over."""
HOLD_SECONDS = 60.0
"""Seconds for which a width that was too much is not tried again: quotas are counted per minute."""

Emit = Callable[[SlotsChanged], object]
"""Receives the changes of slots."""


class _Case(IntEnum):
    """The cases of a rate limit, by their number in the table."""

    TRIAL = 1
    PACE = 2
    QUOTA = 3
    AGAIN = 4
    FIRST = 5
    OTHER = 6


class _Growth(NamedTuple):
    """The slots, and how they grow."""

    size: int
    limited: bool
    """True after the first rate limit: growth is additive."""
    too_much: float
    """The width that last was too much; infinite if none was."""


class Limit:
    """The slots and the pace of one endpoint with one key; enter it for each call.

    `async with limit:` waits for a slot. The caller reports what happens to a call: `sent`, then
    `answered`, `refused` or `strained`; and `begin` before the next one.
    """

    def __init__(
        self,
        name: str = "",
        *,
        start: int = START,
        most: int | None = None,
        emit: Emit = lambda _: None,
    ) -> None:
        """Start with `start` slots, from 1 to `most`. `name` is the endpoint, for people."""
        self._name = name
        self._most: float = inf if most is None else most
        self._emit = emit
        self._slots: anyio.CapacityLimiter | None = None
        self._size: int = max(1, int(min(start, self._most)))
        self._opened = self._size
        """Slots that are open: after growth they follow `_size`."""
        self._limited: bool = False
        self._too_much: float = inf
        self._hold_until = -inf
        self._peak = 0
        """Most slots in use in this round."""
        self._answers = 0
        """Answers in this round."""
        self._counts_from = -inf
        """When answers count again."""
        self._size_before_growth: int | None = None
        """The slots before the last growth; None once its round is over."""
        self._before_episode = _Growth(self._size, self._limited, self._too_much)
        self._refusals = Refusals()
        self._pace = Pace()
        self._reported_pace: int | None = None

    @property
    def size(self) -> int:
        """Maximum calls in flight."""
        return self._size

    @property
    def in_use(self) -> int:
        """Calls in flight."""
        return 0 if self._slots is None else self._slots.borrowed_tokens

    @property
    def full(self) -> bool:
        """Whether the pace has no space left for another call."""
        return self._pace.full

    async def __aenter__(self) -> None:
        await self._limiter().acquire()
        self._peak = max(self._peak, self.in_use)

    async def __aexit__(self, *_: object) -> None:
        self._limiter().release()

    @contextmanager
    def spare(self) -> Generator[None]:
        """Hold a slot if one is free and no caller waits. Raise `anyio.WouldBlock` otherwise."""
        borrower = object()
        self._limiter().acquire_on_behalf_of_nowait(borrower)
        try:
            yield
        finally:
            self._limiter().release_on_behalf_of(borrower)

    def _limiter(self) -> anyio.CapacityLimiter:
        """Return the slots. They are made in the event loop that uses them."""
        if self._slots is None:
            self._slots = anyio.CapacityLimiter(self._opened)
        return self._slots

    # The pace

    async def join(self, permit: Permit) -> None:
        """Wait until the pace has space for a call, and take it."""
        permit.pace = self._pace, await self._pace.take(1)
        permit.parts.append(permit.pace)

    def join_now(self, permit: Permit) -> bool:
        """Take a call's part of the pace if there is space and no caller waits. Return whether."""
        taken = self._pace.take_now(1)
        if taken is not None:
            permit.pace = self._pace, taken
            permit.parts.append(permit.pace)
        return taken is not None

    # Observations

    def sent(self) -> int:
        """Note that a call is being sent. Return how many others are in flight."""
        self._refusals.sent(self.in_use, self._pace.begun)
        return self.in_use - 1

    def answered(self, began: float) -> None:
        """Count an answer to a call that began at that time."""
        self._refusals.answered(began)
        self._open()
        now = anyio.current_time()
        if now < self._counts_from:
            return
        self._answers += 1
        if self._answers < self._size:
            return
        used = self._peak >= USED * self._size
        self._start_round()
        self._size_before_growth = None
        if used:
            self._grow(now)

    def refused(self, began: float, wait: float | None = None, *, others: int = 0) -> None:
        """Note a rate limit of a call that began at that time, with `others` more in flight.

        `wait` is the number of seconds that the endpoint asks to wait.
        """
        self._cool(wait)
        if self._refusals.refused(began):
            self._judge()
            self._refusals.note(began, max(others, self.in_use - 1), self._pace.begun)

    def strained(self, wait: float | None = None) -> None:
        """Note an overload: no cut, but no growth for a while either."""
        self._cool(wait)

    def begin(self) -> None:
        """Apply what the last rate limit means, before calls queue for slots again."""
        self._judge()
        learnt, reported = self._pace.learnt or 0, self._reported_pace
        if reported is not None and AS_MANY * learnt >= reported:
            self._report_pace(self._size, "")

    # Decisions

    def _cool(self, wait: float | None) -> None:
        """Start a round that counts once the endpoint has recovered."""
        cool = anyio.current_time() + max(COOL_SECONDS, wait or 0.0)
        self._counts_from = max(self._counts_from, cool)
        self._start_round()

    def _start_round(self) -> None:
        self._answers, self._peak = 0, self.in_use

    def _judge(self) -> None:
        """Decide what was too much at the last rate limit, and change that."""
        refusal = self._refusals.judged()
        if refusal is None:
            return
        before_growth, self._size_before_growth = self._size_before_growth, None
        if refusal.first:
            self._before_episode = _Growth(self._size, self._limited, self._too_much)
        calls = refusal.calls
        match self._case(refusal, before_growth):
            case _Case.TRIAL:
                why = f"rate limit after growth: {calls} in flight were accepted"
                self._cut(min(calls, self._size - 1), calls, why)
            case _Case.PACE | _Case.QUOTA:
                self._learn(max(START, refusal.minute))
            case _Case.AGAIN:
                self._cut(calls, calls, f"rate limit again: {calls} in flight were accepted")
            case _Case.FIRST:
                self._cut_first(calls)
            case _Case.OTHER:
                pass

    def _case(self, refusal: Refusal, before_growth: int | None) -> _Case:
        """Return the first case of the table that applies to a rate limit."""
        calls = refusal.calls
        if refusal.first and before_growth is not None and calls >= before_growth:
            return _Case.TRIAL
        if refusal.minute >= AS_MANY * (self._pace.learnt or inf):
            return _Case.PACE
        if refusal.fewer and refusal.repeats_a_minute:
            return _Case.QUOTA
        if not refusal.first:
            return _Case.AGAIN if calls > 0 and not refusal.fewer else _Case.OTHER
        return _Case.OTHER if refusal.bad_time else _Case.FIRST

    def _cut_first(self, calls: int) -> None:
        """Cut at the first rate limit of an episode."""
        size = max(1, min(self._size - 1, round(self._size * KEEPS)))
        if max(calls, START) < size:
            why = f"rate limit: {calls} in flight were accepted"
            self._cut(max(calls, START), calls, why)
        else:
            self._cut(size, calls, "rate limit")

    def _cut(self, size: int, admitted: int, why: str) -> None:
        size = max(1, min(size, self._size))
        self._limited = True
        self._too_much = max(admitted, size) + 1
        self._hold_until = self._refusals.last_at + HOLD_SECONDS
        self._change(size, why)

    def _learn(self, minute: int) -> None:
        """Learn a pace, and undo the cuts of this episode: calls in flight were not the cause."""
        self._pace.learn(minute, self._refusals.seconds)
        size = self._size
        if self._before_episode.size > size:
            self._size, self._limited, self._too_much = self._before_episode
        if self._pace.learnt != self._reported_pace or self._size != size:
            self._report_pace(size, "calls per minute are limited, not calls in flight: ")

    def _grow(self, now: float) -> None:
        """Add slots after a round; stop below the width that was too much, while it is on hold."""
        if self._size >= self._too_much:
            self._limited, self._too_much = False, inf
        step = ceil(self._size * GROWS) if self._limited else self._size
        size = min(self._size + step, self._most)
        if size >= self._too_much:
            size = self._too_much - 1 if now < self._hold_until else self._too_much
        if size > self._size:
            self._size_before_growth = self._size
            self._change(int(size), "no rate limit")

    def _change(self, size: int, why: str) -> None:
        before, self._size = self._size, size
        if before == size:
            return
        if size < self._opened:
            self._opened = size
            self._limiter().total_tokens = size
        self._open()
        self._report(before, why)

    def _open(self) -> None:
        """Open more of the slots, if some are not open yet."""
        if self._opened < self._size:
            self._opened = min(self._size, self._opened + OPENS)
            self._limiter().total_tokens = self._opened

    # Reports

    def _report_pace(self, before: int, why: str) -> None:
        self._reported_pace = self._pace.learnt
        self._report(before, f"{why}{self._reported_pace} calls per minute are accepted")

    def _report(self, before: int, why: str) -> None:
        change = {"endpoint": self._name, "from": before, "to": self._size, "why": why}
        self._emit(SlotsChanged.model_validate(change))
