"""Whether each step, by itself, can be carried out: its prompt, its items, the form of its answer."""

import re
from typing import cast

from swarm.base.values import Json
from swarm.planning.lint.context import Row, Sheet
from swarm.planning.lint.findings import quoted
from swarm.planning.lint.values import LIST_OF_TEXTS, Schemas, gives_list, unusable
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import PLANNER, REDUCER, Step, before_of

_ITEM = re.compile(r"\{item\}")
_DEFAULT_AGENT = Step.model_fields["agent"].default


def check_values(sheet: Sheet) -> None:
    """Refuse what is no JSON, and what only the run may write; afterwards every value can be hashed and kept."""
    for row in sheet.rows:
        step = row.step
        if step.item is not None or step.instance_of is not None:
            message = "`item` and `instance_of` are written by the run, for the instances of an `each` step"
            advice = "Leave them out; use `each` for one instance per item."
            sheet.found.error("not_for_plans", row.key(), message, advice=advice, step=step.id)
            row.change(item=None, instance_of=None)
        for name in ("each", "output"):
            value = getattr(step, name)
            wrong = unusable(value) if value is not None else ""
            if wrong:
                sheet.found.error("bad_value", row.key(name), f"`{name}` cannot be kept: {wrong}", step=step.id)
                row.change(**{name: None})


def check_steps(sheet: Sheet) -> None:
    """Check every step's prompt, items and output."""
    schemas = Schemas()
    for row in sheet.rows:
        _check_prompt(sheet, row)
        if isinstance(row.step.each, tuple):
            _check_items(sheet, row, row.step.each)
        if row.step.each == "inputs" and not sheet.instances(row.step):
            message = "`each: inputs`, and the step sees no input" if sheet.brief.inputs else "the task has no inputs"
            sheet.found.error("no_items", row.key("each"), message, advice="Drop `each`.", step=row.step.id)
        if row.step.output is not None and (problem := schemas.problem(row.step.output)) is not None:
            advice = 'Write a schema such as {"type": "array", "items": {"type": "string"}}, or leave it out for text.'
            key = row.key("output", *problem.path)
            sheet.found.error("bad_schema", key, problem.message, advice=advice, step=row.step.id)


