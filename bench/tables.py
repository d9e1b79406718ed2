"""Real tables scattered over documents, read by workers and merged without a model: how much of them comes back.

    python bench/tables.py [--tables FOLDER] [--context 8192] [--only ID]

Each table becomes documents in four ways: `one` row a document; `several` rows a document; `pieces`, where each
document has half of the columns of some rows; and `decoys`, where every row is in three documents, spelt in several
ways, one of its cells is wrong in one of them, and a fourth document has a row that does not belong. The reader is a
double that never errs: it returns the rows that are in the text it is shown. So every loss is the swarm's. F1 of rows
(all cells right) and of cells, against the table, without case and blanks; the aim is 1.000 everywhere.

For comparison, one agent reads all documents and writes the whole table, within the same context and answer cap.
`bench/tables.json` has seven tables of DeepWideSearch (Apache License 2.0); `--tables` reads more of the same form.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.spec.chat import BYTES_PER_TOKEN, Data, Message, Reply, Request, Text, Usage, estimate_tokens
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function

Row = dict[str, str]
WAYS = ("one", "several", "pieces", "decoys")
ROWS_A_DOCUMENT = 5
ANSWER_TOKENS = 1024
"""Output cap of the reader, for the swarm and for the single agent."""
FILLER = "This page was moved here from an older collection. Its figures were not rounded. " * 8


@dataclass(frozen=True)
class Known:
    """A table with known cells."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    rows: tuple[Row, ...]


def known_tables(path: Path) -> Iterator[Known]:
    """Read tables from a file of many, or from a folder of files with one each."""
    if path.is_dir():
        found: list[Any] = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(path.glob("*.json"))]
    else:
        found = json.loads(path.read_text(encoding="utf-8"))["tables"]
    for table in found:
        columns = tuple(" ".join(name.split()) for name in table["columns"])
        wanted = {_plain(name) for name in table["key"]}
        key = tuple(name for name in columns if _plain(name) in wanted)
        lines = dict.fromkeys(tuple(" ".join(cell.split()) for cell in row) for row in table["rows"])  # each once
        rows = tuple(dict(zip(columns, line, strict=True)) for line in lines)
        if len({tuple(_plain(row[name]) for name in key) for row in rows}) < len(rows):
            key = columns  # its key names several rows: only whole rows are told apart
        yield Known(table["id"], columns, key, rows)


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


# Documents


def documents(table: Known, way: str, seed: int = 1) -> list[str]:
    """Scatter a table over documents."""
    rng = random.Random(seed)
    if way == "one":
        return [document([row]) for row in table.rows]
    if way == "several":
        return [document(rows) for rows in _groups(table.rows)]
    found: list[str] = []
    if way == "pieces":
        for half in _halves(table):
            found += [document(rows) for rows in _groups(half)]
    else:
        for row in table.rows:
            found += _contradicted(table, row, rng)
    rng.shuffle(found)
    return found


def document(rows: Sequence[Row], *, belongs: bool = True) -> str:
    """Write a document: prose around one block a row. A row that does not belong is marked so."""
    mark = "Entry" if belongs else "Not part of the collection"
    blocks = ["\n".join((f"## {mark}", *(f"- {name}: {cell}" for name, cell in row.items()))) for row in rows]
    return "\n\n".join((FILLER, *blocks, FILLER))


def _groups(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[at : at + ROWS_A_DOCUMENT] for at in range(0, len(rows), ROWS_A_DOCUMENT)]


