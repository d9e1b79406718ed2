"""What aliases share: one limit and one cooldown for each endpoint and key, one quota for each model with a key."""

from collections.abc import Mapping

from swarm.endpoints.traffic.bucket import Quota
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.limit import START, Emit, Limit
from swarm.spec.task import Model


class SharedLimits:
    """Makes what calls of one endpoint wait at, once each, however many aliases name it."""

    def __init__(self, models: Mapping[str, Model], *, workers: int | None, emit: Emit) -> None:
        """Take the models, resolved; the most calls at once that make sense; and what takes in changes of slots."""
        self._models = models
        self._workers = workers
        self._emit = emit
        self._limits_of: dict[tuple[str, str], tuple[Cooldown, Limit]] = {}
        self._quotas: dict[tuple[str, str, str, int | None, int | None], Quota] = {}

    def lane(self, endpoint: str, key: str, name: str) -> tuple[Cooldown, Limit]:
        """Give what every call to an endpoint with a key goes through; `name` is for people."""
        found = self._limits_of.get((endpoint, key))
        if found is None:
            found = self._limits_of[endpoint, key] = Cooldown(), self._limit(endpoint, key, name)
        return found

    def _limit(self, endpoint: str, key: str, name: str) -> Limit:
        """Start at what the aliases of the endpoint may use together, where each of them says."""
        calls = [m.calls for m in self._models.values() if m.endpoint == endpoint and key in (m.keys or ("",))]
        said = [each for each in calls if each is not None]
        if len(said) < len(calls) or not said:
            wide = None if self._workers is None else max(START, self._workers, *said)
            return Limit(name, start=wide or START, most=wide, emit=self._emit)
        return Limit(name, start=sum(said), most=sum(said), emit=self._emit)

    def quota(self, model: Model, key: str) -> Quota | None:
        """Give the quota of a model with a key; None where it states none."""
        if model.rpm is None and model.tpm is None:
            return None
        at = (model.endpoint or "", key, model.name or "", model.rpm, model.tpm)
        if at not in self._quotas:
            self._quotas[at] = Quota(rpm=model.rpm, tpm=model.tpm, max_tokens=model.max_tokens)
        return self._quotas[at]
