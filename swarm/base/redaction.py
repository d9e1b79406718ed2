"""Text made safe to show: no terminal escapes, and no secret that is known."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from math import log2
from types import MappingProxyType
from urllib.parse import quote, quote_plus

SHORTEST_SECRET = 6
"""Characters. Shorter values are words and numbers; hiding those would make a report unreadable and hide nothing."""

MASK = "***"
"""What stands where a secret was."""

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""What turns the direction of writing."""
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
    r"""Replace what could steer a terminal or hide text by a visible mark; `\n` and `\t` stay, `\r\n` becomes `\n`.

    C0 controls become their picture (`␛`), C1 controls `␛` too, for each is an escape in one byte; DEL becomes `␡`;
    bidirectional controls and lone surrogates become `�`.
    """
    if _UNSAFE.search(text) is None:
        return text
    return text.replace("\r\n", "\n").translate(_MARKS)


def looks_like_key(text: str) -> bool:
    """Tell whether a text looks like an API key: a provider's prefix, or a long run of dense characters.

    Dense: at least 24 characters of the base64 alphabet with letters and digits and 3.5 bits of entropy each;
    English words joined by `-`, `/` or `.` stay below, random hexadecimal and base64 are above.
    """
    if _KEY_PREFIX.search(text):
        return True
    return any(_is_dense(run) for run in _DENSE.findall(text))


def _is_dense(run: str) -> bool:
    if not any(c.isdigit() for c in run) or not any(c.isalpha() for c in run):
        return False
    longest = max((len(word) for word in re.split(r"[-/._+=]", run)), default=0)
    if longest < 16:  # words and versions joined: `Qwen3-235B-A22B-Instruct-2507`
        return False
    counts = [run.count(c) for c in set(run)]
    return -sum(n / len(run) * log2(n / len(run)) for n in counts) >= 3.5


class Redactor:
    """Removes secrets that are known, by value and in the forms they take on the way: base64, URL, JSON, HTML, repr.

    Values shorter than `SHORTEST_SECRET` characters are left alone. Cleaning is linear in the text for each form.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for value in {secret, secret.strip()} for form in _forms(value)}
        self._forms = sorted(forms, key=len, reverse=True)  # a secret that holds another goes first

    def clean(self, text: str) -> str:
        """Give the text with each secret replaced by `***`."""
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
    for quoted in (quote(secret, safe="", errors="replace"), quote(secret, errors="replace"), quote_plus(secret)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), quoted)
    yield from _base64_forms(secret.encode("utf-8", "replace"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Give the digits a secret always has inside a longer base64 text: one form for each of three alignments."""
    for shift in range(3):
        digits = base64.b64encode(b"\0" * shift + secret)
        first, last = -(-shift * 8 // 6), (shift + len(secret)) * 8 // 6
        standard = digits[first:last].decode()
        yield standard
        yield standard.replace("+", "-").replace("/", "_")
