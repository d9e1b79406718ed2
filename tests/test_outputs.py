"""What a step that was expanded passes on, and when it is done."""

import pytest

from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.scheduling.assign import Assigner
from swarm.scheduling.outputs import most_common
from swarm.scheduling.resources import RunResources
from swarm.spec.plan import Combine, Step
from swarm.spec.task import Task
from tests.swarms import WORKER


class Expanded:
    """A run of the steps `a`, `b` and `c`, and of `d` after them, which is expanded; `z` waits for it."""

    def __init__(self, combine: Combine | None, *children: Step) -> None:
        self.state = State()
        self.state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=(WORKER,)))
        leaves = tuple(Step(id=name) for name in "abc")
        graph = (*leaves, Step(id="d", after=("a", "b", "c")), Step(id="z", needs=("d",)))
        self.state.apply(e.StepsAdded(by="task", steps=graph))
        self.assigner = Assigner(self.state, RunResources(Task(goal="Why?")), str)
        for leaf in leaves:
            self.over(leaf.id)
        self.state.apply(e.StepsAdded(by="d", steps=children, combine=combine))

    def over(self, name: str, output: Json = None) -> None:
        self.state.apply(e.StepStarted(step=name, attempt=1, span="", model=""))
        given = f"found by {name}" if output is None else output
        self.state.apply(e.StepFinished(step=name, attempt=1, outcome=Outcome(output=given)))

    def fail(self, name: str) -> None:
        self.state.apply(e.StepStarted(step=name, attempt=1, span="", model=""))
        error = e.Failure(kind="refused", message="no")
        self.state.apply(e.StepFailed(step=name, attempt=1, error=error))

    def output(self) -> Json:
        return self.assigner.output_of(self.state.steps["d"])

    def status(self) -> Status:
        return self.state.steps["d"].status

    def read(self) -> list[str]:
        given, _ = self.assigner.given_to(self.state.steps["z"])
        return [each.step for each in given]


def partial(name: str, *after: str, length: int | None = 100) -> Step:
    return Step(id=name, after=after, partial_of="d", length=length)


TREE = (partial("d.1", "a", "b"), partial("d.2", "c"), partial("d.0", "d.1", "d.2"))


def test_a_report_in_sections_has_the_summary_first_and_a_heading_for_each_section() -> None:
    run = Expanded("sections", *TREE)
    run.over("d.1")
    run.over("d.2", "# Costs\n\nFound.")
    run.over("d.0", "In short.")
    assert run.output() == "In short.\n\n## a – b\n\nfound by d.1\n\n# Costs\n\nFound."
    assert run.status() is Status.DONE
    assert run.read() == ["d.1", "d.2"]


def test_a_section_without_an_output_is_replaced_by_what_it_would_have_read() -> None:
    run = Expanded("sections", *TREE)
    run.fail("d.1")
    run.over("d.2", "# Costs\n\nFound.")
    run.fail("d.0")
    assert run.output() == "## a – b\n\nfound by a [a]\n\nfound by b [b]\n\n# Costs\n\nFound."
    assert run.status() is Status.DONE
    assert run.read() == ["a", "b", "d.2"]


def test_sections_of_which_none_was_written_hold_all_that_was_found() -> None:
    run = Expanded("sections", *TREE)
    for name in ("d.1", "d.2", "d.0"):
        run.fail(name)
    assert run.status() is Status.DONE
    assert all(f"found by {name} [{name}]" in run.output() for name in "abc")
    assert not run.state.doomed


def test_the_last_step_of_a_tree_answers_for_it_under_its_id() -> None:
    run = Expanded("last", *TREE)
    run.over("d.1")
    run.fail("d.2")
    run.over("d.0")
    assert (run.output(), run.status(), run.read()) == ("found by d.0", Status.DONE, ["d"])
    assert run.state.steps["d"].good


def test_if_the_last_step_of_a_tree_fails_its_parts_are_read_in_its_place() -> None:
    run = Expanded("last", *TREE)
    run.over("d.1")
    run.over("d.2")
    run.fail("d.0")
    assert run.status() is Status.FAILED
    given, missing = run.assigner.given_to(run.state.steps["z"])
    assert ([each.step for each in given], [each.step for each in missing]) == (["d.1", "d.2"], ["d"])


def test_a_partial_does_not_look_through_what_failed() -> None:
    run = Expanded("sections", *TREE)
    run.fail("d.1")
    run.over("d.2")
    given, missing = run.assigner.given_to(run.state.steps["d.0"])
    assert ([each.step for each in given], [each.step for each in missing]) == (["d.2"], ["d.1"])


