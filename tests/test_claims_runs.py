"""The claims of whole runs: asked about once, also after a crash, and followed down to what was read."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder
from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function, reply
from swarm.tools.functions import tool
from swarm.views.claims import provenance_page
from tests.models import own_prompt

pytestmark = pytest.mark.anyio

SITE = "https://example.org/lunr"
FACT = "Lunr needs 40 MB of memory."
WRONG, RIGHT = "Lunr needs 41 MB of memory [judge].", "Lunr needs 40 MB of memory [judge]."
NOTE = "1 of 1 claim not found in their sources"
STEPS = (
    Step(id="look", prompt="Look it up.", inputs=("lunr.md",)),
    Step(id="judge", prompt="Judge it.", needs=("look",)),
    Step(id="report", agent="reducer", prompt="Report.", needs=("judge",)),
)


def model(usage: Usage | None = None) -> Function:
    """Return a model whose report is wrong until it is asked about it."""

    def answer(request: Request) -> Reply:
        is_asked = any(message.role == "assistant" for message in request.messages)
        report = RIGHT if is_asked else WRONG
        return reply(report if request.purpose == "report" else FACT, usage=usage)

    return Function(answer, identity="one")


async def run(
    tmp_path: Path, endpoint: Any, *, steps: tuple[Step, ...] = STEPS, context: int = 32_000, **more: Any
) -> Run:
    for name, text in {"lunr.md": "# Lunr\n\nIt is old.\n\n- Memory: 40 MB\n", **more.pop("files", {})}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    options = Options(endpoint=endpoint, cache=False, tools=more.pop("functions", ()))
    async with Run(task_of(tmp_path, steps=steps, context=context, **more), options=options) as done:
        pass
    return done


def task_of(tmp_path: Path, *, steps: tuple[Step, ...] = STEPS, context: int = 32_000, **more: Any) -> Task:
    models = {"default": Model(endpoint="offline", context=context, max_tokens=512)}
    return Task(goal="Which?", folder=tmp_path, inputs=("*.md",), models=models, plan=Plan(steps=steps), **more)


def reports(endpoint: Function) -> list[Request]:
    return [request for request in endpoint.requests if request.purpose == "report"]


async def test_a_question_is_asked_and_paid_once_also_after_a_crash_at_any_event(tmp_path: Path) -> None:
    endpoint = model()
    done = await run(tmp_path, endpoint)
    assert done.result.report is not None
    assert (done.result.report.text.partition("\n")[0], done.result.report.not_found) == (RIGHT, "")
    assert len(reports(endpoint)) == 2
    lines = (done.folder.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    turns = [n for n, line in enumerate(lines) if json.loads(line)["event"] == "TurnTaken" and b'"report"' in line]
    for n, cut in enumerate((turns[0], turns[0] + 1, turns[1] + 1)):  # before the answer, the question, the end
        copy = tmp_path / f"cut{n}"
        shutil.copytree(done.folder.path, copy)
        (copy / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        again = model()
        async with Run(options=Options(endpoint=again, cache=False), resume=RunFolder(copy)) as resumed:
            pass
        assert resumed.result.report == done.result.report
        assert len(again.requests) == 2 - n
        assert resumed.result.usage.calls == done.result.usage.calls
    nothing = Function(lambda _: AssertionError("a replay makes no call"))
    async with Run(task_of(tmp_path), options=Options(endpoint=nothing), replay=done.folder) as replayed:
        pass
    assert replayed.result.report == done.result.report


@pytest.mark.parametrize(("tokens", "text", "note"), [(6_500, WRONG, NOTE), (8_000, RIGHT, "")])
async def test_a_limit_that_is_nearly_spent_keeps_the_report_and_skips_the_question(
    tmp_path: Path, tokens: int, text: str, note: str
) -> None:
    endpoint = model(usage=Usage(calls=1, input_tokens=900, output_tokens=100))
    done = await run(tmp_path, endpoint, limits=Limits(tokens=tokens))
    assert (done.result.status, done.result.usage.tokens <= tokens) == ("done", True)
    assert done.result.report is not None
    assert (done.result.report.text.partition("\n")[0], done.result.report.not_found) == (text, note)
    assert len(reports(endpoint)) == (1 if note else 2)


async def test_a_claim_goes_down_through_steps_and_tools_to_lines_and_addresses(tmp_path: Path) -> None:
    @tool
    def fetch(url: str) -> str:
        """Fetch a page."""
        return f"Page of {url}\n\nLunr is said to need 40 MB of memory.\n"

    def answer(request: Request) -> Any:
        if request.purpose == "report":
            return RIGHT
        if own_prompt(request) == "Look it up." and all(each.role != "tool" for each in request.messages):
            return reply(calls=[("fetch", {"url": SITE})])
        return FACT

    look = STEPS[0].model_copy(update={"agent": "researcher", "tools": ("fetch",)})
    done = await run(tmp_path, Function(answer), steps=(look, *STEPS[1:]), tools=("fetch",), functions=(fetch,))
    found = done.result.provenance("c1")
    judge, look_up = found.steps
    assert (judge.step, judge.places, [each.step for each in judge.outputs]) == ("judge", (), ["look"])
    assert (look_up.step, look_up.through, look_up.text) == ("look", ("judge",), FACT)
    assert [(place.input, place.first_line) for place in look_up.places] == [("lunr.md", 5)]
    assert [(each.tool, each.address) for each in look_up.tools] == [("fetch", SITE)]
    page = provenance_page(found)
    assert "  output of look\n" in page
    assert f"  fetch: {SITE}\n" in page


async def test_claims_of_a_report_in_levels_are_found_in_the_leaves(tmp_path: Path) -> None:
    files = {f"{n:02}.md": f"Thing {n} has a mass of {3 * n + 700} kg.\n" + "It is a thing. " * 30 for n in range(40)}
    del files["00.md"]
    files["lunr.md"] = "Thing 0 has a mass of 700 kg."
    read = Step(id="read", prompt="Read.", each="inputs")
    report = Step(id="report", agent="reducer", prompt="Report.", needs=("read",))

    def answer(request: Request) -> str:
        if request.purpose != "report":
            (fact,) = re.findall(r"Thing \d+ has a mass of \d+ kg\.", request.messages[-1].text)
            return f"{fact} {'It is a thing. ' * 20}"
        rows = [f"Thing {n} has a mass of {3 * n + 700} kg [read.{n}]." for n in (7, 31)]
        return "\n".join((*rows, "Thing 9 has a mass of 793 kg [read.9]."))

    done = await run(tmp_path, Function(answer), steps=(read, report), context=4_096, files=files, report="summary")
    assert done.result.report is not None
    assert sum(s.step.partial_of == "report" for s in done.state.steps.values()) > 3
    claims = done.result.report.claims
    assert [(each.steps, each.evidence) for each in claims] == [
        (("read.7",), "supported"),
        (("read.31",), "supported"),
        (("read.9",), "unsupported"),
    ]
    (step,) = done.result.provenance("c2").steps
    assert len(step.through) > 1
    assert [(place.input, place.first_line) for place in step.places] == [("31.md", 1)]


async def test_a_row_of_a_merged_table_leads_to_the_file_that_it_is_from(tmp_path: Path) -> None:
    form = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "mb": {"type": "number"}},
        "required": ["name"],
    }
    steps = (
        Step(id="read", prompt="Read.", each="inputs", output=form),
        Step(id="table", merge="table", key=("name",), needs=("read",)),
    )

    def answer(request: Request) -> str:
        name, size = re.findall(r"(\w+): (\d+) MB", request.messages[-1].text)[0]
        return json.dumps({"name": name, "mb": int(size)})

    files = {"lunr.md": "# A\n\nLunr: 40 MB\n", "fuse.md": "# B\n\nFuse: 12 MB\n", "orama.md": "Orama: 7 MB\n"}
    done = await run(tmp_path, Function(answer), steps=steps, files=files)
    assert done.result.report is not None
    row = next(each for each in done.result.report.claims if "Fuse" in each.text)
    (step,) = done.result.provenance(row.id).steps
    assert [(place.input, place.first_line) for place in step.places] == [("fuse.md", 3)]
