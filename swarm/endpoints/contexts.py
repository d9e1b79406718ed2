"""Context sizes and slots that servers state for free, before anything is paid for.

| server | where | what |
| --- | --- | --- |
| vLLM, SGLang | `/models` | `max_model_len` of the entry |
| OpenRouter, Kimi, Together | `/models` | `context_length`; the smaller one of `top_provider`, too |
| Groq | `/models` | `context_window` |
| Mistral | `/models` | `max_context_length` |
| llama.cpp | `/models`, `/props` | `meta.n_ctx`; slots, and the context of each |
| SGLang without the entry's field | `/get_server_info` | `context_length`, else `max_req_input_len` |
| Ollama | `/api/ps`, then `/api/show` | the size that is loaded, else the model's `num_ctx`, else its default |
| LM Studio | `/api/v0/models` | `loaded_context_length`, else `max_context_length` |

What a model was trained for is never taken for what its server allows: `n_ctx_train` of llama.cpp
is not read, and Ollama serves `OLLAMA_CONTEXT` tokens unless told otherwise, and truncates prompts
without an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import anyio.abc
from pydantic_core import from_json, to_json

from swarm.base.values import Json

ANSWER_SECONDS = 0.5
"""Maximum seconds for a local server to answer one question; it takes milliseconds if it runs."""
ANSWER_BYTES = 1_000_000
"""Maximum bytes of an answer, so that no stray server on the port can fill the memory."""
LEAST_CONTEXT, MOST_CONTEXT = 256, 100_000_000
"""Range in tokens of a plausible context size: `0` and `-1` mean "not set"."""
OLLAMA_CONTEXT = 4096
"""Tokens that Ollama serves if neither the model nor the server sets `num_ctx`. Newer versions may
serve more on large cards; a smaller value here loses nothing."""
_ENTRY_FIELDS = ("max_model_len", "loaded_context_length", "context_length", "context_window", "max_context_length")
"""Fields of an entry in a list of models, what is served before what the model could do."""
_OLLAMA_PORT, _LM_STUDIO_PORT = 11434, 1234


@dataclass(frozen=True)
class Size:
    """What a running server allows."""

    slots: int | None = None
    """Parallel answers; None if it does not state them."""
    context: int | None = None
    """Tokens of input and output per answer; None if it does not state them."""


def stated(entry: Mapping[str, Json]) -> int | None:
    """Return the context size in a model's entry of a list of models, or None if it has none."""
    sizes = [_size(entry.get(name)) for name in _ENTRY_FIELDS]
    sizes.append(_size(_mapping(entry.get("meta")).get("n_ctx")))
    first = next((size for size in sizes if size), None)
    served = _size(_mapping(entry.get("top_provider")).get("context_length"))
    return min(first, served) if first and served else first or served


def of_ollama(show: Json) -> int | None:
    """Return the context size in an answer of Ollama's `/api/show`, or None if it is not one.

    A `num_ctx` of the model counts; else what Ollama serves by default, or less if the model
    cannot read as much.
    """
    fields = _mapping(show)
    own = [line.split() for line in str(fields.get("parameters") or "").splitlines()]
    for words in own:
        if words[:1] == ["num_ctx"] and len(words) == 2 and words[1].isdecimal():
            return _size(int(words[1]))
    info = _mapping(fields.get("model_info"))
    trained = next((_size(value) for name, value in info.items() if name.endswith(".context_length")), None)
    return min(trained, OLLAMA_CONTEXT) if trained else None


def loaded_by_ollama(running: Json, name: str) -> int | None:
    """Return the context size of a loaded model in an answer of Ollama's `/api/ps`, or None."""
    for model in _list(_mapping(running).get("models")):
        fields = _mapping(model)
        if name in (fields.get("name"), fields.get("model")):
            return _size(fields.get("context_length"))
    return None


def of_server_info(info: Json) -> int | None:
    """Return the context size in an answer of SGLang's `/get_server_info`, or None."""
    fields = _mapping(info)
    return _size(fields.get("context_length")) or _size(fields.get("max_req_input_len"))


def of_props(props: Json) -> Size | None:
    """Return slots and context in an answer of llama.cpp's `/props`, or None.

    Its context is that of one slot (llama.cpp, tools/server/README.md).
    """
    fields = _mapping(props)
    slots = fields.get("total_slots")
    context = _size(_mapping(fields.get("default_generation_settings")).get("n_ctx"))
    if type(slots) is not int or not 1 <= slots <= 10_000 or context is None:
        return None
    return Size(slots, context)


