"""From what an endpoint did to what it means: one table, one rule book, no input or output.

A `Fault` is what was seen (a status, a code, some words, an exception). `kind_of` names it, `judge` makes it the
exception that callers act on: `EndpointBusy` if trying again may help, `EndpointRefused` if it cannot. The words of
bodies count as much as statuses: a spent quota and a rate limit are both 429, and some endpoints put errors in a 200.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.base.values import Json

MESSAGE_BYTES = 2048
"""Most of a message: enough to understand an error, too little to bury a journal."""

_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Fault:
    """What went wrong, as it was seen."""

    status: int | None = None
    """The HTTP status; None where there was no answer."""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    """Of the answer; names in lower case."""
    code: str = ""
    type: str = ""
    """The error object's `code` and `type`, where it has them."""
    text: str = ""
    """What the endpoint, or the exception, said."""
    kind: str = ""
    """Set where whoever saw it knows already: `malformed`, `timeout`, `truncated_stream` …"""


@dataclass(frozen=True)
class FaultClass:
    """What a kind of fault means."""

    busy: bool
    """Whether trying again may help."""
    stops: bool
    """Whether no other call to that model can succeed either."""
    what: str
    """What happened, and what to do next."""


def _busy(what: str) -> FaultClass:
    return FaultClass(busy=True, stops=False, what=what)


def _refused(what: str) -> FaultClass:
    return FaultClass(busy=False, stops=False, what=what)


def _stops(what: str) -> FaultClass:
    return FaultClass(busy=False, stops=True, what=what)


FAULT_CLASSES: Mapping[str, FaultClass] = {
    "rate_limited": _busy("rate limit reached; lower `calls`, or set `rpm`"),
    "overloaded": _busy("overloaded; try later, or add a spare model with `use:`"),
    "server_error": _busy("the server failed; if it lasts, look at its log or its status page"),
    "unreachable": _busy("no connection; check that the server runs, and the address in `endpoint:`"),
    "disconnected": _busy("the connection was lost before the answer was whole"),
    "timeout": _busy("no answer in time; raise `deadline`, or lower `max_tokens`"),
    "malformed": _busy("the answer is not a chat completion; check that `endpoint:` is the API's base URL"),
    "truncated_stream": _busy("the stream ended before the answer was whole"),
    "empty": _busy("the stream ended without an answer"),
    "too_large_response": _refused("the answer is over the cap and was dropped; lower `max_tokens`"),
    "bad_request": _refused("the request was refused; check `name`, `params` and `extra` of the model"),
    "context_length": _refused("the prompt is longer than the model reads; use smaller inputs or a larger model"),
    "too_large": _refused("the request is larger than the endpoint takes; use smaller inputs"),
    "content_filter": _refused("refused by the endpoint's content filter; change the wording or the inputs"),
    "redirect": _refused(
        "it redirects, and prompts are not sent on to other addresses; put the final one in `endpoint:`"
    ),
    "quota": _stops("the quota or the credit is spent; top it up, then `swarm resume` goes on"),
    "auth": _stops("the key was not accepted; check the variable that `key:` names, then `swarm resume` goes on"),
    "model_not_found": _stops("it has no such model; check `name` (`swarm models` lists what it has)"),
    "wrong_path": _stops("nothing answers at that path; check `endpoint:` (usually it ends in /v1)"),
    "tls": _stops("the secure connection failed; check the certificate, and http or https in `endpoint:`"),
}
"""Every kind, and what it means."""

_STATUS: Mapping[int, str] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "wrong_path",
    405: "wrong_path",
    408: "timeout",
    409: "server_error",
    413: "too_large",
    425: "overloaded",
    429: "rate_limited",
    529: "overloaded",
}

_CODES: Mapping[str, str] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_hard_limit": "quota",
    "exceeded_current_quota_error": "quota",
    "insufficient_balance": "quota",
    "arrearage": "quota",
    "billing_not_active": "quota",
    "invalid_api_key": "auth",
    "invalid_authentication_error": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "model_not_found": "model_not_found",
    "model_not_exist": "model_not_found",
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",
    "request_too_large": "too_large",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "data_inspection_failed": "content_filter",
    "datainspectionfailed": "content_filter",
    "overloaded_error": "overloaded",
    "overloaded": "overloaded",
    "engine_overloaded_error": "overloaded",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "rate_limit_reached_error": "rate_limited",
    "tokens": "rate_limited",
    "requests": "rate_limited",
    "server_error": "server_error",
    "internal_error": "server_error",
    "internal_server_error": "server_error",
    "api_error": "server_error",
    "timeout": "timeout",
    "invalid_request_error": "bad_request",
    "badrequesterror": "bad_request",
}
"""Codes and types that providers document. `invalid_request_error` says little, so the words are read before it."""

