"""Nothing lost, nothing paid twice: resuming, the cache, replaying."""

from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

import swarm
from swarm.base.errors import EndpointRefused, InputError, JournalError, RunInUseError, RunNotFoundError
from swarm.lifecycle.prepare import Options, prepare
from swarm.lifecycle.resume import differences, reopened
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.cache import Cache
from swarm.record.folder import RunFolder, create, find
from swarm.record.journal import Journal
from swarm.record.recorded import recorded
from swarm.scheduling.assign import Assigner
from swarm.spec.chat import Reply, Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from swarm.testing import Function, reply
from tests.models import WIDE, Model, events_of, four, resume_with, run_with, task, write_notes

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_notes(tmp_path)


def nameless(folder: Path) -> list[e.Stamped]:
    """Read a journal without the name of its run."""
    return [each.model_copy(update={"run": ""}) for each in events_of(folder)]


def _stops_at(prompt: str, model: Model) -> Function:
    async def answer(request: Request) -> Any:
        await anyio.lowlevel.checkpoint()
        if prompt in request.messages[1].text:
            return EndpointRefused("the quota is spent", kind="quota", stops=True)
        return await model.complete(request)

    return Function(answer)


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

    async def test_however_often_resumed_what_was_skipped_for_a_failure_stays_skipped(self, folder: Path) -> None:
        steps = (
            Step(id="a", prompt="Do a."),
            Step(id="b", prompt="Do b.", needs=("a",)),
            Step(id="c", agent="reducer", after=("b",)),
        )
        this = Task(plan=Plan(steps=steps), folder=folder)
        says = {"Do a": EndpointRefused("no", kind="refused"), "Write the report": "Nothing was found."}
        first = await run_with(Model(says), this)
        assert (first.status, first.report) == ("failed", None), "no step found anything"
        for _ in range(3):
            again = Model()
            result = await resume_with(again, first.folder, cache=False)
            assert again.requests == []
            assert result.report == first.report
        assert isinstance(events_of(first.folder)[-1], e.RunFinished)
        assert sum(isinstance(event, e.RunFinished) for event in events_of(first.folder)) == 1

    async def test_a_raised_limit_runs_nothing_again(self, folder: Path) -> None:
        first = await run_with(Model(plan=WIDE), task(folder))
        again = Model(plan=WIDE)
        result = await resume_with(again, first.folder, limits={"tokens": 9_000_000, "steps": 500, "turns": 30})
        assert again.requests == []
        assert result.report == first.report

    async def test_a_plan_that_brought_roles_is_not_made_again(self, folder: Path) -> None:
        scout = {"name": "scout", "instructions": "You look ahead."}
        steps = [{"id": "look", "agent": "scout", "prompt": "Look."}, {"id": "b", "needs": ["look"], "prompt": "Do b."}]
        model = Model({"Do b": EndpointRefused("no", kind="refused")}, plan={"agents": [scout], "steps": steps})
        first = await run_with(model, task(folder, swarm="always"), cache=False)
        again = Model()
        result = await resume_with(again, first.folder, cache=False, failed=True)
        assert result.status == "done"
        assert again.prompts == ["Do b."]

    async def test_a_task_of_a_program_is_not_planned_again(self, folder: Path) -> None:
        models = {"default": {"endpoint": "offline"}}
        told = {"goal": "How much?", "inputs": [str(folder / "notes")], "models": models}
        done = await swarm.run(told, runs=folder / "runs", cache=False)
        steps = sum(isinstance(each, e.StepStarted) for each in events_of(done.folder))
        resumed = await swarm.resume(done.folder, cache=False)
        assert (resumed.text, resumed.errors) == (done.text, done.errors)
        assert sum(isinstance(each, e.StepStarted) for each in events_of(done.folder)) == steps > 2

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
            return (
                reply(calls=[("look", {})])
                if len(request.messages) == 2
                else EndpointRefused("spent", kind="quota", stops=True)
            )

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

    async def test_a_reopened_run_is_in_use_until_it_has_run(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        owner = RunFolder(first.folder)
        owner.acquire()
        owner.acquire()
        again = await reopened(recorded(owner), owner, Options(endpoint=Model()))
        with pytest.raises(RunInUseError, match="is in use by process"):
            await resume_with(Model(), first.folder)
        async with Run(resume=again) as run:
            pass
        assert run.result.status == "done"
        assert not owner.is_owned
        assert (await resume_with(Model(), first.folder)).status == "done"

    async def test_a_reopened_run_that_was_released_is_refused(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        owner = RunFolder(first.folder)
        again = await reopened(recorded(owner), owner, Options(endpoint=Model()))
        with pytest.raises(AssertionError):
            await Run(resume=again).__aenter__()

    async def test_a_damaged_journal_is_refused_untouched(self, folder: Path) -> None:
        first = await run_with(Model(), four(folder))
        journal = first.folder / "journal.jsonl"
        damaged = journal.read_bytes().replace(b"Do c", b"Do x", 1)
        journal.write_bytes(damaged)
        with pytest.raises(JournalError, match="line"):
            await resume_with(Model(), first.folder)
        assert journal.read_bytes() == damaged

    async def test_a_run_that_died_before_its_first_event_says_so(self, folder: Path) -> None:
        empty = create(folder / ".swarm" / "runs", "empty")
        empty.journal.touch()
        with pytest.raises(JournalError, match="nothing was done or spent"):
            await resume_with(Model(), empty.path)

    async def test_runs_are_found_by_prefix_and_last(self, tmp_path: Path) -> None:
        with pytest.raises(RunNotFoundError, match="no runs here yet"):
            find("last", tmp_path)
        for name in ("20260101-a", "20260101-b"):
            create(tmp_path, name).journal.touch()
        assert find("20260101-a", tmp_path).run == "20260101-a"
        assert find(str(tmp_path / "20260101-b"), tmp_path).run == "20260101-b"
        with pytest.raises(RunNotFoundError, match="is the start of 2 run ids"):
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

    async def test_a_step_that_called_a_tool_that_writes_is_run_every_time(self, folder: Path) -> None:
        @swarm.tool(effect="write")
        def note(text: str) -> str:
            """Write something down."""
            return text

        def answer(request: Request) -> Reply | str:
            has_called = request.messages[-1].role == "tool"
            return "Done." if has_called else reply(calls=[("note", {"text": "x"})])

        plan = Plan(steps=(Step(id="a", prompt="Do a."),))
        for _ in range(2):
            model = Function(answer)
            await run_with(model, Task(plan=plan, folder=folder), tools=(note,))
            assert len(model.requests) == 2


def as_version_0_1(folder: Path) -> None:
    """Rewrite a journal as if the list in `each` had been added to the needs of its steps, as it once was."""
    events = events_of(folder)
    (folder / "journal.jsonl").unlink()
    journal = Journal(folder / "journal.jsonl")
    for event in events:
        if isinstance(event, e.StepsAdded):
            added = [s.model_copy(update={"needs": ("list",)}) if s.each == "list" else s for s in event.steps]
            event = event.model_copy(update={"steps": tuple(added)})
        journal.append(event)
    journal.close()


class TestListsThatWereOnceNeeded:
    """A plan that nobody changed is the same plan in a newer version, which no longer adds the list to `needs`."""

    ARRAY: ClassVar[dict[str, Any]] = {"type": "array", "items": {"type": "string"}}
    PLAN = Plan(
        steps=(Step(id="list", prompt="List.", output=ARRAY), Step(id="study", each="list", prompt="Study {item}."))
    )
    RULES: ClassVar[dict[str, Any]] = {"List": '["p", "q"]'}

    async def test_it_is_resumed_and_replayed_as_it_is(self, folder: Path) -> None:
        this = Task(goal="Why?", plan=self.PLAN, folder=folder)
        first = await run_with(Model(self.RULES), this)
        as_version_0_1(first.folder)
        again = Model(self.RULES)
        assert (await resume_with(again, first.folder)).report == first.report
        assert again.prompts == []
        options = Options(endpoint=Model(), needs_keys=False)
        async with Run(this, options=options, replay=RunFolder(first.folder)) as run:
            pass
        assert run.result.report == first.report

    async def test_but_one_that_was_changed_is_planned_again(self, folder: Path) -> None:
        whole = self.PLAN.steps[1].model_copy(update={"needs": ("list",)})
        written = Plan(steps=(self.PLAN.steps[0], whole))
        first = await run_with(Model(self.RULES), Task(goal="Why?", plan=written, folder=folder))
        recalled = recorded(RunFolder(first.folder))
        prepared = await prepare(Task(goal="Why?", plan=self.PLAN, folder=folder), Options(endpoint=Model()))
        assigner = Assigner(recalled.state, prepared.resources, RunFolder(first.folder).load)
        assert differences(recalled.state, prepared, assigner, failed=False).replanned


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
        assert nameless(run.folder.path) == nameless(first.folder)

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
