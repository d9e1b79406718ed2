"""Servers that are slow, full or gone, and answers that do not fit: what a run makes of them, in virtual time."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from faults import Case, of

import swarm
from swarm.attempt.answers import fit
from swarm.budget.ledger import Ledger
from swarm.budget.meter import Meter
from swarm.budget.queue import BudgetQueue
from swarm.endpoints.traffic.tries import Begin
from swarm.endpoints.wire.connecting import leaving
from swarm.spec.chat import Request, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.testing import BusyServer, Function
from tests.busy_servers import CASES, about, drive, slots
from tests.busy_servers import Case as Server

NUMBER: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
AWAY = Server(lambda: BusyServer(slots=slots(8), seconds=about(1), away=((5.0, 25.0),), loads=5.0), 100, 16, 300, 8)
REFUSING = Server(lambda: BusyServer(slots=slots(32), seconds=about(4), refuses=0.03), 250, 100, 300, 48)


@of(
    Case(164, "four slots, 200 workers", "0 of 200 steps lost, 0 calls wasted", CASES["4 slots of 1 s, deadline 10 s"]),
    Case(165, "away for 20 s, then 503 for 5 s", "0 of 100 steps lost, 0 calls wasted", AWAY),
    Case(1, "3 in 100 refused, whatever the load", "0 of 250 steps lost, 0 calls wasted", REFUSING),
)  # fmt: skip
def test_a_server_that_is_full_or_gone_loses_no_step(case: Case) -> None:
    found = drive(case.give)
    assert f"{found.lost} of {case.give.steps} steps lost, {found.wasted} calls wasted" == case.seen


@pytest.mark.anyio
@pytest.mark.virtual
@of(Case(167, "two attempts with two corrections each", "6 calls, 6 different requests"))
async def test_a_request_whose_answer_did_not_fit_is_never_made_again(case: Case, tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: Request) -> str:
        asked.append(repr(request.messages))
        return "It depends."

    steps = (Step(id="count", prompt="Count.", output=NUMBER),)
    run = await swarm.run(Task(goal="Count.", plan=Plan(steps=steps), folder=tmp_path), endpoint=Function(answer))
    assert [error.kind for error in run.errors if error.step == "count"] == ["form"]
    assert f"{len(asked)} calls, {len(set(asked))} different requests" == case.seen
    assert "there is no JSON in the answer" in asked[3]


@pytest.mark.anyio
@pytest.mark.virtual
@of(
    Case(168, "cancelled while it connects", "0 tokens charged", True),
    Case(168, "after that", "charged in full", False),
)
async def test_a_call_that_never_had_a_connection_costs_nothing(case: Case) -> None:
    ledger = Ledger({"tokens": 10_000})
    model = Meter(BudgetQueue(ledger), Model(endpoint="http://127.0.0.1:9/v1", name="m", max_tokens=200), None)

    async def attempt(begin: Begin) -> None:
        begin()
        call = leaving.get()
        assert call is not None
        call.connects = case.give
        await anyio.sleep_forever()

    with anyio.move_on_after(5):
        await model.around(Request(model="default", messages=(says("user", "hi"),)), attempt)
    pot = ledger.pots["tokens"]
    assert pot.held == 0
    assert ("charged in full" if pot.spent > 200 else f"{pot.spent} tokens charged") == case.seen


@of(
    *(Case(169, text, "{'n': 836}, noted", text) for text in ("836", "**836**", "n: 836", "[836]", "８３６")),
    Case(169, "836 million", "corrected", "836 million"),
)
def test_a_bare_value_is_that_of_the_only_field(case: Case) -> None:
    found = fit(case.give, NUMBER)
    assert (f"{found.value}, {'noted' * found.coerced}" if found.ok else "corrected") == case.seen
