"""A run again from its journal: the same events, the same report, no call, nothing spent.

Every attempt is made anew from the present task and compared with what the journal's attempt was determined by. Where
they differ the journal cannot know the answer, and nothing is invented: the error names the step, the parts that
differ, and the recorded attempt that is nearest. It is how a task is tested where there is no key.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from swarm.base.errors import InputError, JournalError, Problem
from swarm.base.text import listing
from swarm.lifecycle.prepare import AnyVariable, Options
from swarm.record import events as e
from swarm.record.cache import differing
from swarm.record.folder import RunFolder
from swarm.record.journal import read
from swarm.record.state import State
from swarm.results.report import is_report
from swarm.scheduling.assign import Assigner
from swarm.spec.files import recall_task
from swarm.spec.plan import Step


def replay(
    recorded: RunFolder,
    started: e.RunStarted,
    steps: tuple[Step, ...],
    state: State,
    assigner: Assigner,
    emit: Callable[[e.Stamped], None],
    folder: RunFolder,
) -> None:
    """Emit the events of a recorded run, with their own stamps, as far as the present task leads to the same.

    Large outputs, and what was made beside words, are copied into the folder of the new run.
    Raises `InputError` where it leads elsewhere, and `JournalError` for a journal that cannot be read.
    """
    events = list(read(recorded.journal))
    if not isinstance(events[-1] if events else None, e.RunFinished):
        raise InputError(Problem("this run did not end, so it cannot be replayed", where=str(recorded.path)))
    starts = [event for event in events if isinstance(event, e.StepStarted)]
    for event in events:
        if isinstance(event, e.RunStarted):
            stamp = {"seq": event.seq, "at": event.at, "t": event.t, "trace": event.trace}
            emit(started.model_copy(update=stamp))
            continue
        if isinstance(event, e.StepsAdded) and event.by in ("run", "task") and event.steps != steps:
            raise InputError(Problem("the task gives other steps now than it did", where=str(recorded.path)))
        if isinstance(event, e.StepStarted):
            parts = assigner.attempt_of(state.steps[event.step]).parts
            if is_report(state, event.step) and differing(parts, event.parts) == ("context",):
                parts = event.parts  # the budget left it less to read in: that is a fact, too
            _check(event, parts, starts, recorded)
        for artifact in _artifacts(event):
            folder.keep(recorded.content(artifact))
        emit(event)


def _artifacts(event: e.Stamped) -> Iterator[str]:
    """Name the files that an event stands on."""
    if isinstance(event, e.TurnTaken):
        yield from (made.sha256 for message in event.messages for made in message.made)
    elif isinstance(event, e.StepFinished):
        yield from (made.sha256 for made in event.outcome.media)
        yield from () if event.outcome.artifact is None else (event.outcome.artifact,)


def _check(event: e.StepStarted, parts: dict[str, str], starts: list[e.StepStarted], recorded: RunFolder) -> None:
    if parts == event.parts:
        return
    nearest = min(starts, key=lambda each: (len(differing(parts, each.parts)), each.step != event.step, each.seq))
    differs = listing(differing(parts, nearest.parts))
    raise InputError(
        Problem(
            f"step {event.step}: the recorded run made no such call; the nearest is that of step {nearest.step}, which "
            f"differs in: {differs}. Run the task again without --replay to record it anew.",
            where=str(recorded.path),
        )
    )


def replaying(recorded: RunFolder, options: Options) -> Options:
    """Write options for a replay: no key is needed, and models that the task does not name are those of the record."""
    first = next(iter(read(recorded.journal)), None)
    if not isinstance(first, e.RunStarted):
        raise JournalError(f"{recorded.journal}: the journal is empty: there is nothing to replay")
    environ = AnyVariable(options.environ)
    task = recall_task(first.task, source=str(recorded.journal), environ=environ, folder=Path(first.folder))
    return replace(options, environ=environ, needs_keys=False, models=task.models)
