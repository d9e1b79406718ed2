"""Whether a plan fits the limit on tokens, known before the first call; and a report that a limit must not cost."""

from pathlib import Path

import pytest

import swarm
from swarm.attempt.types import Attempt, Note
from swarm.base.errors import LimitError
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.judge import judge
from swarm.executors.salvaging import Salvaging
from swarm.forecast.need import need_of
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.spec.agent import Agent
from swarm.spec.chat import Request, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Input, Limits, Model, Task
from swarm.testing import Function

STEPS = (
    Step(id="read", each=tuple(range(60)), prompt="Read {item}."),
    Step(id="reduce", agent="reducer", after=("read",)),
)
FILES = tuple(Input(name=f"n{n}.md", size=3000) for n in range(10))


class TestNeed:
    def test_every_step_counts_once_with_its_whole_cap(self) -> None:
        need = need_of(STEPS, (), Model(max_tokens=1000))
        assert need.calls == 61
        assert need.total > 61 * 1000
        assert need.largest > 60 * 1000, "the report reads all answers"

    def test_a_step_per_input_reads_one_of_them(self) -> None:
        step = Step(id="read", each="inputs", prompt="Read.")
        assert need_of((step,), FILES, Model(max_tokens=100)).largest < 600 + 1000 + 100 + 1

    def test_a_merge_calls_nothing(self) -> None:
        merged = (STEPS[0], Step(id="all", merge="list", after=("read",)))
        assert need_of(merged, (), Model()).calls == 60

    def test_the_warning_names_the_cap_that_would_do(self) -> None:
        step = Step(id="read", each=tuple(range(60)), prompt="Read {item}.")
        need = need_of((step,), (), Model(max_tokens=4096))
        warning = need.warning(60_000) or ""
        assert "60 calls of up to 4,696 tokens may use 281,760, and the limit is 60,000" in warning
        assert "`max_tokens: 400`" in warning
        assert "max_tokens" not in (need.warning(1000) or "")
        assert need.warning(None) is None
        assert need.warning(281_760) is None


@pytest.mark.anyio
class TestRuns:
    def task(self, folder: Path, tokens: int) -> Task:
        plan = Plan(steps=STEPS)
        return Task(goal="x", plan=plan, limits=Limits(tokens=tokens), folder=folder)

    async def test_fault_159_a_limit_below_the_first_call_spends_nothing(self, tmp_path: Path) -> None:
        endpoint = Function(lambda _: "x")
        with pytest.raises(swarm.SwarmError, match="too small") as caught:
            await swarm.run(self.task(tmp_path, 300), endpoint=endpoint)
        assert getattr(caught.value, "exit_code", 0) == 2
        assert "Nothing was spent" in str(caught.value)
        assert endpoint.requests == []

    async def test_a_size_limit_of_the_endpoint_is_none_of_the_task(self, tmp_path: Path) -> None:
        refused = judge(Fault(status=413, text="total message size 10176584 exceeds limit 2097152"))

        def refuse(request: Request) -> str:
            raise refused

        run = await swarm.run(self.task(tmp_path, 500_000), endpoint=Function(refuse))
        assert {error.kind for error in run.errors} == {"too_large", "nothing_found"}
        assert run.exit_code == 1

    async def test_a_limit_that_may_not_do_is_a_warning_before_the_first_call(self, tmp_path: Path) -> None:
        async with swarm.Run(self.task(tmp_path, 40_000), endpoint=Function(lambda _: "x [read.1]")) as run:
            early = list(run.warnings)
        assert any("limits.tokens: 63 calls" in warning for warning in early)
        assert run.result.text


@pytest.mark.anyio
@pytest.mark.parametrize(("section", "is_kept"), [(False, True), (True, False)])
async def test_a_report_is_kept_if_a_limit_forbids_its_correction(section: bool, is_kept: bool) -> None:
    """Also one that could be written in sections. Of a section, what it would have read is in the report."""

    class Refusing:
        async def execute(self, attempt: Attempt, note: Note) -> Outcome:
            del attempt, note
            raise LimitError("no budget", limit="tokens", value=1)

    state = State()
    step = Step(id="reduce", agent="reducer", partial_of="whole" if section else None)
    whole = () if not section else (Step(id="whole", agent="reducer"),)
    state.apply(e.StepsAdded(by="task", steps=(*whole, step)))
    attempt = Attempt(
        run="r",
        step=step,
        agent=Agent(name="reducer", instructions="Report.", output="report"),
        on_cut="split",
        transcript=(says("assistant", "It is 3 GB."),),
    )
    salvaging = Salvaging(Refusing(), state)
    if is_kept:
        assert (await salvaging.execute(attempt, lambda _: None)).output == "It is 3 GB."
    else:
        with pytest.raises(LimitError):
            await salvaging.execute(attempt, lambda _: None)
