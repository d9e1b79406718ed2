"""Kinds of faults: which of them a fault is, by its code, its words and its status. Pure.

The words of a body count as much as its status: an exhausted quota and a rate limit are both 429,
and some endpoints put errors in a 200. Every table is data; `kind_of` says in which order they are
asked.
"""

import re
from collections.abc import Mapping

from swarm.endpoints.wire.faults import Fault, retry_after

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
"""Statuses whose kind is not that of their hundred."""

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
"""Codes and types that providers document, in lower case, and their kinds."""

_IMPRECISE = frozenset({"bad_request", "server_error", "rate_limited", "auth"})
"""Kinds by code that the words of the body may refine: `invalid_request_error` says little."""

_LESS_PRECISE = frozenset({"wrong_path", "server_error", "bad_request"})
"""Kinds by status that say less than an imprecise code."""

_PRECISE = frozenset({"redirect", "wrong_path", "server_error"})
"""Kinds by status that words about a quota or a size do not refine:
such a body is about something else."""

_REFINES: Mapping[str, frozenset[str]] = {
    "model_not_found": frozenset({"wrong_path", "bad_request", "auth", ""}),
    "overloaded": frozenset({"server_error", "rate_limited", ""}),
    "auth": frozenset({"bad_request", ""}),
    "content_filter": frozenset({"bad_request", "auth", ""}),
}
"""For each kind by words: the kinds by status that it may replace; "" is a status without a kind."""

_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "context_length",
        re.compile(
            r"context[ _-]?(length|size|window)|maximum (context|prompt|input) length"
            r"|prompt is too long|input is too long|too many (input )?tokens"
            r"|exceeds? the (available|maximum) (context|number of tokens)"
            r"|reduce the length of the (messages|prompt)|range of input length"
        ),
    ),
    (
        "too_large",
        re.compile(r"request too large|request entity too large|payload too large|body too large"),
    ),
    (
        "quota",
        re.compile(
            r"insufficient[ _](quota|balance|funds|credits?)|billing hard limit|out of credits"
            r"|not enough credits|requires more credits|credit balance is too low"
            r"|suspended due to insufficient|account is in arrears"
        ),
    ),
    (
        "content_filter",
        re.compile(
            r"content (filter|management policy|policy)|moderation|flagged|inappropriate content",
        ),
    ),
    (
        "model_not_found",
        re.compile(
            r"model\b.{0,200}?"
            r"(does not exist|not found|not exist|is not available|not supported by|unknown)"
            r"|(no such|unknown|invalid) model\b|no endpoints found|not a valid model"
        ),
    ),
    (
        "overloaded",
        re.compile(r"overloaded|at capacity|server is busy|engine is currently|loading model"),
    ),
    (
        "auth",
        re.compile(
            r"invalid api.?key|incorrect api.?key|api.?key (is )?(missing|invalid|not valid)"
            r"|unauthori[sz]ed"
        ),
    ),
)
"""Patterns of the words of bodies in lower case, the most precise first. All run in linear time."""

_FIELD = re.compile(r"\b(parameters?|fields?|arguments?|propert(y|ies))\b|does not support")
"""Words about a field that a model does not accept. The model exists,
so the endpoint is not stopped."""
_SPENT = re.compile(r"exceeded your current quota")
"""Words for an exhausted quota; some providers use them for a rate limit, too."""
_PASSES = re.compile(
    r"per[ -]?(minute|second|day|hour)|retry[ _-]?(in|delay|after)|rate.?limit|rpm|tpm",
)
"""Words for a limit that passes by itself."""
_WORDS_READ = 4096
"""Characters of a body that are searched for words: a long body must cost no time."""


def kind_of(fault: Fault) -> str:
    """Return the kind of a fault, a key of `FAULTS`. The first that applies decides.

    1. the kind that the code which saw the fault has set
    2. a documented code or type that is precise
    3. the words of the body, if they may refine the status
    4. with status 200 or no answer: an imprecise code, or a code that is a status (`"502"`)
    5. an imprecise code that says more than the status
    6. the status
    """
    if fault.kind:  # 1
        return fault.kind
    by_code = _by_code(fault)
    if by_code and by_code not in _IMPRECISE:  # 2
        return by_code
    by_status = _by_status(fault.status)
    by_words = _by_words(fault)
    if by_words and _may_refine(by_words, by_status):  # 3
        return by_words
    if fault.status == 200 or fault.status is None:  # 4
        return by_code or _by_status(_status_in(fault.code)) or "server_error"
    if by_code in {"rate_limited", "auth"} and by_status in _LESS_PRECISE:  # 5
        return by_code
    return by_status  # 6


def _by_code(fault: Fault) -> str:
    """Return the kind by the documented code or type; empty if neither is known."""
    return _CODES.get(fault.code.lower()) or _CODES.get(fault.type.lower()) or ""


def _by_status(status: int | None) -> str:
    """Return the kind by the status alone; empty if the status is not an error."""
    if status is None or status < 300:
        return ""
    if status in _STATUS:
        return _STATUS[status]
    if status < 400:
        return "redirect"
    return "bad_request" if status < 500 else "server_error"


def _by_words(fault: Fault) -> str:
    """Return the kind by the words of the body; empty if they say nothing."""
    text = fault.text[:_WORDS_READ].lower()
    if fault.status in {429, 403} and _SPENT.search(text):
        # Some providers use these words for a rate limit, too. That one passes, and says so.
        passes = _PASSES.search(text) or retry_after(fault.headers) is not None
        return "" if passes else "quota"
    kind = next((kind for kind, pattern in _WORDS if pattern.search(text)), "")
    if kind == "model_not_found" and fault.status in {400, 422} and _FIELD.search(text):
        return ""
    return kind


def _may_refine(kind: str, by_status: str) -> bool:
    """Return whether a kind by words may replace the kind by status."""
    if kind == "context_length":  # llama.cpp sends it with a 500
        return True
    if kind in _REFINES:
        return by_status in _REFINES[kind]
    return by_status not in _PRECISE


def _status_in(code: str) -> int | None:
    """Return the status that a code of three digits is, or None."""
    return int(code) if code.isascii() and code.isdigit() and len(code) == 3 else None
