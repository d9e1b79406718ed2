"""How many calls one endpoint takes at once, with one key: not known before, so found out while it works.

Additive growth and multiplicative cuts (AIMD; Chiu and Jain 1989), on an `anyio.CapacityLimiter`:

| seen | done |
| --- | --- |
| a clean round: as many answers as slots | twice as many slots; after the first rate limit 5 % more, at least one |
| … in which less than 80 % of the slots were in use at once | nothing: a limit that is not reached says nothing |
| a rate limit (429) | slots × 0.8, once an episode; for 15 s, or as long as the endpoint says, answers do not count |
| a rate limit of a call that began before the cut | nothing: it is the same episode |
| an overload | no cut; 15 s in which answers do not count |
| any other fault | nothing: it says nothing about how many are too many |
| growth would reach the width that last was too much | one slot less than that, for a minute; then it is tried again |

The last row keeps a steady endpoint close to its capacity, where the others alone would send it a 429 every few rounds.

**Where it starts.** At `calls`, which is the most, too. Where a model does not say, a run starts at its `workers`, the
most that it can use: an endpoint that never says 429 never slows it down. That is a guess. Where the first
episode shows it wrong, each call of that first burst that was refused takes a slot of it, down to 8 at least: a hundred
workers at an endpoint for ten cost one burst, not eleven cuts 15 s apart. Without `workers` the start is 8.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import ceil, inf

import anyio

from swarm.events import SlotsChanged

START = 8
"""Slots at first where nobody says how many; and the least that a wrong guess falls to at once."""
KEEPS = 0.8
"""What a cut leaves."""
GROWS = 0.05
"""What a clean round adds."""
USED = 0.8
"""Share of the slots that must have been in use at once for a round to count."""
COOL_SECONDS = 15.0
"""How long answers do not count after a rate limit, at least: what is answered then was let in before it."""
HOLD_SECONDS = 60.0
"""How long a width that was too much is not tried again: quotas are counted by the minute."""

Emit = Callable[[SlotsChanged], object]


class Limit:
    """The slots of one endpoint with one key; enter it for each call.

    `async with limit:` waits for a slot. Whoever calls says what came of it: `answered`, `refused`, `strained`.
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
        self._first = max(1, int(min(start, self._most)))
        self._slots: anyio.CapacityLimiter | None = None
        self._size = self._first
        self._guess = self._first > START
        self._refused = 0
        self._peak = 0
        self._answers = 0
        self._limited = False
        self._cut_at = -inf
        self._episode_until = -inf
        self._counts_from = -inf
        self._too_much = inf
        self._hold_until = -inf

    @property
    def size(self) -> int:
        """Calls that may be in flight at once."""
        return self._size

    @property
    def in_use(self) -> int:
        """Calls that are in flight."""
        return 0 if self._slots is None else self._slots.borrowed_tokens

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
            self._slots = anyio.CapacityLimiter(self._size)
        return self._slots

    def begin(self) -> None:
        """Correct a guess that was wrong, before calls queue for slots again."""
        if self._guess and self._refused:
            left = max(START, self._first - self._refused)
            if left < self._size:
                self._change(left, f"{self._refused} of the first {self._first} calls at once were refused")

    def answered(self) -> None:
        """Count an answer."""
        now = anyio.current_time()
        if now < self._counts_from:
            return
        self._guess = self._guess and not self._limited
        self._answers += 1
        if self._answers >= self._size:
            self._guess = False
            used = self._peak >= USED * self._size
            self._answers, self._peak = 0, self.in_use
            if used:
                self._grow(now)

    def refused(self, began: float, wait: float | None = None) -> None:
        """Take in a rate limit of a call that began at that time; `wait` is what the endpoint asks for, in seconds."""
        now = anyio.current_time()
        if self._guess and (not self._limited or began <= self._cut_at):
            self._refused += 1
        if now < self._episode_until or began < self._cut_at:
            self._counts_from = max(self._counts_from, now + (wait or 0.0))
            return
        self._limited = True
        self._too_much = self._size
        self._cut_at = now
        self._cool(now, wait)
        self._episode_until = self._counts_from
        self._hold_until = inf
        self._change(max(1, min(self._size - 1, round(self._size * KEEPS))), "rate limit")

    def strained(self, wait: float | None = None) -> None:
        """Take in an overload: no cut, but no growth either for a while."""
        self._cool(anyio.current_time(), wait)

    def _cool(self, now: float, wait: float | None) -> None:
        self._counts_from = max(self._counts_from, now + max(COOL_SECONDS, wait or 0.0))
        self._answers, self._peak = 0, self.in_use

    def _grow(self, now: float) -> None:
        step = ceil(self._size * GROWS) if self._limited else self._size
        size = min(self._size + step, self._most)
        if size >= self._too_much and now < self._hold_until:
            size = self._too_much - 1
            self._hold_until = min(self._hold_until, now + HOLD_SECONDS)
        if size > self._size:
            self._change(int(size), "a clean round")

    def _change(self, size: int, why: str) -> None:
        before, self._size = self._size, size
        if before == size:
            return
        self._limiter().total_tokens = size
        self._emit(SlotsChanged.model_validate({"endpoint": self._name, "from": before, "to": size, "why": why}))
