"""The encoding of a text: what its bytes show, what it declares, and what its letters make likely.

Bytes decide over declarations: a mark at the start, the escapes of ISO-2022, UTF-8, the zeros of
UTF-16. Then comes what an HTML, XML or Python file declares. What is left is guessed: of every
encoding in which the bytes are valid, the one with the most usual letters in usual places. A
general detector needs pages of text for that; files of notes have lines.
"""

import codecs
import re
from dataclasses import dataclass, replace

from swarm.readers.letters import CANDIDATES, likelihood

SAMPLE = 64_000
"""Bytes with letters outside of ASCII that are weighed. More does not change the result."""
ZEROS = 0.3
"""Minimum share of zeros among the even or the odd bytes of UTF-16 without a mark. Western text has nearly 1."""
MOST_CONTROLS = 0.02
"""Maximum share of control characters in a text. Binary data has a tenth."""
FEW_CONTROLS = 3
"""Control characters that any text may have, however short: a bell, a form feed of a printer."""
WIDE = 0.95
"""Minimum share of East Asian characters in UTF-16 without a mark and without zeros."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
"""Byte order marks. That of UTF-32 begins with that of UTF-16."""
_ESCAPES = (
    (re.compile(rb"\x1b\$[@B]|\x1b\(J"), "iso2022_jp"),
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
)
_HTML_OR_XML = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([-\w.:]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([-\w.:]{1,40})["']""")
_PYTHON = re.compile(rb"\A(?:[^\n]*\n)?[ \t\f]*#.*?coding[:=][ \t]*([-\w.]{1,40})")
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
DECLARED_IN = 4096
"""Bytes at the start of a file in which a declaration is looked for."""
_SAME = {"latin-1": "cp1252", "iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030",
         "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs"}  # fmt: skip
"""Encodings that files name and do not keep to, with the larger one that their programs really write."""
_CODES = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Encodings of names and programs, not of texts: `punycode` takes time that grows with the square of the length."""
DAMAGED = 10
"""Minimum valid characters outside of ASCII per damaged byte of a text in UTF-8."""
_EAST_ASIAN = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef\n\r ]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


class NotTextError(ValueError):
    """Bytes that are no text in any known encoding."""


@dataclass(frozen=True)
class Decoded:
    """A text and how it was read."""

    text: str
    encoding: str
    """Name of the encoding: `utf-8`, `cp1252`, `koi8-r` …"""
    guessed: bool = False
    """Whether the letters decided: the text may be in a similar encoding."""


def decode(content: bytes, name: str = "") -> Decoded:
    """Return the text of bytes. Raise NotTextError if they are none. The name tells what may be declared in it."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return Decoded(_marked(content[len(mark) :], encoding), encoding)
    for pattern, encoding in _ESCAPES:
        if pattern.search(content, 0, SAMPLE):
            return Decoded(_strict(content, encoding), encoding)
    if b"\0" in content:
        encoding = _of_zeros(content)
        return Decoded(_checked(_strict(content, encoding)), encoding)
    try:
        return Decoded(_checked(content.decode()), "utf-8")
    except UnicodeDecodeError:
        pass
    return _nearly_utf8(content) or _declared(content, name) or _wide(content) or _guessed(content)


def _nearly_utf8(content: bytes) -> Decoded | None:
    """Return a text in UTF-8 with a few damaged bytes, which are replaced, or one that was cut in a character; or None.

    Another encoding has next to no characters that are valid in UTF-8 by chance.
    """
    text = content.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", "ignore")) - bad
    is_cut = bad == 1 and text.endswith("\ufffd") and good > 0
    if not is_cut and good < DAMAGED * bad:
        return None
    return Decoded(_checked(text.removesuffix("\ufffd") if is_cut else text), "utf-8")


def _marked(content: bytes, encoding: str) -> str:
    """Return a text with a mark. One that was cut in a character is valid up to there. Raise NotTextError."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(content)
    except UnicodeDecodeError:
        text = ""
    return text or _strict(content, encoding)


def _strict(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotTextError(f"it is not valid {encoding} at byte {error.start:,}") from None


def _checked(text: str) -> str:
    """Return a text. Raise NotTextError if it has as many control characters as binary data."""
    found = len(_CONTROLS.findall(text[:SAMPLE]))
    if found > max(FEW_CONTROLS, MOST_CONTROLS * min(len(text), SAMPLE)):
        raise NotTextError("it has control characters, as binary data does")
    return text


def _of_zeros(content: bytes) -> str:
    """Return the UTF-16 or UTF-32 of bytes without a mark. Raise NotTextError if their zeros are in no order."""
    sample = content[: SAMPLE - SAMPLE % 4]
    sample = sample[: len(sample) - len(sample) % 4] or sample
    quarter = max(1, len(sample) // 4)
    zeros = [sample[n::4].count(0) / quarter for n in range(4)]
    if len(content) % 4 == 0 and min(zeros[0], zeros[1]) > 0.99:
        return "utf-32-be"
    if len(content) % 4 == 0 and min(zeros[2], zeros[3]) > 0.99:
        return "utf-32-le"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    # Of ASCII every second byte is a zero. Fewer zeros are separators, as `find -print0` writes them, or binary data.
    least = 0.9 if sample.isascii() else ZEROS
    if len(content) % 2 == 0 and max(even, odd) > least and min(even, odd) < ZEROS / 10:
        return "utf-16-be" if even > odd else "utf-16-le"
    raise NotTextError("it has NUL bytes, as binary data does")


def _wide(content: bytes) -> Decoded | None:
    """Return a text in UTF-16 without a mark that has only East Asian characters, or None.

    Half of such a character may look like a control character, which no text in bytes has.
    """
    if len(content) % 2 or not _CONTROL_BYTES.search(content, 0, SAMPLE):
        return None
    for encoding in ("utf-16-le", "utf-16-be"):
        text = content[:SAMPLE].decode(encoding, "replace")
        if len(_EAST_ASIAN.findall(text)) >= WIDE * len(text):
            return Decoded(_strict(content, encoding), encoding, guessed=True)
    return None


def _declared(content: bytes, name: str) -> Decoded | None:
    """Return the text in the encoding that it declares, or None if it declares none, or a wrong one."""
    head = content[:DECLARED_IN]
    found = _XML.search(head) or _HTML_OR_XML.search(head)
    if found is None and name.lower().endswith((".py", ".pyi")):
        found = _PYTHON.search(head)
    if found is None:
        return None
    try:
        decoded = named(content, found[1].decode("ascii"))
        return None if decoded is None else replace(decoded, text=_checked(decoded.text))
    except UnicodeError:
        return None


def named(content: bytes, encoding: str) -> Decoded | None:
    """Return the text in the encoding that a file or a server names; None if it is in another, or there is none."""
    try:
        name = codecs.lookup(encoding).name
        name = _SAME.get(name, name)
        return None if name in _CODES else Decoded(content.decode(name), name)
    except (LookupError, ValueError):
        return None


def _guessed(content: bytes) -> Decoded:
    """Return the text in the most likely encoding. Raise NotTextError if it has control characters in each."""
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    sample = b"\n".join(lines)[:SAMPLE]
    found, best, most = "", "", float("-inf")
    for encoding in CANDIDATES:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        score = likelihood(sample.decode(encoding, "ignore"), encoding)
        if score > most + 1e-9:
            best, most = encoding, score
            found = text
    if not best:
        return Decoded(_checked(content.decode("latin-1")), "latin-1", guessed=True)
    return Decoded(_checked(found), best, guessed=True)
