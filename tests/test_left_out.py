"""What no step read: named with its sizes, in one line, as data, and in the status of the run."""

import json
from pathlib import Path

import pytest

from swarm.record import events as e
from swarm.record.outcome import Outcome, Unread
from swarm.record.state import State
from swarm.results.left_out import LeftOut, left_out, left_out_line
from swarm.results.report import make_report
from swarm.spec.plan import Part, Plan, Step
from swarm.spec.task import Model as TaskModel
from swarm.spec.task import Task
from tests.models import Model, run_with
from tests.swarms import WORKER


def state_of(*steps: Step, outcomes: dict[str, Outcome]) -> State:
    """Return a state in which the steps without an outcome failed."""
    state = State()
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=(WORKER,)))
    state.apply(e.StepsAdded(by="task", steps=steps))
    for step in steps:
        state.apply(e.StepStarted(step=step.id, attempt=1, span="", model=""))
        if step.id in outcomes:
            state.apply(e.StepFinished(step=step.id, attempt=1, outcome=outcomes[step.id]))
        else:
            error = e.Failure(kind="refused", message="no")
            state.apply(e.StepFailed(step=step.id, attempt=1, error=error))
    return state


def cut(name: str, read: int, total: int = 100) -> Outcome:
    unread = (Unread(of="input", name=name, read=read, total=total),)
    words = (f"input {name}: {read} of {total} bytes were shown", "brief: 3 of 9 inputs were listed")
    return Outcome(output="Text.", left_out=words, unread=unread)


def test_fault_162_an_input_is_named_once_with_the_most_that_a_step_read() -> None:
    steps = (Step(id="a"), Step(id="b"), Step(id="c", needs=("a", "b")))
    outcomes = {"a": cut("x.md", 10), "b": cut("x.md", 60), "c": cut("y.md", 5)}
    found = left_out(state_of(*steps, outcomes=outcomes))
    assert found == (
        LeftOut(of="input", name="x.md", read=60, total=100),
        LeftOut(of="input", name="y.md", read=5, total=100),
    )


def test_a_part_that_failed_was_not_read() -> None:
    one = Part(kind="input", name="long.md", sha256="", whole="w", start=0, own=0, end=40)
    two = one.model_copy(update={"start": 30, "own": 40, "end": 90})
    parts = (Step(id="a.1", part=one, partial_of="a"), Step(id="a.2", part=two, partial_of="a"))
    found = left_out(state_of(*parts, outcomes={"a.1": Outcome(output="Text.")}))
    assert found == (LeftOut(of="input", name="long.md", read=40, total=90),)
    assert left_out(state_of(*parts, outcomes={"a.1": Outcome(), "a.2": Outcome()})) == ()


def test_thousands_are_one_line() -> None:
    found = [LeftOut(of="input", name=f"n{n}.md", read=1, total=2) for n in range(3000)]
    found.append(LeftOut(of="output", name="study", read=0, total=10))
    line = left_out_line(found)
    assert line == "3,000 of 6,010 bytes of 3,000 inputs and 1 output were read: n0.md, n1.md, n2.md and 2,998 more"
    assert left_out_line([]) == ""


def test_a_report_has_one_line_for_all_and_the_other_gaps() -> None:
    steps = (Step(id="a"), Step(id="b", needs=("a",)))
    state = state_of(*steps, outcomes={"a": cut("x.md", 10), "b": cut("y.md", 5)})
    made = make_report(state, lambda s: s.outcome.output, lambda step: "")
    assert made is not None
    lines = made.text.partition("## Left out\n\n")[2].splitlines()
    assert lines == [
        "- 15 of 200 bytes of 2 inputs were read: x.md and y.md",
        "- [a] brief: 3 of 9 inputs were listed",
        "- [b] brief: 3 of 9 inputs were listed",
    ]


def test_nothing_left_out_is_not_written() -> None:
    assert "unread" not in json.loads(Outcome(output="Text.").model_dump_json())


@pytest.mark.anyio
async def test_a_run_that_left_something_out_is_partial(tmp_path: Path) -> None:
    # A planner reads no part of a text: what exceeds its space is left out.
    steps = (
        Step(id="a", prompt="Write much."),
        Step(id="more", agent="planner", needs=("a",)),
        Step(id="z", agent="reducer", after=("more",)),
    )
    plan = Plan(steps=steps)
    model = Model({"Write much.": "word " * 19_000}, plan={"steps": [{"id": "b", "prompt": "Do b."}]})
    models = {"default": TaskModel(endpoint="offline", context=16_384)}
    result = await run_with(model, Task(goal="Long.", plan=plan, folder=tmp_path, models=models, swarm="always"))
    assert (result.status, result.exit_code) == ("partial", 3)
    entry = result.to_dict()["left_out"][0]
    assert (entry["of"], entry["name"], entry["total"]) == ("output", "a", 94_999)
    assert 0 < entry["read"] < entry["total"]
