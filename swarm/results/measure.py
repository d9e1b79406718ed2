"""The parallelism of a run and its usage: figures for people, for `--json` and for the next plan.

All figures come from a `State`, of a finished run or of one that is still running. Computing them
takes O(n log n) in the number of steps.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, cast

from swarm.base.values import Frozen, Id, Json
from swarm.planning.graph import CriticalPath, makespan_bound
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.results.calls import in_flight, one_worker
from swarm.results.flags import Facts, Flag, FlagKind, find_flags
from swarm.results.timeline import Timeline
from swarm.results.waiting import Waiting, waiting_of
from swarm.spec.chat import Usage
from swarm.spec.task import Limits


class OnPath(Frozen):
    """A step on the critical path."""

    step: Id
    seconds: float
    share: float
    """Its share of the path, 0 to 1."""


class Parallelism(Frozen):
    """The parallelism of a run. Seconds are on the run's clock; a step's seconds are those of its
    attempts without what they waited for.

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
    """Seconds of all attempts, without waiting: those of calls and tools. It is not the time of one
    worker: an endpoint answers more slowly while it answers others as well."""
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
    calls_peak: int
    """Maximum number of calls that were being answered in parallel."""
    calls_mean: float
    """Average number of calls being answered, while at least one was."""
    answers_per_second: float | None
    """Answers per second, while at least one call was being answered. None without such seconds."""
    one_worker_seconds: float | None
    """Time of one worker, from calls that ran alone; see `swarm.results.calls`. None for a run that
    has failed, and if no call of a model ran alone."""
    is_estimated: bool
    """True if that time is an estimate, because some calls did not run alone."""
    speedup: float | None
    """That time divided by the duration. None if it is unknown; 1.0 if nothing took time."""
    ideal_speedup: float
    """Work divided by critical path: the most that the shape of the plan allows, if every worker is
    as fast as one alone. 1.0 if nothing took time."""
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


def measure(state: State) -> Parallelism:
    """Measure a run."""
    timeline = Timeline(state)
    path = timeline.longest(timeline.seconds)
    work, workers, width = timeline.work, _workers(state, timeline), timeline.width()
    bound = makespan_bound(work, path.seconds, workers)
    stages = _turns_by_stage(timeline)
    found = find_flags(Facts(timeline, path, state.t, workers))
    flight = in_flight(list(chain.from_iterable(s.calls for s in timeline.steps)))
    alone = None if _has_failed(state) else one_worker(_paid(timeline), work)
    return Parallelism(
        seconds=state.t,
        work_seconds=work,
        critical_path_seconds=path.seconds,
        bound_seconds=bound,
        bound_share=_ratio(state.t, bound),
        workers=workers,
        peak=width.peak,
        mean=width.mean,
        calls_peak=flight.peak,
        calls_mean=flight.mean,
        answers_per_second=flight.answers_per_second,
        one_worker_seconds=None if alone is None else alone.seconds,
        is_estimated=alone is not None and alone.is_estimated,
        speedup=None if alone is None else _ratio(alone.seconds, state.t),
        ideal_speedup=_ratio(work, path.seconds),
        critical_steps=sum(main + sub for main, sub in stages.values()),
        total_steps=sum(s.turns for s in timeline.steps),
        critical_path=path.steps,
        path=_shares(path, timeline.seconds),
        waiting=waiting_of(timeline),
        flags=tuple(dict.fromkeys(flag.kind for flag in found)),
        evidence=found,
    )


def _has_failed(state: State) -> bool:
    """Return whether a run has ended without a report: then nothing was done faster."""
    ended = state.finished
    return ended is not None and ended.report is None and ended.status != "done"


def _paid(timeline: Timeline) -> Iterator[StepState]:
    """Yield the steps whose attempts made their output, not the cache."""
    return (s for s in timeline.steps if not s.outcome.cached)


def _ratio(part: float, whole: float) -> float:
    return part / whole if part > 0 and whole > 0 else 1.0


def _workers(state: State, timeline: Timeline) -> int:
    """Return the maximum number of parallel attempts; the smaller one if a resume changed it.

    With `workers: auto` so many were allowed as were in parallel, and no fewer than a run starts with.
    """
    tasks = [started.task for started in (state.first, state.started) if started is not None]
    found = [count for task in tasks if (count := _workers_of(task)) is not None]
    return min(found, default=max(Limits().usual_workers, timeline.width().peak))


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


class Costs(Frozen):
    """The usage of a run, by step, agent and model."""

    run: Usage
    steps: dict[str, Usage]
    """Steps that made calls, in plan order."""
    agents: dict[str, Usage]
    models: dict[str, Usage]
    """By the model's own name."""
    aliases: dict[str, Usage]
    """By the name of the model in the task."""


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
        aliases={name: _priced(usage) for name, usage in state.usage_by_alias.items()},
    )


def _priced(usage: Usage) -> Usage:
    """Return the same usage, with 0 dollars instead of None if no token was used."""
    return usage.model_copy(update={"usd": usage.cost})
