"""Something that completes one chat request: a protocol of one verb.

A pool, a limit, a cache and a fake are other classes with the same verb, wrapped around one another.
"""

from typing import Protocol

from swarm.chat import Reply, Request


class Endpoint(Protocol):
    """Completes one chat request. Raises EndpointBusy if trying again may help, EndpointRefused if it cannot."""

    async def complete(self, request: Request) -> Reply:
        """Give the model's answer to a request."""
        ...
