"""Attempts in this process."""

from collections.abc import Callable

from swarm.attempt.loop import carry_out
from swarm.attempt.permits import Permits
from swarm.attempt.sizing import ContextSearch
from swarm.attempt.types import Attempt, Note
from swarm.endpoints import Endpoint
from swarm.record.outcome import Outcome
from swarm.tools import Toolbox
from swarm.tools.place import Storage


class Local:
    """The innermost executor: runs the turns of an attempt here."""

    def __init__(
        self,
        endpoint_for: Callable[[Attempt, Note], Endpoint],
        tools: Toolbox,
        storage: Storage | None = None,
        permits_for: Callable[[Attempt, Note], Permits] | None = None,
    ) -> None:
        """`endpoint_for` returns the endpoint of the requests of one attempt, `permits_for` the permits of its tool
        calls; `storage` has the run's files.
        """
        self._endpoint_for = endpoint_for
        self._tools = tools
        self._storage = storage
        self._permits_for = permits_for
        self._searches = ContextSearch()

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Run an attempt turn by turn. Raise what its endpoint raises, and `AttemptError`."""
        endpoint = self._endpoint_for(attempt, note)
        permits = None if self._permits_for is None else self._permits_for(attempt, note)
        return await carry_out(
            attempt,
            endpoint=endpoint,
            tools=self._tools,
            note=note,
            storage=self._storage,
            permits=permits,
            searches=self._searches,
        )