def test_a_last_step_without_a_length_looks_through_a_failed_partial() -> None:
    run = Expanded("last", *TREE[:2], partial("d.0", "d.1", "d.2", length=None))
    run.fail("d.1")
    run.over("d.2")
    given, missing = run.assigner.given_to(run.state.steps["d.0"])
    assert ([each.step for each in given], [each.step for each in missing]) == (["a", "b", "d.2"], ["d.1"])


def test_texts_are_joined_in_order_whatever_the_order_in_which_they_end() -> None:
    run = Expanded("text", *TREE)
    for name in ("d.2", "d.1", "d.0"):
        run.over(name)
    assert run.output() == "found by d.1\n\nfound by d.2\n\nfound by d.0"
    assert run.read() == ["d.1", "d.2", "d.0"]


@pytest.mark.parametrize(
    ("combine", "output"),
    [
        ("table", [{"x": 1}, {"x": 2}, {"x": 3}]),
        ("majority", [{"x": 1}, {"x": 2}]),
        ("list", [[{"x": 1}, {"x": 2}], None, {"x": 3}]),
    ],
)
def test_a_child_that_failed_counts_for_lists_only(combine: Combine, output: Json) -> None:
    run = Expanded(combine, *TREE)
    run.over("d.1", [{"x": 1}, {"x": 2}])
    run.fail("d.2")
    run.over("d.0", {"x": 3})
    assert run.status() is (Status.FAILED if combine == "list" else Status.DONE)
    assert run.read() == (["d.1", "c", "d.0"] if combine == "list" else ["d"])
    assert run.output() == output


def test_the_value_that_most_have_is_the_majority() -> None:
    assert most_common([{"a": 1, "b": 2}, "x", {"b": 2, "a": 1}]) == {"a": 1, "b": 2}
    assert most_common(["x", "y"]) == "x"
    assert most_common([]) is None


@pytest.mark.parametrize("combine", ["last", "sections", "text", "table", "majority"])
def test_what_does_a_share_of_a_step_is_neither_a_plan_nor_a_step_of_the_limit(combine: Combine) -> None:
    run = Expanded(combine, *TREE)
    assert (run.state.plans, run.state.step_count) == (1, 5)
    run.state.apply(e.StepsAdded(by="d.1", steps=(Step(id="d.1.1", partial_of="d.1"),), combine="last"))
    assert (run.state.plans, run.state.step_count) == (1, 5)
    assert run.state.reads_for("d.1.1") == "d"
    run.state.report_step = "d"
    assert run.state.is_report("d.1.1")
    assert not run.state.is_report("a")
    ended = [name for name, s in run.state.steps.items() if s.over]
    again = e.RunResumed(task={}, agents=(WORKER,), versions={}, reopened=(), voided=())
    run.state.apply(again)
    assert (run.state.plans, run.state.step_count) == (1, 5)
    assert [name for name, s in run.state.steps.items() if s.over] == ended


def test_steps_that_join_without_a_combination_leave_their_writer_as_it_is() -> None:
    run = Expanded("last", *TREE)
    run.state.apply(e.StepStarted(step="d.1", attempt=1, span="", model=""))
    run.state.apply(e.StepsAdded(by="d.1", steps=(Step(id="new"),), combine=None))
    s = run.state.steps["d.1"]
    assert (s.kind, s.status, s.children) == ("plain", Status.RUNNING, ["new"])


def test_an_attempt_before_the_expansion_counts() -> None:
    run = Expanded("last", *TREE)
    state = run.state
    state.apply(e.StepStarted(step="d.1", attempt=1, span="", model=""))
    error = e.Failure(kind="context_length", message="too long", may_help=True)
    state.apply(e.StepFailed(step="d.1", attempt=1, error=error, retry_in=0.0))
    state.apply(e.StepsAdded(by="d.1", steps=(Step(id="d.1.1", partial_of="d.1"),), combine="last"))
    names = [s.id for s in state.real_steps()]
    assert "d.1" in names
    assert "d" not in names


def test_the_journal_of_a_list_has_no_new_field() -> None:
    plain = e.StepsAdded(by="d", steps=(Step(id="d.1"),))
    assert "combine" not in plain.model_dump_json()
    assert "partial_of" not in plain.model_dump_json()
    written = e.StepsAdded(by="d", steps=(), combine=None).model_dump_json()
    assert e.StepsAdded.model_validate_json(written).combine is None
