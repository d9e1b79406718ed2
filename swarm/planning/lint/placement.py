"""Placement: every step needs a model that may read its labels and accepts its media, and tools that may see them."""

from collections.abc import Iterable, Iterator

from swarm.base.text import listing
from swarm.planning.lint.context import Sheet
from swarm.planning.lint.findings import Key, quoted
from swarm.spec.agent import expanded
from swarm.spec.labels import DEFAULT, Access, medium_of, spread
from swarm.spec.plan import PLANNER, Step, before_of

_Reading = tuple[frozenset[str], tuple[str, ...]]
"""Labels and media that one attempt reads."""


def check_places(sheet: Sheet, steps: tuple[Step, ...]) -> None:
    """Find steps without a possible model. `steps` are those of the sheet and the added last one.

    Labels that are known only later, of the steps of a later planner, are checked when an attempt
    starts.
    """
    access = sheet.brief.access
    if access is None:
        return
    labels = _flow(sheet, steps, access)
    places: dict[str, Key] = {row.step.id: row.key() for row in sheet.rows}
    aliases = _aliases(sheet, access)
    for step in steps:
        if step.merge is not None:
            continue  # no model reads it
        _check_tools(sheet, step, places.get(step.id, ("steps",)), labels)
        alias = step.model or aliases.get(step.agent, DEFAULT)
        named = step.model is not None
        for carried, media in _readings(sheet, step, labels):
            if access.place(alias, carried, media, named=named) is None:
                kind, words = access.refusal(alias, sorted(carried), media, named=named)
                _add_error(sheet, step, places.get(step.id, ("steps",)), kind, words)
                break


def _add_error(sheet: Sheet, step: Step, key: Key, kind: str, words: str) -> None:
    advice = "Read less in this step, or read data with different labels in different steps."
    if kind == "media":
        advice = "Remove that input from the step, or add `takes` to a model of the task that accepts it."
    elif step.model is not None:
        advice = "Remove `model`, or set one that may read the data."
    sheet.found.error(kind, key, f"{quoted(step.id)} has no model: {words}", advice=advice, step=step.id)


def _check_tools(sheet: Sheet, step: Step, key: Key, labels: dict[str, frozenset[str]]) -> None:
    """Find tools that a step names although data with its labels may not go where their arguments go.

    A tool that a step only has from its role is not granted then, which is no error.
    """
    access = sheet.brief.access
    if access is None or not step.tools:
        return
    carried = frozenset[str]().union(*(labelled for labelled, _ in _readings(sheet, step, labels)))
    for tool in expanded(step.tools, sheet.brief.groups):
        barred = access.barred(tool, sorted(carried))
        if barred:
            message = f"{tool} may not see {listing(quoted(label) for label in barred)}"
            advice = f"Remove it from `tools`, or list `{access.tool_places[tool]}` under the label in `labels`."
            sheet.found.error("label", (*key, "tools"), message, advice=advice, step=step.id)


def _tool_labels(sheet: Sheet, step: Step, access: Access) -> set[str]:
    """Return the labels of what the tools of a step give: it carries them from its start."""
    if not access.tool_labels or step.merge is not None:
        return set()
    own = sheet.tools_of().get(step.agent, ())
    role = sheet.brief.tools if "*" in own else own
    named = role if step.tools is None else expanded(step.tools, sheet.brief.groups)
    return {access.tool_labels[tool] for tool in named if tool in role and tool in access.tool_labels}


def _aliases(sheet: Sheet, access: Access) -> dict[str, str]:
    """Return the alias of each role, for steps without one."""
    known = frozenset(sheet.brief.models)
    of_agents = {agent.name: agent.model for agent in sheet.agents if agent.model in known}
    return {**of_agents, **access.roles}


def _plans(sheet: Sheet, step: Step) -> bool:
    return step.agent == PLANNER or sheet.outputs_of().get(step.agent) == "plan"


def _inputs_of(sheet: Sheet, step: Step) -> Iterator[tuple[str | None, str]]:
    """Return label and medium of every input that a step, or an instance of it, reads."""
    if _plans(sheet, step):
        return
    if step.inputs is not None:
        seen = sheet.inputs_of(step.inputs)
    elif step.each == "inputs" or (step.each is None and not before_of(step)):
        seen = None
    else:
        return
    for one in sheet.brief.inputs:
        if seen is None or one.name in seen:
            yield one.label, medium_of(one.medium, one.size)


def _flow(sheet: Sheet, steps: tuple[Step, ...], access: Access) -> dict[str, frozenset[str]]:
    """Return the labels of each step's output."""
    own: dict[str, Iterable[str]] = dict(access.carried)
    for step in steps:
        own[step.id] = {
            *access.inherited,
            *(label for label, _ in _inputs_of(sheet, step) if label is not None),
            *_tool_labels(sheet, step, access),
        }
    return spread(own, {step.id: before_of(step) for step in steps})


def _readings(sheet: Sheet, step: Step, labels: dict[str, frozenset[str]]) -> Iterator[_Reading]:
    """Return what each attempt at a step reads: one attempt, or one for each input."""
    seen = tuple(_inputs_of(sheet, step))
    if step.each != "inputs":
        yield labels[step.id], tuple(sorted({medium for _, medium in seen} - {"text"}))
        return
    access = sheet.brief.access
    base = frozenset(access.inherited if access is not None else ())
    base = base.union(*(labels.get(before, ()) for before in before_of(step)))
    if access is not None:
        base |= _tool_labels(sheet, step, access)
    for label, medium in dict.fromkeys(seen):
        labelled = base if label is None else base | {label}
        media = () if medium == "text" else (medium,)
        yield labelled, media
