"""Checks of single steps: prompt, items, inputs and output."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import cast

from swarm.base.text import listing
from swarm.base.values import Json
from swarm.planning.brief import InputBrief
from swarm.planning.lint.context import Row, Sheet
from swarm.planning.lint.findings import quoted
from swarm.planning.lint.values import LIST_OF_TEXTS, Schemas, gives_list, unusable
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import PLANNER, REDUCER, SET_BY_RUN, Step, before_of

_ITEM = re.compile(r"\{item\}")
_DEFAULT_AGENT = Step.model_fields["agent"].default


def check_values(sheet: Sheet) -> None:
    """Find values that are not JSON, and fields that only the run sets. Other checks may hash the values then."""
    for row in sheet.rows:
        step = row.step
        if wrong := [name for name in SET_BY_RUN if getattr(step, name) is not None]:
            message = f"{listing(f'`{name}`' for name in wrong)} can only be set by the run"
            advice = "Remove it. For one instance per item, use `each`."
            sheet.found.error("not_for_plans", row.key(), message, advice=advice, step=step.id)
            row.change(**dict.fromkeys(SET_BY_RUN))
        for name in ("each", "output"):
            value = getattr(step, name)
            wrong = unusable(value) if value is not None else ""
            if wrong:
                sheet.found.error("bad_value", row.key(name), f"`{name}` cannot be stored: {wrong}", step=step.id)
                row.change(**{name: None})


def check_steps(sheet: Sheet) -> None:
    """Check every step's prompt, items and output."""
    schemas = Schemas()
    for row in sheet.rows:
        _check_prompt(sheet, row)
        if isinstance(row.step.each, tuple):
            _check_items(sheet, row, row.step.each)
        if row.step.each == "inputs" and not sheet.instances(row.step):
            owner = "step reads" if sheet.brief.inputs else "task has"
            message = f"`each` is `inputs`, but the {owner} no inputs"
            sheet.found.error("no_items", row.key("each"), message, advice="Remove `each`.", step=row.step.id)
        if row.step.output is not None and (problem := schemas.problem(row.step.output)) is not None:
            advice = 'Write a schema such as {"type": "array", "items": {"type": "string"}}, or remove it for text.'
            key = row.key("output", *problem.path)
            sheet.found.error("bad_schema", key, problem.message, advice=advice, step=row.step.id)


