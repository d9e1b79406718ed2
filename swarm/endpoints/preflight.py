"""Before anything is paid for: whether the models that a run will need later are there at all.

The first call of a run shows whether its own model is. A plan that is paid for and cannot be carried out, because the
name of the workers' model is misspelt, is money lost. So right before that first call every other model is looked at,
all side by side:

| its endpoint | then |
| --- | --- |
| lists the model | it is there; that cost nothing |
| lists nothing, or not this one (a gateway, a router with suffixes) | one call for one token, charged like any other |
| has no such model or path, refuses the key, says that the quota is spent | it cannot serve |
| is busy, slow or out of reach, or says anything else | no verdict: it may be well when it is needed |

At most one call is made for each endpoint, key and name. A model that cannot serve stops the run; one of a pool, or one
key of several, is a warning while another may serve. A run that takes everything from its cache makes no call, so
nothing is looked at. What is sent holds nothing of the task.

A run that is stopped so is an error of what the user wrote (exit 2) if nothing was spent, and a failed run (exit 1) if
such a call was. Its folder stays either way: it tells what was found, and `swarm resume` goes on in it with the task as
it is by then. Each call goes by itself, past the slots and quotas of later calls, which do not run yet.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import anyio

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused, LimitError, Problem
from swarm.base.values import Json
from swarm.endpoints import Endpoint
from swarm.endpoints.account import Account, ChargedEndpoint
from swarm.endpoints.router import OFFLINE, resolved
from swarm.endpoints.traffic.retry import Around
from swarm.endpoints.wire.learnt import Memory
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.local_models.serve import is_local
from swarm.record import events as e
from swarm.spec.chat import Reply, Request, Usage, says
from swarm.spec.files.references import masked_url
from swarm.spec.labels import pooled
from swarm.spec.task import Model

SECONDS = 8.0
"""How long a run waits for all of it, at most."""
LIST_SECONDS = 3.0
"""Of that, for lists of models: a page that most servers have at hand."""
DECIDING = frozenset({"model_not_found", "wrong_path", "auth", "quota"})
"""Kinds of refusal that will hold for every call."""
SILENT = frozenset({"malformed", "server_error"})
"""Kinds of fault by which an endpoint that works may say that it has no list."""
WORD = "1"
"""What a model is asked where nothing else tells: one token everywhere."""
FINISH = "preflight"
"""The `finish` of the event that tells what such a call cost."""


class Spot(NamedTuple):
    """What a call goes to."""

    url: str
    key: str
    name: str


class Wire(Endpoint, Protocol):
    """An endpoint that lists its models."""

    @property
    def label(self) -> str:
        """The endpoint, for people."""
        ...

    async def listed(self, *, seconds: float) -> tuple[dict[str, Json], ...]:
        """Give what it says of its models; `EndpointError` if it does not say."""
        ...


Open = Callable[[Model, str], AbstractAsyncContextManager[Wire]]
"""Opens one model with one key."""


@dataclass
class _Look:
    """A look at one spot."""

    alias: str
    """A model that is served there; its meter takes the cost."""
    model: Model
    spot: Spot
    unknown: bool = True
    """Whether nothing has told yet that it is well, or that it cannot be known now."""
    wrong: EndpointRefused | None = None
    used: Usage = Usage()  # noqa: RUF009 - frozen
    seconds: float = 0.0
    label: str = ""
    account: Account = field(default_factory=Account)


class Preflight:
    """Another endpoint, around a run's: looks at the models ahead right before the first call is made."""

    def __init__(
        self,
        inner: Endpoint,
        models: Mapping[str, Model],
        *,
        ahead: Iterable[str],
        around: Callable[[str], Around],
        emit: Callable[[e.TurnTaken], object],
        warn: Callable[[str], object] = lambda _: None,
        clean: Callable[[str], str] = str,
        memory: Memory | None = None,
        open_: Open | None = None,
    ) -> None:
        """Take all models of the run, and the aliases `ahead` that it will, or may, need.

        `around` gives what charges the calls of a model, `emit` takes in what they cost, as a fact about the step that
        was to call first; `warn` takes in what is wrong and stops nothing. `clean` takes secrets out of messages.
        `memory` has what endpoints would not have, for those that are called.
        """
        self.problems: tuple[Problem, ...] = ()
        """What stopped the run, a problem for each alias."""
        self._inner = inner
        self._models = {alias: resolved(model) for alias, model in models.items()}
        self._members = pooled({alias: model.use for alias, model in models.items()})
        self._ahead = tuple(alias for alias in dict.fromkeys(ahead) if alias in models)
        self._around = around
        self._emit = emit
        self._warn = warn
        self._clean = clean
        self._memory = Memory() if memory is None else memory
        self._opened = open_
        self._over: anyio.Event | None = None
        self._kind = ""

    async def complete(self, request: Request) -> Reply:
        """Give the other endpoint's answer. Raises `EndpointRefused` where a model ahead cannot serve."""
        if self._over is None:
            self._over = anyio.Event()
            try:
                await self._look(request)
            finally:
                self._over.set()
        await self._over.wait()
        if self.problems:
            raise EndpointRefused("; ".join(map(str, self.problems)), kind=self._kind, stops=True)
        return await self._inner.complete(request)

    async def _look(self, request: Request) -> None:
        """Look at every spot of the models ahead but the one that the request goes to."""
        first = next(iter(self._spots(request.model)), None)
        looks: dict[Spot, _Look] = {}
        for alias in self._ahead:
            for member in self._members[alias]:
                for spot in self._of(member):
                    if spot is not None and spot != first and spot not in looks:
                        looks[spot] = _Look(member, self._models[member], spot)
        try:
            with anyio.move_on_after(SECONDS):
                await _side_by_side(self._list, looks.values())
                await _side_by_side(self._call, (look for look in looks.values() if look.unknown))
        finally:
            self._tell(request, looks.values())
        self._judge(looks)

    def _open(self, model: Model, key: str) -> AbstractAsyncContextManager[Wire]:
        if self._opened is not None:
            return self._opened(model, key)
        return OpenAIEndpoint(model, key=key, clean=self._clean, learnt=self._memory.of(model))

    def _of(self, alias: str) -> list[Spot | None]:
        """Give the spots of a model that is no pool, one for each key; None for what is always there."""
        model = self._models[alias]
        if model.endpoint is None or model.endpoint == OFFLINE or is_local(model.endpoint):
            return [None]
        return [Spot(model.endpoint, key, model.name or "") for key in model.keys or ("",)]

    def _spots(self, alias: str) -> list[Spot | None]:
        return [spot for member in self._members.get(alias, ()) for spot in self._of(member)]

    async def _list(self, look: _Look) -> None:
        """See whether the endpoint lists the model."""
        async with self._open(look.model, look.spot.key) as wire:
            try:
                entries = await wire.listed(seconds=LIST_SECONDS)
            except EndpointError as error:
                look.unknown = not isinstance(error, EndpointBusy) or error.kind in SILENT
                return
        look.unknown = look.spot.name not in {entry.get("id") for entry in entries}

    async def _call(self, look: _Look) -> None:
        """Ask for one token, without a setting of the task's."""
        bare = look.model.model_copy(update={"params": {}, "extra": {}, "deadline": SECONDS})
        ask = Request(model=look.alias, messages=(says("user", WORD),), max_tokens=1, account=look.account)
        began = anyio.current_time()
        async with self._open(bare, look.spot.key) as wire:
            look.label = wire.label
            try:
                look.used = (await ChargedEndpoint(wire, self._around(look.alias)).complete(ask)).usage
            except EndpointRefused as error:
                look.wrong = error if error.kind in DECIDING else None
            except (EndpointBusy, LimitError):
                pass
            finally:
                look.unknown = False
                look.seconds = anyio.current_time() - began

    def _tell(self, request: Request, looks: Iterable[_Look]) -> None:
        """Tell what calls cost, as facts about the step that was to call first."""
        whose = request.account
        for look in looks:
            lost = {"calls": max(0, look.account.tries - look.used.calls)}
            used = look.used + look.account.lost.model_copy(update=lost)
            if used.tokens and isinstance(whose, Account) and whose.step:
                self._emit(
                    e.TurnTaken(
                        step=whose.step,
                        attempt=whose.attempt,
                        messages=(),
                        usage=used,
                        seconds=look.seconds,
                        model=look.spot.name,
                        endpoint=look.label,
                        finish=FINISH,
                    )
                )

    def _judge(self, looks: Mapping[Spot, _Look]) -> None:
        """Stop the run for the aliases that nothing behind them can serve; warn of what another stands in for."""
        wrong = {spot: look for spot, look in looks.items() if look.wrong is not None}
        places: dict[str, list[Spot]] = {}
        for alias in self._ahead:
            spots = [spot for spot in self._spots(alias) if spot in wrong]
            if spots and len(spots) == len(self._spots(alias)):
                places[alias] = [spot for spot in spots if spot is not None]
        self.problems = tuple(
            Problem("; ".join(_words(wrong[spot]) for spot in spots), key=f"models.{alias}")
            for alias, spots in places.items()
        )
        told = {spot for spots in places.values() for spot in spots}
        self._kind = next((look.wrong.kind for look in map(wrong.get, told) if look and look.wrong), "")
        for spot, look in wrong.items():
            if spot not in told:
                self._warn(f"models.{look.alias}: {_words(look)}; the run goes on without it")


def _words(look: _Look) -> str:
    """Say what is wrong at a spot: the endpoint's own message names what to do."""
    return f"{masked_url(look.spot.url)}: {str(look.wrong).rstrip('.')}"


async def _side_by_side(act: Callable[[_Look], Coroutine[Any, Any, None]], looks: Iterable[_Look]) -> None:
    async with anyio.create_task_group() as group:
        for look in list(looks):
            group.start_soon(act, look)


def already_served(events: Iterable[e.Stamped], models: Mapping[str, Json]) -> set[str]:
    """Name the aliases that gave an answer in a run's journal and are still written as they were then."""
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
