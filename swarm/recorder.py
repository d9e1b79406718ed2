"""How a fact becomes one."""

from typing import Any

from swarm import events as e
from swarm.folder import RunFolder
from swarm.journal import Clock, Journal
from swarm.state import State


class Recorder:
    """The one road of an event: stamped, into the journal, into the state, with nothing in between."""

    def __init__(self, journal: Journal, state: State, clock: Clock, folder: RunFolder) -> None:
        self._journal = journal
        self._state = state
        self._clock = clock
        self._folder = folder

    def __call__(self, event: e.Stamped) -> None:
        """Record a fact."""
        update: dict[str, Any] = {"seq": self._state.seq + 1, "at": self._clock.wall(), "t": self._clock.t()}
        if isinstance(event, e.StepFinished) and (artifact := self._folder.store(event.output)) is not None:
            update |= {"output": None, "artifact": artifact}
        self.again(event.model_copy(update=update))

    def again(self, event: e.Stamped) -> None:
        """Record a fact that has its stamp already."""
        self._state.apply(self._journal.append(event))
