"""Runs over documents with known facts, in virtual time: what `bench/value.py` and `bench/erring.py` share.

Each document has eight facts between other sentences. A call takes half a second, and a second for each 5,000 tokens
that it reads and each 50 that it writes. A million tokens cost $0.5 to read and $3 to write: the order of a cheap
hosted model. Both are assumptions, the same for every row of a table.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from trio.testing import MockClock

from swarm.endpoints import Endpoint
from swarm.forecast.rehearse import READ_RATE, START_SECONDS, WRITE_RATE
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.results.result import Result
from swarm.spec.chat import Data, Reply, Request, Usage, split_data
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from tests.readers import FACT, PerfectReader

FACTS = 8
"""Facts in each document."""
CAP = 4096
"""Output cap in tokens."""
WORKERS = 64
"""Attempts at a time."""
INPUT_USD = 0.5
"""US dollars per million tokens that are read."""
OUTPUT_USD = 3.0
"""US dollars per million tokens that are written."""
COLUMNS = tuple(f"f{n}" for n in range(FACTS))
"""Fields of a row, with the figures of a document."""
ROWS: Any = {
    "type": "array",
    "items": {"type": "object", "properties": {name: {"type": "string"} for name in ("name", *COLUMNS)}},
}
"""Form of the rows that a step returns."""


class TableReader(PerfectReader):
    """A model that never errs and returns rows: one for each document of which it is shown a fact."""

    def _answer(self, request: Request) -> str:
        rows: dict[str, dict[str, str]] = {}
        for part in split_data(part for message in request.messages for part in message.parts):
            for fact in FACT.findall(part.text) if isinstance(part, Data) else ():
                name, figure = fact.rstrip(".").split(" is ")
                document, number = name.rsplit("-", 1)
                rows.setdefault(document, {"name": document})[f"f{number}"] = figure
        return json.dumps(list(rows.values()))


@dataclass(frozen=True)
class Timed:
    """Endpoint around another, whose calls take their time."""

    inner: Endpoint

    async def complete(self, request: Request) -> Reply:
        """Answer after the seconds that reading and writing take."""
        reply = await self.inner.complete(request)
        usage = reply.usage
        await anyio.sleep(START_SECONDS + usage.input_tokens / READ_RATE + usage.output_tokens / WRITE_RATE)
        return reply


def run_over(texts: Sequence[str], plan: Plan, endpoint: Endpoint, context: int) -> Result:
    """Run a plan over documents, without waiting for its calls."""
    clock = MockClock(autojump_threshold=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n, text in enumerate(texts):
            (folder / f"{n:05}.md").write_text(text, encoding="utf-8")
        run = _run(folder, plan, Timed(endpoint), context)
        return anyio.run(lambda: run, backend="trio", backend_options={"clock": clock})


async def _run(folder: Path, plan: Plan, endpoint: Endpoint, context: int) -> Result:
    task = Task(
        goal="List all facts.",
        inputs=("*.md",),
        folder=folder,
        models={"default": Model(endpoint="offline", context=context, max_tokens=CAP)},
        plan=plan,
        limits=Limits(workers=WORKERS, steps=10_000),
    )
    async with Run(task, options=Options(endpoint=endpoint, cache=False, runs=folder / "runs")) as run:
        pass
    return run.result


def reading(**fields: Any) -> Step:
    """Return the step that reads each document."""
    return Step(id="read", each="inputs", prompt="Find the facts in {item}.", **fields)


def usd(usage: Usage) -> float:
    """Return the cost of calls in US dollars."""
    return (usage.input_tokens * INPUT_USD + usage.output_tokens * OUTPUT_USD) / 1_000_000


def facts_of(text: str) -> set[str]:
    """Return the facts of a text."""
    return set(FACT.findall(text))


def cells_of(rows: Iterable[Any]) -> Counter[tuple[str, str, str]]:
    """Return the cells of a table, each with its row and its column."""
    return Counter((str(row.get("name")), name, str(row[name])) for row in rows for name in COLUMNS if row.get(name))


def f1(wanted: Counter[Any], given: Counter[Any]) -> float:
    """Return the F1 of what was given; what is there twice counts as wrong."""
    right = (wanted & given).total()
    return 2 * right / (wanted.total() + given.total()) if right else 0.0
