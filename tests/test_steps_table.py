"""The steps of a run as a table: many that do the work of one step share a line."""

from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.spec.chat import Usage
from swarm.spec.plan import Step
from swarm.views.steps import FOLDED, steps_table


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


def test_few_steps_all_steps_and_sorted_steps_have_a_line_each() -> None:
    assert len(lines(steps_table(state_of(FOLDED), everything=False))) == FOLDED + 1
    assert len(lines(steps_table(state_of(40)))) == 41
    assert len(lines(steps_table(state_of(40), "tokens", everything=False))) == 41
