"""Whole runs: from a task to a report."""

import json
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.base.errors import EndpointRefused, PlanError, TaskError
from swarm.base.values import Json, digest
from swarm.lifecycle.prepare import Options, prepare
from swarm.record import events as e
from swarm.record.cache import differing
from swarm.record.folder import RunFolder
from swarm.record.state import State
from swarm.scheduling.assign import Assigner
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from swarm.spec.task import Model as TaskModel
from swarm.testing import Function, reply
from tests.models import FIGURES, WIDE, Model, data_in, events_of, four, own_prompt, run_with, task, write_notes

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_notes(tmp_path)


class TestWholeRuns:
    async def test_offline_each_figure_stands_beside_its_name(self, folder: Path) -> None:
        result = await swarm.run(task(folder), endpoint="offline")
        assert (result.status, result.exit_code, result.steps["total"]) == ("done", 0, 8)
        assert result.report is not None
        lines = result.report.text.splitlines()
        for name, figure in FIGURES.items():
            assert any(name in line and f"{figure} MB" in line and "[read." in line for line in lines), name

    async def test_a_planner_spawns_what_workers_do_and_a_reducer_merges(self, folder: Path) -> None:
        model = Model(plan=WIDE)
        result = await run_with(model, task(folder))
        assert result.status == "done"
        assert result.report is not None
        assert result.report.sources["c1"] == ("read.1",)
        assert model.requests[0].purpose == "plan"
        assert [request.purpose for request in model.requests[1:]] == ["text"] * 6 + ["report"]
        assert list(data_in(model.requests[-1], "output")) == [f"read.{n}" for n in range(1, 7)]

    @pytest.mark.parametrize("workers", [1, 4])
    async def test_two_runs_of_one_task_give_the_same_bytes(self, folder: Path, workers: int) -> None:
        this = task(folder, limits=Limits(workers=workers))
        one, other = [await run_with(Model(plan=WIDE), this, cache=False) for _ in range(2)]
        assert one.report == other.report

    async def test_a_failed_worker_loses_nothing_and_the_report_says_what_is_missing(self, folder: Path) -> None:
        model = Model({"Read notes/meili.md": EndpointRefused("the model would not", kind="refused")}, plan=WIDE)
        result = await run_with(model, task(folder))
        assert (result.status, result.exit_code) == ("partial", 3)
        assert result.steps == {"total": 8, "done": 7, "failed": 1, "skipped": 0, "cached": 0}
        assert (result.errors[0].step, result.errors[0].kind) == ("read.2", "refused")
        assert result.report is not None
        assert "## Missing\n\n- [read.2] failed: the model would not" in result.report.text
        assert "the model would not" in data_in(model.requests[-1], "missing").popitem()[1]

    async def test_what_a_failed_step_would_have_read_stands_in_for_it(self, folder: Path) -> None:
        plan: dict[str, Json] = {
            "steps": [
                {"id": "read", "each": "inputs", "prompt": "Read {item}."},
                {"id": "compare", "prompt": "Compare.", "needs": ["read"]},
                {"id": "other", "prompt": "Other.", "inputs": []},
            ]
        }
        model = Model({"Compare": EndpointRefused("no", kind="refused")}, plan=plan)
        await run_with(model, task(folder))
        assert list(data_in(model.requests[-1], "output")) == [*(f"read.{n}" for n in range(1, 7)), "other"]

    async def test_typed_outputs_feed_one_another(self, folder: Path) -> None:
        plan = Plan(
            steps=(
                Step(id="list", prompt="List.", output={"type": "array", "items": {"type": "string"}}),
                Step(id="study", each="list", prompt="Study {item}.", needs=("list",)),
                Step(id="sum", prompt="Sum.", needs=("study",), output={"type": "object", "required": ["n"]}),
            )
        )
        model = Model({"List": '["p", "q"]', "Sum": '```json\n{"n": 2}\n```'})
        result = await run_with(model, Task(plan=plan, folder=folder))
        assert result.report is not None
        assert result.report.value == {"n": 2}
        assert "Study p." in model.prompts
        assert "Study q." in model.prompts

    @pytest.mark.parametrize(("needs", "reads"), [((), []), (("list",), ["list"])])
    async def test_fault_148_an_instance_reads_its_item_and_the_list_only_if_it_needs_it(
        self, folder: Path, needs: tuple[str, ...], reads: list[str]
    ) -> None:
        array: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
        listed = Step(id="list", prompt="List.", output=array, inputs=())
        plan = Plan(steps=(listed, Step(id="study", each="list", prompt="Study {item}.", needs=needs)))
        model = Model({"List": '["p", "q"]'})
        result = await run_with(model, Task(goal="Why?", plan=plan, folder=folder))
        assert result.status == "done"
        studied = [request for request in model.requests if "Study" in own_prompt(request)]
        assert [list(data_in(request, "output")) for request in studied] == [reads, reads]
        assert model.prompts.index("List.") == 0, "the instances wait for their list"

    async def test_one_agent_does_it_all_where_the_task_says_never(self, folder: Path) -> None:
        model = Model()
        result = await run_with(model, task(folder, swarm="never"))
        assert result.steps["total"] == 1
        assert len(data_in(model.requests[0], "input")) == 6

    async def test_a_plan_that_cannot_be_mended_fails_after_one_more_try(self, folder: Path) -> None:
        steps = [{"id": "a", "prompt": "A", "needs": ["b"]}, {"id": "b", "prompt": "B", "needs": ["a"]}]
        model = Model(plan={"steps": steps})
        with pytest.raises(PlanError, match="a → b → a") as caught:
            await run_with(model, task(folder))
        assert caught.value.exit_code == 1
        assert len(model.requests) == 2
        assert "a → b → a" in model.requests[1].messages[-1].text

    async def test_python_functions_are_tools(self, folder: Path) -> None:
        @swarm.tool
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        def answer(request: Request) -> Any:
            if len(request.messages) == 2:
                return reply(calls=[("add", {"a": 2, "b": 3})])
            return "The sum is " + data_in(request, "tool")["add"]

        plan = Plan(steps=(Step(id="sum", prompt="Add."),))
        result = await run_with(Function(answer), Task(plan=plan, folder=folder), tools=(add,))
        assert result.report is not None
        assert "The sum is 5" in result.report.text

    async def test_a_tool_that_was_not_given_cannot_be_named(self, folder: Path) -> None:
        with pytest.raises(TaskError, match="there is no tool 'shell'"):
            await run_with(Model(), task(folder, tools=("shell",)))

    async def test_progress_gives_the_state_until_the_end(self, folder: Path) -> None:
        seen: list[int] = []
        async with swarm.Run(task(folder), endpoint="offline", workers=2) as run:
            seen += [state.seq async for state in run.progress(every=0.01)]
        assert seen == sorted(seen)
        assert seen[-1] == len(events_of(run.folder.path))

    async def test_the_run_folder_is_private_and_holds_what_a_person_wants(self, folder: Path) -> None:
        result = await run_with(Model(plan=WIDE), task(folder, output=("out/report.md", "report.json")))
        names = {str(path.relative_to(result.folder)) for path in result.folder.rglob("*") if path.is_file()}
        assert {"journal.jsonl", "task.yaml", "plan.yaml", "report.md", "lock"} <= names
        assert {"steps/000-plan.md", "steps/002-read.1.md"} <= names or len(names) > 10
        assert all(path.stat().st_mode & 0o077 == 0 for path in (result.folder, *result.folder.rglob("*")))
        assert result.report is not None
        assert (folder / "out" / "report.md").read_text(encoding="utf-8") == result.report.text
        assert '"status": "done"' in (folder / "report.json").read_text(encoding="utf-8")

    async def test_large_outputs_are_artifacts(self, folder: Path) -> None:
        result = await run_with(Model({"Do b": "long " * 15_000}), four(folder))
        finished = {each.step: each for each in events_of(result.folder) if isinstance(each, e.StepFinished)}
        assert finished["b"].outcome.output is None
        assert finished["b"].outcome.artifact is not None
        assert RunFolder(result.folder).load(finished["b"].outcome.artifact) == ("long " * 15_000).strip()

    async def test_a_large_output_has_no_secret_in_it_either(self, folder: Path) -> None:
        models = {"default": TaskModel.model_validate({"endpoint": "offline", "key": "sk-not-for-the-disk"})}
        long = "the key is sk-not-for-the-disk, " * 4_000
        result = await run_with(Model({"Do b": long}), four(folder, models=models))
        (artifact,) = (result.folder / "artifacts").iterdir()
        assert b"sk-not" not in artifact.read_bytes()
        assert "the key is" in str(RunFolder(result.folder).load(artifact.name))

    async def test_nothing_is_made_where_the_task_is_wrong(self, folder: Path) -> None:
        with pytest.raises(TaskError):
            await run_with(Model(), task(folder, inputs=("nothing/*.md",)))
        assert not (folder / ".swarm").exists()

    async def test_the_plan_that_is_kept_runs_again_with_the_roles_made_for_it(self, folder: Path) -> None:
        auditor = {"name": "auditor", "instructions": "Audit."}
        plan = {"agents": [auditor], "steps": [{"id": "a", "agent": "auditor", "prompt": "Do a."}]}
        first = await run_with(Model(plan=plan), task(folder, swarm="always"))
        again = Model()
        result = await run_with(again, task(folder), plan=str(first.folder / "plan.yaml"), cache=False)
        assert result.report == first.report
        assert "Audit." in again.requests[0].messages[0].text

    async def test_what_siblings_share_is_hashed_as_if_each_did_it(self, folder: Path) -> None:
        state = State()
        for event in events_of((await run_with(Model(), four(folder))).folder):
            state.apply(event)
        prepared = await prepare(four(folder), Options(endpoint=Model()))
        attempt = Assigner(state, prepared.resources, str).attempt_of(state.steps["d"])
        assert set(attempt.shared) == {"agent", "endpoint", "goal", "model", "wording"}
        assert attempt.parts == attempt.model_copy(update={"shared": {}}).parts == state.steps["d"].parts
        assert attempt.key == digest(attempt.parts), "the key is that of the parts in canonical form"
        of_another = attempt.step.model_copy(update={"item": "another"})
        assert differing(attempt.parts, attempt.model_copy(update={"step": of_another}).parts) == ("item",)

    async def test_a_planner_is_told_how_much_a_step_reads_where_a_model_says_it(self, folder: Path) -> None:
        this = Task(
            goal="What?", inputs=(), models={"default": TaskModel(endpoint="offline", context=8192)}, folder=folder
        )
        for given, reads in ((this, True), (task(folder), False)):
            model = Model(plan={"steps": [{"id": "a", "prompt": "Do a."}]})
            result = await run_with(model, given)
            brief = json.loads(data_in(model.requests[0], "brief")["brief"])
            assert result.status == "done"
            assert (brief["reads"] is not None) == reads
            assert not reads or 2_000 < brief["reads"] < 8192 * 7 // 8 - 4096
