"""What one request has used so far, and the parts that each of its tries is made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.endpoints.traffic.bucket import Permit
from swarm.endpoints.traffic.clock import RequestClock
from swarm.endpoints.traffic.flights import Flight
from swarm.spec.chat import Reply, Request

Result = Reply | EndpointBusy | None
"""The result of a try; None if it was not sent."""
Begin = Callable[[], None]
"""Called right before a call is sent."""
Try = Callable[[Begin], Awaitable[Result]]
"""One try. Calls its argument right before anything is sent."""
Around = Callable[[Request, Try], Awaitable[Result]]
"""Wrapper of each try, outside of its slot and deadline: reserves its cost, and settles it."""

Fault = TypeVar("Fault", EndpointBusy, EndpointRefused)
"""An error of an endpoint, of the kind that it came as."""


@dataclass
class Tally:
    """What one request has used so far."""

    left: float
    """Seconds until its deadline. Time in the queue for a slot does not count."""
    clock: RequestClock
    """Where the time of the request goes."""
    calls: int = 0
    """Calls that failed."""
    failed: dict[str, int] = field(default_factory=dict[str, int])
    """Calls that failed, by kind of fault."""
    forgiven: int = 0
    """Calls that timed out because too much was in flight: they are no failed tries."""
    pardoned: bool = False
    """Whether the last try was such a call: the next one needs no wait."""
    lone: bool = False
    """Whether the last call was refused for itself: it waits alone."""
    first: bool = False
    """Whether its next call goes before all others that wait for a slot."""
    probes: bool = False
    """Whether its next call asks if a server that was gone is back."""
    flight: Flight | None = None
    """Its last call on the wire."""
    doubted: bool = False
    """Whether one of them brought a reply that may be incomplete. The next such reply is accepted."""


class SentCall(NamedTuple):
    """A call on the wire."""

    flight: Flight
    permit: Permit


def both(first: Begin, second: Begin) -> Begin:
    """Return a function that calls both."""

    def call() -> None:
        first()
        second()

    return call


def counted(reply: Reply, tally: Tally, *, seconds: float) -> Reply:
    """Return a reply whose usage has the failed calls of its request, with its total time and its waits."""
    calls = tally.calls + reply.usage.calls
    usage = reply.usage.model_copy(update={"calls": calls})
    return reply.model_copy(update={"usage": usage, "seconds": seconds, "waited": tally.clock.waited})


def again(error: Fault, message: str | None = None) -> Fault:
    """Return a copy of an error: one object that is raised twice would carry both tracebacks."""
    fresh = type(error)(
        message or str(error),
        kind=error.kind,
        endpoint=error.endpoint,
        status=error.status,
    )
    if isinstance(error, EndpointBusy) and isinstance(fresh, EndpointBusy):
        fresh.retry_after = error.retry_after
    fresh.stops = error.stops
    return fresh
