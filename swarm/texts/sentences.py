"""The sentences of a text: prose, bullets, rows of tables, records of JSON, comments of code. Markup is removed.

Markdown is read with markdown-it. Its inline marks are removed only where there are some, because most lines have none.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from html import unescape
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from swarm.base.places import MARK
from swarm.texts.claims import MOST_CLAIMS, Claim, cut, flat, sampled, sentences
from swarm.texts.records import LONGEST_NAME, entry, is_name, records, settings, table
from swarm.texts.words import words

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MOST_LINES = 50_000
"""Maximum lines of one text that are read: 1 MB of short lines."""
_WRAPPED = 50  # minimum characters of a line that continues in the next one
_INLINE = 4_000  # maximum characters of a paragraph whose inline marks are parsed
_LARGEST_CODE = 300_000  # characters of Python that are parsed: parsing takes 100 times their memory
_LINES = (".log", ".js", ".ts", ".go", ".rs", ".c", ".h", ".cpp", ".java", ".rb", ".sh", ".sql")
"""Endings of texts that are read line by line."""
_SETTINGS = (".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties")
"""Endings of texts that are read line by line, each below its section."""
_COMMENT = re.compile(r"^\s*(?:#+|//+|/?\*+/?|--+|;+|\"{3}|'{3})\s*")
_TAG = re.compile(r"<(?:script|style)\b.{0,20000}?</(?:script|style)>|<[a-zA-Z/!][^<>]{0,500}>", re.DOTALL)
_FIELD = re.compile(r"[A-Z][\w-]{1,40}: \S")  # a line of its own, as in the headers of a letter


@dataclass(frozen=True, slots=True)
class Source:
    """A text as claims."""

    name: str
    """Name of the file, or id of the step."""
    title: str = ""
    claims: tuple[Claim, ...] = ()
    is_cut: bool = False
    """True if only a sample of its lines was read."""


def read(name: str, text: str) -> Source:
    """Return the claims of a text. The reader depends on the ending of its name, or on its first character."""
    lines = MARK.sub("", text).splitlines()
    kept = sampled(lines, MOST_LINES)
    claims = [claim for claim in _claims(name, text, kept) if any(c.isalnum() for c in claim.text)]
    title = _title(claims)
    if title:
        claims = [replace(c, where=c.where[1:]) for c in claims]
    is_cut = len(lines) > MOST_LINES or len(claims) > MOST_CLAIMS
    return Source(name, title, tuple(sampled(claims, MOST_CLAIMS)), is_cut)


def _claims(name: str, text: str, lines: Sequence[str]) -> list[Claim]:
    ending = PurePosixPath(name).suffix.lower()
    found: list[Claim] | None = None
    if ending in (".csv", ".tsv"):
        found = table(lines, "\t" if ending == ".tsv" else ",")
    elif ending == ".py":
        found = _python(text)
    elif text.lstrip()[:1] in ("{", "["):
        found = records(text)
    if found is None:
        found = _other(ending, lines)
    return found


def _other(ending: str, lines: Sequence[str]) -> list[Claim]:
    if ending in _SETTINGS:
        return settings(lines)
    return _lines(lines) if ending in (*_LINES, ".py") else _markdown("\n".join(lines))


def _title(claims: Sequence[Claim]) -> str:
    """Return the heading above all claims, if there is one."""
    tops = {claim.where[:1] for claim in claims}
    top = next(iter(tops)) if len(tops) == 1 else ()
    return top[0] if top and len(top[0]) <= 2 * LONGEST_NAME else ""


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")


def plain(text: str) -> str:
    """Return a paragraph of Markdown on one line, without marks, tags and addresses of links."""
    if len(text) <= _INLINE and any(c in text for c in "*`[<&\\"):
        parts: list[str] = []
        text = text.replace("_", "\\_")  # in names such as `__init__`
        for token in _inline().parseInline(text)[0].children or ():
            text = "" if token.type == "html_inline" else token.content
            parts.append("\n" if token.type in ("softbreak", "hardbreak") else text)
        text = "".join(parts).replace("\\_", "_")
    return text


@cache
def _inline() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


@dataclass
class _Markdown:
    """The claims of Markdown, made from the tokens of its blocks."""

    claims: list[Claim] = field(default_factory=list[Claim])
    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    parents: list[str] = field(default_factory=list[str])
    """For each open list, the short line that introduces its entries."""
    lead: str = ""
    """The last line if it introduces what follows."""
    row: list[str] = field(default_factory=list[str])
    columns: list[str] = field(default_factory=list[str])

    def take(self, tokens: Sequence["Token"]) -> list[Claim]:
        for before, token in zip([None, *tokens], tokens, strict=False):
            if token.type == "inline" and before is not None:
                self._inline(before, plain(token.content))
            elif token.type in ("fence", "code_block", "html_block"):
                text = token.content if token.type != "html_block" else unescape(_TAG.sub(" ", token.content))
                self._say((flat(line) for line in text.splitlines()), listed=False)
            elif token.type.endswith("_list_open"):
                self.parents.append(self.lead)
                self.lead = ""
            elif token.type.endswith("_list_close"):
                self.parents.pop()
                self.lead = ""
            else:
                self._table(token.type)
        return self.claims or [Claim(title) for _, title in self.headings]

    def _table(self, kind: str) -> None:
        if kind == "table_open":
            self.columns = []
        elif kind == "tr_close" and self.row:
            self._say(cut(entry(self.columns, self.row)), listed=True)
            self.row = []

    def _inline(self, before: "Token", text: str) -> None:
        if before.type == "heading_open":
            level = int(before.tag[1])
            self.headings = [(n, title) for n, title in self.headings if n < level]
            self.headings.append((level, flat(text)))
            self.lead = ""
        elif before.type in ("th_open", "td_open"):
            (self.columns if before.type == "th_open" else self.row).append(flat(text))
        else:
            self._paragraph(text)

    def _paragraph(self, text: str) -> None:
        self.lead = ""
        said: list[str] = []
        for line in logical(text.split("\n")):
            said += sentences(flat(line))
        last = said[-1] if said else ""
        is_first = not (self.claims or self.headings or self.parents)
        if is_first and len(said) == 1 and _is_title(last):
            self.headings.append((7, last))
            return
        if last.endswith((":", "：")):
            self.lead = said.pop().rstrip(":：")
        elif self.parents and len(said) == 1 and is_name(last):
            self.lead = last
        self._say(said, listed=bool(self.parents))

    def _say(self, said: Iterable[str], *, listed: bool) -> None:
        where = tuple(name for name in (*(title for _, title in self.headings), *self.parents) if name)
        self.claims += [Claim(text, where, listed) for text in said]


def _markdown(text: str) -> list[Claim]:
    return _Markdown().take(_parser().parse(text))


def _is_title(line: str) -> bool:
    return is_name(line) and line[-1] not in ".!?:;,。！？" and len(line.split()) <= 8


def logical(lines: Iterable[str]) -> list[str]:
    """Return lines with wrapped ones joined: those that are long, end in a sentence, or precede a lower-case letter."""
    found: list[list[str]] = []
    before = ""
    for line in (each.strip() for each in lines):
        is_inside = before.endswith(",") or (". " in before and before[-1:] not in ".!?:;")
        if before and not _FIELD.match(line) and (len(before) >= _WRAPPED or line[:1].islower() or is_inside):
            found[-1].append(line)
        else:
            found.append([line])
        before = line
    return [" ".join(parts) for parts in found]


def _lines(lines: Sequence[str]) -> list[Claim]:
    """Return the lines of code or of a log, without the marks of comments."""
    found: list[Claim] = []
    for line in lines:
        found += [Claim(piece) for piece in cut(flat(_COMMENT.sub("", line)))]
    return found


def _python(text: str) -> list[Claim] | None:
    """Return the docstring of Python source, and a line for each public definition; None if it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the source: invalid escapes, for example
            module = ast.parse(text[:_LARGEST_CODE])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = _markdown(ast.get_docstring(module) or "")
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            doc = sentences(flat(ast.get_docstring(node) or ""))[:1]
            head = f"{'class' if isinstance(node, ast.ClassDef) else 'def'} {node.name}"
            found += [Claim(": ".join((head, *doc)))]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found += [Claim(piece) for piece in cut(flat(ast.unparse(node)))]
    return found


def labelled(claim: Claim) -> str:
    """Return a claim after those of its headings of which it says no word, as in `Memory: It needs 40 MB`."""
    said = set(words(claim.text))
    names = [name for name in claim.where if len(name) <= LONGEST_NAME and words(name) and not said & set(words(name))]
    return f"{', '.join(dict.fromkeys(names))}: {claim.text}" if names else claim.text
