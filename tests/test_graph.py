"""What `swarm.planning.graph` says of a graph, against brute force and against graphs whose critical path is known."""

import heapq
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.errors import PlanError
from swarm.planning import graph
from swarm.spec.plan import Step, before_of

GRAPHS = json.loads((Path(__file__).parent / "data" / "graphs.json").read_text("utf-8"))["graphs"]


def steps_of(*edges: str) -> tuple[Step, ...]:
    """`steps_of("a", "b a", "c a b")`: b needs a, c needs a and b."""
    rows = [edge.split() for edge in edges]
    return tuple(Step(id=name, needs=tuple(needs)) for name, *needs in rows)


Dag = tuple[tuple[Step, ...], dict[str, float]]


@st.composite
def dags(draw: st.DrawFn, most: int = 8) -> Dag:
    """Steps in any order that wait only for ones of a lower number, through any of the three fields."""
    count = draw(st.integers(0, most))
    steps: list[Step] = []
    for index in range(count):
        befores = draw(st.lists(st.integers(0, index - 1), unique=True)) if index else []
        fields: dict[str, Any] = {"needs": [], "after": []}
        for before in befores:
            field = draw(st.sampled_from(["needs", "after", "each"]))
            if field == "each":
                fields["each"] = f"s{before}"
            else:
                fields[field].append(f"s{before}")
        steps.append(Step(id=f"s{index}", **fields))
    seconds = {f"s{index}": float(draw(st.integers(0, 9))) for index in range(count)}
    return tuple(draw(st.permutations(steps))), seconds


@st.composite
def digraphs(draw: st.DrawFn) -> tuple[Step, ...]:
    """Up to six steps that wait for any of each other, themselves included."""
    names = [f"s{index}" for index in range(draw(st.integers(0, 6)))]
    needs = st.lists(st.sampled_from(names), unique=True, max_size=3) if names else st.just([])
    return tuple(Step(id=name, needs=tuple(draw(needs))) for name in names)


