"""Quotas by the minute: `rpm` calls and `tpm` tokens, kept to before the endpoint has to say so.

A token bucket that is refilled as it drains lets twice its size through in its first minute, which an endpoint that
counts by the minute refuses. So what is taken here comes back a minute after it was used: in no minute, wherever it
begins, is more used than the quota, and all of a quota can be used. Whoever waits is served in order.

    take (estimate) ──> begin (the minute starts) ──> settle (what it was) | close (it never began)
"""

from collections import deque
from dataclasses import dataclass, field
from math import inf

import anyio

from swarm.spec.chat import Reply, Request, request_tokens

MINUTE = 60.0
UNCOUNTED = frozenset({"rate_limited", "overloaded", "unreachable"})
"""Kinds of fault by which an endpoint says that it read nothing: they take no tokens, but they were calls."""


@dataclass(eq=False)
class Taken:
    """Part of a bucket's quota."""

    amount: int
    began: float = inf
    over: bool = False
    """Whether its minute has passed, or it was given back."""


class Bucket:
    """So many of something in any minute."""

    def __init__(self, size: int) -> None:
        """Make a quota of `size` a minute, from 1."""
        self.size = size
        self._used = 0
        self._held = 0
        self._begun: deque[Taken] = deque()
        self._changed = anyio.Event()
        self._queue = anyio.Lock()

    @property
    def left(self) -> int:
        """What can be taken now."""
        self._expire()
        return self.size - self._used

    @property
    def begun(self) -> int:
        """What was used in the last minute."""
        return self._used - self._held

    async def take(self, amount: int) -> Taken:
        """Wait until that much is left, and take it. What is more than the whole quota counts as the whole."""
        amount = min(amount, self.size)
        async with self._queue:
            while self.left < amount:
                self._changed = anyio.Event()
                with anyio.CancelScope(deadline=self._changes_at()):
                    await self._changed.wait()
            return self._taken(amount)

    def take_now(self, amount: int) -> Taken | None:
        """Take that much if it is left and nobody waits."""
        amount = min(amount, self.size)
        return None if self._queue.locked() or self.left < amount else self._taken(amount)

    def _taken(self, amount: int) -> Taken:
        self._used += amount
        self._held += amount
        return Taken(amount)

    def begin(self, taken: Taken) -> None:
        """Start its minute: it is used from now on."""
        taken.began = anyio.current_time()
        self._held -= taken.amount
        self._begun.append(taken)
        self._changed.set()

    def settle(self, taken: Taken, amount: int) -> None:
        """Put what it really was in place of the estimate."""
        if not taken.over:
            self._used += amount - taken.amount
            taken.amount = amount
            self._changed.set()

    def close(self, taken: Taken) -> None:
        """Give back what never began."""
        if taken.began == inf and not taken.over:
            self._used -= taken.amount
            self._held -= taken.amount
            taken.over = True
            self._changed.set()

    def _changes_at(self) -> float:
        """Say when more will be left, if nothing is given back."""
        return self._begun[0].began + MINUTE if self._begun else inf

    def _expire(self) -> None:
        now = anyio.current_time()
        while self._begun and self._begun[0].began + MINUTE <= now:
            first = self._begun.popleft()
            first.over = True
            self._used -= first.amount


@dataclass(eq=False)
class Permit:
    """What one call takes of the quotas of its model."""

    parts: list[tuple[Bucket, Taken]] = field(default_factory=list[tuple[Bucket, Taken]])
    tokens: tuple[Bucket, Taken] | None = None
    pace: tuple[Bucket, Taken] | None = None
    """Its part of what the endpoint was found to let in."""
    asked: int = 0
    """Estimated input tokens."""

    def begin(self) -> None:
        """Say that the call is being sent."""
        for bucket, taken in self.parts:
            bucket.begin(taken)

    def settle(self, reply: Reply) -> None:
        """Take in what the call used; a reply that says nothing leaves the estimate."""
        if self.tokens is not None and reply.usage.tokens:
            self.tokens[0].settle(self.tokens[1], reply.usage.tokens)

    def failed(self, kind: str) -> None:
        """Take in how it failed: what was read counts, what was never written does not."""
        if self.pace is not None and kind in UNCOUNTED:
            self.pace[0].settle(self.pace[1], 0)
        if self.tokens is not None:
            bucket, taken = self.tokens
            bucket.settle(taken, 0 if kind in UNCOUNTED else min(self.asked, bucket.size))

    def close(self) -> None:
        """Give back what never began."""
        for bucket, taken in self.parts:
            bucket.close(taken)


class Quota:
    """The quotas of one model with one key."""

    def __init__(self, *, rpm: int | None, tpm: int | None, max_tokens: int) -> None:
        """Take calls a minute, tokens a minute (None where there is no such quota), and the model's output cap."""
        self._calls = None if rpm is None else Bucket(rpm)
        self._tokens = None if tpm is None else Bucket(tpm)
        self._max_tokens = max_tokens

    async def take(self, request: Request) -> Permit:
        """Wait until both quotas have room for a call at its largest, and take it."""
        permit, worst = self._estimated(request)
        try:
            if self._tokens is not None:
                permit.tokens = self._tokens, await self._tokens.take(worst)
                permit.parts.append(permit.tokens)
            if self._calls is not None:
                permit.parts.append((self._calls, await self._calls.take(1)))
        except BaseException:
            permit.close()
            raise
        return permit

    def take_now(self, request: Request) -> Permit | None:
        """Take a call's part if there is room for it and nobody waits."""
        permit, worst = self._estimated(request)
        for bucket, amount in ((self._tokens, worst), (self._calls, 1)):
            if bucket is None:
                continue
            taken = bucket.take_now(amount)
            if taken is None:
                permit.close()
                return None
            permit.parts.append((bucket, taken))
            if bucket is self._tokens:
                permit.tokens = bucket, taken
        return permit

    def _estimated(self, request: Request) -> tuple[Permit, int]:
        asked = 0 if self._tokens is None else request_tokens(request)
        return Permit(asked=asked), asked + (request.max_tokens or self._max_tokens)
