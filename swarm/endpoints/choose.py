"""Which model a run uses, and why: from options, the task, the environment or a local server."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
from pydantic import SecretStr

from swarm.base.errors import Problem, TaskError
from swarm.base.network import host_of, is_loopback, wrong_address
from swarm.base.settings import cleaned, hidden_character
from swarm.endpoints.contexts import ANSWER_SECONDS, Size, asked, size_of
from swarm.local_models.names import is_local, located
from swarm.spec.providers import PROVIDERS, Provider, key_in, provider_named
from swarm.spec.task import Model

OPENAI = "openai"
"""The provider whose variables other servers use, too."""
OFFLINE_WHY = (
    "offline (extracts sentences; not an LLM): no endpoint, API key or local server was found; set one with --endpoint"
)
"""The reason shown for the built-in endpoint, with what to do for a real model."""
UNNAMED_WHY = (
    "offline (extracts sentences; not an LLM): {key} is set, but its provider has no usual model; name one with --model"
)
"""The same if there is only the key of a provider without a usual model."""


@dataclass(frozen=True)
class Choice:
    """The models of a run."""

    models: Mapping[str, Model]
    why: str
    """One line for people: the model, and where it was set."""


Probe = Callable[[str], Awaitable["tuple[str, ...] | None"]]
"""Returns the names of the models at a base URL, or None if nothing answers there."""


async def choose(
    models: Mapping[str, Model],
    *,
    endpoint: str | None = None,
    model: str | None = None,
    environ: Mapping[str, str],
    probe: Probe | None = None,
    folder: Path = Path(),
) -> Choice:
    """Return the models of a run.

    swarm uses the first of these that is set: `endpoint` and `model`, which come from options; the
    `models` of the task; `SWARM_ENDPOINT` and `SWARM_MODEL`; `OPENAI_BASE_URL`; a provider whose
    key is in `environ`; a local server on its usual port; `offline`. Missing keys are read from the providers' own
    variables. The files of `local:` models are relative to `folder` in a task, and to the current
    folder in options. Without a `probe`, a server in the own network is asked for its slots and
    context, if `calls` or `context` is not set.
    """
    choice = await _choice(
        models, endpoint=endpoint, model=model, environ=environ, probe=probe or probe_local, folder=folder
    )
    if probe is not None:
        return choice
    sizes: dict[tuple[str, str | None], Size | None] = {}
    return Choice({alias: await _sized(choice.models[alias], sizes) for alias in choice.models}, choice.why)


async def _choice(
    models: Mapping[str, Model],
    *,
    endpoint: str | None,
    model: str | None,
    environ: Mapping[str, str],
    probe: Probe,
    folder: Path,
) -> Choice:
    models = {alias: _cleaned(each) for alias, each in models.items()}
    endpoint, model = _clean(endpoint), _clean(model)
    found = {alias: _keyed(located(each, environ=environ, folder=folder), environ) for alias, each in models.items()}
    if endpoint is not None or (model is not None and "default" not in found):
        chosen = await _named(endpoint, model, environ, probe)
        return Choice({**found, "default": chosen}, f"{_about(chosen)}: given on the command line")
    if not found:
        return await _from_surroundings(environ, probe)
    if model is not None:
        found["default"] = found["default"].model_copy(update={"name": model})
    if "default" not in found:
        found["default"] = next(iter(found.values()))
    found = {alias: await _with_name(each, probe) for alias, each in found.items()}
    return Choice(found, f"{_about(found['default'])}: named in the task")


async def _from_surroundings(environ: Mapping[str, str], probe: Probe) -> Choice:
    """Return the model of the environment or of this machine, if options and task name none."""
    endpoint, name = _endpoint("SWARM_ENDPOINT", environ), _variable("SWARM_MODEL", environ)
    if endpoint is not None:
        chosen = await _named(endpoint, name, environ, probe)
        return Choice({"default": chosen}, f"{_about(chosen)}: SWARM_ENDPOINT is set")
    if _openai_elsewhere(environ) is not None:
        chosen = await _with_name(_moved(Model(endpoint=OPENAI, name=name), environ), probe)
        return Choice({"default": chosen}, f"{_about(chosen)}: OPENAI_BASE_URL is set")
    for provider in PROVIDERS:
        variable = key_in(environ, provider)
        if variable is not None and (name or provider.model):
            chosen = _at(provider, name, environ)
            return Choice({"default": chosen}, f"{_about(chosen)}: {variable} is set")
    found = await _local(probe)
    if found is not None:
        provider, names = found
        chosen = Model(endpoint=provider.base_url, name=name or names[0])
        return Choice({"default": chosen}, f"{_about(chosen)}: a server answers on this machine")
    return Choice({"default": Model(endpoint="offline")}, _why_offline(environ))


def _why_offline(environ: Mapping[str, str]) -> str:
    """Return why the built-in endpoint is used: nothing is set, or only a key that no model goes with."""
    keys = (key_in(environ, provider) for provider in PROVIDERS if not provider.model)
    key = next(filter(None, keys), None)
    return OFFLINE_WHY if key is None else UNNAMED_WHY.format(key=key)


async def _named(endpoint: str | None, name: str | None, environ: Mapping[str, str], probe: Probe) -> Model:
    """Return the model of an endpoint and a name from the user, either of which may be missing."""
    if endpoint is None:
        return (await _from_surroundings({**environ, "SWARM_MODEL": name or ""}, probe)).models["default"]
    provider = provider_named(endpoint)
    if provider is not None:
        return await _with_name(_at(provider, name, environ), probe)
    given = located(Model(endpoint=endpoint, name=name), environ=environ, folder=Path())
    return await _with_name(_keyed(given, environ), probe)


def _at(provider: Provider, name: str | None, environ: Mapping[str, str]) -> Model:
    """Return a model of a provider, with the key from its variable."""
    model = _keyed(Model(endpoint=provider.name, name=name), environ)
    is_there = model.endpoint == provider.name
    return model.model_copy(update={"name": provider.model}) if is_there and name is None else model


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    scheme, point, rest = cleaned(text).partition("://")
    return f"{scheme.lower()}{point}{rest}" if scheme.lower() in {"http", "https"} else cleaned(text)


def _cleaned(model: Model) -> Model:
    """Return a model without the blanks that were copied with its address and its name."""
    changes = {name: _clean(getattr(model, name)) for name in ("endpoint", "name")}
    changes = {name: text for name, text in changes.items() if text != getattr(model, name)}
    return model.model_copy(update=changes) if changes else model


def _variable(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the value of a variable, or None if it is unset or blank. Raise TaskError, which names it."""
    value = cleaned(environ.get(name, ""))
    hidden = hidden_character(value)
    if hidden is not None:
        raise TaskError(Problem(f"the value contains {hidden}\nhint: set it again", key=name))
    return value or None


