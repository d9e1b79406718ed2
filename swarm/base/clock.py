"""The two clocks of a run: wall time for people, monotonic time for every computation."""

from datetime import UTC, datetime
from typing import Protocol

GRACE_SECONDS = 10.0
"""Seconds that running steps get after an interrupt: most calls end within them."""


def wall_clock() -> float:
    """Return the seconds since 1970."""
    return datetime.now(UTC).timestamp()  # noqa: TID251 - this is the clock


class Clock(Protocol):
    """The two clocks of a run."""

    def wall(self) -> float:
        """Return the seconds since 1970, for people."""
        ...

    def t(self) -> float:
        """Return the seconds of the run: monotonic, for every computation."""
        ...


class RunClock:
    """The wall clock, and the event loop's monotonic clock, continued from `start` seconds."""

    def __init__(self, start: float = 0.0) -> None:
        from anyio import current_time  # late: `--help` needs only GRACE_SECONDS

        self._now = current_time
        self._zero = current_time() - start

    def wall(self) -> float:
        """Return the seconds since 1970."""
        return wall_clock()

    def t(self) -> float:
        """Return the seconds of the run so far."""
        return self._now() - self._zero
