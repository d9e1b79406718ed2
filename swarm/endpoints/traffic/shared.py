"""Shared limits: a limit and a cool-down per endpoint and key, a quota per model and key."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from swarm.endpoints.traffic.bucket import Quota
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.gate import PATIENCE, Gate
from swarm.endpoints.traffic.limit import DEADLINE, START, Limit
from swarm.record.events import EndpointBack, EndpointGone, SlotsChanged
from swarm.spec.providers import provider_at
from swarm.spec.task import USUAL_WORKERS, Model

Tell = Callable[[SlotsChanged | EndpointGone | EndpointBack], object]
"""Receives what happens to endpoints."""
LEAST = 8
"""Minimum attempts in parallel with `workers: auto`."""
SPARE = 4
"""Minimum attempts more than there are slots: they prepare prompts, use tools and judge answers."""
UNKNOWN = 16
"""Slots at first of an endpoint of which nothing is known."""
REMEMBERED = 0.75
"""Share of the width that an earlier run found, to start with."""


class SharedLimits:
    """The limits of a run, one of each, however many aliases use them."""

    def __init__(
        self,
        models: Mapping[str, Model],
        *,
        workers: int | None,
        emit: Tell,
        patience: float = PATIENCE,
        auto: bool = False,
        known: Callable[[Model], int | None] = lambda _: None,
    ) -> None:
        """Set the resolved models, the maximum of parallel calls, and the receiver of changes.

        `patience` is how long calls wait for a server that is gone, in seconds. With `auto`, the maximum says nothing
        about a start. `known` returns the width that earlier runs found for a model at its endpoint.
        """
        self._models = models
        self._workers = workers
        self._emit = emit
        self._patience = patience
        self._auto = auto
        self._known = known
        self._limits_of: dict[tuple[str, str], tuple[Cooldown, Limit]] = {}
        self._gates: dict[str, Gate] = {}
        self._quotas: dict[tuple[str, str, str, int | None, int | None], Quota] = {}

    @property
    def width(self) -> int:
        """How many attempts keep the endpoints busy that were called; the usual number if none was.

        These are as many as there are slots, and a quarter more that does other work.
        """
        used = [limit.size for _, limit in self._limits_of.values() if limit.flights.last]
        return max(LEAST, sum(size + max(SPARE, size // 4) for size in used)) if used else USUAL_WORKERS

    @property
    def stranded(self) -> bool:
        """Whether a server is gone, and no call is in flight at another one."""
        flying = any(limit.in_use for (at, _), (_, limit) in self._limits_of.items() if not self.gate(at).closed)
        return not flying and any(gate.closed for gate in self._gates.values())

    def found(self, model: Model) -> int | None:
        """Return the width for later runs to know of a resolved model, or None.

        Of several keys it is the least: each of them starts with it. A width that the task states
        is not found out.
        """
        lanes = [self._limits_of.get((model.endpoint or "", key)) for key in model.keys or ("",)]
        before = self._known(model)
        if model.calls is not None:
            return before
        widths = [lane[1].found(before) for lane in lanes if lane is not None]
        return min(filter(None, widths), default=None)

    def gate(self, endpoint: str) -> Gate:
        """Return the gate of an address, which all paths and keys there share."""
        found = urlsplit(endpoint)
        at = f"{found.scheme}://{found.netloc.rpartition('@')[2]}"
        if at not in self._gates:
            name = found.netloc.rpartition("@")[2]
            self._gates[at] = Gate(name, patience=self._patience, tell=self._emit)
        return self._gates[at]

    def lane(self, endpoint: str, key: str, name: str) -> tuple[Cooldown, Limit]:
        """Return what all calls to an endpoint with a key pass; `name` is for people."""
        found = self._limits_of.get((endpoint, key))
        if found is None:
            found = self._limits_of[endpoint, key] = Cooldown(), self._limit(endpoint, key, name)
        return found

    def _limit(self, endpoint: str, key: str, name: str) -> Limit:
        """Return a limit that starts where it is likely to end.

        | the endpoint | starts with |
        | --- | --- |
        | all its models state `calls` | their sum, which is also the maximum |
        | an earlier run found its width | that, but of more than `UNKNOWN` three quarters: it may have become less |
        | is a known provider's, and `workers` is a number | as many: it refuses what is too much, and queues nothing |
        | any other | `UNKNOWN`, or the workers if they are fewer |
        """
        models = [model for model in self._models.values() if _uses(model, endpoint, key)]
        deadline = min((model.deadline for model in models), default=DEADLINE)
        stated = [model.calls for model in models if model.calls is not None]
        if stated and len(stated) == len(models):
            return Limit(name, start=sum(stated), most=sum(stated), deadline=deadline, emit=self._emit)
        wide = None if self._workers is None else max(START, self._workers, *stated)
        known = min(filter(None, map(self._known, models)), default=None)
        start = self._start(endpoint, wide)
        if known is not None:
            start = max(min(known, UNKNOWN), int(REMEMBERED * known))
        return Limit(name, start=start, most=wide, deadline=deadline, emit=self._emit)

    def _start(self, endpoint: str, wide: int | None) -> int:
        """Return how many slots an endpoint starts with whose models do not say it."""
        refuses = provider_at(endpoint) is not None and not self._auto
        return min(UNKNOWN, wide or UNKNOWN) if wide is None or not refuses else wide

    def quota(self, model: Model, key: str) -> Quota | None:
        """Return the quota of a model with a key, or None if it states none."""
        if model.rpm is None and model.tpm is None:
            return None
        at = (model.endpoint or "", key, model.name or "", model.rpm, model.tpm)
        if at not in self._quotas:
            self._quotas[at] = Quota(rpm=model.rpm, tpm=model.tpm, max_tokens=model.max_tokens)
        return self._quotas[at]


def _uses(model: Model, endpoint: str, key: str) -> bool:
    """Return whether a model is at that endpoint with that key."""
    return model.endpoint == endpoint and key in (model.keys or ("",))
