"""SIGINT, SIGTERM and SIGHUP: the first asks the run to end, the second ends the process immediately.

The handlers only set a flag, which the progress loop of the run reads a few times per second. They
are installed before anything is awaited, so a signal in the first milliseconds is not missed.
Before a run begins, the first signal ends the process, too. The process ends without clean-up,
because a journal is valid after every line.
"""

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

LISTENED_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_BASE = 128
"""Exit code of a process that a signal ended, minus the number of the signal."""


class Interrupts:
    """Signals received so far. Inside `with` its handlers are installed; afterwards the former ones are."""

    def __init__(self) -> None:
        self.received = 0
        """Number of the first signal; 0 if none was received."""
        self._begun: Callable[[], bool] = _never
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in LISTENED_TO:
            # An ignored signal stays ignored: `nohup` and background jobs of a shell rely on it.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def awaited(self, begun: Callable[[], bool]) -> Generator[None]:
        """Record the first signal instead of exiting, inside this block and once `begun` returns true."""
        self._begun = begun
        try:
            yield
        finally:
            self._begun = _never

    def ask(self) -> None:
        """Act as after the first Ctrl-C: another process asked the run to end."""
        self.received = self.received or signal.SIGINT

    @property
    def exit_code(self) -> int:
        """Exit code of an interrupted command: 130 after SIGINT, 143 after SIGTERM."""
        return EXIT_BASE + self.received

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        # Not sys.exit: an exception here would surface in whatever code runs at this moment, and
        # clean-up could wait for the very call that the user does not want to wait for.
        if self.received or not self._begun():
            os._exit(EXIT_BASE + number)
        self.received = number


def _never() -> bool:
    return False
