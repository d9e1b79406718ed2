"""The parallelism of a run and its usage: figures for people, for `--json` and for the next plan.

All figures come from a `State`, of a finished run or of one that is still running. Computing them
takes O(n log n) in the number of steps.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from swarm.base.error_kinds import WAITS
from swarm.base.values import Frozen, Id, Json
from swarm.planning.graph import CriticalPath, makespan_bound
from swarm.record import events as e
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.results.flags import Facts, Flag, FlagKind, find_flags
from swarm.results.timeline import Timeline
from swarm.spec.chat import Usage
from swarm.spec.task import Limits

WAITING = ("needs", "slots", "retry", "rate_limit")
"""Causes of waiting: the fields of `Waiting`."""


class OnPath(Frozen):
    """A step on the critical path."""

    step: Id
    seconds: float
    share: float
    """Its share of the path, 0 to 1."""


class Waiting(Frozen):
    """Seconds that started steps had waited, by cause, summed over all steps."""

    needs: float = 0.0
    """From joining the graph until everything the step waits for was settled. The plan is the
    cause."""
    slots: float = 0.0
    """While the step was ready and all `workers` were busy."""
    retry: float = 0.0
    """Between a failed attempt and the next one."""
    rate_limit: float | None = None
    """Between two attempts, if the endpoint was rate limited or overloaded. None without events:
    these seconds are then part of `retry`. Retries of calls by the endpoint are part of an
    attempt."""


class Parallelism(Frozen):
    """The parallelism of a run. Seconds are on the run's clock; a step's seconds are those of its attempts.

    A step whose output came from the cache took no time.

    `critical_steps` and `total_steps` count turns, as defined in the Kimi K2.5 report (Moonshot AI,
    2026). The total is every turn of every agent. The critical number is a sum over stages: the
    turns of the orchestrator plus the turns of the sub-agent that has most. A stage is a depth of
    the graph. The turns of the orchestrator are those of steps that plan, reduce or make the
    report. Example: with sub-agents of 6, 9, 4 and 7 turns in parallel, and 3 turns for plan and
    report, 29 turns are total and 12 are critical.

    If steps of a stage do not wait for all steps of the stage before, a chain of turns can be
    shorter than that sum. Use the figure to compare runs; the path in seconds is what happened.
    """

    seconds: float
    """Duration of the run, without pauses between an interruption and a resume."""
    work_seconds: float
    """Seconds of all attempts: the duration with one worker."""
    critical_path_seconds: float
    """The longest chain of steps that wait for each other: the minimum duration, whatever the
    number of workers."""
    bound_seconds: float
    """Graham's bound: critical path · (1 - 1/workers) + work / workers. A run without pauses that
    takes longer waited for something that is not in its plan."""
    bound_share: float
    """Duration divided by that bound: maximum 1, except for pauses, rate limits and the cost of
    dispatch."""
    workers: int
    """Maximum number of attempts that were allowed to run in parallel."""
    peak: int
    """Maximum number of attempts that did run in parallel."""
    mean: float
    """Average number of attempts running in parallel, while at least one was running."""
    speedup: float
    """Work divided by duration: how much faster than one worker. 1.0 if nothing took time."""
    ideal_speedup: float
    """Work divided by critical path: the speed-up with a worker for every step. 1.0 if nothing took
    time."""
    critical_steps: int
    """Turns on the critical way, stage by stage; see above."""
    total_steps: int
    """Turns of all agents."""
    critical_path: tuple[Id, ...]
    """Steps on the critical path, first to last."""
    path: tuple[OnPath, ...]
    """The same steps with their seconds and shares."""
    waiting: Waiting
    flags: tuple[FlagKind, ...]
    """Kinds of the flags that were found, each once."""
    evidence: tuple[Flag, ...]
    """The flags with their evidence, in words and figures."""


def measure(state: State, events: Iterable[e.Stamped] | None = None) -> Parallelism:
    """Measure a run. With its events, pauses because of rate limits are separated from other pauses."""
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
    """Return the maximum number of parallel attempts; the smaller one if a resume changed it."""
    tasks = [started.task for started in (state.first, state.started) if started is not None]
    found = [count for task in tasks if (count := _workers_of(task)) is not None]
    return min(found, default=Limits().workers)


def _workers_of(task: Mapping[str, Json]) -> int | None:
    limits = task.get("limits")
    count = cast("dict[str, Any]", limits).get("workers") if isinstance(limits, dict) else None
    return count if isinstance(count, int) and count >= 1 else None


def _turns_by_stage(timeline: Timeline) -> dict[int, tuple[int, int]]:
    """Return, by stage, the turns of the orchestrator and of the sub-agent that has most."""
    found: dict[int, tuple[int, int]] = {}
    stages = timeline.stages()
    for s in timeline.steps:
        main, sub = found.get(stages[s.id], (0, 0))
        if s.id in timeline.main:
            main = max(main, s.turns)
        else:
            sub = max(sub, s.turns)
        found[stages[s.id]] = main, sub
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
            # A step waits for its needs once, and again if a resume reopened it.
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
    needs, slots, retry = waited["needs"], waited["slots"], waited["retry"]
    return Waiting(needs=needs, slots=slots, retry=retry, rate_limit=limited)


def _pause(failed: e.StepFailed | None, gap: float) -> tuple[str, float]:
    """Return the cause of a gap between two attempts and its seconds; the rest of the gap is for a slot."""
    if failed is None or failed.retry_in is None:
        return "retry", gap
    cause = "rate_limit" if failed.error.kind in WAITS else "retry"
    return cause, min(gap, failed.retry_in)


def _joined(timeline: Timeline, s: StepState) -> float:
    """Return the time at which a step joined the graph."""
    parent = timeline.state.steps.get(s.by)
    if parent is None:
        return 0.0
    if parent.kind == "stand_in" or not parent.spans:
        return parent.ready_at
    return parent.spans[-1].end or 0.0


class Costs(Frozen):
    """The usage of a run, by step, agent and model."""

    run: Usage
    steps: dict[str, Usage]
    """Steps that made calls, in plan order."""
    agents: dict[str, Usage]
    models: dict[str, Usage]
    """By the model's own name."""


def cost(state: State) -> Costs:
    """Add up the usage of a run, at the prices at the time of each call."""
    agents: dict[str, Usage] = {}
    steps = {s.id: s for s in state.real_steps() if s.usage != Usage()}
    for s in steps.values():
        agents[s.step.agent] = agents.get(s.step.agent, Usage()) + s.usage
    return Costs(
        run=_priced(state.usage),
        steps={name: _priced(s.usage) for name, s in steps.items()},
        agents={name: _priced(usage) for name, usage in agents.items()},
        models={name: _priced(usage) for name, usage in state.usage_by_model.items()},
    )


def _priced(usage: Usage) -> Usage:
    """Return the same usage, with 0 dollars instead of None if no token was used."""
    return usage.model_copy(update={"usd": usage.cost})
