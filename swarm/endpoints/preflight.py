"""A check before anything is paid for: whether the models that a run will need later can serve at all.

The first call of a run shows whether its own model works. A plan that is paid for and cannot run,
because the name of the workers' model is misspelt, is money lost. So right before that first call
every other model is checked, all of them in parallel:

| its endpoint | result |
| --- | --- |
| lists the model | it can serve; the check was free |
| lists no models, or not this one (a gateway, a router with suffixes) | one call for one token, charged as any other |
| has no such model or path, refuses the key, or reports an exhausted quota | it cannot serve |
| is busy, slow or unreachable, or answers anything else | unknown: it may work when it is needed |

At most one call is made for each endpoint, key and name. A model that cannot serve stops the run. A
member of a pool, or one key of several, is a warning while another one may serve. A run that takes
everything from its cache makes no call, so nothing is checked. A check sends no data of the task.

A run that is stopped by the check has no report (exit code 1), because the check was a call; if
nothing was spent, the message says so. Its folder is kept: it shows what was found, and `swarm
resume` continues in it with the task as it is then. Checks do not use the slots and quotas of the
run's calls, which have not started yet.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused, LimitError, Problem
from swarm.base.values import Json
from swarm.endpoints import Endpoint
from swarm.endpoints.account import Account, ChargedEndpoint
from swarm.endpoints.route import Route, Routes
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wiring import Wiring
from swarm.record import events as e
from swarm.spec.chat import Reply, Request, Usage, says
from swarm.spec.files.references import masked_url
from swarm.spec.task import Model

SECONDS = 8.0
"""Maximum seconds that a run waits for all checks."""
LIST_SECONDS = 3.0
"""Maximum seconds of these for lists of models, which most servers return without delay."""
DECIDING = frozenset({"model_not_found", "wrong_path", "auth", "quota"})
"""Kinds of refusal that every later call would get, too."""
SILENT = frozenset({"malformed", "server_error"})
"""Kinds of fault with which a working endpoint may answer if it has no list of models."""
WORD = "1"
"""The prompt of a check: one token for every model."""
FINISH = "preflight"
"""The `finish` of the event that records the cost of a check."""


@dataclass(frozen=True)
class Spot:
    """What one check is about: a model name at an address, with a key."""

    url: str
    key: str = field(repr=False)
    name: str


class Wire(Endpoint, Protocol):
    """An endpoint that lists its models."""

    @property
    def label(self) -> str:
        """The endpoint, for people."""
        ...

    async def listed(self, *, seconds: float) -> tuple[dict[str, Json], ...]:
        """Return the entries of its list of models. Raise `EndpointError` if it has none."""
        ...


Open = Callable[[Model, str], AbstractAsyncContextManager[Wire]]
"""Opens one model with one key."""


@dataclass(eq=False)
class _Check:
    """The check of one spot."""

    route: Route
    """A route that leads there; its meter is charged."""
    spot: Spot
    unknown: bool = True
    """Whether it is still open if the model can serve."""
    wrong: EndpointRefused | None = None
    used: Usage = Usage()  # noqa: RUF009 - frozen
    seconds: float = 0.0
    label: str = ""
    account: Account = field(default_factory=Account)

    @property
    def finding(self) -> str:
        """What is wrong with the spot; the message of the endpoint says what to do."""
        return f"{masked_url(self.spot.url)}: {str(self.wrong).rstrip('.')}"


class Preflight:
    """A wrapper around the endpoint of a run: checks the models that are needed later, right before the first call."""

    def __init__(
        self,
        inner: Endpoint,
        routes: Routes,
        wiring: Wiring,
        *,
        ahead: Iterable[str],
        warn: Callable[[str], object] = lambda _: None,
        open_: Open | None = None,
    ) -> None:
        """Take all routes of the run, and the aliases `ahead` that it will, or may, need.

        The cost of a check is an event of the step that made the first call. `warn` receives
        findings that do not stop the run. `open_` replaces the wire.
        """
        self.problems: tuple[Problem, ...] = ()
        """The findings that stopped the run, one for each alias."""
        self._inner = inner
        self._routes = routes
        self._wiring = wiring
        self._ahead = tuple(alias for alias in dict.fromkeys(ahead) if alias in routes)
        self._warn = warn
        self._open = open_ or self._open_wire
        self._over: anyio.Event | None = None
        self._kind = ""

    async def complete(self, request: Request) -> Reply:
        """Return the wrapped endpoint's answer. Raise `EndpointRefused` if a model ahead cannot serve."""
        if self._over is None:
            self._over = anyio.Event()
            try:
                await self._check(request)
            finally:
                # If the first call is cancelled during the check, the others must not wait for it for ever.
                self._over.set()
        await self._over.wait()
        if self.problems:
            raise EndpointRefused("; ".join(map(str, self.problems)), kind=self._kind, stops=True)
        return await self._inner.complete(request)

    async def _check(self, request: Request) -> None:
        """Check every spot of the models ahead except the one that the request goes to."""
        checks = self._checks(request)
        try:
            with anyio.move_on_after(SECONDS):
                await _in_parallel(self._list, checks.values())
                await _in_parallel(self._call, (check for check in checks.values() if check.unknown))
        finally:
            # Calls that were cut off by the deadline, or by a cancelled run, may have been billed.
            self._record(request, checks.values())
        self._judge(checks)

    def _checks(self, request: Request) -> dict[Spot, _Check]:
        first = next(iter(self._spots(request.model)), None)
        checks: dict[Spot, _Check] = {}
        for route in self._routes_ahead():
            for spot in _spots_of(route):
                if spot is not None and spot != first and spot not in checks:
                    checks[spot] = _Check(route, spot)
        return checks

    def _routes_ahead(self) -> list[Route]:
        """Return the models behind the aliases ahead."""
        found: list[Route] = []
        for alias in self._ahead:
            found += self._behind(alias)
        return found

    def _behind(self, alias: str) -> list[Route]:
        route = self._routes.get(alias)
        return [] if route is None else [self._routes[member] for member in route.members]

    def _spots(self, alias: str) -> list[Spot | None]:
        found: list[Spot | None] = []
        for route in self._behind(alias):
            found += _spots_of(route)
        return found

    def _open_wire(self, model: Model, key: str) -> AbstractAsyncContextManager[Wire]:
        return OpenAIEndpoint(model, key=key, clean=self._wiring.clean, learnt=self._wiring.memory.of(model))

    async def _list(self, check: _Check) -> None:
        """Check whether the endpoint lists the model."""
        async with self._open(check.route.settings, check.spot.key) as wire:
            try:
                entries = await wire.listed(seconds=LIST_SECONDS)
            except EndpointError as error:
                check.unknown = not isinstance(error, EndpointBusy) or error.kind in SILENT
                return
        check.unknown = check.spot.name not in {entry.get("id") for entry in entries}

    async def _call(self, check: _Check) -> None:
        """Call the model for one token, without the settings of the task."""
        bare = check.route.settings.model_copy(update={"params": {}, "extra": {}, "deadline": SECONDS})
        alias = check.route.alias
        request = Request(model=alias, messages=(says("user", WORD),), max_tokens=1, account=check.account)
        began = anyio.current_time()
        async with self._open(bare, check.spot.key) as wire:
            check.label = wire.label
            try:
                reply = await ChargedEndpoint(wire, self._wiring.around(alias)).complete(request)
                check.used = reply.usage
            except EndpointRefused as error:
                check.wrong = error if error.kind in DECIDING else None
            except (EndpointBusy, LimitError):
                pass
            finally:
                check.unknown = False
                check.seconds = anyio.current_time() - began

    def _record(self, request: Request, checks: Iterable[_Check]) -> None:
        """Emit the cost of the calls, as events of the step that made the first call."""
        whose = request.account
        if not isinstance(whose, Account) or not whose.step:
            return
        for check in checks:
            lost = {"calls": max(0, check.account.tries - check.used.calls)}
            used = check.used + check.account.lost.model_copy(update=lost)
            if used.charged_tokens:
                self._wiring.emit(
                    e.TurnTaken(
                        step=whose.step,
                        attempt=whose.attempt,
                        messages=(),
                        usage=used,
                        seconds=check.seconds,
                        model=check.spot.name,
                        endpoint=check.label,
                        finish=FINISH,
                    )
                )

    def _judge(self, checks: Mapping[Spot, _Check]) -> None:
        """Stop the run for aliases that no model behind them can serve; warn if another one can."""
        wrong = {spot: check for spot, check in checks.items() if check.wrong is not None}
        stopping = self._without_a_model(wrong)
        self.problems = tuple(
            Problem("; ".join(check.finding for check in found), key=f"models.{alias}")
            for alias, found in stopping.items()
        )
        fatal: list[_Check] = []
        for found in stopping.values():
            fatal += found
        self._kind = next((check.wrong.kind for check in fatal if check.wrong is not None), "")
        for check in wrong.values():
            if check not in fatal:
                alias = check.route.alias
                self._warn(f"models.{alias}: {check.finding}; the run continues without it")

    def _without_a_model(self, wrong: Mapping[Spot, _Check]) -> dict[str, list[_Check]]:
        """Return the aliases ahead whose every spot is wrong, with the checks of these spots."""
        found: dict[str, list[_Check]] = {}
        for alias in self._ahead:
            spots = self._spots(alias)
            checks = [wrong[spot] for spot in spots if spot is not None and spot in wrong]
            if checks and len(checks) == len(spots):
                found[alias] = checks
        return found


def _spots_of(route: Route) -> list[Spot | None]:
    """Return the spots of one model, one for each key; None for a model that needs no check."""
    if not route.address or route.is_offline or route.is_local_file:
        return [None]
    return [Spot(route.address, key, route.model_name) for key in route.keys]


async def _in_parallel(act: Callable[[_Check], Coroutine[Any, Any, None]], checks: Iterable[_Check]) -> None:
    async with anyio.create_task_group() as group:
        for check in list(checks):
            group.start_soon(act, check)


def already_served(events: Iterable[e.Stamped], models: Mapping[str, Json]) -> set[str]:
    """Return the aliases that answered in a run's journal and whose settings in the task have not changed since."""
    written: Mapping[str, Json] = {}
    alias_of: dict[str, str] = {}
    found: dict[str, Json] = {}
    for event in events:
        if isinstance(event, e.RunStarted | e.RunResumed):
            written = event.task.get("models") or {}
        elif isinstance(event, e.StepStarted):
            alias_of[event.step] = event.model
        elif isinstance(event, e.TurnTaken) and event.is_answer and event.step in alias_of:
            found[alias_of[event.step]] = written.get(alias_of[event.step])
    return {alias for alias, model in found.items() if model == models.get(alias)}
