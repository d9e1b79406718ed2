"""Replay of a recorded run: the same events, the same report, no call, no cost.

Every attempt is made again from the present task and compared with what determined the recorded
attempt. If they differ, the journal cannot have the answer, and nothing is invented: the error
names the step, the parts that differ, and the most similar recorded attempt. Use it to test a task
without a key.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from swarm.attempt.types import NOT_RERUN
from swarm.base.errors import InputError, Problem
from swarm.base.text import listing
from swarm.lifecycle.inputs import with_kept
from swarm.lifecycle.options import AnyVariable, Options
from swarm.record import events as e
from swarm.record.cache import differing
from swarm.record.folder import RunFolder
from swarm.record.recorded import Recorded, recorded
from swarm.record.state import State
from swarm.scheduling.assign import Assigner
from swarm.spec.files import recall_task
from swarm.spec.plan import Step, reading_items_only


class Replay:
    """Replay of one recorded run into a new one."""

    def __init__(self, folder: RunFolder) -> None:
        """Read the journal of the recorded run. Raise `JournalError`."""
        self._folder = folder
        self._recorded: Recorded = recorded(folder)

    @property
    def is_from_here(self) -> bool:
        """Whether the recorded run was started at its place, by this user."""
        return self._folder.is_from_here

    def options(self, options: Options) -> Options:
        """Return options for the replay: no key is needed, and models that the task does not name are recorded ones."""
        first = self._recorded.first
        environ = AnyVariable(options.environ)
        source, folder = str(self._folder.journal), Path(first.folder)
        task = recall_task(first.task, source=source, environ=environ, folder=folder)
        options = replace(options, environ=environ, needs_keys=False, is_replay=True, models=task.models)
        return with_kept(options, self._recorded.state.started or first, self._folder)

    def run(
        self,
        started: e.RunStarted,
        steps: tuple[Step, ...],
        state: State,
        assigner: Assigner,
        emit: Callable[[e.Stamped], None],
        folder: RunFolder,
        recall: Callable[[Iterable[e.ToolFact]], None],
    ) -> None:
        """Emit the recorded events with their own stamps, as far as the present task leads to them.

        Large outputs and media are copied into the folder of the new run. `recall` takes the tools of
        each stretch: no kit is opened. Raise `InputError` if the task leads to other events.
        """
        events = self._recorded.events
        if not isinstance(events[-1], e.RunFinished):
            raise self._error("this run did not end, so it cannot be replayed")
        starts = [event for event in events if isinstance(event, e.StepStarted)]
        for event in events:
            if isinstance(event, e.RunStarted | e.RunResumed):
                recall(event.tools)
            if isinstance(event, e.RunStarted):
                emit(_stamped_as(event, started))
                continue
            if isinstance(event, e.StepsAdded) and event.by in ("run", "task") and not _are_same(event.steps, steps):
                raise self._error("the task now has other steps than the recorded run")
            if isinstance(event, e.StepStarted):
                self._check(event, _parts_now(event, state, assigner), starts)
            for artifact in _artifacts(event):
                folder.keep(self._folder.content(artifact))
            emit(event)

    def _check(self, event: e.StepStarted, parts: dict[str, str], starts: list[e.StepStarted]) -> None:
        """Raise `InputError` if the recorded attempt was determined by other parts."""
        if not _differing(parts, event.parts):
            return

        def distance(other: e.StepStarted) -> tuple[int, bool, int]:
            return len(_differing(parts, other.parts)), other.step != event.step, other.seq

        nearest = min(starts, key=distance)
        raise self._error(
            f"step {event.step}: the recorded run made no such call; the nearest is that of step {nearest.step}, which "
            f"differs in: {listing(_differing(parts, nearest.parts))}\n"
            "hint: run the task without --replay to record it again"
        )

    def _error(self, message: str) -> InputError:
        return InputError(Problem(message, where=str(self._folder.path)))


def _stamped_as(recorded: e.RunStarted, started: e.RunStarted) -> e.RunStarted:
    """Return the first event of a replay with the stamp, the tools and the context sizes of the recorded run."""
    kept = ("seq", "at", "t", "trace", "tools", "contexts")
    return started.model_copy(update={name: getattr(recorded, name) for name in kept})


def _are_same(recorded: tuple[Step, ...], now: tuple[Step, ...]) -> bool:
    return recorded == now or tuple(reading_items_only(step) for step in recorded) == now


def _parts_now(event: e.StepStarted, state: State, assigner: Assigner) -> dict[str, str]:
    """Return what determines an attempt now."""
    parts = assigner.attempt_of(state.steps[event.step]).parts
    if state.is_report(event.step) and _differing(parts, event.parts) == ("context",):
        return event.parts  # The budget left the report a smaller context: that is a recorded fact, too.
    return parts


def _differing(parts: Mapping[str, str], recorded: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts that differ, but for the endpoint: a replay calls none."""
    return tuple(name for name in differing(parts, recorded) if name not in NOT_RERUN)


def _artifacts(event: e.Stamped) -> Sequence[str]:
    """Return the names of the files that an event refers to."""
    if isinstance(event, e.TurnTaken):
        media = chain.from_iterable(message.made for message in event.messages)
        return [made.sha256 for made in media]
    if isinstance(event, e.StepFinished):
        outcome = event.outcome
        outputs = [] if outcome.artifact is None else [outcome.artifact]
        return [*(made.sha256 for made in outcome.media), *outputs]
    return ()
