"""A table as files for other programs: CSV for spreadsheets, JSON Lines for programs.

CSV is that of RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180): UTF-8, commas, CRLF between rows, quotes
around cells with commas, quotes or line breaks. With characters outside of ASCII it begins with a byte
order mark: without one, Excel reads UTF-8 as the code page of the system.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets an apostrophe before it. A
spreadsheet would run it as a formula, which can read other cells and send them away, and the cells were
written by models that read files of strangers (OWASP, "CSV Injection":
https://owasp.org/www-community/attacks/CSV_Injection). Numbers, such as `-5.2` and `+3 %`, and a single
sign stay as they are. JSON Lines has every cell unchanged.
"""

import csv
import io
import json
import re

from swarm.base.values import Json
from swarm.results.table import Table, plain

CONFLICTS = "_conflicts"
"""Name of the column of other values, which a table has only if there are any."""

_STARTS = "=+-@\t\r＝＋－＠"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?\s?[%‰]?)?")
_LINE_ENDS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\u0085\u2028\u2029"}
"""Characters that some readers take as the end of a line, and their escapes."""


def csv_bytes(table: Table) -> bytes:
    """Return a table as the bytes of a CSV file: a head, then a line for each row."""
    conflicts = table.conflicts_of()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([guarded(name) for name in table.fields] + ([CONFLICTS] if conflicts else []))
    for number, row in enumerate(table.rows):
        cells = [guarded(plain(row.get(name))) for name in table.fields]
        if conflicts:
            others = [f"{each.field}: {_others(each.values[1:])}" for each in conflicts.get(number, ())]
            cells.append(guarded("; ".join(others)))
        writer.writerow(cells)
    text = out.getvalue()
    return text.encode("utf-8" if text.isascii() else "utf-8-sig", "replace")


def _others(values: tuple[Json, ...]) -> str:
    return ", ".join(f"{plain(each.value)} [{', '.join(each.steps)}]" for each in values)


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula, with LF as its only line break."""
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    is_formula = cell.lstrip(" \n")[:1] in _STARTS and cell.strip() and _NUMBER.fullmatch(cell.strip()) is None
    return f"'{text}" if is_formula else text


def jsonl_bytes(table: Table) -> bytes:
    """Return a table as JSON Lines: one object a row. A row with conflicts has the other values in `_conflicts`."""
    conflicts = table.conflicts_of()
    lines: list[str] = []
    for number, row in enumerate(table.rows):
        whole = {name: row.get(name) for name in table.fields}
        if number in conflicts:
            whole[CONFLICTS] = [_as_json(each.field, each.values[1:]) for each in conflicts[number]]
        lines.append(json.dumps(whole, ensure_ascii=False).translate(_LINE_ENDS) + "\n")
    return "".join(lines).encode("utf-8", "replace")


def _as_json(field: str, values: tuple[Json, ...]) -> dict[str, Json]:
    return {"field": field, "values": [{"value": each.value, "steps": list(each.steps)} for each in values]}
