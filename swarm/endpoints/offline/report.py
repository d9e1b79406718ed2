"""Answers and reports: sentences of the sources in a fixed layout. No sentence is generated.

A report says first what answers the goal, then which figures disagree, then what was read, cut and not read, then the
answer of each source, then more of each source. A citation is a link in Markdown: the name of a file, and the step.
Only sentences that are equal are one.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, chain, islice
from typing import Literal

from swarm.endpoints.offline.outputs import (
    ANSWERS_DISAGREE,
    BY_SOURCE,
    DISAGREE,
    NOT_FOUND,
    READING,
    ROWS,
    Cite,
    OutputTexts,
    Said,
    SourceAnswer,
    full,
    quoted,
)
from swarm.spec.chat import estimate_tokens
from swarm.texts.claims import flat
from swarm.texts.conflicts import Disagreement, conflicts
from swarm.texts.quantities import quantities
from swarm.texts.ranking import about, claims_of, passages_of, scores_of, subject_of, totals
from swarm.texts.sentences import Source, labelled
from swarm.texts.uses import Utterance
from swarm.texts.values import NAMED, YES, has_value
from swarm.texts.words import FLOOR, Facet, Passage, facets

NOTHING = (
    "The offline endpoint is not a language model. It returns sentences of its inputs, and it has no"
    " inputs. Add `inputs:` to the task, or set a model with `--endpoint URL` or `models:`."
)
HOW = (
    "*Built by the offline endpoint from sentences of the sources, ranked by relevance to the goal."
    " No language model was used.*"
)
NOT_READ = "Not read, because the offline endpoint reads only text:"
EMPTY = "No readable text:"
CUT = "Cut, only a part was read:"
NOT_SHOWN = "Cut, left out because of the length limit:"
NOTHING_FOUND = f"{NOT_FOUND}: no sentence of the sources is about the question."
EACH_ANSWERS = "Each source has an answer of its own: see the table of {count:,} below."
NOTHING_HERE = f"{NOT_FOUND}: no sentence of this source is about the question."

TEXT_TOKENS = 3_000
"""Maximum tokens of a worker's answer, as estimated: about four pages."""
HEADLINE = 5
"""Maximum sentences that answer the goal."""
PER_SOURCE = 3
"""Maximum sentences of a source in the last part of a report."""
MOST_SOURCES = 60
"""Maximum sources in the last part of a report. All are in the table above it."""
_LINES = ((6, 12), (4, 4), (2, 1), (1, 0))
"""Sentences about the question, and others with figures, that an answer has of each source: the first that fits."""
BAR = "\\|"
_NEAR = 0.25  # minimum relevance of a sentence without a figure in the last part of a report
_TITLE = 160  # maximum characters of a goal in the title of a report
_PER_FILE = 2  # maximum sentences of one source among those that answer the goal


@dataclass(frozen=True, slots=True)
class Material:
    """What an answer is made from."""

    goal: str
    facets: tuple[Facet, ...]
    asked: str = ""
    """The words of the questions, for values."""
    sources: tuple[Source, ...] = ()
    outputs: OutputTexts = field(default_factory=OutputTexts)
    unread: tuple[str, ...] = ()
    """Names of images, audio and videos."""
    notes: tuple[str, ...] = ()
    """Lines about what is missing or was cut."""
    most: int | None = None
    """Maximum output of the request in tokens."""
    part: Literal["section", "summary", ""] = ""
    """The part of a report that the request is for; empty for all of it."""


def code(name: str) -> str:
    """Return a name between backquotes."""
    return f"`{flat(name).replace('`', chr(39))}`"


def block(head: str, lines: Iterable[str]) -> str:
    """Return a heading with the lines below it."""
    return "\n".join([head, "", *lines])


def answer(given: Material) -> str:
    """Return a worker's answer: for each source, the sentences about the question, then others with figures."""
    tail = [*given.notes, *(line for line in _not_read(given) if not line.startswith(EMPTY))]
    budget = min(TEXT_TOKENS, given.most or TEXT_TOKENS) - sum(estimate_tokens(line) + 1 for line in tail)
    ranked = _ranked(given)
    blocks: list[str] = []
    fit = 0
    for near, others in _LINES:
        blocks = [_source(source, *lines, near, others) for source, lines in zip(given.sources, ranked, strict=True)]
        sizes = accumulate(estimate_tokens(text) + 1 for text in blocks)
        fit = sum(size <= budget for size in sizes)
        if fit == len(blocks):
            break
    kept = max(1, fit)  # at least one source is shown
    tail = [*_listed(NOT_SHOWN, (code(source.name) for source in given.sources[kept:])), *tail]
    return "\n\n".join([*blocks[:kept], *tail]) or NOTHING


