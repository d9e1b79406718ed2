"""A gate for a server's answers: how many requests are in flight at once is then not a matter of who is faster."""

import anyio

from swarm.testing import Received


class Together:
    """Answers nobody until so many requests have come."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = 0
        self._full = anyio.Event()

    async def respond(self, received: Received) -> str:
        """Wait until all are there."""
        del received
        self.count += 1
        if self.count == self.number:
            self._full.set()
        await self._full.wait()
        return "ok"
