"""From an alias to the endpoint that serves it: the wrappers of this package, applied in one order."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
from pydantic import SecretStr

from swarm.base.errors import EndpointRefused
from swarm.base.text import listing
from swarm.endpoints import Endpoint
from swarm.endpoints.account import ChargedEndpoint
from swarm.endpoints.guard import LabelGuard
from swarm.endpoints.pool import Pool
from swarm.endpoints.prefix_cache import Leads, PrefixFirst
from swarm.endpoints.route import Route, Routes, single
from swarm.endpoints.traffic.flights import MOST_DEADLINES
from swarm.endpoints.traffic.gate import Gate
from swarm.endpoints.traffic.hedge import Hedge
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.traffic.shared import SharedLimits
from swarm.endpoints.wire.learnt import Learnt
from swarm.endpoints.wire.openai import OpenAIEndpoint, label_of
from swarm.endpoints.wire.uploads import Shelf
from swarm.endpoints.wiring import ENDPOINT_ORDER, Wiring
from swarm.local_models.serve import CONTEXT, SLOTS, Served, path_of, serving
from swarm.spec.chat import Reply, Request
from swarm.spec.task import USUAL_WORKERS, Model


class Router:
    """Completes each request with the endpoint of the alias that it names."""

    def __init__(self, endpoints: Mapping[str, Endpoint], limits: SharedLimits | None = None) -> None:
        self._endpoints = dict(endpoints)
        self._limits = limits

    @property
    def width(self) -> int:
        """How many attempts keep the endpoints busy that the run uses."""
        return USUAL_WORKERS if self._limits is None else self._limits.width

    @property
    def stranded(self) -> bool:
        """Whether a server is gone, and no call is in flight at another one."""
        return self._limits is not None and self._limits.stranded

    async def complete(self, request: Request) -> Reply:
        """Return the answer of the endpoint that `request.model` names."""
        endpoint = self._endpoints.get(request.model)
        if endpoint is None:
            known = listing(sorted(self._endpoints))
            message = f"no model has the alias `{request.model}`; known aliases: {known}"
            raise EndpointRefused(message, kind="unknown_model")
        return await endpoint.complete(request)


@asynccontextmanager
async def connect(routes: Routes, wiring: Wiring) -> AsyncGenerator[Router]:
    """Open an endpoint for every alias; all are closed on exit, and what was learnt of them is saved."""
    async with AsyncExitStack() as stack:
        stack.callback(wiring.memory.save)
        files = frozenset(alias for alias, route in routes.items() if route.is_local_file)
        routes = await _with_files_served(routes, stack)
        assembly = _Assembly(routes, wiring, files)
        stack.callback(assembly.remember)
        opened = {alias: await assembly.open(route, stack) for alias, route in single(routes).items()}
        pools = {
            alias: Pool([opened[each] for each in route.members], gates=[assembly.gate(each) for each in route.members])
            for alias, route in routes.items()
            if route.is_pool
        }
        yield Router({**opened, **pools}, assembly.limits)


async def _with_files_served(routes: Routes, stack: AsyncExitStack) -> dict[str, Route]:
    """Start one server for each model file, stopped with the stack; return routes to these servers."""
    sharing: dict[Path, list[Route]] = defaultdict(list)
    for route in routes.values():
        if route.is_local_file:
            sharing[path_of(route.address)].append(route)
    servers: dict[Path, Served] = {}
    for path, aliases in sharing.items():
        slots = max(route.settings.calls or SLOTS for route in aliases)
        context = max(route.settings.context or CONTEXT for route in aliases)
        servers[path] = await stack.enter_async_context(serving(path, slots=slots, context=context))
    return {
        alias: _served_by(servers[path_of(route.address)], route) if route.is_local_file else route
        for alias, route in routes.items()
    }


def _served_by(server: Served, route: Route) -> Route:
    update = {
        "endpoint": server.url,
        "key": SecretStr(server.key),
        # The server queues calls instead of answering 429, so the limit cannot be learnt: it must be set.
        "calls": route.settings.calls or SLOTS,
    }
    return replace(route, settings=route.settings.model_copy(update=update))


class _Opened:
    """A model while its wrappers are applied: its endpoints so far, one for each key until the pool joins them."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.leads = Leads()
        """Receives the first tokens from the wires, for `PrefixFirst`, which is made after them."""
        self.endpoints: list[Endpoint] = []


