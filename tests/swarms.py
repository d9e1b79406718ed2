"""What several tests need: graphs of steps that only sleep, run in virtual time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import anyio
from trio.testing import MockClock

from swarm.attempt.types import Attempt, Note
from swarm.base.errors import AttemptError
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.agent import Agent
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits

WORKER = Agent(name="worker", instructions="Work.")


def steps(text: str) -> tuple[Step, ...]:
    """Write a graph in one line: `a b:a c:a,b d:b+c` - `:` needs, `+` after."""
    made: list[Step] = []
    for word in text.split():
        name, _, before = word.partition(":")
        needs, _, after = before.partition("+")
        made.append(
            Step(id=name, needs=tuple(filter(None, needs.split(","))), after=tuple(filter(None, after.split(","))))
        )
    return tuple(made)


@dataclass
class Sleeper:
    """An executor whose attempts sleep, and give what a table says: an output, an outcome, or an exception."""

    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    gives: Mapping[str, Any] = field(default_factory=dict[str, Any])
    log: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    """Steps in the order they began, and when."""
    running: int = 0
    peak: int = 0

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Sleep, then give."""
        del note
        name = attempt.step.id
        self.log.append((name, anyio.current_time()))
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await anyio.sleep(self.seconds.get(name, 1.0))
        finally:
            self.running -= 1
        given = self.gives.get(name, f"output of {name}")
        script = cast("list[Any]", given) if isinstance(given, list) else []
        if script and isinstance(script[0], Exception | Outcome):
            given = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, Outcome) else Outcome(output=given)


@dataclass
class Ran:
    """A run that is over."""

    state: State
    events: list[e.Stamped]
    sleeper: Sleeper
    makespan: float

    @property
    def statuses(self) -> dict[str, str]:
        """Every step's status."""
        return {name: str(s.status) for name, s in self.state.steps.items()}

    def began(self, name: str) -> list[float]:
        """When each attempt at a step began, from the start of the run."""
        first = self.sleeper.log[0][1]
        return [round(t - first, 6) for each, t in self.sleeper.log if each == name]


class Emitter:
    """Stamps events with the virtual clock and applies them to a state."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.events: list[e.Stamped] = []
        self._zero = anyio.current_time()

    def __call__(self, event: e.Stamped) -> None:
        """Stamp, keep, apply."""
        stamped = event.model_copy(update={"seq": len(self.events) + 1, "t": anyio.current_time() - self._zero})
        self.events.append(stamped)
        self.state.apply(stamped)


def simple_attempt(s: StepState) -> Attempt:
    """Make an attempt with nothing in it but the step."""
    return Attempt(run="test", step=s.step, attempt=s.attempt + 1, agent=WORKER, span="0" * 16)


async def run_steps(
    graph: Iterable[Step],
    sleeper: Sleeper,
    rules: Rules | None = None,
    meanwhile: Callable[[Dispatcher], Any] | None = None,
) -> Ran:
    """Run a graph under the real scheduler; `meanwhile` is a coroutine function that is given it."""
    state = State()
    emit = Emitter(state)
    emit(e.RunStarted(run="test", trace="0" * 32, versions={}, task={}, agents=(WORKER,)))
    emit(e.StepsAdded(by="task", steps=tuple(graph)))
    scheduler = Scheduler(state, emit, rules or Rules(), lambda s: s.outcome.output)
    scheduler = Dispatcher(scheduler, sleeper, simple_attempt, emit)
    began = anyio.current_time()
    beside = () if meanwhile is None else (lambda: meanwhile(scheduler),)
    await scheduler.run(*beside)
    return Ran(state, emit.events, sleeper, anyio.current_time() - began)


def run_virtually(graph: Iterable[Step], sleeper: Sleeper, rules: Rules | None = None) -> Ran:
    """Run a graph in virtual time from a test that is not async (a hypothesis example, one of many seeds)."""
    return anyio.run(
        run_steps,
        graph,
        sleeper,
        rules,
        backend="trio",
        backend_options={"clock": MockClock(autojump_threshold=0)},
    )


def workers(count: int, **more: Any) -> Rules:
    """Make rules with so many workers."""
    return Rules(limits=Limits(workers=count, **more))


def layered(seed: int, count: int, width: int, sigma: float = 0.8) -> tuple[tuple[Step, ...], dict[str, float]]:
    """Draw a layered graph with log-normal durations; each step needs one to three of the layer before."""
    random = Random(seed)
    layer: list[str] = []
    before: list[str] = []
    made: list[Step] = []
    seconds: dict[str, float] = {}
    for n in range(count):
        name = f"s{n}"
        needs = random.sample(before, min(len(before), random.randint(1, 3)))
        seconds[name] = random.lognormvariate(0, sigma)
        made.append(Step(id=name, needs=tuple(needs), seconds=seconds[name]))
        layer.append(name)
        if len(layer) >= random.randint(1, width):
            before, layer = layer, []
    return tuple(made), seconds


def critical_path(graph: Iterable[Step], seconds: Mapping[str, float]) -> float:
    """Give the longest path by brute force of a recurrence, apart from the package's own way."""
    ends: dict[str, float] = {}
    for step in graph:  # every graph here lists a step after those it needs
        ends[step.id] = seconds[step.id] + max((ends[n] for n in step.needs), default=0.0)
    return max(ends.values(), default=0.0)


__all__ = ["AttemptError", "Plan", "Ran", "Sleeper", "critical_path", "layered", "run_steps", "run_virtually", "steps"]
