"""A run as a program sees it while it works: its events, and its steps as they end."""

import inspect
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import anyio.to_thread

from swarm.base.text import clip
from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.events import Event
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.results.finished import FinishedStep

OnEvent = Callable[[Event], Any]
"""Receives each event of a run: a function, or a coroutine function."""


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
        except Exception as error:  # noqa: BLE001 - a function of the caller must not end a run that is paid for
            return _why(error)
    return ""


def _why(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename}:{where.lineno}"
    return clip(f"on_event raised {type(error).__name__}: {error} ({place}); it was not called again", 500)
