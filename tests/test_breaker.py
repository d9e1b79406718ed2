"""What many failures mean for the rest of a run: a report of what there is, and none of nothing."""

from pathlib import Path

import pytest

from swarm.base.errors import AnswerError, EndpointRefused
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.agent import Agent
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from swarm.testing import Function, reply
from tests.models import resume_with
from tests.models import run_with as run_task_with
from tests.swarms import WORKER, Emitter, Ran, Sleeper, run_steps, simple_attempt, workers

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

REFUSED = AnswerError("the model refused: no", kind="refused", may_help=False)


def studies(count: int, **more: object) -> tuple[Step, ...]:
    return tuple(Step.model_validate({"id": f"s{n}", "retries": 0, **more}) for n in range(1, count + 1))


def ends(steps: tuple[Step, ...], **more: object) -> tuple[Step, ...]:
    return (*steps, Step.model_validate({"id": "end", "agent": "reducer", **more}))


class TestReport:
    async def test_fault_147_a_reducer_that_ends_the_plan_takes_what_there_is(self) -> None:
        graph = studies(100)
        ran = await run_steps(ends(graph, needs=tuple(s.id for s in graph)), Sleeper(gives={"s7": REFUSED}))
        assert ran.statuses["end"] == "done"
        assert ran.state.finished is not None
        assert (ran.state.finished.status, ran.state.finished.report) == ("partial", "end")

    async def test_a_role_of_the_run_that_writes_reports_does_so_too(self) -> None:
        chief = Agent(name="chief", instructions="Conclude.", output="report")
        graph = (*studies(3), Step(id="end", agent="chief", needs=("s1", "s2", "s3")))
        assert (await run_with(graph, Sleeper(gives={"s2": REFUSED}), chief)).statuses["end"] == "done"

    async def test_a_worker_that_ends_the_plan_needs_what_it_needs(self) -> None:
        graph = (*studies(3), Step(id="end", needs=("s1", "s2", "s3")))
        ran = await run_steps(graph, Sleeper(gives={"s2": REFUSED}))
        assert ran.statuses["end"] == "skipped"
        assert ran.state.finished is not None
        assert ran.state.finished.because == "it needs s2, which failed: the model refused: no"

    async def test_a_reducer_in_the_middle_needs_what_it_needs(self) -> None:
        graph = (*studies(2), Step(id="mid", agent="reducer", needs=("s1",)), Step(id="end", after=("mid", "s2")))
        assert (await run_steps(graph, Sleeper(gives={"s1": REFUSED}))).statuses["mid"] == "skipped"


class TestNothingFound:
    @pytest.mark.parametrize("edge", ["needs", "after"])
    async def test_no_report_is_paid_for_and_the_run_says_why(self, edge: str) -> None:
        graph = studies(3)
        gives = {"s1": REFUSED, "s2": AnswerError("empty", kind="empty", may_help=False), "s3": REFUSED}
        ran = await run_steps(ends(graph, **{edge: ("s1", "s2", "s3")}), Sleeper(gives=gives))
        assert ran.began("end") == []
        error, finished = ran.state.steps["end"].error, ran.state.finished
        assert error is not None
        assert finished is not None
        assert error.kind == "nothing_found"
        assert (finished.status, finished.report) == ("failed", None)
        assert finished.because == error.message
        assert "none of 3 steps gave an output" in finished.because
        assert finished.because.endswith("2 of them: the model refused: no")

    async def test_one_output_is_enough(self) -> None:
        ran = await run_steps(ends(studies(2), after=("s1", "s2")), Sleeper(gives={"s1": REFUSED}))
        assert ran.state.finished is not None
        assert ran.state.finished.status == "partial"

    async def test_a_planner_that_found_nothing_more_to_do_is_not_a_failure(self) -> None:
        scout = Agent(name="scout", instructions="Plan.", output="plan")
        graph = ends((Step(id="next", agent="scout"),), after=("next",))
        assert (await run_with(graph, Sleeper(gives={"next": Outcome(output={})}), scout)).statuses["end"] == "done"

    async def test_a_planner_whose_steps_all_failed_is_none_who_found_anything(self) -> None:
        scout = Agent(name="scout", instructions="Plan.", output="plan")
        graph = ends((Step(id="next", agent="scout"),), after=("next",))
        gives = {"next": Outcome(output={}, spawned=studies(1)), "s1": REFUSED}
        ran = await run_with(graph, Sleeper(gives=gives), scout)
        assert ran.state.finished is not None
        assert ran.state.finished.because.startswith("the only step gave no output")

    async def test_a_limit_is_such_a_reason_too(self) -> None:
        ran = await run_steps(
            ends(studies(2), needs=("s1", "s2")), Sleeper({"s1": 90, "s2": 90}), workers(2, seconds=100)
        )
        assert ran.statuses == {"s1": "limited", "s2": "limited", "end": "failed"}
        assert ran.state.finished is not None
        assert ran.state.finished.status == "failed"


WRONG = AnswerError("the answer does not fit\nhint: simplify it", kind="form")


def failing(*names: str, error: Exception = WRONG) -> dict[str, object]:
    return dict.fromkeys(names, error)


