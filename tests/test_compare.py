"""The comparison of two runs."""

from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.compare import RunPair, compare
from swarm.spec.chat import Usage
from swarm.spec.plan import Step
from swarm.views.simulation import comparison
from tests.swarms import steps


def run(name: str, *done: tuple[str, float, str], graph: tuple[Step, ...], skipped: tuple[str, ...] = ()) -> State:
    """Fold a run in which steps were done one after the other: name, seconds, the hash of what was asked."""
    state = State()
    t = 0.0
    state.apply(e.RunStarted(run=name, trace="0" * 32, versions={}, task={}, agents=()))
    state.apply(e.StepsAdded(by="task", steps=graph))
    for step, seconds, prompt in done:
        parts = {"prompt": prompt, "model": "same"}
        state.apply(e.StepStarted(t=t, step=step, attempt=1, span="", model="default", parts=parts))
        t += seconds
        usage = Usage(calls=1, input_tokens=90, output_tokens=10)
        turn = e.TurnTaken(
            t=t, step=step, attempt=1, messages=(), usage=usage, seconds=seconds, model="m", endpoint="x"
        )
        state.apply(turn)
        state.apply(e.StepFinished(t=t, step=step, attempt=1, outcome=Outcome(output=step)))
    for step in skipped:
        state.apply(e.StepSkipped(t=t, step=step, because="no"))
    state.apply(e.RunFinished(t=t, status="partial" if skipped else "done"))
    return state


def pair() -> RunPair:
    before = run("one", ("a", 2.0, "x"), ("b", 3.0, "y"), ("c", 1.0, "z"), graph=steps("a b c d"), skipped=("d",))
    after = run("two", ("a", 5.0, "x"), ("b", 1.0, "Y"), ("d", 1.0, "w"), ("n", 4.0, "v"), graph=steps("a b d n"))
    return compare(before, after)


def test_each_step_has_its_change() -> None:
    found = {each.step: (each.change, each.differs) for each in pair().steps}
    assert found == {
        "a": ("same", ()),
        "b": ("changed", ("prompt",)),
        "c": ("gone", ()),
        "d": ("changed", ("status",)),
        "n": ("added", ()),
    }
    assert pair().counts == {"added": 1, "gone": 1, "changed": 2, "same": 1}


def test_figures_of_both() -> None:
    found = pair()
    assert found.runs == ("one", "two")
    assert (found.before.seconds, found.after.seconds) == (6, 11)
    assert (found.before.tokens, found.after.tokens) == (300, 400)
    assert found.work_seconds == (6, 11)
    assert found.critical_path_seconds == (3, 5)
    assert (found.before.status, found.after.status) == ("partial", "done")
    by_step = {each.step: each for each in found.steps}
    assert by_step["c"].after is None
    assert by_step["n"].before is None
    b = by_step["b"]
    assert b.before is not None
    assert b.after is not None
    assert (b.before.seconds, b.after.seconds, b.after.tokens) == (3, 1, 100)


def test_a_run_is_like_itself() -> None:
    state = run("one", ("a", 2.0, "x"), graph=steps("a"))
    assert compare(state, state).counts == {"added": 0, "gone": 0, "changed": 0, "same": 1}


def test_what_an_earlier_journal_does_not_say_is_no_difference() -> None:
    before, after = (run(name, ("a", 2.0, "x"), graph=steps("a")) for name in ("one", "two"))
    after.steps["a"].parts = {**after.steps["a"].parts, "endpoint": "here"}
    assert compare(before, after).counts["same"] == 1
    before.steps["a"].parts = {**before.steps["a"].parts, "endpoint": "there"}
    (found,) = compare(before, after).steps
    assert (found.change, found.differs) == ("changed", ("endpoint",))


def test_for_people() -> None:
    shown = comparison(pair())
    assert "steps: 1 added, 1 gone, 2 changed, 1 same" in shown
    assert "+5.0 s" in shown
    rows = {line.split()[0]: line for line in shown.splitlines() if line.split()}
    assert "prompt" in rows["b"]
    assert "3.0 s → 1.0 s" in rows["b"]
    assert "+100" in rows["tokens"]
    assert "unknown" in rows["USD"]
