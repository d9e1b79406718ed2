"""The wrappers of a run, and their order."""

import re
from pathlib import Path
from typing import Any

import pytest

from swarm.budget.setup import open_meters
from swarm.executors.budgeted import Budgeted
from swarm.lifecycle.wiring import EXECUTOR_ORDER, ExecutorWiring, assemble
from swarm.record.folder import RunFolder
from swarm.record.state import State
from swarm.spec.task import Limits
from swarm.testing import Scripted
from swarm.tools import Toolbox

ARCHITECTURE = Path(__file__).parent.parent / "ARCHITECTURE.md"


def listed_under(order: str) -> list[str]:
    """List the names below the line of ARCHITECTURE.md, section "Wrappers", that names an order."""
    section = ARCHITECTURE.read_text(encoding="utf-8").partition("## Wrappers\n")[2].partition("\n## ")[0]
    below = section.partition(f"`{order}`")[2].partition(":\n\n")[2].partition("\n\n")[0]
    return re.findall(r"^\d+\. `(\w+)`", below, re.M)


def wiring(folder: Path, advised_goal: str | None) -> ExecutorWiring:
    state, tools = State(), Toolbox(())
    meters = open_meters(Limits(), {}, {}, state)
    return ExecutorWiring(
        budgeted=Budgeted(Scripted(), tools, meters, state),
        tools=tools,
        state=state,
        folder=RunFolder(folder),
        clean=str,
        known={},
        cache=None,
        advised_goal=advised_goal,
    )


def chain(executor: Any) -> list[str]:
    """Name the classes of an executor and of those inside it, outermost first."""
    names: list[str] = []
    inner: Any = executor
    while hasattr(inner, "_inner"):
        names.append(type(inner).__name__)
        inner = getattr(inner, "_inner")  # noqa: B009 - the chain is private
    return [*names, type(inner).__name__]


def test_the_order_of_executors_is_documented() -> None:
    assert [each.__name__ for each in EXECUTOR_ORDER] == listed_under("EXECUTOR_ORDER")


def test_executors_are_assembled_in_their_order(tmp_path: Path) -> None:
    assert chain(assemble(wiring(tmp_path, "Which one?"))) == [each.__name__ for each in EXECUTOR_ORDER]


@pytest.mark.parametrize("goal", [None, ""])
def test_only_a_task_that_asks_for_advice_gets_it(tmp_path: Path, goal: str | None) -> None:
    assert ("OneAgent" in chain(assemble(wiring(tmp_path, goal)))) == (goal is not None)
