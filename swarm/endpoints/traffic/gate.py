"""The gate of an address whose server is gone: a restart is the server's state, and no step's failure.

| event | the gate |
| --- | --- |
| a connection is refused or not made in time, after the address has answered in this run | closes |
| the same, before any answer | stays open: the address may be wrong, and the run stops as ever |
| it is closed | calls wait. One at a time goes as a probe, after 0.5, 1, 2, 3 and then every 5 s |
| the probe finds no server, or one that breaks off, is overloaded or too slow | stays closed: a server that loads a \
model says 503 |
| the probe gets an answer, or a refusal of its own | opens, one call, then two in a second … (`ramp.py`) |
| it has been closed for the patience of the run | each call that waits fails, once, and so does each later one |

A probe is a real call: a list of models is answered by a proxy while the model behind it is away.
What a call waits for here counts for nothing: neither its deadline nor its tries nor its cost. The
gate is one for all keys of an address: a key does not restart a server. A connection that is lost
in mid-answer is made again at once, and closes the gate if that is not possible.
"""

from collections.abc import Callable
from math import inf

import anyio

from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.record.events import EndpointBack, EndpointGone

PATIENCE = 600.0
"""Seconds for which calls wait for a server that is gone: a large model is loaded in less."""
PROBES = (0.5, 1.0, 2.0, 3.0, 5.0)
"""Seconds before each probe; the last one holds for all further ones."""
NO_SERVER = frozenset({"unreachable"})
"""Kinds of fault that close the gate: there was no connection."""
GONE = NO_SERVER | {"disconnected", "timeout", "server_error", "overloaded"}
"""Kinds of fault that keep it closed."""

Tell = Callable[[EndpointGone | EndpointBack], object]
"""Receives what the gate does."""


class Gate:
    """Gate for all callers of one address: open, or closed while its server is gone."""

    def __init__(self, name: str = "", *, patience: float = PATIENCE, tell: Tell = lambda _: None) -> None:
        """`name` is the address, for people; `patience` is in seconds."""
        self.served = False
        """Whether the address has answered."""
        self._name = name
        self._patience = patience
        self._tell = tell
        self._closed_at: float | None = None
        self._why = ""
        self._probes = 0
        self._probing = False
        self._next_at = -inf
        self._changed = anyio.Event()
        self._cooldowns: list[Cooldown] = []

    def add(self, cooldown: Cooldown) -> None:
        """Add a key's cool-down: it opens gradually once the server is back."""
        if cooldown not in self._cooldowns:
            self._cooldowns.append(cooldown)

    @property
    def closed(self) -> bool:
        """Whether the server is gone."""
        return self._closed_at is not None

    @property
    def waits(self) -> bool:
        """Whether a call would wait now."""
        return self.closed and (self._probing or anyio.current_time() < self._next_at)

    async def passed(self) -> bool:
        """Wait until the server is back, or until it is this caller's turn to ask. Return whether it is a probe.

        Call `probed` after a probe. Raise `EndpointRefused` when the patience is over.
        """
        while self._closed_at is not None:
            now, over = anyio.current_time(), self._closed_at + self._patience
            if now >= over:
                raise self._given_up()
            if not self._probing and now >= self._next_at:
                self._probing = True
                self._probes += 1
                return True
            changed = self._changed
            with anyio.CancelScope(deadline=over if self._probing else min(over, self._next_at)):
                await changed.wait()
        return False

    def probed(self) -> None:
        """Note that a probe is over: the next one comes later."""
        self._probing = False
        self._next_at = anyio.current_time() + PROBES[min(self._probes, len(PROBES) - 1)]
        self._wake()

    def answered(self, *, reply: bool = True) -> None:
        """Note that the server is there; with `reply`, that it answered a request."""
        self.served = self.served or reply
        if self._closed_at is None:
            return
        seconds, self._closed_at = anyio.current_time() - self._closed_at, None
        for cooldown in self._cooldowns:
            cooldown.reopen()
        self._tell(EndpointBack(endpoint=self._name, seconds=seconds, probes=self._probes))
        self._wake()

    def failed(self, kind: str, why: str) -> bool:
        """Note a fault, which may close the gate. Return whether that is the server's state, and not the call's."""
        if kind not in GONE:
            self.answered(reply=False)
            return False
        if self._closed_at is None and self.served and kind in NO_SERVER:
            now = anyio.current_time()
            self._closed_at, self._why, self._probes, self._probing = now, why, 0, False
            self._next_at = now + PROBES[0]
            self._tell(EndpointGone(endpoint=self._name, why=why))
        return self.closed

    def busy(self) -> EndpointBusy:
        """Return the error of a call that does not wait, because another endpoint may serve it."""
        return EndpointBusy(f"{self._name} is gone: {self._why}", kind="unreachable")

    def _given_up(self) -> EndpointRefused:
        minutes, seconds = divmod(round(self._patience), 60)
        return EndpointRefused(
            f"{self._name} has been gone for {minutes}:{seconds:02}: {self._why}; start it again, "
            "then `swarm resume --failed` continues",
            kind="unreachable",
        )

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
