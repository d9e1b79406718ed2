"""What a plan, or a run that is over, would take with so many workers: the same decisions, and no clock.

A simulation drives an `Scheduler` over a `State`, as `swarm.scheduling.dispatcher` does, but by a heap of the
times at which attempts end and pauses are over. It calls no model, waits for nothing and is the same each time for the
same seed, so it answers "what would 300 workers have given?" in the time it takes to decide.

A plan is simulated as it is written: no step is added to it. Where the length of a list is not known before a run,
`items` are assumed. Of a run, every step takes what its attempts took, pauses between them aside; one that never ran
takes no time, one that failed counts as done: it is what was paid for that is dispatched anew.
"""

import gc
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import exp, inf
from random import Random
from typing import Literal, NamedTuple

from swarm.base.errors import BugError, PlanError
from swarm.base.values import Json
from swarm.planning.graph import cycles
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State, StepState
from swarm.results.measure import cost
from swarm.results.timeline import Timeline
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.plan import Step, before_of
from swarm.spec.task import Limits

ITEMS = 10
"""Instances of an `each` step whose list is not known yet: about what a planner lists."""
DEFAULT_SECONDS = 10.0
"""Seconds of a step of which nothing is known: one answer of 500 tokens at the 50 a second of a served model."""
UNLIMITED: None = None
"""As many workers as there are steps."""
MOST_STEPS = 1_000_000
"""What a simulated run may have: what `limits.steps` may be at most."""
MOST_FLAWS = 20
"""Flaws of a plan that are named: a screenful."""

Latency = Callable[[Step, Random], float]
"""Draws the seconds of an attempt at a step."""

_DONE = Outcome(output=None)
_FAILED = e.Failure(kind="simulated", message="the simulation lets some attempts fail", may_help=True)


def planned_seconds(step: Step, random: Random) -> float:
    """Take the seconds a plan expects, else `DEFAULT_SECONDS`."""
    del random
    return DEFAULT_SECONDS if step.seconds is None else step.seconds


def fixed(seconds: float) -> Latency:
    """Let every attempt take so many seconds."""
    return lambda step, random: seconds


def lognormal(median: float, sigma: float) -> Latency:
    """Draw from a log-normal distribution: what calls of one kind to one model take is close to one.

    `median` is in seconds; `sigma` is the standard deviation of the logarithm, 0.8 where most are within 0.4 to 2.2
    times the median.
    """
    return lambda step, random: median * exp(random.gauss(0.0, sigma))


@dataclass(frozen=True)
class Course:
    """What is simulated: the steps a run begins with, and what becomes of them."""

    steps: tuple[Step, ...]
    latency: Latency = planned_seconds
    inputs: tuple[str, ...] | None = None
    """Names of the run's inputs, for `each: inputs`; None where they are not known."""
    items: int = ITEMS
    """Length of a list that is not known, at least 0."""
    spawned: Mapping[str, tuple[Step, ...]] = field(default_factory=dict[str, tuple[Step, ...]])
    """For a step, the steps its outcome adds."""
    by: Literal["run", "task"] = "task"
    is_drawn: bool = False
    """Whether the latency differs from seed to seed."""
    tokens_of: Callable[[Step], float] | None = None
    """Tokens of an attempt at a step, where they are known or expected."""
    usd_of: Callable[[Step], float | None] | None = None
    """Its price in US dollars; None where it is not known."""


def course_of(state: State) -> Course:
    """Take the course that a run took."""
    took = Timeline(state).seconds
    spawned: dict[str, tuple[Step, ...]] = {}
    for s in state.steps.values():
        if s.children and not s.expanded:
            spawned[s.id] = tuple(_as_expanded(state.steps[child], state) for child in s.children)
    first = tuple(_as_expanded(s, state) for s in state.steps.values() if s.by not in state.steps)
    by = "run" if any(s.by == "run" for s in state.steps.values()) else "task"
    tokens = {s.id: s.usage.tokens for s in state.steps.values()}
    costs = cost(state)
    usd: dict[str, float | None] = {name: spent.usd for name, spent in costs.steps.items()}
    return Course(
        first,
        lambda step, random: took.get(step.id, 0.0),
        spawned=spawned,
        by=by,
        tokens_of=lambda step: tokens.get(step.id, 0),
        usd_of=lambda step: usd.get(step.id, 0.0),
    )


def _as_expanded(s: StepState, state: State) -> Step:
    """Give the step of a run with the list it ran over in place of where the list came from."""
    step = s.step
    if step.each is None:
        return step
    items = tuple(state.steps[child].step.item for child in s.children) if s.expanded else ()
    return step.model_copy(update={"each": items, "needs": before_of(step), "after": ()})


def _by_any_input(step: Step) -> Step:
    """Let a step over inputs run over those it names, or over all there are, where it is not known what there is."""
    if step.each != "inputs" or step.inputs is None:
        return step
    if any(set("*?[") & set(name) for name in step.inputs):
        return step.model_copy(update={"inputs": None})
    return step.model_copy(update={"each": step.inputs})


