"""The two clocks of a run: wall time for people, monotonic time for every computation."""

from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """The two clocks of a run."""

    def wall(self) -> float:
        """Seconds since 1970, for people."""
        ...

    def t(self) -> float:
        """Seconds of the run, monotonic, for every computation."""
        ...


class RunClock:
    """The wall clock, and the event loop's monotonic clock counted on from `start` seconds."""

    def __init__(self, start: float = 0.0) -> None:
        self._zero = anyio.current_time() - start

    def wall(self) -> float:
        """Seconds since 1970."""
        return datetime.now(UTC).timestamp()  # noqa: TID251 - this is the clock

    def t(self) -> float:
        """Seconds of the run so far."""
        return anyio.current_time() - self._zero
