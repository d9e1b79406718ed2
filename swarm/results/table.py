"""The table of a run: its rows, the steps behind each row, conflicting values and empty cells.

It is the output of the step that makes the report, if that is rows; else that of the last step
which merges rows; else that of the last step with an `output` of rows. It is computed from the
recorded outputs, so nothing but the outputs is in a journal.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import cast

from swarm.attempt.merge import VALUE, Conflict, Leaf, Merged, merge_table, merged_of
from swarm.base.errors import JournalError
from swarm.base.text import clip
from swarm.base.values import Json
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.assign import Assigner
from swarm.spec.rows import Row, row_schema, rows_of

SHORT = 50
"""Maximum rows of a table that a report shows completely: about one screen and a half."""
HEAD = 10
"""Rows that a report shows of a longer table."""
LISTED = 20
"""Maximum conflicts, and maximum empty cells, that a report lists. Programs get all of them."""
MOST_CITED = 3
"""Maximum steps that are cited for a row. The others are counted."""
CELL_CHARACTERS = 200
"""Maximum characters of a cell in a report. The files have the whole cell."""
ITEM_FIELDS = ("step", "item", "output")
"""Columns of a list of steps whose outputs are not rows."""
FILE = "table.csv"
"""Name of the table in the run's folder."""


@dataclass(frozen=True)
class Table:
    """The table of a run."""

    step: str
    """The step whose output it is."""
    merged: Merged

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, all with the same fields."""
        return tuple(self.merged.value)

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns, in order."""
        return self.merged.fields

    def conflicts_of(self) -> dict[int, list[Conflict]]:
        """Return the conflicts of each row that has some, by the index of the row."""
        found: dict[int, list[Conflict]] = {}
        for conflict in self.merged.conflicts:
            found.setdefault(conflict.row, []).append(conflict)
        return found

    def notes(self) -> dict[str, Json]:
        """Return what the rows do not say, as JSON: the steps of each row, conflicts, empty cells, unread outputs."""
        merged = self.merged
        return {
            "step": self.step,
            "fields": list(merged.fields),
            "sources": [list(steps) for steps in merged.sources],
            "conflicts": [asdict(each) for each in merged.conflicts],
            "gaps": [asdict(each) for each in merged.gaps],
            "unread": list(merged.unread),
        }


def table_of(state: State, assigner: Assigner) -> Table | None:
    """Return the table of a run, or None if no finished step gives rows."""
    for s in _candidates(state):
        with suppress(JournalError):  # without the file of a large output there is no table
            merged = _merged_in(s, state, assigner)
            if merged is not None and (merged.value or s.step.merge is not None):
                return Table(s.id, merged)
    return None


def table_of_step(s: StepState, state: State, assigner: Assigner) -> Table | None:
    """Return the rows that the output of one step holds, or None.

    A list of steps without rows gives one row per item: its step, the item and the output. Of a list that is not
    yet complete, the steps that are done count. Raise `JournalError` without the file of a large output.
    """
    if not (_is_there(s) or (s.kind == "stand_in" and s.combine == "list")):
        return None
    merged = _merged_in(s, state, assigner)
    if merged is not None and (merged.value or s.step.merge is not None):
        return Table(s.id, merged)
    if s.kind == "stand_in":
        return _item_table(s, state, assigner)
    output = assigner.output_of(s)
    if not isinstance(output, list) or not output:
        return None
    rows = [{VALUE: item} for item in cast("list[Json]", output)]
    return Table(s.id, Merged("list", rows, ((s.id,),) * len(rows), (VALUE,)))


def _item_table(s: StepState, state: State, assigner: Assigner) -> Table | None:
    """Return the items of a list of steps with their outputs, or None if there is none."""
    children = [child for name in s.children if (child := state.steps[name]).status is Status.DONE]
    if s.combine != "list" or not children:
        return None
    rows = [_item_row(child, assigner.output_of(child)) for child in children]
    return Table(s.id, Merged("list", rows, tuple((child.id,) for child in children), ITEM_FIELDS))


def _item_row(child: StepState, output: Json) -> Row:
    step = child.step
    item = ", ".join(step.inputs or ()) if step.item is None else step.item
    return dict(zip(ITEM_FIELDS, (step.id, item, output), strict=True))


def table_to_export(state: State, assigner: Assigner) -> Table | None:
    """Return the table of a run; without one, the items of its last list of steps with their outputs."""
    found = table_of(state, assigner)
    lists = (s for s in reversed(state.steps.values()) if s.kind == "stand_in" and s.combine == "list")
    with suppress(JournalError):
        while found is None and (s := next(lists, None)) is not None:
            found = table_of_step(s, state, assigner)
    return found


def _candidates(state: State) -> Iterator[StepState]:
    """Yield the steps that may give rows, the best first. Of a list that failed, the instances that are done count."""
    done = [s for s in state.steps.values() if _is_there(s) and _stands_alone(s)]
    done.reverse()
    yield from (s for s in done if s.id == state.report_step)
    yield from (s for s in done if s.step.merge in ("table", "count"))
    yield from (s for s in done if row_schema(s.step.output) is not None)