@dataclass
class Draws:
    """The durations and failures of one seed. What was drawn once stays: widths are compared by the same draws."""

    latency: Latency
    failures: float = 0.0
    """Probability that an attempt fails, 0 to 1."""
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 - a simulation
        self._luck = Random(self.seed + 1)  # noqa: S311 - a simulation
        self._seconds: dict[str, float] = {}
        self._fails: dict[tuple[str, int], bool] = {}

    def seconds(self, step: Step) -> float:
        """Give the seconds of every attempt at a step."""
        found = self._seconds.get(step.id)
        if found is None:
            found = self._seconds[step.id] = self.latency(step, self._random)
        return found

    def fails(self, name: str, attempt: int) -> bool:
        """Whether an attempt at a step fails."""
        if self.failures <= 0:
            return False
        if (name, attempt) not in self._fails:
            self._fails[name, attempt] = self._luck.random() < self.failures
        return self._fails[name, attempt]

    def without_failures(self) -> "Draws":
        """Give the same durations, and no failure."""
        return Draws(lambda step, random: self.seconds(step), 0.0, self.seed)


@dataclass(frozen=True)
class Simulated:
    """One simulated run."""

    seconds: float
    """From the start to the end of the last attempt."""
    work_seconds: float
    """All attempts added up."""
    attempts: int
    state: State

    @property
    def is_done(self) -> bool:
        """Whether every step was done."""
        return all(s.good for s in self.state.steps.values())


class _End(NamedTuple):
    """A time at which something is due: an attempt ends, or (`attempt` 0) a pause."""

    at: float
    order: int
    name: str
    attempt: int


class _Shell:
    """What `swarm.scheduling.dispatcher` is to a scheduler, with a heap in place of a clock."""

    def __init__(self, course: Course, draws: Draws, workers: int | None, rules: Rules | None) -> None:
        self.state = State()
        self.work = 0.0
        self.attempts = 0
        self._course = course
        self._draws = draws
        self._workers = inf if workers is None else workers
        self._t = 0.0
        self._due: list[_End] = []
        lists = {step.each for step in self._all_steps() if isinstance(step.each, str)}
        self._lists = {name: [*range(course.items)] for name in lists if name != "inputs"}
        inputs = [f"input-{n}" for n in range(1, course.items + 1)] if course.inputs is None else course.inputs
        rules = rules or Rules(limits=Limits(steps=MOST_STEPS), inputs=tuple(inputs), seed=draws.seed)
        self.scheduler = Scheduler(self.state, self._emit, rules, self._output_of)

    def run(self) -> Simulated:
        self._emit(e.RunStarted(run="simulated", trace="", versions={}, task={}, agents=()))
        known = self._course.inputs is not None
        steps = self._course.steps if known else tuple(_by_any_input(step) for step in self._course.steps)
        self._emit(e.StepsAdded(by=self._course.by, steps=steps))
        scheduler, due = self.scheduler, self._due
        while True:
            while scheduler.running < self._workers and (s := scheduler.take()) is not None:
                self._start(s)
            if not due:
                break
            self._t, _, name, attempt = heappop(due)
            if attempt:
                self._end(name, attempt)
            else:
                scheduler.wake(name)
        self._check_the_end()
        seconds = max((s.spans[-1].end or 0.0 for s in self.state.steps.values() if s.spans), default=0.0)
        self._emit(scheduler.finish())
        return Simulated(seconds, self.work, self.attempts, self.state)

    def _start(self, s: StepState) -> None:
        attempt = s.attempt + 1
        seconds = self._draws.seconds(s.step)
        self.work += seconds
        self.attempts += 1
        self._emit(e.StepStarted(step=s.id, attempt=attempt, span="", model=""))
        heappush(self._due, _End(self._t + seconds, s.order, s.id, attempt))

    def _end(self, name: str, attempt: int) -> None:
        if self._draws.fails(name, attempt):
            pause = self.scheduler.failed(name, attempt, _FAILED)
            if pause is not None:
                heappush(self._due, _End(self._t + pause, 0, name, 0))
            return
        spawned = self._course.spawned.get(name)
        outcome = _DONE if spawned is None else Outcome(output=None, spawned=spawned)
        self.scheduler.finished(name, attempt, outcome)

    def _emit(self, event: e.Stamped) -> None:
        # Nobody has seen it yet, so the stamp may be put in place; a copy would cost as much as the event.
        vars(event)["t"] = self._t
        self.state.apply(event)

    def _output_of(self, s: StepState) -> Json:
        return self._lists.get(s.id)

    def _all_steps(self) -> Iterable[Step]:
        yield from self._course.steps
        for steps in self._course.spawned.values():
            yield from steps

    def _check_the_end(self) -> None:
        try:
            over = self.scheduler.over
        except BugError:
            found = cycles(self._course.steps)
            if not found:
                raise
            raise PlanError(*(f"steps wait for each other: {' → '.join(one)}" for one in found)) from None
        assert over


def simulate(
    course: Course, *, workers: int | None = UNLIMITED, draws: Draws | None = None, rules: Rules | None = None
) -> Simulated:
    """Simulate one run. `rules` are those of the scheduler where they matter beyond the number of workers.

    Raises `PlanError` where the steps of a plan wait for each other, or for a step that is not there.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; at least 1 is needed")
    _check_names(course)
    with _collector_off():
        return _Shell(course, draws or Draws(course.latency), workers, rules).run()


@contextmanager
def _collector_off() -> Generator[None]:
    """Put the cycle collector off for a moment.

    A simulation makes a million objects that hold no cycles, and looking for some in all of them, again and again, is
    what made its time grow faster than its steps.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _check_names(course: Course) -> None:
    names = Counter(step.id for step in course.steps)
    flaws = [f"{count} steps have the id {name!r}" for name, count in names.items() if count > 1]
    flaws += [
        f"step {step.id} waits for {before!r}, and there is no such step"
        for step in course.steps
        for before in before_of(step)
        if before not in names
    ]
    if flaws:
        raise PlanError(*flaws[:MOST_FLAWS])
