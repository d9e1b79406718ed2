"""Real tables scattered over documents come back whole: the measurement of `bench/tables.py` in small."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parent.parent / "bench" / "tables.py"


@pytest.fixture(scope="module")
def bench() -> Any:
    spec = importlib.util.spec_from_file_location("bench_tables", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def smallest(bench: Any) -> Any:
    tables = list(bench.known_tables(PATH.with_suffix(".json")))
    assert len(tables) == 7
    return min(tables, key=lambda table: len(table.rows))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "way", ["several", "pieces", pytest.param("decoys", marks=pytest.mark.slow)]
)  # 96 runs of steps
async def test_every_row_comes_back(bench: Any, way: str) -> None:
    table = smallest(bench)
    score = await bench.run(table, bench.documents(table, way), 8192, alone=False)
    assert (score.rows, score.cells) == (1.0, 1.0)


def test_the_score_sees_what_is_wrong(bench: Any) -> None:
    table = smallest(bench)
    rows = [dict(row) for row in table.rows]
    assert bench.scores(table, rows) == (1.0, 1.0)
    rows[0][table.columns[-1]] = "wrong"
    by_row, by_cell = bench.scores(table, rows)
    assert by_row < by_cell < 1.0
    assert bench.scores(table, rows + rows)[0] < 0.7
    assert bench.scores(table, []) == (0.0, 0.0)


def test_decoys_and_contradictions_are_in_the_documents(bench: Any) -> None:
    table = smallest(bench)
    texts = bench.documents(table, "decoys")
    assert len(texts) == 4 * len(table.rows)
    assert sum("Not part of the collection" in text for text in texts) == len(table.rows)
    assert sum(": 12345\n" in text for text in texts) == len(table.rows)
    read = [row for text in texts for row in bench.read_rows(text)]
    assert len(read) == 3 * len(table.rows)
