"""Usage of a call: what the endpoint counted, or an upper estimate of what is missing. Pure."""

from math import isfinite
from typing import cast

from swarm.base.values import Json
from swarm.spec.chat import Request, Usage, estimate_tokens, request_tokens

ABSURD_TOKENS = 100_000_000
"""Tokens above which a count is invalid: no model reads or writes a tenth of it in one call."""


def read_usage(usage: Json, *, request: Request, written: str, other: int = 0) -> Usage:
    """Return the usage of a call. Missing, negative or absurd counts are estimated and marked.

    `other` is an upper estimate of the output tokens that are not words. A count of the endpoint
    includes them.
    """
    fields = _mapping(usage)
    read = _count(fields.get("prompt_tokens"))
    wrote = _count(fields.get("completion_tokens"))
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


def _cached(fields: dict[str, Json]) -> int:
    """Return the input tokens that the endpoint had in its cache, by any of the names in use."""
    counts = (
        _count(_mapping(fields.get("prompt_tokens_details")).get("cached_tokens")),  # OpenAI
        _count(fields.get("cached_tokens")),  # Kimi
        _count(fields.get("prompt_cache_hit_tokens")),  # DeepSeek
    )
    return next((count for count in counts if count), 0)


def _mapping(value: Json) -> dict[str, Json]:
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}


def _count(value: Json) -> int | None:
    """Return a count of tokens, or None if it is not a plausible one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value) if 0 <= value <= ABSURD_TOKENS else None
