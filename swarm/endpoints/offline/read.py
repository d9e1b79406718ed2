"""The reader of Markdown and prose.

It splits a text into claims: sentences, bullets, and rows of tables.

Each claim has the headings above it. One scanner reads a line at a time, without going back.
Program source, package metadata, JSON and CSV are read by `swarm.endpoints.offline.formats`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeVar

from swarm.endpoints.offline.rank import Passage, figures, words

LONGEST = 360
"""Maximum characters of one claim. Longer text without a full stop is split at spaces."""
MOST_LINES = 50_000
"""Maximum lines of one text that are read: 1 MB of short lines."""
_NAME_LONGEST = 60  # maximum characters of a heading that is put before a claim
_WRAPPED = 50  # minimum characters of a line that continues in the next one

_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(\S.*)$")
_UNDERLINE = re.compile(r"^\s{0,3}(=+|-{2,})\s*$")
_BULLET = re.compile(r"^(\s*)(?:[-*+•]|\d{1,4}[.)])\s+(.*)$")
_RULER = frozenset("|-: \t")
_IMAGE = re.compile(r"!\[([^\[\]]{0,200})\]\([^()\s]{0,2000}\)")
_LINK = re.compile(r"\[([^\[\]]{1,200})\]\(([^()\s]{1,2000})\)")
_STRONG = re.compile(r"\*\*(?=\S)([^*\n]{1,300})(?<=\S)\*\*")
_END = re.compile(
    r"(?:(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s)|[。！？]++[”’」』）]*+)(?:\s*\[[a-z0-9][a-z0-9_., -]{0,300}\])*+\s*"
)
"""The end of a sentence, with the citations after it."""
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|[a-z](?:\.[a-z])+|approx|ca|cf|Dr|ed|eds|etc|Fig|fig|incl|Inc|Jr|Ltd|max|min|Mr|Mrs|Ms|no|No|"
    r"pp|Prof|resp|St|v|vs|Vol|vol)\.$"
)
_GENERIC = re.compile(
    r"data|docs?|document|file|index|init|input|main|metadata|notes?|output|page|paper|pkg|info|readme|report|text|untitled"
)
"""Stems of file names that do not name a subject."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of a source."""

    text: str
    where: tuple[str, ...] = ()
    """Headings, introducing lines and parent bullets above it, outermost first."""
    prior: float = 0.0
    """Importance of its position in the text, from 0 to 1."""
    listed: bool = False
    """True if it is an entry of a list or a table."""
    always: bool = False
    """True if every answer about its source contains it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text as claims."""

    name: str
    """Name of the file, or id of the step."""
    title: str = ""
    claims: tuple[Claim, ...] = ()
    path: bool = False
    """True if its full name identifies its claims, as in program source."""
    named: bool = True
    """True if its name names a subject. The id of a step does not."""