def check_reading(sheet: Sheet) -> None:
    """Find steps that would read more than any model does: of each input they would see the beginning only."""
    reads = sheet.brief.reads
    if reads is None:
        return
    sizes = {each.name: each.size // BYTES_PER_TOKEN for each in sheet.brief.inputs if each.medium == "text"}
    for row in sheet.rows:
        step = row.step
        if step.each == "inputs" or step.agent == PLANNER:
            continue
        alone = step.inputs is None and not before_of(step)
        names = sheet.inputs_of(step.inputs) if step.inputs is not None else sizes if alone else ()
        tokens = sum(sizes.get(name, 0) for name in names)
        if len(names) < 2 or tokens <= reads:
            continue
        message = f"its {len(names)} inputs are about {tokens:,} tokens, and a step reads about {reads:,}"
        advice = 'Write `"each": "inputs"` for one instance per input, or name fewer inputs.'
        if not sheet.by_planner or step.each is not None:
            sheet.found.hint("too_much", row.key("inputs"), message, advice=advice, step=step.id)
            continue
        instead = "it is done for each by itself"
        sheet.found.error("too_much", row.key("inputs"), message, advice=advice, step=step.id, instead=instead)
        if sheet.found.forgives("too_much"):
            row.change(each="inputs")


def _check_prompt(sheet: Sheet, row: Row) -> None:
    step = row.step
    if not step.prompt.strip() and step.agent not in (PLANNER, REDUCER):
        advice = "Say what the step is to do."
        sheet.found.error("no_prompt", row.key("prompt"), "the prompt is empty", advice=advice, step=step.id)
        return
    has_item = _ITEM.search(step.prompt) is not None
    if has_item and step.each is None and not sheet.found.is_wrong(row.key("each")):
        message = "the prompt has {item}, and the step has no `each` to fill it from"
        advice = "Add `each`, or name the thing itself."
        sheet.found.error("no_each", row.key("prompt"), message, advice=advice, step=step.id)
    if step.each is not None and step.each != "inputs" and not has_item:
        message = "the prompt has no {item}: every instance is told the same"
        sheet.found.hint("no_item", row.key("prompt"), message, advice="Write {item} where it belongs.", step=step.id)


def _check_items(sheet: Sheet, row: Row, items: tuple[Json, ...]) -> None:
    step = row.step
    if not items:
        advice = "List the items, or name the step that gives them."
        sheet.found.error("no_items", row.key("each"), "`each` is an empty list", advice=advice, step=step.id)
        return
    empty = [at for at, item in enumerate(items) if item is None or item in ("", [], {})]
    if empty:
        message = f"item {empty[0] + 1} of `each` is empty"
        advice = "Every item is a text, a number, or a list or mapping that holds something."
        sheet.found.error("bad_item", row.key("each", empty[0]), message, advice=advice, step=step.id)
    kinds = dict.fromkeys(_kind(item) for item in items)
    if len(kinds) > 1:
        message = f"the items of `each` are of several kinds: {', '.join(kinds)}"
        sheet.found.hint("bad_item", row.key("each"), message, step=step.id)
    texts = [item for item in items if isinstance(item, str)]
    if len(set(texts)) < len(texts):
        message = "an item of `each` is listed twice, and paid for twice"
        sheet.found.hint("bad_item", row.key("each"), message, step=step.id)


def _kind(item: Json) -> str:
    if isinstance(item, bool):
        return "true or false"
    if isinstance(item, int | float):
        return "number"
    if isinstance(item, str):
        return "text"
    return "mapping" if isinstance(item, dict) else "list" if isinstance(item, list | tuple) else "nothing"


def check_lists(sheet: Sheet) -> None:
    """See to it that a step which `each` runs over gives a list: the one form its answer can have."""
    rows = {row.step.id: row for row in sheet.rows}
    forms = sheet.outputs_of()
    for row in sheet.rows:
        step = row.step
        giver = rows.get(step.each) if isinstance(step.each, str) and step.each != "inputs" else None
        if giver is None or giver.step.each is not None:
            continue
        form = giver.step.output if giver.step.output is not None else forms.get(giver.step.agent)
        if isinstance(form, dict):
            _check_list_form(sheet, row, giver.step, cast("dict[str, Json]", form))
        elif giver.step.agent in (PLANNER, REDUCER) or form in ("plan", "report"):
            message = (
                f"`each` runs over {quoted(giver.step.id)}, and its agent {quoted(giver.step.agent)} gives no list"
            )
            advice = "Name a step whose output is a list."
            sheet.found.error("no_list", row.key("each"), message, advice=advice, step=step.id)
        elif form == "text" or giver.step.agent == _DEFAULT_AGENT:
            giver.change(output=LIST_OF_TEXTS)
            message = f"{quoted(step.id)} runs over the output of this step, which is a list of texts now"
            sheet.found.repaired("no_list", giver.key("output"), message, step=giver.step.id)
        else:
            message = f"`each` runs over {quoted(giver.step.id)}, which does not say that its output is a list"
            advice = f'Give {quoted(giver.step.id)} an `output` such as {{"type": "array", …}}.'
            sheet.found.hint("no_list", row.key("each"), message, advice=advice, step=step.id)


def _check_list_form(sheet: Sheet, row: Row, giver: Step, form: dict[str, Json]) -> None:
    if gives_list(form) is False:
        message = f"`each` runs over {quoted(giver.id)}, whose output is {quoted(str(form.get('type')))}, no list"
        advice = f'Give {quoted(giver.id)} the output {{"type": "array", …}}, or name another step.'
        sheet.found.error("no_list", row.key("each"), message, advice=advice, step=row.step.id)
