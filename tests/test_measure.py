"""How parallel a run was, against runs in virtual time whose figures are known, or bounded, beforehand."""

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.base.errors import AnswerError, EndpointBusy, EndpointRefused, LimitError
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.measure import Parallelism, cost, measure
from swarm.results.timeline import Timeline
from swarm.results.waiting import Waiting
from swarm.scheduling.scheduler import Rules
from swarm.spec.agent import Agent
from swarm.spec.chat import Usage, says
from swarm.spec.plan import Step
from tests.swarms import Ran, Sleeper, critical_path, layered, run_virtually, steps, workers
from tests.test_state import stories

LISTED = {
    "seconds",
    "work_seconds",
    "critical_path_seconds",
    "bound_seconds",
    "peak",
    "speedup",
    "ideal_speedup",
    "critical_steps",
    "total_steps",
    "critical_path",
    "flags",
}
"""What the `parallelism` of `--json` has at least."""


def refold(events: Sequence[e.Stamped], task: Mapping[str, Any], agents: tuple[Agent, ...] = ()) -> State:
    """Fold events again, with another task and more roles at the start."""
    state = State()
    for event in events:
        if isinstance(event, e.RunStarted):
            event = event.model_copy(update={"task": dict(task), "agents": (*event.agents, *agents)})
        state.apply(event)
    return state


def measured(ran: Ran, count: int) -> Parallelism:
    return measure(refold(ran.events, {"limits": {"workers": count}}))


def lives(ran: Ran) -> float:
    """Return the seconds from joining the graph to the last end of every step that was started, from the events."""
    joined, ended = dict[str, float](), dict[str, float]()
    for event in ran.events:
        if isinstance(event, e.StepsAdded):
            joined |= {step.id: event.t for step in event.steps}
        elif isinstance(event, e.StepFinished):
            joined |= {step.id: event.t for step in event.outcome.spawned}
            ended[event.step] = event.t
        elif isinstance(event, e.StepStarted | e.StepFailed):
            ended[event.step] = event.t
    over = ran.state.t
    running = {s.id for s in ran.state.steps.values() if s.spans and s.spans[-1].end is None}
    return sum((over if name in running else end) - joined[name] for name, end in ended.items())


def turn(step: str, n: int = 1, **usage: int) -> e.TurnTaken:
    counted = Usage.model_validate({"calls": 1, "input_tokens": 10, "output_tokens": 5, **usage})
    said = (says("assistant", f"turn {n}"),)
    sent = {"seconds": 0.1, "model": "default", "endpoint": "x"}
    return e.TurnTaken.model_validate({"step": step, "attempt": 1, "messages": said, "usage": counted, **sent})


