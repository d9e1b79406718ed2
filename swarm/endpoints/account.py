"""Who pays for a request, and an endpoint whose every request is one paid try."""

from collections.abc import Callable
from dataclasses import dataclass

from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.retry import Around
from swarm.spec.chat import Reply, Request, Usage


@dataclass
class Account:
    """Whose tries they are: one request of one attempt."""

    step: str = ""
    attempt: int = 0
    report: bool = False
    """Whether it may draw on what is kept for the report."""
    tries: int = 0
    """Calls that were made."""
    lost: Usage = Usage()  # noqa: RUF009 - frozen
    """What tries without an answer were charged, and no reply has told yet; its `calls` are 0."""


class ChargedEndpoint:
    """Another endpoint, around one that makes one try a request: each is charged to a budget."""

    def __init__(self, endpoint: Endpoint, around: Around) -> None:
        self._endpoint = endpoint
        self._around = around

    async def complete(self, request: Request) -> Reply:
        """Give the endpoint's answer. Raises `LimitError` where what it may cost cannot be reserved."""

        async def once(begin: Callable[[], None]) -> Reply:
            begin()
            return await self._endpoint.complete(request)

        result = await self._around(request, once)
        assert isinstance(result, Reply)
        return result
