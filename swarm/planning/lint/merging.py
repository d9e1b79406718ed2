"""Checks of steps that merge outputs without a model: what they read, their key, and fields they cannot have."""

from collections.abc import Mapping
from itertools import chain
from typing import cast

from swarm.base.values import Json
from swarm.planning.lint.context import Row, Sheet
from swarm.planning.lint.findings import Names, quoted, shortened
from swarm.spec.plan import PLANNER, REDUCER, TABLE_STEP, Step, before_of, free_id, sinks
from swarm.spec.rows import fields_of, row_schema

_AGENT = Step.model_fields["agent"].default
_FOR_MODELS = ("prompt", "inputs", "each", "model", "tools")
"""Fields that only a step with a model can have, besides `agent`."""
_ROWS = 'Give it an `output` such as {"type": "array", "items": {"type": "object", "properties": {…}, "required": […]}}'


def check_merges(sheet: Sheet) -> None:
    """Check every step with `merge` or `key`."""
    rows = {row.step.id: row for row in sheet.rows}
    forms = sheet.outputs_of()
    for row in sheet.rows:
        if row.step.merge is not None:
            _check_fields(sheet, row)
            _check_sources(sheet, row, rows, forms)
            # It takes the outputs that exist: one failed step must not cost the table.
            row.change(needs=(), after=tuple(dict.fromkeys((*row.step.needs, *row.step.after))))
        elif row.step.key is not None and row.step.vote is not None and row.step.output is not None:
            _check_key(sheet, row, {row.step.id: row.step.output})
        elif row.step.key is not None:
            _refuse(sheet, row, "key", "`key` is only for steps with `merge`, and for rows with `vote`")


def _check_sources(sheet: Sheet, row: Row, rows: Mapping[str, Row], forms: Mapping[str, Json]) -> None:
    """Check what a merge reads, and what a table is made of."""
    step = row.step
    if not before_of(step):
        message = f"{quoted(step.id)} merges outputs, but it waits for no step"
        advice = "Name the steps to merge in `needs`."
        sheet.found.error("no_needs", row.key("needs"), message, advice=advice, step=step.id)
        return
    sources = {name: rows[name].step for name in before_of(step) if name in rows}
    outputs = {name: output_of(source, forms) for name, source in sources.items()}
    if step.merge == "table" or step.key is not None:
        _check_rows(sheet, row, sources, outputs)
        _check_key(sheet, row, outputs)
    if step.merge == "table" and step.output is not None and row_schema(step.output) is None:
        message = "the `output` of a merged table must be a list of objects"
        sheet.found.error("not_rows", row.key("output"), message, advice=f"{_ROWS}.", step=step.id)


def check_table(sheet: Sheet) -> None:
    """Find a first plan that gives no rows, if a file of the task needs them."""
    if sheet.brief.table != "file" or not sheet.brief.first:
        return
    forms = sheet.outputs_of()
    if any(_may_be_rows(output_of(row.step, forms)) for row in sheet.rows):
        return
    message = "`output` of the task names a table file (.csv or .jsonl), but no step of the plan gives rows"
    advice = "Give the step that finds the rows an `output` of objects."
    sheet.found.error("no_table", ("steps",), message, advice=advice)


def _may_be_rows(output: Json) -> bool:
    """Whether an output is rows, or is not known: an agent of a file, a merged list, a later plan."""
    return row_schema(cast("Json", output)) is not None if isinstance(output, dict) else output != "text"


def with_table(sheet: Sheet) -> tuple[Step, ...]:
    """Return the steps with one that joins the rows at the end, if a table is wanted and every end gives rows."""
    steps, forms = sheet.steps, sheet.outputs_of()
    last = frozenset(sinks(steps))
    ends = [step for step in steps if step.id in last]
    gives_rows = [step.merge is None and row_schema(output_of(step, forms)) is not None for step in ends]
    if sheet.brief.table is None or not ends or not all(gives_rows):
        return steps
    table = Step(id=free_id(steps, TABLE_STEP), merge="table", after=tuple(step.id for step in ends))
    message = f"added step {quoted(table.id)} to join the rows of {shortened(step.id for step in ends)} without a model"
    sheet.found.repaired("table", ("steps",), message)
    return (*steps, table)


def output_of(step: Step, forms: Mapping[str, Json]) -> Json:
    """Return the schema of what a step, or each of its instances, gives: `text`, or None if it is not known.

    `forms` are the outputs of the plan's own agents, by name.
    """
    if step.output is not None:
        return step.output
    if step.merge == "count":
        names: dict[str, Json] = {name: {"title": name} for name in (*(step.key or ("value",)), "count")}
        return {"type": "array", "items": {"type": "object", "properties": names}}
    if step.merge is not None:
        return None if step.merge == "table" else step.merge
    form = forms.get(step.agent, "text" if step.agent in (_AGENT, REDUCER) else None)
    return "text" if form == "report" else form


def _check_fields(sheet: Sheet, row: Row) -> None:
    """Find fields that need a model. In a planner's plan they are dropped."""
    step = row.step
    given = [name for name in _FOR_MODELS if getattr(step, name) not in (None, "", ())]
    given += ["agent"] if step.agent != _AGENT else []
    for name in given:
        _refuse(sheet, row, name, f"a step with `merge` calls no model, so it cannot have `{name}`")
    if step.key is not None and step.merge not in ("table", "count"):
        _refuse(sheet, row, "key", f"`key` has no meaning for `merge: {step.merge}`; it is for `table` and `count`")


def _refuse(sheet: Sheet, row: Row, name: str, message: str) -> None:
    step = row.step
    if sheet.by_planner:
        row.change(**{name: Step.model_fields[name].default})
        sheet.found.repaired("not_for_merges", row.key(name), f"{message}; it was dropped", step=step.id)
    else:
        sheet.found.error("not_for_merges", row.key(name), message, advice=f"Remove `{name}`.", step=step.id)


def _check_rows(sheet: Sheet, row: Row, sources: Mapping[str, Step], outputs: Mapping[str, Json]) -> None:
    """Find steps whose outputs are certainly not rows."""
    for name, source in sources.items():
        form = outputs[name]
        if form is None or (isinstance(form, dict) and row_schema(cast("Json", form)) is not None):
            continue
        if source.agent == PLANNER or form == "plan":
            continue  # the steps that end its plan are read in its place
        given = "text" if form == "text" else "no rows"
        message = f"{quoted(row.step.id)} merges rows, but the output of {quoted(name)} is {given}"
        sheet.found.error("not_rows", row.key("needs"), message, advice=f"{_ROWS}.", step=row.step.id)


def _check_key(sheet: Sheet, row: Row, outputs: Mapping[str, Json]) -> None:
    """Find fields of the key that no row has. One that differs in case or the like only is replaced."""
    schemas = [row.step.output, *outputs.values()]
    known = Names(chain.from_iterable(map(fields_of, schemas)))
    if not all(map(fields_of, outputs.values())) or row.step.key is None:
        return  # a field of unknown rows may be the missing one
    step, found = row.step, [known.meant(name) for name in row.step.key]
    for at, (name, meant) in enumerate(zip(row.step.key, found, strict=True)):
        if meant is None:
            message = f"`key` names {quoted(name)}, which is not a field of the rows{known.suggestion(name)}"
            advice = known.listed("The fields are")
            sheet.found.error("unknown_field", row.key("key", at), message, advice=advice, step=step.id)
        elif meant != name:
            message = f"replaced {quoted(name)} by {quoted(meant)}, the only possible field"
            sheet.found.repaired("unknown_field", row.key("key", at), message, step=step.id)
    row.change(key=tuple(filter(None, found)) or None)
