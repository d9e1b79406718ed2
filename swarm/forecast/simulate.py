"""The simulation of a plan or a finished run: the same decisions, without a clock.

A simulation drives a `Scheduler` over a `State`, as `swarm.scheduling.dispatcher` does. In place of
a clock it has a heap of the times at which attempts and pauses end. It calls no model, does not
wait, and gives the same result for the same seed. So "how long would it take with 300 workers?" is
answered in the time of the decisions.

A plan is simulated as written: no step is added. If the length of a list is unknown before a run,
`items` are assumed. In a run, every step takes the time of its attempts, without the pauses between
them. A step that never ran takes no time. A failed step counts as done, because the simulation
schedules the work that was paid for.
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
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.results.measure import cost
from swarm.results.timeline import Timeline
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.plan import Step, before_of
from swarm.spec.task import Limits

ITEMS = 10
"""Assumed instances of an `each` step whose list is not known yet: a typical list of a planner."""
DEFAULT_SECONDS = 10.0
"""Seconds of a step without any information: an answer of 500 tokens at 50 tokens per second."""
UNLIMITED: None = None
"""The worker count that gives every ready step a worker."""
MOST_STEPS = 1_000_000
"""Maximum steps of a simulated run: the maximum of `limits.steps`."""
MOST_PROBLEMS = 20
"""Maximum problems of a plan in one error: one screen."""

Latency = Callable[[Step, Random], float]
"""A function that returns the seconds of an attempt at a step, random or not."""

_DONE = Outcome(output=None)
_FAILED = e.Failure(kind="simulated", message="the simulation lets some attempts fail", may_help=True)


def planned_seconds(step: Step, random: Random) -> float:
    """Return the `seconds` of the step, else `DEFAULT_SECONDS`; 0 for a step that merges outputs."""
    del random
    if step.merge is not None:
        return 0.0
    return DEFAULT_SECONDS if step.seconds is None else step.seconds


def fixed(seconds: float) -> Latency:
    """Return a latency that is the same for every attempt."""
    return lambda step, random: seconds


def lognormal(median: float, sigma: float) -> Latency:
    """Return a latency with a log-normal distribution, as similar calls to one model have.

    `median` is in seconds. `sigma` is the standard deviation of the logarithm: with 0.8, most
    values are within 0.4 to 2.2 times the median.
    """
    return lambda step, random: median * exp(random.gauss(0.0, sigma))


@dataclass(frozen=True)
class Course:
    """The steps to simulate, with their durations and the steps they spawn."""

    steps: tuple[Step, ...]
    latency: Latency = planned_seconds
    inputs: tuple[str, ...] | None = None
    """Names of the run's inputs, for `each: inputs`, or None if they are unknown."""
    items: int = ITEMS
    """Assumed length of a list that is not known yet, at least 0."""
    spawned: Mapping[str, tuple[Step, ...]] = field(default_factory=dict[str, tuple[Step, ...]])
    """By step id, the steps that its outcome spawns."""
    by: Literal["run", "task"] = "task"
    is_drawn: bool = False
    """True if the latency depends on the seed."""
    tokens_of: Callable[[Step], float] | None = None
    """Tokens of an attempt at a step, or None if they are unknown for all steps."""
    usd_of: Callable[[Step], float | None] | None = None
    """Price of an attempt in US dollars. It returns None if the price is unknown."""


def course_of(state: State) -> Course:
    """Return the course of a finished run."""
    took = Timeline(state).seconds
    spawned: dict[str, tuple[Step, ...]] = {}
    for s in state.steps.values():
        # A step that was expanded because of its size takes no time itself, like one whose outcome spawns steps.
        if s.children and (s.kind != "stand_in" or s.step.each is None):
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
    """Return the step of a run with its list itself in place of the source of the list."""
    step = s.step
    if step.each is None:
        return step
    items = tuple(state.steps[child].step.item for child in s.children) if s.kind == "stand_in" else ()
    return step.model_copy(update={"each": items, "needs": before_of(step), "after": ()})


