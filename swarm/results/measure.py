"""How parallel a run was, and what it used: figures for people, for `--json` and for the next plan.

Read from a `State` alone, of a run that is over or still going on, in O(n log n) of its steps.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from swarm.base.values import Frozen, Id, Json
from swarm.planning.graph import CriticalPath, makespan_bound
from swarm.record import events as e
from swarm.record.state import State, StepState
from swarm.results.flags import Facts, Flag, FlagKind, find_flags
from swarm.results.timeline import Timeline
from swarm.spec.chat import Usage
from swarm.spec.task import Limits

RATE_LIMITS = frozenset({"rate_limited", "overloaded"})
"""Kinds of failure by which an endpoint says: later."""


WAITING = ("needs", "slots", "retry", "rate_limit")
"""What a step can wait for."""


class OnPath(Frozen):
    """A step on the critical path."""

    step: Id
    seconds: float
    share: float
    """Of the path, 0 to 1."""


class Waiting(Frozen):
    """What steps that were started had waited for, in seconds, added up over steps."""

    needs: float = 0.0
    """From when it joined the graph until all it waits for was settled; that is the plan's doing."""
    slots: float = 0.0
    """While it could have run and none of the `workers` was free."""
    retry: float = 0.0
    """Between a failed attempt and the next one."""
    rate_limit: float | None = None
    """The same where an endpoint was busy. None where it is not known, because no events were given: it is in `retry`
    then. Calls that an endpoint tries again by itself are part of an attempt."""


class Parallelism(Frozen):
    """How parallel a run was. Seconds are the run's own clock; a step's are those of its attempts.

    A step that a cache answered took none. `critical_steps` and `total_steps` count turns, in the sense of the Kimi
    K2.5 report (Moonshot AI, 2026): in total, every turn of every agent; critical, the sum over stages of the
    orchestrator's turns and the turns of the sub-agent that takes most. A stage is a depth of the graph; turns of the
    orchestrator are those of steps that plan, reduce or give the report. So with sub-agents of 6, 9, 4 and 7 turns
    side by side and 3 turns for plan and report, 29 are total and 12 critical. Where steps of a stage do not wait for
    all of the stage before, a chain of turns can be shorter than that sum: the figure is one to compare, the path in
    seconds is what happened.
    """

    seconds: float
    """How long the run took, pauses between an interruption and a resumption aside."""
    work_seconds: float
    """All attempts added up: what one worker would have taken."""
    critical_path_seconds: float
    """The longest chain of steps that waited for each other: no number of workers makes a run shorter."""
    bound_seconds: float
    """Graham's bound for so many workers, critical path · (1 - 1/workers) + work / workers. A run without pauses that
    takes longer waited for something other than its plan."""
    bound_share: float
    """The run's seconds by that bound: at most 1, but for pauses, rate limits and what dispatch costs."""
    workers: int
    """Attempts that were allowed at once."""
    peak: int
    """Attempts that ran at once, at most."""
    mean: float
    """Attempts that ran at once, on average while at least one did."""
    speedup: float
    """Work by seconds: how much faster than one worker. 1.0 where nothing took time."""
    ideal_speedup: float
    """Work by critical path: what a worker for every step would have given. 1.0 where nothing took time."""
    critical_steps: int
    """Turns on the way, stage by stage; see above."""
    total_steps: int
    """Turns of all agents."""
    critical_path: tuple[Id, ...]
    """Who was on the critical path, first to last."""
    path: tuple[OnPath, ...]
    """The same with their seconds and shares."""
    waiting: Waiting
    flags: tuple[FlagKind, ...]
    """What was found against it; each once."""
    evidence: tuple[Flag, ...]
    """The same with what shows it, in words and figures."""


