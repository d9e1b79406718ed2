"""Whole runs: from a task to a report, and on from wherever one stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import swarm
from swarm import events as e
from swarm.cache import Cache
from swarm.chat import Request
from swarm.errors import (
    EndpointRefused,
    InputError,
    JournalError,
    PlanError,
    RunInUseError,
    RunNotFoundError,
    TaskError,
)
from swarm.folder import RunFolder, create, find
from swarm.journal import read
from swarm.plan import Plan, Step
from swarm.prepare import Options
from swarm.run import Run
from swarm.task import Limits, Task
from swarm.testing import Function, reply
from tests.models import Model, data_in

pytestmark = pytest.mark.anyio
FIGURES = {"Tantivy": 210, "Lucene": 480, "Meili": 95, "Typesense": 150, "Xapian": 60, "Sonic": 30}
WIDE = {"steps": [{"id": "read", "each": "inputs", "prompt": "Read {item}."}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, figure in FIGURES.items():
        text = f"# {name}\n\n{name} is liked by many.\n\nIn our tests {name} needs {figure} MB for the index.\n"
        (notes / f"{name.lower()}.md").write_text(text, encoding="utf-8")
    return tmp_path


def task(folder: Path, **more: Any) -> Task:
    return Task(**{"goal": "How much does each need?", "inputs": ("notes/*.md",), "folder": folder, **more})


def four(folder: Path, **more: Any) -> Task:
    """A, B and C beside one another, and D that needs all."""
    steps = (
        *(Step(id=name, prompt=f"Do {name}.") for name in "abc"),
        Step(id="d", prompt="Do d.", needs=("a", "b", "c")),
    )
    return Task(goal="Four.", plan=Plan(steps=steps), folder=folder, **more)


async def run_with(model: Any, this: Task, **more: Any) -> swarm.Result:
    async with Run(this, options=Options(endpoint=model, **more)) as run:
        pass
    return run.result


async def resume_with(model: Any, folder: Path, **more: Any) -> swarm.Result:
    failed = more.pop("failed", False)
    async with Run(options=Options(endpoint=model, **more), resume=RunFolder(folder), failed=failed) as run:
        pass
    return run.result


def events_of(folder: Path) -> list[e.Stamped]:
    return list(read(RunFolder(folder).journal))


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
        plan = {
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
        async with swarm.Run(task(folder), options=Options(endpoint="offline")) as run:
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
        result = await run_with(Model({"Do b": "long " * 40_000}), four(folder))
        finished = {each.step: each for each in events_of(result.folder) if isinstance(each, e.StepFinished)}
        assert finished["b"].output is None
        assert finished["b"].artifact is not None
        assert RunFolder(result.folder).load(finished["b"].artifact) == ("long " * 40_000).strip()

    async def test_nothing_is_made_where_the_task_is_wrong(self, folder: Path) -> None:
        with pytest.raises(TaskError):
            await run_with(Model(), task(folder, inputs=("nothing/*.md",)))
        assert not (folder / ".swarm").exists()


class TestResume:
    async def test_only_what_was_not_done_runs_again(self, folder: Path) -> None:
        model = Model()
        async with Run(four(folder), options=Options(endpoint=_stops_at("Do b.", model))) as run:
            pass
        assert run.result.status == "failed"
        assert sorted(model.prompts) == ["Do a.", "Do c."]
        again = Model()
        result = await resume_with(again, run.folder.path)
        assert result.status == "done"
        assert again.prompts == ["Do b.", "Do d."]

    async def test_an_interrupted_run_goes_on_to_the_same_report(self, folder: Path) -> None:
        wanted = (await run_with(Model(plan=WIDE), task(folder), cache=False)).report
        model = Model(plan=WIDE)

        async def slowly(request: Request) -> Any:
            if len(model.requests) == 4:
                run.interrupt("SIGINT", grace=0)
                await anyio.sleep_forever()
            return await model.complete(request)

        async with Run(
            task(folder, limits=Limits(workers=1)), options=Options(endpoint=Function(slowly), cache=False)
        ) as run:
            pass
        assert (run.result.status, run.result.exit_code) == ("cancelled", 130)
        again = Model(plan=WIDE)
        result = await resume_with(again, run.folder.path, cache=False)
        assert len(model.requests) + len(again.requests) == 8
        assert result.report == wanted
        ends = [each.status for each in events_of(run.folder.path) if isinstance(each, e.RunFinished)]
        assert ends == ["cancelled", "done"]

    async def test_failed_steps_are_tried_again_when_asked(self, folder: Path) -> None:
        first = await run_with(Model({"Do b": EndpointRefused("no", kind="refused")}), four(folder))
        assert (await resume_with(Model(), first.folder)).status == "failed"
        again = Model()
        assert (await resume_with(again, first.folder, failed=True)).status == "done"
        assert again.prompts == ["Do b.", "Do d."]

    async def test_a_raised_limit_runs_nothing_again(self, folder: Path) -> None:
        first = await run_with(Model(plan=WIDE), task(folder))
        again = Model(plan=WIDE)
        result = await resume_with(again, first.folder, limits={"tokens": 9_000_000, "steps": 500, "turns": 30})
        assert again.requests == []
        assert result.report == first.report

    async def test_an_edited_input_is_named_and_only_what_read_it_runs_again(self, folder: Path) -> None:
        first = await run_with(Model(plan=WIDE), task(folder))
        (folder / "notes" / "sonic.md").write_text("# Sonic\n\nNow 31 MB.\n", encoding="utf-8")
        again = Model(plan=WIDE)
        async with Run(options=Options(endpoint=again, cache=False), resume=RunFolder(first.folder)) as run:
            pass
        assert "changed since: input notes/sonic.md: changed" in run.warnings
        assert [request.purpose for request in again.requests] == ["plan", "text", "report"]
        assert run.result.status == "done"

    async def test_an_edited_task_file_is_read_again(self, folder: Path) -> None:
        file = folder / "task.yaml"
        plan = "plan:\n  - {id: a, prompt: Do a.}\n  - {id: b, prompt: Do b., needs: [a]}\n"
        file.write_text(plan, encoding="utf-8")
        options = Options(endpoint=Model(), cache=False)
        async with Run(file, options=options) as run:
            pass
        file.write_text(plan.replace("Do b.", "Do b well."), encoding="utf-8")
        again = Model()
        result = await resume_with(again, run.folder.path, cache=False)
        assert again.prompts == ["Do b well."]
        assert result.status == "done"
        assert result.steps["cached"] == 1
        resumed = [each for each in events_of(run.folder.path) if isinstance(each, e.RunResumed)]
        assert any("plan" in words for words in resumed[0].changed)

    async def test_an_edited_agent_is_named(self, folder: Path) -> None:
        agents = folder / "agents"
        agents.mkdir()
        (agents / "worker.md").write_text("---\nname: worker\n---\nWork.\n", encoding="utf-8")
        first = await run_with(Model(), four(folder, agents=Path("agents")), cache=False)
        (agents / "worker.md").write_text("---\nname: worker\n---\nWork better.\n", encoding="utf-8")
        again = Model()
        result = await resume_with(again, first.folder, cache=False)
        assert sorted(again.prompts) == ["Do a.", "Do b.", "Do c.", "Do d."]
        resumed = [each for each in events_of(result.folder) if isinstance(each, e.RunResumed)]
        assert resumed[0].changed == ("agent worker: changed",)

    async def test_a_paid_turn_is_not_called_again(self, folder: Path) -> None:
        def answer(request: Request) -> Any:
            return reply(calls=[("look", {})]) if len(request.messages) == 2 else EndpointRefused("x", stops=True)

        @swarm.tool
        def look() -> str:
            """Look."""
            return "seen"

        plan = Plan(steps=(Step(id="a", prompt="Do a."),))
        first = await run_with(Function(answer), Task(plan=plan, folder=folder), tools=(look,))
        assert first.status == "failed"
        again = Model()
        result = await resume_with(again, first.folder, tools=(look,))
        assert result.status == "done"
        assert result.usage.calls == 2
        assert [message.role for message in again.requests[0].messages] == ["system", "user", "assistant", "tool"]

    async def test_two_owners_at_once_are_refused(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        owner = RunFolder(first.folder)
        owner.acquire()
        with pytest.raises(RunInUseError, match="is in use by process"):
            await resume_with(Model(), first.folder)
        owner.release()
        assert (await resume_with(Model(), first.folder)).status == "done"

    async def test_a_damaged_journal_is_refused_untouched(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        journal = first.folder / "journal.jsonl"
        damaged = journal.read_bytes().replace(b"Do c", b"Do x", 1)
        journal.write_bytes(damaged)
        with pytest.raises(JournalError, match="line"):
            await resume_with(Model(), first.folder)
        assert journal.read_bytes() == damaged

    async def test_runs_are_found_by_prefix_and_last(self, tmp_path: Path) -> None:
        with pytest.raises(RunNotFoundError, match="no runs here yet"):
            find("last", tmp_path)
        for name in ("20260101-a", "20260101-b"):
            create(tmp_path, name).journal.touch()
        assert find("20260101-a", tmp_path).run == "20260101-a"
        assert find(str(tmp_path / "20260101-b"), tmp_path).run == "20260101-b"
        with pytest.raises(RunNotFoundError, match="begins the name of 2 runs"):
            find("2026", tmp_path)
        with pytest.raises(RunNotFoundError, match="the newest are 20260101-a, 20260101-b"):
            find("1999", tmp_path)


class TestCache:
    async def test_a_later_run_takes_what_an_earlier_one_paid_for(self, folder: Path) -> None:
        first = await run_with(Model(plan=WIDE), task(folder))
        again = Model(plan=WIDE)
        second = await run_with(again, task(folder))
        assert again.requests == []
        assert second.report == first.report
        assert second.steps["cached"] == 8
        assert second.usage.calls == 0

    async def test_only_what_changed_is_paid_for(self, folder: Path) -> None:
        await run_with(Model(plan=WIDE), task(folder))
        (folder / "notes" / "sonic.md").write_text("# Sonic\n\nNow 31 MB.\n", encoding="utf-8")
        again = Model(plan=WIDE)
        await run_with(again, task(folder))
        assert [request.purpose for request in again.requests] == ["plan", "text", "report"]

    async def test_without_the_cache_everything_is_paid_for(self, folder: Path) -> None:
        await run_with(Model(), four(folder))
        again = Model()
        await run_with(again, four(folder), cache=False)
        assert len(again.requests) == 4

    async def test_a_damaged_entry_is_a_miss(self, folder: Path) -> None:
        await run_with(Model(), four(folder))
        for path in (folder / ".swarm" / "cache").rglob("*.json"):
            path.write_bytes(path.read_bytes().replace(b"Do a", b"Do x"))
        again = Model()
        result = await run_with(again, four(folder))
        assert "Do a." in again.prompts
        assert "Do b." not in again.prompts
        assert result.status == "done"

    async def test_the_nearest_entry_says_which_part_differs(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        cache = Cache(folder / ".swarm" / "cache")
        assert cache.size().entries == 4
        started = {each.step: each for each in events_of(first.folder) if isinstance(each, e.StepStarted)}
        nearest = cache.nearest(started["a"].parts | {"prompt": "other"})
        assert nearest is not None
        assert nearest.differs == ("prompt",)
        assert cache.clear() == 4
        assert cache.size().entries == 0

    async def test_a_tool_that_writes_is_run_every_time(self, folder: Path) -> None:
        @swarm.tool(effect="write")
        def note(text: str) -> str:
            """Write something down."""
            return text

        plan = Plan(steps=(Step(id="a", prompt="Do a."),))
        for _ in range(2):
            model = Model()
            await run_with(model, Task(plan=plan, folder=folder), tools=(note,))
            assert len(model.requests) == 1


class TestReplay:
    async def replayed(self, this: Task, recorded: Path) -> Run:
        options = Options(endpoint=Model({"": AssertionError("a replay makes no call")}), needs_keys=False)
        async with Run(this, options=options, replay=RunFolder(recorded)) as run:
            pass
        return run

    async def test_the_same_events_report_and_figures_with_no_call(self, folder: Path) -> None:
        first = await run_with(Model({"Do b": "long " * 40_000}), four(folder))
        run = await self.replayed(four(folder), first.folder)
        assert run.result.report == first.report
        assert run.result.parallelism == first.parallelism
        strip: Callable[[e.Stamped], e.Stamped] = lambda each: each.model_copy(update={"run": ""})  # noqa: E731
        assert [strip(each) for each in events_of(run.folder.path)] == [strip(each) for each in events_of(first.folder)]

    async def test_a_planned_run_with_waves_is_replayed_too(self, folder: Path) -> None:
        first = await run_with(Model(plan=WIDE), task(folder))
        assert (await self.replayed(task(folder), first.folder)).result.report == first.report

    async def test_a_call_it_does_not_know_is_an_error_with_the_nearest(self, folder: Path) -> None:
        first = await run_with(Model(plan=WIDE), task(folder))
        (folder / "notes" / "sonic.md").write_text("changed", encoding="utf-8")
        with pytest.raises(InputError, match=r"step plan: .* differs in: brief"):
            _ = (await self.replayed(task(folder), first.folder)).result

    async def test_other_steps_are_an_error(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        other = four(folder).model_copy(update={"plan": Plan(steps=(Step(id="x", prompt="X."),))})
        with pytest.raises(InputError, match="other steps"):
            _ = (await self.replayed(other, first.folder)).result

    async def test_a_run_that_did_not_end_cannot_be_replayed(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        journal = first.folder / "journal.jsonl"
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
        with pytest.raises(InputError, match="did not end"):
            _ = (await self.replayed(four(folder), first.folder)).result


def _stops_at(prompt: str, model: Model) -> Function:
    async def answer(request: Request) -> Any:
        await anyio.lowlevel.checkpoint()
        if prompt in request.messages[1].text:
            return EndpointRefused("the quota is spent", kind="quota", stops=True)
        return await model.complete(request)

    return Function(answer)
