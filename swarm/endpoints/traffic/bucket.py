"""Quotas per minute: `rpm` calls and `tpm` tokens, kept before the endpoint has to refuse.

A token bucket that is refilled continuously admits twice its size in its first minute, which an
endpoint that counts per minute refuses. So here a part comes back one minute after it was used: no
minute, whenever it begins, uses more than the quota, and all of a quota can be used. Callers are
served in order.

    take (estimate) ──> begin (its minute starts) ──> settle (actual use) | close (never began)
"""

from collections import deque
from dataclasses import dataclass, field
from math import inf

import anyio

from swarm.spec.chat import Reply, Request, request_tokens

MINUTE = 60.0
"""Seconds after which a used part comes back."""
UNCOUNTED = frozenset({"rate_limited", "overloaded", "unreachable"})
"""Kinds of fault after which no tokens are charged: the endpoint read nothing. The call counts."""


@dataclass(eq=False)
class Taken:
    """A part of a bucket's quota."""

    amount: int
    began: float = inf
    """When its minute started; infinite until then."""
    over: bool = False
    """True once its minute has passed or it was given back."""


class Bucket:
    """A quota of calls or tokens in any minute."""

    def __init__(self, size: int) -> None:
        """Set the quota per minute, minimum 1."""
        self.size = size
        self._used = 0
        """Parts that are taken and have not come back."""
        self._held = 0
        """Parts of those whose minute has not started."""
        self._begun: deque[Taken] = deque()
        self._changed = anyio.Event()
        self._queue = anyio.Lock()

    @property
    def left(self) -> int:
        """What is available now."""
        self._expire()
        return self.size - self._used

    @property
    def begun(self) -> int:
        """What was used in the last minute."""
        return self._used - self._held

    async def take(self, amount: int) -> Taken:
        """Wait until that much is available, and take it; at most the whole quota."""
        amount = min(amount, self.size)
        async with self._queue:  # in order; a cancelled caller leaves the queue with nothing taken
            while self.left < amount:
                self._changed = anyio.Event()
                with anyio.CancelScope(deadline=self._changes_at()):
                    await self._changed.wait()
            return self._taken(amount)

    def take_now(self, amount: int) -> Taken | None:
        """Take that much if it is available and no caller waits; otherwise return None."""
        amount = min(amount, self.size)
        return None if self._queue.locked() or self.left < amount else self._taken(amount)

    def _taken(self, amount: int) -> Taken:
        self._used += amount
        self._held += amount
        return Taken(amount)

    def begin(self, taken: Taken) -> None:
        """Start the minute of a part: it is used from now on."""
        taken.began = anyio.current_time()
        self._held -= taken.amount
        self._begun.append(taken)
        self._changed.set()

    def settle(self, taken: Taken, amount: int) -> None:
        """Replace the estimate of a part by its actual use."""
        if not taken.over:
            self._used += amount - taken.amount
            taken.amount = amount
            self._changed.set()

    def close(self, taken: Taken) -> None:
        """Return a part whose minute never started to the quota."""
        if taken.began == inf and not taken.over:
            self._used -= taken.amount
            self._held -= taken.amount
            taken.over = True
            self._changed.set()

    def _changes_at(self) -> float:
        """Return when more will be available, if nothing is given back before."""
        return self._begun[0].began + MINUTE if self._begun else inf

    def _expire(self) -> None:
        now = anyio.current_time()
        while self._begun and self._begun[0].began + MINUTE <= now:
            first = self._begun.popleft()
            first.over = True
            self._used -= first.amount


@dataclass(eq=False)
class Permit:
    """The parts that one call takes of all quotas."""

    parts: list[tuple[Bucket, Taken]] = field(default_factory=list[tuple[Bucket, Taken]])
    tokens: tuple[Bucket, Taken] | None = None
    """Its part of the tokens per minute."""
    pace: tuple[Bucket, Taken] | None = None
    """Its part of the pace that was learned."""
    asked: int = 0
    """Estimated input tokens."""

    def begin(self) -> None:
        """Start the minute of all parts: the call is being sent."""
        for bucket, taken in self.parts:
            bucket.begin(taken)

    def settle(self, reply: Reply) -> None:
        """Charge what the call used. A reply without usage leaves the estimate."""
        if self.tokens is not None and reply.usage.tokens:
            self.tokens[0].settle(self.tokens[1], reply.usage.tokens)

    def failed(self, kind: str) -> None:
        """Charge a failed call: what was read counts, what was never written does not."""
        if self.pace is not None and kind in UNCOUNTED:
            self.pace[0].settle(self.pace[1], 0)
        if self.tokens is not None:
            bucket, taken = self.tokens
            bucket.settle(taken, 0 if kind in UNCOUNTED else min(self.asked, bucket.size))

    def close(self) -> None:
        """Return the parts that never began to their quotas."""
        for bucket, taken in self.parts:
            bucket.close(taken)


class Quota:
    """The quotas of one model with one key."""

    def __init__(self, *, rpm: int | None, tpm: int | None, max_tokens: int) -> None:
        """Set calls and tokens per minute (None: no such quota), and the model's output cap."""
        self._calls = None if rpm is None else Bucket(rpm)
        self._tokens = None if tpm is None else Bucket(tpm)
        self._max_tokens = max_tokens

    async def take(self, request: Request) -> Permit:
        """Wait until both quotas have space for the worst case of a call, and take it."""
        permit, worst = self._estimated(request)
        try:
            if self._tokens is not None:
                permit.tokens = self._tokens, await self._tokens.take(worst)
                permit.parts.append(permit.tokens)
            if self._calls is not None:
                permit.parts.append((self._calls, await self._calls.take(1)))
        except BaseException:  # cancelled in the second queue: give the first part back
            permit.close()
            raise
        return permit

    def take_now(self, request: Request) -> Permit | None:
        """Take a call's part if there is space and no caller waits; otherwise return None."""
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
        """Return a permit without parts, and the worst case of a call in tokens."""
        asked = 0 if self._tokens is None else request_tokens(request)
        return Permit(asked=asked), asked + (request.max_tokens or self._max_tokens)
