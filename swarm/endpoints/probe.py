"""What an endpoint can do: what it says of itself for nothing, what is known of it, and what a tiny call shows."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlsplit

from swarm.base.errors import EndpointError
from swarm.base.network import is_loopback
from swarm.base.values import Json
from swarm.endpoints.choose import size_of
from swarm.endpoints.router import OFFLINE, resolved
from swarm.endpoints.wire.learnt import Learnt, Memory
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.local_models.serve import is_local, path_of, serving, what_is_missing
from swarm.spec.chat import Form, Medium, Request, ToolSpec, says
from swarm.spec.providers import quirks_of, takes_of
from swarm.spec.task import Model

LIST_SECONDS = 10.0
"""How long an endpoint may take to list its models."""
PROBE_TOKENS = 64
"""Most tokens of an answer to a probe."""
PROBE_CALLS = 2
"""Questions a probe asks of a model. One that is refused for a field is put again without it, and refusals are free."""
_CONTEXT_FIELDS = ("context_length", "max_model_len", "context_window", "max_context_length")
"""What servers call a model's context in their lists: OpenRouter and Kimi, vLLM and SGLang, Groq, LM Studio."""


@dataclass(frozen=True)
class Ability:
    """What a model at its endpoint can do, as far as it is known."""

    alias: str
    endpoint: str
    """For people: host and port, the file, or `offline`; no credentials."""
    name: str | None = None
    reachable: bool | None = None
    """Whether it answered; None where it was not asked."""
    models: tuple[str, ...] = ()
    """Every model that it lists."""
    form: str = ""
    """How a schema is asked for: seen where it was probed, else what is known of the provider."""
    remembered: str = ""
    """What earlier runs have learnt that its endpoint would not have, in words."""
    tools: bool | None = None
    """Whether it takes tools; None where it was not tried."""
    takes: tuple[Medium, ...] = ()
    """Media it reads beside text."""
    slots: int | None = None
    """Calls it is given at once, at most: the task's, or as many as it says it has slots."""
    context: int | None = None
    """Tokens it reads and writes in one call."""
    calls: int = 0
    """Calls the probe made."""
    problem: str = ""
    """Why it cannot be used, and what to do."""


async def look(alias: str, model: Model, *, probe: bool = False, memory: Memory | None = None) -> Ability:
    """Look at one model that is no pool. Free, unless `probe` allows `PROBE_CALLS` tiny questions.

    `memory` has what earlier runs have learnt of endpoints; a probe asks anew.
    """
    model = resolved(model)
    assert model.endpoint is not None
    found = Ability(alias, _label(model), model.name, takes=takes_of(model), slots=model.calls, context=model.context)
    if model.endpoint == OFFLINE:
        return replace(found, reachable=True, form="json_schema", tools=False)
    async with AsyncExitStack() as stack:
        if is_local(model.endpoint):
            missing = what_is_missing(model.endpoint)
            found = replace(found, reachable=missing is None, form="json_schema", problem=missing or "")
            if missing is not None or not probe:
                return found
            served = await stack.enter_async_context(serving(path_of(model.endpoint), slots=1))
            model = model.model_copy(update={"endpoint": served.url, "key": None})
            wire = await stack.enter_async_context(OpenAIEndpoint(_small(model), key=served.key))
        else:
            learnt = Learnt() if memory is None else memory.of(model)
            form = learnt.form or quirks_of(model.endpoint).forms[0]
            found = replace(found, form=form, remembered=learnt.words)
            wire = await stack.enter_async_context(OpenAIEndpoint(_small(model)))
            found = await _listed(found, wire, model)
        return await _probed(found, wire) if probe and found.reachable else found


def _small(model: Model) -> Model:
    return model.model_copy(update={"name": model.name or "-", "max_tokens": PROBE_TOKENS, "deadline": 60.0})


def _label(model: Model) -> str:
    address = urlsplit(model.endpoint or "")
    return address.netloc.rpartition("@")[2] or model.endpoint or ""


async def _listed(found: Ability, wire: OpenAIEndpoint, model: Model) -> Ability:
    """Add what the endpoint says of itself."""
    assert model.endpoint is not None
    try:
        entries = await wire.listed(seconds=LIST_SECONDS)
    except EndpointError as error:
        return replace(found, reachable=False, problem=str(error))
    names = tuple(str(entry.get("id", "")) for entry in entries)
    own = next((entry for entry in entries if entry.get("id") == model.name), None)
    found = replace(found, reachable=True, models=names, context=found.context or _context(own or {}))
    if model.name and names and own is None:
        found = replace(found, problem=f"it lists no model {model.name}")
    if is_loopback(model.endpoint) and model.endpoint.startswith("http://"):
        size = await size_of(model.endpoint)
        if size is not None:
            found = replace(found, slots=found.slots or size.slots, context=found.context or size.context)
    return found


def _context(entry: dict[str, Json]) -> int | None:
    """Read a model's context out of its entry in a list."""
    meta: Any = entry.get("meta")
    counts: Sequence[Any] = [entry.get(name) for name in _CONTEXT_FIELDS]
    if isinstance(meta, dict):
        counts = [*counts, cast("dict[str, Any]", meta).get("n_ctx")]  # llama.cpp
    return next((count for count in counts if type(count) is int and count > 0), None)


async def _probed(found: Ability, wire: OpenAIEndpoint) -> Ability:
    """Ask for a form and for a tool; what is sent has no words of ours but a piece of JSON."""
    asked = Request(model=found.alias, messages=(says("user", 'json: {"ok": true}'),))
    shape: dict[str, Json] = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    try:
        reply = await wire.complete(asked.model_copy(update={"form": Form(name="answer", json_schema=shape)}))
        found = replace(found, form=reply.form, calls=reply.usage.calls)
    except EndpointError as error:
        return replace(found, calls=1, problem=str(error))
    tool = ToolSpec(name="answer", description="", parameters=shape)
    try:
        reply = await wire.complete(asked.model_copy(update={"tools": (tool,)}))
        return replace(found, tools=True, calls=found.calls + reply.usage.calls)
    except EndpointError as error:
        refused = error.kind == "bad_request"
        return replace(found, tools=False if refused else None, calls=found.calls + 1, problem=_if(not refused, error))


def _if(wanted: bool, error: EndpointError) -> str:
    return str(error) if wanted else ""
