"""Steps that open long texts: what they see, what `read` and `find` show, and models that open nothing."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.attempt.long_results import READ_MORE
from swarm.attempt.loop import carry_out
from swarm.attempt.opening import NAMES, OPENED_BYTES, opening
from swarm.attempt.prompt import reading_of
from swarm.attempt.reading import HEAD_BYTES
from swarm.attempt.types import Attempt, Given
from swarm.base.errors import AttemptError, EndpointRefused
from swarm.base.long_text import LongText
from swarm.forecast.expect import Experience
from swarm.forecast.plan import forecast_plan, scene_of
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import prepare
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder
from swarm.record.outcome import Outcome
from swarm.spec.chat import Data, Reply, Request, request_tokens
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Input, Limits, Model, Task
from swarm.testing import Function, Scripted, reply
from swarm.tools import Toolbox
from swarm.tools.functions import tool
from swarm.views.simulation import opened_lines
from tests.attempts import AGENTS, WORDING, attempt
from tests.models import own_prompt
from tests.test_long_text import FACT, LONG, ROW

pytestmark = pytest.mark.anyio

# One attempt

GIVEN = (Given(step="collect", about="", output=LONG),)


def given_long(**fields: Any) -> Attempt:
    made = attempt(given=GIVEN, context=64_000, settings={"max_tokens": 1_000}, **fields)
    return opening(made)


async def carried(made: Attempt, *answers: Any, box: Toolbox | None = None) -> tuple[Outcome, Scripted]:
    endpoint = Scripted(*answers)
    outcome = await carry_out(made, endpoint=endpoint, tools=box or Toolbox(), note=lambda _: None)
    return outcome, endpoint


def calls(tool_name: str, **arguments: Any) -> Reply:
    return reply(calls=[(tool_name, arguments)])


def results(endpoint: Scripted) -> list[str]:
    return [message.text for message in endpoint.requests[-1].messages if message.role == "tool"]


async def test_a_step_sees_the_start_and_an_outline_and_reads_on() -> None:
    answers = [calls("find", text="spare key"), calls("read", name="collect", page=76), "Panel 4711."]
    outcome, endpoint = await carried(given_long(), *answers)
    first = endpoint.requests[0]
    assert {spec.name for spec in first.tools} == NAMES
    assert request_tokens(first) < 4_000
    [(shown, total)] = re.findall(r"start of \"collect\": (\d+) of (\d+) bytes", first.messages[1].text)
    assert (int(total), int(shown) <= HEAD_BYTES) == (len(LONG), True)
    assert "Annex" in first.messages[1].text
    assert "behind panel" not in first.messages[1].text
    found, page = results(endpoint)
    assert f"collect, page 76, line 4,403: {FACT}" in found
    assert "collect, page 76 of 76, lines 4,353 to 4,403" in page
    assert FACT in page
    [seen] = outcome.opened
    assert (seen.name, seen.pages, seen.total) == ("collect", (76,), len(LONG))
    assert seen.read == int(shown) + len(LongText("", LONG).pages[-1].text)
    assert not outcome.unfounded


async def test_what_stands_on_a_page_that_was_not_read_is_not_invented() -> None:
    text = f"{ROW * 300}The vault has 4712 coins and the depot 4711 panels.\n{ROW * 300}"
    made = opening(attempt(given=(Given(step="collect", about="", output=text),), context=64_000))
    answers = [calls("read", name="collect", page=2), "The vault has 4712 coins, the attic 9913 lamps."]
    outcome, _ = await carried(made, *answers)
    assert made.opens
    assert "9913" in str(outcome.unfounded)
    assert "4712" not in str(outcome.unfounded)


async def test_only_what_the_step_was_given_is_shown() -> None:
    wrong = [
        calls("read", name="../task.yaml"),
        calls("read", name="other"),
        calls("find", text="key", name="other"),
        calls("read", name="collect", page=77),
        calls("read", name="collect", page=0),
        calls("find", text=".* " * 20),
        calls("read", name="step/collect", line=1),
    ]
    _, endpoint = await carried(given_long(), *wrong, "Nothing.")
    said = [text.splitlines()[1] for text in results(endpoint)]
    assert [text.startswith("Failed: ") for text in said] == [True] * 7
    assert "you were given no text 'other'; there are: collect" in said[1]
    assert "has 76 pages; there is no page 77" in said[3]


async def test_the_same_call_shows_the_same_and_a_page_says_how_to_go_on() -> None:
    pages = [calls("read", name="collect", page=n, pages=30) for n in (1, 40, 1)]
    _, endpoint = await carried(given_long(), *pages, "Nothing.")
    first, _, again = results(endpoint)
    assert first == again
    assert first.count("<tool name=") == 4
    assert first.endswith("(go on with page=5)")


async def test_old_pages_leave_a_conversation_that_is_too_long() -> None:
    made = given_long().model_copy(update={"context": 12_000, "turns": 90})
    pages = [calls("read", name="collect", page=n) for n in range(1, 77)]
    outcome, endpoint = await carried(made, *pages, "Panel 4711.")
    assert outcome.opened[0].pages == tuple(range(1, 77))
    assert outcome.opened[0].read == len(LONG)
    assert max(map(request_tokens, endpoint.requests)) + 1_000 <= 12_000
    assert FACT in results(endpoint)[-1]
    assert results(endpoint)[0] == WORDING["page_left_out"]
    kept = [sum("<tool name=" in m.text for m in request.messages) for request in endpoint.requests]
    assert max(kept[40:]) - min(kept[40:]) >= 1  # several leave at once: not every turn changes the start


async def test_tools_of_the_task_are_there_too_and_calling_one_is_enough() -> None:
    @tool
    def weigh(word: str) -> str:
        """Weigh."""
        return word

    box = Toolbox([weigh])
    outcome, endpoint = await carried(given_long(tools=("weigh",)), calls("weigh", word="a"), "Light.", box=box)
    assert [spec.name for spec in endpoint.requests[0].tools] == ["weigh", READ_MORE.name, "read", "find"]
    assert outcome.output == "Light."


@pytest.mark.parametrize(
    "answer",
    ["From the start: nothing.", EndpointRefused("400: this model does not support tools", kind="bad_request")],
    ids=["no call", "tools refused"],
)
async def test_a_model_that_opens_nothing_fails_the_attempt(answer: Any) -> None:
    with pytest.raises(AttemptError) as error:
        await carried(given_long(), answer)
    assert error.value.kind == "unopened"


async def test_another_refusal_is_what_it_is() -> None:
    with pytest.raises(EndpointRefused):
        await carried(given_long(), EndpointRefused("400: unknown model", kind="bad_request"))


def test_what_is_opened_and_what_not() -> None:
    short = Given(step="short", about="", output="x" * OPENED_BYTES)
    notes = Input(name="notes.md", text=ROW * 200, size=len(ROW) * 200, sha256="0" * 64)
    made = attempt(given=(*GIVEN, short), inputs=(notes,), context=64_000)
    assert opening(made).opens == (("output", "collect"),)
    assert opening(made, ["collect"]).opens == ()
    big = notes.model_copy(update={"text": LONG, "size": len(LONG)})
    assert opening(made.model_copy(update={"inputs": (big,)})).opens == (("input", "notes.md"), ("output", "collect"))
    assert opening(made.model_copy(update={"context": 3_000})).opens == ()  # no page fits
    assert opening(made.model_copy(update={"tools": ("find",)})).opens == ()  # the name is taken
    assert opening(made).key != made.key
    assert reading_of(opening(made)).room < reading_of(made).room  # pages join the conversation
    many = tuple(Given(step=f"s.{n}", about="", output=ROW * 150) for n in range(400))
    assert opening(attempt(given=many, context=16_000)).opens == ()  # not even their starts fit


# Runs

STEPS = (
    Step(id="collect", prompt="Write the log.", model="writer"),
    Step(id="look", prompt="Behind which panel is the key?", needs=("collect",), open=True),
    Step(id="reduce", agent="reducer", prompt="Report.", needs=("look",)),
)


def page_by_page(request: Request) -> Any:
    """Read the pages of the log from the first one on, four at a time, until the fact is there."""
    tools = [message for message in request.messages if message.role == "tool"]
    found = re.search(r"behind panel (\d+)", " ".join(message.text for message in tools))
    if found is not None:
        return f"The spare key hangs behind panel {found[1]}."
    more = re.search(r"go on with page=(\d+)", tools[-1].text) if tools else None
    return calls("read", name="collect", page=int(more[1]) if more else 1, pages=4)


def reads_all(request: Request) -> str:
    """Answer from what is shown, without a call."""
    shown = re.search(r"behind panel (\d+)", request.messages[-1].text)
    return f"The spare key hangs behind panel {shown[1]}." if shown else "not stated"


def model(look: Callable[[Request], Any], written: str = LONG) -> Function:
    """Make a model that writes the log, looks something up in it, and reports."""

    def answer(request: Request) -> Any:
        if own_prompt(request) == "Write the log.":
            return written
        if request.purpose == "report":
            return "The spare key hangs behind panel 4711 [look]."
        return look(request)

    return Function(answer, identity="double")


async def run(folder: Path, endpoint: Any, *, steps: tuple[Step, ...] = STEPS, **more: Any) -> Run:
    plan = more.pop("plan", Plan(steps=steps))
    task = Task(
        goal="Where is the key?",
        folder=folder,
        models={
            "default": Model(endpoint="offline", context=32_000, max_tokens=1_000),
            "writer": Model(endpoint="offline", context=400_000, max_tokens=150_000),
        },
        plan=plan,
        limits=Limits(turns=40),
        **more,
    )
    async with Run(task, options=Options(endpoint=endpoint, cache=False)) as started:
        pass
    return started


async def test_a_fact_on_the_last_page_of_300_kb_reaches_the_report(tmp_path: Path) -> None:
    endpoint = model(page_by_page)
    done = await run(tmp_path, endpoint)
    assert done.result.status == "done", (done.result.errors, done.result.left_out)
    look = done.state.steps["look"]
    assert look.outcome.output == "The spare key hangs behind panel 4711."
    [(step, seen)] = done.result.opened
    assert (step, seen.name, seen.pages[-1]) == ("look", "collect", 76)
    assert not look.outcome.unfounded
    assert done.result.report is not None
    assert [claim.evidence for claim in done.result.report.claims] == ["supported"]
    looked_up, collected = done.result.provenance("c1").steps
    assert [(each.step, each.opened_page) for each in looked_up.outputs] == [("collect", 76)]
    assert (collected.step, collected.through) == ("collect", ("look",))
    looked = [request for request in endpoint.requests if request.tools]
    assert max(map(request_tokens, looked)) < 31_000
    await resumed_in_the_middle(tmp_path, done, calls=len(endpoint.requests))
    await replayed(done)


async def resumed_in_the_middle(tmp_path: Path, done: Run, *, calls: int) -> None:
    lines = (done.folder.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    turns = [n for n, line in enumerate(lines) if b'"step":"look"' in line]
    copy = tmp_path / "cut"
    shutil.copytree(done.folder.path, copy)
    (copy / "journal.jsonl").write_bytes(b"".join(lines[: turns[len(turns) // 2]]))
    again = model(page_by_page)
    async with Run(options=Options(endpoint=again, cache=False), resume=RunFolder(copy)) as resumed:
        pass
    assert resumed.result.report == done.result.report
    assert resumed.result.opened == done.result.opened
    assert len(again.requests) < calls - 5


async def replayed(done: Run) -> None:
    nothing = Function(lambda _: AssertionError("a replay makes no call"))
    async with Run(done.folder.path / "task.yaml", options=Options(endpoint=nothing), replay=done.folder) as again:
        pass
    assert again.result.report == done.result.report
    assert again.result.opened == done.result.opened


@pytest.mark.parametrize("first", [None, EndpointRefused("400: tools are not supported", kind="bad_request")])
async def test_a_model_that_opens_nothing_reads_everything_in_parts(tmp_path: Path, first: Any) -> None:
    def look(request: Request) -> Any:
        return first if first is not None and request.tools else reads_all(request)

    endpoint = model(look)
    done = await run(tmp_path, endpoint)
    parts = [s for s in done.state.steps.values() if s.by == "look"]
    assert len(parts) > 2
    assert sum(bool(request.tools) for request in endpoint.requests) == 1  # no part opens again
    assert "4711" in str(done.state.steps["look.0"].outcome.output)
    assert done.result.status == "done"
    assert done.state.steps["look"].failures == 0
    assert done.result.opened == ()


async def test_the_built_in_endpoint_reads_everything(tmp_path: Path) -> None:
    (tmp_path / "log.md").write_text(LONG, encoding="utf-8")
    steps = (Step(id="look", prompt="Behind which panel does the spare key of the depot hang?", open=True),)
    task = Task(goal="Where is the key?", folder=tmp_path, inputs=("log.md",), plan=Plan(steps=steps))
    async with Run(task, options=Options(endpoint="offline", cache=False)) as done:
        pass
    assert done.result.report is not None
    assert "4711" in done.result.report.text
    prepared = await prepare(task, Options(endpoint="offline"))
    assert prepared.resources.without_tools == {"default"}


async def test_a_report_reads_everything_and_a_critic_sees_the_whole_work(tmp_path: Path) -> None:
    seen: dict[str, list[str]] = {}
    starts: set[str] = set()

    def look(request: Request) -> Any:
        names = [spec.name for spec in request.tools]
        data = [part.name for part in request.messages[1].parts if isinstance(part, Data) and part.of == "output"]
        kind = "critic" if "Check the output of the step look.1" in own_prompt(request) else "work"
        seen.setdefault(kind, names + data)
        starts.update(re.findall(r'only the start of "(\S+)"', request.messages[1].text))
        if kind == "critic":
            verdict = json.dumps({"verdict": "supported", "reasons": []})
            return verdict if len(request.messages) > 2 else calls("find", text="spare key")
        return page_by_page(request) + ROW * 200 if len(request.messages) > 2 else calls("find", text="spare key")

    critic = AGENTS["critic"].model_copy(update={"open": True, "name": "judge", "model": None})
    work = STEPS[1].model_copy(update={"check": "judge", "model": "writer"})
    steps = (STEPS[0], work, STEPS[2].model_copy(update={"open": True, "needs": ("look", "collect")}))
    endpoint = model(look, LONG[-40_000:])
    done = await run(tmp_path, endpoint, plan=Plan(agents=(critic,), steps=steps))
    assert done.result.status == "done", done.result.errors
    assert seen["critic"] == ["read", "find", "look.1", "collect"]
    assert starts == {"collect"}
    assert not any(request.tools for request in endpoint.requests if request.purpose == "report")


async def test_labels_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "pay.md").write_text(LONG, encoding="utf-8")
    steps = (STEPS[1].model_copy(update={"needs": (), "inputs": ("pay.md",)}),)
    endpoint = model(lambda request: page_by_page(request) if len(request.messages) > 2 else calls("find", text="key"))
    done = await run(
        tmp_path,
        endpoint,
        steps=steps,
        inputs=({"path": "pay.md", "label": "private"},),
        labels={"private": ("default",)},
    )
    assert done.result.opened[0][1].of == "input"
    assert {request.labels for request in endpoint.requests} == {("private",)}


async def test_a_plan_says_who_opens_what(tmp_path: Path) -> None:
    (tmp_path / "log.md").write_text(LONG, encoding="utf-8")
    steps = (
        Step(id="look", prompt="Find the key.", inputs=("log.md",), open=True),
        Step(id="all", prompt="Describe it.", inputs=("log.md",)),
    )
    task = Task(
        goal="Where is the key?",
        folder=tmp_path,
        inputs=("log.md",),
        models={"default": Model(endpoint="http://127.0.0.1:9/v1", name="m", context=32_000)},
        plan=Plan(steps=steps),
    )
    prepared = await prepare(task, Options())
    found = forecast_plan(prepared.steps, scene_of(prepared.resources, prepared.agents.values(), Experience()))
    assert found.opened == (("look", len(LONG)),)
    assert [tree.step for tree in found.trees] == ["all"]
    assert prepared.linted is not None
    hints = {finding.kind: finding.step for finding in prepared.linted.findings}
    assert hints == {"several_ends": "", "opened": "look", "parts": "all"}
    [line] = opened_lines(found.opened)
    assert line == "Opens: look looks things up in 303,666 bytes of long texts, page by page"
