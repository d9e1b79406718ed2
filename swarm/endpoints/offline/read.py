"""Reads a text as claims: sentences, bullets, rows of tables, each with the headings it stands under.

Markdown and plain prose are read here, by one scanner that takes a line at a time and never looks back; program
source, package metadata, JSON and CSV in `swarm.endpoints.offline.formats`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeVar

from swarm.endpoints.offline.rank import Passage, figures, words

LONGEST = 360
"""Most characters of one claim; longer text without a full stop is cut at spaces."""
MOST_LINES = 50_000
"""Most lines of one text that are looked at: 1 MB of the shortest lines anybody writes by hand."""
_NAME_LONGEST = 60  # a heading longer than this is not put in front of a claim
_WRAPPED = 50  # a line at least this long goes on in the next one; a shorter one is a line of its own

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
"""The end of a sentence, with the citations behind it."""
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|[a-z](?:\.[a-z])+|approx|ca|cf|Dr|ed|eds|etc|Fig|fig|incl|Inc|Jr|Ltd|max|min|Mr|Mrs|Ms|no|No|"
    r"pp|Prof|resp|St|v|vs|Vol|vol)\.$"
)
_GENERIC = re.compile(
    r"data|docs?|document|file|index|init|input|main|metadata|notes?|output|page|paper|pkg|info|readme|report|text|untitled"
)
"""Stems of file names that name nothing."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Something a source says."""

    text: str
    where: tuple[str, ...] = ()
    """Headings, lead-in lines and parent bullets it stands under, outermost first."""
    prior: float = 0.0
    """How likely it matters by where it stands, from 0 to 1."""
    listed: bool = False
    """Whether it is an entry of a list or a table."""
    always: bool = False
    """Whether an answer about its source always gives it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text that was read."""

    name: str
    """The file's name, or the id of the step."""
    title: str = ""
    claims: tuple[Claim, ...] = ()
    path: bool = False
    """Whether its full name is what its claims are told apart by: program source."""
    named: bool = True
    """Whether its name is the name of a thing; the id of a step is not."""


def flat(text: str) -> str:
    """Put a text on one line that can be encoded: no control characters, no lone surrogates, single spaces."""
    kept = "".join(c if c.isprintable() else " " for c in text) if not text.isprintable() else text
    return " ".join(kept.split())


def plain(text: str) -> str:
    """Take Markdown's marks off a line: images and links become their words, bold becomes plain."""
    if "](" in text:
        text = _LINK.sub(r"\1 (\2)", _IMAGE.sub(r"\1", text))
    if "**" in text:
        text = _STRONG.sub(r"\1", text)
    return flat(text)


