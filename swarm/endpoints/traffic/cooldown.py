"""When an endpoint that wants to be left alone is called again: not by everybody at once.

| seen | done |
| --- | --- |
| a rate limit or an overload | nobody calls for as long as the endpoint says, or by backoff where it does not |
| … of a call that was sent before the last one came | the same burst: nothing, but where it says a longer time |
| that time is over | one call goes, then two in a second, then four … (`ramp.py`) |
| one of them is refused | the same again, for twice as long: what was told may have been too short |
| one of them is answered | the next refusal is a first one again |
| an answer's headers say that nothing is left | nobody calls until there is, then everybody: it was told, not guessed |

Half-open like a circuit breaker (Nygard 2007, "Release It!"): a minute without room costs a handful of 429s, not one
from each caller each time, and the few that are sent find out for all how much room there is.
"""

from collections.abc import Mapping
from math import inf

import anyio

from swarm.endpoints.traffic.headers import pause_in
from swarm.endpoints.traffic.ramp import Ramp


class Cooldown:
    """A gate that all callers of one endpoint pass: open, shut for a while, or half-open."""

    def __init__(self) -> None:
        self._until = -inf
        self._refused_at = -inf
        self._strikes = 0
        self._ramp = Ramp(over=True)
        self._changed = anyio.Event()
        self._queue = anyio.Lock()

    @property
    def seconds(self) -> float:
        """How long it stays shut; 0 if it is open or half-open."""
        return max(0.0, self._until - anyio.current_time())

    @property
    def open(self) -> bool:
        """Whether whoever comes may pass."""
        return self.seconds == 0 and self._ramp.over

    def shut(self, seconds: float) -> None:
        """Keep callers out for that long; never shorter than was said before."""
        self._until = max(self._until, anyio.current_time() + seconds)
        self._changed.set()

    def heed(self, headers: Mapping[str, str]) -> None:
        """Keep callers out where an answer's headers say that nothing is left."""
        if (pause := pause_in(headers)) > 0:
            self.shut(pause)

    def refused(self, began: float) -> int:
        """Take in a rate limit or an overload of a call sent at that time: it will be half-open after it was shut.

        Gives which one in a row it is, from 1; or 0 for a call that was sent before the last one came.
        """
        if began <= self._refused_at:
            return 0
        self._refused_at = anyio.current_time()
        self._ramp = Ramp(self._refused_at - began)
        self._strikes += 1
        return self._strikes

    def answered(self, began: float) -> None:
        """Take in an answer to a call sent at that time."""
        if began > self._refused_at:
            self._strikes = 0
            self._ramp.answered()
            self._changed.set()

    async def passed(self) -> None:
        """Wait until it is not shut; whoever waits while it is shut for longer, waits for longer."""
        while self.seconds > 0:  # noqa: ASYNC110 - a deadline that may move while it is waited for
            await anyio.sleep_until(self._until)

    async def turn(self) -> bool:
        """Wait for one's turn while it is half-open, in order; False if it was shut meanwhile."""
        if self.open:
            return True
        async with self._queue:
            while self.seconds == 0 and self._ramp.at > anyio.current_time():
                self._changed = anyio.Event()
                with anyio.CancelScope(deadline=self._ramp.at):
                    await self._changed.wait()
            if self.seconds > 0:
                return False
            self._ramp.go(anyio.current_time())
            return True