def _ranked(given: Material) -> list[tuple[list[str], list[str]]]:
    """Return for each source the claims about the question, the best first, and others with figures, in their order.

    If none is about the question of the step, those about the goal are taken.
    """
    every = passages_of(given.sources)
    scores = scores_of(given.facets, every)
    if not about(scores) and given.goal:
        scores = scores_of(facets(given.goal), every)
    found: list[tuple[list[str], list[str]]] = []
    start = 0
    for source in given.sources:
        end = start + len(source.claims)
        near = about([own[start:end] for own in scores])
        found.append((_told(source, near[: _LINES[0][0]]), _told(source, _others(source, set(near)))))
        start = end
    return found


def _others(source: Source, near: set[int]) -> list[int]:
    """Return other claims that may be compared: the first with a value, else the first ones."""
    left = [n for n in range(len(source.claims)) if n not in near]
    valued = (n for n in left if has_value(source.claims[n].text))
    return list(islice(dict.fromkeys(chain(islice(valued, _LINES[0][1]), left)), _LINES[0][1]))


def _told(source: Source, numbers: Iterable[int]) -> list[str]:
    return [quoted(labelled(source.claims[n])) for n in numbers]


def _source(source: Source, near: Sequence[str], others: Sequence[str], most: int, figures: int) -> str:
    """Return what an answer says of a source. Its first bullet is the answer."""
    if not source.claims:
        return _below(source.name, source.title, [f"{EMPTY} {code(source.name)}"])
    lines = [*(near[:most] or [NOTHING_HERE]), *others[:figures]]
    return _below(source.name, source.title, [f"- {line}" for line in lines])


def _below(name: str, title: str, lines: Iterable[str]) -> str:
    return block(f"### {code(name)}" + (f": {quoted(title)}" if title else ""), lines)


# Reports


def report(given: Material) -> str:
    """Return a report in Markdown: sentences of outputs with citations, or of sources with the names of their files."""
    claims = claims_of(given.sources)
    own = (Said(quoted(labelled(claim)), (Cite(source.name, ""),), source.title) for source, claim in claims)
    page = _ReportParts(given, tuple(_once(given.outputs.said or own)), tuple(_rows(given)))
    first, last = (page.head, page.disagreements, page.reading), (page.table, page.by_source)
    parts = {"section": (page.reading, *last), "summary": first}
    if not page.said and not page.rows and not page.reading():
        return NOTHING
    blocks = [part() for part in parts.get(given.part, (*first, *last))]
    return "\n\n".join(filter(None, blocks if given.part == "section" else [*blocks, HOW]))


