"""Every fact reaches the output, whatever a step reads and writes: texts, lists, objects, reports, at small caps."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.spec.chat import Request, estimate_tokens
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from tests.readers import FACT, PerfectReader

pytestmark = pytest.mark.anyio

FACTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}
OBJECT: Mapping[str, Any] = {"type": "object", "properties": {"facts": FACTS}, "required": ["facts"]}
PADDING = "Nothing of interest is written here. "


class Reader(PerfectReader):
    """A reader that never errs, writes JSON where it is asked for it, and judges all work as right."""

    def _answer(self, request: Request) -> str:
        schema = json.dumps(request.form.json_schema) if request.form else ""
        if "verdict" in schema:
            return json.dumps({"verdict": "supported", "reasons": []})
        if request.form is not None and '"choice"' in schema:
            properties: Any = request.form.json_schema["properties"]
            return json.dumps({"choice": properties["choice"]["enum"][0]})
        if "Check the output of the step" in request.messages[-1].text:
            return "No errors."
        text = super()._answer(request)
        if request.form is None:
            return text
        found = FACT.findall(text)
        value: Any = {"facts": found} if '"facts"' in schema else found
        return json.dumps({"answer": value} if '"answer"' in schema else value)


def text(facts: int, *, dense: bool = False, of: int = 0) -> str:
    """Return a text with facts, each in a line of its own."""
    padding = "" if dense else PADDING * 10
    return "".join(f"{padding}F-{of}-{n} is {n * 7}.\n" for n in range(facts))


async def run(
    folder: Path, steps: tuple[Step, ...], texts: Mapping[str, str], *, context: int, cap: int = 512, **more: Any
) -> tuple[Run, Reader]:
    for name, content in texts.items():
        (folder / name).write_text(content, encoding="utf-8")
    task = Task(
        goal="List all facts.",
        inputs=tuple(texts),
        folder=folder,
        models={"default": Model(endpoint="offline", context=more.pop("stated", context), max_tokens=cap)},
        plan=Plan(steps=steps),
        limits=Limits(workers=16),
        **more,
    )
    reader = Reader(context, cap=cap)
    async with Run(task, options=Options(endpoint=reader, cache=False)) as started:
        pass
    return started, reader


def lost(done: Run, texts: Mapping[str, str]) -> set[str]:
    """Return the facts that are not in the report."""
    report = done.result.report
    said = "" if report is None else report.text + json.dumps(report.value)
    return {fact for content in texts.values() for fact in FACT.findall(content)} - set(FACT.findall(said))


STUDY = Step(id="study", prompt="List every fact.")
REDUCE = Step(id="reduce", agent="reducer", needs=("study",))


@pytest.mark.parametrize("output", [None, FACTS, OBJECT], ids=["text", "list", "object"])
@pytest.mark.parametrize(
    ("files", "dense", "context", "cap"),
    [
        pytest.param(1, False, 4_096, 512, id="long"),
        pytest.param(1, True, 4_096, 512, id="long and full of facts"),
        pytest.param(1, True, 65_536, 400, id="much to write"),
        pytest.param(9, True, 4_096, 400, id="many"),
        pytest.param(9, True, 65_536, 400, id="many, and much to write"),
    ],
)
async def test_a_step_keeps_every_fact(
    tmp_path: Path, output: dict[str, Any] | None, files: int, dense: bool, context: int, cap: int
) -> None:
    texts = {f"{n}.txt": text(300 // files if dense else 60, dense=dense, of=n) for n in range(files)}
    done, reader = await run(tmp_path, (STUDY.model_copy(update={"output": output}),), texts, context=context, cap=cap)
    assert lost(done, texts) == set()
    assert done.result.status == "done"
    assert reader.refused == 0


@pytest.mark.parametrize("context", [4_096, 65_536])
@pytest.mark.parametrize("more", [{}, {"check": "critic"}, {"vote": 2}], ids=["plain", "checked", "voted"])
async def test_a_report_on_one_long_output_keeps_every_fact(tmp_path: Path, context: int, more: dict[str, Any]) -> None:
    texts = {"long.txt": text(200, dense=True)}
    done, _ = await run(tmp_path, (STUDY, REDUCE.model_copy(update=more)), texts, context=context)
    assert lost(done, texts) == set()
    assert done.result.status == "done"


async def test_a_critic_that_reads_more_than_fits_still_sends_work_back(tmp_path: Path) -> None:
    class Strict(Reader):
        verdicts = 0

        def _answer(self, request: Request) -> str:
            found = super()._answer(request)
            if found.startswith('{"verdict"'):
                self.verdicts += 1
                found = found if self.verdicts > 1 else found.replace("supported", "contradicted")
            return found

    (tmp_path / "long.txt").write_text(text(200, dense=True), encoding="utf-8")
    models = {"default": Model(endpoint="offline", context=4_096, max_tokens=512)}
    plan = Plan(steps=(STUDY, REDUCE.model_copy(update={"check": "critic"})))
    task = Task(goal="List.", inputs=("*.txt",), folder=tmp_path, models=models, plan=plan)
    async with Run(task, options=Options(endpoint=Strict(4_096, cap=512), cache=False)) as done:
        pass
    assert done.state.steps["reduce.2"].kind == "stand_in"
    assert done.state.steps["reduce.3"].by == "reduce.2.0"
    (judged,) = done.result.checks
    assert (judged.verdict, judged.repeats) == ("supported", 1)


async def test_a_report_on_several_long_outputs_and_a_short_one_keeps_every_fact_in_order(tmp_path: Path) -> None:
    counts = (150, 3, 150)
    texts = {f"{n}.txt": text(count, dense=True, of=n) for n, count in enumerate(counts)}
    workers = tuple(Step(id=f"w{n}", prompt="List every fact.", inputs=(f"{n}.txt",)) for n in range(3))
    done, _ = await run(
        tmp_path, (*workers, Step(id="reduce", agent="reducer", needs=("w0", "w1", "w2"))), texts, context=4_096
    )
    assert lost(done, texts) == set()
    assert done.result.status == "done"
    assert done.result.report is not None
    found = [fact.split("-")[1] for fact in FACT.findall(done.result.report.text)]
    assert found == sorted(found)


async def test_a_step_between_two_long_outputs_keeps_every_fact(tmp_path: Path) -> None:
    texts = {"long.txt": text(200, dense=True)}
    sort = Step(id="sort", prompt="Sort the facts.", needs=("study",))
    done, _ = await run(tmp_path, (STUDY, sort, REDUCE.model_copy(update={"needs": ("sort",)})), texts, context=4_096)
    assert lost(done, texts) == set()
    assert done.result.status == "done"


async def test_parts_that_the_server_refuses_become_smaller_ones(tmp_path: Path) -> None:
    texts = {"long.txt": text(100)}
    done, reader = await run(tmp_path, (STUDY, REDUCE), texts, context=4_096, stated=32_768)
    assert reader.refused
    assert lost(done, texts) == set()
    assert done.result.status == "done"


async def test_a_summary_that_is_cut_costs_nothing(tmp_path: Path) -> None:
    class Long(Reader):
        def _answer(self, request: Request) -> str:
            found = super()._answer(request)
            return found * 2_000 if found.startswith("All is below") else found

    texts = {"long.txt": text(200, dense=True)}
    (tmp_path / "long.txt").write_text(texts["long.txt"], encoding="utf-8")
    models = {"default": Model(endpoint="offline", context=4_096, max_tokens=512)}
    task = Task(goal="List.", inputs=("*.txt",), folder=tmp_path, models=models, plan=Plan(steps=(STUDY, REDUCE)))
    async with Run(task, options=Options(endpoint=Long(4_096, cap=512), cache=False)) as done:
        pass
    assert lost(done, texts) == set()
    assert done.result.status == "done"
    assert "summary reached its length" in str([s.outcome.notes for s in done.state.steps.values()])


async def test_an_answer_that_could_repeat_all_that_was_read_is_not_split(tmp_path: Path) -> None:
    """A model that talks without end must not be asked about ever smaller pieces."""

    class Endless(Reader):
        def _answer(self, request: Request) -> str:
            return "and so on " * 5_000

    (tmp_path / "a.txt").write_text(text(60), encoding="utf-8")
    models = {"default": Model(endpoint="offline", context=32_768, max_tokens=512)}
    task = Task(goal="List.", inputs=("a.txt",), folder=tmp_path, models=models, plan=Plan(steps=(STUDY,)))
    reader = Endless(32_768)
    async with Run(task, options=Options(endpoint=reader, cache=False)) as done:
        pass
    assert done.result.status == "partial"
    assert len(reader.requests) <= 1 + estimate_tokens(text(60)) // 200
