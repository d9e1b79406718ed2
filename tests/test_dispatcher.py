"""The scheduler on steps that only sleep, in virtual time."""

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.attempt.types import Attempt
from swarm.base.errors import AnswerError, BugError, EndpointRefused, JournalError, LimitError
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.agent import Agent
from swarm.spec.plan import Step
from swarm.spec.task import Limits
from tests.swarms import (
    Emitter,
    Sleeper,
    critical_path,
    layered,
    run_steps,
    run_virtually,
    simple_attempt,
    steps,
    workers,
)

virtual = [pytest.mark.anyio, pytest.mark.virtual]


class TestOrder:
    pytestmark = virtual

    async def test_a_step_starts_the_moment_its_needs_are_met(self) -> None:
        ran = await run_steps(steps("a b c:a d:b e:c,d"), Sleeper({"a": 1, "b": 5, "c": 1, "d": 1, "e": 1}))
        assert (ran.began("c"), ran.began("d"), ran.began("e")) == ([1], [5], [6])
        assert ran.makespan == pytest.approx(7)
        assert ran.state.finished is not None
        assert ran.state.finished.status == "done"

    async def test_the_longest_remaining_path_goes_first(self) -> None:
        graph = (
            Step(id="short", seconds=1),
            Step(id="long", seconds=1),
            Step(id="tail", needs=("long",), seconds=9),
        )
        ran = await run_steps(graph, Sleeper({"tail": 9}), workers(1))
        assert [name for name, _ in ran.sleeper.log] == ["long", "tail", "short"]

    async def test_equal_steps_go_in_plan_order(self) -> None:
        ran = await run_steps(steps("c a b d"), Sleeper(), workers(1))
        assert [name for name, _ in ran.sleeper.log] == ["c", "a", "b", "d"]

    async def test_no_more_attempts_at_once_than_workers_and_no_fewer_where_there_is_work(self) -> None:
        ran = await run_steps(steps(" ".join(f"s{n}" for n in range(20))), Sleeper(), workers(7))
        assert ran.sleeper.peak == 7
        assert ran.makespan == pytest.approx(3)

    async def test_no_more_attempts_at_once_than_workers_after_a_worker_had_nothing_to_do(self) -> None:
        ran = await run_steps(steps("a b c:b d:b e:b"), Sleeper({"a": 1, "b": 5}), workers(2))
        assert ran.sleeper.peak == 2
        assert ran.makespan == pytest.approx(7)

    async def test_after_waits_for_a_step_to_be_over_and_needs_for_it_to_be_done(self) -> None:
        gives = {"a": EndpointRefused("no", kind="bad_request")}
        ran = await run_steps(steps("a b needs:a after:b+a"), Sleeper(gives=gives))
        assert ran.statuses == {"a": "failed", "b": "done", "needs": "skipped", "after": "done"}
        assert ran.state.steps["needs"].because == "it needs a, which failed: no"


class TestEach:
    pytestmark = virtual

    async def test_a_list_becomes_instances_and_a_need_on_the_step_waits_for_all(self) -> None:
        graph = (Step(id="study", each=("x", "y", "z")), Step(id="end", needs=("study",)))
        ran = await run_steps(graph, Sleeper({"study.2": 4}))
        assert ran.statuses == {"study": "done", "end": "done", "study.1": "done", "study.2": "done", "study.3": "done"}
        assert ran.began("end") == [4]
        assert [ran.state.steps[f"study.{n}"].step.item for n in (1, 2, 3)] == ["x", "y", "z"]

    async def test_the_list_a_step_returns_is_expanded_when_it_is_known(self) -> None:
        graph = (Step(id="list"), Step(id="study", each="list", needs=("list",)), Step(id="end", needs=("study",)))
        ran = await run_steps(graph, Sleeper({"list": 2}, {"list": ["p", "q"]}))
        assert ran.began("study.1") == ran.began("study.2") == [2]
        assert ran.began("end") == [3]

    async def test_inputs_are_a_list_too_and_each_instance_reads_its_own(self) -> None:
        rules = Rules(inputs=("a.md", "b.md", "c.txt"))
        ran = await run_steps((Step(id="read", each="inputs", inputs=("*.md",)),), Sleeper(), rules)
        assert [ran.state.steps[n].step.inputs for n in ("read.1", "read.2")] == [("a.md",), ("b.md",)]
        assert "read.3" not in ran.state.steps

    async def test_an_empty_list_is_done_at_once(self) -> None:
        ran = await run_steps((Step(id="study", each=()), Step(id="end", needs=("study",))), Sleeper())
        assert ran.statuses == {"study": "done", "end": "done"}

    async def test_no_list_fails_the_step_and_what_needs_it(self) -> None:
        graph = (Step(id="list"), Step(id="study", each="list", needs=("list",)), Step(id="end", needs=("study",)))
        ran = await run_steps(graph, Sleeper(gives={"list": "not a list"}))
        assert ran.statuses == {"list": "done", "study": "failed", "end": "skipped"}
        assert ran.state.steps["study"].error is not None
        assert ran.state.steps["study"].error.kind == "no_list"

    async def test_more_instances_than_the_limit_are_not_made_and_the_other_steps_go_on(self) -> None:
        graph = (Step(id="study", each=tuple(range(10))), Step(id="other"), Step(id="end", after=("study", "other")))
        ran = await run_steps(graph, Sleeper(), workers(4, steps=8))
        assert ran.statuses == {"study": "limited", "other": "done", "end": "done"}
        assert ran.state.limits_reached == {"steps": 8}
        assert ran.state.finished is not None
        assert ran.state.finished.status == "limit"