def _is_there(s: StepState) -> bool:
    return s.status is Status.DONE or (s.kind == "stand_in" and s.over)


def _stands_alone(s: StepState) -> bool:
    return s.step.instance_of is None and s.step.partial_of is None


def _merged_in(s: StepState, state: State, assigner: Assigner) -> Merged | None:
    """Return the rows of a step with their sources, or None if its output is not rows."""
    if s.kind == "stand_in" and s.combine == "list":
        children = [state.steps[child] for child in s.children]
        leaves = [Leaf(child.id, assigner.output_of(child)) for child in children if child.status is Status.DONE]
        return merge_table(leaves, schema=s.step.output)
    output = assigner.output_of(s)
    if s.step.merge in ("table", "list", "count"):
        found = merged_of(assigner.attempt_of(s))
        if found.value == output:
            return found if found.fields else _with_fields(found)
    rows = rows_of(output) if isinstance(output, dict | list) else None
    return None if rows is None else merge_table([Leaf(s.id, rows)], schema=s.step.output)


def _with_fields(merged: Merged) -> Merged:
    """Return a merged list as a table: of its objects, else of one column, `value`."""
    rows = rows_of(merged.value)
    if rows is None:
        rows = [{VALUE: item} for item in merged.value]
    fields: dict[str, None] = {}
    for row in rows:
        fields |= dict.fromkeys(row)
    return replace(merged, value=rows, fields=tuple(fields))


# The table for people


def report_body(last: StepState, value: Json, table: Table | None) -> str | None:
    """Return a text as it is, and a merged table as Markdown. None for other values, which are JSON."""
    if isinstance(value, str):
        return value
    is_merged = table is not None and table.step == last.id and last.step.merge is not None
    return table_text(table) if table is not None and is_merged else None


def table_text(table: Table) -> str:
    """Return a table in Markdown, each row with citations of its steps, then its conflicts and its empty cells.

    A long table is cut, and the text says where all of it is.
    """
    rows, merged = table.rows, table.merged
    shown = len(rows) if len(rows) <= SHORT else HEAD
    lines = [_line((*map(_cell, table.fields), "sources")), "|" + " --- |" * (len(table.fields) + 1)]
    for row, steps in zip(rows[:shown], merged.sources, strict=False):
        lines.append(_line((*(_cell(row.get(field)) for field in table.fields), _cited(steps))))
    if shown < len(rows):
        lines += ["", f"These are {shown} of {len(rows):,} rows. All rows are in `{FILE}` in the folder of the run."]
    blocks = ["\n".join(lines)]
    blocks += _section("Conflicts", [_conflict(each, table) for each in merged.conflicts[:LISTED]], merged.conflicts)
    gaps = [f"{_named(each.key, each.row, table)}: {_cell(each.field)}" for each in merged.gaps[:LISTED]]
    return "\n\n".join([*blocks, *_section("Empty cells", gaps, merged.gaps)])


def _section(title: str, lines: list[str], every: Iterable[object]) -> list[str]:
    more = len(tuple(every)) - len(lines)
    listed = [f"- {line}" for line in lines] + ([f"- … and {more:,} more"] if more else [])
    return [f"## {title}\n\n" + "\n".join(listed)] if listed else []


def _conflict(conflict: Conflict, table: Table) -> str:
    values = " or ".join(f"{_cell(each.value) or '(empty)'} {_cited(each.steps)}" for each in conflict.values)
    return f"{_named(conflict.key, conflict.row, table)}, {_cell(conflict.field)}: {values}"


def _named(key: Row, row: int, table: Table) -> str:
    """Return the name of a row: the values of its key, else of its first field."""
    values = [_cell(value) for value in key.values()]
    if not any(values):
        values = [_cell(table.rows[row].get(field)) for field in table.fields[:1]]
    return ", ".join(filter(None, values)) or f"row {row + 1}"


def _cited(steps: tuple[str, ...]) -> str:
    more = f" +{len(steps) - MOST_CITED}" if len(steps) > MOST_CITED else ""
    return f"[{', '.join(steps[:MOST_CITED])}]{more}" if steps else ""


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Json) -> str:
    """Return a value as one line of Markdown. Its brackets are escaped: they cite nothing."""
    text = clip(plain(value), CELL_CHARACTERS)
    for mark in ("\\", "|", "[", "]"):
        text = text.replace(mark, f"\\{mark}")
    return text


def plain(value: Json) -> str:
    """Return a cell as text: null is empty, a list of single values is joined by `; `, other values are JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        items = cast("list[Json]", value)
        if not any(isinstance(item, dict | list) for item in items):
            return "; ".join(map(plain, items))
    return json.dumps(value, ensure_ascii=False)
