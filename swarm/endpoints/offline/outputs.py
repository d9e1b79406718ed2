"""The outputs of earlier steps as sentences, each with its file and the steps that it cites.

Answers and reports of this endpoint have a form of their own: a heading with a file name, then bullets. OutputTexts of
models are read as Markdown; their sentences are those of the step, or of the item that it was given.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple

from swarm.spec.chat import Data
from swarm.texts.claims import flat, sentences
from swarm.texts.lexicon import VAGUE
from swarm.texts.sentences import labelled, read
from swarm.texts.words import words

NOT_FOUND = "Not found"
"""Beginning of an answer without a sentence about the question."""
READING = "What was read"
"""Heading of what was read, cut and not read."""
DISAGREE = "Figures that disagree"
ANSWERS_DISAGREE = "Names and answers that disagree"
ROWS = "Answer of each source"
BY_SOURCE = "By source"
NOTES = ("Not read", "Cut", "No readable text", "missing:")
"""Beginnings of lines about what was not read."""
_CLEAR = 5  # minimum words of a sentence that needs no title
_LONG = 400  # maximum characters of a model's answer in a table; of a longer one, the first two sentences
_ID = r"[a-z0-9][a-z0-9_.-]{0,63}"
_HEAD = re.compile(r"^### `([^`]+)`(?:: (.*))?$")
_CITE = re.compile(rf"(?:\[([^\[\]\n]{{1,300}})\])?\[({_ID}(?:, ?{_ID})*)\]")
_CITED = re.compile(rf"(?:\s*{_CITE.pattern})+[.;]?$")
_ROW = re.compile(rf"^\| (.+?) \| (.+?) \[({_ID})\] \|$")
_ITEM = re.compile(rf"(?:^|; )({_ID}) = ", re.MULTILINE)
_BRACKETED = re.compile(r"\[([^\[\]]{0,300})\]")


class Cite(NamedTuple):
    """Where a sentence is from."""

    file: str
    """A file, else an item or a step."""
    step: str
    """Empty for an input that is read here."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of an output."""

    text: str
    cites: tuple[Cite, ...]
    title: str = ""
    """Title of its source."""

    @property
    def file(self) -> str:
        """Its first source."""
        return self.cites[0].file


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """The answer of one step about one source."""

    name: str
    answer: str
    """Empty if the source does not answer."""
    step: str


@dataclass(frozen=True)
class OutputTexts:
    """What the outputs of earlier steps say."""

    said: tuple[Said, ...] = ()
    rows: tuple[SourceAnswer, ...] = ()
    notes: tuple[str, ...] = ()
    """Lines about what was not read."""


def quoted(text: str) -> str:
    """Return a text on one line, with brackets replaced, so that none looks like a citation."""
    return _BRACKETED.sub(r"(\1)", flat(text))


def full(said: Said) -> str:
    """Return a sentence after the title of its source, if it is short or begins with a pronoun, and lacks its words."""
    own, title = words(said.text), words(said.title)
    is_clear = len(own) >= _CLEAR and said.text.split(" ")[0].casefold() not in VAGUE
    return said.text if not title or is_clear or set(own) & set(title) else f"{said.title}: {said.text}"


def items_of(about: Sequence[Data]) -> dict[str, str]:
    """Return the item of each step from the texts of a prompt about its steps: `read.1 = a.md; read.2 = b.md`."""
    found: dict[str, str] = {}
    for line in chain.from_iterable(data.text.splitlines() for data in about):
        named = _ITEM.split(line)[1:]
        found.update(zip(named[::2], named[1::2], strict=True))
    return found


def outputs(texts: Sequence[Data], items: Mapping[str, str]) -> OutputTexts:
    """Return what outputs say, in their order."""
    found: list[OutputTexts] = []
    for data in texts:
        marked = any(_HEAD.match(line) or _ROW.match(line) for line in data.text.splitlines())
        is_ours = marked or data.text.startswith(NOTES)
        found.append(_ours(data) if is_ours else _others(data, items.get(data.name, "")))
    return OutputTexts(
        tuple(chain.from_iterable(each.said for each in found)),
        tuple(dict.fromkeys(chain.from_iterable(each.rows for each in found))),
        tuple(dict.fromkeys(chain.from_iterable(each.notes for each in found))),
    )


