"""Live signs of a run, for whoever watches it: each event once it is recorded, and what no journal holds.

Pieces of an answer, waits and calls in flight are signals. They are never recorded: a run is the
same whether somebody listens or not, and without a listener a signal is not even made.

    def hear(signal: Signal) -> None: ...

    with run.signals.listen(hear):
        ...

A listener is called in the event loop, between two steps of the run. It must be quick, and it must
not raise: an exception of a listener removes it, and never reaches the run.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import anyio

from swarm.record.events import Stamped
from swarm.spec.chat import Request

Doing = Literal["slots", "rate_limit", "retry", "budget", "wire"]
"""What a request does: it waits for `slots`, a `rate_limit`, a `retry` or the `budget`, or it is on the `wire`."""
Told = Literal["text", "thought", "call"]
"""What a piece of an answer is part of: its text, what the model thinks before it, or a tool call."""


@dataclass(frozen=True, slots=True)
class RequestTurned:
    """A request of an attempt now does something else. None: it waits for nothing, and is not sent either."""

    step: str
    attempt: int
    doing: Doing | None


@dataclass(frozen=True, slots=True)
class CallRepeated:
    """A call failed and is made again."""

    step: str
    attempt: int
    kind: str
    """Kind of the fault, such as `rate_limited`."""
    seconds: float
    """Seconds until then."""


@dataclass(frozen=True, slots=True)
class ApprovalAwaited:
    """A tool call of a step waits for approval, or does not wait any more."""

    step: str
    attempt: int
    waits: bool


@dataclass(frozen=True, slots=True)
class PieceHeard:
    """A piece of an answer arrived."""

    step: str
    attempt: int
    text: str
    told: Told = "text"


Signal = Stamped | RequestTurned | CallRepeated | ApprovalAwaited | PieceHeard
"""An event that was recorded, or a signal that never is."""
Hear = Callable[[Signal], object]


class Signals:
    """The listeners of a run. False if there are none: then there is no need to make a signal."""

    def __init__(self) -> None:
        self._listeners: list[Hear] = []
        self._recorded: anyio.Event | None = None

    def __bool__(self) -> bool:
        return bool(self._listeners)

    @contextmanager
    def listen(self, hear: Hear) -> Generator[None]:
        """Pass each signal to `hear` inside this block."""
        self._listeners.append(hear)
        try:
            yield
        finally:
            self._remove(hear)

    def send(self, signal: Signal) -> None:
        """Pass a signal to every listener. Never raise."""
        for hear in tuple(self._listeners):
            try:
                hear(signal)
            except Exception:  # noqa: BLE001 - a listener must never end a run
                self._remove(hear)

    def recorded(self, event: Stamped) -> None:
        """Pass on an event that was recorded, and wake those that wait for it."""
        self.wake()
        if self._listeners:
            self.send(event)

    def wake(self) -> None:
        """Wake those that wait for the next event: there is one, or there will be none."""
        if self._recorded is not None:
            self._recorded.set()
            self._recorded = None

    async def next_event(self) -> None:
        """Wait until the next event is recorded, or the run has ended."""
        if self._recorded is None:
            self._recorded = anyio.Event()
        await self._recorded.wait()

    def _remove(self, hear: Hear) -> None:
        if hear in self._listeners:
            self._listeners.remove(hear)


class Teller:
    """Sender of the signals of one attempt. It travels with the account of each request. False if nobody listens."""

    def __init__(self, signals: Signals | None = None, step: str = "", attempt: int = 0) -> None:
        self._signals = Signals() if signals is None else signals
        self._step = step
        self._attempt = attempt

    def __bool__(self) -> bool:
        return bool(self._signals)

    def turned(self, doing: Doing | None) -> None:
        """Tell what a request does now."""
        if self._signals:
            self._signals.send(RequestTurned(self._step, self._attempt, doing))

    def repeated(self, kind: str, seconds: float) -> None:
        """Tell that a call failed and is made again."""
        if self._signals:
            self._signals.send(CallRepeated(self._step, self._attempt, kind, seconds))

    def heard(self, text: str, told: Told = "text") -> None:
        """Tell that a piece of an answer arrived."""
        if text and self._signals:
            self._signals.send(PieceHeard(self._step, self._attempt, text, told))


def teller_of(request: Request) -> Teller:
    """Return the sender of the signals of a request; one that nobody listens to if no attempt made it."""
    found = getattr(request.account, "teller", None)
    return found if isinstance(found, Teller) else Teller()
