"""Flags: weak points of a plan that the timeline of its run shows, each with its evidence.

serial_collapse        most steps of sub-agents waited for one another: several did the work of one
spurious_parallelism   parallel steps had no effect: one chain had nearly all the work, or the report
                       cites few of the steps
straggler              one step took much longer than similar steps, and the run waited for it
false_dependency       a step waited for another one and quotes and cites nothing of its output
width_wasted           most worker slots that the run used were idle most of the time

The first two are the failures of agent swarms in the Kimi K2.5 report (Moonshot AI, 2026). A flag
is a reason to look at the plan, not an error. The thresholds are such that another plan would have
been worth it.
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
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.timeline import Timeline
from swarm.spec.plan import before_of

FlagKind = Literal["serial_collapse", "spurious_parallelism", "straggler", "false_dependency", "width_wasted"]

FEWEST = 3
"""Minimum number of steps of sub-agents for a flag: two are just a step and its reader."""
NOTICEABLE_SECONDS = 1.0
"""Minimum seconds for a flag: nobody notices less, and the clock is noisy below."""
MOST = 0.8
"""Share of the steps, or of the work, in one chain from which the rest hardly matters: without it,
the run would be at most 1.25 times faster."""
SLOW = 2.0
"""Minimum duration of a straggler, as a multiple of the median of similar steps."""
FELT = 0.1
"""Minimum excess of a straggler, as a share of the run."""
WIDE = 4
"""Minimum number of parallel attempts for a run to count as wide."""
EMPTY = 2 / 3
"""Minimum share of idle worker slots for a flag."""
RUN_OF_WORDS = 3
"""Words in a row that make a quotation."""
RUN_LETTERS = 12
"""Minimum letters of a quotation: `one of the` is not one."""
FEWEST_WORDS = 8
"""Minimum words of both outputs: in shorter ones a missing quotation means nothing."""
MOST_CHARACTERS = 64 * 1024
"""Maximum characters of an output that are searched for quotations: the size that a journal
holds."""
MOST_NAMED = 3
"""Maximum number of stragglers (the worst) and of false dependencies (the first) that get a
flag."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+(?:[.,]\d+)*")
"""A word, a figure, or one character of a script that puts no spaces between words."""


class Flag(Frozen):
    """A weak point of a run that another plan may avoid."""

    kind: FlagKind
    message: str
    """The evidence, in words and figures."""
    steps: tuple[Id, ...] = ()
    """The steps that it is about."""


@dataclass(frozen=True)
class Facts:
    """The facts of a run that flags are derived from."""

    timeline: Timeline
    path: CriticalPath
    seconds: float
    """Duration of the run."""
    workers: int
    """Maximum number of attempts that were allowed to run in parallel."""


def find_flags(facts: Facts) -> tuple[Flag, ...]:
    """Return the flags of a run, in the order of the module's list."""
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
        message = (
            f"{len(chain)} of {len(sub)} steps waited for one another{share}; {facts.workers} could run in parallel"
        )
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
            f"up to {peak} steps ran in parallel, but {_some(chain.steps)} had "
            f"{chain.seconds / work:.0%} of the work; "
            f"the other {others} made the run at most {work / chain.seconds:.2f} times faster"
        )
        yield Flag(kind="spurious_parallelism", message=message, steps=chain.steps)
        return
    read, unused = _uncited(timeline)
    if len(read) >= FEWEST and len(unused) * 2 > len(read):
        message = f"the report cites {len(read) - len(unused)} of the {len(read)} steps that it is based on"
        yield Flag(kind="spurious_parallelism", message=message, steps=tuple(s.id for s in unused))


def _uncited(timeline: Timeline) -> tuple[list[StepState], list[StepState]]:
    """Return the steps that the report is based on, and those of them that it does not cite.

    Both are empty if the report cites nothing at all.
    """
    state = timeline.state
    report = state.steps.get(state.report_step or "")
    if report is None or not isinstance(report.outcome.output, str):
        return [], []
    cited = frozenset(check_report(report.outcome.output, state.steps.keys()).cited)
    if not cited:
        return [], []
    read = _read_by(timeline, report)
    return read, [s for s in read if not _is_cited(state, s, cited)]


def _is_cited(state: State, s: StepState, cited: frozenset[str]) -> bool:
    """Return whether a step is cited, or a step that became several of which it is one: instances, votes, parts."""
    above = (state.steps[name] for name in state.lineage(s.id))
    return s.id in cited or any(each.kind == "stand_in" and each.id in cited for each in above)


