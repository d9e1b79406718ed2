"""Steps that merge outputs without a model: in plans, in runs, after a crash and in forecasts."""

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.attempt.types import MERGER, Attempt, Given
from swarm.base.errors import AttemptError, EndpointRefused, PlanError
from swarm.executors.merging import outcome_of
from swarm.forecast.advice import advise, as_one_agent, worst_tokens
from swarm.forecast.expect import Experience
from swarm.lifecycle.options import Options
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.run import Run
from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.planning.lint import Linted, lint, read_plan
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.state import State
from swarm.scheduling.assign import Assigner
from swarm.scheduling.resources import RunResources
from swarm.spec.agent import Agent
from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.files import read_inputs
from swarm.spec.files.plan import load_plan
from swarm.spec.plan import Plan, Step, closed
from swarm.spec.task import InputSpec, Limits, Model, Task
from swarm.spec.task import Model as TaskModel
from swarm.testing import Function
from swarm.views.tables import plan_table
from tests.models import data_in, events_of, resume_with, run_with

ROW = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "licence": {"type": ["string", "null"]}},
    "required": ["name", "licence"],
}
READ = Step(id="read", each="inputs", prompt="Find the facts.", output=ROW)
TABLE = Step(id="table", merge="table", key=("name",), needs=("read",))
BRIEF = Brief(
    roles=tuple(RoleBrief(name=name, description="") for name in ("planner", "worker", "reducer")),
    inputs=tuple(InputBrief(name=f"{n}.md", medium="text", size=100) for n in range(3)),
)


def checked(*steps: Step) -> Linted:
    return lint(Plan(steps=steps), BRIEF)


def errors(*steps: Step) -> list[tuple[str, str]]:
    return [(each.kind, each.key) for each in checked(*steps).errors]