def _size(value: Json) -> int | None:
    """Return a context size, or None if the value is not a plausible one."""
    return value if type(value) is int and LEAST_CONTEXT <= value <= MOST_CONTEXT else None


def _mapping(value: Json) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Json) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


# Questions


async def size_of(
    base_url: str,
    name: str | None = None,
    *,
    key: str = "",
    deadline: float = ANSWER_SECONDS,
) -> Size | None:
    """Return what the plain-HTTP server at a base URL states of a model; None if it states nothing.

    Without a `name`, of its only model. Each question takes at most `deadline` seconds. A server
    gets the questions of its own kind only, so a server of another kind gets one: its models.
    """
    listed = _mapping(await asked(f"{base_url}/models", deadline, key=key)).get("data")
    entries = [_mapping(entry) for entry in _list(listed)]
    own = [entry for entry in entries if name is None or entry.get("id") == name]
    if not own and len(entries) == 1:
        own = entries  # llama.cpp serves its model under any name
    if len(own) != 1:
        return None
    root = _root(base_url)
    if own[0].get("owned_by") == "llamacpp":
        return of_props(await asked(f"{root}/props", deadline, key=key))
    name = name or str(own[0].get("id", ""))
    context = await _context_by_kind(base_url, own[0], name, deadline, key) or stated(own[0])
    return Size(context=context) if context else None


def _root(base_url: str) -> str:
    return base_url.rstrip("/").removesuffix("/v1")


async def _context_by_kind(
    base_url: str, entry: Mapping[str, Json], name: str, deadline: float, key: str
) -> int | None:
    """Return what a server states at an address that only servers of its kind have."""
    root = _root(base_url)
    owner, port = entry.get("owned_by"), urlsplit(base_url).port
    if owner == "library" or port == _OLLAMA_PORT:
        context = loaded_by_ollama(await asked(f"{root}/api/ps", deadline, key=key), name)
        return context or of_ollama(await asked(f"{root}/api/show", deadline, key=key, body={"model": name}))
    if owner == "sglang" and stated(entry) is None:
        return of_server_info(await asked(f"{root}/get_server_info", deadline, key=key))
    if owner == "organization_owner" or port == _LM_STUDIO_PORT:
        return await _loaded_by_lm_studio(root, name, deadline, key)
    return None


async def _loaded_by_lm_studio(root: str, name: str, deadline: float, key: str) -> int | None:
    listed = _list(_mapping(await asked(f"{root}/api/v0/models", deadline, key=key)).get("data"))
    return next((stated(each) for each in map(_mapping, listed) if each.get("id") == name), None)


async def asked(address: str, deadline: float, *, key: str = "", body: Json = None) -> Any:
    """Return a JSON value from a plain-HTTP server, or None. With a `body`, it is posted.

    This is HTTP/1.0 without a library: five ports are tried at each start, and the import of an HTTP
    client would take longer than that.
    """
    url = urlsplit(address)
    sent = b"" if body is None else to_json(body)
    lines = [f"{'GET' if body is None else 'POST'} {url.path} HTTP/1.0", f"Host: {url.netloc.rpartition('@')[2]}"]
    lines += [f"Authorization: Bearer {key}"] if key and key.isprintable() else []
    lines += [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(sent)}"]
    data = b""
    try:
        with anyio.fail_after(deadline):
            async with await anyio.connect_tcp(url.hostname or "127.0.0.1", url.port or 80) as stream:
                await stream.send("\r\n".join([*lines, "", ""]).encode() + sent)
                data = await _all(stream)
        return from_json(data.partition(b"\r\n\r\n")[2]) if b" 200 " in data[:32] else None
    except (OSError, ValueError, anyio.BrokenResourceError):
        return None


async def _all(stream: anyio.abc.ByteStream) -> bytes:
    """Read as many bytes as the header says, or to the end: some servers keep the connection open."""
    data = b""
    while len(data) < ANSWER_BYTES:
        head, blank, body = data.partition(b"\r\n\r\n")
        _, found, size = head.lower().partition(b"content-length:")
        if blank and found and len(body) >= int(size.split(b"\r\n")[0]):
            break
        try:
            data += await stream.receive()
        except anyio.EndOfStream:
            break
    return data
