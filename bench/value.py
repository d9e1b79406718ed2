"""The known facts that reach a report or a table, and what that costs, at several widths and context sizes.

    python bench/value.py [--documents 10,37,100,300,1000] [--contexts 8192,32768,131072] [--kinds text,table]

The model is a double that never errs: it finds every fact that it is shown and repeats it with its source, or returns
it in a row, but refuses what exceeds its context and stops at its output cap of 4,096 tokens. So every fact that is
missing was lost by the orchestrator. The same documents go to one agent and to a swarm, in the same run. Time is
virtual, and prices are assumed: see `bench/known.py`.

- `right`: for a text, the share of the facts in the report (aim: 0.99); for a table, the F1 of its cells (aim: 1.000).
- `$/1,000`: US dollars for a thousand facts, or right cells.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.erring import Rates
from bench.erring import main as erring
from bench.known import CAP, COLUMNS, FACTS, ROWS, TableReader, cells_of, f1, facts_of, reading, run_over, usd
from swarm.results.result import Result
from swarm.spec.plan import Plan, Step
from tests.readers import PerfectReader, document

JOIN = Step(id="table", merge="table", key=("name",), needs=("read",))
PLANS = {
    ("text", "swarm"): Plan(steps=(reading(), Step(id="reduce", agent="reducer", after=("read",)))),
    ("text", "alone"): Plan(steps=(Step(id="answer", prompt="List all facts."),)),
    ("table", "swarm"): Plan(steps=(reading(output=ROWS), JOIN)),
    ("table", "alone"): Plan(steps=(Step(id="read", prompt="Return a row for each document.", output=ROWS), JOIN)),
}


def right_in(result: Result, kind: str, documents: int) -> tuple[float, int]:
    """Return the share of the facts in a report, or the F1 of the cells of a table, and how many are right."""
    figures = [[number * 100 + n for n in range(FACTS)] for number in range(documents)]
    if kind == "text":
        wanted = {f"F-{k}-{n} is {figure}." for k, each in enumerate(figures) for n, figure in enumerate(each)}
        found = wanted & facts_of("" if result.report is None else result.report.text)
        return len(found) / len(wanted), len(found)
    cells = ((f"F-{k}", COLUMNS[n], str(figure)) for k, each in enumerate(figures) for n, figure in enumerate(each))
    known, given = Counter(cells), cells_of(result.table or ())
    return f1(known, given), (known & given).total()


def row_of(kind: str, who: str, documents: int, context: int) -> str:
    """Run a plan over documents; return a row of the table."""
    model = (PerfectReader if kind == "text" else TableReader)(context, cap=CAP)
    texts = [document(n, FACTS, words=2) for n in range(documents)]
    began = time.process_time()
    result = run_over(texts, PLANS[kind, who], model, context)
    cpu = time.process_time() - began
    score, right = right_in(result, kind, documents)
    usage = result.usage
    return (
        f"{documents:9,}  {context:7,}  {kind:5}  {who:5}  {score:6.3f}  {usage.calls:6,}  {usage.input_tokens:11,}  "
        f"{usage.output_tokens:9,}  {1000 * usd(usage) / max(1, right):8.4f}  {result.parallelism.seconds:8,.0f}  "
        f"{cpu:6.1f}  {result.status}"
    )


def main(documents: Sequence[int], contexts: Sequence[int], kinds: Sequence[str]) -> None:
    """Print the table."""
    print(
        "documents  context  kind   who     right   calls  input tokens     output   $/1,000   seconds     CPU  status"
    )
    for count in documents:
        for context in contexts:
            for kind in kinds:
                for who in ("alone", "swarm"):
                    print(row_of(kind, who, count, context), flush=True)


def numbers(text: str) -> list[int]:
    """Return the numbers of a list with commas."""
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=numbers, default=[10, 37, 100, 300, 1_000])
    parser.add_argument("--contexts", type=numbers, default=[8_192, 32_768, 131_072])
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=["text", "table"])
    parser.add_argument("--misses", type=float, default=0.0, help="share of the facts that the reader overlooks")
    parser.add_argument("--invents", type=float, default=0.0, help="share of the facts that it gets wrong")
    parser.add_argument("--contradicts", type=float, default=0.0, help="share of the facts with two figures")
    chosen = parser.parse_args()
    rates = Rates(chosen.misses, chosen.invents, chosen.contradicts)
    if rates == Rates(0, 0, 0):
        main(chosen.documents, chosen.contexts, chosen.kinds)
    else:
        erring(chosen.documents, chosen.contexts, rates)
