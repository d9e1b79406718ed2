"""The tools of a step: rights shrink on the way down, and a tool is a place that labelled data may not go to."""

from swarm.base.errors import AttemptError
from swarm.base.text import listing
from swarm.scheduling.resources import RunResources
from swarm.spec.agent import Agent, asked_for, expanded
from swarm.spec.plan import Step


def wanted_tools(step: Step, agent: Agent, resources: RunResources) -> tuple[str, ...]:
    """Return the tools that a step requests, that its agent has, and that the run grants."""
    granted, groups = resources.tools, resources.tool_groups
    role = asked_for(agent, granted, groups)
    wanted = role if step.tools is None else expanded(step.tools, groups)
    return tuple(tool for tool in wanted if tool in role and tool in granted)


def granted_tools(
    step: Step, agent: Agent, resources: RunResources, labels: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tools that a step with these labels gets, and in words those that it does not get because of them.

    Raise `AttemptError` of kind `label` if the step names such a tool itself.
    """
    wanted = wanted_tools(step, agent, resources)
    barred = {tool: found for tool in wanted if (found := resources.access.barred(tool, labels))}
    words = tuple(f"{barred_words(tool, found)}; the tool was not granted" for tool, found in barred.items())
    named = expanded(step.tools or (), resources.tool_groups)
    wrong = [barred_words(tool, found) for tool, found in barred.items() if tool in named]
    if wrong:
        raise AttemptError(listing(wrong), kind="label")
    return tuple(tool for tool in wanted if tool not in barred), words


def barred_words(tool: str, labels: tuple[str, ...]) -> str:
    """Return the words about a tool that may not see data with these labels."""
    return f"{tool} may not see {listing(f'`{label}`' for label in labels)}"
