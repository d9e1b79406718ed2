"""From a fault to the exception that callers act on, with a message for people. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf

from swarm.base.error_kinds import FAULTS, ErrorKind
from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.endpoints.wire.faults import Fault, retry_after
from swarm.endpoints.wire.kinds import kind_of
from swarm.endpoints.wire.resets import WORDS_READ, reset_in
from swarm.endpoints.wire.too_long import context_in, plausible
from swarm.endpoints.wire.words import OF_DAYS

MESSAGE_BYTES = 2048
"""Maximum bytes of a message. Enough to understand an error; a journal stays readable."""


def judge(
    fault: Fault,
    *,
    endpoint: str = "",
    model: str = "",
    deadline: float = inf,
    clean: Callable[[str], str] = str,
) -> EndpointBusy | EndpointRefused:
    """Return the exception for a fault: `EndpointBusy` if a retry may help, else `EndpointRefused`.

    `endpoint` and `model` are named in its message. A limit that is reset after the `deadline` of a
    call, in seconds, is an exhausted quota. `clean` removes secrets from the endpoint's words.
    """
    kind = kind_of(fault)
    reset = reset_in(fault) if kind in {"rate_limited", "quota"} else None
    if kind == "rate_limited" and (_is_per_day(fault) if reset is None else reset > deadline):
        kind = "quota"
    meaning = _as_the_endpoint_wishes(FAULTS[kind], fault.headers)
    wait = (retry_after(fault.headers) or reset) if meaning.may_help else None
    details = [f"it is reset in about {span(reset)}"] if reset is not None and not meaning.may_help else []
    message = _message(fault, meaning, wait, details, where=_place(endpoint, model), clean=clean)
    if meaning.may_help:
        return EndpointBusy(
            message,
            kind=kind,
            endpoint=endpoint,
            status=fault.status,
            retry_after=wait,
        )
    refused = EndpointRefused(
        message,
        kind=kind,
        endpoint=endpoint,
        status=fault.status,
        stops=meaning.stops,
    )
    if kind == "context_length":
        refused.context = plausible(fault.context) or context_in(fault.text)
    return refused


def _is_per_day(fault: Fault) -> bool:
    """Return whether a limit counts days, by the words of a refusal that asks for no wait."""
    return OF_DAYS.search(fault.text[:WORDS_READ].lower()) is not None and retry_after(fault.headers) is None


def _as_the_endpoint_wishes(meaning: ErrorKind, headers: Mapping[str, str]) -> ErrorKind:
    """Obey the header `x-should-retry`.

    It does not overrule a kind that holds for every call: an exhausted quota, a bad key.
    """
    wish = headers.get("x-should-retry", "").lower()
    if wish == "false" and meaning.may_help:
        return replace(meaning, may_help=False)
    if wish == "true" and not meaning.stops:
        return replace(meaning, may_help=True)
    return meaning


def _place(endpoint: str, model: str) -> str:
    if endpoint and model:
        return f"{endpoint}, model {model}"
    return endpoint or model


def _message(
    fault: Fault,
    meaning: ErrorKind,
    wait: float | None,
    details: list[str],
    *,
    where: str,
    clean: Callable[[str], str],
) -> str:
    """Return `where: what (status; wait). Details: words`, without the empty parts."""
    if fault.status not in {None, 200}:
        details.insert(0, f"status {fault.status}")
    if wait is not None:
        digits = 0 if wait >= 1 else 2
        details.append(f"the endpoint asks to wait {wait:,.{digits}f} s")
    message = f"{where}: {meaning.text}" if where else meaning.text
    if details:
        message += f" ({'; '.join(details)})"
    said = tidy(clean(fault.text))
    return cut(f"{message}. Details: {said}" if said else f"{message}.")


def span(seconds: float) -> str:
    """Return a time span for people, in its largest unit."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def cut(text: str) -> str:
    """Truncate a text to `MESSAGE_BYTES` of UTF-8."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MESSAGE_BYTES:
        return data.decode("utf-8")
    return data[: MESSAGE_BYTES - 3].decode("utf-8", "ignore") + "…"


def tidy(text: str) -> str:
    """Return a foreign text on one line: without tags of a web page and control characters."""
    text = text[: 8 * MESSAGE_BYTES]  # a hostile body must cost no time
    if text.lstrip()[:1] == "<":
        text = re.sub(r"<(?:style|script)\b[^<]*<|<[^<>]*>", " ", text)
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())
