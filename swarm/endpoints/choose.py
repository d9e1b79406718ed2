"""Which model a run uses, and why: flags, the task, the environment, a server on this machine, else none at all."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
from pydantic import SecretStr
from pydantic_core import from_json

from swarm.base.network import is_loopback
from swarm.local_models.names import located
from swarm.spec.providers import PROVIDERS, Provider, key_in, provider_named
from swarm.spec.task import Model

PROBE_SECONDS = 0.5
"""How long a local server may take to list its models; one that is there answers within
milliseconds."""
PROBE_BYTES = 1_000_000
"""Most bytes of such a list."""


@dataclass(frozen=True)
class Choice:
    """The models of a run."""

    models: Mapping[str, Model]
    why: str
    """One line for people: what is used, and where it comes from."""


Probe = Callable[[str], Awaitable["tuple[str, ...] | None"]]
"""Names the models behind a base URL; None if nothing there answers."""


@dataclass(frozen=True)
class Size:
    """What a llama.cpp server was started with."""

    slots: int
    """Answers it writes at once."""
    context: int
    """Tokens each of them reads and writes."""


async def choose(
    models: Mapping[str, Model],
    *,
    endpoint: str | None = None,
    model: str | None = None,
    environ: Mapping[str, str],
    probe: Probe | None = None,
    folder: Path = Path(),
) -> Choice:
    """Choose the models of a run.

    `endpoint` and `model` come from flags and win over all; then the task's own `models`; then
    `SWARM_ENDPOINT` and `SWARM_MODEL`; then a provider whose key is in `environ`; then a local
    server on its usual port; then `offline`. Keys that the task leaves out are taken from the
    providers' own variables. The files of `local:` models are relative to `folder` in the task, and
    to the current one in flags. Without a `probe` of the caller's, a llama.cpp server on this
    machine is asked for its width and context, where `calls` and `context` are not set.
    """
    choice = await _choice(
        models, endpoint=endpoint, model=model, environ=environ, probe=probe or probe_local, folder=folder
    )
    if probe is not None:
        return choice
    sizes: dict[str, Size | None] = {}
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
    models = {alias: located(model, environ=environ, folder=folder) for alias, model in models.items()}
    if endpoint is not None or (model is not None and "default" not in models):
        chosen = await _named(endpoint, model, environ, probe)
        return Choice({**_filled(models, environ), "default": chosen}, f"{_about(chosen)}: given on the command line")
    if models:
        default = models.get("default")
        if default is not None and model is not None:
            models = {**models, "default": default.model_copy(update={"name": model})}
        found = _filled(models, environ)
        if "default" not in found:
            found["default"] = next(iter(found.values()))
        found = {alias: await _with_name(found[alias], probe) for alias in found}
        return Choice(found, f"{_about(found['default'])}: named in the task")
    return await _unasked(environ, probe)


async def _unasked(environ: Mapping[str, str], probe: Probe) -> Choice:
    """Choose where neither flags nor the task say anything."""
    wanted, name = environ.get("SWARM_ENDPOINT") or None, environ.get("SWARM_MODEL") or None
    if wanted is not None:
        chosen = await _named(wanted, name, environ, probe)
        return Choice({"default": chosen}, f"{_about(chosen)}: SWARM_ENDPOINT is set")
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
    why = "offline, which is no language model: no endpoint is named, no key is set, and no local server answers"
    return Choice({"default": Model(endpoint="offline")}, why)


async def _named(endpoint: str | None, name: str | None, environ: Mapping[str, str], probe: Probe) -> Model:
    """Make a model of an endpoint and a name that the user gave, either of which may be missing."""
    if endpoint is None:
        return (await _unasked({**environ, "SWARM_MODEL": name or ""}, probe)).models["default"]
    provider = provider_named(endpoint)
    if provider is not None:
        return await _with_name(_at(provider, name, environ), probe)
    given = located(Model(endpoint=endpoint, name=name), environ=environ, folder=Path())
    return await _with_name(_keyed(given, environ), probe)


def _at(provider: Provider, name: str | None, environ: Mapping[str, str]) -> Model:
    """Make a model of a provider; its key comes from its variable."""
    return _keyed(Model(endpoint=provider.name, name=name or provider.model), environ)


def _filled(models: Mapping[str, Model], environ: Mapping[str, str]) -> dict[str, Model]:
    return {alias: _keyed(model, environ) for alias, model in models.items()}


def _keyed(model: Model, environ: Mapping[str, str]) -> Model:
    """Add the provider's key, where the model has none: for a provider by name, or by the host of its own base URL.

    A key goes to the provider it belongs to and to nobody else: a stranger's address gets none.
    """
    if model.key is not None or model.endpoint is None:
        return model
    provider = provider_named(model.endpoint) or _by_host(model.endpoint)
    variable = key_in(environ, provider) if provider is not None else None
    if variable is None:
        return model
    return model.model_copy(update={"key": SecretStr(environ[variable].strip())})


def _by_host(endpoint: str) -> Provider | None:
    url = urlsplit(endpoint)
    if url.scheme != "https":
        return None
    return next((p for p in PROVIDERS if p.keys and urlsplit(p.base_url).hostname == url.hostname), None)


async def _with_name(model: Model, probe: Probe) -> Model:
    """Ask a local server which model it has, where nobody said."""
    base_url = model.endpoint or ""
    provider = provider_named(base_url)
    base_url = provider.base_url if provider is not None else base_url
    if model.name or not base_url.startswith("http://") or not is_loopback(base_url):
        return model
    names = await probe(base_url)
    return model.model_copy(update={"name": names[0]}) if names else model


def _about(model: Model) -> str:
    if model.use is not None:
        return f"the pool of {', '.join(model.use)}"
    host = urlsplit(model.endpoint or "")
    where = host.netloc.rpartition("@")[2] or model.endpoint or ""
    return f"{model.name} at {where}" if model.name else where


async def _local(probe: Probe) -> tuple[Provider, tuple[str, ...]] | None:
    """Give the first provider of the table that answers on its usual port, with a model."""
    found = await servers(probe)
    return next(((provider, found[provider.base_url]) for provider in PROVIDERS if provider.base_url in found), None)


async def servers(probe: Probe | None = None) -> dict[str, tuple[str, ...]]:
    """Ask all the usual ports of this machine at once; give the models behind each base URL that has some."""
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


async def _sized(model: Model, sizes: dict[str, Size | None]) -> Model:
    """Take the width and the context from a llama.cpp server on this machine, where the task leaves them open.

    `sizes` keeps what a server said, so that each is asked once.
    """
    provider = provider_named(model.endpoint or "")
    base_url = provider.base_url if provider is not None else model.endpoint or ""
    open_to_it = model.calls is None or model.context is None
    if not open_to_it or not base_url.startswith("http://") or not is_loopback(base_url):
        return model
    if base_url not in sizes:
        sizes[base_url] = await size_of(base_url)
    size = sizes[base_url]
    if size is None:
        return model
    return model.model_copy(update={"calls": model.calls or size.slots, "context": model.context or size.context})


async def size_of(base_url: str, *, deadline: float = PROBE_SECONDS) -> Size | None:
    """Ask a plain-HTTP server how wide it is; None if it is not llama.cpp, or does not say within `deadline` seconds.

    Its `/props` have the slots and the context of each (llama.cpp, tools/server/README.md).
    """
    try:
        owners = {entry.get("owned_by") for entry in (await _asked(f"{base_url}/models", deadline))["data"]}
        if "llamacpp" not in owners:
            return None
        props = await _asked(f"{base_url.rstrip('/').removesuffix('/v1')}/props", deadline)
        slots, context = props["total_slots"], props["default_generation_settings"]["n_ctx"]
    except (KeyError, TypeError, AttributeError):
        return None
    valid = isinstance(slots, int) and isinstance(context, int) and 1 <= slots <= 10_000 and context >= 256
    return Size(slots, context) if valid else None


async def probe_local(base_url: str, *, deadline: float = PROBE_SECONDS) -> tuple[str, ...] | None:
    """Ask a plain-HTTP server for its models; None if it does not list them within `deadline` seconds."""
    try:
        return tuple(str(entry["id"]) for entry in (await _asked(f"{base_url}/models", deadline))["data"])
    except (KeyError, TypeError):
        return None


async def _asked(address: str, deadline: float) -> Any:
    """Get a JSON value from a plain-HTTP server; None if it gives none.

    Spoken by hand, HTTP/1.0 and one request: a look at five ports must not cost the import of an
    HTTP client.
    """
    url = urlsplit(address)
    data = b""
    try:
        with anyio.fail_after(deadline):
            async with await anyio.connect_tcp(url.hostname or "127.0.0.1", url.port or 80) as stream:
                await stream.send(f"GET {url.path} HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode())
                data = await _all(stream)
        return from_json(data.partition(b"\r\n\r\n")[2]) if b" 200 " in data[:32] else None
    except (OSError, ValueError, anyio.BrokenResourceError):
        return None


async def _all(stream: anyio.abc.ByteStream) -> bytes:
    """Read what its length says, or all there is: not every server closes the connection."""
    data = b""
    while len(data) < PROBE_BYTES:
        head, blank, body = data.partition(b"\r\n\r\n")
        _, found, size = head.lower().partition(b"content-length:")
        if blank and found and len(body) >= int(size.split(b"\r\n")[0]):
            break
        try:
            data += await stream.receive()
        except anyio.EndOfStream:
            break
    return data
