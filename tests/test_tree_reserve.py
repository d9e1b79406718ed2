"""The part of a limit that is kept for the report grows with what its partial reports will use."""

from pathlib import Path

import pytest

from swarm.budget.ledger import Ledger, Pot
from swarm.endpoints.route import routes_of
from swarm.executors.tree_reserve import TreeReserve
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.spec.plan import Step
from swarm.spec.task import Model
from tests.readers import PerfectReader
from tests.test_reduction import FACT, partials, run, task, text_of


def finished(state: State, reserve: TreeReserve, name: str, output: str) -> None:
    emit = reserve.after(state.apply)
    emit(e.StepStarted(step=name, attempt=1, span="", model="default"))
    emit(e.StepFinished(step=name, attempt=1, outcome=Outcome(output=output)))


def started(*steps: Step) -> State:
    state = State()
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=()))
    state.apply(e.StepsAdded(by="task", steps=steps))
    return state


def test_what_is_kept_grows_with_outputs_that_the_report_reads_and_with_no_others() -> None:
    steps = (
        Step(id="a"),
        Step(id="b", needs=("a",)),
        Step(id="c", each=("x",)),
        Step(id="end", agent="reducer", needs=("b", "c")),
    )
    state, ledger = started(*steps), Ledger({"tokens": 100_000})
    pot = ledger.pots["tokens"]
    route = routes_of({"default": Model(endpoint="offline", context=8_192, max_tokens=1_024)})["default"]
    reserve = TreeReserve(state, ledger, route, 8_192)
    finished(state, reserve, "a", "word " * 4_000)
    assert pot.kept == 0
    state.apply(e.StepsAdded(by="c", steps=(Step(id="c.1", instance_of="c"),)))
    finished(state, reserve, "c.1", "A few words.")
    assert pot.kept == 0, "one call can read and repeat it"
    finished(state, reserve, "b", "word " * 2_000)
    kept = pot.kept
    assert 10_000 < kept < 60_000
    assert TreeReserve(state, Ledger({"tokens": 100_000}), route, 8_192)._tokens == reserve._tokens  # pyright: ignore[reportPrivateUsage]
    held = pot.hold(5_000, report=True)
    pot.settle(5_000, 4_000, held)
    assert pot.kept == kept - 4_000, "it shrinks as the partial reports are made"


def test_no_more_is_kept_than_is_left() -> None:
    pot = Pot(1_000, spent=400, kept=100)
    pot.keep(10_000)
    assert (pot.kept, pot.room(report=False)) == (600, 0)
    pot.keep(10)
    assert pot.kept == 600


@pytest.mark.anyio
async def test_under_a_limit_more_partial_reports_are_paid_for(tmp_path: Path) -> None:
    this = task(tmp_path, 100, limits={"steps": 6_000, "workers": 16, "tokens": 80_000})
    done = await run(this, PerfectReader(4_096))
    state = done.state
    leaves = [s for s in state.steps.values() if s.step.instance_of == "read" and s.status is Status.DONE]
    assert set(FACT.findall(text_of(done))) == {fact for s in leaves for fact in FACT.findall(str(s.outcome.output))}
    sections = [state.steps[name] for name in partials(state) if name.count(".") == 1 and not name.endswith(".0")]
    assert 30 < len(leaves) < 100
    # Answers that come at the same moment are counted one after the other, and a few leaves begin in between.
    assert sum(s.status is Status.DONE for s in sections) >= 0.6 * len(sections) > 2
    assert state.usage.tokens <= 80_000
