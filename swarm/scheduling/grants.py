"""The tools of a step: rights shrink on the way down, and a tool is a place that labelled data may not go to.

Those that open long texts need no grant: they show nothing that the step was not given.
"""

from swarm.attempt.opening import opening
from swarm.attempt.types import Attempt
from swarm.base.errors import AttemptError
from swarm.base.text import listing
from swarm.record.state import State
from swarm.record.steps import StepState
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


def with_opened(attempt: Attempt, s: StepState, state: State, resources: RunResources) -> Attempt:
    """Return an attempt that looks things up in its long texts, if its step or its agent is for that.

    A step that has to know all that it reads never does; nor does one that has opened nothing
    before, or whose model calls no tools. Work that a step judges, or does again, is read whole.
    """
    can = not s.reads_all and attempt.model not in resources.without_tools
    if not (can and _wants(s.step, attempt.agent)) or _is_share(s.step, state):
        return attempt
    works = tuple(each for each in (s.step.judges, s.step.redoes) if each is not None)
    if not works:
        return opening(attempt)
    alike = tuple(each.rpartition(".")[0] for each in works) + works
    names = (each.step for each in attempt.given)
    return opening(attempt, [name for name in names if _is_work(name, works, alike)])


def _wants(step: Step, agent: Agent) -> bool:
    """Return whether a step is to look things up: its plan says so, or else its agent."""
    wants = agent.open if step.open is None else step.open
    return wants and agent.output not in ("plan", "report")


def _is_share(step: Step, state: State) -> bool:
    """Return whether a step does a share of another one's work: neither checked work nor a vote."""
    parent = state.steps.get(step.partial_of or "")
    is_share = parent is None or parent.combine not in ("checked", "majority")
    return step.partial_of is not None and is_share


def _is_work(name: str, works: tuple[str, ...], alike: tuple[str, ...]) -> bool:
    """Return whether an output is work that is judged or done again, a verdict, or a vote."""
    return name in works or name.rpartition(".")[0] in alike
