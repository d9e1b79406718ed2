"""The fold of events: against a slow model of the same rules, at every prefix, and across a resume."""

import re

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from swarm.base.errors import AnswerError, EndpointRefused, JournalError
from swarm.lifecycle.invalidate import invalidation
from swarm.record import events as e
from swarm.record import steps as step_module
from swarm.record.outcome import Outcome
from swarm.record.recorded import own_ancestor
from swarm.record.state import State
from swarm.record.steps import OVER, RESUMED_TRANSITIONS, TRANSITIONS, Status, StepState
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.agent import Agent
from swarm.spec.chat import Usage, says
from swarm.spec.plan import Step, before_of
from tests.swarms import Emitter, Sleeper, layered, run_virtually, simple_attempt, steps, workers


def fold(events: list[e.Stamped]) -> State:
    state = State()
    for event in events:
        state.apply(event)
    return state


def settled(state: State, s: StepState) -> bool:
    """Whether a step and all it spawned is over, by definition."""
    mine = s.status in OVER or s.kind == "stand_in"
    return mine and all(settled(state, state.steps[child]) for child in s.children)


def good(state: State, s: StepState) -> bool:
    """Whether what needs a step may go on, by definition."""
    children = [state.steps[child] for child in s.children]
    return s.step.optional or (s.status is Status.DONE and all(good(state, child) for child in children))


def check(state: State) -> None:
    for status in Status:
        assert state.counts[status] == sum(s.status is status for s in state.steps.values())
    assert state.step_count == sum(s.counts for s in state.steps.values())
    assert state.over == all(s.over for s in state.steps.values())
    for s in state.steps.values():
        before = [state.steps[name] for name in before_of(s.step)]
        assert s.settled == settled(state, s)
        assert s.blockers == sum(not other.settled for other in before)
        hopeless = any(b.settled and not good(state, b) and b.id not in s.step.after for b in before)
        if s.status is Status.WAITING:
            assert s.doomed == hopeless
            assert s.blockers or hopeless
        if s.status in (Status.READY, Status.RUNNING, Status.DONE) and s.kind != "stand_in":
            assert not s.blockers
            assert not hopeless


@st.composite
def stories(draw: st.DrawFn) -> tuple[tuple[Step, ...], Sleeper, Rules]:
    """Draw a graph with fan-out, waves, failures and retries."""
    graph, seconds = layered(draw(st.integers(0, 10**6)), draw(st.integers(1, 14)), 5)
    gives: dict[str, object] = {}
    made: list[Step] = []
    for step in graph:
        kind = draw(st.sampled_from(["ok", "ok", "ok", "list", "each", "after", "optional", "fail", "retry", "wave"]))
        update: dict[str, object] = {}
        if kind == "list":
            gives[step.id] = ["p", "q"]
        elif kind == "each":
            update = {"each": (1, 2)}
        elif kind == "after":
            update = {"needs": (), "after": step.needs}
        elif kind in ("fail", "optional"):
            update = {"optional": kind == "optional"}
            gives[step.id] = EndpointRefused("no", kind="bad_request")
        elif kind == "retry":
            gives[step.id] = [AnswerError("no"), Outcome(output="now")]
        elif kind == "wave":
            gives[step.id] = Outcome(output="w", spawned=(Step(id=f"{step.id}-x"), Step(id=f"{step.id}-y", each=(1,))))
        made.append(step.model_copy(update=update))
    return tuple(made), Sleeper(seconds, gives), workers(draw(st.integers(1, 6)))


@settings(max_examples=60)
@given(stories())
def test_at_every_event_the_state_is_what_the_rules_say(story: tuple[tuple[Step, ...], Sleeper, Rules]) -> None:
    ran = run_virtually(*story)
    state = State()
    for event in ran.events:
        state.apply(event)
        check(state)
    assert state.finished is not None
    assert {name: s.status for name, s in state.steps.items()} == {n: s.status for n, s in ran.state.steps.items()}


