"""The steps that a report cites: `[step-id]` after a claim, and no other brackets of Markdown."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import chain, islice

from swarm.base.values import ID_PATTERN

BRACKET_CHARACTERS = 600
"""Maximum characters of a bracket with citations: nine ids of 64 characters."""
ALIKE = 0.75
"""Minimum similarity (Ratcliff and Obershelp 1988) at which a word in brackets is a misspelt step
id."""
MOST_BRACKETS = 10_000
"""Maximum number of brackets that are read in one report: more is noise."""
MOST_LOOKED_UP = 20
"""Maximum number of different words that are compared with all ids: each comparison is slow."""

_BRACKET = re.compile(rf"\[([^\[\]\n]{{1,{BRACKET_CHARACTERS}}}+)\]")
_CITE = re.compile(r"\\cite[tp]?\{([^{}\n]{1,600}+)\}|<cite>([^<>\n]{1,600}+)</cite>")
"""Citations of LaTeX and HTML."""
_INLINE_CODE = re.compile(r"(?<!`)(`{1,4})(?!`)([^`\n]{1,2000}+)\1(?!`)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_BULLET = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s")
_CHECKBOX = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+$")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。！？]")
_ID = re.compile(ID_PATTERN)
_SEPARATOR = re.compile("[,;+|/·]")
_FILLERS = frozenset(
    re.split(
        r"\|",
        "|and|&|和|と|及|und|et|y|e|и|+|·|–|step|steps|step-id|id|schritt|paso|étape|etape"
        "|шаг|步骤|ステップ|source|sources|src|quelle|quellen|fuente|fuentes|fonte|источник"
        "|来源|出典|출처|ref|refs|reference|references|参考|参照|see|siehe|voir|ver|cf|cf."
        "|cite|cites|citation|from|output|of|result|task|node|agent|worker|p|p.|pp|pp.|line"
        "|lines|l|section",
    )
)
"""Words in a bracket that are no ids."""
_LOCATOR = re.compile(r"[l§]?\d{1,6}(?:[-–]l?\d{1,6})?")
"""A line or a page after an id."""
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("【［〔〖⟦⟨", "["),
        **dict.fromkeys("】］〕〗⟧⟩", "]"),
        **dict.fromkeys("，、", ","),
        "；": ";",
        "：": ":",
    }
)
"""Brackets and separators of other scripts, and ours: one character each, so that positions stay."""


@dataclass(frozen=True)
class Citations:
    """The steps that a report cites."""

    cited: tuple[str, ...]
    """Existing steps, in the order of their first citation."""
    unknown: tuple[str, ...]
    """Cited ids that are not a step, in the same order."""


@dataclass(frozen=True)
class CitedSpan:
    """The citations of one claim."""

    start: int
    """Offset of the first bracket in the text."""
    end: int
    """Offset after the last bracket."""
    steps: tuple[str, ...]
    """The cited steps, each once."""

    def joined(self, later: "CitedSpan") -> "CitedSpan":
        """Return the citations of a claim with more of them."""
        return CitedSpan(self.start, later.end, tuple(dict.fromkeys((*self.steps, *later.steps))))


@dataclass(frozen=True)
class _Citation:
    start: int
    end: int
    steps: tuple[str, ...]
    unknown: tuple[str, ...]


def check_report(text: str, known: Collection[str]) -> Citations:
    """Return the steps that a report cites, and the ids it cites that are not a step.

    Links, images, footnotes, checkboxes and code are not citations. Neither is a word in brackets
    that is not similar to the id of a step, such as `[sic]`.
    """
    known = frozenset(known)
    cited: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for citation in _citations(_bare(text, known), known):
        cited.update(dict.fromkeys(citation.steps))
        unknown.update(dict.fromkeys(citation.unknown))
    return Citations(tuple(cited), tuple(unknown))


def claims(text: str, known: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the steps cited for each claim of a report: `c1`, `c2` … in the order of the text.

    A claim is a sentence, bullet or table row with citations at its end.
    """
    return {f"c{n}": span.steps for n, span in enumerate(cited_spans(text, known), 1)}


def cited_spans(text: str, known: Collection[str]) -> list[CitedSpan]:
    """Return the citations of each claim of a report, with their place, in the order of the text."""
    known = frozenset(known)
    bare = _bare(text, known)
    found: list[CitedSpan] = []
    end = line = 0
    for citation in _citations(bare, known):
        if not citation.steps:
            continue
        span = CitedSpan(citation.start, citation.end, tuple(dict.fromkeys(citation.steps)))
        if found and not _parted(bare[end : citation.start], bare[line : line + 40].lstrip()[:1]):
            span = found.pop().joined(span)
        found.append(span)
        line = max(line, bare.rfind("\n", end, citation.end) + 1)
        end = citation.end
    return found


def _parted(between: str, begins: str) -> bool:
    """Whether a claim ends between two citations. `begins` is the first character of the first's line."""
    lines = between.split("\n")
    if len(lines) > 1 and (begins == "#" or not between.strip()):
        return True
    if any(not line.strip() for line in lines[1:-1]) or any(_begins(line) for line in lines[1:]):
        return True
    return not (begins == "|" and len(lines) == 1) and _SENTENCE_END.search(between) is not None


