"""Approval of calls: who is asked about what, what an answer covers, and what a run does without one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import swarm
from swarm.base.errors import ApprovalNeededError, TaskError
from swarm.lifecycle.arguments import run_options
from swarm.lifecycle.options import Options
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.run import Run
from swarm.lifecycle.trust import proposal
from swarm.record.events import CallDecided, RunStarted, StepFinished, TurnTaken
from swarm.record.folder import RunFolder
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import InputSpec, Model, Task
from swarm.testing import Function, reply
from swarm.tools import Tool
from swarm.tools.approval import CallDecision, Question
from swarm.tools.functions import tool
from swarm.views.board import Board
from swarm.views.facts import FactFinder
from tests.models import events_of, own_prompt, resume_with, run_with

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


class Desk:
    """Tools that note their calls, and a person who answers by rule and notes the questions."""

    def __init__(self, *answers: CallDecision | None, seconds: float = 0.0) -> None:
        self.made: list[str] = []
        self.asked: list[Question] = []
        self.answers = list(answers)
        self.seconds = seconds
        self.open = self.most = 0

    async def __call__(self, question: Question) -> CallDecision | None:
        self.asked.append(question)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.open -= 1
        return self.answers.pop(0) if self.answers else CallDecision("yes")

    def tool(self, name: str = "put", effect: Any = "write", **traits: Any) -> Tool:
        async def work(word: str) -> str:
            """Work."""
            self.made.append(f"{name} {word}")
            return word.upper()

        return tool(name=name, effect=effect, **traits)(work)


def calling(*calls: str, then: Callable[[Request], Any] | None = None, identity: str | None = None) -> Function:
    """Make a model that makes a call a turn in each step, `name word`, and then repeats the results."""

    def answer(request: Request) -> Any:
        if not any(spec.name != "read_more" for spec in request.tools):
            return "Report. [a]"
        results = [message for message in request.messages if message.role == "tool"]
        if len(results) < len(calls):
            name, word = calls[len(results)].split()
            return reply(calls=[(name, {"word": f"{word}-{own_prompt(request)}"})])
        return then(request) if then else "\n".join(message.text for message in results)

    return Function(answer, identity=identity)


def task(folder: Path, *steps: Step, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "models": {"default": Model(endpoint="offline")},
        "approve": "tools",
        "plan": Plan(steps=steps or (Step(id="a", prompt="A"),)),
        "folder": folder,
    }
    return Task(**(fields | more))


def decided(folder: Path) -> list[str]:
    found = [event for event in events_of(folder) if isinstance(event, CallDecided)]
    return [f"{event.step} {event.tool} {event.answer} {event.reason}".strip() for event in found]


async def carried(desk: Desk, model: Any, this: Task, *tools: Tool, **more: Any) -> swarm.Result:
    return await run_with(model, this, tools=tools or (desk.tool(),), approve=desk, cache=False, **more)


async def test_a_call_runs_after_a_yes_and_the_question_says_who_asks_for_what(tmp_path: Path) -> None:
    desk = Desk()
    (tmp_path / "notes.txt").write_text("Tea.")
    this = task(tmp_path, inputs=(InputSpec(path="notes.txt", label="private"),), labels={"private": ("default",)})
    result = await carried(desk, calling("put tea"), this)
    assert (result.status, desk.made) == ("done", ["put tea-A"])
    [asked] = desk.asked
    assert (asked.step, asked.agent, asked.tool, asked.effect) == ("a", "worker", "put", "write")
    assert (asked.arguments, asked.labels, asked.again) == ('{"word":"tea-A"}', ("private",), False)
    assert decided(result.folder) == ["a put yes"]


async def test_a_no_is_told_to_the_model_with_its_reason_and_asked_once(tmp_path: Path) -> None:
    desk = Desk(CallDecision("no", "Use the other shelf.\x1b[2J"))
    result = await carried(desk, calling("put tea", "put tea", "put milk"), task(tmp_path))
    assert desk.made == ["put milk-A"]
    assert [question.arguments for question in desk.asked] == ['{"word":"tea-A"}', '{"word":"milk-A"}']
    [first, second, third] = [
        m.text for e in events_of(result.folder) if isinstance(e, TurnTaken) for m in e.messages if m.role == "tool"
    ]
    assert "did not allow this call of put. Reason: Use the other shelf.␛[2J Do not repeat it" in first
    assert first == second
    assert "MILK" in third


async def test_only_calls_that_do_more_than_read_are_asked_about_unless_a_tool_says_so(tmp_path: Path) -> None:
    desk = Desk()
    tools = (desk.tool("get", "read"), desk.tool("see", "read", ask=True), desk.tool("log", "write", ask=False))
    model = calling("get tea", "see tea", "log tea", "run tea")
    await carried(desk, model, task(tmp_path), *tools, desk.tool("run", "exec"))
    assert [question.tool for question in desk.asked] == ["see", "run"]
    desk.asked.clear()
    await carried(desk, model, task(tmp_path, approve="auto"), *tools, desk.tool("run", "exec"))
    assert [question.tool for question in desk.asked] == ["see"]


async def test_nobody_is_asked_about_a_call_that_cannot_be(tmp_path: Path) -> None:
    def model(request: Request) -> Any:
        results = [message.text for message in request.messages if message.role == "tool"]
        if not results:
            return reply(calls=[("put", {"wrd": "a"}), ("put", "[1]"), ("put", {"word": 3}), ("look", {})])
        assert len(results) == 4
        return "\n".join(results) if request.tools else "Report. [a]"

    desk = Desk()
    result = await carried(desk, Function(model), task(tmp_path))
    said = str(result.outputs["a"])
    assert (desk.asked, desk.made) == ([], [])
    assert "word: Missing required argument" in said or "word: " in said
    assert "must be one JSON object" in said
    assert not decided(result.folder)


async def test_always_covers_a_tool_for_steps_that_carry_no_other_label(tmp_path: Path) -> None:
    desk = Desk(CallDecision("always"))
    (tmp_path / "notes.txt").write_text("Tea.")
    steps = (
        Step(id="a", prompt="A", inputs=()),
        Step(id="b", prompt="B", inputs=(), needs=("a",)),
        Step(id="c", prompt="C", inputs=("notes.txt",), needs=("b",)),
    )
    this = task(
        tmp_path, *steps, inputs=(InputSpec(path="notes.txt", label="private"),), labels={"private": ("default",)}
    )
    tools = desk.tool(), desk.tool("run", "exec")
    result = await carried(desk, calling("put x", "put y", "run z"), this, *tools)
    assert result.status == "done"
    asked = [f"{question.step} {question.tool}" for question in desk.asked]
    assert asked == ["a put", "a run", "b run", "c put", "c put", "c run"]


async def test_questions_come_one_at_a_time_and_other_steps_go_on_meanwhile(tmp_path: Path) -> None:
    desk = Desk(seconds=100)
    steps = [Step(id=name, prompt=name.upper(), tools=()) for name in "xyz"]
    steps += [Step(id=name, prompt=name.upper()) for name in "abc"]
    result = await carried(desk, calling("put tea"), task(tmp_path, *steps))
    assert desk.most == 1
    assert [question.waiting for question in desk.asked] == [2, 1, 0]
    ended = {event.step: event.t for event in events_of(result.folder) if isinstance(event, StepFinished)}
    assert max(ended[name] for name in "xyz") < 1
    assert [round(ended[name], -2) for name in "abc"] == [100, 200, 300]
    seconds = [e.seconds for e in events_of(result.folder) if isinstance(e, TurnTaken) and not e.is_answer]
    assert max(seconds) < 1, "waiting for a person is no time of the tool"


async def test_without_anybody_everything_else_is_done_and_the_run_resumes(tmp_path: Path) -> None:
    desk = Desk()
    steps = (
        Step(id="x", prompt="X", tools=()),
        Step(id="y", prompt="Y", tools=(), needs=("x",)),
        Step(id="a", prompt="A"),
    )
    this = task(tmp_path, *steps)
    with pytest.raises(ApprovalNeededError, match="step a needs approval to call put\nhint: answer with `swarm resume"):
        await run_with(calling("put tea"), this, tools=(desk.tool(),), cache=False)
    [folder] = (tmp_path / ".swarm" / "runs").iterdir()
    assert {event.step for event in events_of(folder) if isinstance(event, StepFinished)} == {"x", "y"}
    model = calling("put tea")
    result = await resume_with(model, folder, tools=(desk.tool(),), approve=desk, cache=False)
    assert (result.status, desk.made, len(desk.asked)) == ("done", ["put tea-A"], 1)
    assert not desk.asked[0].again, "without a decision the call did not begin"
    first_calls = [r for r in model.requests if own_prompt(r) == "A" and len(r.messages) == 2]
    assert not first_calls, "the turn that asked for the call was paid for"


async def test_one_worker_that_waits_for_nobody_ends_the_run(tmp_path: Path) -> None:
    this = task(tmp_path, Step(id="a", prompt="A"), Step(id="x", prompt="X", tools=()), limits={"workers": 1})
    with pytest.raises(ApprovalNeededError):
        await run_with(calling("put tea"), this, tools=(Desk().tool(),), cache=False)


async def test_a_view_sees_who_waits_for_approval(tmp_path: Path) -> None:
    desk = Desk(seconds=5.0)
    this = task(tmp_path, Step(id="a", prompt="A"), Step(id="b", prompt="B"), limits={"workers": 2})
    options = Options(endpoint=calling("put tea"), tools=(desk.tool(),), approve=desk, cache=False, runs=tmp_path)
    seen: dict[float, set[str]] = {}
    async with Run(this, options=options) as run:
        board = Board(lambda: run.seconds)
        finder = FactFinder(board)
        with run.signals.listen(board.hear):
            async for state in run.progress(3.0):
                found = finder.facts(state, run.seconds)
                seen[round(run.seconds)] = {agent.id for agent in found.agents if agent.doing == "waiting for approval"}
    assert len(desk.made) == 2
    # One question after the other: the second agent waits for both.
    assert (seen[3], seen[6]) == ({"a", "b"}, {"b"})
    assert not any(waits for at, waits in seen.items() if at > 10)


async def test_a_decision_is_a_fact_that_resume_and_replay_do_not_ask_for(tmp_path: Path) -> None:
    desk = Desk(CallDecision("always"))
    ends = False

    async def then(request: Request) -> Any:
        if not ends:
            run.interrupt(grace=0)
            await anyio.sleep_forever()
        return "Done. [a]" if desk.made[1:] else reply(calls=[("put", {"word": "milk"})])

    this = task(tmp_path)
    tools = (desk.tool(),)
    async with Run(
        this, options=Options(endpoint=calling("put tea", then=then), tools=tools, approve=desk, cache=False)
    ) as run:
        pass
    assert run.result.status == "cancelled"
    ends = True
    result = await resume_with(calling("put tea", then=then), run.folder.path, tools=tools, approve=desk, cache=False)
    assert result.status == "done"
    assert desk.made == ["put tea-A", "put milk"]
    assert len(desk.asked) == 1
    assert decided(result.folder) == ["a put always"]
    assert "calls that nobody is asked about: put" in proposal(RunFolder(result.folder))
    replay = Replay(RunFolder(result.folder))
    options = Options(endpoint=calling("put tea"), tools=tools, runs=tmp_path / "again")
    async with Run(this, options=replay.options(options), replay=replay) as again:
        pass
    assert again.result.report == result.report
    assert decided(again.folder.path) == ["a put always"]
    assert desk.made == ["put tea-A", "put milk"]


@pytest.mark.parametrize(
    ("answer", "made", "told"),
    [(CallDecision("yes"), 2, "TEA"), (CallDecision("no", "It is there."), 1, "Reason: It is there.")],
)
async def test_a_write_that_may_have_taken_place_is_asked_about(
    tmp_path: Path, answer: CallDecision, made: int, told: str
) -> None:
    desk = Desk(CallDecision("always"), answer)
    started = anyio.Event()

    async def put(word: str) -> str:
        """Put."""
        desk.made.append(word)
        if len(desk.made) == 1:
            started.set()
            await anyio.sleep_forever()
        return "TEA"

    tools = (tool(effect="write")(put),)
    async with Run(
        task(tmp_path), options=Options(endpoint=calling("put tea"), tools=tools, approve=desk, cache=False)
    ) as run:
        await started.wait()
        run.interrupt(grace=0)
    result = await resume_with(calling("put tea"), run.folder.path, tools=tools, approve=desk, cache=False)
    assert [question.again for question in desk.asked] == [False, True]
    assert (result.status, len(desk.made)) == ("done", made)
    assert result.report is not None
    assert told in result.report.text


async def test_an_interrupt_does_not_wait_for_a_person(tmp_path: Path) -> None:
    desk = Desk(seconds=10_000)
    async with Run(
        task(tmp_path), options=Options(endpoint=calling("put tea"), tools=(desk.tool(),), approve=desk, cache=False)
    ) as run:
        await anyio.sleep(1)
        before = anyio.current_time()
        run.interrupt(grace=60)
    assert anyio.current_time() - before < 1
    assert run.result.status == "cancelled"
    assert not desk.made


async def test_a_refusal_is_no_result_for_later_runs(tmp_path: Path) -> None:
    desk = Desk(CallDecision("no"))
    tools = (desk.tool("see", "read", ask=True),)
    for expected in (1, 2, 2):
        await run_with(calling("see tea", identity="one"), task(tmp_path), tools=tools, approve=desk)
        assert len(desk.asked) == expected


async def test_what_was_approved_beforehand_holds_for_a_resume(tmp_path: Path) -> None:
    desk = Desk()
    this = task(tmp_path)
    async with Run(this, options=Options(endpoint=calling("put tea"), tools=(desk.tool(),), approve=True)) as run:
        run.interrupt(grace=0)
    assert isinstance(started := events_of(run.folder.path)[0], RunStarted)
    assert started.said == {"yes": True}
    result = await resume_with(calling("put tea"), run.folder.path, tools=(desk.tool(),), approve=desk)
    assert (result.status, desk.asked, desk.made) == ("done", [], ["put tea-A"])


def _slow(question: Question) -> bool:
    return question.tool == "put"


async def _later(question: Question) -> str:
    await anyio.lowlevel.checkpoint()
    return "always"


def _raise(question: Question) -> bool:
    raise ValueError("no phone")


@pytest.mark.parametrize(
    ("approve", "said"),
    [
        (_slow, "a put yes"),
        (_later, "a put always"),
        (lambda question: "Not today.", "a put no Not today."),  # type: ignore[misc]
        (lambda question: None, "a put no"),  # type: ignore[misc]
        (lambda question: 1, "a put no"),  # type: ignore[misc]
        (False, "a put no"),
        (_raise, "a put no nobody could be asked: ValueError: no phone"),
    ],
)
async def test_a_program_answers_with_a_function(tmp_path: Path, approve: Any, said: str) -> None:
    result = await swarm.run(
        task(tmp_path, limits={"seconds": None}),  # virtual time does not wait for threads
        endpoint=calling("put tea"),
        tools=[Desk().tool()],
        approve=approve,
        cache=False,
    )
    assert decided(result.folder) == [said]


async def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(TaskError, match=r"approve: is 'yes'; expected True, False or a function"):
        run_options({"approve": "yes"})  # type: ignore[typeddict-item]


# What a call costs


async def test_a_priced_call_stays_within_the_limit_and_the_model_is_told(tmp_path: Path) -> None:
    desk = Desk()
    model = calling("ask one", "ask two", "ask three", "ask four")
    this = task(
        tmp_path,
        approve="auto",
        models={"default": Model(endpoint="offline", price={"input": 0, "output": 0})},  # type: ignore[arg-type]
        limits={"usd": 0.04},
    )
    result = await carried(desk, model, this, desk.tool("ask", "read", price=0.015))
    assert desk.made == ["ask one-A", "ask two-A"]
    assert result.usage.usd == pytest.approx(0.03)
    told = [
        m.text for e in events_of(result.folder) if isinstance(e, TurnTaken) for m in e.messages if m.role == "tool"
    ]
    assert "limits.usd is too small: the next call may use up to $0.0150" in told[2]
    assert "hint" not in told[2]
