"""Units of measure, so that a figure in gigabytes is converted if a schema asks for megabytes."""

from collections.abc import Iterable

from swarm.endpoints.offline.rank import Figure, words

_BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}
_BYTE_WORDS = {"byte": 1.0, "kilobyte": 1e3, "megabyte": 1e6, "gigabyte": 1e9, "terabyte": 1e12}
_BINARY_BYTES = {"kib": 1024.0, "mib": 1024.0**2, "gib": 1024.0**3, "tib": 1024.0**4}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0}
_SECOND_WORDS = {"millisecond": 1e-3, "second": 1.0}
_LONG_SECONDS = {"min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0, "day": 86_400.0, "week": 604_800.0}
_SHARES = {"%": 1.0, "percent": 1.0, "percentage": 1.0}
_DOLLARS = {"$": 1.0, "usd": 1.0, "dollar": 1.0}
_EUROS = {"€": 1.0, "eur": 1.0, "euro": 1.0}
_FAMILIES = (
    _BYTES | _BYTE_WORDS | _BINARY_BYTES,
    _SECONDS | _SECOND_WORDS | _LONG_SECONDS,
    _SHARES,
    _DOLLARS,
    _EUROS,
)
"""Units that can be converted into each other, with their factors."""


def wanted_unit(asked: Iterable[str]) -> str:
    """Return the first unit among words; empty if there is none."""
    return next((word for word in asked if any(word in family for family in _FAMILIES)), "")


def convert(figure: Figure, wanted: str) -> float | None:
    """Return a figure in the wanted unit, or None if it measures something else.

    Without a wanted unit, return its value unchanged.
    """
    own = next(iter(words(figure.unit)), figure.unit)
    if not wanted:
        return figure.value
    for family in _FAMILIES:
        if wanted in family and own in family:
            value = figure.value * family[own] / family[wanted]
            return float(f"{value:.12g}")  # without the rounding error of the division
    known = any(own in family for family in _FAMILIES)
    return None if known else figure.value
