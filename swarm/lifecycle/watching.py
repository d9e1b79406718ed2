"""A run as a program sees it while it works: its events, and its steps as they end."""

import inspect
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import anyio.to_thread

from swarm.base.clock import RunClock
from swarm.base.errors import SwarmError
from swarm.base.showing import Displayed
from swarm.base.text import clip
from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.events import Event
from swarm.record.folder import RunFolder
from swarm.record.signals import Signals
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.record.stream import stream
from swarm.results.finished import FinishedStep
from swarm.scheduling.assign import Assigner
from swarm.scheduling.outputs import Outputs

OnEvent = Callable[[Event], Any]
"""Receives each event of a run: a function, or a coroutine function."""


class WatchedRun(Displayed):
    """The part of a run that lets programs watch it. `swarm.lifecycle.run.Run` is the whole."""

    state: State
    folder: RunFolder
    offset: int
    signals: Signals
    _entered: bool
    _over: anyio.Event
    _clock: RunClock
    _assigner: Assigner
    _untold: list[str]

    def __repr__(self) -> str:
        if not self._entered:
            return "<Run: not started>"
        status = "running" if self.state.finished is None else self.state.finished.status
        return f"<Run {self.state.run}: {status}, {sum(1 for _ in self.state.real_steps()):,} steps>"

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self._over.is_set()

    async def progress(self, every: float = 0.25) -> AsyncIterator[State]:
        """Yield the state now, then every `every` seconds, and once more when the run has ended.

        Raise `SwarmError` before the run has started.
        """
        self._check_entered()
        while not self._over.is_set():
            yield self.state
            with anyio.move_on_after(every):
                await self._over.wait()
        yield self.state

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of this stretch of the run, from the first one, until the run has ended.

        A slow reader delays nothing: it reads the journal, at its own place. Events of earlier stretches of a resumed
        run are not yielded. Raise `SwarmError` before the run has started.
        """
        self._check_entered()
        async with aclosing(self._stream(self.offset)) as found:
            async for event, _ in found:
                yield event

    async def finished(self) -> AsyncIterator[FinishedStep]:
        """Yield each step of this stretch when it has ended, with its output, until the run has ended.

        A step with `each` is yielded after its last instance. Raise `SwarmError` before the run has started.
        """
        self._check_entered()

        async def marked() -> AsyncGenerator[tuple[Event, bool]]:
            async with aclosing(self._stream(0)) as found:
                async for event, end in found:
                    yield event, end > self.offset

        def outputs(state: State) -> Callable[[StepState], Json]:
            return Outputs(state, self.folder.load, self._assigner.about).of

        async with aclosing(marked()) as events, aclosing(finished_steps(events, outputs)) as steps:
            async for step in steps:
                yield step

    def labels_of(self, step: str, *, spawned: bool = True) -> tuple[str, ...]:
        """Return the labels of what a step wrote, and with `spawned` of what the steps wrote that it spawned."""
        return self._assigner.labels_of(self.state.steps[step], spawned=spawned)

    def output_of(self, step: str) -> Json:
        """Return the output of a step; null if it has none."""
        return self._assigner.output_of(self.state.steps[step])

    def _stream(self, start: int) -> AsyncGenerator[tuple[Event, int]]:
        return stream(self.folder.journal, start, signals=self.signals, over=self._over.is_set)

    def _check_entered(self) -> None:
        if not self._entered:
            raise SwarmError("the run has not started\nhint: write `async with swarm.Run(…) as run:`")

    @property
    def seconds(self) -> float:
        """Seconds of the run's own clock: now, or, if the run has ended, at its end."""
        return self.state.t if self.over else max(self.state.t, self._clock.t())

    async def _tell(self, on_event: OnEvent) -> None:
        """Pass the events of this stretch to the caller's function."""
        try:
            async with aclosing(self._stream(self.offset)) as events:
                self._untold += filter(None, [await tell(events, on_event)])
        except SwarmError as error:  # a journal that cannot be read ends this, not the run
            self._untold.append(f"on_event was not called: {error}")


async def finished_steps(
    events: AsyncIterator[tuple[Event, bool]], output_of: Callable[[State], Callable[[StepState], Json]]
) -> AsyncGenerator[FinishedStep]:
    """Yield each step when it ends, and a step with instances or parts when the last of them has ended.

    `events` are those of the whole run; only those with true end steps that are yielded. The state that is read is the
    fold of the events so far, so that a slow reader sees each step as it was when it ended.
    """
    fold = _Ends()
    output = output_of(fold.state)
    async for event, is_new in events:
        ended = fold.ended_by(event)
        for s in ended if is_new else ():
            yield FinishedStep.of(s, output)


class _Ends:
    """A fold of events that knows which steps have ended."""

    def __init__(self) -> None:
        self.state = State()
        self._open: set[str] = set()
        """Stand-ins that have not ended: no event of their own ends them."""

    def ended_by(self, event: Event) -> list[StepState]:
        """Apply an event. Return the steps that it ended: its own, then those that were made of it."""
        state = self.state
        state.apply(event)
        if isinstance(event, e.StepsAdded | e.RunResumed):
            self._open |= {name for name, s in state.steps.items() if s.kind == "stand_in" and not s.over}
        if not isinstance(event, e.StepFinished | e.StepFailed | e.StepSkipped):
            return []
        found = [state.steps[name] for name in state.lineage(event.step)]
        ended = [s for s in found if s.over and (s.id == event.step or s.id in self._open)]
        self._open -= {s.id for s in ended}
        return ended


async def tell(events: AsyncIterator[tuple[Event, int]], on_event: OnEvent) -> str:
    """Pass each event to a function of the caller. Return why it was not called any more; empty if it always was.

    A plain function runs in a worker thread, one call after another, so that it cannot hold back the run.
    """
    is_async = inspect.iscoroutinefunction(on_event)
    async for event, _ in events:
        try:
            result: object = on_event(event) if is_async else await anyio.to_thread.run_sync(on_event, event)
            if inspect.isawaitable(result):
                await result
        # `sys.exit()` in a thread is an error of the function, too.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it must not end a run that is paid for
            return _why(error)
    return ""


def _why(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename}:{where.lineno}"
    return clip(f"on_event raised {type(error).__name__}: {error} ({place}); it was not called again", 500)
