"""All that a run needs, found and checked before anything is spent."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from swarm.base.errors import PlanError, Problem, TaskError
from swarm.base.redaction import Redactor
from swarm.budget.prices import check_prices, priced
from swarm.endpoints import Endpoint
from swarm.endpoints.choose import Choice, choose
from swarm.endpoints.route import Routes, check_models, outside_pools, routes_of, single
from swarm.endpoints.wire.learnt import FILE as LEARNT
from swarm.planning.lint import Linted, lint
from swarm.record.cache import Cache
from swarm.record.events import RunStarted
from swarm.record.state import State, StepState
from swarm.scheduling.assign import Assigner, RunResources
from swarm.spec.agent import Agent
from swarm.spec.files import load_agents, load_task, load_wording, locate, read_inputs, read_plan, secrets_of
from swarm.spec.labels import DEFAULT, LARGE, Access, medium_of, reach
from swarm.spec.plan import ANSWER_STEP, PLAN_STEP, PLANNER, Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.spec.yaml.strict import Document
from swarm.tools import Tool, Toolbox
from swarm.tools.functions import tool as as_tool

PLACEHOLDER = "unset"
TEST_DOUBLE = "an endpoint object of the caller's"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a caller may say beside the task."""

    endpoint: Endpoint | str | None = None
    """A base URL, a provider's name, `offline`, or an object with the verb `complete`."""
    model: str | None = None
    """The model's name at that endpoint."""
    workers: int | None = None
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Limits by name, over those of the task."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters by name, over those of the task."""
    plan: str | Path | Plan | None = None
    """A plan, or the name of a plan file: the planner is skipped."""
    tools: Sequence[Callable[..., Any] | Tool] = ()
    """Python functions the run grants."""
    runs: str | Path | None = None
    """Where run folders are made; `.swarm/runs` beside the task by default."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """What `${NAME}` in `models:` reads, and where a provider's key may be."""
    text: str | None = None
    """The task file's text, where it is not in a file."""
    cache: bool = True
    """Whether finished steps of earlier runs of the project are taken from its cache, and kept there."""
    models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    """Models where neither the task nor `endpoint` names any: those that a recorded run chose."""
    preflight: bool = True
    """Whether, before anything is paid for, models that will be needed later are looked at."""
    needs_keys: bool = True
    """Whether a variable that is unset is an error; not where no call will be made."""


@dataclass(frozen=True)
class Prepared:
    """A task with all it names, read and checked."""

    task: Task
    choice: Choice
    agents: Mapping[str, Agent]
    toolbox: Toolbox
    resources: RunResources
    redactor: Redactor
    steps: tuple[Step, ...]
    """The first steps: the planner's, or those of the plan."""
    linted: Linted | None
    """What was found in a plan that was given; None where a planner will make one."""
    endpoint: Endpoint | None
    """The caller's own, used for every model."""
    warnings: tuple[str, ...]
    routes: Routes
    """The models as they are served, with their prices."""
    source: str = ""
    """The task's file, where it came from one."""

    @property
    def roles(self) -> tuple[Agent, ...]:
        """Every role the run begins with, those of a given plan included."""
        return (*self.agents.values(), *(() if self.linted is None else self.linted.agents))

    @property
    def cache(self) -> Cache:
        """The project's cache."""
        return Cache(self.task.folder / ".swarm" / "cache")

    @property
    def learnt(self) -> Path:
        """Where it is remembered what endpoints would not have."""
        return self.cache.folder / LEARNT

    @property
    def runs(self) -> Path:
        """Where run folders are made by default."""
        return self.task.folder / ".swarm" / "runs"


