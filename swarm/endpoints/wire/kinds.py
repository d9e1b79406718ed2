"""Kinds of faults: which of them a fault is, by its code, its words and its status. Pure.

The words of a body count as much as its status: an exhausted quota and a rate limit are both 429,
and some endpoints put errors in a 200. Every table is data, in `words`; `kind_of` says in which
order they are asked.
"""

from collections.abc import Mapping

from swarm.endpoints.wire.faults import Fault, retry_after
from swarm.endpoints.wire.words import (
    CODES,
    FIELD,
    NOT_FOUND,
    NOT_THE_PROMPT,
    PASSES,
    PER_DAY,
    PER_MINUTE,
    SPENT,
    TOO_LONG,
    WORDS,
)

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
    451: "content_filter",
    529: "overloaded",
}
"""Statuses whose kind is not that of their hundred."""

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
    "rate_limited": frozenset({"auth", ""}),
    "wrong_path": frozenset({""}),
    "content_filter": frozenset({"bad_request", "auth", ""}),
    "malformed": frozenset({"bad_request", "server_error", ""}),
}
"""For each kind by words: the kinds by status that it may replace; "" is a status without a kind."""

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
    codes = (fault.code.lower(), fault.type.lower())
    if not NOT_FOUND.isdisjoint(codes) and "model" in fault.text.lower():
        return "model_not_found"
    families = (code.partition(".")[0] for code in codes)
    return next((CODES[code] for code in (*codes, *families) if code in CODES), "")


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
    spent = _by_words_of_a_quota(fault, text)
    if spent is not None:
        return spent
    kind = next((kind for kind, pattern in WORDS if pattern.search(text)), "")
    if kind == "quota" and fault.status == 429 and PER_MINUTE.search(text):
        return "rate_limited"
    if kind == "model_not_found" and fault.status in {400, 422} and FIELD.search(text):
        return ""
    return kind or ("context_length" if _is_about_length(fault, text) else "")


def _by_words_of_a_quota(fault: Fault, text: str) -> str | None:
    """Return the kind of a refusal whose words fit both a quota and a rate limit; None for any other."""
    if fault.status == 429 and PER_DAY.search(fault.more[:_WORDS_READ]):
        return "quota"
    if fault.status in {429, 403} and SPENT.search(text):
        return "" if _passes(fault, f"{text} {fault.more[:_WORDS_READ].lower()}") else "quota"
    return None


def _is_about_length(fault: Fault, text: str) -> bool:
    """Return whether words that no table knows say that the prompt is too long."""
    may_be = fault.status in {200, 400, 413, 422}
    return may_be and TOO_LONG.search(text) is not None and NOT_THE_PROMPT.search(text) is None


def _passes(fault: Fault, text: str) -> bool:
    """Return whether a limit passes: some providers use the words of an exhausted quota for a rate limit."""
    return PASSES.search(text) is not None or retry_after(fault.headers) is not None


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
