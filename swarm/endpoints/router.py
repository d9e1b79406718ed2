"""From an alias to the endpoint that serves it: the composition of everything in this package, and its check."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
from pydantic import SecretStr

from swarm.base.errors import EndpointRefused, Problem, TaskError
from swarm.base.text import listing
from swarm.endpoints import Endpoint
from swarm.endpoints.account import ChargedEndpoint
from swarm.endpoints.guard import LabelGuard
from swarm.endpoints.pool import Pool
from swarm.endpoints.prefix_cache import PrefixFirst
from swarm.endpoints.traffic.hedge import Hedge
from swarm.endpoints.traffic.limit import Emit
from swarm.endpoints.traffic.retry import Around, Retrying
from swarm.endpoints.traffic.shared import SharedLimits
from swarm.endpoints.wire.learnt import Learnt, Memory
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wire.uploads import Shelf
from swarm.local_models.serve import CONTEXT, SLOTS, Served, is_local, path_of, serving, what_is_missing
from swarm.spec.chat import Reply, Request
from swarm.spec.providers import must_stream, provider_named, provider_names
from swarm.spec.task import Model

OFFLINE = "offline"
"""The endpoint that is built in."""


class Router:
    """Completes each request with the endpoint of the alias that it names."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)

    async def complete(self, request: Request) -> Reply:
        """Give the answer of the endpoint that `request.model` names."""
        endpoint = self._endpoints.get(request.model)
        if endpoint is None:
            known = listing(sorted(self._endpoints))
            raise EndpointRefused(f"no model has the alias `{request.model}`; there are {known}", kind="unknown_model")
        return await endpoint.complete(request)


def check_models(models: Mapping[str, Model]) -> None:
    """Raise a `TaskError` with everything that is wrong with the models, before any is called."""
    problems = [problem for alias, model in models.items() for problem in _problems(alias, model, models)]
    if problems:
        raise TaskError(*problems)


def _problems(alias: str, model: Model, models: Mapping[str, Model]) -> list[Problem]:
    key = f"models.{alias}"
    if model.use is not None:
        return _pool_problems(alias, model.use, models)
    endpoint = model.endpoint
    if endpoint == OFFLINE:
        return []
    if endpoint is None:
        return [Problem("needs an `endpoint` (a base URL, a provider's name or `offline`), or `use`", key=key)]
    if is_local(endpoint):
        missing = what_is_missing(endpoint)
        return [] if missing is None else [Problem(missing, key=f"{key}.endpoint")]
    provider = provider_named(endpoint)
    if provider is None and not endpoint.startswith(("http://", "https://")):
        wrong = f"`{endpoint}` is no base URL (http://… or https://…), no provider, no `local:FILE` and not `offline`"
        return [Problem(f"{wrong}; providers are {provider_names()}", key=f"{key}.endpoint")]
    problems: list[Problem] = []
    if not model.name and (provider is None or provider.model is None):
        problems.append(Problem("needs a `name`: the model's own name, as its endpoint knows it", key=key))
    if provider is not None and provider.keys and not any(model.keys):
        variable = provider.keys[0]
        problems.append(Problem(f"{endpoint} needs a key: set {variable}, or write `key: ${{{variable}}}`", key=key))
    if any(not secret.isascii() or not secret.isprintable() or secret != secret.strip() for secret in model.keys):
        problems.append(Problem("has characters that no key has; a line break at its end?", key=f"{key}.key"))
    return problems


def _pool_problems(alias: str, use: Sequence[str], models: Mapping[str, Model]) -> list[Problem]:
    key = f"models.{alias}.use"
    unknown = [name for name in use if name not in models]
    if unknown:
        return [Problem(f"no model has the alias `{name}`; there are {listing(models)}", key=key) for name in unknown]
    if alias in _reached(use, models):
        return [Problem(f"a pool cannot use itself, and `{alias}` does, through {listing(use)}", key=key)]
    return []


def _reached(use: Sequence[str], models: Mapping[str, Model]) -> set[str]:
    """Every alias that a pool uses, through other pools too."""
    reached: set[str] = set()
    left = list(use)
    while left:
        name = left.pop()
        if name not in reached and name in models:
            reached.add(name)
            left += models[name].use or ()
    return reached