class TestWaves:
    pytestmark = virtual

    async def test_what_waits_for_a_step_waits_for_all_it_spawned(self) -> None:
        wave = Outcome(output="more", spawned=steps("p q:p"))
        ran = await run_steps(steps("next end:+next"), Sleeper({"p": 2, "q": 3}, {"next": wave}))
        assert ran.began("end") == [6]
        assert ran.state.steps["p"].by == "next"

    async def test_one_worker_is_enough_for_waves_in_waves(self) -> None:
        gives = {f"w{n}": Outcome(output="", spawned=(Step(id=f"w{n + 1}"),)) for n in range(5)}
        ran = await run_steps(steps("w0 end:+w0"), Sleeper(gives=gives), workers(1))
        assert ran.began("end") == [6]


class TestFailure:
    pytestmark = virtual

    async def test_a_failed_worker_does_not_lose_the_others_work(self) -> None:
        gives = {"b": EndpointRefused("no", kind="bad_request")}
        ran = await run_steps(steps("a b c end:+a,b,c"), Sleeper({"a": 5, "c": 5}, gives))
        assert ran.statuses == {"a": "done", "b": "failed", "c": "done", "end": "done"}
        assert ran.state.finished is not None
        assert (ran.state.finished.status, ran.state.finished.report) == ("partial", "end")

    async def test_an_attempt_that_may_be_cured_is_tried_again_after_a_pause(self) -> None:
        gives = {"a": [AnswerError("empty", kind="empty"), Outcome(output="good")]}
        ran = await run_steps((Step(id="a", retries=2),), Sleeper(gives=gives))
        assert ran.statuses == {"a": "done"}
        failed = [event for event in ran.events if isinstance(event, e.StepFailed)]
        assert len(failed) == 1
        assert failed[0].retry_in is not None
        assert ran.began("a") == [0, pytest.approx(1 + failed[0].retry_in)]

    @pytest.mark.parametrize(("retries", "attempts"), [(None, 2), (0, 1), (3, 4)])
    async def test_retries_are_attempts_after_the_first(self, retries: int | None, attempts: int) -> None:
        ran = await run_steps((Step(id="a", retries=retries),), Sleeper(gives={"a": AnswerError("no")}))
        assert len(ran.began("a")) == attempts
        assert ran.statuses == {"a": "failed"}

    async def test_a_pause_holds_no_slot(self) -> None:
        gives = {"a": [AnswerError("no"), Outcome(output="x")]}
        ran = await run_steps((Step(id="a", seconds=9), Step(id="b")), Sleeper({"a": 0}, gives), workers(1))
        assert ran.began("b") == [0]

    async def test_an_optional_step_may_fail_without_hurting_what_needs_it(self) -> None:
        graph = (Step(id="a", optional=True, retries=0), Step(id="b", needs=("a",)))
        ran = await run_steps(graph, Sleeper(gives={"a": AnswerError("no")}))
        assert ran.statuses == {"a": "failed", "b": "done"}

    async def test_on_failure_stop_ends_the_others_and_starts_nothing(self) -> None:
        gives = {"b": EndpointRefused("no", kind="bad_request")}
        rules = Rules(limits=Limits(workers=2), on_failure="stop")
        ran = await run_steps(steps("a b c end:+a,b,c"), Sleeper({"a": 50}, gives), rules)
        assert ran.statuses == {"a": "cancelled", "b": "failed", "c": "skipped", "end": "skipped"}
        assert ran.makespan == pytest.approx(1)

    async def test_a_spent_quota_starts_nothing_new_and_lets_the_others_end(self) -> None:
        gives = {"a": EndpointRefused("quota is spent", kind="quota", stops=True)}
        ran = await run_steps(steps("a b c end:+a,b,c"), Sleeper({"b": 5}, gives), workers(2))
        assert ran.statuses == {"a": "failed", "b": "done", "c": "ready", "end": "waiting"}
        assert ran.state.finished is not None
        assert (ran.state.finished.status, ran.state.finished.because) == ("failed", "quota is spent")

    async def test_an_unexpected_exception_fails_its_step_only(self) -> None:
        ran = await run_steps(steps("a b"), Sleeper(gives={"a": ZeroDivisionError("oops")}))
        assert ran.statuses == {"a": "failed", "b": "done"}
        assert ran.state.steps["a"].error is not None
        assert ran.state.steps["a"].error.kind == "bug"

    async def test_a_journal_that_takes_nothing_more_ends_the_run(self) -> None:
        with pytest.raises(JournalError, match="disk full"):
            await run_steps(steps("a b"), Sleeper({"b": 50}, {"a": JournalError("disk full")}))


