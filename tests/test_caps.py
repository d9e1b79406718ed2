"""Calls for which a limit leaves little space: smaller caps, steps that fail by themselves, a report in any case."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from swarm.base.errors import NoRoomError, TooLargeError
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function, reply
from tests.models import events_of, own_prompt, resume_with
from tests.swarms import Sleeper, run_steps, steps, workers

pytestmark = pytest.mark.anyio

USED = Usage(calls=1, input_tokens=600, output_tokens=150)
LONG = "x y z " * 400


class Answers(Function):
    """Takes a moment, so that calls overlap, and truncates what is longer than the cap that was sent."""

    def __init__(self, longer: str = "") -> None:
        super().__init__(self._answer)
        self.caps: list[tuple[str, int | None]] = []
        self._longer = longer

    async def _answer(self, request: Request) -> Reply:
        prompt, cap = own_prompt(request), request.max_tokens
        self.caps.append((prompt.partition(".")[0], cap))
        await anyio.sleep(0.001)
        took = 1_000 if self._longer and self._longer in prompt else 150
        used = USED.model_copy(update={"output_tokens": min(took, cap or took)})
        finish = "length" if cap is not None and took > cap else "stop"
        return reply("A fact.", usage=used).model_copy(update={"finish": finish})


def wide(folder: Path, count: int, tokens: int, agent: str = "reducer", *more: Step) -> Task:
    graph = tuple(Step(id=f"s{n}", prompt=f"Do {n}. {LONG}", inputs=()) for n in range(count))
    last = Step(id="end", agent=agent, prompt="Sum up.", needs=tuple(step.id for step in graph))
    models = {"default": Model(endpoint="offline")}
    plan = Plan(steps=(*graph, *more, last))
    return Task(goal="x", plan=plan, folder=folder, models=models, limits=Limits(tokens=tokens))


async def run_task(model: Any, this: Task) -> Run:
    async with Run(this, options=Options(endpoint=model, cache=False)) as run:
        pass
    return run


@pytest.mark.parametrize("agent", ["reducer", "worker"])
async def test_a_limit_still_gives_a_report_of_what_there_was(tmp_path: Path, agent: str) -> None:
    model = Answers()
    run = await run_task(model, wide(tmp_path, 60, 40_000, agent))
    result = run.result
    assert (result.status, result.exit_code, result.report is not None) == ("limit", 4, True)
    assert result.usage.charged_tokens <= 40_000
    assert result.steps["done"] >= 20, "with the whole cap reserved for each there were 7"
    assert {error.kind for error in result.errors} == {"limit"}
    kinds = [type(event) for event in events_of(result.folder)]
    assert kinds.count(e.LimitReached) == 1
    after = events_of(result.folder)[kinds.index(e.LimitReached) :]
    assert {event.step for event in after if isinstance(event, e.StepStarted)} == {"end"}


async def test_the_cap_shrinks_only_if_the_whole_one_does_not_fit(tmp_path: Path) -> None:
    roomy, tight = Answers(), Answers()
    await run_task(roomy, wide(tmp_path / "a", 12, 1_000_000))
    await run_task(tight, wide(tmp_path / "b", 12, 40_000))
    assert {cap for _, cap in roomy.caps} == {None}
    assert 300 in {cap for _, cap in tight.caps}, "twice what similar calls took"


async def test_an_answer_that_a_smaller_cap_truncated_gets_the_whole_one(tmp_path: Path) -> None:
    model = Answers(longer="Do 11")
    result = (await run_task(model, wide(tmp_path, 12, 60_000))).result
    assert [cap for name, cap in model.caps if name == "Do 11"] == [300, None]
    assert result.status == "done"


async def test_fault_140_a_step_that_can_never_fit_fails_by_itself(tmp_path: Path) -> None:
    big = Step(id="big", prompt="Read. " + "figures 12.5 " * 9_000, inputs=(), optional=True)
    this = wide(tmp_path, 3, 60_000, "reducer", big)
    result = (await run_task(Answers(), this)).result
    assert (result.status, result.exit_code) == ("partial", 3)
    assert [(error.step, error.kind) for error in result.errors] == [("big", "too_large")]
    assert "limits.tokens is too small" in result.errors[0].message
    assert "lower `max_tokens`" in result.errors[0].message
    again = await resume_with(Answers(), result.folder, cache=False)
    assert again.status == "partial", "the limit is the same"
    higher = await resume_with(Answers(), result.folder, cache=False, limits={"tokens": 1_000_000})
    assert higher.status == "done"


@pytest.mark.virtual
async def test_the_limit_is_reached_when_nothing_that_is_ready_fits() -> None:
    short = NoRoomError("too little is left", limit="tokens", value=100)
    ran = await run_steps(steps("a b c:b d:a end:c,d"), Sleeper({"b": 5}, {"a": short}))
    assert ran.statuses == {"a": "limited", "b": "done", "c": "done", "d": "skipped", "end": "done"}
    assert ran.state.limits_reached == {"tokens": 100}
    assert ran.state.finished is not None
    assert ran.state.finished.status == "limit"


@pytest.mark.virtual
async def test_after_a_shortfall_only_what_needs_less_is_tried() -> None:
    short = NoRoomError("too little is left", limit="tokens", value=100)
    prompts = {"small": "x", "other": "x" * 90} | {f"s{n}": "x" * 9 for n in range(500)}
    plan = [Step(id=name, prompt=prompt, inputs=()) for name, prompt in prompts.items()]
    plan[1] = plan[1].model_copy(update={"agent": "reader"})
    gives = {step.id: short for step in reversed(plan) if step.id not in ("small", "other")}
    ran = await run_steps([*plan[2:], *plan[:2]], Sleeper({"small": 1}, gives), workers(3))
    assert {ran.statuses[name] for name in gives} == {"limited"}
    assert (ran.statuses["small"], ran.statuses["other"]) == ("done", "done"), "smaller, and not similar"
    started = {event.step for event in ran.events if isinstance(event, e.StepStarted)}
    assert len(started & set(gives)) <= 6, "three at a time, and three after the small one has ended"
    assert ran.state.limits_reached == {"tokens": 100}


@pytest.mark.virtual
async def test_a_call_that_never_fits_reaches_no_limit() -> None:
    never = TooLargeError("it never fits", limit="tokens", value=100)
    ran = await run_steps(steps("a b end:+a,b"), Sleeper(gives={"a": never}))
    assert ran.statuses == {"a": "failed", "b": "done", "end": "done"}
    assert ran.state.limits_reached == {}


@pytest.mark.virtual
async def test_a_run_that_falls_short_with_its_first_step_ends() -> None:
    short = NoRoomError("too little is left", limit="usd", value=1)
    ran = await run_steps(steps("a end:a"), Sleeper(gives={"a": short, "end": short}))
    assert ran.statuses == {"a": "limited", "end": "limited"}
    assert ran.state.finished is not None
    assert (ran.state.finished.status, ran.state.limits_reached) == ("failed", {"usd": 1})