def _halves(table: Known) -> list[list[Row]]:
    """Return the rows twice, each time with the key and half of the other columns."""
    others = [name for name in table.columns if name not in table.key]
    parts = (others[: len(others) // 2], others[len(others) // 2 :])
    return [[{name: row[name] for name in (*table.key, *part)} for row in table.rows] for part in parts]


def _contradicted(table: Known, row: Row, rng: random.Random) -> list[str]:
    """Write a row into three documents, spelt differently, one with a wrong cell; and a fourth that does not count."""
    others = [name for name in table.columns if name not in table.key]
    wrong = row | {rng.choice(others): "12345"} if others else row
    spelt = row | {name: f"  {row[name].upper()} " for name in table.key}
    decoy = {name: f"not {cell}" for name, cell in row.items()}
    texts = [document([each]) for each in (row, wrong, spelt)]
    rng.shuffle(texts)
    return [*texts, document([decoy], belongs=False)]


# The reader


def read_rows(text: str) -> list[Row]:
    """Return every row that is in a text, and nothing else."""
    rows: list[Row] = []
    for block in text.split("## Entry\n")[1:]:
        lines = [line for line in block.split("\n\n")[0].splitlines() if line.startswith("- ")]
        rows.append(dict(cast("tuple[str, str]", tuple(line[2:].split(": ", 1))) for line in lines if ": " in line))
    return rows


def reader(request: Request) -> Reply:
    """Answer with the rows of the inputs. An answer that is longer than the cap ends there, as that of any model."""
    parts = [part for message in request.messages for part in message.parts]
    text = "\n".join(part.text for part in parts if isinstance(part, Data) and part.of == "input")
    answer = json.dumps(read_rows(text), ensure_ascii=False)
    written = estimate_tokens(answer)
    if written > ANSWER_TOKENS:
        answer = answer.encode()[: ANSWER_TOKENS * BYTES_PER_TOKEN].decode("utf-8", "ignore")
    asked = sum(estimate_tokens(part.text) for part in parts if isinstance(part, Data))
    usage = Usage(calls=1, input_tokens=asked, output_tokens=min(written, ANSWER_TOKENS))
    message = Message(role="assistant", parts=(Text(text=answer),))
    finish = "length" if written > ANSWER_TOKENS else "stop"
    return Reply(message=message, finish=finish, usage=usage, endpoint="double", model="double")


# Runs


@dataclass(frozen=True)
class Score:
    """What came back of a table."""

    rows: float
    cells: float
    calls: int
    tokens: int


async def run(table: Known, texts: Sequence[str], context: int, *, alone: bool) -> Score:
    """Run a swarm, or one agent, over documents. Score the table that it gives."""
    row: Any = {"type": "object", "properties": {name: {"type": "string"} for name in table.columns}}
    rows: Any = {"type": "array", "items": row}
    prompt = "Return the entries of the collection."
    read = Step(id="read", each=None if alone else "inputs", prompt=prompt, output=rows)
    join = Step(id="table", merge="table", key=table.key, needs=("read",))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, text in enumerate(texts):
            (folder / f"{number:04}.md").write_text(text, encoding="utf-8")
        task = Task(
            goal="A table of the collection.",
            inputs=("*.md",),
            models={"default": Model(endpoint="offline", context=context, max_tokens=ANSWER_TOKENS)},
            plan=Plan(steps=(read, join)),
            limits=Limits(steps=10_000, tokens=None),
            folder=folder,
        )
        async with Run(task, options=Options(endpoint=Function(reader), cache=False)) as this:
            pass
        result = this.result
    found = [] if result.table is None else list(result.table)
    return Score(*scores(table, found), result.usage.calls, result.usage.tokens)


def scores(table: Known, found: Sequence[Any]) -> tuple[float, float]:
    """Return the F1 of whole rows and of cells, the key's included."""
    known = [{name: _plain(cell) for name, cell in row.items()} for row in table.rows]
    given = [{name: _plain(str(row.get(name) or "")) for name in table.columns} for row in found]
    rows = f1(map(repr, known), map(repr, given))
    return rows, f1(_cells(table, known), _cells(table, given))


def _cells(table: Known, rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        key = [row[name] for name in table.key]
        yield from (repr((key, name, row[name])) for name in table.columns)


def f1(known: Iterable[str], given: Iterable[str]) -> float:
    """Return the F1 of what was given, duplicates counted as they are."""
    wanted, got = Counter(known), Counter(given)
    right = (wanted & got).total()
    return 2 * right / (wanted.total() + got.total()) if right else 0.0


async def main() -> None:
    """Measure every table in every way."""
    parser = argparse.ArgumentParser(description="Scatter tables over documents and merge what a reader finds.")
    parser.add_argument("--tables", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--only", default="", help="id of one table")
    given = parser.parse_args()
    print(f"context {given.context:,}, answers of at most {ANSWER_TOKENS:,} tokens")
    columns = "rows cells calls   tokens"
    print(f"{'table':10} {'way':8} documents   swarm: {columns}   one agent: {columns}")
    lowest = 1.0
    for table in known_tables(given.tables):
        if given.only not in ("", table.name):
            continue
        for way in WAYS:
            texts = documents(table, way)
            many = await run(table, texts, given.context, alone=False)
            one = await run(table, texts, given.context, alone=True)
            lowest = min(lowest, many.rows, many.cells)
            print(f"{table.name:10} {way:8} {len(texts):9} {_shown(many)}    {_shown(one)}", flush=True)
    print(f"lowest F1 of the swarm: {lowest:.3f}")


def _shown(score: Score) -> str:
    return f"{score.rows:11.3f} {score.cells:5.3f} {score.calls:5} {score.tokens:8,}"


if __name__ == "__main__":
    anyio.run(main)