class _Assembly:
    """Opens models: the innermost endpoints first, then the wrappers of `ENDPOINT_ORDER` around them."""

    def __init__(self, routes: Routes, wiring: Wiring, files: frozenset[str]) -> None:
        """Take routes that can be called, and the aliases whose model is a file."""
        settings = {alias: route.settings for alias, route in routes.items()}
        self._wiring = wiring
        self._routes = routes
        self._files = files
        self.limits = SharedLimits(
            settings,
            workers=wiring.workers,
            emit=wiring.emit,
            patience=wiring.patience,
            auto=wiring.auto,
            known=self._width_of,
        )
        self._shelves: dict[tuple[str, str], Shelf] = defaultdict(Shelf)
        self._wrap: Mapping[type[Endpoint], Callable[[_Opened], list[Endpoint]]] = {
            LabelGuard: self._guarded,
            PrefixFirst: self._prefix_first,
            Pool: self._pooled,
            Retrying: self._retrying,
            ChargedEndpoint: self._charged,
        }

    async def open(self, route: Route, stack: AsyncExitStack) -> Endpoint:
        """Open one model that is not a pool; `stack` closes it."""
        model = _Opened(route)
        if route.is_offline:
            model.endpoints = [self._wiring.offline()]
        else:
            model.endpoints = [await stack.enter_async_context(self._wire(model, key)) for key in route.keys]
        for wrapper in reversed(ENDPOINT_ORDER):
            model.endpoints = self._wrap[wrapper](model)
        (endpoint,) = model.endpoints
        return endpoint

    def remember(self) -> None:
        """Note for later runs how wide each endpoint turned out to be."""
        for alias, route in single(self._routes).items():
            if alias not in self._files and not route.is_offline:
                self._wiring.memory.of(route.settings).width = self.limits.found(route.settings)

    def _width_of(self, model: Model) -> int | None:
        """Return the width that earlier runs found, of a model that is not a file."""
        files = {self._routes[alias].address for alias in self._files}
        return None if model.endpoint in files else self._wiring.memory.of(model).width

    def gate(self, alias: str) -> Gate:
        """Return the gate of the address of a model."""
        return self.limits.gate(self._routes[alias].address)

    def _wire(self, model: _Opened, key: str) -> OpenAIEndpoint:
        route = model.route
        # The server of a file has a new address in each run: nothing learnt about it is remembered.
        learnt = Learnt() if route.alias in self._files else self._wiring.memory.of(route.settings)
        cooldown, _ = self.limits.lane(route.address, key, _label(route, key))
        gate = self.limits.gate(route.address)

        def begun(request: Request) -> None:
            gate.answered(reply=False)
            model.leads.begun(request)

        return OpenAIEndpoint(
            route.settings,
            key=key,
            clean=self._wiring.clean,
            shelf=self._shelves[route.address, key],
            learnt=learnt,
            seconds=MOST_DEADLINES * route.settings.deadline,
            on_headers=cooldown.heed,
            on_first_token=begun,
        )

    def _guarded(self, model: _Opened) -> list[Endpoint]:
        return [LabelGuard(each, model.route, labels=self._wiring.labels) for each in model.endpoints]

    def _prefix_first(self, model: _Opened) -> list[Endpoint]:
        if not model.route.settings.warm or model.route.is_offline:
            return model.endpoints
        return [PrefixFirst(each, model.leads) for each in model.endpoints]

    def _pooled(self, model: _Opened) -> list[Endpoint]:
        return model.endpoints if len(model.endpoints) == 1 else [Pool(model.endpoints, equal=True)]

    def _retrying(self, model: _Opened) -> list[Endpoint]:
        route = model.route
        if route.is_offline:
            return model.endpoints
        settings = route.settings
        slots = None if settings.calls is None else anyio.CapacityLimiter(settings.calls)
        retrying: list[Endpoint] = []
        for key, wire in zip(route.keys, model.endpoints, strict=True):
            cooldown, limit = self.limits.lane(route.address, key, _label(route, key))
            retrying.append(
                Retrying(
                    wire,
                    rng=self._wiring.rng,
                    deadline=settings.deadline,
                    slots=slots,
                    cooldown=cooldown,
                    limit=limit,
                    gate=self.limits.gate(route.address),
                    quota=self.limits.quota(settings, key),
                    hedge=Hedge() if settings.hedge else None,
                    around=self._wiring.around(route.alias),
                )
            )
        return retrying

    def _charged(self, model: _Opened) -> list[Endpoint]:
        if not model.route.is_offline:
            return model.endpoints
        return [ChargedEndpoint(each, self._wiring.around(model.route.alias)) for each in model.endpoints]


def _label(route: Route, key: str) -> str:
    """Return the name of an endpoint for people, with the number of the key if there are several."""
    label = label_of(route.address)
    return label if len(route.keys) == 1 else f"{label} (key {route.keys.index(key) + 1})"
