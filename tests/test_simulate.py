"""Simulated runs: their decisions are those of real runs, and their figures obey the laws of scheduling."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.base.errors import PlanError
from swarm.forecast.simulate import Course, Draws, course_of, fixed, lognormal, simulate
from swarm.forecast.widths import Spread, simulate_widths
from swarm.planning.graph import critical_path as longest
from swarm.record.state import State
from swarm.results.measure import measure
from swarm.spec.plan import Step
from tests.swarms import Sleeper, layered, run_virtually, steps, workers

GRAPHS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "graphs.json").read_text())["graphs"]
WIDTHS = (1, 2, 4, 8, 16, None)


def course(graph: dict[str, Any]) -> Course:
    return Course(tuple(Step.model_validate({k: s[k] for k in ("id", "needs", "seconds")}) for s in graph["steps"]))


def starts(state: State) -> dict[str, list[float]]:
    return {name: [round(span.start, 6) for span in s.spans] for name, s in state.steps.items()}


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph["name"])
def test_published_graphs(graph: dict[str, Any]) -> None:
    found = simulate_widths(course(graph), WIDTHS)
    work = sum(step["seconds"] for step in graph["steps"])
    assert (found.work_seconds, found.critical_path_seconds) == (work, graph["critical_path"])
    assert found.widths[0].seconds == work
    assert found.widths[-1].seconds == graph["critical_path"]
    for width in found.widths:
        assert max(graph["critical_path"], work / (width.workers if isinstance(width.workers, int) else 1e9)) <= (
            width.seconds + 1e-6
        )
        assert width.seconds <= width.bound_seconds + 1e-6


@given(seed=st.integers(0, 10_000), width=st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_it_decides_as_the_scheduler_does(seed: int, width: int) -> None:
    graph, seconds = layered(seed, 30, 6)
    real = run_virtually(graph, Sleeper(seconds), workers(width))
    simulated = simulate(Course(graph), workers=width)
    assert simulated.seconds == pytest.approx(real.makespan)
    assert starts(simulated.state) == starts(real.state)


@given(seed=st.integers(0, 10_000), width=st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_grahams_bound_and_the_path(seed: int, width: int) -> None:
    graph, seconds = layered(seed, 40, 8)
    found = simulate_widths(Course(graph), [width, None])
    narrow, wide = found.widths
    assert found.critical_path_seconds == pytest.approx(longest(graph, seconds).seconds, abs=1e-5)
    assert wide.seconds == found.critical_path_seconds
    assert narrow.seconds <= narrow.bound_seconds + 1e-5


def test_a_run_is_simulated_with_what_it_did() -> None:
    graph = (
        *steps("list a"),
        Step(id="study", each="list", needs=("list", "a")),
        Step(id="end", needs=("study",), after=("a",)),
    )
    took = {"list": 2.0, "a": 3.0, "study.1": 4.0, "study.2": 1.0, "study.3": 6.0, "end": 2.0}
    real = run_virtually(graph, Sleeper(took, {"list": ["x", "y", "z"]}), workers(2))
    found = course_of(real.state)
    again = simulate(found, workers=2)
    assert again.seconds == pytest.approx(real.makespan)
    assert starts(again.state) == starts(real.state)
    assert again.work_seconds == pytest.approx(measure(real.state).work_seconds)
    assert simulate(found).seconds == pytest.approx(measure(real.state).critical_path_seconds) == 11
    assert simulate(found, workers=1).seconds == 18


def test_a_run_with_a_plan_of_its_own_is_taken_whole() -> None:
    from swarm.record.outcome import Outcome

    spawned = steps("a b:a c")
    plan = Outcome(output={}, spawned=spawned)
    real = run_virtually(
        (Step(id="plan"), Step(id="last", needs=("plan",))), Sleeper({"a": 2.0, "c": 5.0}, {"plan": plan}), workers(4)
    )
    assert starts(simulate(course_of(real.state), workers=4).state) == starts(real.state)
    assert simulate(course_of(real.state), workers=1).seconds == 1 + 2 + 1 + 5 + 1


def test_what_never_ran_takes_no_time() -> None:
    from swarm.base.errors import AnswerError

    real = run_virtually(
        steps("a b:a c"), Sleeper({"a": 3.0, "b": 9.0}, {"a": AnswerError("no", may_help=False)}), workers(4)
    )
    found = simulate(course_of(real.state))
    assert (found.seconds, found.work_seconds) == (3.0, 4.0)
    assert found.is_done


class TestFailures:
    def test_all_attempts_fail(self) -> None:
        graph = (Step(id="a", retries=2), Step(id="b", needs=("a",)), Step(id="c", after=("a",)))
        found = simulate(Course(graph, fixed(1.0)), draws=Draws(fixed(1.0), failures=1.0))
        assert {name: str(s.status) for name, s in found.state.steps.items()} == {
            "a": "failed",
            "b": "skipped",
            "c": "failed",
        }
        assert found.attempts == 3 + 2
        assert not found.is_done

    def test_what_is_tried_again_takes_longer_and_is_paid_again(self) -> None:
        graph = tuple(Step(id=f"s{n}", retries=50) for n in range(40))
        base = Course(graph, fixed(1.0), tokens_of=lambda _: 100, usd_of=lambda _: 0.01)
        calm, rough = (simulate_widths(base, [4], failures=p, seeds=5) for p in (0.0, 0.5))
        assert (calm.seeds, rough.seeds) == (1, 5)
        assert (calm.widths[0].tokens, calm.widths[0].usd) == (4000, 0.4)
        assert rough.widths[0].seconds > 1.5 * calm.widths[0].seconds
        assert rough.widths[0].done == 1
        assert rough.widths[0].attempts == pytest.approx(80, rel=0.25)
        assert rough.widths[0].tokens == pytest.approx(100 * rough.widths[0].attempts)

    def test_all_widths_meet_the_same(self) -> None:
        draws = Draws(lognormal(8, 0.8), failures=0.3, seed=7)
        graph = tuple(Step(id=f"s{n}", retries=9) for n in range(30))
        one, other = (simulate(Course(graph), workers=width, draws=draws) for width in (1, 7))
        assert one.work_seconds == pytest.approx(other.work_seconds)
        assert one.attempts == other.attempts


class TestLatency:
    def test_lognormal_has_its_median_and_sigma(self) -> None:
        random, draw = Random(1), lognormal(8.0, 0.8)
        drawn = sorted(draw(Step(id="a"), random) for _ in range(4001))
        assert drawn[2000] == pytest.approx(8.0, rel=0.06)
        within = sum(8 / 2.2255 <= value <= 8 * 2.2255 for value in drawn) / len(drawn)
        assert within == pytest.approx(0.683, abs=0.03)

    def test_seeds_differ_and_stay(self) -> None:
        graph = tuple(Step(id=f"s{n}") for n in range(10))
        base = Course(graph, lognormal(8, 0.8), is_drawn=True)
        found = simulate_widths(base, [2, None], seeds=30)
        assert found == simulate_widths(base, [2, None], seeds=30)
        assert found.seeds == 30
        assert found.widths[0].spread.min < found.widths[0].spread.max

    def test_nothing_is_drawn_without_need(self) -> None:
        assert simulate_widths(Course(steps("a b")), [1], seeds=100).seeds == 1


def test_percentiles_are_the_nearest_rank() -> None:
    assert Spread.of(range(1, 11)) == Spread(min=1, p10=1, p50=5, p90=9, max=10)
    assert Spread.of([3.0]) == Spread(min=3, p10=3, p50=3, p90=3, max=3)


class TestLists:
    def test_what_is_not_known_is_assumed(self) -> None:
        graph = (Step(id="l"), Step(id="s", each="l"), Step(id="i", each="inputs"))
        assert simulate_widths(Course(graph, items=3), [1]).steps == 1 + 3 + 3
        assert simulate_widths(Course(graph, items=0), [1]).steps == 1

    def test_inputs_that_are_known_or_named(self) -> None:
        graph = (Step(id="i", each="inputs"), Step(id="j", each="inputs", inputs=("a", "b")))
        assert simulate_widths(Course(graph, inputs=("a", "b", "c")), [1]).steps == 3 + 2
        assert simulate_widths(Course(graph, items=7), [1]).steps == 7 + 2

    def test_a_literal_list(self) -> None:
        assert simulate(Course((Step(id="i", each=(1, 2, 3)),), fixed(2.0)), workers=2).seconds == 4


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (steps("a:b b:a c"), "cyclic dependency: a → b → a"),
        (steps("a:gone"), "step a needs the unknown step 'gone'"),
        (steps("a a b"), "2 steps have the id 'a'"),
    ],
)
def test_a_plan_that_cannot_run_is_refused(graph: tuple[Step, ...], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        simulate(Course(graph))


def test_no_workers_at_all() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        simulate(Course(steps("a")), workers=0)


def test_a_course_is_used_again() -> None:
    base = Course(steps("a b:a"), fixed(1.0))
    assert simulate(base).seconds == simulate(base).seconds == 2
    assert simulate(replace(base, latency=fixed(3.0))).seconds == 6
