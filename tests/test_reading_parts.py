"""Whole runs in which a step reads a long text in parts."""

import csv
import io
import json
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from swarm.attempt.types import Attempt
from swarm.base.cutting import cut_text
from swarm.base.errors import EndpointRefused
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.judge import judge
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.record.steps import StepState
from swarm.scheduling.expand import Expander
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.chat import Reply, Request, Usage, estimate_tokens, request_tokens, says
from swarm.spec.plan import Part, Plan, Step
from swarm.spec.task import Input, Model, Task
from swarm.testing import Function, reply
from swarm.views.progress import summary
from tests.attempts import attempt
from tests.models import data_in, events_of, resume_with, run_with
from tests.test_scheduler import scheduler_of

FACT = re.compile(r"fact \d{4} is \d{4}")
CONTEXT = 8192
pytestmark = pytest.mark.anyio


class Reader(Function):
    """A reader that never errs: it gives every fact that it is shown, in the requested format."""

    def __init__(self, write: Callable[[Request, list[str]], str | Exception] | None = None) -> None:
        super().__init__(self._answer)
        self._write = write or self.facts

    def _answer(self, request: Request) -> Reply | Exception:
        used = request_tokens(request)
        assert used + (request.max_tokens or 4096) <= CONTEXT, "it would not fit the context"
        texts = [*data_in(request, "input").values(), *data_in(request, "output").values()]
        said = self._write(request, texts)
        if isinstance(said, Exception):
            return said
        return reply(said, usage=Usage(calls=1, input_tokens=used, output_tokens=estimate_tokens(said)))

    @staticmethod
    def facts(request: Request, texts: list[str]) -> str:
        return "\n".join(dict.fromkeys(found for text in texts for found in FACT.findall(text))) or "not stated"


