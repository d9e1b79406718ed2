"""What the wrappers around the models of a run need, and their order."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from random import Random

from swarm.base.errors import EndpointBusy
from swarm.endpoints import Endpoint
from swarm.endpoints.account import ChargedEndpoint
from swarm.endpoints.guard import LabelGuard
from swarm.endpoints.pool import Pool
from swarm.endpoints.prefix_cache import PrefixFirst
from swarm.endpoints.traffic.gate import PATIENCE
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.traffic.tries import Around, Try
from swarm.endpoints.wire.learnt import Memory
from swarm.record import events as e
from swarm.spec.chat import Reply, Request

ENDPOINT_ORDER: tuple[type[Endpoint], ...] = (LabelGuard, PrefixFirst, Pool, Retrying, ChargedEndpoint)
"""The wrappers around one model, outermost first. The router applies them from the last to the
first.

| wrapper | used if |
| --- | --- |
| `LabelGuard` | always: no other wrapper can pass it by |
| `PrefixFirst` | the model has `warm: true` |
| `Pool` | the model has several keys: each key has its own endpoint below |
| `Retrying` | the model is called over a network; it charges each try to the budget, outside of the try's slot |
| `ChargedEndpoint` | the model is the built-in endpoint, which makes one try per request |
"""


def uncharged(alias: str) -> Around:
    """Return an `Around` that makes each try without a budget."""
    del alias

    async def make(request: Request, attempt: Try) -> Reply | EndpointBusy | None:
        del request
        return await attempt(lambda: None)

    return make


Told = e.SlotsChanged | e.EndpointGone | e.EndpointBack | e.TurnTaken
"""The events of endpoints."""


def ignored(event: Told) -> None:
    """Drop an event, if nobody receives it."""
    del event


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What the wrappers around the models of a run share."""

    rng: Random
    """Draws the jitter of retries."""
    offline: Callable[[], Endpoint]
    """Makes the built-in endpoint."""
    clean: Callable[[str], str] = str
    """Removes secrets from messages."""
    memory: Memory = field(default_factory=Memory)
    """What earlier runs learnt about endpoints. It is saved when the router closes."""
    emit: Callable[[Told], object] = ignored
    """Receives each change of an endpoint's slots, when it is gone and back, and the cost of each
    call before the run's own."""
    auto: bool = False
    """Whether that number is only a maximum, and the run as wide as its endpoints can use."""
    patience: float = PATIENCE
    """Seconds for which calls wait for a server that is gone."""
    around: Callable[[str], Around] = uncharged
    """Returns, for an alias, what goes around each try of its model: the budget."""
    labels: Mapping[str, Container[str]] = field(default_factory=dict[str, Container[str]])
    """For each label, the models that may see data with that label."""
    workers: int | None = None
    """Maximum number of parallel calls to an endpoint whose models state none."""