async def go_on(events: list[e.Stamped], sleeper: Sleeper, rules: Rules) -> State:
    state = fold(events)
    emit = Emitter(state)
    emit.events.extend(events)
    again = invalidation(state, failed=True)
    emit(e.RunResumed(task={}, agents=(), versions={}, reopened=again.reopened, voided=again.voided))
    check(state)
    scheduler = Scheduler(state, emit, rules, lambda s: s.outcome.output)
    await Dispatcher(scheduler, sleeper, simple_attempt, emit).run()
    for n, event in enumerate(emit.events, 1):
        assert event.seq == n
    return state


@settings(max_examples=60)
@given(stories(), st.data())
def test_cut_off_anywhere_and_resumed_nothing_done_is_done_again(
    story: tuple[tuple[Step, ...], Sleeper, Rules], data: st.DataObject
) -> None:
    graph, sleeper, rules = story
    events = run_virtually(graph, sleeper, rules).events
    cut = data.draw(st.integers(2, len(events)))
    done = {name for name, s in fold(events[:cut]).steps.items() if s.status is Status.DONE and not s.children}
    again = Sleeper()
    clock = MockClock(autojump_threshold=0)
    state = anyio.run(go_on, events[:cut], again, rules, backend="trio", backend_options={"clock": clock})
    ended = fold(events[:cut])
    again_open = invalidation(ended, failed=True)
    taken_up = {*again_open.reopened, *again_open.voided}
    assert not {name for name, _ in again.log} & (done - taken_up)
    assert state.finished is not None
    lists = {s.step.each for s in state.steps.values() if isinstance(s.step.each, str)}
    assert state.finished.status in ("done", "partial") or lists or state.report_step is None


def test_steps_of_a_forged_journal_that_spawned_each_other_end_every_walk() -> None:
    state = fold(
        [
            e.StepsAdded(by="task", steps=steps("end")),
            e.StepsAdded(by="b", steps=steps("a c:a")),
            e.StepsAdded(by="a", steps=steps("b d:b")),
        ]
    )
    assert state.lineage("b") == ("b", "a")
    assert not state.is_report("a")
    assert state.is_report("end")
    assert invalidation(state, changed=["a"]).reopened == ("a",)
    assert own_ancestor(state) in ("a", "b")
    assert own_ancestor(fold([e.StepsAdded(by="task", steps=steps("task b:task"))])) is None


def test_a_step_that_is_not_there_is_a_damaged_journal() -> None:
    with pytest.raises(JournalError, match="unknown step 'x'"):
        fold([e.StepStarted(step="x", attempt=1, span="", model="")])
    with pytest.raises(JournalError, match="added twice"):
        fold([e.StepsAdded(by="task", steps=steps("a a"))])


def test_an_interrupted_attempt_keeps_what_it_paid_for_and_a_failed_one_does_not() -> None:
    said = (says("assistant", "x"),)
    turn = e.TurnTaken(step="a", attempt=1, messages=said, usage=Usage(calls=1), seconds=1, model="m", endpoint="e")
    begun = [e.StepsAdded(by="task", steps=steps("a")), e.StepStarted(step="a", attempt=1, span="", model=""), turn]
    cut = e.StepFailed(step="a", attempt=1, error=e.Failure(kind="cancelled", message="", goes_on=True))
    assert len(fold([*begun, cut]).steps["a"].transcript) == 1
    failed = e.StepFailed(step="a", attempt=1, error=e.Failure(kind="empty", message=""), retry_in=1)
    assert fold([*begun, failed]).steps["a"].transcript == []
    assert fold([*begun, failed]).usage.calls == 1


