"""A width whose slots open gradually, and that reports its changes."""

from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager

import anyio

from swarm.endpoints.traffic.slots import Slots
from swarm.record.events import SlotsChanged

OPENS = 2
"""Slots that an answer opens: a growth to twice as many is open when half of its round is over."""
Emit = Callable[[SlotsChanged], object]
"""Receives the changes of slots."""


class OpenedSlots:
    """Slots of one endpoint; `async with` takes one."""

    def __init__(self, name: str, size: int, emit: Emit) -> None:
        """Open all of `size` slots. `name` is the endpoint, for people."""
        self._name = name
        self._emit = emit
        self._size = size
        self._slots = Slots(size)
        """Slots that are open: after growth they follow `_size`."""

    @property
    def size(self) -> int:
        """Maximum calls in flight."""
        return self._size

    @property
    def in_use(self) -> int:
        """Calls in flight."""
        return self._slots.in_use

    async def __aenter__(self) -> None:
        await self._slots.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()

    def slot(self, *, first: bool) -> AbstractAsyncContextManager[None]:
        """Wait for a slot, and hold it; with `first`, before all others that wait."""
        return self._slots.held(first=first)

    @contextmanager
    def spare(self) -> Generator[None]:
        """Hold a slot if one is free and no caller waits. Raise `anyio.WouldBlock` otherwise."""
        if not self._slots.take_now():
            raise anyio.WouldBlock
        try:
            yield
        finally:
            self._slots.release()

    def _change(self, size: int, why: str) -> None:
        before, self._size = self._size, size
        if before == size:
            return
        if size < self._slots.total:
            self._slots.total = size
        self._open()
        self._report(before, why)

    def _open(self, more: int = OPENS) -> None:
        """Open so many more of the slots, if they are not open yet."""
        if self._slots.total < self._size:
            self._slots.total = min(self._size, self._slots.total + more)

    def _report(self, before: int, why: str) -> None:
        change = {"endpoint": self._name, "from": before, "to": self._size, "why": why}
        self._emit(SlotsChanged.model_validate(change))
