"""The wrappers of a run, and their order."""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import SecretStr

from swarm.budget.setup import open_meters
from swarm.endpoints.offline import Offline
from swarm.endpoints.route import routes_of
from swarm.endpoints.router import connect
from swarm.endpoints.wiring import ENDPOINT_ORDER, Wiring
from swarm.executors.approvals import Approvals
from swarm.executors.budgeted import Budgeted
from swarm.lifecycle.wiring import EXECUTOR_ORDER, ExecutorWiring, assemble
from swarm.record.folder import RunFolder
from swarm.record.state import State
from swarm.spec.task import Limits, Model
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
    meters = open_meters(Limits(), {}, state)
    return ExecutorWiring(
        budgeted=Budgeted(Scripted(), tools, meters, state),
        tools=tools,
        approvals=Approvals(state),
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


def show(capsys: pytest.CaptureFixture[str], order: tuple[type[Any], ...]) -> None:
    """Print an order, outermost first, for whoever runs the tests."""
    with capsys.disabled():
        print("\n" + " > ".join(each.__name__ for each in order))  # noqa: T201 - to be seen


def test_the_order_of_executors_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    show(capsys, EXECUTOR_ORDER)
    assert [each.__name__ for each in EXECUTOR_ORDER] == listed_under("EXECUTOR_ORDER")


def test_executors_are_assembled_in_their_order(tmp_path: Path) -> None:
    assert chain(assemble(wiring(tmp_path, "Which one?"))) == [each.__name__ for each in EXECUTOR_ORDER]


@pytest.mark.parametrize("goal", [None, ""])
def test_only_a_task_that_asks_for_advice_gets_it(tmp_path: Path, goal: str | None) -> None:
    assert ("OneAgent" in chain(assemble(wiring(tmp_path, goal)))) == (goal is not None)


def test_the_order_of_endpoints_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    show(capsys, ENDPOINT_ORDER)
    assert [each.__name__ for each in ENDPOINT_ORDER] == listed_under("ENDPOINT_ORDER")


def wrappers_of(endpoint: object) -> list[str]:
    """Return the names of the wrappers of an endpoint, outermost first; of a pool, those of its first member."""
    found: list[str] = []
    inner: object = endpoint
    while inner is not None:
        found.append(type(inner).__name__)
        members = getattr(inner, "_members", None)
        inner = members[0].endpoint if members else getattr(inner, "_inner", getattr(inner, "_endpoint", None))
    return found


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model(endpoint="http://127.0.0.1:1/v1", name="m"), ["LabelGuard", "Retrying", "OpenAIEndpoint"]),
        (
            Model(
                endpoint="http://127.0.0.1:1/v1", name="m", warm=True, key=(SecretStr("key-one"), SecretStr("key-two"))
            ),
            ["LabelGuard", "PrefixFirst", "Pool", "Retrying", "OpenAIEndpoint"],
        ),
        (Model(endpoint="offline", warm=True), ["LabelGuard", "ChargedEndpoint", "Offline"]),
    ],
    ids=["plain", "warm with two keys", "offline"],
)
async def test_a_model_has_its_wrappers_in_that_order(model: Model, expected: list[str]) -> None:
    async with connect(routes_of({"default": model}), Wiring(offline=Offline, rng=Random(1))) as router:
        found = wrappers_of(router._endpoints["default"])  # pyright: ignore[reportPrivateUsage]
    assert found == expected
    known = [name for name in expected[:-1] if name in {wrapper.__name__ for wrapper in ENDPOINT_ORDER}]
    assert known == expected[:-1]
