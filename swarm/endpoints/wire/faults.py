"""Faults: what an endpoint did. No input or output.

A `Fault` holds what was seen: a status, a code, some words, an exception. This module reads faults
from exceptions and headers; `error_bodies` reads those in bodies. `kinds.kind_of` returns the kind
of a fault (its meaning is in `swarm.base.error_kinds`), and `judge.judge` turns a fault into the
exception that callers act on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from math import isfinite

from swarm.base.values import Json

_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Fault:
    """One fault, as it was seen."""

    status: int | None = None
    """The HTTP status; None if there was no answer."""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    """Headers of the answer; names in lower case."""
    code: str = ""
    """`code` of the error object, if it has one."""
    type: str = ""
    """`type` of the error object, if it has one."""
    param: str = ""
    """`param` of the error object: the field of the request that was refused."""
    more: str = ""
    """All fields of the body as JSON. They are searched, and not shown."""
    text: str = ""
    """The words of the endpoint or of the exception."""
    kind: str = ""
    """The kind, if the code that saw the fault knows it: `malformed`, `timeout` …"""
    answer: str = ""
    """What the model wrote, if the endpoint refused that and quotes it: `failed_generation` of Groq."""
    context: Json = None
    """`n_ctx` of the error object: llama.cpp states the context size there."""


# Exceptions

_BY_EXCEPTION: tuple[tuple[str, str], ...] = (
    ("SSLError", "tls"),
    ("SSLCertVerificationError", "tls"),
    ("ConnectTimeout", "unreachable"),
    ("ConnectError", "unreachable"),
    ("gaierror", "unreachable"),
    ("ConnectionRefusedError", "unreachable"),
    ("ProxyError", "unreachable"),
    ("UnsupportedProtocol", "wrong_path"),
    ("InvalidURL", "wrong_path"),
    ("TimeoutException", "timeout"),
    ("ReadTimeout", "timeout"),
    ("WriteTimeout", "timeout"),
    ("PoolTimeout", "timeout"),
    ("TimeoutError", "timeout"),
    ("DecodingError", "malformed"),
)
"""Class names of exceptions, the same in all HTTP clients of this family, and their kinds.

The first row whose name is anywhere in the chain of causes decides."""


def fault_of(error: BaseException) -> Fault:
    """Return the fault behind an exception of the HTTP client.

    Exceptions and their causes are recognised by the names of their classes, so that no library
    has to be imported here.
    """
    chain = _causes(error)
    names: set[str] = set()
    for link in chain:
        names.update(cls.__name__ for cls in type(link).__mro__)
    kind = next((kind for name, kind in _BY_EXCEPTION if name in names), "disconnected")
    if kind == "unreachable" and any(_is_about_tls(link) for link in chain):
        kind = "tls"
    words = [str(link) for link in chain if str(link)]
    return Fault(kind=kind, text=words[-1] if words else type(error).__name__)


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and its causes, the outermost first. The chain may be cyclic."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain


def _is_about_tls(error: BaseException) -> bool:
    text = str(error).lower()
    return "certificate" in text or "ssl" in text


# Headers


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the endpoint asks to wait, or None if no usable value is there.

    `retry-after-ms` comes first, then `Retry-After` in seconds or as an HTTP date (RFC 9110,
    10.2.3). A date is compared with the answer's own `Date`, because clocks may disagree. Zero and
    the past also return None.
    """
    seconds = _positive(headers.get("retry-after-ms"), 0.001)
    if seconds is not None:
        return seconds
    value = headers.get("retry-after")
    seconds = _positive(value, 1.0)
    if seconds is not None or value is None:
        return seconds
    try:
        at, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        wait = (at - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return wait if wait > 0 else None


def _positive(value: str | None, unit: float) -> float | None:
    """Return a number of seconds written in `unit` seconds, or None if it is not a positive one."""
    if value is None or not re.fullmatch(r"\s*\d{1,300}(\.\d{0,20})?\s*", value):
        return None
    seconds = float(value) * unit
    return seconds if isfinite(seconds) and seconds > 0 else None
