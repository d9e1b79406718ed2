"""Everything that a run needs, found and checked before anything is paid for or written.

Each stage returns a value that the next one needs; `prepare` runs them all:

    open_task ──> choose_models ──> load_files ──> resolve ─────> price ──> pack
    OpenedTask    ChosenModels      LoadedFiles    ResolvedTask   Routes    Prepared
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from swarm.base.errors import PlanError, Problem, TaskError
from swarm.base.redaction import Redactor
from swarm.base.values import Json
from swarm.budget.prices import check_prices, priced
from swarm.endpoints import Endpoint
from swarm.endpoints.choose import Choice
from swarm.endpoints.route import Routes, identities_of, outside_pools, single
from swarm.endpoints.wire.learnt import FILE as LEARNT
from swarm.exports.content import FORMS, TABLES
from swarm.lifecycle.grants import toolbox, unused_sections
from swarm.lifecycle.inputs import explained, load_inputs, unread_notes
from swarm.lifecycle.levels import check_levels, levels_of
from swarm.lifecycle.models import ChosenModels, choose_models
from swarm.lifecycle.opened import OpenedTask, open_task, with_given_plan
from swarm.lifecycle.options import Options
from swarm.lifecycle.spans import destination_of
from swarm.planning.lint import Linted, lint
from swarm.record.cache import Cache
from swarm.record.events import RunStarted
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.scheduling.assign import Assigner
from swarm.scheduling.resources import RunResources
from swarm.spec.agent import Agent, SmallPrompts, function_agent
from swarm.spec.files import (
    LoadedInputs,
    OutputFiles,
    load_agents,
    load_small,
    load_wording,
    locate,
    read_outputs,
    secrets_of,
)
from swarm.spec.labels import DEFAULT, LARGE, Access, medium_of, reach
from swarm.spec.plan import ANSWER_STEP, PLAN_STEP, PLANNER, Plan, Step
from swarm.spec.task import Input, Limits, Task, TaskSource, UnreadInput
from swarm.spec.yaml.strict import Document
from swarm.tools import Toolbox

UNLIMITED = 100_000_000
"""Context size in tokens of the built-in endpoint, which is code: a report of a thousand steps is one call."""


@dataclass(frozen=True)
class LoadedFiles:
    """Everything that a task names, read."""

    agents: Mapping[str, Agent]
    """Agents from files, by name. A plan may bring more."""
    wording: Mapping[str, str]
    small: SmallPrompts
    loaded: LoadedInputs
    toolbox: Toolbox
    outputs: OutputFiles
    checks: Mapping[str, Callable[..., Any]]
    """Python functions that check outputs, by name. Each has an agent of this name."""
    tool_notes: tuple[str, ...]
    """Notes for people about sections of the task that no tool uses."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Inputs that steps can read."""
        return self.loaded.inputs

    @property
    def unread(self) -> tuple[UnreadInput, ...]:
        """Inputs that no step can read."""
        return self.loaded.unread

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for people about the files."""
        return (*self.loaded.notes, *self.tool_notes)


@dataclass(frozen=True)
class ResolvedTask:
    """The resources of a run and its first steps."""

    resources: RunResources
    steps: tuple[Step, ...]
    """The step of the planner, or the steps of the given plan."""
    linted: Linted | None
    """The findings of the given plan. None if a planner will make it."""


@dataclass(frozen=True)
class Prepared:
    """A run that can start."""

    opened: OpenedTask
    chosen: ChosenModels
    files: LoadedFiles
    resolved: ResolvedTask
    routes: Routes
    """The models as they are served, with their prices."""
    redactor: Redactor

    @property
    def task(self) -> Task:
        """The task, with the chosen models."""
        return self.resolved.resources.task

    @property
    def source(self) -> str:
        """File of the task. Empty if it is not from a file."""
        return self.opened.source

    @property
    def choice(self) -> Choice:
        """The models, and why they were chosen."""
        return self.chosen.choice

    @property
    def endpoint(self) -> Endpoint | None:
        """The caller's endpoint object, which serves every model; None if there is none."""
        return self.chosen.endpoint

    @property
    def agents(self) -> Mapping[str, Agent]:
        """All agents of the run by name, those of a given plan included."""
        brought = () if self.linted is None else self.linted.agents
        return {**self.files.agents, **{agent.name: agent for agent in brought}}

    @property
    def toolbox(self) -> Toolbox:
        """The tools of the run."""
        return self.files.toolbox

    @property
    def resources(self) -> RunResources:
        """Everything that attempts are made of."""
        return self.resolved.resources

    @property
    def steps(self) -> tuple[Step, ...]:
        """The step of the planner, or the steps of the given plan."""
        return self.resolved.steps

    @property
    def linted(self) -> Linted | None:
        """The findings of the given plan. None if a planner will make it."""
        return self.resolved.linted

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the task file and its inputs."""
        return (*self.opened.task.warnings, *self.files.notes, *unread_notes(self.files.unread))

    @property
    def cache(self) -> Cache:
        """Cache of the project."""
        return Cache(self.task.folder / ".swarm" / "cache")

    @property
    def learnt(self) -> Path:
        """File of the request parameters that endpoints reject."""
        return self.cache.folder / LEARNT

    @property
    def runs(self) -> Path:
        """Default folder of the runs."""
        return self.task.folder / ".swarm" / "runs"


async def prepare(source: TaskSource | OpenedTask, options: Options) -> Prepared:
    """Find and check everything that a run needs. Spend and write nothing. Raise `InputError`."""
    opened = source if isinstance(source, OpenedTask) else open_task(source, options)
    if not opened.task.models and options.models:
        opened = replace(opened, task=opened.task.model_copy(update={"models": dict(options.models)}))
    destination_of(opened.task, options)
    chosen = await choose_models(opened.task, options)
    check_levels(levels_of(opened.task.folder))
    files = await load_files(opened, chosen, options)
    resolved = resolve(opened.task, chosen, files)
    return pack(opened, chosen, files, resolved, price(opened.task.limits, chosen))


# Files


async def load_files(opened: OpenedTask, chosen: ChosenModels, options: Options) -> LoadedFiles:
    """Read the agents, the wording and the inputs of a task, check its outputs, and find its tools.

    Raise `InputError`.
    """
    task = opened.task
    agents, wording, small = load_agents(task), load_wording(task), load_small(task)
    agents = {**agents, **_function_agents(options.checks, agents)}
    outputs = read_outputs(task, source=opened.source, given=options.outputs)
    box = toolbox(options.tools, task, offline=options.is_replay)
    found = await load_inputs(opened, outputs, chosen.routes, options)
    return LoadedFiles(agents, wording, small, found, box, outputs, options.checks, tuple(unused_sections(task, box)))


def _function_agents(checks: Iterable[str], agents: Mapping[str, Agent]) -> dict[str, Agent]:
    """Return an agent for each Python function that checks outputs. Raise `TaskError` if a name is taken."""
    taken = [name for name in checks if name in agents]
    if taken:
        raise TaskError(Problem(f"there is an agent named {taken[0]!r}; give the function another name", key="checks"))
    return {name: function_agent(name) for name in checks}


# Resources and first steps


def resolve(task: Task, chosen: ChosenModels, files: LoadedFiles) -> ResolvedTask:
    """Return what attempts are made of, and the first steps. Raise `PlanError` if a given plan is invalid."""
    models, routes = chosen.choice.models, chosen.routes
    resources = RunResources(
        task=task.model_copy(update={"models": dict(models)}),
        inputs=files.inputs,
        wording=files.wording,
        small=files.small,
        small_models=frozenset(alias for alias, route in single(routes).items() if route.is_small),
        built_in=chosen.built_in,
        critics=tuple(alias for alias in outside_pools(routes) if not routes[alias].is_offline),
        without_tools=_without_tools(routes, is_custom=chosen.endpoint is not None),
        settings=settings_of(routes, is_custom=chosen.endpoint is not None),
        identities=identities_of(routes, chosen.endpoint),
        contexts=contexts_of(routes, is_custom=chosen.endpoint is not None),
        access=access_of(routes, _seen_by_built_in(task.labels, chosen.built_in)).model_copy(
            update={"tool_places": files.toolbox.goes_to, "tool_labels": files.toolbox.labels}
        ),
        outside_pools=outside_pools(routes),
        tools=files.toolbox.names,
        tool_groups=files.toolbox.groups,
        tool_about=files.toolbox.about,
        has_table_file=any(FORMS.get(each.path.suffix) in TABLES for each in files.outputs),
        tools_key=files.toolbox.key,
    )
    try:
        return _first_steps(resources, files.agents)
    except PlanError as error:
        raise PlanError(*explained(error.problems, files.unread)) from None


def settings_of(routes: Routes, *, is_custom: bool = False) -> dict[str, dict[str, Json]]:
    """Return what determines the answers of each alias. The built-in endpoint never truncates one."""
    found = {alias: dict(route.answer_settings) for alias, route in routes.items()}
    for alias in _unlimited(routes, is_custom=is_custom):
        found[alias]["max_tokens"] = UNLIMITED // 4
    return found


def contexts_of(routes: Routes, *, is_custom: bool = False) -> dict[str, int]:
    """Return the known context sizes in tokens, by alias; for a pool, that of its smallest member."""
    sizes = dict.fromkeys(_unlimited(routes, is_custom=is_custom), UNLIMITED)
    for alias, route in routes.items():
        known = [routes[name].settings.context for name in route.members]
        if smallest := min(filter(None, known), default=None):
            sizes[alias] = smallest
    return sizes


def _without_tools(routes: Routes, *, is_custom: bool) -> frozenset[str]:
    """Return the aliases of the built-in endpoint, and of pools with it. Others call tools."""
    if is_custom:
        return frozenset()
    offline = {alias for alias, route in routes.items() if route.is_offline}
    return frozenset(alias for alias, route in routes.items() if not offline.isdisjoint(route.members))


def _unlimited(routes: Routes, *, is_custom: bool) -> list[str]:
    """Return the aliases of the built-in endpoint, unless the task limits them or another endpoint serves them."""
    served = {alias: route.settings for alias, route in routes.items() if route.is_offline and not is_custom}
    # A replay gets the context size that was recorded.
    free = {alias: settings for alias, settings in served.items() if settings.context in (None, UNLIMITED)}
    return [alias for alias, settings in free.items() if "max_tokens" not in settings.model_fields_set]


def _seen_by_built_in(labels: Mapping[str, Iterable[str]], alias: str) -> dict[str, tuple[str, ...]]:
    """Return which models the data of each label may reach: the built-in endpoint like the `default` it reports for."""
    reached = {label: tuple(aliases) for label, aliases in labels.items()}
    if not alias:
        return reached
    return {label: (*aliases, alias) if DEFAULT in aliases else aliases for label, aliases in reached.items()}


def access_of(routes: Routes, labels: Mapping[str, Iterable[str]]) -> Access:
    """Return what each model may see and accepts. A pool in `labels` stands for the models behind it."""
    members = {alias: route.members for alias, route in routes.items()}
    takes = {
        alias: (*route.takes, *(f"{LARGE} {medium}" for medium in route.stores))
        for alias, route in single(routes).items()
        if route.takes
    }
    return Access(labels=reach(labels, members), members=members, takes=takes)


def _first_steps(resources: RunResources, agents: Mapping[str, Agent]) -> ResolvedTask:
    task = resources.task
    plan = cast("Plan | None", task.plan)
    if plan is None and task.swarm == "never":
        plan = Plan(steps=(Step(id=ANSWER_STEP, prompt=task.goal or ""),))
    if plan is None:
        _check_inputs(resources)
        return ResolvedTask(resources, (Step(id=PLAN_STEP, agent=PLANNER),), None)
    linted = lint_given(plan, agents, resources)
    if not linted.ok:
        raise PlanError(*locate(task, linted.problems))
    return ResolvedTask(resources, linted.steps, linted)


def _check_inputs(resources: RunResources) -> None:
    """Raise `TaskError` for inputs that no step of any plan could read, before a planner is paid for."""
    origin = resources.task.origin
    where = origin.place(("inputs",)) if isinstance(origin, Document) else ""
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
    """Lint a plan that a person wrote, as the first plan of a run."""
    state = State()
    state.apply(RunStarted(run="", trace="", versions={}, task={}, agents=tuple(agents.values())))
    first = StepState(Step(id=PLAN_STEP, agent=PLANNER), "run", 0, "planner")
    brief = Assigner(state, resources, lambda _: None).brief_for(first)
    return lint(plan, brief)


# Prices


def price(limits: Limits, chosen: ChosenModels) -> Routes:
    """Return the models with their prices. Raise `TaskError` if `limits.usd` is set and a price is unknown."""
    routes = priced(chosen.routes, custom_endpoint=chosen.endpoint is not None)
    check_prices(limits, routes)
    return routes


# The whole


def pack(
    opened: OpenedTask,
    chosen: ChosenModels,
    files: LoadedFiles,
    resolved: ResolvedTask,
    routes: Routes,
) -> Prepared:
    """Put the results of all stages together."""
    return Prepared(opened, chosen, files, resolved, routes, Redactor(secrets_of(resolved.resources.task)))


def with_plan(prepared: Prepared, plan: Path) -> Prepared:
    """Return the same run with the plan of a file. Raise `PlanError` if the plan is invalid."""
    task = with_given_plan(prepared.task, plan)
    resources = replace(prepared.resources, task=task)
    return replace(prepared, resolved=_first_steps(resources, prepared.files.agents))