@dataclass(frozen=True)
class _ReportParts:
    """The parts of a report, each empty if there is nothing to say."""

    given: Material
    said: tuple[Said, ...]
    rows: tuple[SourceAnswer, ...]

    @cached_property
    def scores(self) -> list[list[float]]:
        """For each question, the relevance of each sentence."""
        firsts = {each.file: n for n, each in reversed(list(enumerate(self.said)))}
        passages = [
            Passage(each.text, f"{each.title} {subject_of(each.file)}", lead=firsts[each.file] == n)
            for n, each in enumerate(self.said)
        ]
        return scores_of(self.given.facets, passages)

    @cached_property
    def total(self) -> list[float]:
        """The relevance of each sentence to the question that it answers best."""
        return totals(self.scores)

    def head(self) -> str:
        """Return the title, and the sentences that answer the goal."""
        goal = quoted(self.given.goal)
        goal = goal if len(goal) <= _TITLE else goal[:_TITLE].rsplit(" ", 1)[0] + " …"
        title = f"# {goal}\n\n" if goal else ""
        lines = [f"- {_line(self.said[n])}" for n in self._headline()]
        return title + ("\n".join(lines) or self._instead())

    def _instead(self) -> str:
        """Return what is said if no sentence stands out: where the answers are, or that none is."""
        is_told = len(self.rows) > 1 and any(row.answer for row in self.rows)
        return EACH_ANSWERS.format(count=len(self.rows)) if is_told else NOTHING_FOUND

    def _headline(self) -> list[int]:
        """Return the sentences that answer the goal: the best of each question in turn, at most two of a source."""
        chosen: list[int] = []
        files: Counter[str] = Counter()
        for n in about(self.scores):
            file = self.said[n].file
            if len(chosen) < HEADLINE and files[file] < _PER_FILE:
                chosen.append(n)
                files[file] += 1
        return chosen

    def disagreements(self) -> str:
        """Return what disagrees, figures first: the thing, its values, and who says so."""
        categories = frozenset(chain.from_iterable(facet.categories for facet in self.given.facets))
        found = conflicts([Utterance(each.text, each.title, each.file) for each in self.said], categories)
        lines: dict[str, list[str]] = {DISAGREE: [], ANSWERS_DISAGREE: []}
        for disagreement in found:
            is_figure = disagreement.sides[0].quantity.kind not in (NAMED, YES)
            lines[DISAGREE if is_figure else ANSWERS_DISAGREE] += self._sides(disagreement)
        return "\n\n".join(block(f"## {head}", told) for head, told in lines.items() if told)

    def _sides(self, disagreement: Disagreement) -> list[str]:
        values = dict.fromkeys(side.quantity.named for side in disagreement.sides)
        lines = [f"- {disagreement.about or 'Figures'}: {' or '.join(values)}:"]
        for side in disagreement.sides:
            each, figure = self.said[side.number], side.quantity.text
            text = each.text.replace(figure, f"**{figure}**", 1) if figure else each.text
            lines.append(f"  - {_line(replace(each, text=text))}")
        return lines

    def reading(self) -> str:
        """Return what was read, what has nothing about the question, and what was cut or not read."""
        cites = {row.name: Cite(row.name, row.step) for row in self.rows}
        answering = {row.name for row in self.rows if row.answer}
        for each, value in zip(self.said, self.total, strict=True):
            for cite in each.cites:
                cites.setdefault(cite.file, cite)
                answering |= {cite.file} if value >= FLOOR else set()
        silent = [cite for file, cite in cites.items() if file not in answering]
        given = self.given
        lines = _listed("Nothing about the question:", [_marks(silent)])
        lines += [*_not_read(given), *map(flat, (*given.outputs.notes, *given.notes))]
        if not cites and not lines:
            return ""
        # The heading has the figures, because a heading claims nothing to be cited.
        head = f"## {READING}: {len(cites):,} source{'s' * (len(cites) != 1)}"
        head += f", {len(silent):,} with nothing about the question" * bool(silent)
        return block(head, [f"- {line}" for line in lines]).strip()

    def table(self) -> str:
        """Return a row for each source, however many there are."""
        lines = ["| source | answer |", "|---|---|"]
        for row in self.rows:
            said = f"{row.answer or NOT_FOUND.lower()} {f'[{row.step}]' * bool(row.step)}"
            lines.append(f"| {quoted(row.name).replace('|', BAR)} | {said.strip().replace('|', BAR)} |")
        return block(f"## {ROWS}", lines) if len(self.rows) > 1 else ""

    def by_source(self) -> str:
        """Return a heading for each source with its best sentences that are not in the table."""
        best: dict[str, list[int]] = {}
        for n in self._others():
            own = best.setdefault(self.said[n].file, [])
            own += [n] if len(own) < PER_SOURCE else []
        # They are in the order of relevance, because the best sentence of each is.
        kept = sorted(list(best)[:MOST_SOURCES], key=lambda file: min(best[file]))
        most = f": {len(kept)} of {len(best):,}" if len(best) > len(kept) else ""
        sections = [self._section(file, best[file]) for file in kept]
        return "\n\n".join([f"## {BY_SOURCE}{most}", *sections]) if best else ""

    def _others(self) -> list[int]:
        """Return the sentences that are not in the table, the best first: those near the question or with a measure."""
        shown = {row.answer for row in self.rows} if len(self.rows) > 1 else set[str]()
        left = [n for n, each in enumerate(self.said) if shown.isdisjoint((each.text, full(each)))]
        left = [n for n in left if self.total[n] >= _NEAR or _has_measure(self.said[n].text)]
        return sorted(left, key=lambda n: (-self.total[n], n))

    def _section(self, file: str, numbers: Sequence[int]) -> str:
        lines: list[str] = []
        for n in sorted(numbers):
            steps = dict.fromkeys(Cite(step, step) for _, step in self.said[n].cites)
            lines.append(f"- {self.said[n].text} {_marks(steps)}".rstrip())
        return _below(file, self.said[min(numbers)].title, lines)


def _once(said: Iterable[Said]) -> list[Said]:
    """Return sentences with equal ones merged. Only spaces, apostrophes and a full stop may differ."""
    kept: dict[str, Said] = {}
    for each in said:
        key = unicodedata.normalize("NFC", full(each)).replace("’", "'").rstrip(".。 ")
        old = kept.get(key)
        kept[key] = each if old is None else replace(old, cites=tuple(dict.fromkeys((*old.cites, *each.cites))))
    return list(kept.values())


def _line(said: Said) -> str:
    return f"{full(said)} {_marks(said.cites)}"


def _marks(cites: Iterable[Cite]) -> str:
    """Return citations: the name of a file, then the step that read it."""
    return " ".join(f"[{quoted(file)}]" * (file != step) + f"[{step}]" * bool(step) for file, step in cites)


def _rows(given: Material) -> list[SourceAnswer]:
    """Return a row for each source; for sources that are read here, the best sentence of each."""
    if given.outputs.rows or not given.sources:
        return list(given.outputs.rows)
    ranked = zip(given.sources, _ranked(given), strict=True)
    return [SourceAnswer(source.name, quoted(near[0]) if near else "", "") for source, (near, _) in ranked]


def _has_measure(text: str) -> bool:
    return any(figure.kind not in ("number", "year") for figure in quantities(text))


def _not_read(given: Material) -> list[str]:
    empty = (code(source.name) for source in given.sources if not source.claims)
    cut = (code(source.name) for source in given.sources if source.is_cut)
    return [*_listed(EMPTY, empty), *_listed(CUT, cut), *_listed(NOT_READ, map(code, given.unread))]


def _listed(begin: str, names: Iterable[str]) -> list[str]:
    listed = ", ".join(filter(None, names))
    return [f"{begin} {listed}"] if listed else []
