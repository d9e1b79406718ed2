"""One call for all steps that ask the same: the first asker makes it, the others wait for its result.

A failure is not kept. If the asker that makes the call fails or is cancelled, the next one makes
it; if that fails, too, all that have waited for both get its error: a page that never answers is
not tried once a step. Rights are checked before anybody gets here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import anyio

from swarm.base.errors import ToolError
from swarm.tools.kinds import ToolResult

MOST_BYTES = 64_000_000
"""Maximum bytes of results that are kept for later askers; then the oldest are dropped."""
MOST_FAILURES = 2
"""Number of failed calls after which those that waited for all of them stop trying."""


@dataclass
class _Flight:
    """A call that is being made, or its result."""

    askers: set[str]
    over: anyio.Event = field(default_factory=anyio.Event)
    result: ToolResult | None = None
    error: ToolError | None = None


class Shares:
    """The shared calls of a run, by what they ask."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}
        self._bytes = 0

    async def ask(self, key: str, asker: str, make: Callable[[], Awaitable[ToolResult]]) -> ToolResult:
        """Return the result of a call: that of another asker if there is one, else of `make`.

        An asker that asks the same again gets a new result: it wants to see what has changed.
        """
        failures = 0
        while (flight := self._flights.get(key)) is not None:
            if asker in flight.askers:
                if not flight.over.is_set():
                    return await make()  # two equal calls of one turn
                break
            # Cancellation point: whoever stops waiting changes nothing.
            await flight.over.wait()
            if flight.result is not None:
                flight.askers.add(asker)
                return replace(flight.result, usd=0.0)
            failures += flight.error is not None
            if flight.error is not None and failures >= MOST_FAILURES:
                raise flight.error
        return await self._lead(key, asker, make)

    async def _lead(self, key: str, asker: str, make: Callable[[], Awaitable[ToolResult]]) -> ToolResult:
        self._drop(key)
        flight = self._flights[key] = _Flight({asker})
        try:
            result = flight.result = await make()
        except ToolError as error:
            flight.error = error
            raise
        finally:
            if flight.result is None:
                del self._flights[key]
            flight.over.set()
        self._bytes += _size(result)
        self._make_room(key)
        return result

    def _make_room(self, newest: str) -> None:
        """Drop the oldest results, but for the newest and those that are being made."""
        for key in list(self._flights):
            if self._bytes <= MOST_BYTES:
                return
            if key != newest and self._flights[key].over.is_set():
                self._drop(key)

    def _drop(self, key: str) -> None:
        flight = self._flights.pop(key, None)
        if flight is not None and flight.result is not None:
            self._bytes -= _size(flight.result)


def _size(result: ToolResult) -> int:
    return result.total + sum(len(made.content) for made in result.files)