def check_reading(sheet: Sheet) -> None:
    """Find steps that read more than fits a model at once."""
    reads = sheet.brief.reads
    if reads is None:
        return
    sizes = {each.name: each.size // BYTES_PER_TOKEN for each in sheet.brief.inputs if each.medium == "text"}
    for row in sheet.rows:
        if row.step.agent == PLANNER:
            continue
        names = _inputs_read(sheet, row.step, sizes)
        _hint_at_parts(sheet, row, (each for each in sheet.brief.inputs if each.name in names))
        tokens = sum(sizes.get(name, 0) for name in names)
        if len(names) > 1 and tokens > reads and _reads_at_once(sheet, row.step):
            message = f"the {len(names)} inputs have about {tokens:,} tokens; the maximum of a step is about {reads:,}"
            _add_too_much(sheet, row, message)


def _hint_at_parts(sheet: Sheet, row: Row, inputs: Iterable[InputBrief]) -> None:
    """Add a hint about the inputs that a step cannot read at once, with the size of the largest one."""
    long = [each for each in (one.sized(sheet.brief.reads) for one in inputs) if each.parts]
    if not long:
        return
    most = max(long, key=lambda each: each.tokens)
    more = f", and so are {len(long) - 1:,} more" if len(long) > 1 else ""
    size = f"{quoted(most.name)} has about {most.tokens:,} tokens, and a step can read about {sheet.brief.reads:,}"
    if _opens(sheet, row.step):
        message = f"{size}: the step looks up what it needs, page by page{more}"
        advice = "Remove `open` if the step must know all of it."
        sheet.found.hint("opened", row.key("open"), message, advice=advice, step=row.step.id)
        return
    message = f"{size}: it is read in about {most.parts:,} parts{more}"
    advice = "Keep one step for it: swarm splits it and merges the answers."
    sheet.found.hint("parts", row.key("inputs"), message, advice=advice, step=row.step.id)


def _reads_at_once(sheet: Sheet, step: Step) -> bool:
    """Return whether a step reads all of its inputs together."""
    return step.each != "inputs" and not _opens(sheet, step)


def _opens(sheet: Sheet, step: Step) -> bool:
    """Return whether a step looks things up in long texts, if its model calls tools."""
    if step.open is not None or step.merge is not None:
        return bool(step.open) and step.merge is None
    return any(role.name == step.agent and role.open for role in (*sheet.agents, *sheet.brief.roles))


def _inputs_read(sheet: Sheet, step: Step, texts: Collection[str]) -> Collection[str]:
    """Return the inputs that a step or its instances read: named ones, else all texts if it waits for nothing."""
    if step.inputs is not None:
        return sheet.inputs_of(step.inputs)
    return () if before_of(step) and step.each != "inputs" else texts


def _add_too_much(sheet: Sheet, row: Row, message: str) -> None:
    """Add an error for a planner, which can plan better, and a hint for people. A forgiven error is fixed here."""
    step, key = row.step, row.key("inputs")
    advice = 'Write `"each": "inputs"` for one instance per input, or name fewer inputs.'
    if not sheet.by_planner or step.each is not None:
        sheet.found.hint("too_much", key, message, advice=advice, step=step.id)
        return
    instead = "now it runs once per input"
    sheet.found.error("too_much", key, message, advice=advice, step=step.id, instead=instead)
    if sheet.found.forgives("too_much"):
        row.change(each="inputs")


def _check_prompt(sheet: Sheet, row: Row) -> None:
    step = row.step
    if step.merge is not None:
        return
    if not step.prompt.strip() and step.agent not in (PLANNER, REDUCER):
        advice = "Write what the step must do."
        sheet.found.error("no_prompt", row.key("prompt"), "the prompt is empty", advice=advice, step=step.id)
        return
    has_item = _ITEM.search(step.prompt) is not None
    if has_item and step.each is None and not sheet.found.is_wrong(row.key("each")):
        message = "the prompt has {item}, but the step has no `each`"
        advice = "Add `each`, or replace {item} by the item."
        sheet.found.error("no_each", row.key("prompt"), message, advice=advice, step=step.id)
    if step.each is not None and step.each != "inputs" and not has_item:
        message = "the prompt has no {item}: every instance has the same prompt"
        sheet.found.hint(
            "no_item",
            row.key("prompt"),
            message,
            advice="Write {item} where it belongs.",
            step=step.id,
        )


def _check_items(sheet: Sheet, row: Row, items: tuple[Json, ...]) -> None:
    step = row.step
    if not items:
        advice = "List the items, or name the step whose output is the list."
        sheet.found.error("no_items", row.key("each"), "`each` is an empty list", advice=advice, step=step.id)
        return
    empty = [at for at, item in enumerate(items) if item is None or item in ("", [], {})]
    if empty:
        message = f"item {empty[0] + 1} of `each` is empty"
        advice = "Write a text, a number, or a list or mapping that is not empty."
        sheet.found.error("bad_item", row.key("each", empty[0]), message, advice=advice, step=step.id)
    kinds = dict.fromkeys(_kind(item) for item in items)
    if len(kinds) > 1:
        message = f"the items of `each` have several types: {', '.join(kinds)}"
        sheet.found.hint("bad_item", row.key("each"), message, step=step.id)
    texts = [item for item in items if isinstance(item, str)]
    if len(set(texts)) < len(texts):
        message = "an item of `each` is listed twice: two instances do the same work"
        sheet.found.hint("bad_item", row.key("each"), message, step=step.id)


def _kind(item: Json) -> str:
    if isinstance(item, bool):
        return "true or false"
    if isinstance(item, int | float):
        return "number"
    if isinstance(item, str):
        return "text"
    if isinstance(item, dict):
        return "mapping"
    return "list" if isinstance(item, list | tuple) else "null"


def check_lists(sheet: Sheet) -> None:
    """Check that the output of a step that `each` runs over is a list; set it if the plan does not."""
    rows = {row.step.id: row for row in sheet.rows}
    forms = sheet.outputs_of()
    for row in sheet.rows:
        each = row.step.each
        source = rows.get(each) if isinstance(each, str) and each != "inputs" else None
        if source is not None and source.step.each is None:
            _check_list(sheet, row, source, forms)


def _check_list(sheet: Sheet, row: Row, source: Row, forms: Mapping[str, Json]) -> None:
    """Check the output of `source`, which `each` of `row` runs over."""
    step, agent = row.step, source.step.agent
    advice = "Name a step whose output is a list."
    if source.step.merge is not None:
        if source.step.merge == "text":
            message = f"`each` runs over {quoted(source.step.id)}, but a merged text is not a list"
            sheet.found.error("no_list", row.key("each"), message, advice=advice, step=step.id)
        return
    form = source.step.output if source.step.output is not None else forms.get(agent)
    if isinstance(form, dict):
        _check_list_form(sheet, row, source.step, cast("dict[str, Json]", form))
    elif agent in (PLANNER, REDUCER) or form in ("plan", "report"):
        message = (
            f"`each` runs over {quoted(source.step.id)}, but the output of its agent {quoted(agent)} is not a list"
        )
        sheet.found.error("no_list", row.key("each"), message, advice=advice, step=step.id)
    elif form == "text" or agent == _DEFAULT_AGENT:
        source.change(output=LIST_OF_TEXTS)
        message = f"set `output` to a list of texts, because {quoted(step.id)} runs over it"
        sheet.found.repaired("no_list", source.key("output"), message, step=source.step.id)
    else:
        message = f"`each` runs over {quoted(source.step.id)}, which has no `output`: it may not be a list"
        advice = f'Give {quoted(source.step.id)} an `output` such as {{"type": "array", …}}.'
        sheet.found.hint("no_list", row.key("each"), message, advice=advice, step=step.id)


def _check_list_form(sheet: Sheet, row: Row, source: Step, form: dict[str, Json]) -> None:
    if gives_list(form) is False:
        kind = quoted(str(form.get("type")))
        message = f"`each` runs over {quoted(source.id)}, but the type of its output is {kind}, not a list"
        advice = f'Give {quoted(source.id)} the output {{"type": "array", …}}, or name another step.'
        sheet.found.error("no_list", row.key("each"), message, advice=advice, step=row.step.id)
