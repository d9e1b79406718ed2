"""The advice whether a swarm is worth it: for published graphs, for known figures, and in runs that follow it."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

import swarm
from swarm.forecast.advice import Setting, advise, as_one_agent, usd_of, worst_tokens
from swarm.forecast.expect import Experience, experience_of
from swarm.forecast.plan import Forecast, forecast_plan, planned_course, scene_of
from swarm.planning.brief import Brief, InputBrief
from swarm.record import events as e
from swarm.scheduling.resources import RunResources
from swarm.spec.plan import Step
from swarm.spec.task import Input, Limits, Price, Task
from swarm.spec.task import Model as Spec
from tests.models import Model, events_of, resume_with, run_with, task, write_notes
from tests.swarms import WORKER, Sleeper, run_virtually, steps

GRAPHS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "graphs.json").read_text())["graphs"]
CHAIN: dict[str, Any] = {
    "steps": [
        {"id": "find", "prompt": "Find the figures."},
        {"id": "judge", "prompt": "Judge the figures that find gave.", "needs": ["find"]},
    ]
}
WIDE: dict[str, Any] = {
    "steps": [
        {"id": "one", "prompt": "Read what Lucene needs."},
        {"id": "two", "prompt": "Read what Tantivy needs."},
    ]
}


def brief(*sizes: int, **more: Any) -> Brief:
    inputs = tuple(InputBrief(name=f"n{i}", medium="text", size=size) for i, size in enumerate(sizes))
    return Brief(roles=(), inputs=inputs, **more)


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph["name"])
def test_published_graphs(graph: dict[str, Any]) -> None:
    plan = tuple(Step.model_validate({k: s[k] for k in ("id", "needs", "seconds")}) for s in graph["steps"])
    found = advise(plan)
    if graph["kind"] == "seq":
        assert found.verdict == "one agent"
        assert "in parallel" in found.reason
    elif graph["kind"] == "para" and found.ideal_speedup > 1.5:
        assert found.verdict == "swarm"
    assert found.speedup <= found.ideal_speedup + 1e-3


class TestFigures:
    def test_what_each_way_takes(self) -> None:
        plan = tuple(s.model_copy(update={"seconds": 10.0, "tokens": 1000}) for s in steps("a b c d:a,b,c"))
        found = advise(plan, Setting(workers=8, price=Price(input=1, output=10, cached=0.1)))
        assert found.one_agent.seconds == 40
        assert found.swarm.seconds == 21, "two on the path, each handed over in half a second"
        assert found.speedup == pytest.approx(40 / 21, abs=1e-3)
        assert found.ideal_speedup == 2
        assert found.one_agent.tokens == 4 * 1000, "everything once"
        assert found.swarm.tokens == 4 * (1000 + 600)
        assert found.one_agent.usd == pytest.approx((3000 * 1 + 1000 * 10) / 1e6)
        assert found.swarm.usd == pytest.approx((4800 * 1 + 1600 * 10) / 1e6)
        assert (found.verdict, found.critical_path) == ("swarm", ("a", "d"))

    def test_one_worker_gains_nothing(self) -> None:
        plan = tuple(s.model_copy(update={"seconds": 10.0}) for s in steps("a b c d:a,b,c"))
        assert advise(plan, Setting(workers=1)).verdict == "one agent"

    def test_work_beyond_one_context_needs_a_swarm(self) -> None:
        for setting, verdict in (
            (Setting(input_tokens=120_000), "swarm"),
            (Setting(input_tokens=100_000), "one agent"),
            (Setting(input_tokens=6_000, context=8_192), "swarm"),
            (Setting(input_tokens=3_000, reads=2_999), "swarm"),
            (Setting(input_tokens=3_000, reads=3_000), "one agent"),
        ):
            found = advise(steps("a b:a"), setting)
            assert (found.verdict, "too much" in found.reason) == (verdict, verdict == "swarm")

    def test_an_unknown_price_is_not_zero(self) -> None:
        assert usd_of(1000, None) is None
        assert advise(steps("a b")).swarm.usd is None

    def test_assumed_list_lengths_are_marked(self) -> None:
        assert advise((Step(id="l"), Step(id="s", each="l"))).is_estimate
        assert not advise((Step(id="s", each=(1, 2)),)).is_estimate
        assert not advise((Step(id="s", each="inputs"),), Setting(inputs=("a",))).is_estimate

    def test_the_worst_case_is_an_upper_bound(self) -> None:
        spec = Spec(max_tokens=100, context=1000)
        plan = (Step(id="a", retries=0), Step(id="b", needs=("a",), tools=("x",)), Step(id="c", each=(1, 2, 3)))
        limits = Limits(turns=5, tokens=None)
        a, b, c = 3 * (50 + 300 + 100), 2 * 5 * (1000 + 100), 3 * 2 * 3 * (50 + 300 + 100)
        assert worst_tokens(plan, limits, spec, 50) == a + b + c
        assert worst_tokens(plan, Limits(turns=5, tokens=77), spec, 50) == 77


class TestForecast:
    """The forecast of a plan, which `swarm plan` prints, and its course, which is simulated."""

    def forecast(self, **limits: Any) -> Forecast:
        models = {"default": Spec(name="m", max_tokens=100, price=Price(input=1, output=10))}
        wanted = task(Path(), models=models, limits=Limits(workers=3, **limits))
        text = Input(name="a.md", medium="text", size=299)
        image = Input(name="b.png", medium="image", size=9_000_000)
        resources = RunResources(task=wanted, inputs=(text, image), settings={"default": {"max_tokens": 100}})
        return forecast_plan((Step(id="a", retries=0, inputs=("a.md",)),), scene_of(resources, [WORKER], Experience()))

    def test_the_worst_case_has_the_higher_price(self) -> None:
        found = self.forecast(tokens=None)
        assert found.worst_tokens == 3 * (100 + 3 * 100 + 100), "bytes of an image are not text"
        assert found.worst_usd == pytest.approx(1500 * 10 / 1e6)
        assert found.value["worst"] == {"tokens": 1500, "usd": found.worst_usd}
        assert found.advice.workers == 3

    def test_the_worst_case_is_within_the_limit(self) -> None:
        assert self.forecast(usd=0.001).worst_usd == 0.001

    def test_without_a_price_the_cost_is_unknown(self) -> None:
        found = forecast_plan((Step(id="a"),), scene_of(RunResources(task=task(Path())), [WORKER], Experience()))
        assert found.worst_usd is None

    def test_a_course_has_the_expected_time_tokens_and_price(self) -> None:
        step = Step(id="a", seconds=7, tokens=400)
        course = planned_course((step,), Experience(), price=Price(input=1, output=9))
        assert course.tokens_of is not None
        assert course.usd_of is not None
        assert course.latency(step, Random(0)) == 7
        assert course.tokens_of(step) == 400
        assert course.usd_of(step) == pytest.approx((300 * 1 + 100 * 9) / 1e6)


class TestExpectations:
    def test_sources_are_the_plan_then_similar_steps_then_a_default(self) -> None:
        ran = run_virtually(
            (Step(id="a", prompt="Read."), Step(id="b", prompt="Write."), Step(id="c", prompt="Write.", needs=("a",))),
            Sleeper({"a": 4.0, "b": 1.0, "c": 2.0}),
        )
        known = Experience()
        known.learn(ran.state)
        assert known.expect(Step(id="x", prompt="Write.")).seconds == 1.5
        assert known.expect(Step(id="x", prompt="Other.")).seconds == pytest.approx(7 / 3)
        assert known.expect(Step(id="x", prompt="Write.", seconds=9)).seconds_from == "plan"
        other = known.expect(Step(id="x", agent="auditor"))
        assert (other.seconds, other.tokens, other.seconds_from) == (10, 2000, "default")
        assert known.sources((Step(id="x", seconds=1), Step(id="y"), Step(id="z"))) == ("plan", "earlier runs")

    def test_failed_steps_are_ignored(self) -> None:
        from swarm.base.errors import AnswerError

        ran = run_virtually(steps("a"), Sleeper({"a": 4.0}, {"a": AnswerError("no", may_help=False)}))
        known = Experience()
        known.learn(ran.state)
        assert known.expect(Step(id="x")).seconds_from == "default"

    @pytest.mark.anyio
    async def test_earlier_runs_of_the_project(self, tmp_path: Path) -> None:
        this = task(write_notes(tmp_path), swarm="always")
        result = await run_with(Model(plan=WIDE), this)
        known = experience_of(result.folder.parent)
        found = known.expect(Step(id="x", prompt="Read what Lucene needs."))
        assert (found.seconds_from, found.tokens_from) == ("earlier runs", "earlier runs")
        (result.folder / "journal.jsonl").write_text("no journal\n")
        assert experience_of(result.folder.parent).expect(Step(id="x")).seconds_from == "default"
        assert experience_of(tmp_path / "nowhere").expect(Step(id="x")).seconds_from == "default"


class TestOneAgent:
    @pytest.mark.parametrize(
        ("plan", "known"),
        [
            (steps("a"), brief()),
            (steps("a b"), brief()),
            ((Step(id="a"), Step(id="b", needs=("a",), agent="planner")), brief()),
            ((Step(id="a"), Step(id="b", needs=("a",), model="strong")), brief()),
            ((Step(id="a"), Step(id="b", needs=("a",), tools=("files",))), brief()),
            ((Step(id="a"), Step(id="b", each="a")), brief()),
            ((Step(id="a"), Step(id="b", needs=("a",), output={"type": "array"})), brief()),
            (steps("a b:a"), brief(900_000)),
            (steps("a b:a"), Brief(roles=(), inputs=(InputBrief(name="x", medium="image", size=9),))),
            (steps("a b:a"), Brief(roles=(), inputs=(InputBrief(name="x", medium="text", size=9, label="private"),))),
        ],
        ids=["one step", "two ends", "waves", "model", "tools", "list", "form", "too much", "media", "label"],
    )
    def test_plans_that_one_agent_cannot_replace(self, plan: tuple[Step, ...], known: Brief) -> None:
        assert as_one_agent(plan, "Why?", known, workers=16) is None

    def test_a_chain(self) -> None:
        found = as_one_agent(steps("a b:a c:b"), "Why {audience}?", brief(1000, 2000), workers=16)
        assert found is not None
        step, why = found
        assert step == Step(id="answer", prompt="Why {audience}?")
        assert "3 steps" in why
        assert "no two of its steps can run in parallel" in why


@pytest.mark.anyio
class TestRuns:
    async def run(self, folder: Path, plan: Any, **more: Any) -> tuple[Model, swarm.Result]:
        model = Model(plan=plan)
        return model, await run_with(model, task(write_notes(folder), **more))

    async def test_a_chain_is_run_by_one_agent_that_sees_all(self, tmp_path: Path) -> None:
        model, result = await self.run(tmp_path, CHAIN)
        assert result.status == "done"
        assert [request.purpose for request in model.requests][:1] == ["plan"]
        assert model.prompts[1:] == ["How much does each need?"]
        assert len(model.requests[1].messages[1].parts) > 6, "all six notes"
        finished = [event for event in events_of(result.folder) if isinstance(event, e.StepFinished)]
        assert [step.id for step in finished[0].outcome.spawned] == ["answer"]
        assert "swarm: auto" in finished[0].outcome.notes[-1]
        assert finished[0].outcome.output == {"steps": [{"id": "answer", "prompt": "How much does each need?"}]}

    @pytest.mark.parametrize(("plan", "more"), [(WIDE, {}), (CHAIN, {"swarm": "always"})])
    async def test_else_the_plan_is_run(self, tmp_path: Path, plan: Any, more: dict[str, Any]) -> None:
        _, result = await self.run(tmp_path, plan, **more)
        started = [event.step for event in events_of(result.folder) if isinstance(event, e.StepStarted)]
        assert "answer" not in started
        assert len(started) > 2

    async def test_a_plan_by_hand_is_never_replaced(self, tmp_path: Path) -> None:
        by_hand = Task(goal="Why?", plan=steps("a b:a"), folder=tmp_path)
        by_hand = by_hand.model_copy(
            update={"plan": tuple(s.model_copy(update={"prompt": f"Do {s.id}."}) for s in steps("a b:a"))}
        )
        result = await run_with(Model(), by_hand)
        started = [event.step for event in events_of(result.folder) if isinstance(event, e.StepStarted)]
        assert started == ["a", "b"]

    async def test_the_cache_holds_what_the_planner_said(self, tmp_path: Path) -> None:
        _, first = await self.run(tmp_path, CHAIN)
        model = Model(plan=CHAIN)
        second = await run_with(model, task(tmp_path, swarm="always"))
        assert model.prompts == ["Find the figures.", "Judge the figures that find gave."]
        assert {first.status, second.status} == {"done"}

    async def test_what_was_decided_stands_when_it_is_resumed(self, tmp_path: Path) -> None:
        _, result = await self.run(tmp_path, CHAIN)
        journal = result.folder / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        planned = next(n for n, line in enumerate(lines) if b'"StepFinished"' in line)
        journal.write_bytes(b"".join(lines[: planned + 1]))
        model = Model(plan=CHAIN)
        again = await resume_with(model, result.folder, cache=False)
        assert model.prompts == ["How much does each need?"]
        assert again.report is not None
        assert result.report is not None
        assert again.report.text == result.report.text
