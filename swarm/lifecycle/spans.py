"""The spans of a run while it works: sent from a thread that reads its journal, never on the run's path."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from swarm.base.errors import Problem, SwarmError, TaskError
from swarm.lifecycle.options import Options
from swarm.record.events import EVENT, Event
from swarm.record.folder import RunFolder
from swarm.record.follow import Events, without_checksum
from swarm.record.signals import Signals
from swarm.record.state import State
from swarm.spec.task import Task
from swarm.spec.yaml.strict import Document

if TYPE_CHECKING:
    from swarm.exports.otlp import Destination

END_SECONDS = 10.0
"""Maximum seconds after the end of a run in which its last spans are sent: two requests that time out,
with a margin."""
FLAG, KEY = "--otlp", "otel"


def destination_of(task: Task, options: Options) -> "Destination | None":
    """Return where the spans of a run go, or None. Raise `TaskError` if it is no address, or without the extra.

    The option replaces `otel:` of the task, and has its headers only for the same address. A replay makes no call,
    so a task alone sends none.
    """
    url = options.otlp
    if url is None and (task.otel is None or options.is_replay):
        return None
    from swarm.exports.otlp import Destination, check_destination

    headers = {} if task.otel is None or url not in (None, task.otel.url) else task.otel.headers
    if url is not None:
        found = Destination(url, headers, FLAG)
    else:
        assert task.otel is not None
        found = Destination(task.otel.url, headers, KEY)
    try:
        check_destination(found)
    except TaskError as error:
        if url is None and isinstance(task.origin, Document):
            where = task.origin.place((KEY, "url"))
            raise TaskError(*(Problem(each.message, where=where, key=each.key) for each in error.problems)) from None
        raise
    return found


class RunSpans:
    """Sends the spans of one stretch of a run."""

    def __init__(self, to: "Destination", folder: RunFolder, offset: int, state: State) -> None:
        """Follow the journal of a run from the byte `offset`. `state` is the state of the run, which has started."""
        from swarm.exports.otlp import LiveSpans

        self._live = LiveSpans(to, lambda: state, state.resumed)
        self._events = Events(folder.journal, offset, lambda lines: self._live.take(map(_event_of, lines)))
        self.problem = ""
        """What was not sent, and why; empty if all was, or if that is not known yet."""

    async def follow(self, signals: Signals, over: Callable[[], bool]) -> None:
        """Send spans until the run is over."""
        try:
            while not over():
                self._events.look()
                await signals.next_event()
        finally:
            # Shielded, so that a run that is cancelled leaves no thread; with a deadline of its own.
            with anyio.move_on_after(END_SECONDS, shield=True):
                await anyio.to_thread.run_sync(self._close, abandon_on_cancel=True)

    def _close(self) -> None:
        with suppress(SwarmError):  # a journal that cannot be read: the run itself says so
            self._events.close()
        self.problem = self._live.close().problem


def _event_of(line: bytes) -> Event:
    """Return the event of a line of a journal."""
    return EVENT.validate_json(without_checksum(line))