def measure(state: State, events: Iterable[e.Stamped] | None = None) -> Parallelism:
    """Measure a run. With its events, pauses because of rate limits are told from others."""
    timeline = Timeline(state)
    path = timeline.longest(timeline.seconds)
    work, workers, width = timeline.work, _workers(state), timeline.width()
    bound = makespan_bound(work, path.seconds, workers)
    stages = _turns_by_stage(timeline)
    found = find_flags(Facts(timeline, path, state.t, workers))
    return Parallelism(
        seconds=state.t,
        work_seconds=work,
        critical_path_seconds=path.seconds,
        bound_seconds=bound,
        bound_share=_ratio(state.t, bound),
        workers=workers,
        peak=width.peak,
        mean=width.mean,
        speedup=_ratio(work, state.t),
        ideal_speedup=_ratio(work, path.seconds),
        critical_steps=sum(main + sub for main, sub in stages.values()),
        total_steps=sum(s.turns for s in timeline.steps),
        critical_path=path.steps,
        path=_shares(path, timeline.seconds),
        waiting=_waiting(timeline, events),
        flags=tuple(dict.fromkeys(flag.kind for flag in found)),
        evidence=found,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if part > 0 and whole > 0 else 1.0


def _workers(state: State) -> int:
    """Read how many attempts were allowed at once; of a run that was resumed with another number, the smaller."""
    tasks = [started.task for started in (state.first, state.started) if started is not None]
    found = [count for task in tasks if (count := _workers_of(task)) is not None]
    return min(found, default=Limits().workers)


def _workers_of(task: Mapping[str, Json]) -> int | None:
    limits = task.get("limits")
    count = cast("dict[str, Any]", limits).get("workers") if isinstance(limits, dict) else None
    return count if isinstance(count, int) and count >= 1 else None


def _turns_by_stage(timeline: Timeline) -> dict[int, tuple[int, int]]:
    """For each stage, the turns of the orchestrator and of the sub-agent that takes most."""
    found: dict[int, tuple[int, int]] = {}
    stages = timeline.stages()
    for s in timeline.steps:
        main, sub = found.get(stages[s.id], (0, 0))
        found[stages[s.id]] = (max(main, s.turns), sub) if s.id in timeline.main else (main, max(sub, s.turns))
    return found


def _shares(path: CriticalPath, seconds: Mapping[str, float]) -> tuple[OnPath, ...]:
    return tuple(
        OnPath(step=name, seconds=seconds[name], share=_ratio(seconds[name], path.seconds)) for name in path.steps
    )


def _waiting(timeline: Timeline, events: Iterable[e.Stamped] | None) -> Waiting:
    failures = {(ev.step, ev.attempt): ev for ev in events or () if isinstance(ev, e.StepFailed)}
    waited: dict[str, float] = dict.fromkeys(WAITING, 0.0)
    for s in timeline.steps:
        before, last = _joined(timeline, s), None
        for span in s.spans:
            again = last is None or s.ready_at > last.start
            if again and before <= s.ready_at <= span.start:
                waited["needs"] += s.ready_at - before
                waited["slots"] += span.start - s.ready_at
            elif last is not None:
                cause, pause = _pause(failures.get((s.id, last.attempt)), span.start - before)
                waited[cause] += pause
                waited["slots"] += span.start - before - pause
            before, last = timeline.state.t if span.end is None else span.end, span
    limited = None if events is None else waited["rate_limit"]
    return Waiting(needs=waited["needs"], slots=waited["slots"], retry=waited["retry"], rate_limit=limited)


def _pause(failed: e.StepFailed | None, gap: float) -> tuple[str, float]:
    """Say what a gap between two attempts was for, and how much of it; the rest was spent waiting for a slot."""
    if failed is None or failed.retry_in is None:
        return "retry", gap
    return "rate_limit" if failed.error.kind in RATE_LIMITS else "retry", min(gap, failed.retry_in)


def _joined(timeline: Timeline, s: StepState) -> float:
    """When a step joined the graph."""
    parent = timeline.state.steps.get(s.by)
    if parent is None:
        return 0.0
    return parent.ready_at if parent.expanded or not parent.spans else parent.spans[-1].end or 0.0


class Cost(Frozen):
    """What calls used."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Of the input, those the endpoint took from its own prefix cache."""
    estimated: bool = False
    """Whether any of it is our estimate, because the endpoint said nothing or nonsense."""
    usd: float | None = None
    """US dollars at list price. None where the price is unknown: that is not 0."""

    @classmethod
    def of(cls, usage: Usage) -> "Cost":
        """Take the tokens of some calls, and their price where it is known."""
        return cls(**usage.model_dump(exclude={"usd"}), usd=usage.cost)


class Costs(Frozen):
    """What a run used, by step, agent and model."""

    run: Cost
    steps: dict[str, Cost]
    """Of the steps that made calls, in plan order."""
    agents: dict[str, Cost]
    models: dict[str, Cost]
    """By the model's own name."""


def cost(state: State) -> Costs:
    """Add up what a run used, at the prices that held when it was used."""
    agents: dict[str, Usage] = {}
    steps = {s.id: s for s in state.real_steps() if s.usage != Usage()}
    for s in steps.values():
        agents[s.step.agent] = agents.get(s.step.agent, Usage()) + s.usage
    return Costs(
        run=Cost.of(state.usage),
        steps={name: Cost.of(s.usage) for name, s in steps.items()},
        agents={name: Cost.of(usage) for name, usage in agents.items()},
        models={name: Cost.of(usage) for name, usage in state.usage_by_model.items()},
    )