class TestLimits:
    pytestmark = virtual

    async def test_after_the_seconds_only_the_report_runs_on_its_share(self) -> None:
        graph = steps("a b c:a end:+b,c")
        ran = await run_steps(graph, Sleeper({"a": 1, "b": 500, "c": 500, "end": 10}), workers(4, seconds=100))
        assert ran.statuses == {"a": "done", "b": "limited", "c": "limited", "end": "done"}
        assert ran.began("end") == [85]
        assert ran.state.finished is not None
        assert ran.state.finished.status == "limit"

    async def test_the_seconds_before_a_resume_count(self) -> None:
        """`limits.seconds` is of the whole run: its clock goes on where it stopped."""
        state = State()
        emit = Emitter(state)
        emit(e.RunStarted(run="test", trace="0" * 32, versions={}, task={}, agents=()))
        emit(e.StepsAdded(by="task", steps=steps("a end:+a")))
        await anyio.sleep(40)
        emit(e.RunResumed(task={}, agents=(), versions={}, reopened=(), voided=()))
        sleeper, began = Sleeper({"a": 500, "end": 500}), anyio.current_time()
        scheduler = Scheduler(state, emit, workers(2, seconds=100), lambda s: s.outcome.output)
        await Dispatcher(scheduler, sleeper, simple_attempt, emit).run()
        assert [(name, t - began) for name, t in sleeper.log] == [("a", 0), ("end", pytest.approx(45))]
        assert anyio.current_time() - began == pytest.approx(60)

    async def test_a_report_that_runs_when_its_share_begins_is_not_cut_off(self) -> None:
        ran = await run_steps(steps("a end:+a"), Sleeper({"a": 80, "end": 10}), workers(4, seconds=100))
        assert (ran.began("end"), ran.makespan) == ([80], pytest.approx(90))
        assert ran.statuses == {"a": "done", "end": "done"}
        assert ran.state.limits_reached == {"seconds": 100}

    async def test_a_report_that_takes_longer_than_its_share_is_cut_off(self) -> None:
        ran = await run_steps(steps("a end:+a"), Sleeper({"a": 500, "end": 500}), workers(4, seconds=100))
        assert ran.makespan == pytest.approx(100)
        assert ran.statuses == {"a": "limited", "end": "limited"}
        assert ran.state.finished is not None
        assert ran.state.finished.status == "failed"

    async def test_a_limit_an_attempt_runs_into_stops_all_but_the_report(self) -> None:
        gives = {"a": LimitError("tokens are spent", limit="tokens", value=100)}
        ran = await run_steps(steps("a b c end:+a,b,c"), Sleeper({"b": 3}, gives), workers(2))
        assert ran.statuses == {"a": "limited", "b": "done", "c": "skipped", "end": "done"}
        assert sum(isinstance(event, e.LimitReached) for event in ran.events) == 1


