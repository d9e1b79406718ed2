"""Cool-down of an endpoint after a rate limit, and its gradual reopening.

| event | effect |
| --- | --- |
| a rate limit or an overload | no calls for as long as the endpoint asks, otherwise by backoff |
| one of a call sent before the last one arrived | the same burst: only a longer time counts |
| that time is over | one call, then two within a second, then four … (`ramp.py`) |
| one of them is refused | the same for twice as long: the time may have been too short |
| one of them is answered | the next refusal counts as the first again |
| an answer's headers say that nothing is left | no calls until then, then all: no guess is needed |

This is the half-open state of a circuit breaker (Nygard 2007, "Release It!"). A minute without
space costs a handful of 429s instead of one from each caller each time, and the few calls that are
sent show for all callers how much space there is.
"""

from collections.abc import Mapping
from math import inf

import anyio

from swarm.endpoints.traffic.headers import pause_in
from swarm.endpoints.traffic.ramp import Ramp


class Cooldown:
    """Gate for all callers of one endpoint: open, shut for a while, or half-open."""

    def __init__(self) -> None:
        self._until = -inf
        self._refused_at = -inf
        self._strikes = 0
        self._ramp = Ramp(over=True)
        self._changed = anyio.Event()
        self._queue = anyio.Lock()

    @property
    def seconds(self) -> float:
        """Seconds until it is no longer shut; 0 if it is open or half-open."""
        return max(0.0, self._until - anyio.current_time())

    @property
    def open(self) -> bool:
        """Whether any caller may pass."""
        return self.seconds == 0 and self._ramp.over

    def shut(self, seconds: float) -> None:
        """Shut it for that long; never for less than was set before."""
        self._until = max(self._until, anyio.current_time() + seconds)
        self._changed.set()

    def heed(self, headers: Mapping[str, str]) -> None:
        """Shut it if the headers of an answer say that nothing is left."""
        pause = pause_in(headers)
        if pause > 0:
            self.shut(pause)

    def refused(self, began: float) -> int:
        """Note a rate limit or an overload of a call sent at that time: half-open comes after shut.

        Return its number in a row, from 1. Return 0 if the call was sent before the last one
        arrived.
        """
        if began <= self._refused_at:
            return 0
        self._refused_at = anyio.current_time()
        self._ramp = Ramp(self._refused_at - began)
        self._strikes += 1
        return self._strikes

    def answered(self, began: float) -> None:
        """Note an answer to a call sent at that time."""
        if began > self._refused_at:
            self._strikes = 0
            self._ramp.answered()
            self._changed.set()

    def reopen(self) -> None:
        """Open gradually: the server was gone, and is back."""
        self._ramp = Ramp()
        self._changed.set()

    async def passed(self) -> None:
        """Wait until it is not shut, also if it is shut for longer during the wait."""
        while self.seconds > 0:  # noqa: ASYNC110 - the deadline may move during the wait
            await anyio.sleep_until(self._until)

    async def turn(self) -> bool:
        """Wait for a turn while it is half-open, in order. Return False if it is shut meanwhile."""
        if self.open:
            return True
        async with self._queue:  # a cancelled caller leaves the queue; its turn is not used up
            while self.seconds == 0 and self._ramp.at > anyio.current_time():
                self._changed = anyio.Event()
                with anyio.CancelScope(deadline=self._ramp.at):
                    await self._changed.wait()
            if self.seconds > 0:
                return False
            self._ramp.go(anyio.current_time())
            return True
