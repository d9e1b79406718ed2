"""Whether every step of a plan has a model that may see what it reads, and takes it."""

from collections.abc import Iterable, Iterator

from swarm.planning.lint.context import Sheet
from swarm.planning.lint.findings import Key, quoted
from swarm.spec.labels import DEFAULT, Access, medium_of, spread
from swarm.spec.plan import PLANNER, Step, before_of

_Reading = tuple[frozenset[str], tuple[str, ...]]
"""What one attempt reads: labels, media."""


def check_places(sheet: Sheet, steps: tuple[Step, ...]) -> None:
    """Find steps that no model may serve, for their labels or media; `steps` are those of the sheet, and the closing.

    What is known only later (which labels a later planner's steps carry) is checked when an attempt is made.
    """
    access = sheet.brief.access
    if access is None:
        return
    labels = _flow(sheet, steps, access)
    places: dict[str, Key] = {row.step.id: row.key() for row in sheet.rows}
    aliases = _aliases(sheet, access)
    for step in steps:
        alias = step.model or aliases.get(step.agent, DEFAULT)
        named = step.model is not None
        for carried, media in _readings(sheet, step, labels):
            if access.place(alias, carried, media, named=named) is None:
                kind, words = access.refusal(alias, sorted(carried), media, named=named)
                _say(sheet, step, places.get(step.id, ("steps",)), kind, words)
                break


def _say(sheet: Sheet, step: Step, key: Key, kind: str, words: str) -> None:
    advice = "Let it read less, or keep data with different labels in different steps."
    if kind == "media":
        advice = "Leave that input out of the step, or name a model in the task that takes it."
    elif step.model is not None:
        advice = "Leave `model` out, or name one that may see it."
    sheet.found.error(kind, key, f"{quoted(step.id)} has no model: {words}", advice=advice, step=step.id)


def _aliases(sheet: Sheet, access: Access) -> dict[str, str]:
    """Name the alias that each role uses where its steps name none."""
    known = frozenset(sheet.brief.models)
    brought = {agent.name: agent.model for agent in sheet.agents if agent.model is not None and agent.model in known}
    return {**brought, **access.roles}


def _plans(sheet: Sheet, step: Step) -> bool:
    return step.agent == PLANNER or sheet.outputs_of().get(step.agent) == "plan"


def _inputs_of(sheet: Sheet, step: Step) -> Iterator[tuple[str | None, str]]:
    """Give label and medium of every input that a step, or an instance of it, sees."""
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
    """Give the labels that each step's output carries."""
    own: dict[str, Iterable[str]] = dict(access.carried)
    for step in steps:
        own[step.id] = {*access.inherited, *(label for label, _ in _inputs_of(sheet, step) if label is not None)}
    return spread(own, {step.id: before_of(step) for step in steps})


def _readings(sheet: Sheet, step: Step, labels: dict[str, frozenset[str]]) -> Iterator[_Reading]:
    """Give what each attempt at a step reads: one, or one for each input."""
    seen = tuple(_inputs_of(sheet, step))
    if step.each != "inputs":
        yield labels[step.id], tuple(sorted({medium for _, medium in seen} - {"text"}))
        return
    access = sheet.brief.access
    base = frozenset(access.inherited if access is not None else ())
    base = base.union(*(labels.get(before, ()) for before in before_of(step)))
    for label, medium in dict.fromkeys(seen):
        yield base | ({label} if label is not None else set[str]()), () if medium == "text" else (medium,)