def read_task(source: str | Path | Task, options: Options) -> Task:
    """Read a task and put the caller's overrides in place. Raises `TaskError` or `PlanError`."""
    limits = dict(options.limits)
    if options.workers is not None:
        limits["workers"] = options.workers
    if not isinstance(source, Task):
        task = load_task(
            source,
            environ=options.environ,
            text=options.text,
            parameters=_written(options.parameters),
            limits=_written(limits),
        )
    else:
        task = _overridden(source, limits, options.parameters)
    plan = options.plan if options.plan is not None else task.plan
    if isinstance(plan, str | Path):
        base = Path() if options.plan is not None else task.folder
        file = read_plan(base / plan, steps=task.limits.steps)
        task, plan = task.model_copy(update={"plan_origin": file.document}), file.plan
    elif isinstance(plan, tuple):
        plan = Plan(steps=plan)
    if task.goal is None and plan is None:
        raise TaskError(Problem("a task needs a `goal`, or a `plan`", key="goal"))
    return task.model_copy(update={"plan": plan})


def _overridden(task: Task, limits: Mapping[str, Any], parameters: Mapping[str, Any]) -> Task:
    read = load_task("", environ={}, text="goal: x", limits=_written(limits)).limits
    given = {name: getattr(read, name) for name in limits}
    return task.model_copy(
        update={
            "limits": Limits.model_validate({**task.limits.model_dump(), **given}),
            "parameters": {**task.parameters, **parameters},
        }
    )


def _written(values: Mapping[str, Any]) -> dict[str, str]:
    """Write values as the scalars of a task file."""
    return {name: "null" if value is None else str(value) for name, value in values.items()}


class AnyVariable(dict[str, str]):
    """Environment for runs that make no call: an unset variable has its default, else a placeholder."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return super().get(name) or PLACEHOLDER

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable; if it is unset or empty, the default, or the placeholder if there is none."""
        return super().get(name) or (PLACEHOLDER if default is None else default)


async def nothing_there(base_url: str) -> None:
    """Answer a probe for a local server without looking."""
    del base_url


async def prepare(source: str | Path | Task, options: Options) -> Prepared:
    """Find and check all that a run needs; nothing is spent, nothing is written. Raises `InputError`s."""
    task = read_task(source, options)
    if not task.models and options.models:
        task = task.model_copy(update={"models": dict(options.models)})
    own = options.endpoint if not isinstance(options.endpoint, str | None) else None
    if own is not None:
        models = task.models or {"default": Model(endpoint="offline", takes=("image", "audio", "video"))}
        choice = Choice(models, TEST_DOUBLE)
    else:
        endpoint = options.endpoint if isinstance(options.endpoint, str) else None
        probe = None if options.needs_keys else nothing_there
        choice = await choose(
            task.models,
            endpoint=endpoint,
            model=options.model,
            environ=options.environ,
            probe=probe,
            folder=task.folder,
        )
    check_models(choice.models, custom_endpoint=own is not None)
    routes = priced(routes_of(choice.models), custom_endpoint=own is not None)
    agents, wording, inputs = load_agents(task), load_wording(task), read_inputs(task)
    box = toolbox(options.tools, task)
    served = task.model_copy(update={"models": dict(choice.models)})
    resources = RunResources(
        task=served,
        inputs=inputs,
        wording=wording,
        settings={alias: dict(route.answer_settings) for alias, route in routes.items()},
        contexts={alias: model.context for alias, model in choice.models.items() if model.context},
        access=access_of(routes, task.labels),
        outside_pools=outside_pools(routes),
        tools=tuple(each.name for each in box.tools),
        tool_labels=box.labels,
        tools_key=box.key,
    )
    steps, linted = _first_steps(task, agents, resources)
    check_prices(task.limits, routes)
    return Prepared(
        task=served,
        choice=choice,
        agents=agents,
        toolbox=box,
        resources=resources,
        redactor=Redactor(secrets_of(served)),
        steps=steps,
        linted=linted,
        endpoint=own,
        warnings=task.warnings,
        routes=routes,
        source=_file_of(source, options),
    )


