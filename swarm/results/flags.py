"""What a run's timeline says against its plan, each with its evidence.

serial_collapse        the steps of sub-agents waited for one another: it was one agent's work, done by several
spurious_parallelism   steps ran side by side to no effect: one had nearly all the work, or the report uses few of them
straggler              one step took far longer than its like, and the run waited for it
false_dependency       a step that held up another gave nothing that the other quotes or cites
width_wasted           for most of the time most of the width that was reached stood empty

The first two are the failures of agent swarms that the Kimi K2.5 report (Moonshot AI, 2026) names. A flag is a reason
to look, not a verdict: the thresholds below are chosen so that what is flagged would have been worth another plan.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Literal

from swarm.attempt.citations import check_report
from swarm.base.text import listing
from swarm.base.values import Frozen, Id, Json
from swarm.planning.graph import CriticalPath
from swarm.record.state import State, Status, StepState
from swarm.results.timeline import Timeline
from swarm.spec.plan import before_of

FlagKind = Literal["serial_collapse", "spurious_parallelism", "straggler", "false_dependency", "width_wasted"]

FEWEST = 3
"""Steps of sub-agents from which a run can be judged: two are a step and what is made of it."""
NOTICEABLE_SECONDS = 1.0
"""Less than this nobody waits for; below it, what a clock says of a run is noise."""
MOST = 0.8
"""Share of the steps, or of the work, in one chain from which the rest hardly counts: at most 1.25 times faster."""
SLOW = 2.0
"""How many times the median of its like a straggler takes at least."""
FELT = 0.1
"""Share of the run from which a straggler's excess is felt."""
WIDE = 4
"""Attempts at once from which a run counts as wide."""
EMPTY = 2 / 3
"""Share of the width that stood empty from which it was wasted."""
RUN_OF_WORDS = 3
RUN_LETTERS = 12
"""A quotation is three words in a row with at least so many letters: `one of the` is none."""
FEWEST_WORDS = 8
"""Words that both outputs must have for the lack of a quotation to mean anything."""
MOST_CHARACTERS = 64 * 1024
"""Of an output, what is read for quotations: what a journal holds of one."""
MOST_NAMED = 3
"""Stragglers, or false dependencies, that are named: the worst, or the first."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+(?:[.,]\d+)*")
"""A word, a figure, or one character of a script that puts no spaces between words."""


class Flag(Frozen):
    """Something about a run that another plan might do better."""

    kind: FlagKind
    message: str
    """The evidence, in words and figures."""
    steps: tuple[Id, ...] = ()
    """The steps it is about."""


@dataclass(frozen=True)
class Facts:
    """What flags are found in."""

    timeline: Timeline
    path: CriticalPath
    seconds: float
    """How long the run took."""
    workers: int
    """Attempts it was allowed at once."""


def find_flags(facts: Facts) -> tuple[Flag, ...]:
    """Find what there is to say against how a run went, in the order of the module's list."""
    collapsed = tuple(_serial_collapse(facts))
    return (
        *collapsed,
        *(() if collapsed else _spurious_parallelism(facts)),
        *_stragglers(facts),
        *_false_dependencies(facts),
        *_width_wasted(facts),
    )


def _serial_collapse(facts: Facts) -> Iterator[Flag]:
    sub = facts.timeline.sub
    if len(sub) < FEWEST or facts.workers < 2:
        return
    chain = facts.timeline.longest(dict.fromkeys((s.id for s in sub), 1.0)).steps
    work = sum(facts.timeline.seconds[s.id] for s in sub)
    inside = sum(facts.timeline.seconds[name] for name in chain)
    if len(chain) >= MOST * len(sub) and inside >= MOST * work:
        share = f", and had {inside / work:.0%} of their work" if work >= NOTICEABLE_SECONDS else ""
        message = f"{len(chain)} of {len(sub)} steps waited for one another{share}; {facts.workers} could run at once"
        yield Flag(kind="serial_collapse", message=message, steps=chain)


def _spurious_parallelism(facts: Facts) -> Iterator[Flag]:
    timeline = facts.timeline
    sub = timeline.sub
    peak = timeline.width({s.id for s in sub}).peak
    if peak < FEWEST:
        return
    seconds = {s.id: timeline.seconds[s.id] for s in sub}
    work, chain = sum(seconds.values()), timeline.longest(seconds)
    if chain.seconds >= max(NOTICEABLE_SECONDS, MOST * work):
        others = len(sub) - len(chain.steps)
        message = (
            f"up to {peak} steps ran at once, but {_some(chain.steps)} had {chain.seconds / work:.0%} of the work; "
            f"the other {others} made the run at most {work / chain.seconds:.2f} times faster"
        )
        yield Flag(kind="spurious_parallelism", message=message, steps=chain.steps)
        return
    read, unused = _uncited(timeline)
    if len(read) >= FEWEST and len(unused) * 2 > len(read):
        message = f"the report cites {len(read) - len(unused)} of the {len(read)} steps it was made of"
        yield Flag(kind="spurious_parallelism", message=message, steps=tuple(s.id for s in unused))


def _uncited(timeline: Timeline) -> tuple[list[StepState], list[StepState]]:
    """Give the steps the report was made of, and those it does not cite; none where it cites nothing at all."""
    state = timeline.state
    report = state.steps.get(state.report_step or "")
    if report is None or not isinstance(report.outcome.output, str):
        return [], []
    sub = {s.id for s in timeline.sub}
    given = (g for before in before_of(report.step) for g in _group(state, before))
    read = [s for s in given if s.id in sub and s.status is Status.DONE]
    cited = frozenset(check_report(report.outcome.output, state.steps.keys()).cited)
    if not cited:
        return [], []
    return read, [s for s in read if s.id not in cited and s.step.instance_of not in cited]


