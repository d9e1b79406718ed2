"""A plan: the steps a planner, or the user, proposes. What is wrong with one is found by `swarm.planning.lint`."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from swarm.base.values import Frozen, Id, Json
from swarm.spec.agent import Agent

PLANNER = "planner"
"""The role that answers with a plan."""
REDUCER = "reducer"
"""The role that writes the report."""
PLAN_STEP = "plan"
"""The id of the first step of a run that has no plan of its own."""
ANSWER_STEP = "answer"
"""The id of the only step, if one agent does the whole task."""
REDUCE_STEP = "reduce"
"""The id of the step that is added when several steps end a plan."""


class Step(Frozen):
    """One node of the graph: who does what, after what."""

    id: Id
    """Unique in the run. It is how other steps and the report refer to this one."""
    agent: Id = "worker"
    """A role of the run."""
    prompt: str = ""
    """What to do. `{item}` and the task's `{parameters}` are filled in; nothing else is a template."""
    needs: tuple[Id, ...] = ()
    """Steps that must be done first; their outputs are passed in."""
    after: tuple[Id, ...] = ()
    """Steps that must be over first, done or not; what they did give is passed in."""
    inputs: tuple[str, ...] | None = None
    """Which of the task's inputs it sees: names or globs. Default: all without `needs`, none with."""
    each: str | tuple[Json, ...] | None = None
    """One instance per item: a list, `inputs`, or the id of a step whose output is a list."""
    output: dict[str, Json] | None = None
    """A JSON Schema for the answer. Default: what the agent says, else text."""
    model: Id | None = None
    """An alias of the task's `models:`. Default: what the agent says, else `default`."""
    tools: tuple[str, ...] | None = None
    """A subset of the agent's tools. Default: all of them."""
    seconds: float | None = Field(default=None, ge=0, le=10_000_000_000)
    """How long it is expected to take."""
    tokens: int | None = Field(default=None, ge=0, le=1_000_000_000)
    """How many tokens it is expected to take, input and output."""
    retries: int | None = Field(default=None, ge=0, le=100)
    """Attempts after the first. Default 1."""
    optional: bool = False
    """Whether it may fail without hurting what needs it."""
    item: SkipJsonSchema[Json] = None
    """Of an instance of an `each` step: its item. Not for plans."""
    instance_of: SkipJsonSchema[Id | None] = None
    """Of an instance of an `each` step: that step. Not for plans."""


class Plan(Frozen):
    """Steps, and the specialists made for them."""

    agents: tuple[Agent, ...] = ()
    """Roles made for this run."""
    steps: tuple[Step, ...] = Field(min_length=1)
    """In any order; what each waits for is in its `needs` and `after`."""


def sinks(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Name the steps nothing else waits for, in plan order."""
    waited_for = {before for step in steps for before in before_of(step)}
    return tuple(step.id for step in steps if step.id not in waited_for)


def before_of(step: Step) -> tuple[str, ...]:
    """Name every step that must be over before this one starts: `needs`, `after` and the step `each` runs over."""
    names = dict.fromkeys((*step.needs, *step.after))
    if isinstance(step.each, str) and step.each != "inputs":
        names[step.each] = None
    return tuple(names)


def closed(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Make a plan end in one step whose output can be the report.

    A reducer that is one of several ends waits for the others too. Otherwise a reducer is added after every end, and
    also after a lone end that gives a list (`each`) or more steps (a planner).
    """
    ends = sinks(steps)
    last = next(step for step in steps if step.id == ends[0]) if len(ends) == 1 else None
    if not ends or (last is not None and last.each is None and last.agent != PLANNER):
        return steps
    reducers = [step for step in steps if step.id in ends and step.agent == REDUCER and step.each is None]
    if len(reducers) == 1:
        others = tuple(end for end in ends if end != reducers[0].id)
        closing = reducers[0].model_copy(update={"after": (*reducers[0].after, *others)})
        return tuple(closing if step.id == closing.id else step for step in steps)
    taken = {step.id for step in steps}
    name = REDUCE_STEP
    while name in taken:
        name += "-all"
    return (*steps, Step(id=name, agent=REDUCER, after=ends, inputs=()))


def chosen(patterns: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    """Pick the inputs that names or globs mean, in the order of `names`."""
    return tuple(name for name in names if any(name == p or fnmatchcase(name, p) for p in patterns))
