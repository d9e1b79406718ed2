"""The models of a run as they are served: each alias resolved once, before anything is called.

A task names a provider, a URL, a file or a pool. A `Route` holds what that leads to: the address,
the model's own name, its keys, the dialect of its endpoint, the media it accepts, its price, and
the models behind it. Everything that calls, checks or prices a model reads its route, so nothing is
resolved twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from swarm.base.errors import Problem, TaskError
from swarm.base.network import wrong_address
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.base.version import __version__
from swarm.local_models.serve import is_local, path_of, what_is_missing
from swarm.spec.chat import Medium
from swarm.spec.labels import pooled
from swarm.spec.providers import (
    PROVIDERS,
    Provider,
    Quirks,
    must_stream,
    provider_named,
    quirks_of,
    stored_by,
    takes_of,
)
from swarm.spec.tariff import Tariff
from swarm.spec.task import Model
from swarm.spec.yaml.explain import meant

OFFLINE = "offline"
"""The address of the built-in endpoint."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One alias of a run: a model as it is served, or a pool of such models."""

    alias: str
    settings: Model = field(repr=False)
    """The settings of the task, with address, name and streaming resolved. Not shown: it has the
    keys."""
    members: tuple[str, ...]
    """The models behind the alias, in order: itself, or those of a pool and of the pools in it,
    each once."""
    quirks: Quirks = field(default=Quirks(), repr=False)
    """How the dialect of its endpoint differs from the common one."""
    takes: tuple[Medium, ...] = ()
    """Media that it accepts in addition to text."""
    stores: tuple[Medium, ...] = ()
    """Media that its provider accepts as stored files, if they are too large for a request."""
    answer_settings: Mapping[str, Json] = field(default_factory=dict[str, Json], repr=False)
    """The settings that determine its answers, a part of `Attempt.key`: no address, no price, no
    key."""
    tariff: Tariff | None = field(default=None, repr=False)
    """Its price; None if the price is unknown, and for a pool."""

    @property
    def address(self) -> str:
        """The base URL, `local:FILE` or `offline`; empty for a pool."""
        return self.settings.endpoint or ""

    @property
    def identity(self) -> str:
        """What tells its endpoint from others: scheme, host, port and path, or the model file; empty for a pool.

        It holds no credentials. Answers of one endpoint are never taken for those of another.
        """
        if self.is_local_file:
            return _identity_of_file(path_of(self.address))
        url = urlsplit(self.address)
        if not url.scheme:
            return self.address
        host = url.netloc.rpartition("@")[2].lower()
        return f"{url.scheme}://{host}{url.path.rstrip('/')}"

    @property
    def model_name(self) -> str:
        """The name that the endpoint knows the model by; empty if it is unknown."""
        return self.settings.name or ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys in clear text, for calls only; one empty key if there is none."""
        return self.settings.keys or ("",)

    @property
    def is_pool(self) -> bool:
        """Whether it uses other aliases."""
        return self.settings.use is not None

    @property
    def is_offline(self) -> bool:
        """Whether the built-in endpoint serves it."""
        return self.address == OFFLINE

    @property
    def is_small(self) -> bool:
        """Whether it gets the prompts and settings for small models. A pool never does."""
        return is_small(self.settings)

    @property
    def is_local_file(self) -> bool:
        """Whether it is a model file, for which the run starts a server."""
        return is_local(self.address)


Routes = Mapping[str, Route]
"""The routes of a run by alias, in the order of the task."""


def routes_of(models: Mapping[str, Model]) -> dict[str, Route]:
    """Return the route of every alias. Call `check_models` first: it reports what cannot be a route."""
    members = pooled({alias: model.use for alias, model in models.items()})
    served = {alias: route_of(alias, model) for alias, model in models.items() if model.use is None}

    def answer_settings(alias: str) -> dict[str, Json]:
        if alias in served:
            return dict(served[alias].answer_settings)
        return {"use": [answer_settings(name) for name in models[alias].use or ()]}

    def pool_of(alias: str) -> Route:
        return Route(
            alias=alias,
            settings=models[alias],
            members=members[alias],
            answer_settings=answer_settings(alias),
        )

    return {alias: served.get(alias) or pool_of(alias) for alias in models}


def route_of(alias: str, model: Model) -> Route:
    """Return the route of one model that is not a pool."""
    settings = _resolved(model)
    return Route(
        alias=alias,
        settings=settings,
        members=(alias,),
        quirks=quirks_of(settings.endpoint or ""),
        takes=takes_of(settings),
        stores=stored_by(settings),
        answer_settings=_answer_settings(settings),
    )


def _identity_of_file(path: Path) -> str:
    """Return the identity of a model file: its name, size and time of change, wherever it is."""
    try:
        found = path.stat()
    except OSError:
        return f"local:{path.name}"
    return f"local:{path.name} {found.st_size} {found.st_mtime_ns}"


def identities_of(routes: "Routes", custom_endpoint: object | None = None) -> dict[str, str | None]:
    """Return the identity of the endpoint of each model that is not a pool, by alias.

    A custom endpoint serves all of them. Its identity is its attribute `identity`, a text that is not
    empty, with the name of its class; without one it has none, because two objects may answer in
    different ways.
    """
    served = single(routes)
    if custom_endpoint is None:
        return {alias: route.identity for alias, route in served.items()}
    given, kind = getattr(custom_endpoint, "identity", None), type(custom_endpoint)
    identity = f"{kind.__module__}.{kind.__qualname__} {given}" if isinstance(given, str) and given else None
    return dict.fromkeys(served, identity)


def is_small(model: Model) -> bool:
    """Check whether a model is a small one: as the task says, else if it is a file on this machine."""
    return is_local(model.endpoint or "") if model.small is None else model.small


def single(routes: Routes) -> dict[str, Route]:
    """Return the routes that are not pools."""
    return {alias: route for alias, route in routes.items() if not route.is_pool}


def outside_pools(routes: Routes) -> tuple[str, ...]:
    """Return the aliases that no pool uses, pools included."""
    used: set[str] = set()
    for route in routes.values():
        used.update(route.settings.use or ())
    return tuple(alias for alias in routes if alias not in used)


def _resolved(model: Model) -> Model:
    """Replace a provider's name by its base URL and usual model; stream if the model requires it.

    A small model answers at temperature 0 by default: 135 million parameters give 18 of 18 figures so, 4 with sampling.
    """
    if is_small(model):
        model = model.model_copy(update={"params": {"temperature": 0, **model.params}})
    if model.endpoint is not None and is_local(model.endpoint):
        return model.model_copy(update={"name": model.name or path_of(model.endpoint).stem})
    if not model.stream and must_stream(model):
        model = model.model_copy(update={"stream": True})
    provider = provider_named(model.endpoint or "")
    if provider is None:
        return model
    update = {"endpoint": provider.base_url, "name": model.name or provider.model}
    return model.model_copy(update=update)


def _answer_settings(settings: Model) -> dict[str, Json]:
    # The answers of the built-in endpoint are those of this version of the package.
    name = f"{OFFLINE}-{__version__}" if settings.endpoint == OFFLINE else settings.name
    answers: dict[str, Json] = {
        "name": name,
        "max_tokens": settings.max_tokens,
        "params": settings.params,
        "extra": settings.extra,
    }
    return {**answers, "small": True} if is_small(settings) else answers


# Errors in models


def check_models(models: Mapping[str, Model], *, custom_endpoint: bool = False) -> None:
    """Raise `TaskError` with every error in the models, before any of them is called.

    A custom endpoint serves every model by itself, so only the pools are checked.
    """
    problems: list[Problem] = []
    for alias, model in models.items():
        if model.use is not None:
            problems += _pool_problems(alias, model.use, models)
        elif not custom_endpoint:
            problems += _model_problems(alias, model)
    if problems:
        raise TaskError(*problems)


def _pool_problems(alias: str, use: Sequence[str], models: Mapping[str, Model]) -> list[Problem]:
    key = f"models.{alias}.use"
    unknown = [name for name in use if name not in models]
    if unknown:
        known = f"known aliases: {listing(models)}"
        return [Problem(f"no model has the alias `{name}`; {known}", key=key) for name in unknown]
    if alias in _used(use, models):
        cyclic = f"a pool cannot use itself, and `{alias}` does, through {listing(use)}"
        return [Problem(cyclic, key=key)]
    return []


def _used(use: Sequence[str], models: Mapping[str, Model]) -> set[str]:
    """Return every alias that a pool uses, directly or through other pools."""
    found: set[str] = set()
    left = list(use)
    while left:
        name = left.pop()
        if name not in found and name in models:
            found.add(name)
            left += models[name].use or ()
    return found


def _model_problems(alias: str, model: Model) -> list[Problem]:
    key, endpoint = f"models.{alias}", model.endpoint
    if endpoint == OFFLINE:
        return []
    if endpoint is None:
        needed = "needs an `endpoint` (a base URL, a provider, `local:FILE` or `offline`), or `use`"
        return [Problem(needed, key=key)]
    if is_local(endpoint):
        missing = what_is_missing(endpoint)
        return [] if missing is None else [Problem(missing, key=f"{key}.endpoint")]
    provider = provider_named(endpoint)
    if provider is None and not endpoint.startswith(("http://", "https://")):
        expected = "a base URL (http://… or https://…), `local:FILE`, `offline` or a provider"
        names = [each.name for each in PROVIDERS]
        wrong = f"invalid endpoint `{endpoint}`: expected {expected}: {listing(names)}"
        wrong += meant(endpoint, names)
        return [Problem(wrong, key=f"{key}.endpoint")]
    return _remote_problems(key, model, provider)


def _remote_problems(key: str, model: Model, provider: Provider | None) -> list[Problem]:
    """Return the errors of a model that is called over a network."""
    wrong = wrong_address(model.endpoint or "") if provider is None else None
    problems = [] if wrong is None else [Problem(wrong, key=f"{key}.endpoint")]
    if not model.name and (provider is None or provider.model is None):
        needed = "needs a `name` (`--model NAME`): the name that its endpoint knows the model by"
        problems.append(Problem(needed, key=key))
    if provider is not None and provider.keys and not any(model.keys):
        variable = provider.keys[0]
        needed = f"{provider.name} needs a key: set {variable}, or write `key: ${{{variable}}}`"
        problems.append(Problem(needed, key=key))
    if not all(map(_can_be_key, model.keys)):
        invalid = "has characters that no key has; check for a line break at its end"
        problems.append(Problem(invalid, key=f"{key}.key"))
    return problems


def _can_be_key(key: str) -> bool:
    return key.isascii() and key.isprintable() and key == key.strip()
