"""Who pays for a request, and a wrapper that charges each request as one try."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.clock import RequestClock, clock_of
from swarm.endpoints.traffic.tries import Around
from swarm.record.signals import Teller
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
    """What tries without an answer may have cost, if no reply contains it yet; its `calls` are 0."""
    held: object | None = None
    """The reservation of its first try, if it was made before the request was sent."""
    teller: Teller = field(default_factory=Teller)
    """Tells whoever watches what the request does."""
    clock: RequestClock = field(init=False)
    """Where the time of the request goes."""

    def __post_init__(self) -> None:
        self.clock = RequestClock(self.teller)


class ChargedEndpoint:
    """A wrapper around an endpoint that makes one try per request: each is charged to a budget."""

    def __init__(self, endpoint: Endpoint, around: Around) -> None:
        self._endpoint = endpoint
        self._around = around

    async def complete(self, request: Request) -> Reply:
        """Return the endpoint's answer. Raise `LimitError` if its worst case cannot be reserved."""

        async def once(begin: Callable[[], None]) -> Reply:
            begin()
            began = anyio.current_time()
            reply = await self._endpoint.complete(request)
            return reply.model_copy(update={"wire_seconds": anyio.current_time() - began})

        result = await self._around(request, once)
        assert isinstance(result, Reply)
        return result.model_copy(update={"waited": clock_of(request).waited})
