"""The steps of a run as a table: many that do the work of one step share a line."""

from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.measure import measure
from swarm.spec.chat import Usage
from swarm.spec.plan import Step
from swarm.views.steps import FOLDED, steps_table
from swarm.views.tables import plan_table, run_table


def state_of(instances: int, failed: int = 0) -> State:
    state = State()
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=()))
    steps = (Step(id="read", each=tuple(range(instances))), Step(id="reduce", agent="reducer", after=("read",)))
    state.apply(e.StepsAdded(by="task", steps=steps))
    parts = tuple(Step(id=f"read.{n}", instance_of="read") for n in range(1, instances + 1))
    state.apply(e.StepsAdded(by="read", steps=parts))
    for n, step in enumerate(parts):
        state.apply(e.StepStarted(step=step.id, attempt=1, span="", model="default"))
        if n < failed:
            state.apply(e.StepFailed(step=step.id, attempt=1, error=e.Failure(kind="empty", message="nothing")))
        else:
            outcome = Outcome(output="x", usage=Usage(calls=1, input_tokens=10))
            state.apply(e.StepFinished(step=step.id, attempt=1, outcome=outcome))
    return state


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()[1:]]


def test_many_instances_share_a_line_with_their_counts() -> None:
    assert lines(steps_table(state_of(40, failed=2), everything=False))[0].startswith(
        "read ×40 2 failed, 38 done worker default 40"
    )
    assert len(lines(steps_table(state_of(40), everything=False))) == 2
    assert lines(steps_table(state_of(40), everything=False))[0].startswith("read ×40 done worker default 40")


def test_a_line_of_many_steps_has_the_range_of_their_times() -> None:
    state = state_of(12)
    for n, s in enumerate(state.real_steps()):
        for span in s.spans:
            span.start, span.end = 0.0, 1.0 + n
    assert lines(steps_table(state, everything=False))[0].endswith("2.0 s – 13.0 s")


def test_partial_reports_share_a_line_from_three_on() -> None:
    for count, shown in ((2, ["report.1", "report.0"]), (3, ["report"])):
        state = State()
        state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=()))
        state.apply(e.StepsAdded(by="task", steps=(Step(id="report"),)))
        parts = [Step(id=f"report.{n}", partial_of="report") for n in (*range(1, count), 0)]
        state.apply(e.StepsAdded(by="report", steps=tuple(parts), combine="last"))
        assert [line.split()[0] for line in lines(steps_table(state, everything=False))] == shown


def test_steps_that_ended_alike_are_named_together() -> None:
    state = state_of(40, failed=7)
    text = run_table(state, measure(state), everything=False)
    assert "not done\n  read.1, read.2, read.3 and 4 more failed: nothing\n" in text
    assert "\n  read.7 failed: nothing\n" in run_table(state, measure(state))


def test_many_alike_steps_of_a_plan_share_a_line() -> None:
    many = tuple(Step(id=f"study-{n}", prompt=f"Study {n}.") for n in range(1, 41))
    text = plan_table((*many, Step(id="end", after=("study-1",), prompt="End.")))
    assert lines(text)[:2] == ["1 study-1 … study-40 ×40 worker Study 1.", "2 end worker after study-1 End."]
    assert len(lines(plan_table(many[:FOLDED]))) > FOLDED


def test_few_steps_all_steps_and_sorted_steps_have_a_line_each() -> None:
    assert len(lines(steps_table(state_of(FOLDED), everything=False))) == FOLDED + 1
    assert len(lines(steps_table(state_of(40)))) == 41
    assert len(lines(steps_table(state_of(40), "tokens", everything=False))) == 41
