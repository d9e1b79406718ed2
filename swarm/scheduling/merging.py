"""Attempts at steps that merge outputs: they have no model, and whole outputs, never cut ones."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from swarm.attempt.types import MERGER, Attempt, Given, Missing
from swarm.base.text import clip, listing
from swarm.base.values import Json, canonical
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.spec.plan import Step
from swarm.spec.rows import joined_schema
from swarm.spec.task import Task

TITLE_CHARACTERS = 120
"""Maximum characters of the heading of a merged text."""


def merge_attempt(
    state: State, s: StepState, given: tuple[Given, ...], missing: tuple[Missing, ...], labels: tuple[str, ...]
) -> Attempt:
    """Return the next attempt at a step with `merge`, without its span.

    `given` and `missing` are the outputs that it reads, and those that are not there.
    """
    title_of = _piece_of if s.step.judges is not None else _title_of
    titled = [each.model_copy(update={"about": title_of(state.steps[each.step].step)}) for each in given]
    return Attempt(
        run=state.run,
        step=s.step.model_copy(update={"output": _table_of(state, s.step, given)}),
        attempt=s.attempt + 1,
        agent=MERGER,
        model="",
        given=tuple(titled),
        missing=missing,
        labels=labels,
    )


def wanted_table(task: Task, wording: Mapping[str, str], *, has_file: bool) -> Literal["asked", "file"] | None:
    """Return whether a table is needed for a file, or asked for in the goal with one of the words in `table_words`."""
    if has_file:
        return "file"
    words = [word.strip() for word in wording.get("table_words", "").casefold().split(",")]
    pattern = "|".join(re.escape(word) for word in words if word)
    found = pattern and re.search(rf"(?<!\w)(?:{pattern})(?!\w)", (task.goal or "").casefold())
    return "asked" if found else None


def _table_of(state: State, step: Step, given: Iterable[Given]) -> dict[str, Json] | None:
    """Return the schema of a merged table: its own, else what those of the steps before it make together."""
    if step.output is not None or step.merge != "table":
        return step.output
    forms = [_form_of(state, state.steps[each.step].step) for each in given]
    return joined_schema({canonical(form): form for form in forms}.values())


def _form_of(state: State, step: Step) -> Json:
    """Return the schema of what a step was asked for; `text` or the like if it has none."""
    agent = state.agents.get(step.agent)
    return step.output if step.output is not None or agent is None else agent.output


def _piece_of(step: Step) -> str:
    """Return which piece of a work a critic judged: its step, and where the piece starts if it is a part of that."""
    part = step.part
    is_part = part is not None and (part.kind, part.name) == ("output", step.judges)
    return f"{step.judges} {part.start}" if part is not None and is_part else str(step.judges)


def _title_of(step: Step) -> str:
    """Return what a text is about: a short item, or the inputs that its step read; else the id of the step."""
    if isinstance(step.item, str) and len(step.item) <= TITLE_CHARACTERS:
        return clip(step.item, TITLE_CHARACTERS)
    return listing(step.inputs, 3) if step.inputs else step.id