class TestFigures:
    def test_a_diamond(self) -> None:
        ran = run_virtually(steps("a b:a c:a d:b,c"), Sleeper({"a": 1, "b": 5, "c": 2, "d": 2}), workers(4))
        p = measured(ran, 4)
        assert (p.seconds, p.work_seconds, p.critical_path_seconds) == (8, 10, 8)
        assert p.critical_path == ("a", "b", "d")
        assert [(each.step, each.seconds, each.share) for each in p.path] == [
            ("a", 1, 1 / 8),
            ("b", 5, 5 / 8),
            ("d", 2, 2 / 8),
        ]
        assert (p.speedup, p.ideal_speedup) == (10 / 8, 10 / 8)
        assert p.bound_seconds == 8 * (1 - 1 / 4) + 10 / 4
        assert p.bound_share == 8 / 8.5
        assert (p.workers, p.peak, p.mean) == (4, 2, 1.25)

    def test_one_worker_waits_for_slots(self) -> None:
        ran = run_virtually(steps("a b c"), Sleeper({"a": 3, "b": 3, "c": 3}), workers(1))
        p = measured(ran, 1)
        assert (p.seconds, p.work_seconds, p.critical_path_seconds, p.bound_seconds) == (9, 9, 3, 9)
        assert (p.peak, p.mean, p.ideal_speedup) == (1, 1, 3)
        assert p.speedup is None, "three steps end the graph, so the run has no report"
        assert p.waiting == Waiting(slots=3 + 6, total=3 + 6)

    def test_waiting_for_needs_and_for_slots_are_separate(self) -> None:
        ran = run_virtually(steps("a b:a c:a"), Sleeper({"a": 2, "b": 3, "c": 4}), workers(1))
        waiting = measured(ran, 1).waiting
        assert (waiting.needs, waiting.slots) == (2 + 2, 3)

    def test_the_json_has_what_is_promised(self) -> None:
        found = measured(run_virtually(steps("a"), Sleeper()), 1).model_dump(mode="json")
        assert set(found) >= LISTED
        assert found["critical_path"] == ["a"]
        assert found["flags"] == []

    @pytest.mark.parametrize("took", [0, 2])
    def test_a_pause_is_waiting_and_no_work(self, took: float) -> None:
        gives = {"a": [EndpointBusy("later", kind="rate_limited"), Outcome(output="x")]}
        ran = run_virtually((Step(id="a"),), Sleeper({"a": took}, gives), workers(2))
        pause = next(ev.retry_in for ev in ran.events if isinstance(ev, e.StepFailed))
        assert pause
        p = measured(ran, 2)
        assert p.work_seconds == p.critical_path_seconds == pytest.approx(2 * took)
        assert p.seconds == pytest.approx(2 * took + pause)
        assert p.bound_share > 1 or not took
        assert (p.waiting.retry, p.waiting.rate_limit) == (0, pytest.approx(pause))

    def test_what_a_pause_has_over_its_length_is_waiting_for_a_slot(self) -> None:
        gives = {"a": [AnswerError("empty"), Outcome(output="x")]}
        graph = (Step(id="a", seconds=99), Step(id="b"))
        ran = run_virtually(graph, Sleeper({"a": 1, "b": 50}, gives), workers(1))
        waiting = measured(ran, 1).waiting
        pause = next(ev.retry_in for ev in ran.events if isinstance(ev, e.StepFailed))
        assert (waiting.retry, waiting.rate_limit) == (pytest.approx(pause), 0)
        assert waiting.slots == pytest.approx(1 + 50 - (pause or 0))

    def test_a_step_from_the_cache_takes_no_time(self) -> None:
        ran = run_virtually(
            steps("a b:a"), Sleeper({"a": 0.25, "b": 1}, {"a": Outcome(output="x", cached=True)}), workers(2)
        )
        p = measured(ran, 2)
        assert (p.work_seconds, p.critical_path_seconds, p.critical_path, p.peak) == (1, 1, ("b",), 1)

    def test_nothing_took_time(self) -> None:
        ran = run_virtually(steps("a b"), Sleeper({"a": 0, "b": 0}), workers(2))
        p = measured(ran, 2)
        assert (p.seconds, p.work_seconds, p.ideal_speedup, p.critical_path) == (0, 0, 1, ())
        assert p.peak == 1
        assert measure(State()).speedup == 1

    def test_instances_are_waited_for_through_the_step_they_stand_for(self) -> None:
        graph = (
            Step(id="list"),
            Step(id="study", each="list", needs=("list",)),
            Step(id="beside"),
            Step(id="end", needs=("study",)),
        )
        seconds = {"list": 1, "study.1": 2, "study.2": 6, "beside": 5, "end": 1}
        ran = run_virtually(graph, Sleeper(seconds, {"list": ["p", "q"]}), workers(8))
        p = measured(ran, 8)
        assert p.critical_path == ("list", "study.2", "end")
        assert p.critical_path_seconds == p.seconds == 8
        assert p.work_seconds == 15

    def test_waves_are_waited_for_through_the_step_that_spawned_them(self) -> None:
        gives = {"next": Outcome(output="more", spawned=steps("p q:p"))}
        ran = run_virtually(steps("next beside end:+next,beside"), Sleeper({"p": 2, "q": 3, "beside": 5}, gives))
        p = measured(ran, 16)
        assert p.critical_path == ("next", "p", "q", "end")
        assert p.critical_path_seconds == p.seconds == 7

    def test_what_follows_a_skipped_step_waited_for_the_failure_alone(self) -> None:
        gives = {"a": EndpointRefused("no", kind="bad_request")}
        graph = steps("a slow lost:a,slow end:+lost")
        ran = run_virtually(graph, Sleeper({"a": 2, "slow": 9, "end": 3}, gives))
        p = measured(ran, 16)
        assert ran.began("end") == [2]
        assert p.critical_path_seconds == 9
        ends = Timeline(ran.state).ends(Timeline(ran.state).seconds)
        assert ends["end"] == 5

    def test_of_two_failures_that_skip_a_step_the_first_counts(self) -> None:
        no = EndpointRefused("no", kind="bad_request")
        ran = run_virtually(steps("b a lost:a,b end:+lost"), Sleeper({"a": 2, "b": 9, "end": 8}, {"a": no, "b": no}))
        p = measured(ran, 16)
        assert (p.seconds, p.critical_path_seconds, p.critical_path) == (10, 10, ("a", "end"))

    def test_what_was_given_up_was_not_waited_for(self) -> None:
        """A limit is reached at 1 and `lost` given up, so `end` goes on before the step that `lost` needed fails."""
        spent = LimitError("all is spent", limit="tokens", value=1)
        gives = {"a": EndpointRefused("no", kind="bad_request"), "first": spent}
        sleeper = Sleeper({"first": 1, "a": 5, "end": 3}, gives)
        ran = run_virtually(steps("first a lost:a end:+lost,first"), sleeper, workers(4))
        assert ran.began("end") == [1]
        p = measured(ran, 4)
        assert (p.seconds, p.critical_path_seconds, p.critical_path) == (5, 5, ("a",))
        assert Timeline(ran.state).ends(Timeline(ran.state).seconds)["end"] <= 4

    def test_of_a_resumed_run_the_smaller_number_of_workers_counts(self) -> None:
        ran = run_virtually(steps("a"), Sleeper())
        state = refold(ran.events, {"limits": {"workers": 3}})
        for count, smaller in ((5, 3), (2, 2)):
            state.apply(e.RunResumed(t=2, task={"limits": {"workers": count}}, agents=(), versions={}))
            assert measure(state).workers == smaller

    @pytest.mark.parametrize("limits", [None, 3, {}, {"workers": "many"}, {"workers": 0}])
    def test_a_task_that_says_nothing_of_workers(self, limits: Any) -> None:
        ran = run_virtually(steps("a"), Sleeper())
        assert measure(refold(ran.events, {"limits": limits})).workers == 16