@asynccontextmanager
async def connect(
    models: Mapping[str, Model],
    *,
    offline: Callable[[], Endpoint],
    rng: Random,
    clean: Callable[[str], str] = str,
    around: Callable[[str], Around] | None = None,
    labels: Mapping[str, Container[str]] | None = None,
    workers: int | None = None,
    emit: Emit = lambda _: None,
    memory: Memory | None = None,
) -> AsyncGenerator[Router]:
    """Open an endpoint for every alias, closed at the end; `TaskError` if a model cannot be one.

    `offline` makes the built-in endpoint, `rng` draws the jitter of retries, `clean` takes secrets out of messages;
    `around` gives what goes around each try of a model, by its alias. `labels` gives the models that may see what is
    labelled so; each is guarded, and refuses what it may not see or cannot take. `workers` is the most calls at once
    that make sense where a model does not say; `emit` takes in every change of an endpoint's slots; `memory` has what
    earlier runs have learnt of endpoints, and is saved at the end.
    """
    check_models(models)
    memory = Memory() if memory is None else memory
    files = {alias for alias, model in models.items() if is_local(model.endpoint)}
    async with AsyncExitStack() as stack:
        stack.callback(memory.save)
        models = await _with_files_served(models, stack)
        opened: dict[str, Endpoint] = {}
        shelves: dict[tuple[str, str], Shelf] = defaultdict(Shelf)
        shared_limits = SharedLimits(
            {alias: resolved(model) for alias, model in models.items()}, workers=workers, emit=emit
        )
        for alias, model in models.items():
            if model.endpoint == OFFLINE:
                opened[alias] = offline() if around is None else ChargedEndpoint(offline(), around(alias))
            elif model.use is None:
                settings: dict[str, Any] = {} if around is None else {"around": around(alias)}
                # What serves a file is another one in each run, at a port that may be anybody's tomorrow.
                learnt = Learnt() if alias in files else memory.of(resolved(model))
                wiring: dict[str, Any] = {"clean": clean, "learnt": learnt}
                opened[alias] = await _open(model, stack, shared_limits, rng, wiring, settings, shelves)
            if alias in opened:
                opened[alias] = LabelGuard(opened[alias], alias=alias, model=model, labels=labels)
        for alias, model in models.items():
            if model.use is not None:
                opened[alias] = Pool([opened[name] for name in _members(model.use, models)])
        yield Router(opened)


async def _with_files_served(models: Mapping[str, Model], stack: AsyncExitStack) -> dict[str, Model]:
    """Start a server for each model file, stopped with the stack, and put its address in place of the file's."""
    wanted: dict[Path, list[Model]] = {}
    for model in models.values():
        if model.endpoint is not None and is_local(model.endpoint):
            wanted.setdefault(path_of(model.endpoint), []).append(model)
    started: dict[Path, Served] = {}
    for path, sharing in wanted.items():
        slots = max(model.calls or SLOTS for model in sharing)
        context = max(model.context or CONTEXT for model in sharing)
        started[path] = await stack.enter_async_context(serving(path, slots=slots, context=context))
    made = dict(models)
    for alias, model in models.items():
        if model.endpoint is not None and is_local(model.endpoint):
            path = path_of(model.endpoint)
            served = started[path]
            update = {"endpoint": served.url, "key": SecretStr(served.key), "name": model.name or path.stem}
            # It queues what it has no slot for instead of saying 429, so its width cannot be learnt.
            made[alias] = model.model_copy(update={**update, "calls": model.calls or SLOTS})
    return made


def _members(use: Sequence[str], models: Mapping[str, Model]) -> list[str]:
    """List the models of a pool in order, those of pools inside it in their place, none twice."""
    flat: dict[str, None] = {}
    for name in use:
        inner = models[name].use
        flat.update(dict.fromkeys([name] if inner is None else _members(inner, models)))
    return list(flat)


async def _open(
    model: Model,
    stack: AsyncExitStack,
    shared_limits: SharedLimits,
    rng: Random,
    wiring: Mapping[str, Any],
    settings: Mapping[str, Any],
    shelves: dict[tuple[str, str], Shelf],
) -> Endpoint:
    """Open one model: an endpoint per key, each with its retries; what is limited is an endpoint with a key."""
    model = resolved(model)
    assert model.endpoint is not None
    slots = None if model.calls is None else anyio.CapacityLimiter(model.calls)
    opened: list[Endpoint] = []
    wires: list[OpenAIEndpoint] = []
    keys = model.keys or ("",)
    for number, key in enumerate(keys, 1):
        shelf = shelves[model.endpoint, key]
        wire = await stack.enter_async_context(OpenAIEndpoint(model, key=key, shelf=shelf, **wiring))
        name = wire.label if len(keys) == 1 else f"{wire.label} (key {number})"
        cooldown, limit = shared_limits.lane(model.endpoint, key, name)
        wire.told = cooldown.heed
        retrying = Retrying(
            wire,
            rng=rng,
            deadline=model.deadline,
            slots=slots,
            cooldown=cooldown,
            limit=limit,
            quota=shared_limits.quota(model, key),
            hedge=Hedge() if model.hedge else None,
            **settings,
        )
        opened.append(retrying)
        wires.append(wire)
    whole = opened[0] if len(opened) == 1 else Pool(opened, equal=True)
    return _warmed(whole, wires) if model.warm else whole


def _warmed(endpoint: Endpoint, wires: Iterable[OpenAIEndpoint]) -> PrefixFirst:
    """Send calls that begin alike after the first one's first token, of which the wires tell."""
    warm = PrefixFirst(endpoint)
    for wire in wires:
        wire.first = warm.begun
    return warm


def resolved(model: Model) -> Model:
    """Put a provider's base URL and usual model in place of its name; stream where the model answers no other way."""
    if model.endpoint is not None and is_local(model.endpoint):
        return model.model_copy(update={"name": model.name or path_of(model.endpoint).stem})
    if not model.stream and must_stream(model):
        model = model.model_copy(update={"stream": True})
    provider = provider_named(model.endpoint or "")
    if provider is None:
        return model
    return model.model_copy(update={"endpoint": provider.base_url, "name": model.name or provider.model})
