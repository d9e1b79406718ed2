"""A run as its journal has it, read once."""

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.base.errors import JournalError
from swarm.record.events import Event, RunStarted
from swarm.record.folder import RunFolder
from swarm.record.journal import scan
from swarm.record.state import State
from swarm.spec.plan import ORIGINS


@dataclass(frozen=True)
class Recorded:
    """The journal of a run, from one read."""

    events: Sequence[Event]
    state: State
    """The fold of the events."""
    length: int
    """Bytes of the complete lines. More bytes in the file are a torn tail."""

    @property
    def first(self) -> RunStarted:
        """The event that started the run."""
        assert self.state.first is not None  # the journal reader refuses anything else on the first line
        return self.state.first


def recorded(folder: RunFolder) -> Recorded:
    """Read the journal of a run. Raise `JournalError` if it is damaged or empty."""
    events: list[Event] = []
    state, length = State(), 0
    for event, end in scan(folder.journal):
        state.apply(event)
        events.append(event)
        length = end
    if not events:
        message = f"{folder.journal}: the journal is empty: nothing was done or spent\nhint: run the task again"
        raise JournalError(message)
    if (name := own_ancestor(state)) is not None:
        raise JournalError(f"{folder.journal}: step {name!r} is added by itself")
    return Recorded(events, state, length)


def own_ancestor(state: State) -> str | None:
    """Return a step that was spawned by itself, directly or not: only a forged journal has one."""
    safe: set[str] = set()
    for name, s in state.steps.items():
        if s.by in ORIGINS and s.step.instance_of is None:
            continue
        way: set[str] = set()
        while name in state.steps and name not in safe:
            if name in way:
                return name
            way.add(name)
            name = state.steps[name].by
        safe |= way
    return None