def chains(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    """Every chain, by brute force."""
    befores = {step.id: before_of(step) for step in steps}

    def ending(name: str) -> list[tuple[str, ...]]:
        return [(name,), *((*chain, name) for before in befores[name] for chain in ending(before))]

    return [chain for name in befores for chain in ending(name)]


def reach(steps: Sequence[Step]) -> dict[str, set[str]]:
    """What each step waits for, directly or not, by repetition until nothing changes."""
    waits = {step.id: set(before_of(step)) for step in steps}
    for _ in waits:
        waits = {name: befores | {far for near in befores for far in waits[near]} for name, befores in waits.items()}
    return waits


def makespan(steps: Sequence[Step], seconds: Mapping[str, float], workers: int) -> float:
    """Run steps on so many workers, none idle while a step is ready, in plan order; the seconds it takes."""
    left = {step.id: set(before_of(step)) for step in steps}
    running: list[tuple[float, str]] = []
    now = 0.0
    while left or running:
        ready = [name for name, befores in left.items() if not befores]
        for name in ready[: workers - len(running)]:
            del left[name]
            heapq.heappush(running, (now + seconds[name], name))
        now, over = heapq.heappop(running)
        for befores in left.values():
            befores.discard(over)
    return now


@given(dags())
def test_stages_are_depths_of_the_longest_chain(dag: Dag) -> None:
    steps, _ = dag
    all_chains = chains(steps)
    deepest = {step.id: max(len(chain) for chain in all_chains if chain[-1] == step.id) for step in steps}
    found = graph.stages(steps)
    assert {name: level + 1 for level, stage in enumerate(found) for name in stage} == deepest


@given(dags())
def test_no_two_steps_of_a_stage_wait_for_each_other(dag: Dag) -> None:
    steps, _ = dag
    waits = reach(steps)
    for stage in graph.stages(steps):
        assert all(one not in waits[other] and other not in waits[one] for one, other in combinations(stage, 2))


@given(dags())
def test_critical_path_is_the_longest_chain(dag: Dag) -> None:
    steps, seconds = dag
    path = graph.critical_path(steps, seconds)
    assert path.seconds == max((sum(seconds[name] for name in chain) for chain in chains(steps)), default=0.0)
    assert path.seconds == sum(seconds[name] for name in path.steps)
    befores = {step.id: before_of(step) for step in steps}
    assert all(before in befores[after] for before, after in pairwise(path.steps))


@given(dags(most=12), st.integers(1, 5))
def test_makespan_is_the_critical_path_with_a_worker_each_and_within_grahams_bound_with_fewer(
    dag: Dag, workers: int
) -> None:
    steps, seconds = dag
    path, work = graph.critical_path(steps, seconds), sum(seconds.values())
    assert makespan(steps, seconds, workers=len(steps) or 1) == path.seconds
    assert makespan(steps, seconds, workers) <= graph.makespan_bound(work, path.seconds, workers) + 1e-9


def test_makespan_bound_of_one_worker_is_the_work_and_none_is_refused() -> None:
    assert graph.makespan_bound(work=12.0, critical_path=5.0, workers=1) == 12.0
    assert graph.makespan_bound(work=12.0, critical_path=4.0, workers=4) == 6.0
    with pytest.raises(ValueError, match="minimum is 1"):
        graph.makespan_bound(1.0, 1.0, 0)


@given(digraphs())
def test_a_cycle_is_named_for_each_tangle_and_each_is_one(steps: tuple[Step, ...]) -> None:
    waits = reach(steps)
    tangled = {name for name, befores in waits.items() if name in befores}
    assert {name for names in graph.tangles(steps) for name in names} == tangled
    found = graph.cycles(steps)
    assert [cycle[0] for cycle in found] == [names[0] for names in graph.tangles(steps)]
    befores = {step.id: before_of(step) for step in steps}
    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(before in befores[after] for before, after in pairwise(cycle))


def test_the_cycle_is_in_the_order_of_execution_and_shortest() -> None:
    assert graph.cycles(steps_of("a c", "b a", "c b a")) == (("a", "c", "a"),)
    assert graph.cycles(steps_of("a c", "b a", "c b")) == (("a", "b", "c", "a"),)
    assert graph.cycles(steps_of("x", "a a")) == (("a", "a"),)


def test_an_order_of_a_cycle_is_refused_with_the_cycle_named() -> None:
    with pytest.raises(PlanError, match="a → b → a"):
        graph.stages(steps_of("a b", "b a"))


@given(digraphs())
def test_a_topological_order_omits_cycles_and_what_waits_for_one(steps: tuple[Step, ...]) -> None:
    waits = reach(steps)
    tangled = {name for name, befores in waits.items() if name in befores}
    counts = {step.id: len(before_of(step)) for step in steps}
    found = graph.topological_order(counts, lambda name: [step.id for step in steps if name in before_of(step)])
    assert set(found) == {name for name, befores in waits.items() if name not in tangled and not befores & tangled}
    assert all(found.index(before) < found.index(after) for after in found for before in waits[after])


def test_a_topological_order_keeps_the_given_order_and_ignores_strangers() -> None:
    assert graph.topological_order({"b": 0, "a": 0, "c": 1}, {"b": ["x"], "a": ["c"], "c": []}.__getitem__) == [*"bac"]


def test_unknown_ids_are_ignored_and_missing_seconds_are_none() -> None:
    steps = steps_of("a gone", "b a")
    assert graph.stages(steps) == (("a",), ("b",))
    assert graph.critical_path(steps, {"b": 2.0, "gone": 9.0}) == graph.CriticalPath(("a", "b"), 2.0)
    assert graph.critical_path((), {}) == graph.CriticalPath((), 0.0)


@pytest.mark.parametrize("known", GRAPHS, ids=[known["name"] for known in GRAPHS])
def test_published_critical_paths(known: dict[str, Any]) -> None:
    steps = tuple(Step(id=step["id"], needs=tuple(step["needs"])) for step in known["steps"])
    seconds = {step["id"]: step["seconds"] for step in known["steps"]}
    assert graph.critical_path(steps, seconds).seconds == known["critical_path"]
    assert makespan(steps, seconds, workers=len(steps)) == known["critical_path"]


def test_a_long_chain_costs_neither_stack_nor_time() -> None:
    chain = steps_of("s0", *(f"s{index} s{index - 1}" for index in range(1, 3000)))[::-1]
    assert len(graph.stages(chain)) == 3000
    assert graph.critical_path(chain, dict.fromkeys((step.id for step in chain), 1.0)).seconds == 3000.0
    ring = (*chain[:-1], Step(id="s0", needs=("s2999",)))
    assert len(graph.cycles(ring)[0]) == 3001


def test_networkx_is_loaded_by_the_first_question_only() -> None:
    code = (
        "import sys; from swarm.planning import graph; from swarm.spec.plan import Step;"
        "early = 'networkx' in sys.modules;"
        "graph.stages([Step(id='a')]);"
        "print(early, 'networkx' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
