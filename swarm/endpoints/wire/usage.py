"""Usage of a call: what the endpoint counted, or an upper estimate of what is missing. Pure."""

import re
from math import isfinite
from typing import cast

from swarm.base.values import Json
from swarm.spec.chat import Request, Usage, estimate_tokens, request_tokens

ABSURD_TOKENS = 100_000_000
"""Tokens above which a count is invalid: no model reads or writes a tenth of it in one call."""


MOST_BYTES_PER_TOKEN = 8
"""Maximum mean bytes of ASCII text per token."""
LEAST_CHECKED = 1500
"""Minimum tokens of a prompt that is checked: no server has so small a context size."""
PLAUSIBLE_CONTEXT = 256
"""Minimum input tokens of a count that is believed."""
_REPEATED = re.compile(rb"(.)\1{3,}", re.DOTALL)
INPUTS = ("prompt_tokens", "input_tokens")
"""Names of the input tokens."""
OUTPUTS = ("completion_tokens", "output_tokens", "predicted_n")
"""Names of the output tokens."""


def merged(before: Json, new: Json) -> Json:
    """Return the counts of two reports about one answer. A later zero overwrites nothing."""
    if not isinstance(new, dict):
        return before
    fields = cast("dict[str, Json]", new)
    known = _mapping(before)
    return {**known, **{name: value for name, value in fields.items() if value or name not in known}}


def read_usage(usage: Json, *, request: Request, written: str, other: int = 0) -> Usage:
    """Return the usage of a call. Missing, negative or absurd counts are estimated and marked.

    `other` is an upper estimate of the output tokens that are not words. A count of the endpoint
    includes them.
    """
    fields = _mapping(usage)
    read = _first(fields, INPUTS)
    if read is None and "prompt_n" in fields:  # llama.cpp
        read = (_count(fields["prompt_n"]) or 0) + (_count(fields.get("cache_n")) or 0)
    wrote = _first(fields, OUTPUTS)
    # An answer with content cannot have cost no output: some servers report zeros in a stream.
    wrote_nothing = wrote == 0 and (written != "" or other > 0)
    estimated = not read or wrote is None or wrote_nothing
    read = read or request_tokens(request)
    return Usage(
        calls=1,
        input_tokens=read,
        output_tokens=wrote or estimate_tokens(written) + other,
        cached_tokens=min(_cached(fields), read),
        estimated=estimated,
    )


def unread(request: Request, usage: Usage) -> str:
    """Return the doubt about a prompt that the endpoint has silently truncated; empty if there is none.

    Local servers cut a prompt that exceeds their context size and report success. Only their count
    of it shows that: English text has 4 to 5 bytes per token, and never 16. Repeated characters are
    not counted: one token may stand for 128 spaces.
    """
    if usage.estimated or usage.cached_tokens or usage.input_tokens < PLAUSIBLE_CONTEXT:
        return ""
    texts = (message.text.encode("ascii", "ignore") for message in request.messages)
    sent = sum(len(_REPEATED.sub(b"", text)) for text in texts)
    least = sent // MOST_BYTES_PER_TOKEN
    if least < LEAST_CHECKED or usage.input_tokens >= least // 2:
        return ""
    return (
        f"the endpoint read {usage.input_tokens:,} tokens of a prompt with at least {least:,}: "
        "it truncated the prompt; raise the context size of the server (`num_ctx` of Ollama), or set `context:` to it"
    )


def _cached(fields: dict[str, Json]) -> int:
    """Return the input tokens that the endpoint had in its cache, by any of the names in use."""
    counts = (
        _count(_mapping(fields.get("prompt_tokens_details")).get("cached_tokens")),  # OpenAI
        _count(fields.get("cached_tokens")),  # Kimi
        _count(fields.get("prompt_cache_hit_tokens")),  # DeepSeek
        _count(fields.get("cache_read_input_tokens")),  # Claude
        _count(fields.get("cache_n")),  # llama.cpp
    )
    return next((count for count in counts if count), 0)


def _first(fields: dict[str, Json], names: tuple[str, ...]) -> int | None:
    """Return the first of several counts that is not zero; zero if there is no other."""
    counts = [count for count in (_count(fields.get(name)) for name in names) if count is not None]
    return next(filter(None, counts), counts[0] if counts else None)


def _mapping(value: Json) -> dict[str, Json]:
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}


def _count(value: Json) -> int | None:
    """Return a count of tokens, or None if it is not a plausible one."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value) if 0 <= value <= ABSURD_TOKENS else None
