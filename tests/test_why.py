"""Why a run took as long and cost as much: the parts of its way add up to its time, each with what would change it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.errors import AnswerError, EndpointBusy
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.results.measure import measure
from swarm.results.timeline import Timeline
from swarm.results.why import MOST, Reason, reasons, way_of
from swarm.spec.agent import Agent
from swarm.spec.plan import Step
from swarm.views.parallel import paragraph
from swarm.views.steps import steps_table
from swarm.views.tables import run_table
from tests.commands import Command, in_process
from tests.pages import opened, record
from tests.swarms import Sleeper, run_virtually, steps, workers
from tests.test_measure import refold, turn

NO = AnswerError("no", kind="refused", may_help=False)


def time_of(state: State, count: int = 16) -> dict[str, float]:
    return {r.what: round(r.seconds, 3) for r in reasons(Timeline(state), count) if r.of == "time"}


class TestTime:
    def test_the_slowest_chain_is_named_and_what_would_change_it(self) -> None:
        ran = run_virtually(steps("a b:a c:a d:b,c"), Sleeper({"a": 2, "b": 7, "c": 1, "d": 3}))
        assert time_of(ran.state) == {"b (worker)": 7.0, "d (worker)": 3.0, "a (worker)": 2.0}
        first = reasons(Timeline(ran.state), 16)[0]
        assert (first.steps, round(first.share, 3)) == (("b",), 0.583)
        assert "faster model" in first.advice

    def test_too_few_workers_are_named_with_the_option(self) -> None:
        ran = run_virtually((Step(id=f"s{n}") for n in range(8)), Sleeper({}), workers(2))
        assert time_of(ran.state, 2) == {"waiting for a free worker": 3.0, "s7 (worker)": 1.0}
        assert reasons(Timeline(ran.state), 2)[0].advice == "more workers: --workers 4"

    def test_workers_that_wait_for_budget_are_not_too_few(self) -> None:
        ran = run_virtually((Step(id=f"s{n}") for n in range(8)), Sleeper({}), workers(2))
        for limits, reached, option in (
            ({"tokens": 9}, (), "tokens"),
            ({"usd": 1.0}, (), "usd"),
            ({}, ("usd",), "usd"),
        ):
            state = refold(ran.events, {"limits": limits})
            state.limits_reached.update(dict.fromkeys(reached, 1.0))
            for s in state.real_steps():
                s.waited["budget"] = 0.6
            first = reasons(Timeline(state), 2)[0]
            assert first.what == "waiting for a free worker, while most of them were waiting for budget"
            assert first.advice == f"raise the limit: --limit {option}=…"

    def test_a_list_of_steps_is_followed_through_its_last_item(self) -> None:
        graph = (Step(id="list", each=(1, 2, 3)), *steps("end:list"))
        ran = run_virtually(graph, Sleeper({"list.2": 5.0}))
        assert time_of(ran.state) == {"list.2 (worker)": 5.0, "end (worker)": 1.0}

    def test_a_retry_is_a_reason_of_its_own(self) -> None:
        busy = EndpointBusy("busy", kind="overloaded")
        ran = run_virtually(steps("a"), Sleeper({}, {"a": [busy, busy, "x"]}))
        found = time_of(ran.state)
        assert found["a (worker)"] <= 3.0
        assert sum(found.values()) == pytest.approx(ran.state.t, abs=0.01)
        assert len(found) == 2

    def test_a_step_in_vain_is_not_to_be_made_faster_and_a_wait_is_a_failed_call_only_if_one_failed(self) -> None:
        ran = run_virtually((Step(id="a", retries=0),), Sleeper({"a": 5}, {"a": NO}))
        (first,) = reasons(Timeline(ran.state), 16)
        assert first.advice == f"it gave no output; see why: swarm show {ran.state.run} a"
        ran.state.steps["a"].status = Status.CANCELLED
        (first,) = reasons(Timeline(ran.state), 16)
        assert first.advice == f"it was interrupted; continue: swarm resume {ran.state.run}"
        ran = run_virtually(steps("a"), Sleeper({"a": 2.0}))
        ran.state.t += 3.0  # the end of the run was recorded late
        assert time_of(ran.state) == {"the program itself": 3.0, "a (worker)": 2.0}

    def test_a_run_of_milliseconds_has_no_reasons(self) -> None:
        ran = run_virtually(steps("a b:a"), Sleeper({"a": 0.01, "b": 0.02}))
        assert time_of(ran.state) == {}

    @given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 6))
    def test_the_parts_of_the_way_add_up_to_the_time_of_the_run(self, seed: int, count: int, width: int) -> None:
        from random import Random

        rng = Random(seed)
        needs = [{f"s{rng.randrange(n)}" for _ in range(rng.randint(0, 2))} if n else set[str]() for n in range(count)]
        graph = steps(" ".join(f"s{n}:{','.join(sorted(names))}" for n, names in enumerate(needs)))
        graph = tuple(s.model_copy(update={"each": (1, 2)}) if rng.random() < 0.2 else s for s in graph)
        sleeper = Sleeper({s.id: rng.uniform(0.1, 9) for s in graph})
        ran = run_virtually(graph, sleeper, workers(width))
        way = way_of(Timeline(ran.state))
        assert sum(way.work.values()) + sum(way.waits.values()) == pytest.approx(ran.state.t)

    def test_so_do_those_of_a_run_with_partial_reports(self, tmp_path: Path) -> None:
        state = opened(record(tmp_path, 60)).found.state
        way = way_of(Timeline(state))
        assert sum(way.work.values()) + sum(way.waits.values()) == pytest.approx(state.t)


class TestCost:
    def costs(self, tokens: int) -> list[Reason]:
        graph = (Step(id="list", each=(1, 2, 3)), *steps("end:list"))
        ran = run_virtually(graph, Sleeper())
        events: list[e.Stamped] = []
        for event in ran.events:
            if isinstance(event, e.StepFinished) and event.step != "list":
                used = turn(event.step, input_tokens=9 * tokens, output_tokens=tokens)
                events.append(used.model_copy(update={"t": event.t}))
            events.append(event)
        return [r for r in reasons(Timeline(refold(events, {})), 16) if r.of == "cost"]

    def test_steps_of_one_list_are_one_reason(self) -> None:
        found = self.costs(200)
        assert [(r.what, r.tokens, r.share) for r in found] == [
            ("list ×3 (worker)", 6000, 0.75),
            ("end (worker)", 2000, 0.25),
        ]
        assert found[0].advice.startswith("1,800 input tokens per call; give each step fewer `inputs:`")
        assert len(found) <= MOST

    def test_a_small_prompt_is_mostly_instructions_so_fewer_inputs_are_no_advice(self) -> None:
        assert self.costs(100)[0].advice.startswith("a cheaper model for these steps")

    def test_the_items_of_a_list_and_their_checks_are_two_reasons(self) -> None:
        state = checked()
        found = [(r.what, r.tokens) for r in reasons(Timeline(state), 16) if r.of == "cost"]
        assert found == [("list ×2 (worker)", 30), ("list ×2 (critic)", 30)]
        text = steps_table(state, everything=False)
        assert [line.split()[0] for line in text.splitlines()[1:]] == ["list.1.1", "list.1.2", "list.2.1", "list.2.2"]


def checked() -> State:
    """Return a run of two items that are checked, as the run itself expands them."""
    state = State()
    agents = (Agent(name="worker", instructions="w"), Agent(name="critic", instructions="c"))
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=agents))
    state.apply(e.StepsAdded(by="task", steps=(Step(id="list", each=(1, 2)),)))
    items = tuple(Step(id=f"list.{n}", instance_of="list", item=n) for n in (1, 2))
    state.apply(e.StepsAdded(by="list", steps=items, combine="list"))
    for item in items:
        parts = (Step(id=f"{item.id}.1"), Step(id=f"{item.id}.2", agent="critic", judges=f"{item.id}.1"))
        state.apply(e.StepsAdded(by=item.id, steps=parts, combine="checked"))
        for part in parts:
            state.apply(e.StepStarted(step=part.id, attempt=1, span="", model="default"))
            state.apply(turn(part.id))
            state.apply(e.StepFinished(step=part.id, attempt=1, outcome=Outcome(output="x")))
    return state


class TestShow:
    @pytest.fixture
    def run(self, capsys: pytest.CaptureFixture[str]) -> Command:
        return in_process(capsys)

    def test_it_begins_with_the_reasons_and_sorts_steps(self, tmp_path: Path, run: Command) -> None:
        folder = record(tmp_path, 10)
        text = run("show", str(folder.path)).out
        head = text.split("\n\n")[1]
        assert head.splitlines()[0] == "most time"
        assert "14.6 s, 44%: study-lucene (worker)" in head
        assert "most cost" in head
        sorted_text = run("show", str(folder.path), "--sort", "took").out
        names = [line.split()[0] for line in sorted_text.splitlines() if line]
        assert names.index("study-lucene") < names.index("speeds") < names.index("study-tantivy")
        said = run("show", str(folder.path), "--sort", "tok")
        assert (said.code, "took, cost, tokens" in said.err) == (2, True)

    def test_a_run_of_milliseconds_says_nothing_about_rates(self) -> None:
        state = run_virtually(steps("a b:a"), Sleeper({"a": 0.01, "b": 0.02})).state
        text = run_table(state, measure(state))
        assert "too short for a speed-up" in text
        assert not any(words in text for words in ("Graham", "per second", "Speed-up:", "most time"))


def test_a_run_of_seconds_has_them() -> None:
    ran = run_virtually(steps("a b:a c:a"), Sleeper({"a": 2}))
    text = "\n".join(paragraph(measure(ran.state)))
    assert "Graham's bound" in text
    assert "most time" in run_table(ran.state, measure(ran.state))
