"""A plan: the steps that a planner or the user proposes. `swarm.planning.lint` finds its errors."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from swarm.base.showing import Displayed
from swarm.base.values import Frozen, Id, Json, is_none
from swarm.spec.agent import Agent

PLANNER = "planner"
"""Name of the built-in role that writes plans."""
REDUCER = "reducer"
"""Name of the built-in role that writes the report."""
PLAN_STEP = "plan"
"""Id of the first step of a run whose task has no plan."""
ANSWER_STEP = "answer"
"""Id of the only step if one agent does the whole task."""
REDUCE_STEP = "reduce"
"""Id of the step that is added to a plan if several steps end it."""
TABLE_STEP = "table"
"""Id of the step that is added to a plan if it ends in rows and a table is wanted."""


SET_BY_RUN = ("item", "instance_of", "part", "partial_of", "length", "density", "judges", "redoes", "ballot")
"""Fields of a step that only the run sets: plans of users and planners may not have them."""

Combine = Literal["list", "last", "sections", "text", "table", "array", "majority", "checked"]
"""How the output of a step is made from the outputs of the steps that it was expanded into.

- `list`: all of them, as a list.
- `last`: that of the last one.
- `sections`: the text of the last one, a summary, then the others in order. For reports only.
- `text`: all texts in order.
- `table`: all rows, joined by key.
- `array`: the entries of all lists in order, what neighbours share once. For parts of a text.
- `majority`: the value that most of them have, else the one that a critic chose.
- `checked`: that of the last one that did the work; the others judged it.
"""

MergeKind = Literal["table", "list", "count", "text"]
"""How a step merges the outputs it needs without a model; see `swarm.attempt.merge`."""


class Part(Frozen):
    """The piece of a long text that a step reads. Other steps read the other pieces."""

    kind: Literal["input", "output"]
    name: str
    """Name of the input, or id of the step whose output is read in parts."""
    start: int
    """First byte of the piece, in UTF-8."""
    end: int
    """Byte after its last one."""
    sha256: str
    """Hash of the piece."""
    whole: str
    """Hash of the complete text. If it differs later, the text must be cut again."""
    own: int = 0
    """First byte that no earlier piece has: neighbours share the line or record before it."""
    head: int = 0
    """Bytes of the start of the text that are repeated above the piece: the head of a table."""
    lines: tuple[int, int] = (1, 1)
    """First and last line of its own bytes, from 1."""


ORIGINS = ("run", "task")
"""What added the first steps of a run, if no step did."""
RESERVED = frozenset({PLAN_STEP, *ORIGINS})
"""Ids that a plan may not use: they mean something else wherever the id of a step can stand."""


class Step(Frozen):
    """A step of a plan: an agent, a prompt and dependencies."""

    id: Id
    """Unique id; other steps and the report use it. Example: `find-sources`."""
    agent: Id = "worker"
    """Agent that runs the step. [default: worker]"""
    prompt: str = ""
    """Instruction. `{item}` and the task's parameters are inserted. Example: `Summarise {item} in
    one sentence.`"""
    needs: tuple[Id, ...] = ()
    """Ids of steps that must be done first; their outputs are passed in. [default: none]"""
    after: tuple[Id, ...] = ()
    """Ids of steps that must have ended first, done or not; outputs that exist are passed in.
    [default: none]"""
    inputs: tuple[str, ...] | None = None
    """Names or globs of the task inputs that the step reads. [default: all if the step depends on
    no other step and has no list in `each`, otherwise none]"""
    each: str | tuple[Json, ...] | None = None
    """One instance per item of a list, of the task's inputs (`inputs`), or of the output of a step
    (its id). The instances wait for that step and get their item of the list; they get the whole
    list only if `needs` names the step, too."""
    output: dict[str, Json] | None = None
    """JSON Schema of the answer. [default: the output of the agent]"""
    merge: MergeKind | None = Field(default=None, exclude_if=is_none)
    """Merge the outputs in `needs` and `after` without calling a model: `table` joins rows, `list`
    drops duplicates, `count` counts by value, `text` puts texts in order. [default: none]"""
    key: tuple[str, ...] | None = Field(default=None, min_length=1, exclude_if=is_none)
    """Fields that identify a row of a merged table or of votes, or that are counted. Example:
    `[name, year]`. [default: all fields]"""
    check: Id | dict[str, Json] | None = Field(default=None, exclude_if=is_none)
    """Agent that checks the output against its sources before other steps read it, such as
    `critic`; a Python function that the caller gives, by its name; or a JSON Schema that the output
    must match, too. Work that is contradicted is done again with the reasons, at most twice.
    [default: none]"""
    vote: int | None = Field(default=None, ge=2, le=9, exclude_if=is_none)
    """Number of independent attempts at the step: the majority decides its output, of a list or a
    table each entry and cell. Without a majority a critic chooses. [default: one attempt]"""
    open: bool | None = Field(default=None, exclude_if=is_none)
    """`true`: look something up in long inputs and outputs instead of reading all of them. The step
    sees the start and an outline of each, and opens the rest with `read` and `find`. [default: that
    of the agent]"""
    model: Id | None = None
    """Alias in `models:` of the task. [default: the model of the agent, else `default`]"""
    tools: tuple[str, ...] | None = None
    """Tools of the step, a subset of the agent's tools. [default: all of them]"""
    seconds: float | None = Field(default=None, ge=0, le=10_000_000_000)
    """Expected run time in seconds, for the order of steps and for estimates."""
    tokens: int | None = Field(default=None, ge=0, le=1_000_000_000)
    """Expected tokens, input and output, for estimates."""
    retries: int | None = Field(default=None, ge=0, le=100)
    """Maximum attempts after the first. [default: 1]"""
    optional: bool = False
    """If the step fails, steps that need it still run. [default: false]"""
    item: SkipJsonSchema[Json] = None
    """Item of an instance of an `each` step. Set by the run."""
    instance_of: SkipJsonSchema[Id | None] = None
    """Id of the `each` step of an instance. Set by the run."""
    part: SkipJsonSchema[Part | None] = Field(default=None, exclude_if=is_none)
    """Piece of a long text that the step reads. Set by the run."""
    partial_of: SkipJsonSchema[Id | None] = Field(default=None, exclude_if=is_none)
    """Id of the step for which this one does a share of the work. Set by the run."""
    length: SkipJsonSchema[int | None] = Field(default=None, ge=1, exclude_if=is_none)
    """Maximum tokens of the answer, sent as the output cap. Set by the run."""
    density: SkipJsonSchema[float | None] = Field(default=None, gt=0, exclude_if=is_none)
    """How many times as many tokens as estimated what it reads was taken to have. Set by the run."""
    judges: SkipJsonSchema[Id | None] = Field(default=None, exclude_if=is_none)
    """Id of the step whose work this one judges, or among whose votes it chooses. Set by the run."""
    redoes: SkipJsonSchema[Id | None] = Field(default=None, exclude_if=is_none)
    """Id of the contradicted work that this step does again. Set by the run."""
    ballot: SkipJsonSchema[int | None] = Field(default=None, ge=1, exclude_if=is_none)
    """Number of the vote, from 1. Set by the run."""


class Plan(Displayed, Frozen):
    """A plan: steps, and the specialists for them."""

    agents: tuple[Agent, ...] = ()
    """Agents for this plan only."""
    steps: tuple[Step, ...] = Field(min_length=1)
    """Steps in any order; `needs` and `after` of each hold its dependencies."""

    def __repr__(self) -> str:
        own = f", agents {', '.join(agent.name for agent in self.agents)}" if self.agents else ""
        return f"<Plan: {len(self.steps):,} steps{own}>"


PlanSource = str | Path | Plan | tuple[Step, ...] | Mapping[str, Json] | list[Json]
"""A plan of a Python program: a plan file, a `Plan`, steps, or a mapping or list as in a plan file."""


def sinks(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return the ids of the steps that no other step waits for, in plan order."""
    waited_for: set[str] = set()
    for step in steps:
        waited_for.update(before_of(step))
    return tuple(step.id for step in steps if step.id not in waited_for)


def before_of(step: Step) -> tuple[str, ...]:
    """Return the steps that must have ended before this one starts: `needs`, `after` and the step in `each`."""
    names = dict.fromkeys((*step.needs, *step.after))
    if isinstance(step.each, str) and step.each != "inputs":
        names[step.each] = None
    return tuple(names)


def reading_items_only(step: Step) -> Step:
    """Return a step whose instances do not read the whole list that they run over.

    Versions up to 0.1 added that list to `needs`. A plan that is unchanged since then is the same plan.
    """
    needs = tuple(name for name in step.needs if name != step.each)
    return step if needs == step.needs else step.model_copy(update={"needs": needs})


def closed(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the plan with one last step whose output can be the report.

    1. No step is last (a cycle), or one step is last and it has one output: the plan is unchanged.
    2. One of the last steps is a reducer: it also waits for the others.
    3. Otherwise a reducer is added after all last steps. This includes a single last step whose output is a list
       (`each`) or more steps (a planner).
    """
    last_ids = sinks(steps)
    is_last = frozenset(last_ids)
    last = [step for step in steps if step.id in is_last]
    if not last or (len(last_ids) == 1 and _has_one_output(last[0])):
        return steps
    reducers = [step for step in last if step.agent == REDUCER and step.each is None]
    if len(reducers) == 1:
        return _with_last(steps, reducers[0], last_ids)
    return (*steps, Step(id=free_id(steps, REDUCE_STEP), agent=REDUCER, after=last_ids, inputs=()))


def _has_one_output(step: Step) -> bool:
    return step.each is None and step.agent != PLANNER


def _with_last(steps: tuple[Step, ...], reducer: Step, last_ids: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the steps with a reducer that also waits for all other last steps."""
    others = tuple(each for each in last_ids if each != reducer.id)
    closing = reducer.model_copy(update={"after": (*reducer.after, *others)})
    return tuple(closing if step.id == closing.id else step for step in steps)


def free_id(steps: tuple[Step, ...], name: str) -> str:
    """Return the id of an added step: its name, with `-all` appended until it is free."""
    taken = {step.id for step in steps}
    while name in taken:
        name += "-all"
    return name


def role_of(step: Step) -> str:
    """Return who does a step, for people: its agent, or `merge: table` for a step without a model."""
    return step.agent if step.merge is None else f"merge: {step.merge}"


_GLOB = frozenset("*?[")
"""Characters that make a pattern of a name."""


def chosen(patterns: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that equal or match one of the patterns, in the order of `names`.

    A run asks this for each of its instances, so one name of a mapping is looked up, without a look at all others.
    """
    exact = frozenset(patterns)
    globs = tuple(pattern for pattern in patterns if not _GLOB.isdisjoint(pattern))
    if len(patterns) == 1 and not globs and isinstance(names, Mapping):
        return patterns if patterns[0] in names else ()
    return tuple(name for name in names if name in exact or any(fnmatchcase(name, glob) for glob in globs))