def _by_any_input(step: Step) -> Step:
    """Return a step over inputs as a step over its list of names, if the inputs are unknown."""
    if step.each != "inputs" or step.inputs is None:
        return step
    if any(set("*?[") & set(name) for name in step.inputs):
        return step.model_copy(update={"inputs": None})
    return step.model_copy(update={"each": step.inputs})


@dataclass
class Draws:
    """The random durations and failures of one seed.

    They are drawn once and then stored, so that all worker counts are compared with the same ones.
    """

    latency: Latency
    failures: float = 0.0
    """Probability that an attempt fails, from 0 to 1."""
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 - a simulation
        self._luck = Random(self.seed + 1)  # noqa: S311 - a simulation
        self._seconds: dict[str, float] = {}
        self._fails: dict[tuple[str, int], bool] = {}

    def seconds(self, step: Step) -> float:
        """Return the seconds of every attempt at a step."""
        found = self._seconds.get(step.id)
        if found is None:
            found = self._seconds[step.id] = self.latency(step, self._random)
        return found

    def fails(self, name: str, attempt: int) -> bool:
        """Return whether an attempt at a step fails."""
        if self.failures <= 0:
            return False
        if (name, attempt) not in self._fails:
            self._fails[name, attempt] = self._luck.random() < self.failures
        return self._fails[name, attempt]

    def without_failures(self) -> "Draws":
        """Return the same durations without failures."""
        return Draws(lambda step, random: self.seconds(step), 0.0, self.seed)


@dataclass(frozen=True)
class Simulated:
    """The result of one simulated run."""

    seconds: float
    """Time from the start to the end of the last attempt."""
    work_seconds: float
    """Sum of all attempts."""
    attempts: int
    state: State

    @property
    def is_done(self) -> bool:
        """True if every step is done."""
        return all(s.good for s in self.state.steps.values())


class _End(NamedTuple):
    """The time at which an attempt ends, or a pause if `attempt` is 0."""

    at: float
    order: int
    name: str
    attempt: int


class _Shell:
    """A dispatcher with a heap of times in place of a clock."""

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
        assumed = tuple(f"input-{n}" for n in range(1, course.items + 1))
        inputs = assumed if course.inputs is None else course.inputs
        rules = rules or Rules(limits=Limits(steps=MOST_STEPS), inputs=inputs, seed=draws.seed)
        self.scheduler = Scheduler(self.state, self._emit, rules, self._output_of)

    def run(self) -> Simulated:
        self._emit(e.RunStarted(run="simulated", trace="", versions={}, task={}, agents=()))
        steps = self._course.steps
        if self._course.inputs is None:
            steps = tuple(_by_any_input(step) for step in steps)
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
        ends = (s.spans[-1].end or 0.0 for s in self.state.steps.values() if s.spans)
        seconds = max(ends, default=0.0)
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
        # The event is not shared yet, so it can be changed. A copy would cost as much as the event.
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
            raise PlanError(*(f"cyclic dependency: {' → '.join(one)}" for one in found)) from None
        assert over


def simulate(
    course: Course,
    *,
    workers: int | None = UNLIMITED,
    draws: Draws | None = None,
    rules: Rules | None = None,
) -> Simulated:
    """Simulate one run. `rules` are the rules of the scheduler except the number of workers.

    Raise `PlanError` if the steps of a plan are cyclic or need unknown steps.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}, but must be at least 1")
    _check_names(course)
    with _collector_off():
        return _Shell(course, draws or Draws(course.latency), workers, rules).run()


@contextmanager
def _collector_off() -> Generator[None]:
    """Turn the cycle collector off in the block.

    A simulation creates a million objects without cycles. Repeated searches for cycles in all of
    them would make its time grow faster than the number of steps.
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
    problems = [f"{count} steps have the id {name!r}" for name, count in names.items() if count > 1]
    for step in course.steps:
        unknown = [before for before in before_of(step) if before not in names]
        problems += [f"step {step.id} needs the unknown step {before!r}" for before in unknown]
    if problems:
        raise PlanError(*problems[:MOST_PROBLEMS])