def lines(size: int, facts: int) -> str:
    """Return a text of about so many bytes, with facts at equal distances."""
    made = [f"Line {n} is of no importance to anybody." for n in range(size // 40)]
    for n in range(facts):
        made[n * len(made) // facts] = f"In short, fact {n:04} is {n * 37 % 9000 + 1000}."
    return "\n".join(made)


def facts_in(text: str) -> set[str]:
    return set(FACT.findall(text))


def study(folder: Path, text: str, *, name: str = "long.txt", **fields: Any) -> Task:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    plan = Plan(steps=(Step(id="study", prompt="List every fact.", inputs=(name,), **fields),))
    models = {"default": Model(endpoint="offline", context=CONTEXT)}
    return Task(goal="List the facts.", inputs=(name,), plan=plan, folder=folder, models=models)


def parts_started(folder: Path) -> list[str]:
    """Return the steps that started, in order."""
    return [event.step for event in events_of(folder) if isinstance(event, e.StepStarted)]


def parts_in(folder: Path) -> list[Part]:
    """Return the parts of a run, in plan order."""
    added = (event.steps for event in events_of(folder) if isinstance(event, e.StepsAdded))
    return [step.part for step in chain.from_iterable(added) if step.part is not None]


async def test_every_fact_of_a_long_text_is_found(tmp_path: Path) -> None:
    text = lines(100_000, 40)
    result = await run_with(Reader(), study(tmp_path, text))
    assert result.report is not None
    assert facts_in(result.report.text) == facts_in(text)
    assert (result.status, result.left_out) == ("done", ())
    assert result.usage.tokens <= 1.3 * estimate_tokens(text)
    assert result.steps["total"] > 5


async def test_a_fact_at_every_cut_is_found(tmp_path: Path) -> None:
    text = " ".join(f"w{n:06}" for n in range(12_000))
    places = [piece.own for piece in cut_text(text, 12_800)[1:]]
    for n, place in reversed(list(enumerate(place + shift for place in places for shift in (-1, 0, 1)))):
        text = f"{text[:place]} fact {n:04} is 1234 {text[place:]}"
    result = await run_with(Reader(), study(tmp_path, text))
    assert result.report is not None
    assert len(facts_in(text)) == 3 * len(places) > 12
    assert facts_in(result.report.text) == facts_in(text)


@pytest.mark.parametrize("name", ["item {}", "item\n{}"])
async def test_the_rows_of_a_table_are_joined_without_a_model(tmp_path: Path, name: str) -> None:
    """Their answers reach their cap, so parts are read in smaller parts, the first one of the table too."""
    table = io.StringIO()
    rows = [{"name": name.format(n), "price": str(n % 7)} for n in range(3000)]
    writer = csv.DictWriter(table, ["name", "price"])
    writer.writeheader()
    writer.writerows(rows)

    def write(request: Request, texts: list[str]) -> str:
        return json.dumps(list(csv.DictReader(io.StringIO(texts[0], newline=""))))

    schema: dict[str, Any] = {"type": "array", "items": {"type": "object"}}
    reader = Reader(write)
    result = await run_with(reader, study(tmp_path, table.getvalue(), name="table.csv", output=schema))
    assert result.report is not None
    assert result.report.value == rows
    assert len(reader.requests) == len(set(parts_started(result.folder)))
    assert "study.0" not in parts_started(result.folder)


async def test_a_part_that_fails_makes_the_run_partial_and_loses_nothing_else(tmp_path: Path) -> None:
    text = lines(60_000, 30)

    def write(request: Request, texts: list[str]) -> str | Exception:
        if "fact 0000" in texts[0] and data_in(request, "input"):
            return EndpointRefused("no", kind="content_filter")
        return Reader.facts(request, texts)

    result = await run_with(Reader(write), study(tmp_path, text))
    assert result.report is not None
    assert (result.status, result.exit_code) == ("partial", 3)
    (entry,) = result.left_out
    assert (entry.name, entry.total) == ("long.txt", len(text))
    lost = facts_in(text[: entry.total - entry.read])
    assert facts_in(result.report.text) == facts_in(text) - lost
    assert 0 < len(lost) < 10


async def test_a_longer_file_reads_its_last_part_again_and_no_other(tmp_path: Path) -> None:
    text = lines(60_000, 30)
    task = study(tmp_path, text)
    first = await run_with(Reader(), task)
    (tmp_path / "long.txt").write_text(text + "\nIn short, fact 9999 is 9999.\n", encoding="utf-8")
    reader = Reader()
    again = await resume_with(reader, first.folder)
    assert again.report is not None
    assert "fact 9999 is 9999" in again.report.text
    assert facts_in(again.report.text) == {*facts_in(text), "fact 9999 is 9999"}
    assert len(reader.requests) == 2, "the last part, and the step that reads all answers"


async def test_a_resumed_run_expands_nothing_again(tmp_path: Path) -> None:
    first = await run_with(Reader(), study(tmp_path, lines(60_000, 30)))
    reader = Reader()
    again = await resume_with(reader, first.folder)
    assert again.report == first.report
    assert reader.requests == []


async def test_a_replay_takes_the_expansion_of_the_journal(tmp_path: Path) -> None:
    task = study(tmp_path, lines(60_000, 30))
    first = await run_with(Reader(), task)
    async with Run(task, options=Options(endpoint=Reader()), replay=RunFolder(first.folder)) as run:
        pass
    assert run.result.report == first.report


async def test_an_unknown_context_is_learnt_and_then_read_in_parts(tmp_path: Path) -> None:
    text = lines(100_000, 40)
    task = study(tmp_path, text)
    task = task.model_copy(update={"models": {"default": Model(endpoint="offline")}})

    class Unknown(Reader):
        async def complete(self, request: Request) -> Reply:
            if request_tokens(request) + (request.max_tokens or 4096) > CONTEXT:
                raise judge(Fault(status=400, text=f"maximum context length is {CONTEXT} tokens"))
            return await super().complete(request)

    result = await run_with(Unknown(), task)
    assert result.report is not None
    assert facts_in(result.report.text) == facts_in(text)
    assert result.status == "done"


class CutsTheFront(Reader):
    """Reads the last `context` tokens of a prompt, says so in its count only, as some local servers do."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self.context = context

    def _answer(self, request: Request) -> Reply | Exception:
        used = request_tokens(request)
        texts = [*data_in(request, "input").values(), *data_in(request, "output").values()]
        if used <= self.context:
            return reply(self.facts(request, texts), usage=Usage(calls=1, input_tokens=used, output_tokens=9))
        seen = "".join(texts)[-3 * self.context :]
        cut = f"the endpoint read {self.context:,} tokens: it truncated the prompt; raise `num_ctx`"
        said = reply(self.facts(request, [seen]), usage=Usage(calls=1, input_tokens=self.context, output_tokens=9))
        message = said.message.model_copy(update={"doubts": (cut,)})
        return said.model_copy(update={"message": message, "prompt_cut": self.context})


@pytest.mark.parametrize("said", [None, 131_072])
async def test_fault_113_a_prompt_that_was_cut_silently_is_read_again_in_parts(
    tmp_path: Path, said: int | None
) -> None:
    text = lines(100_000, 40)
    task = study(tmp_path, text)
    task = task.model_copy(update={"models": {"default": Model(endpoint="offline", context=said)}})
    result = await run_with(CutsTheFront(4096), task)
    assert result.report is not None
    assert facts_in(result.report.text) == facts_in(text)
    assert result.status == "done"
    state = recorded(RunFolder(result.folder)).state
    assert "reads 4,096 tokens at once" in summary(state, result.parallelism)
    assert "num_ctx" in summary(state, result.parallelism)
    assert result.usage.input_tokens >= 4096, "the answer to the cut prompt was paid for"


async def test_an_answer_to_a_cut_prompt_is_kept_with_its_doubt_if_no_prompt_is_short_enough(tmp_path: Path) -> None:
    task = study(tmp_path, lines(20_000, 4))
    task = task.model_copy(update={"models": {"default": Model(endpoint="offline")}})
    result = await run_with(CutsTheFront(300), task)
    assert result.report is not None
    assert any(
        "num_ctx" in doubt
        for s in recorded(RunFolder(result.folder)).state.steps.values()
        for doubt in s.outcome.doubts
    )


async def test_a_long_output_is_read_in_parts(tmp_path: Path) -> None:
    text = lines(60_000, 30)
    plan = Plan(
        steps=(Step(id="write", prompt="Write.", inputs=()), Step(id="study", prompt="Read.", needs=("write",)))
    )
    models = {"default": Model(endpoint="offline", context=CONTEXT)}

    def write(request: Request, texts: list[str]) -> str:
        return Reader.facts(request, texts) if texts else text

    result = await run_with(Reader(write), Task(goal="Facts.", plan=plan, folder=tmp_path, models=models))
    assert result.report is not None
    assert facts_in(result.report.text) == facts_in(text)
    kinds = {
        s.part.kind
        for event in events_of(result.folder)
        if isinstance(event, e.StepsAdded)
        for s in event.steps
        if s.part
    }
    assert kinds == {"output"}


async def test_two_equal_files_are_both_read(tmp_path: Path) -> None:
    text = lines(30_000, 20)
    task = study(tmp_path, text)
    (tmp_path / "same.txt").write_text(text, encoding="utf-8")
    plan = Plan(steps=(Step(id="study", prompt="List every fact.", inputs=("long.txt", "same.txt")),))
    task = task.model_copy(update={"inputs": ("*.txt",), "plan": plan})
    result = await run_with(Reader(), task)
    assert result.report is not None
    assert facts_in(result.report.text) == facts_in(text)
    names = [part.name for part in parts_in(result.folder)]
    assert names.count("long.txt") == names.count("same.txt") > 1


async def test_answers_that_do_not_fit_one_are_joined_without_a_model(tmp_path: Path) -> None:
    text = lines(100_000, 900)
    reader = Reader()
    result = await run_with(reader, study(tmp_path, text))
    assert result.report is not None
    assert facts_in(result.report.text) == facts_in(text)
    assert result.status == "done"
    assert not any(data_in(request, "output") for request in reader.requests), "nobody merges what one cannot repeat"


async def test_the_fields_of_an_object_are_filled_from_the_parts(tmp_path: Path) -> None:
    properties = {"first": {"type": "string"}, "all": {"type": "array", "items": {"type": "string"}}}
    schema = {"type": "object", "properties": properties, "required": ["first", "all"]}

    def write(request: Request, texts: list[str]) -> str:
        facts = FACT.findall(texts[0])
        first = {"first": facts[0]} if "fact 0000" in texts[0] else {}
        return json.dumps({**first, "all": facts})

    text = lines(60_000, 30)
    reader = Reader(write)
    result = await run_with(reader, study(tmp_path, text, output=schema))
    assert result.report is not None
    assert result.report.value == {"first": FACT.findall(text)[0], "all": FACT.findall(text)}
    assert not any(data_in(request, "output") for request in reader.requests)


async def test_a_step_that_cannot_be_sized_fails_alone() -> None:
    scheduler = scheduler_of(Step(id="a"), Step(id="b"))

    def expand(s: StepState) -> None:
        if s.id == "a":
            raise KeyError("size")

    scheduler = Scheduler(scheduler.state, scheduler._emit, Rules(), lambda s: s.outcome.output, expand)  # pyright: ignore[reportPrivateUsage]
    s = scheduler.take()
    assert s is not None
    assert s.id == "b"
    error = scheduler.state.steps["a"].error
    assert error is not None
    assert error.kind == "bug"


async def test_a_conversation_is_not_expanded(tmp_path: Path) -> None:
    result = await run_with(Reader(), study(tmp_path, lines(60_000, 3)))
    s = StepState(Step(id="study", prompt="List every fact.", inputs=("long.txt",)), by="task", order=0)
    expander = Expander(lambda s: made_of_study(tmp_path, s), ())
    assert expander(s) is not None
    s.transcript = [says("assistant", "Half of it.")]
    assert expander(s) is None
    assert Expander(lambda s: made_of_study(tmp_path, s), ("study.2",))(StepState(s.step, by="task", order=0)) is None
    assert result.report is not None


def made_of_study(folder: Path, s: StepState) -> Attempt:
    text = (folder / "long.txt").read_text(encoding="utf-8")
    return attempt(step=s.step, inputs=(Input(name="long.txt", text=text),), context=CONTEXT)
