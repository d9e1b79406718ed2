"""What the advisor says of published graphs and of real files, and how near its forecast is to what is used.

    python bench/advice.py [FILE]

The file is a list of graphs, or an object with `graphs`; by default those of the tests. `seq` graphs are chains, `para`
ones have all steps in parallel, `async` ones are in between. Aimed at is "one agent" for all chains, and "swarm" for
all parallel ones with an ideal speed-up above 1.5; the graph where that is not so is named, and the exit code is 1.

Then `COUNTS` files of `SIZE` bytes are read by a swarm and by one agent, at three context sizes, with a double that
counts four bytes per token and answers at a usual length (`tests/authors.py`). Aimed at: tokens as foreseen within 30 %
both ways, and the right advice where the context decides (the inputs and one answer exceed it: "swarm") or the token
ratio does (everything fits, and the swarm takes twice the tokens or more: "one agent").
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import anyio
from trio.testing import MockClock

import swarm
from swarm.forecast.advice import Advice, advise
from swarm.forecast.expect import Experience
from swarm.forecast.plan import forecast_plan, scene_of
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import prepare
from swarm.spec.plan import Step

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.authors import Author, over_files, written_files  # noqa: E402 - a double that the tests have, too

GRAPHS = ROOT / "tests" / "data" / "graphs.json"
ENOUGH = 1.5


COUNTS = (10, 30, 100, 300)
SIZE = 2_000
CONTEXTS = (8_192, 32_768, 131_072)
WITHIN = 0.3
RATIO = 2.0
CAP = 1_024
"""Output cap of the model in `tests/authors.py`."""


def main() -> None:
    """Print both tables."""
    wrong = _graphs() + _files()
    sys.exit(1 if wrong else 0)


def _files() -> int:
    """Print the table of files; return the number of figures that are wrong."""
    wrong = 0
    print(
        f"\n{'files':>5} {'context':>8} {'swarm':>9} {'used':>9} {'one agent':>9} {'used':>9}  advice, and what is due"
    )
    for count in COUNTS:
        for context in CONTEXTS:
            with TemporaryDirectory() as folder:
                case = anyio.run(
                    _case,
                    Path(folder),
                    count,
                    context,
                    backend="trio",
                    backend_options={"clock": MockClock(autojump_threshold=0)},
                )
            wrong += case.wrong
            print(case)
    return wrong


@dataclass(frozen=True)
class _Case:
    count: int
    context: int
    foreseen: Advice
    swarm: int
    alone: int

    @property
    def due(self) -> str:
        """The right advice, or nothing if neither the context nor the token ratio decides."""
        size = self.count * SIZE / 4
        if size + CAP > self.context:
            return "swarm"
        fits = size * 1.5 + 2 * CAP < self.context
        return "one agent" if fits and self.swarm >= RATIO * self.alone else ""

    @property
    def wrong(self) -> int:
        """The number of figures that are wrong."""
        found = self.foreseen
        pairs = ((found.swarm.tokens, self.swarm), (found.one_agent.tokens, self.alone))
        far = sum(abs(foreseen - used) > WITHIN * used for foreseen, used in pairs)
        return far + (self.due not in ("", found.verdict))

    def __str__(self) -> str:
        found = self.foreseen
        figures = (found.swarm.tokens, self.swarm, found.one_agent.tokens, self.alone)
        row = f"{self.count:>5} {self.context:>8,} " + " ".join(f"{figure:>9,}" for figure in figures)
        return f"{row}  {found.verdict}, {self.due or 'either'}{'  WRONG' if self.wrong else ''}"


async def _case(folder: Path, count: int, context: int) -> _Case:
    """Foresee a task, then run it as a swarm and by one agent."""
    written_files(folder, count, SIZE)
    task, alone = over_files(folder, context=context), over_files(folder, context=context, alone=True)
    prepared = await prepare(task, Options(endpoint=Author()))
    scene = scene_of(prepared.resources, prepared.agents.values(), Experience())
    foreseen = forecast_plan(prepared.steps, scene).advice
    used = [await swarm.run(each, endpoint=Author(), cache=False) for each in (task, alone)]
    return _Case(count, context, foreseen, *(result.usage.tokens for result in used))


def _graphs() -> int:
    """Print the table of graphs; return the number of wrong advices."""
    read: Any = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else GRAPHS).read_text(encoding="utf-8"))
    counts: Counter[tuple[str, str, str]] = Counter()
    wrong = 0
    graphs = cast("list[dict[str, Any]]", read["graphs"] if isinstance(read, dict) else read)
    for graph in graphs:
        steps = [Step.model_validate({key: s[key] for key in ("id", "needs", "seconds")}) for s in graph["steps"]]
        found = advise(steps)
        above = "above" if found.ideal_speedup > ENOUGH else "at most"
        counts[graph["kind"], above, found.verdict] += 1
        due = {("seq", "at most"): "one agent", ("para", "above"): "swarm"}.get((graph["kind"], above))
        if due is not None and found.verdict != due:
            wrong += 1
            print(f"{graph['name']}: {found.verdict}, not {due}: {found.reason}")
    print(f"{'kind':8} {'ideal speed-up':16} {'one agent':>10} {'swarm':>6}")
    for kind, above in sorted({key[:2] for key in counts}):
        one, many = counts[kind, above, "one agent"], counts[kind, above, "swarm"]
        print(f"{kind:8} {f'{above} {ENOUGH}':16} {one:>10} {many:>6}")
    return wrong


if __name__ == "__main__":
    main()
