"""What answers say about rate limits before there is one: `x-ratelimit-*` and the like.

There is no standard. OpenAI and those that copy it send `x-ratelimit-remaining-requests` and `-tokens` with
`x-ratelimit-reset-…` as `1m30.5s`, `250ms` or seconds; others leave the last word out, or the `x-` (the IETF's draft
"RateLimit header fields for HTTP"). Points in time are not read: clocks need not agree.
"""

import re
from collections.abc import Mapping

MOST_SECONDS = 60.0
"""Longest pause that a header alone makes: these fields are copied and misspelt a lot, a 429 after it is not."""

_NAMES = tuple(
    (f"{x}ratelimit-remaining{what}", f"{x}ratelimit-reset{what}")
    for x in ("x-", "")
    for what in ("-requests", "-tokens", "")
)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d{1,9}(?:\.\d{0,9})?)(ms|h|m|s)")
_SPAN = re.compile(rf"(?:{_PART.pattern}){{1,4}}")
_SECONDS = re.compile(r"\d{1,6}(\.\d{0,9})?")


def pause_in(headers: Mapping[str, str]) -> float:
    """Say for how many seconds an answer's headers (names in lower case) ask to send nothing; 0 if they do not."""
    waits = [
        _seconds(headers.get(reset, "")) for remaining, reset in _NAMES if _is_zero(headers.get(remaining, "").strip())
    ]
    return min(MOST_SECONDS, max(waits, default=0.0))


def _is_zero(text: str) -> bool:
    return re.fullmatch(r"0{1,9}", text) is not None


def _seconds(text: str) -> float:
    text = text.strip().lower()
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _SPAN.fullmatch(text):
        return 0.0
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