def test_a_million_steps_are_not_needed_to_see_that_a_fold_is_linear() -> None:
    """Counts, not seconds: settling one of n instances touches it, its stand-in and nothing else."""
    state = State()
    state.apply(e.StepsAdded(by="task", steps=(Step(id="all", each=tuple(range(500))), Step(id="end", needs=("all",)))))
    state.apply(e.StepsAdded(by="all", steps=tuple(Step(id=f"all.{n}", instance_of="all") for n in range(1, 501))))
    assert len(state.fresh) == 501
    for n in range(1, 501):
        state.apply(e.StepStarted(step=f"all.{n}", attempt=1, span="", model=""))
        state.apply(e.StepFinished(step=f"all.{n}", attempt=1, outcome=Outcome(output=n)))
        assert state.steps["all"].unsettled == 500 - n
    assert state.fresh[-1] == "end"


def test_an_optional_step_of_a_wave_that_fails_does_not_fail_what_needs_its_planner() -> None:
    wave = (Step(id="p", optional=True), Step(id="q"))
    refused = EndpointRefused("no", kind="bad_request")
    gives = {"next": Outcome(output="more", spawned=wave), "p": refused}
    ran = run_virtually(steps("next end:next"), Sleeper(gives=gives))
    assert ran.statuses == {"next": "done", "end": "done", "p": "failed", "q": "done"}
    gives |= {"p": "fine", "q": refused}
    assert run_virtually(steps("next end:next"), Sleeper(gives=gives)).statuses["end"] == "skipped"


def test_a_step_skipped_for_a_failure_is_skipped_after_two_resumptions() -> None:
    cancelled = e.Failure(kind="cancelled", message="SIGINT", goes_on=True)
    state = fold(
        [
            e.StepsAdded(by="task", steps=steps("a b:a c")),
            e.StepStarted(step="a", attempt=1, span="", model=""),
            e.StepFailed(step="a", attempt=1, error=e.Failure(kind="refused", message="no")),
            e.StepSkipped(step="b", because="it needs a, which failed: no"),
        ]
    )
    for attempt in (1, 2, 3):
        state.apply(e.StepStarted(step="c", attempt=attempt, span="", model=""))
        state.apply(e.StepFailed(step="c", attempt=attempt, error=cancelled))
        again = invalidation(state)
        assert again.reopened == ("c",)
        state.apply(e.RunResumed(task={}, agents=(), versions={}, reopened=again.reopened, voided=again.voided))
        assert (state.steps["b"].status, list(state.fresh)) == (Status.SKIPPED, ["c"])
        assert not state.doomed


def test_a_step_that_is_reopened_has_no_reason_any_more_to_be_skipped() -> None:
    refused = e.Failure(kind="refused", message="no")
    state = fold(
        [
            e.StepsAdded(by="task", steps=steps("a b:a")),
            START,
            e.StepFailed(step="a", attempt=1, error=refused),
            e.StepSkipped(step="b", because="it needs a, which failed: no"),
        ]
    )
    assert (state.steps["a"].failures, state.steps["b"].because) == (1, "it needs a, which failed: no")
    state.apply(e.RunResumed(task={}, agents=(), versions={}, reopened=("a", "b"), voided=()))
    a, b = state.steps["a"], state.steps["b"]
    assert (a.status, a.failures, a.error) == (Status.READY, 0, None)
    assert (b.status, b.because, b.doomed) == (Status.WAITING, "", False)


def test_the_clock_of_a_run_does_not_run_backwards() -> None:
    state = State()
    state.apply(e.StepsAdded(by="task", steps=steps("a b:a"), t=5.0))
    state.apply(e.StepStarted(step="a", attempt=1, span="", model="", t=3.0))
    assert state.t == 5.0
    state.apply(e.StepFinished(step="a", attempt=1, outcome=Outcome(output="x"), t=4.0))
    assert (state.t, state.steps["b"].ready_at) == (5.0, 5.0)
    state.apply(e.StepStarted(step="b", attempt=1, span="", model="", t=7.0))
    assert state.t == 7.0


