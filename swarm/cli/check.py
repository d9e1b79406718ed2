"""`swarm check`: everything that can be known of a task without calling a model."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from swarm.cli import options as o
from swarm.cli.plan import Planned, of_prepared, show_plan
from swarm.cli.streams import answer, answer_json, say
from swarm.cli.words import limits_line
from swarm.errors import InputError, Problem, TaskError

if TYPE_CHECKING:
    from swarm.frozen import Json
    from swarm.prepare import Options, Prepared
    from swarm.task import Model, Task


def check(
    tasks: o.Tasks = None,
    goal: o.Goal = None,
    workers: o.Workers = None,
    limit: o.Limit = None,
    parameter: o.Set = None,
    endpoint: o.Endpoint = None,
    model: o.Model = None,
    plan_file: o.PlanFile = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> int:
    """Check a task without calling a model.

    Needs no key, reaches no network, spends nothing and writes nothing. Prints what would run: inputs, agents,
    models, limits, the steps of a plan and what is found in it. All problems come at once, each with its place, and
    the exit code is 2. A key variable that is not set is only a warning here; `swarm run` refuses to start without
    it.
    """
    asked = o.Asked(
        tasks=tuple(tasks or ()),
        goal=goal,
        workers=workers,
        limits=tuple(limit or ()),
        parameters=tuple(parameter or ()),
        endpoint=endpoint,
        model=model,
        plan=plan_file,
    )
    return _check(asked, o.Display(json=as_json, quiet=quiet))


def _check(asked: o.Asked, display: o.Display) -> int:
    import anyio

    source = asked.source
    options = replace(asked.options(source), needs_keys=False)
    lenient = read_leniently(source.name, options)
    prepared = anyio.run(_examined, source.name, lenient, replace(options, environ=lenient.environ))
    warnings = (*prepared.warnings, *(f"{name} is not set; `swarm run` needs it" for name in lenient.unset))
    for warning in warnings:
        say(f"warning: {warning}")
    if not display.quiet and not lenient.task.models and asked.endpoint is None:
        say("note: no server on this machine was asked; `swarm run` looks for one where no endpoint is named")
    if display.json:
        answer_json({**_found(prepared, lenient.unset), "warnings": warnings})
        return 0
    answer(_told(prepared, lenient.unset))
    planned = of_prepared(prepared)
    if planned is not None and not display.quiet:
        show_plan(planned)
    return 0


@dataclass(frozen=True)
class Lenient:
    """A task whose missing keys were not held against it."""

    task: "Task"
    unset: tuple[str, ...]
    """Variables of keys that are not set."""
    environ: Mapping[str, str]
    """The environment, with a stand-in for each of those."""


def read_leniently(name: str, options: "Options") -> Lenient:
    """Read a task; where nothing but variables of keys is missing, read it as if they were set.

    Raises `TaskError` or `PlanError` with everything that is wrong, those variables included.
    """
    from swarm.prepare import read_task

    environ = dict(os.environ)
    unset: list[str] = []
    while True:
        try:
            return Lenient(read_task(name, replace(options, environ=environ)), tuple(unset), environ)
        except TaskError as error:
            missing = [variable for problem in error.problems for variable in _key_variables(problem)]
            if not missing or len(missing) < len(error.problems):
                raise
            unset += missing
            environ |= dict.fromkeys(missing, "not-set")


def _key_variables(problem: Problem) -> tuple[str, ...]:
    """Name the variable that a key lacks, where that is the problem."""
    parts = problem.key.split(".")
    words = problem.message.split()
    if parts[:1] != ["models"] or "key" not in parts[2:3] or words[:3] != ["the", "environment", "variable"]:
        return ()
    return (words[3],)


async def _examined(name: str, lenient: Lenient, options: "Options") -> "Prepared":
    """Prepare a run; where that fails, look at all its parts, to say everything at once."""
    from swarm.prepare import prepare

    try:
        return await prepare(name, options)
    except InputError as error:
        problems = list(error.problems)
        problems += [problem for problem in _all_problems(lenient.task) if problem not in problems]
        raise TaskError(*problems) from None


def _all_problems(task: "Task") -> list[Problem]:
    from swarm.endpoints.router import check_models
    from swarm.files import load_agents, load_wording, read_inputs
    from swarm.prepare import toolbox

    looks: tuple[Callable[[], Any], ...] = (
        lambda: check_models(task.models),
        lambda: load_agents(task),
        lambda: load_wording(task),
        lambda: read_inputs(task),
        lambda: toolbox((), task),
    )
    problems: list[Problem] = []
    for look in looks:
        try:
            look()
        except InputError as error:
            problems += error.problems
    return problems


def _found(prepared: "Prepared", unset: tuple[str, ...]) -> "dict[str, Json]":
    """Give what would run, for programs."""
    planned = of_prepared(prepared)
    return {
        "goal": prepared.task.goal,
        "choice": prepared.choice.why,
        "models": {alias: _model(model, unset) for alias, model in prepared.choice.models.items()},
        "agents": list(prepared.agents),
        "inputs": [
            {"name": each.name, "medium": each.medium, "size": each.size, "label": each.label}
            for each in prepared.means.inputs
        ],
        "limits": prepared.task.limits.model_dump(mode="json"),
        "plan": None if planned is None else planned.value,
        "findings": [] if planned is None else _findings(planned),
    }


def _findings(planned: Planned) -> list[dict[str, str]]:
    return [{"severity": f.severity, "kind": f.kind, "message": str(f)} for f in planned.findings]


def _model(model: "Model", unset: tuple[str, ...]) -> "dict[str, Json]":
    from swarm.files.references import masked_url

    if model.use is not None:
        return {"use": list(model.use)}
    key = "none" if not model.keys else "not set" if unset and "not-set" in model.keys else "set"
    return {"endpoint": masked_url(model.endpoint or "offline"), "name": model.name, "key": key}


def _told(prepared: "Prepared", unset: tuple[str, ...]) -> str:
    """Tell what would run, for people."""
    found = _found(prepared, unset)
    inputs = prepared.means.inputs
    lines = [
        "The task can be run.",
        f"model: {found['choice']}",
        *(f"  {alias}: {_model_line(model)}" for alias, model in found["models"].items()),
        f"agents: {', '.join(found['agents'])}",
        f"limits: {limits_line(prepared.task.limits)}",
        f"inputs: {len(inputs)}, {sum(each.size for each in inputs):,} bytes",
        *(f"  {each.size:>11,}  {each.medium:<5}  {each.name}{_label(each.label)}" for each in inputs),
    ]
    if prepared.linted is None:
        lines.append("plan: a planner will make one")
    else:
        lines.append(f"plan: {len(prepared.steps)} steps, {len(prepared.linted.findings)} findings")
    return "\n".join(lines)


def _model_line(model: "Mapping[str, Json]") -> str:
    if "use" in model:
        return f"the first of {', '.join(model['use'])} that answers"
    return f"{model['name'] or 'any model'} at {model['endpoint']}, key: {model['key']}"


def _label(label: str | None) -> str:
    return f"  ({label})" if label else ""