def flat(text: str) -> str:
    """Return a text on one line with single spaces, without control characters and lone surrogates."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def plain(text: str) -> str:
    """Return a line of Markdown without marks for images, links and bold text."""
    if "](" in text:
        text = _LINK.sub(r"\1 (\2)", _IMAGE.sub(r"\1", text))
    if "**" in text:
        text = _STRONG.sub(r"\1", text)
    return flat(text)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each of at most `LONGEST` characters."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        following = text[match.end() : match.end() + 1]
        before = text[max(start, match.start() - 12) : match.start() + 1]
        if following.islower() or _ABBREVIATION.search(before):
            continue
        found += cut(text[start : match.end()].strip())
        start = match.end()
    return found + cut(text[start:].strip())


def cut(text: str) -> list[str]:
    """Return pieces of a text that fit one claim each, split at spaces if possible."""
    pieces: list[str] = []
    start = 0
    while len(text) - start > LONGEST:
        space = text.rfind(" ", start + LONGEST // 2, start + LONGEST)
        end = space if space > 0 else start + LONGEST
        pieces.append(text[start:end].strip())
        start = end
    rest = text[start:].strip()
    return [*pieces, rest] if rest else pieces


@dataclass
class _Page:
    """The state of the scanner."""

    claims: list[Claim] = field(default_factory=list[Claim])
    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    levels: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """All headings so far, in order."""
    lead: str = ""
    bullets: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Parent bullets of the current line: indentation and text."""
    lines: list[str] = field(default_factory=list[str])
    """Lines of the current paragraph or bullet."""
    item: int = -1
    """Indentation of the current bullet, or -1."""
    columns: list[str] | None = None
    """Head of the current table."""
    fence: str = ""

    def read(self, text: str) -> None:
        kinds = (
            self._code,
            self._blank,
            self._heading,
            self._underline,
            self._row,
            self._bullet,
        )
        for line in sampled(text.splitlines(), MOST_LINES):
            line = line.lstrip().removeprefix("> ") if line.lstrip().startswith(">") else line
            if not any(is_kind(line) for is_kind in kinds):
                if self.item >= 0 and not line.startswith(" "):
                    self._flush()
                self.lines.append(line.strip())
        self._flush()

    def _code(self, line: str) -> bool:
        match = _FENCE.match(line)
        if match and (not self.fence or match[1] == self.fence):
            self._flush()
            self.fence = "" if self.fence else match[1]
            return True
        if self.fence and line.strip():
            self.claims += [Claim(piece, self._where(), -0.5) for piece in cut(flat(line))]
        return bool(self.fence)

    def _blank(self, line: str) -> bool:
        if line.strip():
            return False
        first = not self.claims and not self.levels and self.item < 0 and len(self.lines) == 1
        if first and len(self.lines[0]) <= _NAME_LONGEST and _is_title(self.lines[0]):
            self._enter(1, self.lines.pop())
        self._flush()
        self.columns = None
        return True

    def _heading(self, line: str) -> bool:
        match = _HEADING.match(line)
        if match:
            self._flush()
            self._enter(len(match[1]), match[2].rstrip("# \t") or match[2])
        return match is not None

    def _underline(self, line: str) -> bool:
        match = _UNDERLINE.match(line)
        if not match or (self.item >= 0 and not self.lines):
            return False
        if len(self.lines) == 1 and self.item < 0 and "|" not in self.lines[0]:
            title = self.lines.pop()
            self._enter(1 if match[1][0] == "=" else 2, title)
        else:
            self._flush()
        return True

    def _row(self, line: str) -> bool:
        if self.columns is None:
            if "|" not in line and "|" not in "".join(self.lines[-1:]):
                return False
            if not self.lines or "--" not in line or not _RULER.issuperset(line):
                return False
            self.columns = cells(self.lines.pop())
            self._flush()
            return True
        if "|" not in line:
            self.columns = None
            return False
        text = entry(self.columns, cells(line))
        self.claims += [Claim(piece, self._where(), listed=True) for piece in cut(text)]
        return True

    def _bullet(self, line: str) -> bool:
        match = _BULLET.match(line)
        if not match:
            return False
        self._flush()
        self.item = len(match[1].expandtabs(4))
        while self.bullets and self.bullets[-1][0] >= self.item:
            self.bullets.pop()
        self.lines = [match[2].strip()]
        return True

    def _enter(self, level: int, title: str) -> None:
        """Start the section of a heading."""
        title = plain(title)
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        self.headings.append((level, title))
        self.levels.append((level, title))
        self.lead = ""
        self.bullets.clear()

    def _flush(self) -> None:
        """Turn the current paragraph or bullet into claims."""
        lines, item = self.lines, self.item
        self.lines, self.item = [], -1
        if not lines:
            return
        if item >= 0:
            text = plain(" ".join(lines))
            self.claims += [Claim(piece, self._where(), 0.2, listed=True) for piece in sentences(text)]
            if len(text) <= _NAME_LONGEST and not figures(text):
                self.bullets.append((item, text.rstrip(":")))
            return
        self.bullets.clear()
        self.lead = ""
        for text in logical(lines):
            found = sentences(plain(text))
            if found and found[-1].endswith(":"):
                self.lead = found.pop()[:-1]
            self.claims += [Claim(sentence, self._where()) for sentence in found]

    def _where(self) -> tuple[str, ...]:
        above = [title for _, title in self.headings]
        return tuple(name for name in (*above, self.lead, *(text for _, text in self.bullets)) if name)


def _is_title(line: str) -> bool:
    return not figures(line) and line[-1] not in ".!?:;,。！？" and len(line.split()) <= 8


T = TypeVar("T")


