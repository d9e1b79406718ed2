"""Whole runs whose models are looked at first: what is asked, what it costs, how the run ends and goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.base.errors import TaskError
from swarm.endpoints.preflight import FINISH
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.testing import Answer, FakeServer
from swarm.testing.fake import Received, error
from tests.commands import Command, in_process, only_run, served
from tests.models import events_of

LIST = {"object": "list", "data": [{"id": "m"}, {"id": "n"}]}
LISTS = Answer(body=LIST)
NO_LIST = Answer(status=404, body={"detail": "Not Found"})
UNKNOWN = Answer(status=404, body=error("The model `m` does not exist", code="model_not_found"))
BAD_KEY = Answer(status=401, body=error("Incorrect API key provided"))
SPENT = Answer(status=429, body=error("You exceeded your current quota", code="insufficient_quota"))
PLAN = json.dumps({"steps": [{"id": "look", "prompt": "Look."}, {"id": "see", "prompt": "See."}]})


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


OWN = 1
"""Times a run asks a server on this machine for its list anyway: how many calls it takes at once stands beside."""


def write(folder: Path, models: dict[str, Any], **more: Any) -> Path:
    task = {"goal": "What is there?", "models": models, "swarm": "always", **more}
    (folder / "task.yaml").write_text(json.dumps(task))
    return folder / "task.yaml"


def model(server: FakeServer, name: str = "m", **more: Any) -> dict[str, Any]:
    return {"endpoint": server.url, "name": name, "deadline": 60, **more}


def planner(received: Received) -> str:
    return PLAN if "response_format" in received.body else "It is. [look]"


@pytest.mark.anyio
class TestRuns:
    async def test_a_run_with_one_model_makes_no_request_more(self, tmp_path: Path) -> None:
        seen: list[tuple[int, int, int]] = []
        for preflight in (True, False):
            async with FakeServer(respond=planner, models=NO_LIST) as server:
                path = write(tmp_path, {"default": model(server)}, limits={"workers": 1})
                async with Run(path, options=Options(preflight=preflight, cache=False)) as run:
                    pass
            seen.append((server.listed, server.connections, len(server.requests)))
            assert run.result.status == "done"
        assert seen[0] == seen[1]
        assert seen[0][2] == run.result.usage.calls == 4, "the plan, two steps, the report"

    async def test_a_plan_is_not_paid_for_where_the_workers_model_is_not_there(self, tmp_path: Path) -> None:
        async with FakeServer(respond=planner) as good, FakeServer(UNKNOWN, models=NO_LIST) as bad:
            path = write(tmp_path, {"strong": model(good), "default": model(bad)})
            with pytest.raises(TaskError) as caught:
                await swarm.run(path)
            assert (len(good.requests), len(bad.requests)) == (0, 1)
            message = str(caught.value)
            assert f"models.default: {bad.url}: " in message
            assert f"POST {bad.url}/chat/completions" in message
            assert "the endpoint has no such model; check `name`" in message
            assert "Nothing was spent" in message
            assert caught.value.exit_code == 1, "2 would mean that no call was made"
            run = only_run(tmp_path)
            write(tmp_path, {"strong": model(good), "default": model(good)})
            result = await swarm.resume(run)
        assert (result.status, result.usage.calls) == ("done", 4)

    async def test_a_list_that_names_it_costs_nothing(self, tmp_path: Path) -> None:
        async with FakeServer(respond=planner) as good, FakeServer("done", models=LISTS) as other:
            result = await swarm.run(write(tmp_path, {"strong": model(good), "default": model(other)}))
        assert result.status == "done"
        assert (other.listed, len(other.requests), len(good.requests)) == (OWN + 1, 2, 2)
        assert result.usage.calls == 4

    async def test_a_call_that_had_to_be_made_is_in_the_usage_and_in_the_budget(self, tmp_path: Path) -> None:
        async with FakeServer(respond=planner) as good, FakeServer("done", models=NO_LIST) as other:
            result = await swarm.run(write(tmp_path, {"strong": model(good), "default": model(other)}))
            bodies = [received.body for received in other.requests]
        assert (len(other.requests), len(good.requests), result.usage.calls) == (3, 2, 5)
        assert bodies[0] == {"model": "m", "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}
        turns = [event for event in events_of(result.folder) if isinstance(event, e.TurnTaken)]
        assert (turns[0].finish, turns[0].step, turns[0].usage.calls, turns[0].model) == (FINISH, "plan", 1, "m")
        assert sum(turn.usage.tokens for turn in turns) == result.usage.tokens

    async def test_a_second_run_that_has_all_in_its_cache_looks_at_nothing(self, tmp_path: Path) -> None:
        async with FakeServer(respond=planner) as good, FakeServer("done", models=NO_LIST) as other:
            path = write(tmp_path, {"strong": model(good), "default": model(other)})
            await swarm.run(path)
            before = len(other.requests)
            again = await swarm.run(path)
            assert (other.listed, len(other.requests)) == (2 * OWN + 1, before)
        assert (again.status, again.usage.calls) == ("done", 0)

    async def test_a_resumed_run_does_not_look_again_at_who_has_served(self, tmp_path: Path) -> None:
        turn = 0

        def once(received: Received) -> str | Answer:
            nonlocal turn
            turn += 1
            return "done" if turn == 2 else "" if received.body["max_tokens"] == 1 else SPENT

        async with FakeServer(respond=planner) as good, FakeServer(respond=once, models=NO_LIST) as other:
            path = write(tmp_path, {"strong": model(good), "default": model(other)}, limits={"workers": 1})
            first = await swarm.run(path)
            assert (first.status, other.listed, len(other.requests)) == ("failed", OWN + 1, 3)
        async with FakeServer("done", models=NO_LIST, port=int(other.url.split(":")[2][:-3])) as other:
            async with FakeServer(respond=planner, models=NO_LIST, port=int(good.url.split(":")[2][:-3])) as good:
                result = await swarm.resume(first.folder)
            assert result.status == "done"
            assert (other.listed, len(other.requests)) == (OWN, 1)
            assert (good.listed, len(good.requests)) == (OWN, 1), "the planner's model gave the plan, and is there"

    async def test_with_a_plan_only_what_its_steps_ask_for_is_looked_at(self, tmp_path: Path) -> None:
        steps = (Step(id="a", prompt="Do."), Step(id="end", agent="reducer", prompt="Sum.", needs=("a",)))
        async with FakeServer("It is. [a]") as here, FakeServer(BAD_KEY, models=NO_LIST) as bad:
            one, other = Model(endpoint=here.url, name="m"), Model(endpoint=bad.url, name="m")
            plan = Plan(steps=steps)
            task = Task(plan=plan, models={"default": one, "unused": other}, folder=tmp_path)
            assert (await swarm.run(task)).status == "done"
            assert (bad.listed, here.listed) == (OWN, OWN)
            task = Task(plan=plan, models={"default": one, "strong": other}, folder=tmp_path / "b")
            with pytest.raises(TaskError, match=r"models\.strong"):
                await swarm.run(task)
            assert (len(here.requests), len(bad.requests)) == (2, 1)
            planner = (*steps, Step(id="more", agent="planner", prompt="More?", needs=("a",)))
            later = Task(plan=Plan(steps=planner), models={"default": one, "u": other}, folder=tmp_path / "c")
            with pytest.raises(TaskError, match=r"models\.u"):
                await swarm.run(later.model_copy(update={"goal": "What?"}))

    async def test_who_does_not_want_it_has_it_as_it_was(self, tmp_path: Path) -> None:
        async with FakeServer(respond=planner) as good, FakeServer(UNKNOWN, models=NO_LIST) as bad:
            path = write(tmp_path, {"strong": model(good), "default": model(bad)})
            async with Run(path, options=Options(preflight=False)) as run:
                pass
        assert (run.result.status, bad.listed, len(good.requests)) == ("failed", OWN, 1)


def test_an_edited_task_goes_on_from_the_command_line(command: Command, empty: Path) -> None:
    def serve(received: Received) -> str | Answer:
        return UNKNOWN if received.body["model"] == "misspelt" else planner(received)

    with served(serve, NO_LIST) as server:
        write(empty, {"strong": model(server), "default": model(server, "misspelt")})
        said = command("run", "task.yaml", "--json")
        assert (said.code, json.loads(said.out)["status"]) == (1, "failed")
        (line,), run = said.errors, only_run(empty)
        assert line.startswith("task.yaml:1:")
        assert f"models.default: {server.url}: " in line
        assert f"continue with `swarm resume {run.name}`" in line
        assert command("plan", "task.yaml", "--json").code == 0
        write(empty, {"strong": model(server), "default": model(server, "other")})
        assert command("resume", run.name, "--quiet").code == 0