class TestBreaker:
    async def test_fault_149_after_five_equal_failures_similar_steps_stop_and_the_reason_is_said_once(self) -> None:
        graph = studies(100, retries=3)
        sleeper = Sleeper(gives=failing(*(s.id for s in graph)))
        ran = await run_steps(ends(graph, needs=tuple(s.id for s in graph)), sleeper, workers(2))
        assert len({name for name, _ in sleeper.log}) <= 5 + 1, "one more may be in flight"
        assert sleeper.log[-1][1] <= 10, "nothing is retried after the fifth"
        assert list(ran.statuses.values()).count("skipped") >= 94
        finished = ran.state.finished
        assert finished is not None
        assert (finished.status, finished.because) == (
            "failed",
            "5 similar steps failed equally (form): the answer does not fit",
        )

    async def test_a_success_between_them_shows_that_it_can_be_done(self) -> None:
        graph = studies(20)
        bad = [f"s{n}" for n in range(1, 21) if n % 5]
        ran = await run_steps(ends(graph, after=tuple(s.id for s in graph)), Sleeper(gives=failing(*bad)), workers(1))
        assert list(ran.statuses.values()).count("failed") == len(bad)

    async def test_other_steps_go_on(self) -> None:
        other = (
            Step(id="other", agent="expert"),
            Step(id="typed", output={"type": "object"}),
            Step(id="strong", model="strong"),
        )
        graph = (*studies(9), *other)
        ran = await run_steps(ends(graph, after=tuple(s.id for s in graph)), bad_studies(), workers(1))
        assert [ran.statuses[name] for name in ("s5", "s6", "other", "typed", "strong", "end")] == [
            "failed",
            "skipped",
            "done",
            "done",
            "done",
            "done",
        ]
        assert ran.state.finished is not None
        assert ran.state.finished.status == "partial"

    async def test_one_step_that_fails_many_times_stops_nobody(self) -> None:
        graph = (Step(id="s1", retries=9, seconds=99), *studies(3)[1:])
        ran = await run_steps(ends(graph, after=("s1", "s2", "s3")), Sleeper({"s2": 900, "s3": 900}, failing("s1")))
        assert ran.state.steps["s1"].failures == 10
        assert (ran.statuses["s2"], ran.statuses["s3"]) == ("done", "done")

    @pytest.mark.parametrize("kind", ["context_length", "content_filter", "timeout", "rate_limited"])
    async def test_what_lies_in_one_step_or_in_the_endpoint_does_not_count(self, kind: str) -> None:
        graph = studies(9)
        error = EndpointRefused("no", kind=kind)
        sleeper = Sleeper(gives=failing(*(s.id for s in graph[:8]), error=error))
        ran = await run_steps(ends(graph, after=tuple(s.id for s in graph)), sleeper, workers(1))
        assert ran.statuses["s9"] == "done"

    async def test_a_step_that_waits_for_its_retry_stops_with_its_own_error(self) -> None:
        graph = (*studies(1, retries=9, seconds=99), *studies(6)[1:])
        sleeper = Sleeper({f"s{n}": 0.0 for n in range(2, 7)} | {"s1": 0.0}, bad_studies().gives)
        ran = await run_steps(ends(graph, after=tuple(s.id for s in graph)), sleeper, workers(1))
        error = ran.state.steps["s1"].error
        assert error is not None
        assert (ran.statuses["s1"], error.kind) == ("failed", "form")
        assert len(ran.began("s1")) == 1


def bad_studies() -> Sleeper:
    return Sleeper(gives=failing(*(f"s{n}" for n in range(1, 10))))


async def run_with(graph: tuple[Step, ...], sleeper: Sleeper, *agents: Agent) -> Ran:
    """Run a graph whose steps may have these roles, too."""
    state = State()
    emit = Emitter(state)
    emit(e.RunStarted(run="test", trace="0" * 32, versions={}, task={}, agents=(WORKER, *agents)))
    emit(e.StepsAdded(by="task", steps=graph))
    scheduler = Scheduler(state, emit, Rules(), lambda s: s.outcome.output)
    await Dispatcher(scheduler, sleeper, simple_attempt, emit).run()
    return Ran(state, emit.events, sleeper, 0.0)


async def test_a_resumed_run_goes_on_with_them_only_if_failed_steps_are_retried(tmp_path: Path) -> None:
    wants = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    plan = Plan(
        steps=(
            Step(id="s", each=tuple(range(9)), prompt="Read {item}.", output=wants),
            Step(id="end", agent="reducer", after=("s",)),
        )
    )
    task = Task(goal="x", plan=plan, folder=tmp_path, limits=Limits(workers=1))

    def said(text: str) -> Function:
        return Function(lambda _: reply(text))

    first = await run_task_with(said("no number"), task)
    assert first.steps["skipped"] > 0
    again = await resume_with(said('{"a": 1}'), first.folder)
    assert again.steps == first.steps, "nothing was tried again"
    assert again.usage.calls == first.usage.calls
    failed = await resume_with(said('{"a": 1}'), first.folder, failed=True)
    assert failed.status == "done"
