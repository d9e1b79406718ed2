"""How a fact becomes one."""

from typing import Any

from swarm.base.clock import Clock
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.journal import Journal
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.spec.chat import MediaFile, Message, Part


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
        if isinstance(event, e.StepFinished):
            update["outcome"] = self._stored(event.outcome)
        elif isinstance(event, e.TurnTaken) and any(message.made for message in event.messages):
            update["messages"] = tuple(self._with_files(message) for message in event.messages)
        self.again(event.model_copy(update=update))

    def _stored(self, outcome: Outcome) -> Outcome:
        """Keep a large output and media in files, before the event that names them."""
        update: dict[str, Any] = {"media": tuple(self._kept(each) for each in outcome.media)}
        artifact = self._folder.store(outcome.output, self._journal.clean)
        if artifact is not None:
            update |= {"output": None, "artifact": artifact}
        return outcome.model_copy(update=update)

    def _with_files(self, message: Message) -> Message:
        """Keep what a model made beside its words in files, before the event that names them."""
        parts: tuple[Part, ...] = tuple(self._kept(p) if isinstance(p, MediaFile) else p for p in message.parts)
        return message.model_copy(update={"parts": parts})

    def _kept(self, made: MediaFile) -> MediaFile:
        if not made.content:  # a file of this run already
            return made
        return made.model_copy(update={"sha256": self._folder.keep(made.content), "content": b""})

    def again(self, event: e.Stamped) -> None:
        """Record a fact that has its stamp already."""
        self._state.apply(self._journal.append(event))