def _read_by(timeline: Timeline, reader: StepState) -> list[StepState]:
    """Return the steps of sub-agents whose outputs a step reads."""
    sub = {s.id for s in timeline.sub}
    found: list[StepState] = []
    for before in before_of(reader.step):
        found += [s for s in _group(timeline.state, before) if s.id in sub and s.status is Status.DONE]
    return found


def _stragglers(facts: Facts) -> Iterator[Flag]:
    timeline = facts.timeline
    alike: dict[tuple[object, ...], dict[str, float]] = {}
    for s in timeline.sub:
        alike.setdefault(_like(s), {})[s.id] = timeline.seconds[s.id]
    found: list[tuple[float, Flag]] = []
    for name in facts.path.steps:
        s, took = timeline.state.steps[name], timeline.seconds[name]
        similar = alike.get(_like(s), {})
        others = [seconds for other, seconds in similar.items() if other != name]
        # A step on the path may not be among them: its attempt was cut off, then the cache had it.
        if name not in similar or len(others) < FEWEST:
            continue
        usual = median(others)
        excess = took - max(others)
        if took >= SLOW * usual and excess >= max(NOTICEABLE_SECONDS, FELT * facts.seconds):
            message = (
                f"{name} took {took:.1f} s, the median of {len(others)} similar steps is {usual:.1f} s; "
                f"the run waited {excess:.1f} s for this step alone"
            )
            found.append((excess, Flag(kind="straggler", message=message, steps=(name,))))
    found.sort(key=lambda each: -each[0])
    yield from (flag for _, flag in found[:MOST_NAMED])


def _like(s: StepState) -> tuple[object, ...]:
    """Return the key of similar steps: instances of one step, else steps of one role with the same needs."""
    if s.step.instance_of:
        return (s.step.instance_of,)
    return (s.by, s.step.agent, before_of(s.step))


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
            message = f"{after} waited {held:.1f} s for {before}, but quotes and cites nothing of its output"
            yield Flag(kind="false_dependency", message=message, steps=(before, after))


def _holds(state: State, need: str, s: StepState) -> bool:
    """Whether a need on `need` waits for step `s`: it is that step, or was spawned by it."""
    return need in state.lineage(s.id)


def _group(state: State, name: str) -> Iterator[StepState]:
    """Yield the real steps that a need on `name` reads: the step, its instances, or a planner and its steps."""
    stack = [name]
    seen: set[str] = set()
    while stack:
        s = state.steps[stack.pop()]
        if s.id in seen:
            continue
        seen.add(s.id)
        if s.kind != "stand_in":
            yield s
        if s.kind != "plain":
            stack.extend(reversed(s.children))


def _used(s: StepState, given: list[StepState], need: str) -> bool:
    """Whether a step's output cites or quotes any output that it was given; true if that is unknown."""
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
    """Return figures, and names with figures: `42`, `3.14`, `b7`. Single digits do not count."""
    return {word for word in words if len(word) > 1 and any(c.isdigit() for c in word)}


def _runs(words: list[str]) -> set[str]:
    runs = (words[n : n + RUN_OF_WORDS] for n in range(len(words) - RUN_OF_WORDS + 1))
    return {" ".join(run) for run in runs if sum(map(len, run)) >= RUN_LETTERS or not run[0].isascii()}


def _width_wasted(facts: Facts) -> Iterator[Flag]:
    timeline = facts.timeline
    names = {s.id for s in timeline.sub}
    width = timeline.width(names)
    if width.peak < WIDE:
        return
    spans = timeline.all_spans(names)
    window = max(end for _, end in spans) - min(start for start, _ in spans)
    whole = width.peak * window
    if window < NOTICEABLE_SECONDS or whole - width.attempt_seconds <= EMPTY * whole:
        return
    last = max(timeline.sub, key=lambda s: timeline.seconds[s.id])
    message = (
        f"up to {width.peak} steps ran in parallel, but {width.attempt_seconds / window:.1f} on average: "
        f"{1 - width.attempt_seconds / whole:.0%} of these {width.peak} worker slots were idle; "
        f"the longest step was {last.id} with {timeline.seconds[last.id]:.1f} s"
    )
    yield Flag(kind="width_wasted", message=message, steps=(last.id,))


def _some(names: tuple[str, ...]) -> str:
    return listing(names, MOST_NAMED)
