"""The simulation with several worker counts ("widths") and several random trials.

Figures of several trials are percentiles by nearest rank (Hyndman and Fan 1996, definition 1). In
one trial, all widths have the same durations and the same failures, so only the number of workers
differs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal, NamedTuple

from swarm.base.showing import Displayed
from swarm.base.values import Frozen
from swarm.forecast.simulate import Course, Draws, Simulated, simulate
from swarm.planning.graph import makespan_bound

PLACES = 6
"""Decimal places of seconds. Sums of floats are reproducible down to microseconds."""


class Spread(Frozen):
    """The distribution of a figure over random trials."""

    min: float
    p10: float
    p50: float
    p90: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the distribution of the figures of at least one trial."""
        ranked = sorted(round(value, PLACES) for value in values)
        return cls(
            min=ranked[0],
            p10=_percentile(ranked, 10),
            p50=_percentile(ranked, 50),
            p90=_percentile(ranked, 90),
            max=ranked[-1],
        )


def _percentile(ranked: Sequence[float], percent: int) -> float:
    return ranked[max(0, ceil(len(ranked) * percent / 100) - 1)]


class Width(Frozen):
    """The figures of one worker count."""

    workers: int | Literal["unlimited"]
    seconds: float
    """The makespan; of several trials, the median."""
    bound_seconds: float
    """Graham's bound of the makespan if nothing fails; of several trials, the median."""
    speedup: float
    """Work divided by makespan, compared with one worker. 1.0 if nothing takes time."""
    spread: Spread
    """The makespan over all trials."""
    done: float
    """Share of trials in which every step was done, from 0 to 1."""
    attempts: float
    """Mean attempts per trial, including failed ones."""
    tokens: float | None = None
    """Tokens of all attempts, or None if they are unknown."""
    usd: float | None = None
    """Price of all attempts in US dollars, or None if it is unknown."""


class Widths(Displayed, Frozen):
    """The figures of a plan or a run with several worker counts."""

    work_seconds: float
    """Sum of all steps with one attempt each; of several trials, the median."""
    critical_path_seconds: float
    """The longest chain of steps; of several trials, the median."""
    steps: int
    """Steps that run, including instances."""
    seeds: int
    """Number of random trials: 1 if nothing is random."""
    widths: tuple[Width, ...]


@dataclass
class _Row:
    seconds: list[float] = field(default_factory=list[float])
    bounds: list[float] = field(default_factory=list[float])
    speedups: list[float] = field(default_factory=list[float])
    done: int = 0
    attempts: int = 0

    def add(self, run: Simulated, whole: Simulated, workers: int | None) -> None:
        """Add a run of one trial. `whole` is the same without failures and limits on workers."""
        work, path = whole.work_seconds, whole.seconds
        self.seconds.append(run.seconds)
        self.bounds.append(path if workers is None else makespan_bound(work, path, workers))
        self.speedups.append(run.work_seconds / run.seconds if run.seconds > 0 else 1.0)
        self.done += run.is_done
        self.attempts += run.attempts


class _Spent(NamedTuple):
    """The usage of all steps with one attempt each."""

    steps: int
    tokens: float | None
    usd: float | None


def simulate_widths(
    course: Course,
    workers: Sequence[int | None],
    *,
    failures: float = 0.0,
    seeds: int = 1,
) -> Widths:
    """Simulate a course with several worker counts. Trials have the seeds 0, 1, 2 ….

    `failures` is the probability that an attempt fails, from 0 to 1. A failed attempt is retried as
    the plan says, and each retry is charged in proportion. Raise the errors of `simulate`.
    """
    rows = [_Row() for _ in workers]
    works: list[float] = []
    paths: list[float] = []
    spent = _Spent(0, None, None)
    seeds = seeds if course.is_drawn or failures > 0 else 1
    for seed in range(seeds):
        draws = Draws(course.latency, failures, seed)
        whole = simulate(course, draws=draws.without_failures())
        works.append(whole.work_seconds)
        paths.append(whole.seconds)
        spent = _spent(course, whole) if not seed else spent
        for row, width in zip(rows, workers, strict=True):
            same = width is None and failures <= 0
            row.add(whole if same else simulate(course, workers=width, draws=draws), whole, width)
    return Widths(
        work_seconds=Spread.of(works).p50,
        critical_path_seconds=Spread.of(paths).p50,
        steps=spent.steps,
        seeds=seeds,
        widths=tuple(_width(width, row, seeds, spent) for width, row in zip(workers, rows, strict=True)),
    )


def _spent(course: Course, whole: Simulated) -> _Spent:
    """Return the usage of all steps with one attempt each.

    It is None if it is unknown for one step.
    """
    ran = [s.step for s in whole.state.real_steps() if s.spans]
    tokens = None if course.tokens_of is None else sum(map(course.tokens_of, ran))
    prices = [None] if course.usd_of is None else [course.usd_of(step) for step in ran]
    known = [price for price in prices if price is not None]
    return _Spent(len(ran), tokens, sum(known) if len(known) == len(prices) else None)


def _width(workers: int | None, row: _Row, seeds: int, spent: _Spent) -> Width:
    spread = Spread.of(row.seconds)
    again = row.attempts / seeds / spent.steps if spent.steps else 1.0
    return Width(
        workers="unlimited" if workers is None else workers,
        seconds=spread.p50,
        bound_seconds=Spread.of(row.bounds).p50,
        speedup=Spread.of(row.speedups).p50,
        spread=spread,
        done=row.done / seeds,
        attempts=row.attempts / seeds,
        tokens=None if spent.tokens is None else round(spent.tokens * again, 1),
        usd=None if spent.usd is None else round(spent.usd * again, PLACES),
    )