def _endpoint(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the endpoint in a variable, or None if it is unset or blank. Raise TaskError, which names the variable."""
    endpoint = _clean(_variable(name, environ))
    if endpoint is None or provider_named(endpoint) is not None or endpoint == "offline" or is_local(endpoint):
        return endpoint
    wrong = wrong_address(endpoint)
    if not endpoint.startswith(("http://", "https://")):
        wrong = f"invalid endpoint `{endpoint}`: expected a base URL (http://… or https://…)"
    if wrong is not None:
        raise TaskError(Problem(f"{wrong}\nhint: set it again, or unset it", key=name))
    return endpoint


def _keyed(model: Model, environ: Mapping[str, str]) -> Model:
    """Add the key of the provider, found by its name or by the host of its base URL.

    A key is sent only to the provider it belongs to: an unknown address gets none.
    """
    model = _moved(model, environ)
    if model.key is not None or model.endpoint is None:
        return model
    provider = provider_named(model.endpoint) or _by_host(model.endpoint)
    if provider is not None and provider.name == OPENAI and _openai_elsewhere(environ) is not None:
        return model  # the key is that of another address
    variable = key_in(environ, provider) if provider is not None else None
    if variable is None:
        return model
    return model.model_copy(update={"key": SecretStr(environ[variable].strip())})


def _moved(model: Model, environ: Mapping[str, str]) -> Model:
    """Return a model of `openai` at the address in `OPENAI_BASE_URL`, as OpenAI's own client does; else the model.

    There `OPENAI_API_KEY` is the key of that address, and `OPENAI_MODEL` names its model.
    """
    provider = provider_named(model.endpoint or "")
    base_url = _openai_elsewhere(environ)
    if provider is None or provider.name != OPENAI or base_url is None:
        return model
    update: dict[str, object] = {"endpoint": base_url, "name": model.name or _variable("OPENAI_MODEL", environ)}
    if model.key is None and (key := key_in(environ, provider)) is not None:
        update["key"] = SecretStr(environ[key].strip())
    return model.model_copy(update=update)


def _openai_elsewhere(environ: Mapping[str, str]) -> str | None:
    """Return the address in `OPENAI_BASE_URL`, or None if it is unset or names OpenAI's own host."""
    base_url, own = _endpoint("OPENAI_BASE_URL", environ), provider_named(OPENAI)
    return None if own is None or base_url is None or host_of(base_url) == host_of(own.base_url) else base_url


def _by_host(endpoint: str) -> Provider | None:
    host = host_of(endpoint)
    if not endpoint.startswith("https://"):
        return None
    remote = (provider for provider in PROVIDERS if provider.keys)
    return next((each for each in remote if host_of(each.base_url) == host), None)


async def _with_name(model: Model, probe: Probe) -> Model:
    """Set the name of a model to the first that its local server lists, if it has none."""
    base_url = _base_url(model)
    if model.name or not _is_local_http(base_url):
        return model
    names = await probe(base_url)
    return model.model_copy(update={"name": names[0]}) if names else model


def _about(model: Model) -> str:
    if model.use is not None:
        return f"the pool of {', '.join(model.use)}"
    place = (model.endpoint or "").partition("://")[2].partition("/")[0]
    where = place.rpartition("@")[2] or model.endpoint or ""
    return f"{model.name} at {where}" if model.name else where


async def _local(probe: Probe) -> tuple[Provider, tuple[str, ...]] | None:
    """Return the first provider that answers on its usual port, with its models."""
    found = await servers(probe)
    return next(((provider, found[provider.base_url]) for provider in PROVIDERS if provider.base_url in found), None)


async def servers(probe: Probe | None = None) -> dict[str, tuple[str, ...]]:
    """Ask the usual ports of this machine in parallel; return the models at each base URL."""
    local = [provider.base_url for provider in PROVIDERS if not provider.keys]
    answers: dict[str, tuple[str, ...]] = {}

    async def ask(base_url: str) -> None:
        names = await (probe or probe_local)(base_url)
        if names:
            answers[base_url] = names

    async with anyio.create_task_group() as group:
        for base_url in local:
            group.start_soon(ask, base_url)
    return {base_url: answers[base_url] for base_url in local if base_url in answers}


async def _sized(model: Model, sizes: dict[tuple[str, str | None], Size | None]) -> Model:
    """Set the calls and the context of a model to what its server states for free.

    Settings of the task are kept. `sizes` holds what each server answered, so that it is asked
    once per model. Only plain-HTTP servers are asked: they are in the own network.
    """
    base_url = _base_url(model)
    if wrong_address(base_url) is not None:
        return model  # an error of the task, which is reported with all others
    if (model.calls is not None and model.context is not None) or not base_url.startswith("http://"):
        return model
    spot = (base_url, model.name)
    if spot not in sizes:
        sizes[spot] = await size_of(base_url, model.name, key=next(iter(model.keys), ""))
    size = sizes[spot]
    if size is None:
        return model
    update = {"calls": model.calls or size.slots, "context": model.context or size.context}
    return model.model_copy(update=update)


def _base_url(model: Model) -> str:
    provider = provider_named(model.endpoint or "")
    return (model.endpoint or "") if provider is None else provider.base_url


def _is_local_http(base_url: str) -> bool:
    return base_url.startswith("http://") and is_loopback(base_url)


async def probe_local(base_url: str, *, deadline: float = ANSWER_SECONDS) -> tuple[str, ...] | None:
    """Return the models of a plain-HTTP server, or None if it lists none within `deadline` seconds."""
    try:
        listed = await asked(f"{base_url}/models", deadline)
        return tuple(str(entry["id"]) for entry in listed["data"])
    except (KeyError, TypeError):
        return None
