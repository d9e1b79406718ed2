"""Forecasts from real sizes: who reads what, what is in the cache, and whether a swarm is worth it."""

from pathlib import Path
from typing import Any

import pytest

from swarm.forecast.advice import Grounds, weigh
from swarm.forecast.expect import Experience, experience_of
from swarm.forecast.plan import Forecast, forecast_plan, scene_of
from swarm.forecast.rehearse import USUAL_ANSWERS, Rehearsal, rehearse
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import prepare
from swarm.record.cache import Cache
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Task
from tests.authors import READ, REPORT, Author, over_files, written_files
from tests.models import run_with

pytestmark = pytest.mark.anyio


async def forecast(
    task: Task, endpoint: Any, *, cache: Cache | None = None, known: Experience | None = None
) -> Forecast:
    prepared = await prepare(task, Options(endpoint=endpoint))
    scene = scene_of(prepared.resources, prepared.agents.values(), known or Experience(), cache)
    return forecast_plan(prepared.steps, scene)


async def rehearsed(task: Task, endpoint: Any, **more: Any) -> Rehearsal:
    prepared = await prepare(task, Options(endpoint=endpoint))
    return rehearse(prepared.steps, scene_of(prepared.resources, prepared.agents.values(), Experience(), **more))


@pytest.mark.parametrize("count", [3, 30, pytest.param(300, marks=pytest.mark.slow)])
async def test_what_is_foreseen_is_used(count: int, tmp_path: Path) -> None:
    """Thirty files of 2 kB were once foreseen to take one agent 992,000 tokens; it took 15,409."""
    written_files(tmp_path, count)
    found = (await forecast(over_files(tmp_path), Author())).advice
    swarm = await run_with(Author(), over_files(tmp_path), cache=False)
    alone = await run_with(Author(), over_files(tmp_path, alone=True), cache=False)
    assert found.swarm.tokens == pytest.approx(swarm.usage.tokens, rel=0.3)
    assert found.one_agent.tokens == pytest.approx(alone.usage.tokens, rel=0.3)
    assert found.token_ratio == pytest.approx(swarm.usage.tokens / alone.usage.tokens, rel=0.3)
    assert found.steps == pytest.approx(swarm.steps["total"], rel=0.05)


async def test_a_text_that_is_read_in_parts_is_foreseen_with_all_that_reads_it(tmp_path: Path) -> None:
    written_files(tmp_path, 1, size=60_000)
    task = over_files(tmp_path, context=8_192)
    found = (await forecast(task, Author())).advice
    swarm = await run_with(Author(), task, cache=False)
    assert found.steps == swarm.steps["total"] > 4
    assert found.swarm.tokens == pytest.approx(swarm.usage.tokens, rel=0.3)
    assert found.verdict == "swarm"
    assert "too much for one agent's context of 8,192" in found.reason
    assert found.swarm.seconds > 10, "the parts and what puts them together"


async def test_each_step_reads_what_the_plan_gives_it(tmp_path: Path) -> None:
    written_files(tmp_path, 2, size=8_000)
    steps = (
        Step(id="both", prompt="Read."),
        Step(id="first", prompt="Read.", inputs=("notes/n001.md",)),
        Step(id="after", prompt="Think.", needs=("first",)),
        Step(id="table", merge="text", after=("both", "after")),
    )
    task = over_files(tmp_path).model_copy(update={"plan": Plan(steps=steps)})
    found = (await rehearsed(task, Author())).steps
    usual = USUAL_ANSWERS["text"]
    one_file = found["both"].input_tokens - found["first"].input_tokens
    assert one_file == pytest.approx(8_000 / 3.8, rel=0.05)
    assert found["first"].input_tokens - found["after"].input_tokens == pytest.approx(one_file - usual, rel=0.1)
    assert (found["table"].tokens, found["table"].calls) == (0, 0)
    assert [each.output_tokens for each in found.values()] == [usual, usual, usual, 0]


