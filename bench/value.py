"""The share of known facts that reaches the report, and what it costs, at several widths and context sizes.

    python bench/value.py [--documents 10,100,300,1000] [--contexts 8192,32768,131072]

Each document has eight facts between other sentences. The model is a double that never errs: it finds every fact that
it is shown and repeats it with its source, but refuses what exceeds its context and stops at its output cap of 4,096
tokens. So every fact that is missing was lost by the orchestrator. The same documents go to one agent and to a swarm,
in the same run. A call takes one second, in virtual time. The aim is 1.000 in every row of the swarm; the cost is in
tokens per fact in the report.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
from trio.testing import MockClock

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.erring import Rates
from bench.erring import main as erring
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.spec.chat import Reply, Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from tests.readers import FACT, PerfectReader, document

FACTS = 8
"""Facts in each document."""
CAP = 4096
"""Output cap in tokens."""
SWARM = Plan(
    steps=(
        Step(id="read", each="inputs", prompt="Find the facts in {item}."),
        Step(id="reduce", agent="reducer", after=("read",)),
    )
)
ALONE = Plan(steps=(Step(id="answer", prompt="List all facts."),))


class Slow(PerfectReader):
    """The double, with calls of one second."""

    async def complete(self, request: Request) -> Reply:
        """Answer after a second."""
        await anyio.sleep(1.0)
        return await super().complete(request)


async def measure(folder: Path, plan: Plan, documents: int, context: int) -> str:
    """Run a plan over the documents of a folder; return a row of the table."""
    model = Slow(context, cap=CAP)
    task = Task(
        goal="List all facts.",
        inputs=("*.md",),
        folder=folder,
        models={"default": Model(endpoint="offline", context=context, max_tokens=CAP)},
        plan=plan,
        limits=Limits(workers=64, steps=10_000),
    )
    async with Run(task, options=Options(endpoint=model, cache=False, runs=folder / "runs")) as run:
        pass
    result = run.result
    text = "" if result.report is None else result.report.text
    wanted = {f"F-{number}-{n} is {number * 100 + n}." for number in range(documents) for n in range(FACTS)}
    found = len(wanted & set(FACT.findall(text)))
    usage = result.usage
    cost = usage.tokens / found if found else float("inf")
    return (
        f"{found / len(wanted):6.3f}  {usage.calls:6,}  {usage.input_tokens:11,}  {usage.output_tokens:9,}  "
        f"{cost:9,.0f}  {result.parallelism.seconds:8,.0f}  {result.status}"
    )


def in_virtual_time(folder: Path, plan: Plan, documents: int, context: int) -> str:
    """Return the row of a run without waiting for its calls."""
    clock = MockClock(autojump_threshold=0)
    return anyio.run(measure, folder, plan, documents, context, backend="trio", backend_options={"clock": clock})


def main(documents: Sequence[int], contexts: Sequence[int]) -> None:
    """Print the table."""
    print("documents  context  who     facts   calls  input tokens     output  tok./fact  seconds  status")
    for count in documents:
        for context in contexts:
            for who, plan in (("alone", ALONE), ("swarm", SWARM)):
                with tempfile.TemporaryDirectory() as name:
                    folder = Path(name)
                    for n in range(count):
                        (folder / f"{n:05}.md").write_text(document(n, FACTS, words=2), encoding="utf-8")
                    row = in_virtual_time(folder, plan, count, context)
                print(f"{count:9,}  {context:7,}  {who:6}  {row}", flush=True)


def numbers(text: str) -> list[int]:
    """Return the numbers of a list with commas."""
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=numbers, default=[10, 100, 300, 1_000])
    parser.add_argument("--contexts", type=numbers, default=[8_192, 32_768, 131_072])
    parser.add_argument("--misses", type=float, default=0.0, help="share of the facts that the reader overlooks")
    parser.add_argument("--invents", type=float, default=0.0, help="share of the facts that it gets wrong")
    parser.add_argument("--contradicts", type=float, default=0.0, help="share of the facts with two figures")
    chosen = parser.parse_args()
    rates = Rates(chosen.misses, chosen.invents, chosen.contradicts)
    if rates == Rates(0, 0, 0):
        main(chosen.documents, chosen.contexts)
    else:
        erring(chosen.documents, chosen.contexts, rates)