def pictured(heading: str) -> dict[Status, set[Status]]:
    """Read the transitions that the docstring of `swarm.record.steps` lists below a heading."""
    listed = (step_module.__doc__ or "").split(heading)[1].split("\n\n")[1]
    found: dict[Status, set[Status]] = {status: set() for status in Status}
    for line in listed.splitlines():
        match = re.match(r" +(\w+) → (\w+) {2,}\S", line)
        assert match is not None, line
        found[Status(match[1])].add(Status(match[2]))
    return found


def test_the_docstring_lists_the_transitions_of_the_tables() -> None:
    assert pictured("A step makes these transitions") == TRANSITIONS
    assert pictured("A resumed run makes these") == RESUMED_TRANSITIONS


def journey(status: Status) -> list[e.Stamped]:
    """Return events that lead the step `a` to a status."""
    begun: list[e.Stamped] = [e.StepsAdded(by="task", steps=steps("b a:b"))]
    if status is Status.WAITING:
        return begun
    if status is Status.SKIPPED:
        return [*begun, e.StepSkipped(step="a", because="no")]
    begun += [START.model_copy(update={"step": "b"}), END.model_copy(update={"step": "b"})]
    return begun if status is Status.READY else [*begun, START, *({Status.RUNNING: []} | LAST)[status]]


def failed(kind: str, retry_in: float | None = None) -> e.StepFailed:
    return e.StepFailed(step="a", attempt=1, error=e.Failure(kind=kind, message="no"), retry_in=retry_in)


START = e.StepStarted(step="a", attempt=1, span="", model="")
END = e.StepFinished(step="a", attempt=1, outcome=Outcome())
LAST: dict[Status, list[e.Stamped]] = {
    Status.DONE: [END],
    Status.FAILED: [failed("refused")],
    Status.CANCELLED: [failed("cancelled")],
    Status.LIMITED: [failed("limit")],
}
LEADS: list[tuple[Status, e.Stamped]] = [
    (Status.RUNNING, START),
    (Status.DONE, END),
    (Status.SKIPPED, e.StepSkipped(step="a", because="no")),
    (Status.READY, failed("busy", 1.0)),
    *((status, last) for status, (last,) in LAST.items()),
]


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(("to", "event"), LEADS, ids=[str(to) for to, _ in LEADS])
def test_a_transition_that_is_not_in_the_table_is_a_damaged_journal(
    status: Status, to: Status, event: e.Stamped
) -> None:
    state = fold(journey(status))
    assert state.steps["a"].status is status
    if to in TRANSITIONS[status]:
        state.apply(event)
        assert state.steps["a"].status is to
    else:
        with pytest.raises(JournalError, match=f"step a cannot go from {status} to {to}"):
            state.apply(event)


def test_the_kind_of_a_step_follows_its_role_until_its_instances_join() -> None:
    plans = Agent(name="scout", instructions="Plan.", output="plan")
    state = fold([e.StepsAdded(by="task", steps=(Step(id="a", agent="scout"), Step(id="l", agent="scout", each=(1,))))])
    assert {name: s.kind for name, s in state.steps.items()} == {"a": "plain", "l": "plain"}
    state.replace_agents({"scout": plans})
    assert {name: s.kind for name, s in state.steps.items()} == {"a": "planner", "l": "planner"}
    state.apply(e.StepsAdded(by="l", steps=(Step(id="l.1", agent="scout", instance_of="l"),)))
    assert {name: s.kind for name, s in state.steps.items()} == {"a": "planner", "l": "stand_in", "l.1": "planner"}
    assert (state.step_count, state.steps_left(3), state.steps_left(1)) == (2, 1, -1)
    worker = plans.model_copy(update={"output": "text"})
    again = e.RunResumed(task={}, agents=(worker,), versions={}, reopened=("l",), voided=("l.1",))
    state.apply(again)
    assert {name: s.kind for name, s in state.steps.items()} == {"a": "plain", "l": "plain"}
    assert state.counts[Status.READY] == state.step_count == 2