async def test_steps_in_the_cache_cost_nothing_and_the_steps_after_them_are_looked_up(tmp_path: Path) -> None:
    written_files(tmp_path, 5)
    task, cache = over_files(tmp_path), Cache(tmp_path / ".swarm" / "cache")
    await run_with(Author(), task)
    whole = (await forecast(task, Author(), cache=cache)).advice
    same = await run_with(Author(), task)
    assert whole.steps == same.steps["total"]
    assert 6 <= whole.cached <= same.steps["cached"]
    written_files(tmp_path, 1, size=1_900)
    some = (await forecast(task, Author(), cache=cache)).advice
    assert some.cached < whole.cached
    model = Author()
    again = await run_with(model, task)
    assert again.steps["cached"] >= some.cached >= 4
    assert some.swarm.tokens == pytest.approx(again.usage.tokens, rel=0.3)
    nobody = (await forecast(task, Author(identity=None), cache=cache)).advice
    other = (await forecast(task, Author(identity="another"), cache=cache)).advice
    assert (nobody.cached, other.cached) == (0, 0)


async def test_experience_is_of_the_same_endpoint_and_model_and_never_of_the_cache(tmp_path: Path) -> None:
    written_files(tmp_path, 3)
    task = over_files(tmp_path)
    result = await run_with(Author(answer=900), task)
    await run_with(Author(answer=900), task)  # all of it from the cache
    known = experience_of(result.folder.parent)

    async def answers(endpoint: Any, this: Task = task) -> int:
        prepared = await prepare(this, Options(endpoint=endpoint))
        return (
            rehearse(prepared.steps, scene_of(prepared.resources, prepared.agents.values(), known))
            .steps["read.1"]
            .output_tokens
        )

    assert await answers(Author()) == 900
    assert await answers(Author(identity="another")) == USUAL_ANSWERS["text"]
    assert await answers(Author(identity=None)) == USUAL_ANSWERS["text"]
    other = task.models["default"].model_copy(update={"params": {"temperature": 1}})
    assert await answers(Author(), task.model_copy(update={"models": {"default": other}})) == USUAL_ANSWERS["text"]
    found = (await forecast(task, Author(), known=known)).advice
    assert found.expected_from == ("earlier runs",)


async def test_results_that_one_answer_cannot_hold_need_a_swarm(tmp_path: Path) -> None:
    written_files(tmp_path, 6)
    merged = Step(id="report", merge="text", needs=("read",))
    task = over_files(tmp_path).model_copy(update={"plan": Plan(steps=(READ, merged))})
    found = (await forecast(task, Author())).advice
    assert found.verdict == "swarm"
    assert "more than one answer of 1,024 can hold" in found.reason
    small = task.model_copy(update={"plan": Plan(steps=(READ.model_copy(update={"each": (1, 2)}), merged))})
    assert (await forecast(small, Author())).advice.verdict == "one agent"


async def test_time_that_the_plan_states_is_work_for_one_agent_too(tmp_path: Path) -> None:
    written_files(tmp_path, 6)
    timed = Plan(steps=(READ.model_copy(update={"seconds": 60.0}), REPORT.model_copy(update={"seconds": 5.0})))
    found = (await forecast(over_files(tmp_path).model_copy(update={"plan": timed}), Author())).advice
    assert found.verdict == "swarm"
    assert found.one_agent.seconds >= 365 > 90 > found.swarm.seconds >= 65
    assert found.reason.endswith(f"× with 16 workers, for {found.token_ratio:.1f}× the tokens")
    one = over_files(tmp_path, workers=1).model_copy(update={"plan": timed})
    assert (await forecast(one, Author())).advice.verdict == "one agent"


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        ({"too_much": "too much", "gain": 0.1, "token_ratio": 9.0}, "swarm", "too much"),
        ({"is_chain": True, "gain": 2.0, "token_ratio": 3.0}, "one agent", "in parallel, for 3.0× the tokens"),
        ({"gain": 0.5, "token_ratio": 3.0}, "one agent", "2.0× the time, for 3.0× the tokens"),
        ({"gain": 1.1, "token_ratio": 1.0}, "one agent", "at least 1.2× is needed"),
        (
            {"gain": 3.0, "token_ratio": 3.1},
            "one agent",
            "speed-up of a swarm 3.0× with 8 workers, for 3.1× the tokens",
        ),
        ({"gain": 3.2, "token_ratio": 3.1}, "swarm", "predicted speed-up 3.2× with 8 workers, for 3.1× the tokens"),
        ({"gain": 3.0}, "swarm", "predicted speed-up 3.0× with 8 workers"),
    ],
)
async def test_what_decides(facts: dict[str, Any], verdict: str, words: str) -> None:
    given: dict[str, Any] = {"too_much": "", "is_chain": False, "workers": 8, **facts}
    found = weigh(Grounds(**given))
    assert (found[0], words in found[1]) == (verdict, True)
