"""Small models: short prompts, temperature 0, plan and report by the built-in endpoint, and no echo of the prompt."""

from pathlib import Path

import pytest

import swarm
from swarm.attempt.judge import Correction, judge
from swarm.attempt.types import Attempt
from swarm.endpoints.choose import Choice
from swarm.endpoints.route import is_small, route_of
from swarm.lifecycle.models import BUILT_IN_ALIASES, with_built_in
from swarm.spec.agent import Agent
from swarm.spec.files import load_small, load_wording
from swarm.spec.files.agent import builtin_folder
from swarm.spec.plan import Step
from swarm.spec.task import Model, Task
from swarm.testing import Answer, FakeServer, Received, Scripted

PLAN = '{"steps": [{"id": "read", "each": "inputs", "prompt": "How much?"}]}'
WORDING = {"inputs": "# Inputs\n\nRead this data:", "empty": "Write it now."}
SMALL = Model(endpoint="http://127.0.0.1:9/v1", name="m", small=True)


class TestWhichAreSmall:
    def test_files_are_small_unless_the_task_says_otherwise(self) -> None:
        assert is_small(Model(endpoint="local:a.gguf"))
        assert not is_small(Model(endpoint="local:a.gguf", small=False))
        assert not is_small(Model(endpoint="http://127.0.0.1:9/v1", name="m"))
        assert is_small(SMALL)

    def test_they_answer_at_temperature_0_unless_params_set_it(self) -> None:
        assert route_of("default", SMALL).settings.params == {"temperature": 0}
        warm = SMALL.model_copy(update={"params": {"temperature": 0.7, "seed": 1}})
        assert route_of("default", warm).settings.params == {"temperature": 0.7, "seed": 1}
        assert route_of("default", Model(endpoint="http://127.0.0.1:9/v1", name="m")).settings.params == {}

    def test_being_small_determines_answers(self) -> None:
        plain = route_of("default", SMALL.model_copy(update={"small": None, "params": {"temperature": 0}}))
        assert plain.answer_settings != route_of("default", SMALL).answer_settings


class TestTheBuiltInEndpoint:
    def test_it_is_added_for_a_small_default_only(self) -> None:
        models, alias = with_built_in(Choice({"default": SMALL}, ""))
        assert (alias, models.models["offline"].endpoint) == ("offline", "offline")
        assert with_built_in(Choice({"default": Model(endpoint="offline")}, ""))[1] == ""

    def test_an_alias_of_the_task_is_used_or_avoided(self) -> None:
        own = Choice({"default": SMALL, "free": Model(endpoint="offline")}, "")
        assert with_built_in(own) == (own, "free")
        taken = Choice({"default": SMALL, "offline": Model(endpoint="http://127.0.0.1:9/v1", name="m")}, "")
        assert with_built_in(taken)[1] == BUILT_IN_ALIASES[1]


class TestThePrompts:
    def test_they_are_short_and_have_no_headings(self) -> None:
        small = load_small(Task(goal="x"))
        assert set(small.agents) == {"worker", "reducer"}
        for path in sorted(builtin_folder().glob("small/*.md")):
            body = path.read_text(encoding="utf-8").split("---\n")[-1]
            lines = [line for line in body.splitlines() if line.strip() and not line.startswith(("# ", "## "))]
            assert len(lines) <= 10, path
        assert not any(agent.instructions.startswith("#") for agent in small.agents.values())
        assert small.wording["repair"] == load_wording(Task(goal="x"))["repair"]

    def test_an_agent_of_the_task_replaces_both_variants(self, tmp_path: Path) -> None:
        (tmp_path / "agents").mkdir()
        own = "---\nname: worker\n---\nCount."
        (tmp_path / "agents" / "worker.md").write_text(own)
        task = Task(goal="x", agents=Path("agents"), folder=tmp_path)
        assert "worker" not in load_small(task).agents
        (tmp_path / "agents" / "small").mkdir()
        (tmp_path / "agents" / "small" / "worker.md").write_text(own.replace("Count.", "Count it."))
        (tmp_path / "agents" / "small" / "wording.md").write_text("## rules\nShort.\n")
        assert load_small(task).agents["worker"].instructions == "Count it."
        assert load_small(task).wording["rules"] == "Short."
        assert "Short." not in load_wording(task)["rules"]


class TestEchoes:
    def verdict(self, text: str, *, small: bool) -> object:
        attempt = Attempt(
            run="r",
            step=Step(id="a", prompt="Read."),
            agent=Agent(name="worker", instructions="Do."),
            settings={"small": True} if small else {},
            wording=WORDING,
        )
        return judge(attempt, text)

    def test_an_answer_that_begins_with_our_heading_is_no_answer(self) -> None:
        verdict = self.verdict("# Inputs\n\nRead this data: notes.md", small=True)
        assert isinstance(verdict, Correction)
        assert verdict.kind == "empty"

    def test_its_own_headings_are_an_answer_and_so_are_ours_from_other_models(self) -> None:
        assert not isinstance(self.verdict("# Memory\n\n3 GB", small=True), Correction)
        assert not isinstance(self.verdict("# Inputs\n\nThree files.", small=False), Correction)


@pytest.mark.anyio
class TestRuns:
    async def run(self, folder: Path, models: dict[str, Model]) -> tuple[swarm.Result, list[Received]]:
        (folder / "mail.md").write_text("The mail service needs 3 GB of memory.")
        (folder / "wiki.md").write_text("The wiki service needs 5 GB of memory.")

        def answer(received: Received) -> Answer | str:
            if received.body["model"] == "strong":
                return PLAN if "response_format" in received.body else "It needs 3 GB [read.1]; it needs 5 GB [read.2]."
            return "It needs 3 GB of memory." if "mail.md" in str(received.body) else "It needs 5 GB of memory."

        async with FakeServer(respond=answer) as server:
            served = {alias: each.model_copy(update={"endpoint": server.url}) for alias, each in models.items()}
            task = Task(goal="How much memory does each service need?", inputs=("*.md",), models=served, folder=folder)
            result = await swarm.run(task.model_copy(update={"swarm": "always"}), cache=False)
        asked = [each for each in server.requests if len(each.body["messages"]) > 1]  # without the check of the model
        return result, asked

    async def test_the_model_reads_and_the_built_in_endpoint_plans_and_reports(self, tmp_path: Path) -> None:
        result, requests = await self.run(tmp_path, {"default": SMALL})
        assert (result.status, len(requests)) == ("done", 2)
        assert all(request.body["temperature"] == 0 for request in requests)
        assert all("Complete this step fully" not in str(request.body) for request in requests)
        assert "3 GB" in result.text
        assert "5 GB" in result.text

    async def test_a_model_named_for_the_report_writes_it(self, tmp_path: Path) -> None:
        strong = Model(endpoint="http://127.0.0.1:9/v1", name="strong")
        result, requests = await self.run(tmp_path, {"default": SMALL, "strong": strong})
        assert result.status == "done", result.errors
        assert [request.body["model"] for request in requests] == ["strong", "m", "m", "strong"]

    async def test_a_custom_endpoint_gets_the_short_prompts_too(self, tmp_path: Path) -> None:
        endpoint = Scripted("It is.")
        task = Task(goal="x", models={"default": SMALL}, folder=tmp_path)
        await swarm.run(task, endpoint=endpoint, plan=[Step(id="a", prompt="Read.")])
        assert "Copy the sentence" in str(endpoint.requests[0])