_VAGUE = frozenset({"bad_request", "server_error", "rate_limited", "auth"})
"""Kinds by code or status that the words of the body may make more precise."""

_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "context_length",
        re.compile(
            r"context[ _-]?(length|size|window)|maximum (context|prompt|input) length|prompt is too long"
            r"|input is too long|too many (input )?tokens|exceeds? the (available|maximum) (context|number of tokens)"
            r"|reduce the length of the (messages|prompt)|range of input length"
        ),
    ),
    ("too_large", re.compile(r"request too large|request entity too large|payload too large|body too large")),
    (
        "quota",
        re.compile(
            r"insufficient[ _](quota|balance|funds|credits?)|billing hard limit|out of credits|not enough credits"
            r"|requires more credits|credit balance is too low|suspended due to insufficient|account is in arrears"
        ),
    ),
    (
        "content_filter",
        re.compile(r"content (filter|management policy|policy)|moderation|flagged|inappropriate content"),
    ),
    (
        "model_not_found",
        re.compile(
            r"model\b.{0,200}?(does not exist|not found|not exist|is not available|not supported by|unknown)"
            r"|(no such|unknown|invalid) model\b|no endpoints found|not a valid model"
        ),
    ),
    ("overloaded", re.compile(r"overloaded|at capacity|server is busy|engine is currently|loading model")),
    (
        "auth",
        re.compile(r"invalid api.?key|incorrect api.?key|api.?key (is )?(missing|invalid|not valid)|unauthori[sz]ed"),
    ),
)
"""What bodies say when codes do not, lower case, the most precise first. All patterns run in linear time."""

_FIELD = re.compile(r"\b(parameters?|fields?|arguments?|propert(y|ies))\b|does not support")
"""What tells a field that a model does not take from a model that is not there: only the latter stops an endpoint."""
_SPENT = re.compile(r"exceeded your current quota")
_PASSES = re.compile(r"per[ -]?(minute|second|day|hour)|retry[ _-]?(in|delay|after)|rate.?limit|rpm|tpm")
_WORDS_READ = 4096
"""How much of a body is searched for words."""


def kind_of(fault: Fault) -> str:
    """Name a fault: a key of `FAULT_CLASSES`."""
    if fault.kind:
        return fault.kind
    by_code = _by_code(fault)
    if by_code and by_code not in _VAGUE:
        return by_code
    by_status = _by_status(fault.status)
    by_words = _by_words(fault)
    if by_words and _may_refine(by_words, by_status):
        return by_words
    if fault.status == 200 or fault.status is None:
        return by_code or _by_status(_number(fault.code)) or "server_error"
    if by_status in {"wrong_path", "server_error", "bad_request"} and by_code in {"rate_limited", "auth"}:
        return by_code
    return by_status


def _by_code(fault: Fault) -> str:
    return _CODES.get(fault.code.lower()) or _CODES.get(fault.type.lower()) or ""


def _by_status(status: int | None) -> str:
    if status is None or status < 300:
        return ""
    if status in _STATUS:
        return _STATUS[status]
    if status < 400:
        return "redirect"
    return "bad_request" if status < 500 else "server_error"


def _by_words(fault: Fault) -> str:
    text = fault.text[:_WORDS_READ].lower()
    if fault.status in {429, 403} and _SPENT.search(text):
        waits = _PASSES.search(text) or retry_after(fault.headers) is not None
        return "" if waits else "quota"
    kind = next((kind for kind, pattern in _WORDS if pattern.search(text)), "")
    of_a_field = kind == "model_not_found" and fault.status in {400, 422} and _FIELD.search(text) is not None
    return "" if of_a_field else kind


def _may_refine(kind: str, by_status: str) -> bool:
    """Words make a status more precise; they do not overrule one that is precise already."""
    match kind:
        case "model_not_found":
            return by_status in {"wrong_path", "bad_request", "auth", ""}
        case "overloaded":
            return by_status in {"server_error", "rate_limited", ""}
        case "auth":
            return by_status in {"bad_request", ""}
        case "content_filter":
            return by_status in {"bad_request", "auth", ""}
        case _:
            return by_status not in {"redirect", "wrong_path", "server_error"} or kind == "context_length"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) == 3 else None


