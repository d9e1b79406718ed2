"""Which steps a report cites: `[step-id]` behind a claim, told from everything else that Markdown puts in brackets."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from swarm.base.values import ID_PATTERN

BRACKET_CHARACTERS = 600
"""The longest bracket that can be citations: nine ids of 64 characters."""
ALIKE = 0.75
"""From this likeness (Ratcliff and Obershelp 1988) on, a word in brackets is a slip for the id of a step."""

MOST_BRACKETS = 10_000
"""Brackets looked at in one report; more is noise."""
MOST_LOOKED_UP = 20
"""Different words in brackets that are compared with the ids; a comparison with each id is slow."""

_BRACKET = re.compile(rf"\[([^\[\]\n]{{1,{BRACKET_CHARACTERS}}}+)\]")
_INLINE_CODE = re.compile(r"(?<!`)(`{1,4})(?!`)([^`\n]{1,2000}+)\1(?!`)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_BULLET = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s")
_CHECKBOX = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+$")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。！？]")
_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True)
class Citations:
    """Whom a report cites."""

    cited: tuple[str, ...]
    """Steps there are, in the order they are first cited."""
    unknown: tuple[str, ...]
    """What is cited like a step and is none, in that order."""


@dataclass(frozen=True)
class _Citation:
    start: int
    end: int
    steps: tuple[str, ...]
    unknown: tuple[str, ...]


def check_report(text: str, known: Collection[str]) -> Citations:
    """Find the steps a report cites, and what it cites that is no step.

    Links, images, footnotes, checkboxes and code are no citations. Nor is a word in brackets that neither is nor looks
    like the id of a step, such as `[sic]`.
    """
    known = frozenset(known)
    found = list(_citations(_bare(text, known), known))
    cited = dict.fromkeys(step for citation in found for step in citation.steps)
    unknown = dict.fromkeys(step for citation in found for step in citation.unknown)
    return Citations(tuple(cited), tuple(unknown))


def claims(text: str, known: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Name the steps behind each claim of a report: `c1`, `c2` … in the order of the text.

    A claim is the sentence, bullet or table row that its citations end.
    """
    known = frozenset(known)
    bare = _bare(text, known)
    grouped: list[list[str]] = []
    end = line = 0
    for citation in _citations(bare, known):
        if not citation.steps:
            continue
        if not grouped or _parted(bare[end : citation.start], bare[line : line + 40].lstrip()[:1]):
            grouped.append([])
        grouped[-1] += citation.steps
        line = max(line, bare.rfind("\n", end, citation.end) + 1)
        end = citation.end
    return {f"c{n}": tuple(dict.fromkeys(steps)) for n, steps in enumerate(grouped, 1)}


def _parted(between: str, begins: str) -> bool:
    """Whether one claim ends and another begins between two citations; the first is on a line that `begins` so."""
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
        tokens = [token for token in re.split(r"[,;\s]+", match[1].strip().lower()) if token not in ("", "and", "&")]
        steps = tuple(token for token in tokens if token in known)
        others = tuple(token for token in tokens if token not in known)
        spaced = len(tokens) > 1 and "," not in match[1] and ";" not in match[1]
        if spaced and others:
            continue
        unknown = tuple(token for token in others if _ID.match(token) and not token.isdigit())
        if not steps:
            unknown = tuple(token for token in unknown if _like_an_id(token, known, looked_up))
        if steps or (unknown and len(unknown) == len(others)):
            yield _Citation(match.start(), match.end(), steps, unknown)


def _is_markdown(text: str, match: re.Match[str]) -> bool:
    """Whether a bracket is a link, an image, a reference or a checkbox. Footnotes need no look: `^1` is no id."""
    inside, start, end = match[1], match.start(), match.end()
    if text[max(0, start - 1) : start] in ("!", "\\"):
        return True
    if text[end : end + 1] == "(" or (text[end : end + 1] == ":" and text[max(0, start - 1) : start] in ("", "\n")):
        return True
    before = text[max(0, start - 40) : start].rpartition("\n")[2]
    return inside in (" ", "x", "X") and _CHECKBOX.match(before) is not None


def _like_an_id(token: str, known: frozenset[str], looked_up: dict[str, bool]) -> bool:
    """Whether a word that is no known id was meant as one: it has the shape of one, or is nearly one."""
    if token.endswith("."):
        return False
    if any(c in "._-" or c.isdigit() for c in token):
        return True
    if token not in looked_up and len(looked_up) < MOST_LOOKED_UP:
        looked_up[token] = bool(get_close_matches(token, known, 1, ALIKE))
    return looked_up.get(token, False)


def _bare(text: str, known: frozenset[str]) -> str:
    """Blank code out, places kept. A citation that was put in backticks stays."""
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
            lines.append(_INLINE_CODE.sub(lambda code: _blanked(code, known), line) if "`" in line else line)
    return "\n".join(lines)


def _blanked(code: re.Match[str], known: frozenset[str]) -> str:
    inside = code[2]
    if inside[0] == "[" and inside[-1] == "]" and inside[1:-1].strip().lower() in known:
        return inside.center(len(code[0]))
    return " " * len(code[0])
