"""Runs that would end without an error and do nothing useful: refused before they start."""

from collections.abc import Mapping

from swarm.base.errors import LimitError, Problem, TaskError
from swarm.base.text import clip, listing
from swarm.endpoints.route import OFFLINE
from swarm.forecast.need import need_of
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import Prepared
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.scheduling.grants import wanted_tools
from swarm.spec.chat import BYTES_PER_TOKEN, ToolSpec
from swarm.spec.labels import DEFAULT
from swarm.spec.plan import Step
from swarm.spec.task import Model

TOOLS_SHARE = 1 / 8
"""Part of a context that the descriptions of tools may take without a warning: they are in every prompt."""
MOST_NAMED = 3
"""Maximum tools that the warning names."""


def check_offline(prepared: Prepared, options: Options) -> None:
    """Raise `TaskError` if only the built-in endpoint would run the task, and it cannot.

    It extracts sentences from inputs, so it needs inputs. A model name needs an endpoint that has it.
    """
    models = [model for model in prepared.choice.models.values() if model.use is None]
    if prepared.endpoint is not None or any(model.endpoint != OFFLINE for model in models):
        return
    names = _option_names(options)
    wanted = options.model or options.environ.get("SWARM_MODEL")
    is_named = options.endpoint is not None or prepared.opened.task.models
    if wanted and not is_named:
        key = names["model"] if options.model else "SWARM_MODEL"
        because = "no endpoint, API key or local server was found"
        hint = f"hint: set {names['endpoint']}, an API key, or `models:` in the task"
        raise TaskError(Problem(f"model `{clip(wanted)}` needs an endpoint; {because}\n{hint}", key=key))
    if not prepared.resources.inputs:
        because = "the offline endpoint only extracts sentences from inputs, and this task has no inputs"
        hint = f"hint: add `inputs:` to the task, or set a model with {names['endpoint']} or `models:`"
        raise TaskError(Problem(f"{because}\n{hint}", key="inputs"))


def tight_limit(prepared: Prepared) -> str | None:
    """Return the warning that the limit on tokens is too low for all steps of a given plan, or None."""
    if prepared.linted is None:
        return None
    model = prepared.task.models.get(DEFAULT) or Model()
    return need_of(prepared.steps, prepared.resources.inputs, model).warning(prepared.task.limits.tokens)


def heavy_tools(prepared: Prepared) -> tuple[str, ...]:
    """Return a warning for each role whose tools are a large part of its model's context in every prompt.

    Tools of a kit that only an open kit knows do not count before it opens.
    """
    found: list[str] = []
    resources = prepared.resources
    sizes = {tool.name: _tokens_of(tool.spec) for tool in prepared.toolbox.tools}
    used = {step.agent for step in prepared.steps} if prepared.linted is not None else set(prepared.agents)
    for name in sorted(used & prepared.agents.keys()):
        agent = prepared.agents[name]
        context = resources.contexts.get(agent.model or DEFAULT)
        tools = [tool for tool in wanted_tools(Step(id="any", prompt="any"), agent, resources) if tool in sizes]
        tokens = sum(sizes[tool] for tool in tools)
        if context is not None and tokens > TOOLS_SHARE * context:
            largest = sorted(tools, key=lambda tool: -sizes[tool])[:MOST_NAMED]
            most = listing(f"{tool} {sizes[tool]:,}" for tool in largest)
            found.append(
                f"the tools of {name} take about {tokens:,} of {context:,} tokens of each prompt: {most}\n"
                "hint: grant fewer tools to that agent, or use a model with a larger context"
            )
    return tuple(found)


def nothing_fits(state: State) -> TaskError | None:
    """Return the error that a limit is too low for any call of a run that has ended, or None if that is not so."""
    if _has_something(state):
        return None
    errors = [s.error for s in state.steps.values() if s.error is not None]
    refused = [error for error in errors if error.limit or error.kind == LimitError.kind]
    others = [error for error in errors if error not in refused and error.kind != "nothing_found"]
    if not refused or others:
        return None
    what, _, hint = refused[0].message.partition("\n")
    return TaskError(Problem(f"{what}. Nothing was spent\n{hint}".rstrip(), key="limits"))


def _has_something(state: State) -> bool:
    """Whether any call was made, or any step has an output."""
    was_called = state.usage.calls > 0 or state.usage.charged_tokens > 0
    return was_called or any(s.status is Status.DONE for s in state.steps.values())


def _option_names(options: Options) -> Mapping[str, str]:
    """Return the names of two options, as the caller writes them."""
    if options.from_python:
        return {"endpoint": "`endpoint=`", "model": "model"}
    return {"endpoint": "`--endpoint`", "model": "--model"}


def _tokens_of(spec: ToolSpec) -> int:
    """Return about how many tokens the description of a tool takes."""
    return -(-len(spec.model_dump_json().encode()) // BYTES_PER_TOKEN)