def sampled(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most `most` items, evenly spaced, so that no part of a long text is ignored."""
    if len(items) <= most:
        return items
    return [items[i * len(items) // most] for i in range(most)]


def logical(lines: Iterable[str]) -> list[str]:
    """Return lines with wrapped ones joined.

    A line is wrapped if it is long, ends inside a sentence, or comes before a lower-case letter.
    """
    found: list[list[str]] = []
    previous = ""
    for line in lines:
        is_open = ". " in previous and previous[-1:] not in ".!?:;"
        is_inside = previous.endswith(",") or is_open
        wrapped = previous and (len(previous) >= _WRAPPED or line[:1].islower() or is_inside)
        if wrapped:
            found[-1].append(line)
        else:
            found.append([line])
        previous = line
    return [" ".join(parts) for parts in found]


def cells(line: str) -> list[str]:
    """Return the cells of a row of a Markdown table."""
    raw = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [plain(cell.replace("\\|", "|")) for cell in raw]


def row(columns: list[str], values: list[str]) -> str:
    """Return a row of a table as one line: each value after the head of its column."""
    heads = [*columns, *[""] * max(0, len(values) - len(columns))]
    filled = [(head, value) for head, value in zip(heads, values, strict=False) if value]
    return flat("; ".join(f"{head}: {value}" if head else value for head, value in filled))


def entry(columns: list[str], values: list[str]) -> str:
    """Return a row about its first cell as one line: that cell, then each value after its head."""
    if not values or not any(c.isalpha() for c in values[0]) or figures(values[0]):
        return row(columns, values)
    heads = [*columns[1:], *[""] * max(0, len(values) - len(columns))]
    filled = [(head, value) for head, value in zip(heads, values[1:], strict=False) if value]
    rest = "; ".join(f"{head} {value}".strip() for head, value in filled)
    return flat(f"{values[0]}: {rest}" if filled else values[0])


def read_prose(name: str, text: str, titled: bool = True) -> Source:
    """Return the claims of Markdown or plain text. If `titled`, a single top heading is its title."""
    page = _Page()
    page.read(text)
    title = ""
    if titled and page.levels:
        top = min(level for level, _ in page.levels)
        tops = [heading for level, heading in page.levels if level == top]
        title = tops[0] if len(tops) == 1 else ""
    claims = page.claims
    if title:
        claims = [_without(claim, title) for claim in claims]
    if claims:  # the first claim usually names the subject of a text
        claims[0] = replace(claims[0], prior=max(claims[0].prior, 0.0) + 0.6)
    return Source(name, title, tuple(claims))


def _without(claim: Claim, title: str) -> Claim:
    """Return a claim without the title of its source among its headings."""
    return replace(claim, where=claim.where[1:]) if claim.where[:1] == (title,) else claim


def stem_of(name: str) -> str:
    """Return the stem of a file name, such as `tantivy`; empty if it names no subject."""
    stem = PurePosixPath(name).name.split(".")[0].strip("_")
    letters = [part for part in re.split(r"[\W\d_]+", stem) if len(part) > 2]
    return stem if any(not _GENERIC.fullmatch(part.casefold()) for part in letters) else ""


def label(source: Source, claim: Claim, common: frozenset[str] = frozenset()) -> str:
    """Return the subject of a claim that does not name it itself; else an empty text.

    `common` are words that are not names, such as the words of the question in lower case.
    """
    said = set(words(claim.text))
    parts = [_subject_of(source, claim.text, said, common)]
    for heading in claim.where:
        terms = set(words(heading))
        if len(heading) <= _NAME_LONGEST and terms and not terms & said:
            parts.append(heading.strip("`"))
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _subject_of(source: Source, text: str, said: set[str], common: frozenset[str]) -> str:
    """Return the name of a source for a claim that does not contain it; else an empty text."""
    if source.path:
        return "" if source.name in text else source.name
    if not source.named:
        return ""
    stem = stem_of(source.name)
    known = set(words(source.title))
    wanted = set(words(stem)) or known
    if _contains_name(text, wanted, said, common):
        return ""
    if not stem or known & set(words(stem)):
        return source.title
    return f"{source.title} ({stem})" if source.title else stem


def _contains_name(text: str, wanted: set[str], said: set[str], common: frozenset[str]) -> bool:
    """Return whether a claim names its subject: all of its words, or one that is written as a name."""
    if wanted <= said:
        return True
    capital: set[str] = set()
    for token in text.split():
        if token[:1] != token[:1].lower():
            capital.update(words(token))
    return bool(((wanted & said) - common) & capital)


def labelled(source: Source, claim: Claim, common: frozenset[str] = frozenset()) -> str:
    """Return a claim with its subject."""
    about = label(source, claim, common)
    return f"{about}: {claim.text}" if about else claim.text


def passage(source: Source, claim: Claim) -> Passage:
    """Return a claim with its words and those of its headings and its source's name."""
    name = source.name
    if not source.path:
        name = stem_of(source.name) if source.named else ""
    above = " ".join((*claim.where, source.title, name))
    return Passage(claim.text, (*words(claim.text), *words(above)), claim.prior)