def access_of(routes: Routes, labels: Mapping[str, Iterable[str]]) -> Access:
    """Return what each model may see and accepts. A pool in `labels` stands for the models behind it."""
    members = {alias: route.members for alias, route in routes.items()}
    takes = {
        alias: (*route.takes, *(f"{LARGE} {medium}" for medium in route.stores))
        for alias, route in single(routes).items()
        if route.takes
    }
    return Access(labels=reach(labels, members), members=members, takes=takes)


def _file_of(source: str | Path | Task, options: Options) -> str:
    return "" if isinstance(source, Task) or options.text is not None else str(Path(source).resolve())


def toolbox(functions: Iterable[Callable[..., Any] | Tool], task: Task) -> Toolbox:
    """Put the run's tools in a box. Raises `TaskError` where the task names one there is not."""
    tools = tuple(each if isinstance(each, Tool) else as_tool(each) for each in functions)
    names = [each.name for each in tools]
    unknown = [name for name in task.tools if name not in names]
    if unknown:
        there_are = ", ".join(names) if names else "none; Python functions are given by `swarm.run(task, tools=[…])`"
        raise TaskError(
            *(Problem(f"there is no tool {name!r}; there are {there_are}", key="tools") for name in unknown)
        )
    box = Toolbox(tools)
    unlisted = {name: label for name, label in box.labels.items() if label not in task.labels}
    if unlisted:
        words = "label {!r} is not in the task's `labels`\nhint: list the models that may see its results there"
        raise TaskError(
            *(Problem(f"tool {name}: {words.format(label)}", key="labels") for name, label in unlisted.items())
        )
    return box


def _first_steps(
    task: Task, agents: Mapping[str, Agent], resources: RunResources
) -> tuple[tuple[Step, ...], Linted | None]:
    """Give what the run begins with. Raises `PlanError` where a given plan is wrong."""
    plan = cast("Plan | None", task.plan)
    if plan is None and task.swarm == "never":
        plan = Plan(steps=(Step(id=ANSWER_STEP, prompt=task.goal or ""),))
    if plan is None:
        _check_inputs(task, resources)
        return (Step(id=PLAN_STEP, agent=PLANNER),), None
    linted = lint_given(plan, agents, resources)
    if not linted.ok:
        raise PlanError(*locate(task, linted.problems))
    return linted.steps, linted


def _check_inputs(task: Task, resources: RunResources) -> None:
    """Raise a `TaskError` for inputs that no step of any plan could read, before a planner is asked."""
    where = task.origin.place(("inputs",)) if isinstance(task.origin, Document) else ""
    problems: list[Problem] = []
    for each in resources.inputs:
        labels = [each.label] if each.label else []
        media = [medium_of(each.medium, each.size)] if each.medium != "text" else []
        if resources.access.place(DEFAULT, labels, media) is None:
            _, words = resources.access.refusal(DEFAULT, labels, media)
            problems.append(Problem(f"no step can read `{each.name}`: {words}", where=where, key="inputs"))
    if problems:
        raise TaskError(*problems)


def lint_given(plan: Plan, agents: Mapping[str, Agent], resources: RunResources) -> Linted:
    """Lint a plan that a person wrote, as the first of a run."""
    state = State()
    state.apply(RunStarted(run="", trace="", versions={}, task={}, agents=tuple(agents.values())))
    first = StepState(Step(id=PLAN_STEP, agent=PLANNER), "run", 0)
    brief = Assigner(state, resources, lambda _: None).brief_for(first)
    return lint(plan, brief)


def unusable(task: Task, problems: Iterable[Problem], run: str) -> TaskError:
    """Say what is wrong with models of a run that has spent nothing yet, each problem with its place in the file."""
    more = f"Nothing was spent; once it is mended, `swarm resume {run}` goes on"
    told = [replace(problem, message=f"{problem.message}. {more}") for problem in problems]
    return TaskError(*(task.origin.located(told) if isinstance(task.origin, Document) else told))
