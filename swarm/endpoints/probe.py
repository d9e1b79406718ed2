"""What an endpoint can do: what it lists for free, what is known about it, and what a small test call shows."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from swarm.base.errors import EndpointError
from swarm.base.values import Json
from swarm.endpoints.contexts import size_of, stated
from swarm.endpoints.route import Route
from swarm.endpoints.wire.learnt import Learnt, Memory
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.local_models.serve import path_of, serving, what_is_missing
from swarm.spec.chat import Form, Medium, Request, ToolSpec, says
from swarm.spec.task import Model

LIST_SECONDS = 10.0
"""Maximum seconds for an endpoint to list its models."""
PROBE_TOKENS = 64
"""Maximum output tokens of a test call."""
PROBE_CALLS = 2
"""Test calls per model. A call whose field is refused is made again without it; refused calls are
free."""


@dataclass(frozen=True)
class Ability:
    """What a model at its endpoint can do, as far as is known."""

    alias: str
    endpoint: str
    """Host and port, the file, or `offline`; no credentials."""
    name: str | None = None
    reachable: bool | None = None
    """Whether it answered; None if it was not called."""
    models: tuple[str, ...] = ()
    """Names of all models that it lists."""
    form: str = ""
    """How a JSON Schema is requested: as the probe found, otherwise as is known of the provider."""
    remembered: str = ""
    """What earlier runs learnt that its endpoint refuses, in words."""
    tools: bool | None = None
    """Whether it accepts tools; None if that was not tested."""
    takes: tuple[Medium, ...] = ()
    """Media that it accepts in addition to text."""
    slots: int | None = None
    """Maximum number of parallel calls: the task's `calls`, otherwise the slots of its server."""
    context: int | None = None
    """Tokens of input and output that fit into one call."""
    calls: int = 0
    """Number of calls that the probe made."""
    problem: str = ""
    """Why it cannot be used, and what to do."""


async def look(route: Route, *, probe: bool = False, memory: Memory | None = None) -> Ability:
    """Return what one model that is not a pool can do. Free, unless `probe` allows `PROBE_CALLS` small calls.

    `memory` has what earlier runs learnt about endpoints; a probe ignores it and asks again.
    """
    settings = route.settings
    found = Ability(
        route.alias,
        _label(route.address),
        settings.name,
        takes=route.takes,
        slots=settings.calls,
        context=settings.context,
    )
    if route.is_offline:
        return replace(found, reachable=True, form="json_schema", tools=False)
    if route.is_local_file:
        return await _look_at_file(route, found, probe=probe)
    learnt = Learnt() if memory is None else memory.of(settings)
    found = replace(found, form=learnt.form or route.quirks.forms[0], remembered=learnt.words)
    async with OpenAIEndpoint(_small(settings)) as wire:
        found = await _listed(found, wire, route)
        return await _probed(found, wire) if probe and found.reachable else found


async def _look_at_file(route: Route, found: Ability, *, probe: bool) -> Ability:
    """Check a model file; with `probe`, start a server for it and test that."""
    missing = what_is_missing(route.address)
    found = replace(found, reachable=missing is None, form="json_schema", problem=missing or "")
    if missing is not None or not probe:
        return found
    async with serving(path_of(route.address), slots=1) as served:
        settings = route.settings.model_copy(update={"endpoint": served.url, "key": None})
        async with OpenAIEndpoint(_small(settings), key=served.key) as wire:
            return await _probed(found, wire)


def _small(model: Model) -> Model:
    return model.model_copy(update={"name": model.name or "-", "max_tokens": PROBE_TOKENS, "deadline": 60.0})


def _label(address: str) -> str:
    return urlsplit(address).netloc.rpartition("@")[2] or address


async def _listed(found: Ability, wire: OpenAIEndpoint, route: Route) -> Ability:
    """Add what the endpoint says about itself."""
    try:
        entries = await wire.listed(seconds=LIST_SECONDS)
    except EndpointError as error:
        return replace(found, reachable=False, problem=str(error))
    name = route.model_name
    names = tuple(str(entry.get("id", "")) for entry in entries)
    own = next((entry for entry in entries if name and entry.get("id") == name), None)
    found = replace(found, reachable=True, models=names)
    if name and names and own is None:
        found = replace(found, problem=f"it lists no model {name}")
    found = await _sized(found, route)
    return replace(found, context=found.context or stated(own or {}))


async def _sized(found: Ability, route: Route) -> Ability:
    """Add the slots and the context that a server in the own network states."""
    if not route.address.startswith("http://"):
        return found
    size = await size_of(route.address, route.model_name, key=next(iter(route.settings.keys), ""))
    if size is None:
        return found
    return replace(
        found,
        slots=found.slots or size.slots,
        context=found.context or size.context,
    )


async def _probed(found: Ability, wire: OpenAIEndpoint) -> Ability:
    """Test a JSON Schema and a tool call. The prompt is a piece of JSON, with no instructions."""
    request = Request(model=found.alias, messages=(says("user", 'json: {"ok": true}'),))
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    form = Form(name="answer", json_schema=schema)
    try:
        reply = await wire.complete(request.model_copy(update={"form": form}))
    except EndpointError as error:
        return replace(found, calls=1, problem=str(error))
    found = replace(found, form=reply.form, calls=reply.usage.calls)
    tool = ToolSpec(name="answer", description="", parameters=schema)
    try:
        reply = await wire.complete(request.model_copy(update={"tools": (tool,)}))
    except EndpointError as error:
        found = replace(found, calls=found.calls + 1)
        if error.kind == "bad_request":  # the endpoint refuses tools; any other error proves nothing
            return replace(found, tools=False)
        return replace(found, problem=str(error))
    return replace(found, tools=True, calls=found.calls + reply.usage.calls)
