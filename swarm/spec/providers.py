"""Providers as data: base URL, variable of the API key, and differences from the common dialect."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from swarm.base.network import host_of, is_loopback
from swarm.spec.chat import Medium
from swarm.spec.task import Model

Rung = Literal["json_schema", "tool", "json_object", "prompt"]
CapField = Literal["max_tokens", "max_completion_tokens"]

LADDER: tuple[Rung, ...] = ("json_schema", "tool", "json_object", "prompt")
"""Ways to request an output format, best first. The prompt describes the format on every rung.
`tool` forces a tool call whose arguments are the answer."""


@dataclass(frozen=True)
class Store:
    """File storage of a provider. Requests refer to stored files instead of containing them."""

    path: str
    """Path below the base URL. A form with `purpose` and `file` is posted to it; `path/ID` deletes
    a file."""
    address: str
    """Reference to a file in a request, with `{id}`."""
    takes: tuple[Medium, ...]
    """Media that it stores. The medium is sent as `purpose`."""
    over: int
    """Maximum characters of base64 in a request. A larger file is stored."""
    most: int
    """Maximum bytes of a stored file."""


@dataclass(frozen=True)
class Quirks:
    """Differences of an endpoint's dialect from the common one."""

    forms: tuple[Rung, ...] = LADDER
    """Rungs of the ladder that it supports, best first."""
    cap: CapField = "max_tokens"
    """Name of the field with the maximum output tokens."""
    audio_uri: bool = False
    """True if audio is sent as a data URI instead of plain base64."""
    one_medium: str = ""
    """Models that accept text and one other medium per message: a regular expression for the start
    of their names."""
    store: Store | None = None


@dataclass(frozen=True)
class Provider:
    """A service or local server with a chat-completions API."""

    name: str
    base_url: str
    keys: tuple[str, ...] = ()
    """Environment variables of its key, the usual one first; empty for a local server."""
    model: str | None = None
    """Default model; None if a choice would be a guess."""
    quirks: Quirks = Quirks()
    hosts: tuple[str, ...] = ()
    """Other hosts of the same service. `.example.com` means every host below it."""
    takes: tuple[tuple[str, tuple[Medium, ...]], ...] = ()
    """Media that models accept in addition to text. Each pair has a regular expression for the
    start of the model's name and media; the first match applies."""
    streams: str = ""
    """Models that only stream: a regular expression for the start of their names."""


_COMMON = Quirks()
_NEW_CAP = Quirks(cap="max_completion_tokens")

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-5-mini",
        _NEW_CAP,  # reasoning models reject `max_tokens`
        (".openai.com", ".openai.azure.com"),
        (
            (r"gpt-audio|gpt-4o(-mini)?-audio", ("audio",)),
            (r"gpt-4o|gpt-4\.1|gpt-5|o[134]\b", ("image",)),
        ),
    ),
    Provider(
        "kimi",
        "https://api.moonshot.ai/v1",
        ("MOONSHOT_API_KEY", "KIMI_API_KEY"),
        "kimi-k2.5",
        Quirks(
            cap="max_completion_tokens",
            # Documented for large files, without a size. Up to 4 MB, one large request is faster than two more calls,
            # and leaves no file at the provider if the process is killed.
            store=Store("/files", "ms://{id}", ("image", "video"), over=4 * 1024 * 1024 * 4 // 3, most=100_000_000),
        ),
        (".moonshot.ai", ".moonshot.cn"),
        ((r"kimi-k(2\.[5-9]|[3-9])", ("image", "video")), (r".*vision", ("image",))),
    ),
    Provider(
        "qwen",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY",),
        "qwen-plus",
        Quirks(audio_uri=True, one_medium=r"qwen.*omni"),
        (".aliyuncs.com",),
        ((r"qwen.*omni", ("image", "audio", "video")), (r"qwen.*vl|qvq", ("image", "video"))),
        r"qwen.*omni",
    ),
    Provider(
        "deepseek",
        "https://api.deepseek.com",
        ("DEEPSEEK_API_KEY",),
        "deepseek-chat",
        Quirks(forms=("json_object", "prompt")),
    ),
    Provider(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-2.5-flash",
        takes=((r"gemini", ("image", "audio")),),
    ),
    Provider(
        "claude",
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY",),
        None,
        # `response_format` is ignored, not rejected, so that a failure could not be detected.
        Quirks(forms=("tool", "prompt")),
        takes=((r"claude", ("image",)),),
    ),
    Provider("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), "openrouter/auto"),
    Provider("vllm", "http://127.0.0.1:8000/v1"),
    Provider("llamacpp", "http://127.0.0.1:8080/v1"),
    Provider("ollama", "http://127.0.0.1:11434/v1"),
    Provider("lmstudio", "http://127.0.0.1:1234/v1"),
    Provider("sglang", "http://127.0.0.1:30000/v1"),
)
"""Every known provider, in the order in which swarm looks for a key or a local server."""


def provider_named(name: str) -> Provider | None:
    """Return the provider with a name, or None."""
    return next((provider for provider in PROVIDERS if provider.name == name), None)


def address_of(model: Model) -> str:
    """Return the base URL of a model; empty for a pool, the built-in endpoint and a model file."""
    provider = provider_named(model.endpoint or "")
    address = (model.endpoint or "") if provider is None else provider.base_url
    return address if address.startswith(("http://", "https://")) else ""


def provider_at(base_url: str) -> Provider | None:
    """Return the provider at a base URL, or None for local servers and unknown hosts."""
    host = host_of(base_url)
    if is_loopback(base_url):
        return None
    for provider in PROVIDERS:
        if host == urlsplit(provider.base_url).hostname or any(host.endswith(end) for end in provider.hosts):
            return provider
    return None


def quirks_of(base_url: str) -> Quirks:
    """Return the quirks of the endpoint at a base URL. Local servers and unknown hosts have none."""
    provider = provider_at(base_url)
    return _COMMON if provider is None else provider.quirks


def takes_of(model: Model) -> tuple[Medium, ...]:
    """Return the media that a model accepts in addition to text: from the task, else from its provider, else none.

    For local servers and unknown hosts only the task knows: the same server serves models with and
    without vision.
    """
    if model.takes is not None:
        return model.takes
    provider = provider_named(model.endpoint or "") or provider_at(model.endpoint or "")
    if provider is None:
        return ()
    name = (model.name or provider.model or "").lower()
    return next((media for pattern, media in provider.takes if re.match(pattern, name)), ())


def stored_by(model: Model) -> tuple[Medium, ...]:
    """Return the media that a model accepts as stored files, which may be too large for a request."""
    provider = provider_named(model.endpoint or "") or provider_at(model.endpoint or "")
    store = None if provider is None else provider.quirks.store
    return () if store is None else tuple(medium for medium in takes_of(model) if medium in store.takes)


def must_stream(model: Model) -> bool:
    """Check whether a model is known to support streaming only."""
    provider = provider_named(model.endpoint or "") or provider_at(model.endpoint or "")
    if provider is None or not provider.streams:
        return False
    return bool(re.match(provider.streams, (model.name or provider.model or "").lower()))


def key_in(environ: Mapping[str, str], provider: Provider) -> str | None:
    """Return the name of the environment variable that has the provider's key, or None."""
    return next((name for name in provider.keys if environ.get(name, "").strip()), None)