class TestPlans:
    def test_a_plan_may_end_in_a_table(self) -> None:
        found = checked(READ, TABLE)

        assert found.findings == ()
        assert found.steps[-1] == TABLE.model_copy(update={"needs": (), "after": ("read",)})

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"needs": ()}, ("no_needs", "steps.1.needs")),
            ({"prompt": "Join them."}, ("not_for_merges", "steps.1.prompt")),
            ({"agent": "reducer"}, ("not_for_merges", "steps.1.agent")),
            ({"model": "default"}, ("not_for_merges", "steps.1.model")),
            ({"each": (1, 2)}, ("not_for_merges", "steps.1.each")),
            ({"inputs": ("0.md",)}, ("not_for_merges", "steps.1.inputs")),
            ({"merge": "list"}, ("not_for_merges", "steps.1.key")),
            ({"merge": None, "prompt": "x"}, ("not_for_merges", "steps.1.key")),
            ({"key": ("nam",)}, ("unknown_field", "steps.1.key.0")),
            ({"output": {"type": "string"}}, ("not_rows", "steps.1.output")),
        ],
    )
    def test_what_a_merge_cannot_have(self, changes: dict[str, Any], expected: tuple[str, str]) -> None:
        assert errors(READ, TABLE.model_copy(update=changes)) == [expected]

    def test_a_merge_takes_what_exists_wherever_it_is(self) -> None:
        last = Step(id="last", prompt="Write about it.", needs=("table",))
        found = lint(Plan(steps=(READ, TABLE, last)), BRIEF.model_copy(update={"first": False}))
        assert (found.steps[1].needs, found.steps[1].after) == ((), ("read",))

    def test_a_plan_without_an_end_is_closed_as_it_is(self) -> None:
        cycle = (TABLE.model_copy(update={"needs": ("b",)}), Step(id="b", prompt="x", needs=("table",)))
        assert closed(cycle) == cycle

    def test_a_table_is_not_made_of_texts(self) -> None:
        texts = READ.model_copy(update={"output": None})

        assert errors(texts, TABLE) == [("not_rows", "steps.1.needs")]
        assert errors(texts, TABLE.model_copy(update={"merge": "count"})) == [("not_rows", "steps.1.needs")]
        for merge in ("list", "count", "text"):
            assert errors(texts, TABLE.model_copy(update={"merge": merge, "key": None})) == []

    def test_merges_read_merges(self) -> None:
        more = [TABLE.model_copy(update={"id": "many", "merge": "count", "key": ("licence",), "needs": ("table",)})]
        more += [TABLE.model_copy(update={"id": "again", "key": ("count",), "needs": ("many",)})]
        assert errors(READ, TABLE, *more) == []

        text = Step(id="text", merge="text", needs=("read",))
        assert errors(READ, text, TABLE.model_copy(update={"needs": ("text",)})) == [("not_rows", "steps.2.needs")]
        over = Step(id="over", each="text", prompt="Check {item}.")
        assert errors(READ, text, over) == [("no_list", "steps.2.each")]
        assert errors(READ, TABLE, over.model_copy(update={"each": "table"})) == []

    def test_a_key_in_other_letter_case_is_replaced(self) -> None:
        found = checked(READ, TABLE.model_copy(update={"key": ("Name",)}))

        assert found.ok
        assert found.steps[-1].key == ("name",)

    def test_a_planner_that_writes_too_much_is_corrected(self) -> None:
        written = {
            "id": "table",
            "merge": "table",
            "key": "name",
            "needs": "read",
            "agent": "reducer",
            "prompt": "Join.",
        }
        steps = [READ.model_dump(mode="json", exclude_defaults=True), written]
        found = lint(read_plan({"steps": steps}, BRIEF), BRIEF)

        assert found.ok
        assert found.steps[-1] == TABLE.model_copy(update={"needs": (), "after": ("read",)})

    def test_plans_without_merges_are_written_as_before(self) -> None:
        assert {"merge", "key"}.isdisjoint(READ.model_dump(mode="json"))

    def test_a_reducer_is_added_after_a_table_and_another_end(self) -> None:
        other = Step(id="other", prompt="Write a poem.")

        assert closed((READ, TABLE, other))[-1].after == ("table", "other")

    def test_a_file_may_have_a_merge(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.yaml"
        path.write_text("steps:\n  - {id: a, prompt: x}\n  - {id: b, merge: text, needs: [a]}\n", encoding="utf-8")

        assert load_plan(path).steps[1].merge == "text"


class TestForecasts:
    def test_a_merge_takes_no_time_and_no_tokens(self) -> None:
        alone = advise((READ,))
        merged = advise((READ, TABLE))

        assert merged.swarm.tokens < alone.swarm.tokens  # no reducer is added
        assert Experience().expect(TABLE).seconds == 0
        assert worst_tokens((TABLE,), Limits(), Model()) == 0

    def test_one_agent_does_not_replace_a_table(self) -> None:
        one = Step(id="one", prompt="Find the facts.", output=ROW)
        chain = (one, TABLE.model_copy(update={"needs": ("one",)}))

        assert as_one_agent(chain, "A table", BRIEF, workers=4) is None
        texts = (one, Step(id="last", agent="reducer", needs=("one",)))
        needed = BRIEF.model_copy(update={"table": "file"})
        assert as_one_agent(texts, "A table", needed, workers=4) is None
        assert as_one_agent(texts, "A table", BRIEF, workers=4) is not None


FACTS = {"a.md": ("Alpha", "MIT"), "b.md": ("Beta", None), "c.md": ("ALPHA", "BSD")}
ROWS = [{"name": "Alpha", "licence": "MIT"}, {"name": "Beta", "licence": None}]


def fact_of(request: Request, fails: str = "") -> str | Exception:
    """Read every fact of an input without an error."""
    (name,) = data_in(request, "input")
    if name == fails:
        return EndpointRefused("it would not", kind="refused")
    return json.dumps(dict(zip(("name", "licence"), FACTS[name], strict=True)))


def reader(fails: str = "") -> Function:
    """Make a double that reads the facts."""
    return Function(lambda request: fact_of(request, fails), identity="facts")


def facts(folder: Path, *steps: Step, **more: Any) -> Task:
    for name in FACTS:
        (folder / name).write_text(f"About {name}.", encoding="utf-8")
    fields: dict[str, Any] = {"goal": "A table", "inputs": ("*.md",), "folder": folder} | more
    return Task(plan=Plan(steps=steps or (READ, TABLE)), **fields)


@pytest.mark.anyio
class TestRuns:
    async def test_a_table_is_merged_without_a_call(self, tmp_path: Path) -> None:
        model = reader()
        result = await run_with(model, facts(tmp_path))

        assert (result.status, len(model.requests), result.steps["total"]) == ("done", 3, 4)
        assert result.report is not None
        assert result.report.value == ROWS
        started = next(
            each for each in events_of(result.folder) if isinstance(each, e.StepStarted) and each.step == "table"
        )
        assert (started.model, "merge" in started.parts) == ("", True)
        page = next(result.folder.glob("steps/*-table.md")).read_text(encoding="utf-8")
        assert "merge: table" in page
        assert "Alpha" in page

    @pytest.mark.parametrize(
        ("merge", "key", "expected"),
        [
            ("list", None, [{"name": name, "licence": licence} for name, licence in FACTS.values()]),
            ("count", ("name",), [{"name": "Alpha", "count": 2}, {"name": "Beta", "count": 1}]),
        ],
    )
    async def test_lists_and_counts(self, tmp_path: Path, merge: str, key: Any, expected: Any) -> None:
        result = await run_with(reader(), facts(tmp_path, READ, TABLE.model_copy(update={"merge": merge, "key": key})))

        assert result.report is not None
        assert result.report.value == expected

    async def test_texts_stand_under_what_they_are_about(self, tmp_path: Path) -> None:
        read = READ.model_copy(update={"output": None})
        result = await run_with(reader(), facts(tmp_path, read, Step(id="all", merge="text", needs=("read",))))

        assert result.report is not None
        assert result.report.text.startswith("## a.md [read.1]\n\n{")
        assert list(result.report.sources.values()) == [("read.1",), ("read.2",), ("read.3",)]
        assert [claim.evidence for claim in result.report.claims] == ["supported"] * 3

    async def test_a_failed_step_does_not_cost_the_table(self, tmp_path: Path) -> None:
        result = await run_with(reader(fails="c.md"), facts(tmp_path))

        assert (result.status, result.exit_code) == ("partial", 3)
        assert result.report is not None
        assert result.report.value == ROWS

    async def test_without_any_output_there_is_no_table(self, tmp_path: Path) -> None:
        one = Step(id="read", prompt="Read.", output=ROW, inputs=("c.md",))
        result = await run_with(reader(fails="c.md"), facts(tmp_path, one, TABLE))

        assert (result.status, result.exit_code) == ("failed", 1)
        assert [(each.step, each.kind) for each in result.errors] == [("read", "refused"), ("table", "nothing_found")]

    async def test_what_a_failed_step_would_have_read_is_not_merged(self, tmp_path: Path) -> None:
        first = Step(id="names", prompt="Read.", output=ROW, inputs=("a.md",))
        second = Step(id="more", prompt="Read.", output=ROW, inputs=("c.md",), needs=("names",))
        result = await run_with(
            reader(fails="c.md"), facts(tmp_path, first, second, TABLE.model_copy(update={"needs": ("more",)}))
        )

        assert result.report is None

    async def test_a_model_that_reads_a_table_sees_its_conflicts_and_empty_cells(self, tmp_path: Path) -> None:
        seen: list[str] = []

        def answer(request: Request) -> str | Exception:
            if request.purpose != "report":
                return fact_of(request)
            seen.append(data_in(request, "output")["table"])
            return "Done [table]."

        last = Step(id="last", agent="reducer", needs=("table",))
        counted = Step(id="count", merge="count", key=("licence",), needs=("table",))
        steps = (READ, TABLE, counted, last.model_copy(update={"needs": ("table", "count")}))
        result = await run_with(Function(answer), facts(tmp_path, *steps))

        assert result.status == "done"
        shown = json.loads(seen[0])
        assert shown["rows"] == ROWS
        assert shown["gaps"] == [{"key": {"name": "Beta"}, "field": "licence"}]
        assert shown["conflicts"][0]["values"][1] == {"value": "BSD", "steps": ["read.3"]}

    async def test_no_endpoint_is_needed_for_a_merge(self, tmp_path: Path) -> None:
        task = facts(tmp_path)
        state = State()
        resources = RunResources(task=task, inputs=read_inputs(task).inputs)
        assigner = Assigner(state, resources, lambda _: None)
        worker = Agent(name="worker", instructions="Work.")
        state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=(worker,)))
        state.apply(e.StepsAdded(by="task", steps=(TABLE.model_copy(update={"needs": ()}),)))
        assert assigner.aliases_ahead() == ()

        state.apply(e.StepsAdded(by="task", steps=(Step(id="other", prompt="x"),)))
        assert assigner.aliases_ahead() == ("default",)

    async def test_a_merge_under_a_spent_budget_still_gives_the_table(self, tmp_path: Path) -> None:
        read = reader()
        used = Usage(calls=1, input_tokens=2000, output_tokens=4000)

        async def answer(request: Request) -> Reply:
            return (await read.complete(request)).model_copy(update={"usage": used})

        model = Function(answer)
        result = await run_with(model, facts(tmp_path, limits=Limits(tokens=12_000, workers=1)))

        assert (result.status, len(model.requests)) == ("limit", 1)
        assert result.report is not None
        assert result.report.value == ROWS[:1]

    async def test_labels_meet_in_a_table_that_no_model_may_read(self, tmp_path: Path) -> None:
        inputs = tuple(InputSpec(path=f"{name}.md", label=name) for name in "ab")
        labels: dict[str, tuple[str, ...]] = {"a": ("one",), "b": ("other",)}
        models = {name: TaskModel(endpoint="offline") for name in ("default", "one", "other")}
        private: dict[str, Any] = {"inputs": inputs, "labels": labels, "models": models}
        result = await run_with(reader(), facts(tmp_path, **private))
        assert (result.status, result.report and result.report.value) == ("done", ROWS)

        report = Step(id="report", agent="reducer", needs=("table",))
        with pytest.raises(PlanError, match="'report' has no model"):
            await run_with(reader(), facts(tmp_path, READ, TABLE, report, **private))

    async def test_resumed_at_every_event_it_gives_the_same_table(self, tmp_path: Path) -> None:
        first = await run_with(reader(), facts(tmp_path), cache=False)
        journal = (first.folder / "journal.jsonl").read_bytes()
        lines = journal.splitlines(keepends=True)
        for count in range(2, len(lines)):
            (first.folder / "journal.jsonl").write_bytes(b"".join(lines[:count]))
            again = await resume_with(reader(), first.folder, cache=False)
            assert again.report == first.report
            assert again.status == "done"

    async def test_it_is_replayed_without_a_call(self, tmp_path: Path) -> None:
        first = await run_with(reader(), facts(tmp_path))
        replay = Replay(RunFolder(first.folder))
        async with Run(facts(tmp_path), options=replay.options(Options()), replay=replay) as run:
            pass

        assert run.result.report == first.report

    async def test_it_is_merged_again_and_never_taken_from_the_cache(self, tmp_path: Path) -> None:
        await run_with(reader(), facts(tmp_path))
        model = reader()
        result = await run_with(model, facts(tmp_path))

        assert (len(model.requests), result.steps["cached"]) == (0, 3)

    async def test_a_large_table_is_merged_beside_the_loop(self, tmp_path: Path) -> None:
        rows = json.dumps([{"name": f"name {n}", "licence": "x" * 70} for n in range(850)])
        many = {"type": "array", "items": ROW}
        model = Function(lambda _: rows)
        result = await run_with(model, facts(tmp_path, READ.model_copy(update={"output": many}), TABLE))

        assert result.report is not None
        assert len(result.report.value) == 850


def test_outputs_that_are_not_rows_are_named_and_alone_they_are_an_error() -> None:
    given = (Given(step="read.1", about="", output="none found"), Given(step="read.2", about="", output=ROWS))
    attempt = Attempt(run="", step=TABLE, agent=MERGER, given=given)

    assert outcome_of(attempt).output == ROWS
    assert [(each.name, each.read, each.total) for each in outcome_of(attempt).unread] == [("read.1", 0, 12)]
    assert outcome_of(attempt).left_out == ("the output of read.1: it has no rows",)
    for left in ((), given[:1]):
        with pytest.raises(AttemptError, match=r"has an output|has rows: read\.1") as raised:
            outcome_of(attempt.model_copy(update={"given": left}))
        assert raised.value.kind == "merge"


def test_people_see_who_merges() -> None:
    assert "merge: table" in plan_table((READ, TABLE))
    assert "key: name" in plan_table((READ, TABLE))