def _stragglers(facts: Facts) -> Iterator[Flag]:
    timeline = facts.timeline
    alike: dict[tuple[object, ...], list[float]] = {}
    for s in timeline.sub:
        alike.setdefault(_like(s), []).append(timeline.seconds[s.id])
    found: list[tuple[float, Flag]] = []
    for name in facts.path.steps:
        s, took = timeline.state.steps[name], timeline.seconds[name]
        others = list(alike.get(_like(s), ()))
        if name in timeline.main or len(others) < FEWEST + 1:
            continue
        others.remove(took)
        usual = median(others)
        excess = took - max(others)
        if took >= SLOW * usual and excess >= max(NOTICEABLE_SECONDS, FELT * facts.seconds):
            message = (
                f"{name} took {took:.1f} s, the {len(others)} steps like it {usual:.1f} s at the median; "
                f"the run waited {excess:.1f} s for it alone"
            )
            found.append((excess, Flag(kind="straggler", message=message, steps=(name,))))
    found.sort(key=lambda each: -each[0])
    yield from (flag for _, flag in found[:MOST_NAMED])


def _like(s: StepState) -> tuple[object, ...]:
    """Name the steps that ought to take alike: instances of one step, else those of one role that wait for the same."""
    return (s.step.instance_of,) if s.step.instance_of else (s.by, s.step.agent, before_of(s.step))


def _false_dependencies(facts: Facts) -> Iterator[Flag]:
    state = facts.timeline.state
    found = 0
    for before, after in zip(facts.path.steps, facts.path.steps[1:], strict=False):
        s, other = state.steps[after], state.steps[before]
        need = next((need for need in s.step.needs if _holds(state, need, other)), None)
        if need is None or not isinstance(s.outcome.output, str | dict | list) or found == MOST_NAMED:
            continue
        given = [g for g in _group(state, need) if g.status is Status.DONE]
        if given and not _used(s, given, need):
            found += 1
            held = facts.timeline.seconds[before]
            message = f"{after} waited {held:.1f} s for {before}, which it needs, and quotes and cites nothing of it"
            yield Flag(kind="false_dependency", message=message, steps=(before, after))


def _holds(state: State, need: str, s: StepState) -> bool:
    """Whether a need on `need` waits for step `s`: it is that step, or was spawned by it."""
    name = s.id
    while name in state.steps:
        if name == need:
            return True
        name = state.steps[name].by
    return False


def _group(state: State, name: str) -> Iterator[StepState]:
    """Give the real steps that a need on `name` reads: that step, its instances, or a planner with what it spawned."""
    stack = [name]
    while stack:
        s = state.steps[stack.pop()]
        if s.kind != "stand_in":
            yield s
        if s.kind != "plain":
            stack.extend(reversed(s.children))


def _used(s: StepState, given: list[StepState], need: str) -> bool:
    """Whether a step's output cites or quotes any of what it was given; true where that cannot be told."""
    said = _text(s.outcome.output)
    if check_report(said, {need, *(g.id for g in given)}).cited:
        return True
    words = _words(said)
    asked = _words(s.step.prompt)
    if len(words) < FEWEST_WORDS:
        return True
    known = _figures(words) | _runs(words)
    known -= _figures(asked) | _runs(asked)
    for g in given:
        theirs = _words(_text(g.outcome.output))
        if g.outcome.artifact is not None or len(theirs) < FEWEST_WORDS or not known.isdisjoint(_figures(theirs)):
            return True
        if not known.isdisjoint(_runs(theirs)):
            return True
    return False


def _text(output: Json) -> str:
    return (output if isinstance(output, str) else json.dumps(output, ensure_ascii=False))[:MOST_CHARACTERS]


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _figures(words: list[str]) -> set[str]:
    """Pick the figures and names with figures: `42`, `3.14`, `b7`. A digit alone counts for nothing."""
    return {word for word in words if len(word) > 1 and any(c.isdigit() for c in word)}


def _runs(words: list[str]) -> set[str]:
    runs = (words[n : n + RUN_OF_WORDS] for n in range(len(words) - RUN_OF_WORDS + 1))
    return {" ".join(run) for run in runs if sum(map(len, run)) >= RUN_LETTERS or not run[0].isascii()}


def _width_wasted(facts: Facts) -> Iterator[Flag]:
    timeline = facts.timeline
    names = {s.id for s in timeline.sub}
    spans = [span for s in timeline.sub for span in timeline.spans(s)]
    width = timeline.width(names)
    if width.peak < WIDE:
        return
    window = max(end for _, end in spans) - min(start for start, _ in spans)
    whole = width.peak * window
    if window < NOTICEABLE_SECONDS or whole - width.attempt_seconds <= EMPTY * whole:
        return
    last = max(timeline.sub, key=lambda s: timeline.seconds[s.id])
    message = (
        f"up to {width.peak} steps ran at once, but {width.attempt_seconds / window:.1f} on average: "
        f"{1 - width.attempt_seconds / whole:.0%} of that width stood empty; "
        f"the longest was {last.id} with {timeline.seconds[last.id]:.1f} s"
    )
    yield Flag(kind="width_wasted", message=message, steps=(last.id,))


def _some(names: tuple[str, ...]) -> str:
    return listing(names, MOST_NAMED)
