"""SIGINT, SIGTERM and SIGHUP: the first asks the run in progress to end, the second ends the process at once.

Plain handlers that only set a flag: they are there before anything is awaited, so a signal in the first milliseconds
is not missed, and the run's progress loop looks at the flag a few times a second. While nothing runs there is nothing
to wait for, and the first ends the process too. It ends without any clean-up: a journal is whole at every byte.
"""

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

LISTENED_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_BASE = 128
"""What a shell adds to a signal's number."""


class Interrupts:
    """What signals came in. Use it with `with`: the handlers that were there before come back."""

    def __init__(self) -> None:
        self.received = 0
        """The number of the first signal; 0 while none came."""
        self._begun: Callable[[], bool] = _never
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in LISTENED_TO:
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup`, or a shell's background: it stays ignored
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def awaited(self, begun: Callable[[], bool]) -> Generator[None]:
        """Only note the first signal inside this block, once `begun` says that there is something to end well."""
        self._begun = begun
        try:
            yield
        finally:
            self._begun = _never

    @property
    def exit_code(self) -> int:
        """What an interrupted command exits with: 130 for SIGINT, 143 for SIGTERM."""
        return EXIT_BASE + self.received

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.received or not self._begun():
            os._exit(EXIT_BASE + number)
        self.received = number


def _never() -> bool:
    return False