def _others(data: Data, item: str) -> OutputTexts:
    """Return what an output of a model says, or one of a tool. With an item, its beginning is a row."""
    said: list[Said] = []
    claims = read("output.md", data.text).claims
    cited = sum(_CITED.search(claim.text) is not None for claim in claims)
    for claim in claims:
        text, cites = _uncited(labelled(claim), item)
        if cited <= max(1, len(claims) / 2):  # no report: a citation is a text like any other
            text, cites = labelled(claim), ()
        said.append(Said(quoted(text), cites or (Cite(item or data.name, data.name),)))
    whole = flat(data.text)
    answer = whole if len(whole) <= _LONG else " ".join(claim.text for claim in claims[:2])
    rows = (SourceAnswer(item, quoted(answer), data.name),) if item and claims else ()
    notes = () if claims else (f"No readable text: {item or data.name} [{data.name}]",)
    return OutputTexts(tuple(said), rows, notes)


def _uncited(text: str, file: str) -> tuple[str, tuple[Cite, ...]]:
    """Return a text without the citations at its end, and these. Those without a file are of `file`."""
    match = _CITED.search(text)
    if match is None:
        return text, ()
    cites: list[Cite] = []
    for named, steps in _CITE.findall(match[0]):
        cites += [Cite(named or file or step, step) for step in re.findall(_ID, steps)]
    return text[: match.start()], tuple(dict.fromkeys(cites))


def _ours(data: Data) -> OutputTexts:
    """Return what an answer or a report of this endpoint says."""
    page = _Ours(data.name, data.name)
    for line in data.text.splitlines():
        page.take(line)
    titles = {said.file: said.title for said in page.said if said.title}
    said = (replace(each, title=titles.get(each.file, "")) for each in page.said)
    return OutputTexts(tuple(said), tuple(page.rows), tuple(page.notes))


@dataclass
class _Ours:
    """The reader of an answer or a report of this endpoint, a line at a time."""

    step: str
    file: str
    title: str = ""
    section: str = ""
    is_first: bool = False
    """Whether the next bullet is the answer of its source."""
    said: list[Said] = field(default_factory=list[Said])
    rows: list[SourceAnswer] = field(default_factory=list[SourceAnswer])
    notes: list[str] = field(default_factory=list[str])

    def take(self, line: str) -> None:
        head, row, text = _HEAD.match(line), _ROW.match(line), line.strip().removeprefix("- ")
        if head:
            self.file, self.title, self.is_first = head[1], head[2] or "", not self.section
        elif line.startswith("## "):
            self.section, self.file, self.title = line[3:], self.step, ""
        elif row:
            self._row(*(cell.replace("\\|", "|") for cell in row.groups()))
        elif text.startswith(NOTES):
            self.notes.append(text if _CITED.search(text) else f"{text} [{self.step}]")
        elif text != line.strip() and not self.section.startswith(READING) and not text.endswith(":"):
            self._bullet(text)

    def _row(self, name: str, said: str, step: str) -> None:
        answer = "" if said == NOT_FOUND.lower() else said
        self.rows.append(SourceAnswer(name, answer, step))
        self.said += [Said(answer, (Cite(name, step),))] if answer else []

    def _bullet(self, line: str) -> None:
        text, cites = _uncited(line.replace("**", ""), self.file)
        said = Said(quoted(text), cites or (Cite(self.file, self.step),), self.title)
        is_found = not text.startswith(NOT_FOUND)
        if self.is_first:
            self.rows.append(SourceAnswer(self.file, full(said) if is_found else "", self.step))
        self.is_first = False
        self.said += [replace(said, text=sentence) for sentence in sentences(said.text)] if is_found else []
