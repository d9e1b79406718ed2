"""Calls in flight, and the time of one worker: only from calls that ran alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarm
from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.record.state import State
from swarm.record.steps import Call, StepState
from swarm.results.calls import in_flight, one_worker
from swarm.results.measure import measure
from swarm.spec.chat import Request, Usage
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from swarm.spec.task import Model as TaskModel
from swarm.testing import Function, reply
from swarm.views.parallel import calls, paragraph, speed
from swarm.views.progress import summary
from swarm.views.tables import run_table
from tests.models import events_of, run_with

BUSY = 0.1
"""Seconds that one token takes of a server that answers one call; it shares itself among all calls."""


def call(start: float, end: float, tokens: int = 10, *, endpoint: str = "x", model: str = "m") -> Call:
    return Call(start, end, endpoint, model, 0, tokens, "a")


def step(*made: Call, turns: int | None = None) -> StepState:
    s = StepState(Step(id="a"), "task", 0)
    s.calls, s.turns = list(made), len(made) if turns is None else turns
    return s


class TestFigures:
    def test_calls_in_flight(self) -> None:
        found = in_flight([call(0, 4), call(2, 6), call(6, 8), call(10, 12)])
        assert (found.peak, found.mean, found.answers_per_second) == (2, 12 / 10, 4 / 10)
        assert in_flight([]) == (0, 0.0, None)
        assert in_flight([call(3, 3)]) == (1, 1.0, None)

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=12))
    def test_the_sweep_counts_what_overlaps(self, drawn: list[tuple[int, int]]) -> None:
        made = [call(at, at + took) for at, took in drawn]
        counts = [sum(each.start <= at < each.end for each in made) for at in range(30)]
        found = in_flight(made)
        assert found.peak == max(counts)
        assert found.mean == pytest.approx(sum(counts) / sum(count > 0 for count in counts))

    def test_one_after_another_is_exact(self) -> None:
        found = one_worker([step(call(0, 4), call(4, 6)), step(call(7, 9, endpoint="y"))], seconds=8)
        assert found is not None
        assert (found.seconds, found.is_estimated) == (8, False)

    def test_calls_next_to_others_are_estimated_from_those_that_ran_alone(self) -> None:
        made = [step(call(0, 2, 20)), step(call(2, 12, 30)), step(call(3, 12, 10)), step(call(12, 16, 40))]
        found = one_worker(made, seconds=2 + 10 + 9 + 4 + 5)
        assert found is not None
        assert found.seconds == pytest.approx(2 + 3 + 1 + 4 + 5), "the last 5 s are those of tools"
        assert found.is_estimated

    def test_another_endpoint_is_another_server_and_another_model_another_rate(self) -> None:
        other = one_worker([step(call(0, 4)), step(call(0, 4, endpoint="y"))], seconds=8)
        assert other is not None
        assert (other.seconds, other.is_estimated) == (8, False)
        assert one_worker([step(call(0, 2)), step(call(3, 5, model="n"), call(4, 6, model="n"))], seconds=6) is None

    @pytest.mark.parametrize("made", [step(call(0, 4), call(1, 5)), step(turns=1), step(call(0, 1), turns=2)])
    def test_without_such_calls_it_is_unknown(self, made: StepState) -> None:
        assert one_worker([made], seconds=8) is None

    def test_reading_counts_for_a_twentieth_of_writing(self) -> None:
        long = Call(2, 12, "x", "m", 400, 0, "a")
        found = one_worker([step(call(0, 2, 20), long, call(11, 12, 5))], seconds=13)
        assert found is not None
        assert found.seconds == pytest.approx(2 + 400 / 20 * 0.1 + 0.5)


class Shared:
    """A server with one processor: an answer of n tokens takes n · `BUSY` seconds of it, which all calls share."""

    def __init__(self, tokens: int = 50, fails: Mapping[str, Exception] | None = None) -> None:
        self._running = 0
        self._tokens = tokens
        self._fails = fails or {}

    async def complete(self, request: Request) -> Any:
        for words, error in self._fails.items():
            if words in request.messages[-1].text:
                await anyio.sleep(3)
                raise error
        self._running += 1
        try:
            for _ in range(self._tokens):
                await anyio.sleep(BUSY * self._running)
        finally:
            self._running -= 1
        return reply("said", usage=Usage(calls=1, input_tokens=100, output_tokens=self._tokens))


def fanned(folder: Path, count: int, *, other: str = "", **more: Any) -> Task:
    """A task of a step, `count` steps after it, and a report. The step `other` is done by another model."""
    names = [f"s{n}" for n in range(count)]
    model = {name: "other" if name == other else None for name in names}
    studies = tuple(
        Step(id=name, prompt=f"Study {n}.", needs=("first",), model=model[name]) for n, name in enumerate(names)
    )
    last = Step(id="end", prompt="Report.", after=tuple(names))
    plan = Plan(steps=(Step(id="first", prompt="Begin."), *studies, last))
    return Task(plan=plan, folder=folder, **more)


def state_of(result: swarm.Result) -> State:
    state = State()
    for event in events_of(result.folder):
        state.apply(event)
    return state


@pytest.mark.anyio
@pytest.mark.virtual
class TestRuns:
    async def test_a_full_server_makes_no_run_faster_and_that_is_said(self, tmp_path: Path) -> None:
        result = await run_with(Shared(), fanned(tmp_path, 8))
        p = result.parallelism
        assert (p.calls_peak, p.peak) == (8, 8)
        assert p.work_seconds > 5 * p.seconds, "each call took eight times as long as alone"
        assert p.one_worker_seconds == pytest.approx(50, rel=0.05)
        assert p.speedup == pytest.approx(1, abs=0.04)
        assert p.is_estimated
        assert speed(p).startswith("Speed-up: none (estimated from calls that ran alone; one worker would have taken")
        assert calls(p).startswith("Calls in flight: peak 8, mean 6.5; 0.2 answers per second")

    async def test_a_run_without_a_report_was_no_faster_than_anything(self, tmp_path: Path) -> None:
        refused = EndpointRefused("no", kind="content_filter")
        result = await run_with(Shared(fails={"Report": refused}), fanned(tmp_path, 8))
        p = result.parallelism
        assert (result.status, p.speedup, p.one_worker_seconds, p.is_estimated) == ("failed", None, None, False)
        state = state_of(result)
        assert "Speed-up" not in summary(state, p) + "\n".join(paragraph(p))

    async def test_waiting_is_split_by_cause_and_adds_up(self, tmp_path: Path) -> None:
        task = fanned(tmp_path, 8, limits=Limits(workers=4), models={"default": TaskModel(endpoint="offline", calls=2)})
        busy = EndpointBusy("wait", kind="rate_limited", retry_after=7)
        result = await run_with(Shared(fails={"Study 3": busy}), task)
        state, waiting = state_of(result), result.parallelism.waiting
        lives = sum(
            (s.spans[-1].end or 0.0) - (0.0 if s.by == "task" else state.steps[s.by].ready_at)
            for s in state.steps.values()
            if s.spans
        )
        parts = waiting.model_dump(exclude={"total"})
        assert waiting.total == pytest.approx(sum(parts.values()))
        assert waiting.total + result.parallelism.work_seconds == pytest.approx(lives)
        assert waiting.needs > 0
        assert waiting.slots > 0
        assert waiting.rate_limit > 0

    async def test_fault_163_what_was_answered_and_what_may_have_been_billed_are_two_figures(
        self, tmp_path: Path
    ) -> None:
        lost = EndpointBusy("gone", kind="disconnected")
        models = {"default": TaskModel(endpoint="offline"), "other": TaskModel(endpoint="offline")}
        task = fanned(tmp_path, 3, other="s1", models=models)
        result = await run_with(Shared(fails={"Study 2": lost}), task)
        usage = result.to_dict()["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (400, 200)
        assert usage["unanswered"]["tokens"] == result.usage.unanswered_tokens > 2 * 4096
        assert {name: each.tokens for name, each in result.costs.aliases.items()} == {"default": 450, "other": 150}
        text = run_table(state_of(result), result.parallelism)
        assert "UNANSWERED" in text
        rows = [line.split()[:4] for line in text.splitlines() if line.startswith(("  default", "  other", "  all"))]
        assert rows == [["default", "5", "300", "150"], ["other", "1", "100", "50"], ["all", "6", "400", "200"]]
        assert "more for failed calls" in summary(state_of(result), result.parallelism)

    async def test_a_run_without_failed_calls_says_nothing_of_them(self, tmp_path: Path) -> None:
        result = await run_with(Function(lambda _: "said"), fanned(tmp_path, 2))
        assert result.to_dict()["usage"]["unanswered"] == {"tokens": 0, "usd": 0.0}
        text = run_table(state_of(result), result.parallelism) + summary(state_of(result), result.parallelism)
        assert "UNANSWERED" not in text
        assert "failed calls" not in text

    async def test_seconds_in_which_only_the_program_was_busy_are_no_work(self, tmp_path: Path) -> None:
        """Attempts that share one processor with the program seem to run in parallel, and do not."""
        result = await run_with(Shared(), fanned(tmp_path, 2))
        state = state_of(result)
        before = result.parallelism.work_seconds
        s = state.steps["s1"]
        s.spans[-1].end = (s.spans[-1].end or 0.0) + 7
        s.tool_seconds = 3
        p = measure(state)
        assert p.work_seconds == pytest.approx(before + 3)
        assert p.waiting.other == pytest.approx(4)
