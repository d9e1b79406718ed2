"""Tables of a step as tables of a database in memory, for one query that reads."""

import csv
import io
import re
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, cast

from pydantic_core import from_json

from swarm.base.errors import ToolError
from swarm.base.text import listing
from swarm.base.values import Json, canonical

SECONDS = 10.0
"""Maximum seconds of a query: a recursive one never ends by itself."""
VALUE_BYTES = 10_000_000
"""Maximum bytes of a value: `zeroblob` and `replace` make values of a gigabyte."""
MOST_ROWS = 10_000
"""Maximum rows of a result."""
MOST_COLUMNS = 500
STEPS = 10_000
"""Instructions of the database between two looks at the clock."""
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_BARRED = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
ENDINGS = (".csv", ".tsv", ".json", ".jsonl")
"""File name endings of tables."""


def run_query(sql: str, texts: Mapping[str, str], tables: Mapping[str, str] | None = None) -> str:
    """Return the rows of a query over tables, as CSV. Raise `ToolError`.

    `texts` are files by name, `tables` the names of their tables and of others that were not read.
    """
    called = table_names(texts) if tables is None else tables
    base = sqlite3.connect(":memory:")
    try:
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
        base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        columns = {called[name]: _load(base, called[name], name, text) for name, text in texts.items()}
        base.set_authorizer(_may)
        return _rows(base, sql, columns)
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        raise ToolError(_words(error, sorted(called.values()))) from error
    finally:
        base.close()


def table_name(file: str) -> str:
    """Return the name of a file's table: its words without the ending, joined by `_`."""
    stem = file.rsplit(".", 1)[0] if file.lower().endswith(ENDINGS) else file
    plain = re.sub(r"\W+", "_", stem).strip("_").lower() or "table"
    return f"t_{plain}" if plain[0].isdigit() else plain


def table_names(files: Iterable[str]) -> dict[str, str]:
    """Return the name of each file's table; of files whose names differ only in signs, the later ones get a number."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for file in files:
        plain = name = table_name(file)
        number = 1
        while name in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name)
        found[file] = name
    return found


def _words(error: Exception, tables: Sequence[str]) -> str:
    if "interrupted" in str(error):
        return f"the query took longer than {SECONDS:g} seconds and was stopped"
    if "not authorized" in str(error) or "prohibited" in str(error):
        return "only one SELECT is allowed"
    return f"{error}; the tables are {listing(tables)}"


def _may(action: int, first: str | None, second: str | None, *_: Any) -> int:
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _BARRED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _rows(base: sqlite3.Connection, sql: str, tables: Mapping[str, Sequence[str]]) -> str:
    deadline = time.monotonic() + SECONDS
    base.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    cursor = base.execute(sql)
    if cursor.description is None:
        described = "; ".join(f"{table}({', '.join(columns)})" for table, columns in tables.items())
        raise ToolError(f"this is no query; the tables are {described}")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column[0] for column in cursor.description])
    rows = cursor.fetchmany(MOST_ROWS)
    writer.writerows(rows)
    if cursor.fetchone() is not None:
        out.write(f"(only the first {MOST_ROWS:,} rows)\n")
    return out.getvalue()


def _load(base: sqlite3.Connection, table: str, name: str, text: str) -> list[str]:
    """Make the table of a file, and return its columns. Raise `ToolError` for a file that is no table."""
    head, rows = _json_rows(name, text) if name.endswith((".json", ".jsonl")) else _csv_rows(name, text)
    columns = _columns(head)
    listed = ", ".join(f'"{column}"' for column in columns)
    base.execute(f'CREATE TABLE "{table}" ({listed})')
    places = ", ".join("?" * len(columns))
    wide = ([*row, *[None] * len(columns)][: len(columns)] for row in rows)
    base.executemany(f'INSERT INTO "{table}" VALUES ({places})', wide)  # noqa: S608 - a name of our own making
    return columns


def _columns(head: Sequence[str]) -> list[str]:
    columns: list[str] = []
    for number, name in enumerate(head[:MOST_COLUMNS], 1):
        plain = name.strip().replace('"', "'").replace("\0", "") or f"column_{number}"
        while plain.lower() in {each.lower() for each in columns}:
            plain += "_"
        columns.append(plain)
    return columns or ["column_1"]


def _csv_rows(name: str, text: str) -> tuple[list[str], list[list[Any]]]:
    try:
        dialect: Any = csv.Sniffer().sniff(text[:10_000], ",;\t|")
    except csv.Error:
        dialect = "excel-tab" if name.endswith(".tsv") else "excel"
    try:
        rows = list(csv.reader(io.StringIO(text), dialect))
    except csv.Error as error:
        raise ToolError(f"{name} is no table: {error}") from error
    head = rows[0] if rows else []
    return head, [[_value(cell) for cell in row] for row in rows[1:] if row]


def _value(cell: str) -> Any:
    """Return a cell as a number if it is written like one: a code with a leading zero is a text."""
    if re.fullmatch(r"-?(0|[1-9]\d{0,17})", cell):
        return int(cell)
    if re.fullmatch(r"-?(0|[1-9]\d{0,17})\.\d{1,17}", cell):
        return float(cell)
    return cell


def _json_rows(name: str, text: str) -> tuple[list[str], list[list[Any]]]:
    try:
        lines = [line for line in text.splitlines() if line.strip()] if name.endswith(".jsonl") else []
        value: Json = [from_json(line) for line in lines] if lines else from_json(text)
    except ValueError as error:
        raise ToolError(f"{name} is no table: {error}") from error
    items = cast("list[Json]", value) if isinstance(value, list) else []
    records = [cast("dict[str, Json]", each) for each in items if isinstance(each, dict)]
    head = list(dict.fromkeys(chain.from_iterable(records)))
    return head, [[_plain(record.get(key)) for key in head] for record in records]


def _plain(value: Json) -> Any:
    return value if value is None or isinstance(value, str | int | float) else canonical(value).decode()
