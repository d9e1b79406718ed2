"""Why a run took as long and cost as much: what most of its time and tokens were spent on, and what would change that.

The time is followed from the end of the run backwards: the last step, what it waited for before and
during its attempts, then the step that made it ready, and so on to the start. So the parts of this
way add up to the time of the run, and making one of them shorter makes the run shorter, until
another way is the longest.

Cost is in US dollars; without known prices, in tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, cast

from swarm.base.values import Frozen, Json
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.timeline import Timeline
from swarm.results.waiting import IN_ATTEMPTS, pauses
from swarm.spec.chat import Usage
from swarm.spec.plan import role_of

MOST = 3
"""Reasons that are named, of time and of cost."""
LEAST_SHARE = 0.03
"""Minimum share of a reason: below it nobody would change anything."""
LEAST_SECONDS = 1.0
"""Minimum seconds of a run whose time has reasons: below it the program itself takes most of it."""
MANY_TURNS = 4
"""Minimum turns of a step whose turns are the reason for its time: each waits for the one before."""
BUSY_WAITING = 0.5
"""Minimum share of the time on workers that attempts waited for one cause, from which more workers would only wait."""
LEAST_INPUT = 1_000
"""Minimum input tokens per call from which fewer inputs would change much: below it, most are instructions."""
MOSTLY_INPUT = 8
"""Input tokens per output token from which prompts decide the cost: an input token costs a third to a fifth."""
_END = 1e-6
"""Rounding of the clock, in seconds."""

WAITS: dict[str, tuple[str, str]] = {
    "slots": ("waiting for a free worker", "more workers: --workers {twice}"),
    "endpoint_slots": (
        "waiting for a free slot of the endpoint",
        "raise `calls` of the model, or add an endpoint (`use:`)",
    ),
    "rate_limit": (
        "rate limits of the endpoint",
        "a higher quota, another key in `key:`, or a second endpoint (`use:`)",
    ),
    "retry": ("pauses before retries", "see the errors: swarm show {run} {step}"),
    "budget": ("waiting for budget", "raise the limit: --limit {limit}=…"),
    "equal_step": ("waiting for an equal step", "remove one of the equal steps from the plan"),
    "other": ("failed calls and the program itself", "see the failed attempts: swarm show {run} {step}"),
    "program": ("the program itself", "no setting changes this; fewer programs on this machine may"),
}
"""For each cause of waiting its words, and what would change it."""


class Reason(Frozen):
    """One thing that a run spent time or tokens on."""

    of: Literal["time", "cost"]
    what: str
    """The step, the group of steps, or what was waited for."""
    seconds: float = 0.0
    """Seconds of the run, if it is a reason for its time."""
    tokens: int = 0
    usd: float | None = None
    share: float
    """Share of the time of the run, or of its cost, 0 to 1."""
    advice: str
    """What would change it."""
    steps: tuple[str, ...] = ()


@dataclass
class Way:
    """The way through a run that took its time."""

    work: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds of calls and tools, by step."""
    waits: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds of waiting, by cause."""
    longest: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])
    """For each cause the step that waited longest, with its seconds."""

    def wait(self, cause: str, seconds: float, step: str) -> None:
        """Add a wait."""
        if seconds > 0:
            self.waits[cause] = self.waits.get(cause, 0.0) + seconds
            self.longest[cause] = max(self.longest.get(cause, (0.0, "")), (seconds, step))


def reasons(timeline: Timeline, workers: int) -> tuple[Reason, ...]:
    """Return the reasons for the time of a run, then those for its cost, the largest first, at most `MOST` each."""
    time = sorted(_time(timeline, workers), key=lambda reason: -reason.seconds)
    cost = sorted(_cost(timeline.state), key=lambda reason: -reason.share)
    found = [*time[:MOST], *cost[:MOST]]
    return tuple(reason for reason in found if reason.share >= LEAST_SHARE)


# Time


def _time(timeline: Timeline, workers: int) -> Iterator[Reason]:
    state = timeline.state
    if state.t < LEAST_SECONDS:
        return
    way = way_of(timeline)
    for name, seconds in way.work.items():
        s = state.steps[name]
        words = f"{name} ({role_of(s.step)})"
        advice = _faster(timeline, s)
        yield Reason(of="time", what=words, seconds=seconds, share=seconds / state.t, advice=advice, steps=(name,))
    held = _held_by(timeline)
    for cause, seconds in way.waits.items():
        step = way.longest[cause][1]
        if cause not in WAITS or cause == "other":
            cause = "other" if _has_failed(state, step) else "program"
        words, advice = WAITS[cause]
        if cause == "slots" and held:
            words, advice = f"{words}, while most of them were {WAITS[held][0]}", WAITS[held][1]
        advice = advice.format(twice=2 * workers, run=state.run, step=step, limit=_limit(state))
        yield Reason(
            of="time",
            what=words,
            seconds=seconds,
            share=seconds / state.t,
            advice=advice,
            steps=(step,) if step else (),
        )


def _held_by(timeline: Timeline) -> str:
    """Return the cause that attempts mostly waited for while they had a worker; empty if they mostly worked."""
    waited: dict[str, float] = {}
    for s in timeline.steps:
        for cause, seconds in s.waited.items():
            known = IN_ATTEMPTS.get(cause, "retry")
            waited[known] = waited.get(known, 0.0) + seconds
    cause = max(waited, key=waited.__getitem__, default="")
    work = sum(timeline.seconds.values())
    return cause if cause and waited[cause] >= BUSY_WAITING * (work + sum(waited.values())) else ""


def _limit(state: State) -> str:
    """Return the limit that calls waited for: the one that was reached, else the one in dollars if there is one."""
    limits = cast("dict[str, Json]", state.task.get("limits") or {})
    reached = [name for name in ("usd", "tokens") if name in state.limits_reached]
    return next(iter(reached), "usd" if limits.get("usd") else "tokens")


def _has_failed(state: State, step: str) -> bool:
    """Return whether an attempt or a call of a step failed."""
    s = state.steps.get(step)
    return s is not None and (s.error is not None or s.attempt > 1 or s.usage.unanswered_tokens > 0)


def _faster(timeline: Timeline, s: StepState) -> str:
    """Return what would make a step faster."""
    if s.status is Status.CANCELLED:
        return f"it was interrupted; continue: swarm resume {timeline.state.run}"
    if s.over and s.status is not Status.DONE:
        return f"it gave no output; see why: swarm show {timeline.state.run} {s.id}"
    if s.kind == "planner":
        return "keep the plan for the next run: swarm plan -o plan.yaml, then --plan plan.yaml"
    if s.tool_seconds > timeline.seconds[s.id] / 2:
        return "most of it is tools; give the step what it looks for as `inputs:`"
    if s.turns >= MANY_TURNS:
        return f"{s.turns} turns, one after the other; split the step, or give it fewer tools"
    if s.id in timeline.main:
        return "a faster model for the report, or shorter outputs for it to read"
    if s.step.judges is not None:
        return f"it checks {s.step.judges}; a faster model for `{s.step.agent}`, or no `check:` where it pays little"
    if s.step.instance_of is not None:
        return "a faster model (`model:`), or a shorter answer; the other items ran in parallel"
    return "split it into steps that run in parallel, or give it a faster model (`model:`)"


def way_of(timeline: Timeline) -> Way:
    """Follow a run from its end to its start."""
    way = Way()
    ran = [s for s in timeline.steps if s.spans]
    step = max(ran, key=lambda s: (timeline.end_of(s.spans[-1]), s.order), default=None)
    if step is None:
        return way
    way.wait("other", timeline.state.t - timeline.end_of(step.spans[-1]), "")
    seen: set[str] = set()
    while step is not None and step.id not in seen:
        seen.add(step.id)
        _add(way, timeline, step)
        step = _released_by(timeline, step)
    return way


def _add(way: Way, timeline: Timeline, s: StepState) -> None:
    """Add the time from the moment at which a step was ready to its end."""
    if seconds := timeline.seconds[s.id]:
        way.work[s.id] = seconds
    for cause, seconds in s.waited.items():
        way.wait(IN_ATTEMPTS.get(cause, "retry"), seconds, s.id)
    way.wait("other", timeline.idle(s), s.id)
    if s.outcome.cached:
        way.wait("equal_step", timeline.end_of(s.spans[-1]) - s.spans[-1].start, s.id)
    for pause in pauses(timeline, s):
        if pause.cause != "needs":
            way.wait(pause.cause, pause.end - pause.start, s.id)


def _released_by(timeline: Timeline, s: StepState) -> StepState | None:
    """Return the step whose end made a step ready.

    It is the last one that it waited for, or that the step which it does a share of waited for, or the one that added
    it.
    """
    steps = timeline.state.steps
    found: list[tuple[float, StepState]] = []
    level: StepState | None = s
    while level is not None:
        found += [(timeline.settled_at(name), steps[name]) for name in timeline.waited_for(level.id)]
        parent = steps.get(level.by)
        if parent is not None and parent.spans:
            found.append((timeline.end_of(parent.spans[-1]), parent))
            break
        level = parent
    at, latest = max(found, key=lambda each: (each[0], each[1].order), default=(0.0, None))
    if latest is None or (latest.spans and timeline.end_of(latest.spans[-1]) >= at - _END):
        return latest
    return _last_of(timeline, latest)


def _last_of(timeline: Timeline, s: StepState) -> StepState | None:
    """Return the step that settled a step: itself, or the last of those that it became."""
    seen: set[str] = set()
    at = timeline.settled_at(s.id)
    while s.id not in seen:
        seen.add(s.id)
        children = (timeline.state.steps[name] for name in s.children)
        last = next((child for child in children if timeline.settled_at(child.id) >= at - _END), None)
        if last is None:
            break
        s = last
    return s if s.spans else _released_by(timeline, s)


# Cost


def _cost(state: State) -> Iterator[Reason]:
    groups: dict[tuple[str, str], list[StepState]] = {}
    for s in state.real_steps():
        if s.usage.tokens or s.usage.unanswered_tokens:
            groups.setdefault((_family(state, s), role_of(s.step)), []).append(s)
    whole = state.usage
    for (name, role), group in groups.items():
        used = sum((s.usage for s in group), Usage())
        many = f"{name} ×{len(group):,}" if len(group) > 1 else group[0].id
        yield Reason(
            of="cost",
            what=f"{many} ({role})",
            tokens=used.tokens,
            usd=used.cost,
            share=_share(used, whole),
            advice=_cheaper(used, len(group)),
            steps=tuple(s.id for s in group),
        )
    if whole.unanswered_tokens:
        share = whole.unanswered_tokens / max(1, whole.tokens + whole.unanswered_tokens)
        yield Reason(
            of="cost",
            what="calls without an answer, at most",
            tokens=whole.unanswered_tokens,
            usd=whole.unanswered_cost,
            share=share,
            advice=_answered(state),
        )


def _family(state: State, s: StepState) -> str:
    """Return the step whose work a step does, a share of it: an item, a part, a partial report, a vote, a check."""
    while (parent := state.steps.get(s.by)) is not None and parent.kind == "stand_in":
        s = parent
    return s.id


def _answered(state: State) -> str:
    """Return what would make fewer calls end without an answer."""
    lost = [s for s in state.real_steps() if s.usage.unanswered_tokens]
    if all(s.status is Status.CANCELLED for s in lost):
        return "they were cut off when the run ended; wait longer for them: --grace SECONDS"
    return "a longer `deadline:` for the model, or fewer parallel `calls:`"


def _share(used: Usage, whole: Usage) -> float:
    if whole.cost:
        return (used.cost or 0.0) / whole.cost
    return used.tokens / max(1, whole.tokens)


def _cheaper(used: Usage, count: int) -> str:
    """Return what would make steps cheaper."""
    per_call = used.input_tokens // max(1, used.calls)
    each = f"{per_call:,} input tokens per call"
    if per_call >= LEAST_INPUT and used.input_tokens >= MOSTLY_INPUT * max(1, used.output_tokens):
        if count > 1 and used.cached_tokens < used.input_tokens / 4:
            return f"{each}; give each step fewer `inputs:`, or let them share a prefix (`warm: true`)"
        return f"{each}; give it fewer `inputs:`, or shorter outputs to read"
    if count > 1:
        return "a cheaper model for these steps (`model:`), or shorter answers (`max_tokens:`)"
    return "a cheaper model (`model:`), or a shorter answer (`max_tokens:`)"
