"""Whole runs within a budget, by the server's own count, and whatever a model does."""

import json
from pathlib import Path
from random import Random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swarm
from swarm.base.errors import EndpointBusy, PlanError, TaskError
from swarm.base.values import Json
from swarm.budget.ledger import worst_input
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.state import State
from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Price, Task
from swarm.testing import FakeServer, Function, reply
from tests.budgets import COUNTS, Tariffed, wide
from tests.models import events_of, resume_with, run_with

CAP = 200


class TestHalf:
    pytestmark = pytest.mark.anyio

    @pytest.mark.parametrize("count", COUNTS)
    @pytest.mark.parametrize("workers", [1, 8])
    async def test_half_of_what_it_needs_is_not_passed_by_one_token_and_a_report_is_made(
        self, tmp_path: Path, count: str, workers: int
    ) -> None:
        whole = Tariffed(COUNTS[count])
        async with FakeServer(respond=whole) as server:
            needs = await swarm.run(wide(tmp_path, server, tokens=None), runs=tmp_path / "a")
        assert (needs.status, whole.billed) == ("done", needs.usage.tokens)
        half = Tariffed(COUNTS[count])
        async with FakeServer(respond=half) as server:
            this = wide(tmp_path, server, tokens=whole.billed // 2, workers=workers)
            folder = tmp_path / "b"
            result = await swarm.run(this.model_copy(update={"folder": folder}), runs=folder)
        assert half.billed <= whole.billed // 2
        assert result.usage.charged_tokens == half.billed
        assert (result.status, result.exit_code) == ("limit", 4)
        assert result.report is not None
        assert result.report.text.strip()
        assert "## Missing" in result.report.text

    async def test_half_of_the_money_too(self, tmp_path: Path) -> None:
        half = Tariffed(COUNTS["prose"])
        async with FakeServer(respond=half) as server:
            result = await swarm.run(wide(tmp_path, server, usd=0.03), runs=tmp_path)
        assert result.usage.cost is not None
        assert 0 < result.usage.cost <= 0.03
        assert (result.status, result.report is not None) == ("limit", True)

    async def test_a_higher_limit_goes_on_and_what_was_spent_counts(self, tmp_path: Path) -> None:
        model = Tariffed(COUNTS["prose"])
        async with FakeServer(respond=model) as server:
            first = await swarm.run(wide(tmp_path, server, tokens=18_000), runs=tmp_path)
            assert first.status == "limit"
            billed, calls = model.billed, model.calls
            same = await swarm.resume(first.folder)
            assert same.status == "limit"
            assert same.usage.tokens == model.billed <= 18_000
            result = await swarm.resume(first.folder, limits={"tokens": 10_000_000})
        assert (result.status, result.steps["done"]) == ("done", 13)
        assert result.usage.charged_tokens == model.billed > billed
        assert model.calls < calls + 16


class TestReport:
    pytestmark = pytest.mark.anyio

    def steps(self, count: int) -> Plan:
        names = tuple(f"s{n}" for n in range(1, count + 1))
        return Plan(
            steps=(
                *(Step(id=name, prompt=f"Find {name}.") for name in names),
                Step(id="end", agent="reducer", prompt="Merge.", after=names),
            )
        )

    def task(self, folder: Path, tokens: int, *, cap: int = 1_000, count: int = 4) -> Task:
        models = {"default": Model(endpoint="offline", max_tokens=cap)}
        return Task(goal="x", plan=self.steps(count), models=models, folder=folder, limits=Limits(tokens=tokens))

    async def test_what_the_report_reads_is_cut_in_the_open_to_what_is_kept_for_it(self, tmp_path: Path) -> None:
        def answer(request: Request) -> Reply:
            text = "It is so. [s1]" if request.purpose == "report" else "fact " * 1_500
            return reply(text, usage=Usage(calls=1, input_tokens=worst_input(request) // 2, output_tokens=900))

        result = await run_with(Function(answer), self.task(tmp_path, 40_000))
        assert result.report is not None
        finished = [event for event in events_of(result.folder) if isinstance(event, e.StepFinished)]
        assert any("bytes were shown" in words for words in finished[-1].outcome.left_out)
        assert result.usage.charged_tokens <= 40_000
        options = Options(endpoint=Function(answer), needs_keys=False)
        async with Run(self.task(tmp_path, 40_000), options=options, replay=Replay(RunFolder(result.folder))) as again:
            pass
        assert again.result.report == result.report, "a replay reads what the budget left it"

    async def test_a_report_is_taken_as_it_is_where_a_better_one_cannot_be_paid_for(self, tmp_path: Path) -> None:
        def answer(request: Request) -> Reply:
            text = "It is so, without a source." if request.purpose == "report" else "fact"
            given = min(900, request.max_tokens or 900)
            return reply(text, usage=Usage(calls=1, input_tokens=worst_input(request), output_tokens=given))

        twice = await run_with(Function(answer), self.task(tmp_path / "a", 500_000, count=1))
        assert twice.status == "done"
        result = await run_with(Function(answer), self.task(tmp_path / "b", twice.usage.tokens - 880, count=1))
        assert result.usage.charged_tokens < twice.usage.tokens - 880
        assert (result.status, result.exit_code) == ("limit", 4)
        assert result.report is not None
        assert "without a source" in result.report.text

    async def test_a_report_that_was_cut_short_by_the_budget_is_still_one(self, tmp_path: Path) -> None:
        def answer(request: Request) -> Reply:
            if request.purpose != "report":
                return reply("fact", usage=Usage(calls=1, input_tokens=500, output_tokens=50))
            used = Usage(calls=1, input_tokens=worst_input(request), output_tokens=request.max_tokens or 9_000)
            return reply("It is so, as [s1] sa", usage=used).model_copy(update={"finish": "length"})

        result = await run_with(Function(answer), self.task(tmp_path, 20_000, cap=9_000))
        assert result.report is not None
        assert "It is so, as [s1]" in result.report.text
        assert (result.status, result.usage.charged_tokens <= 20_000) == ("limit", True)

    async def test_nobody_else_draws_on_what_is_kept(self, tmp_path: Path) -> None:
        def answer(request: Request) -> Reply:
            assert request.account.report is (request.purpose == "report")
            return reply("It is. [s1]", usage=Usage(calls=1, input_tokens=200, output_tokens=5))

        assert (await run_with(Function(answer), self.task(tmp_path, 500_000))).status == "done"


# Adversaries


def _looping(request: Request, draw: Random) -> Reply:
    return reply(calls=[("look", {"n": draw.random()})], usage=_honest(request, draw))


def _replanning(request: Request, draw: Random) -> Reply:
    steps: Json = [{"id": f"w{draw.randrange(10**9)}", "agent": "planner", "prompt": "Plan on."} for _ in range(3)]
    text = json.dumps({"steps": steps}) if request.purpose == "plan" else "ok [plan]"
    return reply(text, usage=_honest(request, draw))


def _lying(request: Request, draw: Random) -> Reply:
    usage = draw.choice(
        [Usage(), Usage(calls=1), Usage(calls=1, input_tokens=1, output_tokens=1), _honest(request, draw)]
    )
    return reply("so it is [s1]", usage=usage)


def _huge(request: Request, draw: Random) -> Reply:
    return reply("long " * 20_000, usage=_honest(request, draw, 1.0))


def _failing(request: Request, draw: Random) -> Reply:
    if draw.random() < 0.5:
        raise EndpointBusy("lost", kind="disconnected")
    return reply("so it is [s1]", usage=_honest(request, draw))


def _honest(request: Request, draw: Random, share: float | None = None) -> Usage:
    share = draw.random() if share is None else share
    taken = max(40, round(worst_input(request) * share))
    return Usage(calls=1, input_tokens=taken, output_tokens=max(1, round((request.max_tokens or CAP) * share)))


BEHAVIOURS = {"looping": _looping, "replanning": _replanning, "lying": _lying, "huge": _huge, "failing": _failing}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@settings(max_examples=6)
@given(seed=st.integers(0, 10**6), tokens=st.integers(1_000, 150_000), planned=st.booleans(), workers=st.integers(1, 5))
def test_whatever_a_model_does_the_limit_holds_and_the_run_ends(
    tmp_path_factory: pytest.TempPathFactory, behaviour: str, seed: int, tokens: int, planned: bool, workers: int
) -> None:
    draw = Random(seed)

    @swarm.tool
    def look(n: float) -> str:
        """Look."""
        return f"{n} " * 200

    steps = tuple(Step(id=f"s{n}", prompt="Find.", tools=("look",)) for n in range(1, 6))
    end = Step(id="end", agent="reducer", prompt="Merge.", after=tuple(step.id for step in steps))
    task = Task(
        goal="Find.",
        plan=None if planned or behaviour == "replanning" else Plan(steps=(*steps, end)),
        models={"default": Model(endpoint="offline", max_tokens=CAP)},
        folder=tmp_path_factory.mktemp("run"),
        limits=Limits(tokens=tokens, workers=workers, steps=30),
        swarm="always",
    )

    async def go() -> swarm.Result:
        with anyio.fail_after(60):
            return await run_with(Function(lambda request: BEHAVIOURS[behaviour](request, draw)), task, tools=(look,))

    try:
        result = anyio.run(go)
    except PlanError:
        return  # it gave no plan: what it cost is bounded by the turns of one attempt
    except TaskError:
        return  # not even the first call fits: exit code 2, and nothing was spent
    assert result.usage.charged_tokens <= tokens
    state = State()
    for event in events_of(result.folder):
        state.apply(event)
        assert state.usage.charged_tokens <= tokens
    assert state.finished is not None


# The other limits


class TestOtherLimits:
    pytestmark = pytest.mark.anyio

    async def test_planners_side_by_side_cannot_pass_steps_or_rounds_together(self, tmp_path: Path) -> None:
        for limits, name in ((Limits(steps=9, rounds=9), "steps"), (Limits(rounds=2), "rounds")):
            asked: list[str] = []
            all_asked = anyio.Event()

            async def answer(request: Request, asked: list[str] = asked, all_asked: anyio.Event = all_asked) -> str:
                if request.purpose != "plan":
                    return "ok [p0]"
                number = len(asked)
                asked.append(request.model)
                if number == 2:
                    all_asked.set()
                await all_asked.wait()
                return json.dumps({"steps": [{"id": f"x{number}-{n}", "prompt": f"Do {n}."} for n in range(4)]})

            plan = Plan(
                steps=(
                    *(Step(id=f"p{n}", agent="planner", prompt=f"Plan {n}.") for n in range(3)),
                    Step(id="end", agent="reducer", prompt="Merge.", after=("p0", "p1", "p2")),
                )
            )
            folder = tmp_path / name
            task = Task(goal="x", plan=plan, folder=folder, limits=limits)
            result = await run_with(Function(answer), task, cache=False)
            assert (result.status, result.report is not None) == ("limit", True)
            state = State()
            for event in events_of(result.folder):
                state.apply(event)
            assert list(state.limits_reached) == [name]
            assert len(state.steps) <= limits.steps
            assert state.plans <= limits.rounds

    async def test_the_journal_holds_what_was_paid(self, tmp_path: Path) -> None:
        task = Task(
            plan=Plan(steps=(Step(id="a", prompt="Do a."),)),
            models={"default": Model(endpoint="offline", price=Price(input=2.0, output=4.0))},
            folder=tmp_path,
        )
        result = await run_with(
            Function(lambda _: reply("a", usage=Usage(calls=1, input_tokens=100, output_tokens=10))), task
        )
        assert result.to_dict()["usage"]["usd"] == pytest.approx(240e-6)
        started = events_of(result.folder)[0]
        assert isinstance(started, e.RunStarted)
        assert started.prices == {"default": {"input": 2.0, "output": 4.0, "cached": None, "source": "task"}}
        assert result.costs.steps["a"].usd == result.costs.agents["worker"].usd == pytest.approx(240e-6)
        again = await resume_with(Function(lambda _: "b"), result.folder)
        assert again.usage.cost == result.usage.cost

    async def test_calls_without_an_answer_are_told_and_counted(self, tmp_path: Path) -> None:
        task = Task(plan=Plan(steps=(Step(id="a", prompt="Do a.", retries=0),)), folder=tmp_path)
        result = await run_with(Function(lambda _: EndpointBusy("lost", kind="disconnected")), task)
        lost = [event for event in events_of(result.folder) if isinstance(event, e.TurnTaken)]
        assert [(event.is_answer, event.finish, event.usage.tokens) for event in lost] == [(False, "lost", 0)]
        assert result.usage.charged_tokens > 4_096
        assert (result.usage.tokens, result.usage.cost) == (0, 0.0)
        assert (result.usage.unanswered_cost, result.usage.charged_cost) == (None, None)
