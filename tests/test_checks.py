"""Checks and votes: what a step with `check` or `vote` becomes, and what follows a verdict."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.base.errors import EndpointRefused
from swarm.scheduling.checks import REPEATS, has_majority
from swarm.scheduling.votes import most_common
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function

pytestmark = pytest.mark.anyio
CONTRADICTED: dict[str, Any] = {"verdict": "contradicted", "reasons": ["The source says 5 GB, not 4 GB."]}
SUPPORTED: dict[str, Any] = {"verdict": "supported", "reasons": []}
CHECKED = Step(id="read", prompt="How much memory?", inputs=("n.md",), check="critic")


class Office:
    """An endpoint: workers answer one after the other from a list, critics from another."""

    def __init__(self, works: list[Any], verdicts: list[Any]) -> None:
        self.works, self.verdicts = list(works), list(verdicts)
        self.asked: list[tuple[str, str, str]] = []
        self.endpoint = Function(self.answer, identity="office")

    def answer(self, request: Request) -> Any:
        is_critic = "Check the work of another agent" in str(request.messages[0])
        self.asked.append(("critic" if is_critic else "work", request.model, str(request.messages)))
        answer = (self.verdicts if is_critic else self.works).pop(0)
        return answer if isinstance(answer, str | Exception) else json.dumps(answer)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.asked]


async def run(folder: Path, office: Office, *steps: Step, **more: Any) -> swarm.Result:
    (folder / "n.md").write_text("The wiki needs 5 GB of memory.")
    task = Task(goal="x", inputs=("n.md",), plan=Plan(steps=steps), folder=folder, **more)
    return await swarm.run(task, endpoint=office.endpoint)


class TestChecks:
    async def test_supported_work_is_done_once(self, tmp_path: Path) -> None:
        office = Office(["5 GB"], [SUPPORTED])
        result = await run(tmp_path, office, CHECKED)
        assert (result.status, result.text.splitlines()[0]) == ("done", "5 GB")
        assert office.kinds == ["work", "critic"]
        assert [(each.step, each.verdict, each.repeats) for each in result.checks] == [("read", "supported", 0)]

    async def test_a_critic_sees_the_work_and_its_sources(self, tmp_path: Path) -> None:
        office = Office(["5 GB"], [SUPPORTED])
        await run(tmp_path, office, CHECKED)
        seen = office.asked[1][2]
        assert "The wiki needs 5 GB of memory." in seen
        assert "How much memory?" in seen
        assert "read.1" in seen

    async def test_contradicted_work_goes_back_with_the_reasons(self, tmp_path: Path) -> None:
        office = Office(["4 GB", "5 GB"], [CONTRADICTED, SUPPORTED])
        result = await run(tmp_path, office, CHECKED)
        assert (result.status, result.text.splitlines()[0]) == ("done", "5 GB")
        assert office.kinds == ["work", "critic", "work", "critic"]
        assert "The source says 5 GB, not 4 GB." in office.asked[2][2]
        assert result.checks[0].repeats == 1

    async def test_it_goes_back_twice_at_most_and_the_run_is_partial(self, tmp_path: Path) -> None:
        office = Office(["4 GB", "4 GB!", "4 GB?"], [CONTRADICTED] * 3)
        result = await run(tmp_path, office, CHECKED)
        assert office.kinds == ["work", "critic"] * (REPEATS + 1)
        assert (result.status, result.exit_code) == ("partial", 3)
        assert result.text.startswith("4 GB?")
        assert result.to_dict()["checks"][0]["verdict"] == "contradicted"

    @pytest.mark.parametrize("verdict", ["qualified", "cannot tell"])
    async def test_other_verdicts_send_nothing_back(self, tmp_path: Path, verdict: str) -> None:
        office = Office(["5 GB"], [{"verdict": verdict, "reasons": ["On average."]}])
        result = await run(tmp_path, office, CHECKED)
        assert (result.status, office.kinds) == ("done", ["work", "critic"])
        assert result.checks[0].reasons == ("On average.",)

    async def test_an_outage_of_the_critic_is_no_refutation(self, tmp_path: Path) -> None:
        office = Office(["5 GB"], [EndpointRefused("no")] * 3)
        result = await run(tmp_path, office, CHECKED)
        assert result.text.startswith("5 GB")
        assert (result.status, result.checks[0].verdict) == ("partial", "unchecked")

    async def test_who_needs_it_reads_the_checked_work_only(self, tmp_path: Path) -> None:
        office = Office(["4 GB", "5 GB", "It is 5 GB [read]."], [CONTRADICTED, SUPPORTED])
        report = Step(id="report", agent="reducer", prompt="Report.", needs=("read",))
        result = await run(tmp_path, office, CHECKED, report)
        assert result.status == "done"
        assert "4 GB" not in office.asked[-1][2]
        assert result.report is not None
        assert result.report.sources

    async def test_a_cached_result_keeps_its_verdict(self, tmp_path: Path) -> None:
        await run(tmp_path, Office(["4 GB", "5 GB"], [CONTRADICTED, SUPPORTED]), CHECKED)
        office = Office([], [])
        again = await run(tmp_path, office, CHECKED)
        assert (again.text.splitlines()[0], office.asked, again.checks[0].verdict) == ("5 GB", [], "supported")

    async def test_another_model_judges_if_there_is_one(self, tmp_path: Path) -> None:
        models = {name: Model(endpoint="http://127.0.0.1:9/v1", name=name) for name in ("default", "other")}
        office = Office(["5 GB"], [SUPPORTED])
        await run(tmp_path, office, CHECKED, models=models)
        assert [model for _, model, _ in office.asked] == ["default", "other"]

    async def test_checks_count_in_no_limit_of_steps(self, tmp_path: Path) -> None:
        office = Office(["4 GB", "5 GB"], [CONTRADICTED, SUPPORTED])
        result = await run(tmp_path, office, CHECKED, limits=Limits(steps=1, rounds=1))
        assert result.status == "done"

    async def test_each_instance_is_checked_by_itself(self, tmp_path: Path) -> None:
        office = Office(["5 GB", "6 GB", "All [read.1] [read.2]."], [SUPPORTED, SUPPORTED])
        step = Step(id="read", each=("a", "b"), prompt="Read {item}.", inputs=("n.md",), check="critic")
        result = await run(tmp_path, office, step, limits=Limits(workers=1))
        assert [each.step for each in result.checks] == ["read.1", "read.2"]

    async def test_an_interrupted_check_is_resumed(self, tmp_path: Path) -> None:
        office = Office(["4 GB", "5 GB"], [CONTRADICTED, SUPPORTED])
        whole = await run(tmp_path, office, CHECKED)
        lines = (whole.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
        for cut in range(3, len(lines)):
            (whole.folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
            rest = Office(["5 GB"] * 2, [SUPPORTED] * 2)
            done = sum(json.loads(line)["event"] == "StepFinished" for line in lines[:cut])
            if done == 0:
                rest.works.insert(0, "4 GB")
            if done <= 1:
                rest.verdicts.insert(0, CONTRADICTED)
            again = await swarm.resume(whole.folder, endpoint=rest.endpoint)
            assert again.text == whole.text, cut


NAMED = CHECKED.model_copy(update={"check": "has_five"})


def agrees(_: Any) -> bool:
    return True


def divides(_: Any) -> float:
    return 1 / 0


def counts(_: Any) -> int:
    return 7


def takes_nothing() -> None:
    return None


async def checked_by(
    folder: Path, check: Callable[[Any], Any] | Callable[[Any, Any], Any], *works: Any, step: Step = NAMED, **more: Any
) -> tuple[Any, Office]:
    (folder / "n.md").write_text("The wiki needs 5 GB of memory.")
    office = Office(list(works), [])
    task = Task(goal="x", inputs=("n.md",), plan=Plan(steps=(step,)), folder=folder)
    return await swarm.run(task, endpoint=office.endpoint, checks={"has_five": check}, **more), office


class TestFunctions:
    @pytest.mark.parametrize("accepts", [None, True, "", [], ()])
    async def test_no_objection_passes_the_output_on_without_a_call(self, tmp_path: Path, accepts: Any) -> None:
        result, office = await checked_by(tmp_path, lambda _: accepts, "5 GB")
        assert (result.status, result.text.splitlines()[0], office.kinds) == ("done", "5 GB", ["work"])
        assert [(each.verdict, each.repeats) for each in result.checks] == [("supported", 0)]

    @pytest.mark.parametrize("objects", ["It is 5 GB.", ["It is 5 GB."]])
    async def test_reasons_send_the_work_back(self, tmp_path: Path, objects: Any) -> None:
        result, office = await checked_by(tmp_path, lambda text: None if "5" in text else objects, "4 GB", "5 GB")
        assert (result.status, result.text.splitlines()[0], office.kinds) == ("done", "5 GB", ["work", "work"])
        assert "It is 5 GB." in office.asked[1][2]

    async def test_it_goes_back_twice_at_most(self, tmp_path: Path) -> None:
        result, office = await checked_by(tmp_path, lambda _: False, "4", "4!", "4?")
        assert (result.status, len(office.asked), result.checks[0].verdict) == ("partial", REPEATS + 1, "contradicted")
        assert result.checks[0].reasons == ("has_five does not accept it",)

    async def test_a_coroutine_function_gets_the_sources(self, tmp_path: Path) -> None:
        seen: list[Any] = []

        async def check(output: str, sources: dict[str, str]) -> None:
            seen.append((output, sources))

        result, _ = await checked_by(tmp_path, check, "5 GB")
        assert result.status == "done"
        assert seen == [("5 GB", {"n.md": "The wiki needs 5 GB of memory."})]

    @pytest.mark.parametrize("fails", [divides, counts, takes_nothing])
    async def test_a_function_that_fails_refutes_nothing(self, tmp_path: Path, fails: Any) -> None:
        result, office = await checked_by(tmp_path, fails, "5 GB")
        assert result.text.startswith("5 GB")
        assert (result.status, result.checks[0].verdict, office.kinds) == ("partial", "unchecked", ["work"])

    async def test_a_value_is_checked_as_it_is(self, tmp_path: Path) -> None:
        step = NAMED.model_copy(update={"output": {"type": "object", "properties": {"gb": {"type": "number"}}}})
        seen: list[Any] = []
        await checked_by(tmp_path, seen.append, {"gb": 5}, step=step)
        assert seen == [{"gb": 5}]

    async def test_the_function_is_called_again_when_the_work_is_cached(self, tmp_path: Path) -> None:
        await checked_by(tmp_path, lambda _: True, "5 GB")
        result, office = await checked_by(tmp_path, lambda text: "6" in text, "6 GB")
        assert (result.text.splitlines()[0], len(office.asked)) == ("6 GB", 1)

    async def test_a_long_work_is_checked_whole(self, tmp_path: Path) -> None:
        long, seen = "5 GB. " + "and so on " * 2_400, list[Any]()
        result, _ = await checked_by(tmp_path, seen.append, long)
        assert (result.status, [len(each) for each in seen]) == ("done", [len(long.strip())])

    async def test_a_resumed_run_needs_the_function_again(self, tmp_path: Path) -> None:
        whole, _ = await checked_by(tmp_path, lambda _: True, "5 GB")
        journal = whole.folder / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        last = max(n for n, line in enumerate(lines) if b'"StepStarted"' in line)
        journal.write_bytes(b"".join(lines[:last]))
        with pytest.raises(swarm.SwarmError, match="has_five"):
            await swarm.resume(whole.folder, endpoint=Office([], []).endpoint)
        again = await swarm.resume(whole.folder, endpoint=Office([], []).endpoint, checks={"has_five": agrees})
        assert (again.status, again.checks[0].verdict) == ("done", "supported")

    @pytest.mark.parametrize(
        ("checks", "words"),
        [
            ({"critic": print}, "there is an agent named"),
            ({"has_five": 5}, "expected a function"),
            ({"has five": print}, "is no id"),
            ([print], "a dict of functions"),
            ({}, "does not exist"),
        ],
    )
    async def test_what_is_no_check_is_an_error_before_a_call(self, tmp_path: Path, checks: Any, words: str) -> None:
        task = Task(goal="x", plan=Plan(steps=(NAMED.model_copy(update={"inputs": None}),)), folder=tmp_path)
        with pytest.raises(swarm.SwarmError, match=words):
            await swarm.run(task, endpoint=Office([], []).endpoint, checks=checks)

    async def test_a_task_file_that_names_code_is_told_how_to_give_it(self, tmp_path: Path) -> None:
        (tmp_path / "task.yaml").write_text("goal: x\nplan:\n  - {id: a, prompt: x, check: 'my.checks:Has_5'}\n")
        with pytest.raises(swarm.SwarmError, match=r"plan\.0\.check: .* a file cannot run.*checks={'has_5': Has_5}"):
            await swarm.run(tmp_path / "task.yaml", endpoint=Office([], []).endpoint)

    async def test_a_function_does_no_work(self, tmp_path: Path) -> None:
        step = NAMED.model_copy(update={"agent": "has_five", "check": None})
        with pytest.raises(swarm.SwarmError, match=r"steps\.0\.agent: .* is a Python function.* `check`"):
            await checked_by(tmp_path, print, step=step)


class TestSchemas:
    async def test_an_output_that_does_not_match_is_sent_back(self, tmp_path: Path) -> None:
        office = Office(["much", "5 GB"], [])
        step = CHECKED.model_copy(update={"check": {"type": "string", "pattern": "GB"}})
        result = await run(tmp_path, office, step)
        assert (result.status, result.text.splitlines()[0], office.kinds) == ("done", "5 GB", ["work", "work"])


class TestVotes:
    VOTED = Step(id="read", prompt="How much memory?", inputs=("n.md",), vote=3)

    async def test_the_majority_decides_whatever_the_spelling(self, tmp_path: Path) -> None:
        office = Office(["5 GB", "4 GB", "5  gb"], [])
        result = await run(tmp_path, office, self.VOTED, limits=Limits(workers=1))
        assert (result.status, result.text.splitlines()[0]) == ("done", "5 GB")

    async def test_without_a_majority_a_critic_chooses(self, tmp_path: Path) -> None:
        office = Office(["3 GB", "4 GB", "5 GB"], [{"choice": "read.3"}])
        result = await run(tmp_path, office, self.VOTED, limits=Limits(workers=1))
        assert (result.status, result.text.splitlines()[0]) == ("done", "5 GB")
        assert office.kinds == ["work", "work", "work", "critic"]

    async def test_votes_that_failed_do_not_count(self, tmp_path: Path) -> None:
        office = Office([EndpointRefused("no"), "5 GB", "5 GB"], [])
        result = await run(tmp_path, office, self.VOTED, limits=Limits(workers=1))
        assert result.text.startswith("5 GB")

    async def test_votes_are_not_taken_from_each_other_s_cache(self, tmp_path: Path) -> None:
        office = Office(["5 GB"] * 3, [])
        await run(tmp_path, office, self.VOTED)
        assert len(office.asked) == 3

    def test_a_majority_is_more_than_half(self) -> None:
        assert has_majority([{"gb": 5}, {"gb": 5.0}, {"gb": 4}])
        assert not has_majority(["a", "b"])
        assert not has_majority([])
        assert most_common(["b", "a", "A"]) == "a"


class TestLint:
    @pytest.mark.parametrize(
        ("step", "words"),
        [
            ({"id": "a", "prompt": "x", "check": "nobody"}, "does not exist"),
            ({"id": "a", "prompt": "x", "check": {"type": "strin"}}, "JSON Schema"),
            ({"id": "a", "prompt": "x", "vote": 1}, "vote"),
            ({"id": "a", "prompt": "x", "agent": "planner", "vote": 3}, "is a planner"),
            ({"id": "a", "prompt": "x", "judges": "b"}, "set by the run"),
        ],
    )
    async def test_what_cannot_be_checked_is_an_error(self, step: dict[str, Any], words: str, tmp_path: Path) -> None:
        task = {"goal": "x", "plan": [step]}
        with pytest.raises(swarm.SwarmError, match=words):
            await swarm.run(task, endpoint=Function(lambda _: "x"), runs=tmp_path)