def _begins(line: str) -> bool:
    return bool(_BULLET.match(line)) or line.lstrip().startswith(("|", "#", ">"))


def _citations(text: str, known: frozenset[str]) -> Iterator[_Citation]:
    looked_up: dict[str, bool] = {}
    for match in islice(_BRACKET.finditer(text), MOST_BRACKETS):
        if _is_markdown(text, match):
            continue
        citation = _citation(match, known, looked_up)
        if citation is not None and (citation.steps or not _is_text(match, known)):
            yield citation


def _citation(match: re.Match[str], known: frozenset[str], looked_up: dict[str, bool]) -> _Citation | None:
    """Return the steps in a bracket, or None if it is not a citation."""
    tokens = _tokens(match[1], known)
    steps = tuple(token for token in tokens if token in known)
    others = [token for token in tokens if token not in known]
    if others and len(tokens) > 1 and not _SEPARATOR.search(match[1]):
        return None  # words of a sentence
    unknown = tuple(token for token in others if _is_id(token, known, looked_up, strict=not steps))
    is_citation = bool(steps) or 0 < len(unknown) == len(others)
    return _Citation(match.start(), match.end(), steps, unknown) if is_citation else None


def _is_text(match: re.Match[str], known: frozenset[str]) -> bool:
    """Whether a bracket is the text of a citation: `[a.md][read.1]`."""
    after = _BRACKET.match(match.string, match.end())
    return after is not None and not known.isdisjoint(_tokens(after[1], known))


def _tokens(inside: str, known: frozenset[str]) -> list[str]:
    """Return the words of a bracket; without the words of other styles of citation if only known ids are left."""
    words = re.split(r"[,;\s]+", inside.strip().lower())
    bare = list(chain.from_iterable(_parts(word, known) for word in words))
    ids = [word for word in bare if word in known or not _is_filler(word)]
    if ids and known.issuperset(ids):
        return ids
    return [word for word in words if word not in ("", "and", "&")]


def _is_filler(word: str) -> bool:
    return word in _FILLERS or _LOCATOR.fullmatch(word) is not None


def _parts(word: str, known: frozenset[str]) -> list[str]:
    """Return the parts of a word in a bracket, without marks: `ref:a`, `"a"`, `a/b`, `a†L3`."""
    plain = word.partition("†")[0].strip("^@#\"'“”‘’`*()\\")
    if plain in known:
        return [plain]
    return [part.strip("\"'“”") for part in re.split(r"[:+|/·]", plain)]


def _is_id(token: str, known: frozenset[str], looked_up: dict[str, bool], *, strict: bool) -> bool:
    """Whether an unknown word counts as an id. If not `strict`, its form is enough."""
    if not _ID.match(token) or token.isdigit():
        return False
    return not strict or _is_like_an_id(token, known, looked_up)


def _is_markdown(text: str, match: re.Match[str]) -> bool:
    """Whether a bracket is a link, image, reference or checkbox. A footnote `^1` is not an id."""
    inside, start, end = match[1], match.start(), match.end()
    previous, following = text[max(0, start - 1) : start], text[end : end + 1]
    if previous == "!" or (previous == "\\" and inside[-1:] != "\\"):
        return True
    if following == "(" and text[end + 1 : end + 2] != "#":
        return True
    if following == ":" and previous in ("", "\n"):
        return True
    before = text[max(0, start - 40) : start].rpartition("\n")[2]
    return inside in (" ", "x", "X") and _CHECKBOX.match(before) is not None


def _is_like_an_id(token: str, known: frozenset[str], looked_up: dict[str, bool]) -> bool:
    """Whether an unknown word was meant as an id: by its form, or by its similarity to a known id."""
    if token.endswith("."):
        return False
    if any(c in "._-" or c.isdigit() for c in token):
        return True
    if token not in looked_up and len(looked_up) < MOST_LOOKED_UP:
        looked_up[token] = bool(get_close_matches(token, known, 1, ALIKE))
    return looked_up.get(token, False)


def _bare(text: str, known: frozenset[str]) -> str:
    """Return the text with code replaced by spaces: positions stay. Citations in backticks stay too."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            lines.append(" " * len(line))
            if mark and mark[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        elif mark:
            fence = mark[1]
            lines.append(" " * len(line))
        else:
            lines.append(_INLINE_CODE.sub(partial(_blanked, known=known), line) if "`" in line else line)
    return _CITE.sub(_bracketed, "\n".join(lines)).translate(_PLAIN)


def _bracketed(cite: re.Match[str]) -> str:
    """Return a citation in brackets, of the same length: positions stay."""
    inside = cite[1] or cite[2]
    before = cite[0].index(inside) - 1
    return " " * before + f"[{inside}]" + " " * (len(cite[0]) - before - len(inside) - 2)


def _blanked(code: re.Match[str], known: frozenset[str]) -> str:
    inside = code[2]
    around = code.string[max(0, code.start() - 1) : code.end() + 1]
    if around[0] == "[" and around[-1] == "]" and inside.strip().lower() in known:
        return inside.center(len(code[0]))
    if inside[0] == "[" and inside[-1] == "]" and inside[1:-1].strip().lower() in known:
        return inside.center(len(code[0]))
    return " " * len(code[0])
