"""`swarm check`: find the errors of a task without calling a model."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from swarm.base.errors import InputError, Problem, TaskError
from swarm.cli import options as o
from swarm.cli.inputs import input_facts, input_lines, unread_lines
from swarm.cli.plan import Planned, of_prepared, show_plan
from swarm.cli.streams import answer, answer_json, message, say
from swarm.cli.words import limits_line
from swarm.lifecycle.options import Options

if TYPE_CHECKING:
    from swarm.base.values import Json
    from swarm.lifecycle.opened import OpenedTask
    from swarm.lifecycle.prepare import Prepared
    from swarm.spec.files import OutputFile
    from swarm.spec.task import Model, Task
    from swarm.tools import Offer


def check(
    named: o.Named,
    options: o.RunOptions,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> int:
    """Check a task without calling a model.

    Needs no key and no network, is free, and writes nothing. Prints what would run: models, agents,
    limits, inputs, and the plan if the task has one. Otherwise lists all errors, each with its file
    and line; an API key that is not set is only a warning.
    """
    display = o.Display(json=as_json, quiet=quiet)
    source = named.source(options, quiet=quiet)
    options = replace(options, text=source.text, stdin=source.read_input, needs_keys=False, sends=False)
    return _check(source.name, options, display)


def _check(name: str, options: Options, display: o.Display) -> int:
    import anyio

    lenient = read_leniently(name, options)
    prepared = anyio.run(_examined, lenient, replace(options, environ=lenient.environ))
    warnings = _warnings(prepared, name, lenient.unset, with_unread=display.json)
    for warning in warnings:
        say(message("warning", warning))
    if not display.quiet and not lenient.opened.task.models and options.endpoint is None:
        say("note: local servers are not checked here; without an endpoint, `swarm run` looks for one")
    if display.json:
        answer_json({**_found(prepared, lenient.unset), "warnings": warnings})
        return 0
    answer(_told(prepared, lenient.unset))
    planned = of_prepared(prepared)
    if planned is not None and not display.quiet:
        show_plan(planned)
    if not display.quiet and options.text is None:
        say(f"next: swarm run {shlex.quote(name)}")
    return 0


def _warnings(prepared: "Prepared", name: str, unset: tuple[str, ...], *, with_unread: bool) -> tuple[str, ...]:
    """Return the warnings about a task; those about inputs that cannot be read only if they are not listed anyway."""
    from swarm.lifecycle.inputs import unread_notes
    from swarm.lifecycle.sense import heavy_tools, tight_limit

    listed = () if with_unread else unread_notes(prepared.files.unread)
    return (
        *(warning for warning in prepared.warnings if warning not in listed),
        *filter(None, [tight_limit(prepared)]),
        *heavy_tools(prepared),
        *(f"{name} is not set\nhint: set it before `swarm run`" for name in unset),
    )


@dataclass(frozen=True)
class Lenient:
    """A task that was read although API keys are missing."""

    opened: "OpenedTask"
    unset: tuple[str, ...]
    """Names of the key variables that are not set."""
    environ: Mapping[str, str]
    """The environment, with a placeholder for each of those."""


def read_leniently(name: str, options: Options) -> Lenient:
    """Read a task; if only key variables are missing, read it as if they were set.

    Raise `TaskError` or `PlanError` with all errors, those variables included.
    """
    from swarm.lifecycle.opened import open_task

    environ = dict(os.environ)
    unset: list[str] = []
    while True:
        try:
            return Lenient(open_task(name, replace(options, environ=environ)), tuple(unset), environ)
        except TaskError as error:
            missing: list[str] = []
            for problem in error.problems:
                missing += _key_variables(problem)
            if not missing or len(missing) < len(error.problems):
                raise
            unset += missing
            environ |= dict.fromkeys(missing, "not-set")


def _key_variables(problem: Problem) -> tuple[str, ...]:
    """Return the variable of a key that is not set, if that is the problem."""
    parts = problem.key.split(".")
    words = problem.message.split()
    if parts[:1] != ["models"] or "key" not in parts[2:3] or words[:3] != ["the", "environment", "variable"]:
        return ()
    return (words[3],)


async def _examined(lenient: Lenient, options: Options) -> "Prepared":
    """Prepare a run. If that fails, read all its parts, to raise all errors together."""
    from swarm.lifecycle.prepare import prepare

    try:
        return await prepare(lenient.opened, options)
    except InputError as error:
        problems = list(error.problems)
        problems += [problem for problem in _all_problems(lenient.opened, options) if problem not in problems]
        raise TaskError(*problems) from None


def _all_problems(opened: "OpenedTask", options: Options) -> list[Problem]:
    from swarm.lifecycle.fetched import unfetched
    from swarm.lifecycle.grants import toolbox
    from swarm.lifecycle.inputs import input_options
    from swarm.lifecycle.spans import destination_of
    from swarm.spec.files import load_agents, load_wording, read_inputs, read_outputs

    task = opened.task

    def inputs() -> None:
        outputs = read_outputs(task, source=opened.source, given=options.outputs)
        read_inputs(task, outputs, input_options(opened, options, fetch=unfetched(task, options)))

    looks: tuple[Callable[[], Any], ...] = (
        lambda: _check_models(task),
        lambda: load_agents(task),
        lambda: load_wording(task),
        inputs,
        lambda: toolbox(options.tools, task),
        lambda: destination_of(task, options),
    )
    problems: list[Problem] = []
    for look in looks:
        try:
            look()
        except InputError as error:
            problems += error.problems
    return problems


def _check_models(task: "Task") -> None:
    from swarm.endpoints.route import check_models
    from swarm.lifecycle.opened import placed

    try:
        check_models(task.models)
    except TaskError as error:
        raise TaskError(*placed(task, task.models, error.problems)) from None


def _found(prepared: "Prepared", unset: tuple[str, ...]) -> "dict[str, Json]":
    """Return what would run, for programs."""
    planned = of_prepared(prepared)
    return {
        "goal": prepared.task.goal,
        "choice": prepared.choice.why,
        "models": {alias: _model(model, unset) for alias, model in prepared.choice.models.items()},
        "agents": list(prepared.agents),
        "inputs": [input_facts(each) for each in prepared.resources.inputs],
        "unread": [each.model_dump() for each in prepared.files.unread],
        "tools": [_tool(prepared, offer) for offer in prepared.toolbox.offers],
        "outputs": [_output(each) for each in prepared.files.outputs],
        "otel": _collector(prepared.task),
        "limits": prepared.task.limits.model_dump(mode="json"),
        "plan": None if planned is None else planned.value,
        "findings": [] if planned is None else _findings(planned),
    }


def _tool(prepared: "Prepared", offer: "Offer") -> "dict[str, Json]":
    facts = {"name": offer.name, "effect": offer.effect, "goes_to": offer.goes_to, "label": offer.label}
    return facts | {"asks": offer.asks(by_default=prepared.task.asks_about_tools)}


def _collector(task: "Task") -> "dict[str, Json] | None":
    """Return the collector of spans: its address, and the names of its headers."""
    from swarm.spec.files.references import masked_url

    return None if task.otel is None else {"url": masked_url(task.otel.url), "headers": list(task.otel.headers)}


def _collector_lines(collector: "dict[str, Json] | None") -> list[str]:
    if collector is None:
        return []
    headers = f" (headers: {', '.join(collector['headers'])})" if collector["headers"] else ""
    return [f"spans: sent to {collector['url']}{headers}; no prompt and no answer"]


def _output(output: "OutputFile") -> "dict[str, Json]":
    return {"name": output.name, "path": str(output.resolved), "exists": output.identity is not None}


def _findings(planned: Planned) -> list[dict[str, str]]:
    return [{"severity": f.severity, "kind": f.kind, "message": str(f)} for f in planned.findings]


def _model(model: "Model", unset: tuple[str, ...]) -> "dict[str, Json]":
    from swarm.base.proxy import proxy_of
    from swarm.spec.files.references import masked_url
    from swarm.spec.providers import address_of

    if model.use is not None:
        return {"use": list(model.use)}
    key = "none"
    if model.keys:
        key = "not set" if unset and "not-set" in model.keys else "set"
    found = {"endpoint": masked_url(model.endpoint or "offline"), "name": model.name, "key": key}
    proxy = proxy_of(address_of(model), os.environ)
    return found if proxy is None else {**found, "proxy": proxy.shown}


def _told(prepared: "Prepared", unset: tuple[str, ...]) -> str:
    """Return what would run, for people."""
    found = _found(prepared, unset)
    lines = [
        "The task is valid.",
        f"model: {found['choice']}",
        *(f"  {alias}: {_model_line(model)}" for alias, model in found["models"].items()),
        f"agents: {', '.join(found['agents'])}",
        f"limits: {limits_line(prepared.task.limits)}",
        *input_lines(prepared.resources.inputs),
        *unread_lines(prepared.files.unread),
        *_tool_lines(found["tools"]),
        *(f"output: {_output_line(each)}" for each in prepared.files.outputs),
        *_collector_lines(found["otel"]),
    ]
    if prepared.linted is None:
        lines.append("plan: made by a planner when the task runs")
    else:
        from swarm.views.words import counted

        findings = counted(len(prepared.linted.findings), "finding")
        lines.append(f"plan: {counted(len(prepared.steps), 'step')}, {findings}")
    return "\n".join(lines)


def _model_line(model: "Mapping[str, Json]") -> str:
    if "use" in model:
        return f"pool of {', '.join(model['use'])}; the first that answers is used"
    proxy = f", proxy: {model['proxy']}" if "proxy" in model else ""
    return f"{model['name'] or 'any model'} at {model['endpoint']}, key: {model['key']}{proxy}"


def _output_line(output: "OutputFile") -> str:
    replaced = "" if output.identity is None else " (exists; it would be replaced, and kept in the run's folder)"
    return f"{output.resolved}{replaced}"


def _tool_lines(tools: "list[dict[str, Json]]") -> list[str]:
    """Return a line with the granted tools: effect, the place that arguments go to, whether a person is asked."""
    return [f"tools: {', '.join(map(_tool_words, tools))}"] if tools else []


def _tool_words(tool: "dict[str, Json]") -> str:
    place = f", sends to {tool['goes_to']}" if tool["goes_to"] else ""
    asks = ", asks before each call" if tool["asks"] else ""
    return f"{tool['name']} ({tool['effect'] or 'opens with the run'}{place}{asks})"