def judge(
    fault: Fault, *, endpoint: str = "", model: str = "", clean: Callable[[str], str] = str
) -> EndpointBusy | EndpointRefused:
    """Make a fault the exception that callers act on.

    `endpoint` and `model` are named in its message. `clean` takes secrets out of what the endpoint said. The header
    `x-should-retry` is obeyed, but for verdicts that hold for every call (a spent quota, a bad key).
    """
    kind = kind_of(fault)
    verdict = FAULT_CLASSES[kind]
    wants = fault.headers.get("x-should-retry", "").lower()
    busy = verdict.busy
    if wants == "false" and busy:
        verdict = replace(verdict, busy=False)
    elif wants == "true" and not busy and not verdict.stops:
        verdict = replace(verdict, busy=True)
    message = _message(fault, verdict, endpoint=endpoint, model=model, clean=clean)
    if verdict.busy:
        wait = retry_after(fault.headers)
        return EndpointBusy(message, kind=kind, endpoint=endpoint, status=fault.status, retry_after=wait)
    return EndpointRefused(message, kind=kind, endpoint=endpoint, status=fault.status, stops=verdict.stops)


def _message(fault: Fault, verdict: FaultClass, *, endpoint: str, model: str, clean: Callable[[str], str]) -> str:
    where = f"{endpoint}, model {model}" if endpoint and model else endpoint or model
    wait = retry_after(fault.headers) if verdict.busy else None
    details = [f"status {fault.status}"] if fault.status not in {None, 200} else []
    details += [f"it asks to wait {wait:,.{0 if wait >= 1 else 2}f} s"] if wait is not None else []
    status = f" ({'; '.join(details)})" if details else ""
    said = tidy(clean(fault.text))
    message = f"{where}: {verdict.what}{status}" if where else f"{verdict.what}{status}"
    return cut(f"{message}. It said: {said}" if said else f"{message}.")


def cut(text: str) -> str:
    """Cut a text to `MESSAGE_BYTES` of UTF-8."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MESSAGE_BYTES:
        return data.decode("utf-8")
    return data[: MESSAGE_BYTES - 3].decode("utf-8", "ignore") + "…"


def tidy(text: str) -> str:
    """Make what a stranger wrote fit for one line of a message: no tags of a web page, no control characters."""
    text = text[: 8 * MESSAGE_BYTES]
    if text.lstrip()[:1] == "<":
        text = re.sub(r"<(?:style|script)\b[^<]*<|<[^<>]*>", " ", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def error_in(value: Json) -> Fault | None:
    """Read the error object of a body, in the shapes that are about; None if there is none."""
    if not isinstance(value, dict):
        return None
    body: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType] - JSON
    error: Any = body.get("error") or body.get("errors") or body.get("detail")
    if error is None and isinstance(body.get("message"), str):
        error = body
    if isinstance(error, list) and error:
        error = error[0]  # pyright: ignore[reportUnknownVariableType] - JSON
    if isinstance(error, str):
        return Fault(text=error, code=_text(body.get("code")), type=_text(body.get("type")))
    if not isinstance(error, dict) or not error:
        return None
    fields: dict[str, Any] = error  # pyright: ignore[reportUnknownVariableType] - JSON
    message = fields.get("message") or (repr(fields) if "loc" in fields else fields.get("msg")) or fields
    return Fault(
        text=message if isinstance(message, str) else repr(message),
        code=_text(fields.get("code")),
        type=_text(fields.get("type") or fields.get("status")),
    )


def _text(value: Json) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


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
"""Names of exceptions, as all HTTP clients of the family call them; the first in the chain of causes counts."""


def fault_of(error: BaseException) -> Fault:
    """Read an exception of the HTTP client, with all its causes, by the names of their classes."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    names = {name.__name__ for link in chain for name in type(link).__mro__}
    kind = next((kind for name, kind in _BY_EXCEPTION if name in names), "disconnected")
    if kind == "unreachable" and any(
        "certificate" in str(link).lower() or "ssl" in str(link).lower() for link in chain
    ):
        kind = "tls"
    words = [str(link) for link in chain if str(link)]
    return Fault(kind=kind, text=words[-1] if words else type(error).__name__)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds the endpoint asks to wait; None where it does not say, or says nothing of use.

    `retry-after-ms` comes first, then `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3). A date is
    counted from the answer's own `Date`, so that clocks need not agree. Zero and the past are None too.
    """
    seconds = _positive(headers.get("retry-after-ms"), 0.001)
    if seconds is not None:
        return seconds
    value = headers.get("retry-after")
    seconds = _positive(value, 1.0)
    if seconds is not None or value is None:
        return seconds
    try:
        wait = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return wait if wait > 0 else None


def _positive(value: str | None, unit: float) -> float | None:
    if value is None or not re.fullmatch(r"\s*\d{1,300}(\.\d{0,20})?\s*", value):
        return None
    seconds = float(value) * unit
    return seconds if isfinite(seconds) and seconds > 0 else None
