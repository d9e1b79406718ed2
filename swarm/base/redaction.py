"""Texts that are safe to show: without terminal escapes and without known secrets."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from math import log2
from types import MappingProxyType
from urllib.parse import quote, quote_plus

SHORTEST_SECRET = 6
"""Minimum characters of a value that is hidden. Shorter values are words and numbers: hiding them
would make a report unreadable and protect nothing."""

MASK = "***"
"""The text that replaces a secret."""

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Codes that change the direction of writing."""
_MARKS: Mapping[int, str] = MappingProxyType(
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}  # C0
    | {0x7F: "\u2421"}
    | dict.fromkeys(range(0x80, 0xA0), "\u241b")  # C1: each is an escape in one character
    | dict.fromkeys(_BIDI, "\ufffd")
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # half a character: cannot be encoded
)
_UNSAFE = re.compile(f"[{re.escape(''.join(map(chr, _MARKS)))}]")
_KEY_PREFIX = re.compile(
    r"\b(?:(?:sk|pk|rk|gsk|xai|hf|ghp|gho|github_pat|glpat|nvapi|pplx|r8|tgp|csk|fw)[-_]|AIza|AKIA|ya29\.|eyJ)"
    r"(?=[-_.A-Za-z]{0,24}[0-9])[-_.A-Za-z0-9]{15,}"
)
_DENSE = re.compile(r"[A-Za-z0-9+/_=.-]{24,}")


def safe_text(text: str) -> str:
    r"""Replace characters that control a terminal or hide text by visible ones.

    `\n` and `\t` stay, and `\r\n` becomes `\n`. C0 controls become their picture (`␛`), and C1 controls
    become `␛`, because each is an escape in one byte. DEL becomes `␡`. Bidirectional controls and lone
    surrogates become `�`.
    """
    if _UNSAFE.search(text) is None:
        return text
    return text.replace("\r\n", "\n").translate(_MARKS)


def looks_like_key(text: str) -> bool:
    """Return True if a text looks like an API key: a provider's prefix, or a dense run.

    A dense run has at least 24 characters of the base64 alphabet, letters and digits among them,
    with 3.5 bits of entropy each. English words joined by `-`, `/` or `.` are below; random
    hexadecimal and base64 are above.
    """
    if _KEY_PREFIX.search(text):
        return True
    return any(_is_dense(run) for run in _DENSE.findall(text))


def _is_dense(run: str) -> bool:
    has_digit = any(c.isdigit() for c in run)
    has_letter = any(c.isalpha() for c in run)
    if not has_digit or not has_letter:
        return False
    longest = max(len(word) for word in re.split(r"[-/._+=]", run))
    if longest < 16:  # words and versions joined: `Qwen3-235B-A22B-Instruct-2507`
        return False
    shares = [run.count(c) / len(run) for c in set(run)]
    entropy = -sum(share * log2(share) for share in shares)
    return entropy >= 3.5


class Redactor:
    """A filter for known secrets, also in base64, URLs, JSON, HTML and repr.

    Values shorter than `SHORTEST_SECRET` characters are not hidden. Cleaning is linear in the text
    for each form.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            forms.update(_forms(secret))
            forms.update(_forms(secret.strip()))
        self._forms = sorted(forms, key=len, reverse=True)  # longest first

    def clean(self, text: str) -> str:
        """Return the text with each secret replaced by `***`."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < SHORTEST_SECRET:
        return
    yield secret
    for plain_ascii in (True, False):
        escaped = json.dumps(secret, ensure_ascii=plain_ascii)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
    yield repr(secret)[1:-1]
    yield html.escape(secret)
    strict, usual = quote(secret, safe="", errors="replace"), quote(secret, errors="replace")
    for quoted in (strict, usual, quote_plus(secret)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), quoted)
    yield from _base64_forms(secret.encode("utf-8", "replace"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Return the base64 digits of a secret inside a longer text, for each of three alignments."""
    for shift in range(3):
        digits = base64.b64encode(b"\0" * shift + secret)
        first, last = -(-shift * 8 // 6), (shift + len(secret)) * 8 // 6
        standard = digits[first:last].decode()
        yield standard
        yield standard.replace("+", "-").replace("/", "_")
