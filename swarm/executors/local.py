"""Attempts in this process."""

from collections.abc import Callable

from swarm.attempt.loop import carry_out
from swarm.attempt.types import Attempt, Note
from swarm.endpoints import Endpoint
from swarm.record.outcome import Outcome
from swarm.tools import Toolbox


class Local:
    """The innermost executor: runs the turns of an attempt here."""

    def __init__(self, endpoint_for: Callable[[Attempt, Note], Endpoint], tools: Toolbox) -> None:
        """`endpoint_for` returns the endpoint that completes the requests of one attempt."""
        self._endpoint_for = endpoint_for
        self._tools = tools

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Run an attempt turn by turn. Raise what its endpoint raises, and `AttemptError`."""
        endpoint = self._endpoint_for(attempt, note)
        return await carry_out(attempt, endpoint=endpoint, tools=self._tools, note=note)
