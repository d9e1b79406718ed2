"""Attempts run in this process, on its event loop."""

from swarm.endpoints import Endpoint
from swarm.executor import Attempt, Note, Outcome
from swarm.loop import carry_out
from swarm.tools import Toolbox


class Local:
    """Carries attempts out here, against an endpoint, with the tools there are."""

    def __init__(self, endpoint: Endpoint, tools: Toolbox) -> None:
        self._endpoint = endpoint
        self._tools = tools

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Carry an attempt out turn by turn."""
        return await carry_out(attempt, endpoint=self._endpoint, tools=self._tools, note=note)
