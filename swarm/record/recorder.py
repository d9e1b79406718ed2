"""Recording of events: stamp, append to the journal, apply to the state, without an await between."""

from typing import Any

from swarm.base.clock import Clock
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.journal import Journal
from swarm.record.outcome import Outcome
from swarm.record.signals import Signals
from swarm.record.state import State
from swarm.spec.chat import MediaFile, Message, Part


class Recorder:
    """The only way of an event into the journal and the state of a run."""

    def __init__(
        self, journal: Journal, state: State, clock: Clock, folder: RunFolder, signals: Signals | None = None
    ) -> None:
        self._journal = journal
        self._state = state
        self._clock = clock
        self._folder = folder
        self._signals = Signals() if signals is None else signals

    def __call__(self, event: e.Stamped) -> None:
        """Record an event."""
        update: dict[str, Any] = {"seq": self._state.seq + 1, "at": self._clock.wall(), "t": self._clock.t()}
        if isinstance(event, e.StepFinished):
            update["outcome"] = self._stored(event.outcome)
        elif isinstance(event, e.TurnTaken) and any(message.made for message in event.messages):
            update["messages"] = tuple(self._with_media_stored(message) for message in event.messages)
        self.again(event.model_copy(update=update))

    def _stored(self, outcome: Outcome) -> Outcome:
        """Write a large output and media to files, before the event that names them."""
        update: dict[str, Any] = {"media": tuple(self._media_stored(each) for each in outcome.media)}
        artifact = self._folder.store(outcome.output, self._journal.clean)
        if artifact is not None:
            update |= {"output": None, "artifact": artifact}
        return outcome.model_copy(update=update)

    def _with_media_stored(self, message: Message) -> Message:
        """Write the media of a message to files, before the event that names them."""
        parts: tuple[Part, ...] = tuple(self._media_stored(p) if isinstance(p, MediaFile) else p for p in message.parts)
        return message.model_copy(update={"parts": parts})

    def _media_stored(self, made: MediaFile) -> MediaFile:
        if not made.content:  # it is a file of this run already
            return made
        return made.model_copy(update={"sha256": self._folder.keep(made.content), "content": b""})

    def again(self, event: e.Stamped) -> None:
        """Record an event that is already stamped."""
        recorded = self._journal.append(event)
        self._state.apply(recorded)
        self._signals.recorded(recorded)
