"""Slots: how many calls may be in flight, and a queue of two ends for the next one.

A call that is asked again although it did nothing wrong goes to the front: it has waited the
longest.
"""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio


class Slots:
    """A number of slots that may change, served in order."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.in_use = 0
        """Slots that are taken; more than `total` for a while after it has fallen."""
        self._waiting: deque[anyio.Event] = deque()

    @property
    def total(self) -> int:
        """Number of slots."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._serve()

    @asynccontextmanager
    async def held(self, *, first: bool = False) -> AsyncGenerator[None]:
        """Wait for a slot, and hold it; with `first`, before all others that wait."""
        await self.acquire(first=first)
        try:
            yield
        finally:
            self.release()

    async def acquire(self, *, first: bool = False) -> None:
        """Wait for a slot, and take it; with `first`, before all others that wait."""
        if self.take_now():
            return
        served = anyio.Event()
        if first:
            self._waiting.appendleft(served)
        else:
            self._waiting.append(served)
        try:
            await served.wait()
        except BaseException:
            # Cancelled while it waited, or right after it was served: then its slot is the next one's.
            if served.is_set():
                self.release()
            else:
                self._waiting.remove(served)
            raise

    def take_now(self) -> bool:
        """Take a slot if one is free and nobody waits for it. Return whether."""
        free = self.in_use < self._total and not self._waiting
        self.in_use += free
        return free

    def release(self) -> None:
        """Give a slot back, to the next one that waits."""
        self.in_use -= 1
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self.in_use < self._total:
            self.in_use += 1
            self._waiting.popleft().set()