class TestInterrupt:
    pytestmark = virtual

    async def test_nothing_new_starts_and_attempts_in_flight_have_a_grace_period(self) -> None:
        async def interrupt(scheduler: Dispatcher) -> None:
            await anyio.sleep(2)
            scheduler.interrupt("SIGINT", grace=10)

        ran = await run_steps(steps("a b c:a d"), Sleeper({"a": 5, "b": 50}), workers(2), interrupt)
        assert ran.statuses == {"a": "done", "b": "cancelled", "c": "ready", "d": "ready"}
        assert ran.makespan == pytest.approx(12)
        assert isinstance(ran.events[-1], e.RunFinished)
        assert ran.events[-1].status == "cancelled"

    @pytest.mark.parametrize(("ends", "status"), [(5, "done"), (50, "cancelled")])
    async def test_an_interrupt_that_cut_nothing_off_leaves_a_run_done(self, ends: int, status: str) -> None:
        async def interrupt(scheduler: Dispatcher) -> None:
            await anyio.sleep(4)
            scheduler.interrupt("SIGINT", grace=10)

        ran = await run_steps(steps("a end:a"), Sleeper({"a": 3, "end": ends}), workers(2), interrupt)
        last = ran.events[-1]
        assert isinstance(last, e.RunFinished)
        assert (last.status, last.because == "") == (status, status == "done")

    async def test_with_nothing_in_flight_it_is_over_at_once(self) -> None:
        async def interrupt(scheduler: Dispatcher) -> None:
            await anyio.sleep(2)
            scheduler.interrupt("SIGINT", grace=1000)

        ran = await run_steps(steps("a b:a"), Sleeper({"a": 3}), workers(2), interrupt)
        assert ran.makespan == pytest.approx(3)

    async def test_a_caller_that_gives_up_leaves_a_journal_with_its_end(self) -> None:
        state = State()
        emit = Emitter(state)
        emit(e.RunStarted(run="test", trace="0" * 32, versions={}, task={}, agents=()))
        emit(e.StepsAdded(by="task", steps=steps("a b")))
        scheduler = Dispatcher(
            Scheduler(state, emit, Rules(), lambda s: s.outcome.output), Sleeper({"a": 9}), simple_attempt, emit
        )
        with anyio.move_on_after(3):
            await scheduler.run()
        ends = [event for event in emit.events if isinstance(event, e.RunFinished)]
        assert [end.status for end in ends] == ["cancelled"]
        assert state.steps["a"].status is Status.CANCELLED
        assert state.steps["b"].status is Status.DONE


class TestBounds:
    @pytest.mark.parametrize("block", range(10))
    def test_a_layered_graph_of_200_steps_is_within_grahams_bound(self, block: int) -> None:
        for seed in range(block * 10, block * 10 + 10):
            graph, seconds = layered(seed, 200, 40)
            ran = run_virtually(graph, Sleeper(seconds), workers(16))
            longest, work = critical_path(graph, seconds), sum(seconds.values())
            assert max(longest, work / 16) - 1e-6 <= ran.makespan <= longest * (1 - 1 / 16) + work / 16 + 1e-6

    @settings(max_examples=40)
    @given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 12))
    def test_with_workers_to_spare_the_makespan_is_the_critical_path(self, seed: int, count: int, width: int) -> None:
        graph, seconds = layered(seed, count, width)
        ran = run_virtually(graph, Sleeper(seconds), workers(100))
        assert ran.makespan == pytest.approx(critical_path(graph, seconds))

    @settings(max_examples=40)
    @given(st.data())
    def test_every_run_ends_once_whatever_fails(self, data: st.DataObject) -> None:
        graph, seconds = layered(data.draw(st.integers(0, 10**6)), data.draw(st.integers(1, 25)), 6)
        kinds = st.sampled_from(["ok", "ok", "answer", "refused", "bug", "stops", "limit", "wave"])
        gives = {step.id: _given(data.draw(kinds), step.id) for step in graph}
        ran = run_virtually(graph, Sleeper(seconds, gives), workers(data.draw(st.integers(1, 5))))
        assert sum(isinstance(event, e.RunFinished) for event in ran.events) == 1
        assert isinstance(ran.events[-1], e.RunFinished)
        assert not any(s.status is Status.RUNNING for s in ran.state.steps.values())


def _given(kind: str, name: str) -> object:
    return {
        "answer": AnswerError("no"),
        "refused": EndpointRefused("no", kind="bad_request"),
        "bug": ValueError("oops"),
        "stops": EndpointRefused("no", kind="auth", stops=True),
        "limit": LimitError("no", limit="tokens", value=1),
        "wave": Outcome(output="w", spawned=(Step(id=f"{name}-w"), Step(id=f"{name}-x", needs=(f"{name}-w",)))),
    }.get(kind, "fine")


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_state_with_steps_nothing_can_free_is_a_bug_with_their_names() -> None:
    state = State()
    emit = Emitter(state)
    emit(e.RunStarted(run="test", trace="0" * 32, versions={}, task={}, agents=()))
    emit(e.StepsAdded(by="task", steps=(Step(id="a", needs=("b",)), Step(id="b", needs=("a",)))))
    scheduler = Dispatcher(Scheduler(state, emit, Rules(), lambda s: s.outcome.output), Sleeper(), simple_attempt, emit)
    with pytest.raises(BugError, match="a, b"):
        await scheduler.run()


def test_an_attempt_is_json() -> None:
    attempt = Attempt(
        run="r", step=Step(id="a", item={"x": [1, None]}), agent=Agent(name="worker", instructions="Work.")
    )
    assert Attempt.model_validate_json(attempt.model_dump_json()) == attempt