class TestCriticalSteps:
    PLANNER = Agent(name="planner", instructions="Plan.", output="plan")
    REDUCER = Agent(name="reducer", instructions="Reduce.", output="report")

    def counted(self, turns: Mapping[str, int]) -> Parallelism:
        """Run a planner, parallel sub-agents, a second stage of two and a reducer, with these turns each."""
        first = [name for name in turns if name.startswith(("s", "next"))]
        second = [name for name in turns if name.startswith("t")]
        spawned = (
            *(Step(id=name, agent="planner" if name == "next" else "worker") for name in first),
            *(Step(id=name, needs=tuple(first)) for name in second),
            Step(id="reduce", agent="reducer", after=tuple(second or first)),
        )
        events: list[e.Stamped] = [
            e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=(self.PLANNER, self.REDUCER)),
            e.StepsAdded(by="run", steps=(Step(id="plan", agent="planner"),)),
        ]
        for name, count in turns.items():
            events.append(e.StepStarted(step=name, attempt=1, span="0" * 16, model="default"))
            events.extend(turn(name, n) for n in range(count))
            more = spawned if name == "plan" else ()
            events.append(e.StepFinished(step=name, attempt=1, outcome=Outcome(output="x", spawned=more)))
        state = State()
        for event in events:
            state.apply(event)
        return measure(state)

    def test_the_published_example(self) -> None:
        p = self.counted({"plan": 2, "s1": 6, "s2": 9, "s3": 4, "s4": 7, "reduce": 1})
        assert (p.total_steps, p.critical_steps) == (29, 12)

    def test_each_stage_adds_its_longest(self) -> None:
        p = self.counted({"plan": 1, "s1": 6, "s2": 9, "t1": 3, "t2": 2, "reduce": 1})
        assert (p.total_steps, p.critical_steps) == (22, 1 + 9 + 3 + 1)

    def test_a_planner_next_to_sub_agents_adds_to_their_stage(self) -> None:
        p = self.counted({"plan": 1, "s1": 6, "next": 2, "s2": 3, "reduce": 1})
        assert (p.total_steps, p.critical_steps) == (13, 1 + (6 + 2) + 1)

    def test_turns_of_all_attempts_count(self) -> None:
        p = self.counted({"plan": 1, "s1": 0, "reduce": 2})
        assert (p.total_steps, p.critical_steps) == (3, 3)


def slow_width(spans: list[tuple[float, float]]) -> tuple[int, float]:
    """Count how many spans overlap, and how long any does, at every moment at which anything changes."""
    moments = sorted({at for span in spans for at in span})
    counts = [sum(start <= at < end for start, end in spans) for at in moments]
    busy = sum(b - a for a, b, n in zip(moments, moments[1:], counts, strict=False) if n)
    return max(counts, default=0), busy


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=12))
def test_the_sweep_counts_what_overlaps(drawn: list[tuple[int, int]]) -> None:
    state = State()
    state.apply(e.StepsAdded(by="task", steps=tuple(Step(id=f"s{n}") for n in range(len(drawn)))))
    moments = [(float(at), n, True) for n, (at, _) in enumerate(drawn)]
    moments += [(float(at + took), n, False) for n, (at, took) in enumerate(drawn)]
    heapq.heapify(moments)
    while moments:
        at, n, starts = heapq.heappop(moments)
        if starts:
            state.apply(e.StepStarted(t=at, step=f"s{n}", attempt=1, span="0" * 16, model="m"))
        else:
            state.apply(e.StepFinished(t=at, step=f"s{n}", attempt=1, outcome=Outcome()))
    spans = [(float(at), float(at + took)) for at, took in drawn]
    width = Timeline(state).width()
    assert (width.peak, width.busy_seconds) == slow_width(spans)
    assert width.attempt_seconds == sum(took for _, took in drawn)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 8))
