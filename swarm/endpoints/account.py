"""Who pays for a request, and a wrapper that charges each request as one try."""

from collections.abc import Callable
from dataclasses import dataclass

from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.retry import Around
from swarm.spec.chat import Reply, Request, Usage


@dataclass
class Account:
    """The step and attempt that pay for a request, and the cost of its failed tries."""

    step: str = ""
    attempt: int = 0
    report: bool = False
    """Whether it may use what is reserved for the report."""
    tries: int = 0
    """Calls that were made."""
    lost: Usage = Usage()  # noqa: RUF009 - frozen
    """The cost of tries without an answer that no reply contains yet; its `calls` are 0."""


class ChargedEndpoint:
    """A wrapper around an endpoint that makes one try per request: each is charged to a budget."""

    def __init__(self, endpoint: Endpoint, around: Around) -> None:
        self._endpoint = endpoint
        self._around = around

    async def complete(self, request: Request) -> Reply:
        """Return the endpoint's answer. Raise `LimitError` if its worst case cannot be reserved."""

        async def once(begin: Callable[[], None]) -> Reply:
            begin()
            return await self._endpoint.complete(request)

        result = await self._around(request, once)
        assert isinstance(result, Reply)
        return result
