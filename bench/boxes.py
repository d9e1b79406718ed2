"""What tool calls cost: 100 agents with one call each, and 100 pieces of pandas code, each against a bare loop here.

    python bench/boxes.py

The ratios compare with a loop in the same process and the same run, so they say more than seconds do.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

import swarm
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Input, Model, PythonSpec, Task
from swarm.testing import Function, reply
from swarm.tools import Place, ToolContext
from swarm.tools.python import PythonKit

AGENTS = 100
CALLS = 100
ROWS = "region,amount\n" + "".join(f"r{n % 7},{n}\n" for n in range(1000))
CODE = "pd.read_csv('/inputs/sales.csv').groupby('region').amount.sum().max()"
WAIT = 0.1
"""Seconds that the page of the slow read takes."""


class Folder:
    """Storage without a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def content(self, artifact: str) -> bytes:
        """Return the bytes of an artifact: there is none."""
        raise NotImplementedError

    def clean(self, text: str) -> str:
        """Return the text."""
        return text

    def scratch(self, step: str) -> Path:
        """Return the folder of a step."""
        (self.path / step).mkdir(exist_ok=True)
        return self.path / step

    def clear(self, step: str) -> None:
        """Keep it."""


async def agents(folder: Path, *, word: Callable[[int], str]) -> tuple[float, int]:
    """Run 100 agents that make one call each of a slow read. Return seconds, and how often it was made."""
    made: list[str] = []

    @swarm.tool
    async def page(name: str) -> str:
        """Get a page."""
        made.append(name)
        await anyio.sleep(WAIT)
        return name * 10

    def answer(request: Request) -> Any:
        if request.messages[-1].role == "tool" or not request.tools:
            return "Done [s1]."
        number = int(request.messages[-1].text.rsplit(" ", 1)[-1].strip("."))
        return reply(calls=[("page", {"name": word(number)})])

    steps = [Step(id=f"s{n}", prompt=f"Look at {n}.") for n in range(1, AGENTS + 1)]
    steps.append(Step(id="all", merge="count", needs=tuple(step.id for step in steps)))
    models = {"default": Model(endpoint="offline")}
    task = Task(goal="x", tools=("page",), models=models, plan=Plan(steps=tuple(steps)), folder=folder)
    started = time.perf_counter()
    limits = {"workers": AGENTS}
    result = await swarm.run(task, endpoint=Function(answer), tools=[page], cache=False, limits=limits)
    assert result.status == "done", result.errors
    return time.perf_counter() - started, len(made)


def bare(code: str, sales: Path) -> list[float]:
    """Run the code in a plain Python of its own, warm. Return seconds of each time."""
    program = f"""
import json, time, pandas as pd
times = []
for _ in range({CALLS}):
    started = time.perf_counter()
    {code.replace("/inputs/sales.csv", str(sales))}
    times.append(time.perf_counter() - started)
print(json.dumps(times))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


async def boxed(folder: Path, *, warm: bool) -> list[float]:
    """Run the code in boxes: one for all calls, or a fresh one for each. Return seconds of each call."""
    kit = PythonKit(PythonSpec(), folder)
    problem = kit.problem()
    if problem is not None:
        raise SystemExit(problem)
    inputs = (Input(name="sales.csv", text=ROWS, size=len(ROWS)),)
    place = Place(step="s", inputs=inputs, storage=Folder(folder))
    [tool] = kit.tools
    times: list[float] = []
    for n in range(CALLS + warm):
        started = time.perf_counter()
        result = await tool.run(json.dumps({"code": f"import pandas as pd\n{CODE}"}), ToolContext("s", place=place))
        assert "Error" not in str(result), result
        if not (warm and n == 0):
            times.append(time.perf_counter() - started)
        if not warm:
            await place.aclose()
    await place.aclose()
    await kit.close()
    return times


def same(number: int) -> str:
    """Return one name for all numbers."""
    del number
    return "same"


def line(name: str, times: list[float], unit: float) -> str:
    """Return a line of the answer."""
    middle = statistics.median(times)
    return f"{name:<28} {1000 * middle:>9.2f} ms in the middle, {middle / unit:>8.1f} × a bare loop"


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sales = folder / "sales.csv"
        sales.write_text(ROWS)
        kinds: tuple[tuple[str, Callable[[int], str]], ...] = (("one page for all", same), ("a page for each", str))
        for words, word in kinds:
            seconds, made = await agents(folder, word=word)
            print(f"{AGENTS} agents, {words}: {made} calls made, {seconds:.2f} s, {seconds / WAIT:.1f} × one call")
        unit = bare(CODE, sales)
        warm, cold = await boxed(folder, warm=True), await boxed(folder, warm=False)
        middle = statistics.median(unit)
        print(line("pandas, bare loop", unit, middle))
        print(line("pandas, in a warm box", warm, middle))
        print(line("pandas, in a box each", cold, middle))


if __name__ == "__main__":
    anyio.run(main)
