"""When a limit is reset: from the words, the fields and the headers of a refusal. Pure but for the clock."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from swarm.endpoints.wire.faults import Fault

WORDS_READ = 4096
"""Characters that are searched: a long body must cost no time."""
MOST_SECONDS = 400 * 86_400
"""Seconds above which a reset is not plausible."""

_FIELD = r'\\?"\s{0,4}:\s{0,4}\\?"?'
_SECONDS = re.compile(
    rf'"(?:resets?_in_seconds|retry_?after|retryDelay){_FIELD}(\d{{1,9}}(?:\.\d{{0,9}})?)s?\b', re.IGNORECASE
)
_INSTANT = re.compile(rf'"(?:resets?_at|x-ratelimit-reset){_FIELD}(\d{{10,13}})\b', re.IGNORECASE)
_ABOUT = re.compile(r"reset|重置|恢复|重试|try again|retry|until|available|access on|リセット", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: at |[ T])(\d\d:\d\d(?::\d\d)?)(?:\.\d{1,9})?\s?(Z|UTC|[+-]\d\d:?\d\d)?")
_SPAN = re.compile(
    r"(?:(?:reset|again|retry|available)\w{0,6}(?: \w{1,8})? (?:in|after)|wait(?: for)?) "
    r"((?:\d{1,6}(?:\.\d{1,6})?\s?[a-z]{1,12}[ ,]{0,3}(?:and )?){1,4})",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s?(ms|milli|mo|w|d|h|m|s|天|日|小时|時間|分|秒)", re.IGNORECASE)
_LONG = {"mo": 30 * 86_400.0, "w": 7 * 86_400.0, "d": 86_400.0, "天": 86_400.0, "日": 86_400.0}
_SHORT = {"h": 3600.0, "小时": 3600.0, "時間": 3600.0, "m": 60.0, "分": 60.0, "s": 1.0, "秒": 1.0, "ms": 0.001}
_UNITS = {**_LONG, **_SHORT, "milli": 0.001}
_SPAN_BEFORE = re.compile(r"((?:\d{1,6}\s?(?:天|日|小时|時間|分钟|分|秒)\s?){1,4})(?:之?后|以后|後)")
"""A span of a language that says "after" after it."""


def reset_in(fault: Fault) -> float | None:
    """Return in how many seconds a limit is reset, or None if a refusal does not say it.

    Points in time are compared with the answer's own `Date`, because clocks may disagree. Dates
    without a zone count as local time.
    """
    now = _now(fault)
    more, words = fault.more[:WORDS_READ], fault.text[:WORDS_READ]
    waits = [float(found) for found in _SECONDS.findall(more)]
    instants = _INSTANT.findall(more)
    header = fault.headers.get("x-ratelimit-reset", "").strip()
    instants += [header] if re.fullmatch(r"\d{10,13}", header) else []
    waits += [int(found) / (1000 if len(found) > 11 else 1) - now.timestamp() for found in instants]
    if _ABOUT.search(words):
        waits += [_until(found, now) for found in _DATE.finditer(words)]
    waits += [_span(found) for found in (*_SPAN.findall(words), *_SPAN_BEFORE.findall(words))]
    plausible = [wait for wait in waits if 0 < wait <= MOST_SECONDS]
    return max(plausible, default=None)


def _now(fault: Fault) -> datetime:
    try:
        return parsedate_to_datetime(fault.headers.get("date", ""))
    except (ValueError, TypeError):
        return datetime.now(UTC)  # noqa: TID251 - the endpoint names a point in time, and no clock of its own


def _until(found: re.Match[str], now: datetime) -> float:
    day, time, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{time}{'' if zone in {None, 'Z', 'UTC'} else zone}")
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC) if zone else at.astimezone()
    return (at - now).total_seconds()


def _span(text: str) -> float:
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(text))