def sentences(text: str) -> list[str]:
    """Split prose into sentences of at most `LONGEST` characters."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        following = text[match.end() : match.end() + 1]
        if following.islower() or _ABBREVIATION.search(text[max(start, match.start() - 12) : match.start() + 1]):
            continue
        found += cut(text[start : match.end()].strip())
        start = match.end()
    return found + cut(text[start:].strip())


def cut(text: str) -> list[str]:
    """Cut a text that is too long for one claim, at spaces where there are any."""
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
    """What the scanner knows in the middle of a text."""

    claims: list[Claim] = field(default_factory=list[Claim])
    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    levels: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Every heading seen, in order."""
    lead: str = ""
    bullets: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """The bullets that the line at hand is nested in: indentation and text."""
    lines: list[str] = field(default_factory=list[str])
    """The paragraph or bullet being read."""
    item: int = -1
    """Indentation of the bullet being read, or -1."""
    columns: list[str] | None = None
    """The head of the table being read."""
    fence: str = ""

    def read(self, text: str) -> None:
        seers = (self._code, self._blank, self._heading, self._underline, self._row, self._bullet)
        for line in sampled(text.splitlines(), MOST_LINES):
            line = line.lstrip().removeprefix("> ") if line.lstrip().startswith(">") else line
            if not any(see(line) for see in seers):
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
        title = plain(title)
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        self.headings.append((level, title))
        self.levels.append((level, title))
        self.lead = ""
        self.bullets.clear()

    def _flush(self) -> None:
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
    """Take at most so many items, evenly spaced, so that no part of a long text is passed over."""
    return items if len(items) <= most else [items[i * len(items) // most] for i in range(most)]


def logical(lines: Iterable[str]) -> list[str]:
    """Join lines that were wrapped: a long one, one that ends amid a sentence, one followed by a small letter."""
    found: list[list[str]] = []
    previous = ""
    for line in lines:
        amid = previous.endswith(",") or (". " in previous and previous[-1:] not in ".!?:;")
        wrapped = previous and (len(previous) >= _WRAPPED or line[:1].islower() or amid)
        if wrapped:
            found[-1].append(line)
        else:
            found.append([line])
        previous = line
    return [" ".join(parts) for parts in found]


def cells(line: str) -> list[str]:
    """Split a row of a Markdown table."""
    return [plain(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def row(columns: list[str], values: list[str]) -> str:
    """Write a row of a table in one line: each value after its column's head."""
    heads = [*columns, *[""] * max(0, len(values) - len(columns))]
    pairs = [f"{head}: {value}" if head else value for head, value in zip(heads, values, strict=False) if value]
    return flat("; ".join(pairs))


def entry(columns: list[str], values: list[str]) -> str:
    """Write a row that is about its first cell: that cell, then each other value after its column's head."""
    if not values or not any(c.isalpha() for c in values[0]) or figures(values[0]):
        return row(columns, values)
    heads = [*columns[1:], *[""] * max(0, len(values) - len(columns))]
    told = [f"{head} {value}".strip() for head, value in zip(heads, values[1:], strict=False) if value]
    return flat(f"{values[0]}: {'; '.join(told)}" if told else values[0])


def read_prose(name: str, text: str, titled: bool = True) -> Source:
    """Read Markdown or plain text; `titled` where its only topmost heading is the title of all of it."""
    page = _Page()
    page.read(text)
    title = ""
    if titled and page.levels:
        top = min(level for level, _ in page.levels)
        tops = [heading for level, heading in page.levels if level == top]
        title = tops[0] if len(tops) == 1 else ""
    claims = [replace(c, where=c.where[1:]) if title and c.where[:1] == (title,) else c for c in page.claims]
    if claims:  # what comes first says most often what a text is about
        claims[0] = replace(claims[0], prior=max(claims[0].prior, 0.0) + 0.6)
    return Source(name, title, tuple(claims))


def stem_of(name: str) -> str:
    """Give a file's name without folder and ending, `tantivy` of `notes/tantivy.md`; empty if it names nothing."""
    stem = PurePosixPath(name).name.split(".")[0].strip("_")
    letters = [part for part in re.split(r"[\W\d_]+", stem) if len(part) > 2]
    return stem if any(not _GENERIC.fullmatch(part.casefold()) for part in letters) else ""


def label(source: Source, claim: Claim, common: frozenset[str] = frozenset()) -> str:
    """Say what a claim is about where it does not say so itself; empty where it does.

    `common` are words that name a matter and no thing, such as the question's own in lower case.
    """
    said = set(words(claim.text))
    parts: list[str] = []
    if source.path:
        parts += [] if source.name in claim.text else [source.name]
    elif source.named:
        stem = stem_of(source.name)
        known = set(words(source.title))
        wanted = set(words(stem)) or known
        if not _names(claim.text, wanted, said, common):
            related = not stem or known & set(words(stem))
            parts.append(source.title if related else f"{source.title} ({stem})" if source.title else stem)
    for heading in claim.where:
        terms = set(words(heading))
        if len(heading) <= _NAME_LONGEST and terms and not terms & said:
            parts.append(heading.strip("`"))
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _names(text: str, wanted: set[str], said: set[str], common: frozenset[str]) -> bool:
    """Whether a claim names its subject: all of its words, or one that is written as a name."""
    if wanted <= said:
        return True
    shared = (wanted & said) - common
    capital = {term for token in text.split() if token[:1] != token[:1].lower() for term in words(token)}
    return bool(shared & capital)


def labelled(source: Source, claim: Claim, common: frozenset[str] = frozenset()) -> str:
    """Write a claim so that it can stand alone."""
    about = label(source, claim, common)
    return f"{about}: {claim.text}" if about else claim.text


def passage(source: Source, claim: Claim) -> Passage:
    """Give a claim the words it is found by: its own, those it stands under, and its source's name."""
    name = source.name if source.path else stem_of(source.name) if source.named else ""
    above = " ".join((*claim.where, source.title, name))
    return Passage(claim.text, (*words(claim.text), *words(above)), claim.prior)
