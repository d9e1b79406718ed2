"""What is known of each provider, as data: where it is, which variable holds its key, how its dialect differs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from swarm.base.network import is_loopback
from swarm.base.text import listing
from swarm.spec.chat import Medium
from swarm.spec.task import Model

Rung = Literal["json_schema", "tool", "json_object", "prompt"]
CapField = Literal["max_tokens", "max_completion_tokens"]

LADDER: tuple[Rung, ...] = ("json_schema", "tool", "json_object", "prompt")
"""How the form of an answer is asked for, best first; the prompt says it in words at every rung. `tool` is a call that
the model is made to make, whose arguments are the answer."""


@dataclass(frozen=True)
class Store:
    """Where a provider keeps files that requests name instead of holding them."""

    path: str
    """Below the base URL: a form is posted there, with `purpose` and `file`; `path/ID` is deleted."""
    address: str
    """What stands for the file in a request, with `{id}`."""
    takes: tuple[Medium, ...]
    """Media it keeps; the medium is the purpose."""
    over: int
    """Characters of base64 above which a medium goes there."""
    most: int
    """Bytes of the largest file it takes."""


@dataclass(frozen=True)
class Quirks:
    """How an endpoint's dialect differs from the common one."""

    forms: tuple[Rung, ...] = LADDER
    """The rungs of the ladder it understands, best first."""
    cap: CapField = "max_tokens"
    """What it calls the output cap."""
    audio_uri: bool = False
    """Whether it wants sound as a data URI, where others want bare base64."""
    one_medium: str = ""
    """Models, by a regular expression that the name begins with, that take text and one other medium a message."""
    store: Store | None = None


@dataclass(frozen=True)
class Provider:
    """One system that speaks chat completions."""

    name: str
    base_url: str
    keys: tuple[str, ...] = ()
    """Environment variables that hold its key, the usual one first; none for a local server."""
    model: str | None = None
    """A model to take where none is named; None where every choice would be a guess."""
    quirks: Quirks = Quirks()
    hosts: tuple[str, ...] = ()
    """Further hosts of the same system; `.example.com` stands for every host below it."""
    takes: tuple[tuple[str, tuple[Medium, ...]], ...] = ()
    """Media beside text, by a regular expression that the model's name begins with; the first that fits counts."""
    streams: str = ""
    """Models, likewise, that answer only when streamed."""


_COMMON = Quirks()
_NEW_CAP = Quirks(cap="max_completion_tokens")

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-5-mini",
        _NEW_CAP,  # reasoning models refuse `max_tokens`
        (".openai.com", ".openai.azure.com"),
        ((r"gpt-audio|gpt-4o(-mini)?-audio", ("audio",)), (r"gpt-4o|gpt-4\.1|gpt-5|o[134]\b", ("image",))),
    ),
    Provider(
        "kimi",
        "https://api.moonshot.ai/v1",
        ("MOONSHOT_API_KEY", "KIMI_API_KEY"),
        "kimi-k2.5",
        Quirks(
            cap="max_completion_tokens",
            # Documented for what is large, without a size. Below these 4 MB a body is quicker than two more calls, and
            # nothing is left with the provider if the process is killed.
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
        Quirks(forms=("tool", "prompt")),  # `response_format` is ignored, not refused: nothing could be learnt
        takes=((r"claude", ("image",)),),
    ),
    Provider("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), "openrouter/auto"),
    Provider("vllm", "http://127.0.0.1:8000/v1"),
    Provider("llamacpp", "http://127.0.0.1:8080/v1"),
    Provider("ollama", "http://127.0.0.1:11434/v1"),
    Provider("lmstudio", "http://127.0.0.1:1234/v1"),
    Provider("sglang", "http://127.0.0.1:30000/v1"),
)
"""In the order in which a key in the environment, or a server on its usual port, is looked for."""


def provider_named(name: str) -> Provider | None:
    """Find a provider by its name; None if there is none of that name."""
    return next((provider for provider in PROVIDERS if provider.name == name), None)


def provider_at(base_url: str) -> Provider | None:
    """Find the provider at a base URL; None for local servers and strangers."""
    host = (urlsplit(base_url).hostname or "").lower()
    if is_loopback(base_url):
        return None
    for provider in PROVIDERS:
        if host == urlsplit(provider.base_url).hostname or any(host.endswith(end) for end in provider.hosts):
            return provider
    return None


def quirks_of(base_url: str) -> Quirks:
    """Tell how the endpoint at a base URL differs; local servers and strangers speak the common dialect."""
    provider = provider_at(base_url)
    return _COMMON if provider is None else provider.quirks


def takes_of(model: Model) -> tuple[Medium, ...]:
    """Name the media that a model takes beside text: what the task says, else what is known of it, else none.

    Nothing is known of models on this machine or at strangers: the same server serves models with eyes and without.
    """
    if model.takes is not None:
        return model.takes
    provider = provider_named(model.endpoint or "") or provider_at(model.endpoint or "")
    if provider is None:
        return ()
    name = (model.name or provider.model or "").lower()
    return next((media for pattern, media in provider.takes if re.match(pattern, name)), ())


def stored_by(model: Model) -> tuple[Medium, ...]:
    """Name the media that a model takes in files that are too large for a request."""
    provider = provider_named(model.endpoint or "") or provider_at(model.endpoint or "")
    store = None if provider is None else provider.quirks.store
    return () if store is None else tuple(medium for medium in takes_of(model) if medium in store.takes)


def must_stream(model: Model) -> bool:
    """Tell whether a model is known to answer only when streamed."""
    provider = provider_named(model.endpoint or "") or provider_at(model.endpoint or "")
    if provider is None or not provider.streams:
        return False
    return bool(re.match(provider.streams, (model.name or provider.model or "").lower()))


def key_in(environ: Mapping[str, str], provider: Provider) -> str | None:
    """Name the variable of the environment that holds the provider's key; None if none does."""
    return next((name for name in provider.keys if environ.get(name, "").strip()), None)


def provider_names() -> str:
    """List the providers, for a message."""
    return listing(provider.name for provider in PROVIDERS)