def test_laws_of_a_graph_that_ran(seed: int, count: int, width: int) -> None:
    graph, seconds = layered(seed, count, width)
    p = measured(run_virtually(graph, Sleeper(seconds), workers(width)), width)
    path = critical_path(graph, seconds)
    assert p.critical_path_seconds == pytest.approx(path)
    assert sum(seconds[name] for name in p.critical_path) == pytest.approx(path)
    assert p.work_seconds == pytest.approx(sum(seconds.values()))
    assert p.seconds <= p.bound_seconds * (1 + 1e-9)
    assert p.peak <= width


@settings(max_examples=60)
@given(stories(), st.booleans())
def test_laws_of_any_run(story: tuple[tuple[Step, ...], Sleeper, Rules], wide: bool) -> None:
    graph, sleeper, rules = story
    count = 1000 if wide else rules.limits.usual_workers
    ran = run_virtually(graph, sleeper, Rules(limits=rules.limits.model_copy(update={"workers": count})))
    p = measured(ran, count)
    pauses = any(isinstance(ev, e.StepFailed) and ev.retry_in is not None for ev in ran.events)
    more = 1 + 1e-9
    assert p.critical_path_seconds <= p.seconds * more
    assert p.critical_path_seconds <= p.work_seconds * more
    assert sum(each.seconds for each in p.path) == pytest.approx(p.critical_path_seconds)
    assert 1 <= p.peak <= count
    assert p.peak == sleeper.peak
    assert p.mean <= p.peak * more
    assert p.speedup is None or p.speedup <= min(p.ideal_speedup, p.peak) * more
    if not pauses:
        assert p.seconds <= p.bound_seconds * more
    if not pauses and wide:
        assert p.seconds == pytest.approx(p.critical_path_seconds)
    assert p.waiting.needs >= 0
    assert p.waiting.slots >= -1e-9
    assert p.waiting.total + p.work_seconds == pytest.approx(lives(ran))
    assert wide is False or p.waiting.slots == pytest.approx(0, abs=1e-9)


@settings(max_examples=20)
@given(stories())
def test_every_prefix_of_a_run_can_be_measured(story: tuple[tuple[Step, ...], Sleeper, Rules]) -> None:
    graph, sleeper, rules = story
    ran = run_virtually(graph, sleeper, rules)
    state = State()
    for event in ran.events:
        state.apply(event)
        p = measure(state)
        assert p.critical_path_seconds <= p.seconds * (1 + 1e-9)
        assert p.peak <= rules.limits.usual_workers


def test_a_long_chain_and_a_wide_group_cost_neither_stack_nor_a_square() -> None:
    """2000 instances that 2000 others wait for would be four million pairs."""
    count = 2000
    state = State()
    graph = (
        *(Step(id=f"c{n}", needs=(f"c{n - 1}",) if n else ()) for n in range(count)),
        Step(id="one", each=tuple(range(count))),
        Step(id="two", each=tuple(range(count)), needs=("one",)),
    )
    state.apply(e.StepsAdded(by="task", steps=graph))
    for group, needs in (("one", ()), ("two", ("one",))):
        made = tuple(Step(id=f"{group}.{n}", needs=needs, instance_of=group) for n in range(count))
        state.apply(e.StepsAdded(by=group, steps=made))
        for step in made:
            state.apply(e.StepStarted(t=state.t, step=step.id, attempt=1, span="0" * 16, model="m"))
        for step in made:
            state.apply(e.StepFinished(t=state.t + 1, step=step.id, attempt=1, outcome=Outcome()))
    assert measure(state).critical_path_seconds == 2 * count


def test_cost_adds_up_by_step_agent_and_model() -> None:
    ran = run_virtually((Step(id="a"), Step(id="b"), Step(id="idle")), Sleeper())
    state = refold(ran.events, {})
    for name, more in (("a", {}), ("a", {"cached_tokens": 4}), ("b", {"output_tokens": 7})):
        state.apply(turn(name, **more))
    found = cost(state)
    assert list(found.steps) == ["a", "b"]
    assert found.steps["a"].model_dump() == {
        "calls": 2,
        "input_tokens": 20,
        "output_tokens": 10,
        "cached_tokens": 4,
        "estimated": False,
        "usd": None,
    }
    assert found.agents["worker"] == found.models["default"] == found.run
    assert found.run.output_tokens == 17


def test_a_run_without_calls_costs_nothing_and_an_unknown_price_stays_unknown() -> None:
    ran = run_virtually((Step(id="a"),), Sleeper())
    state = refold(ran.events, {})
    assert cost(state).run.usd == 0.0
    state.apply(turn("a"))
    assert cost(state).run.usd is None
