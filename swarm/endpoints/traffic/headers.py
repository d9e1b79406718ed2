"""Headers about rate limits that answers carry before there is one: `x-ratelimit-*` and the like.

There is no standard. OpenAI and its copies send `x-ratelimit-remaining-requests` and `-tokens`,
with `x-ratelimit-reset-…` as `1m30.5s`, `250ms` or seconds. Others omit the last word or the `x-`
(the IETF draft "RateLimit header fields for HTTP"). Points in time are not read: clocks may
disagree.
"""

import re
from collections.abc import Mapping

MOST_SECONDS = 60.0
"""Maximum seconds of a pause by a header alone: such fields are often wrong. A 429 is not."""

_NAMES = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining-requests", "ratelimit-reset-requests"),
    ("ratelimit-remaining-tokens", "ratelimit-reset-tokens"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
"""Names of what is left of a quota, each with the name of when it is reset."""
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
"""Seconds of each unit."""
_PART = re.compile(r"(\d{1,9}(?:\.\d{0,9})?)(ms|h|m|s)")
_SPAN = re.compile(rf"(?:{_PART.pattern}){{1,4}}")
_SECONDS = re.compile(r"\d{1,6}(\.\d{0,9})?")


def pause_in(headers: Mapping[str, str]) -> float:
    """Return for how many seconds headers ask to send nothing, or 0. Names are in lower case."""
    get = headers.get
    waits = [_seconds(get(reset, "")) for left, reset in _NAMES if _is_zero(get(left, ""))]
    return min(MOST_SECONDS, max(waits, default=0.0))


def _is_zero(text: str) -> bool:
    return re.fullmatch(r"0{1,9}", text.strip()) is not None


def _seconds(text: str) -> float:
    """Return the seconds of a number or of a time span; 0 if it is neither."""
    text = text.strip().lower()
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _SPAN.fullmatch(text):
        return 0.0
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
