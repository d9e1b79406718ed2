"""The Python functions: what they accept, and errors in the words of their arguments."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

import swarm
from swarm.lifecycle.arguments import RunArguments, run_options
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Task
from swarm.testing import Function, Scripted, reply

PLAN = '{"steps": [{"id": "a", "prompt": "Do it."}]}'


def double(x: int) -> int:
    """Double a number."""
    return 2 * x


async def refused(task: Any = None, **arguments: Any) -> str:
    with pytest.raises(swarm.SwarmError) as caught:
        await swarm.run(Task(goal="x") if task is None else task, **arguments)
    return str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"endpoint": object()}, "endpoint: is of type `object`; expected a base URL"),
        ({"endpoint": 3}, "endpoint: is 3; expected a base URL"),
        ({"endpoint": Scripted}, "endpoint: is the class `Scripted`"),
        ({"limits": {"tokenz": 1}}, 'limits["tokenz"]: unknown; limits are'),
        ({"limits": {"tokens": "many"}}, 'limits["tokens"]: is the text `many`'),
        ({"limits": 3}, "limits: is 3; expected a dict"),
        ({"limits": {"usd": float("nan")}}, "limits.usd: is nan"),
        ({"limits": {3: 4}}, "limits: has the key 3; expected text"),
        ({"workers": 0}, "workers: is the number 0; allowed: at least 1"),
        ({"workers": True}, "workers: is True; expected a whole number"),
        ({"parameters": {"zz": 1}}, 'parameters["zz"]: unknown'),
        ({"parameters": {"a": object()}}, "parameters.a: is of type `object`"),
        ({"tools": ["python"]}, "tools.1: is 'python'; expected a function"),
        ({"tools": "python"}, "tools: is 'python'; expected a function or a list"),
        ({"tools": Scripted}, "tools: is the class `Scripted`"),
        ({"plan": 5}, "plan: is 5; expected the path of a plan file"),
        ({"plan": {"stepz": []}}, "plan: stepz: unknown key"),
        ({"plan": [{"id": "a"}, 3]}, "plan: 1"),
        ({"runs": 5}, "runs: is 5; expected a path"),
        ({"cache": "no"}, "cache: is 'no'; expected True or False"),
        ({"model": 5}, "model: is 5; expected text"),
        ({"model": "\ud800"}, "model: is '\\ud800', which has half a surrogate pair"),
        ({"runs": "a\0b"}, "runs: is 'a\\x00b'; a path has no NUL character"),
        ({"plan": []}, "plan: "),
        ({"limits": {"tokens": 10**400}}, "a whole number has at most 64 bits"),
    ],
)
async def test_a_wrong_argument_is_named(arguments: dict[str, Any], words: str) -> None:
    message = await refused(**arguments)
    assert words in message
    assert "--" not in message


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"gaol": "x"}, "task: gaol: unknown key"),
        ({"goal": "x", "limits": {"tokens": "many"}}, "task: limits.tokens: is the text `many`"),
        ({"goal": "About {thing}"}, "task: goal: unknown parameter `{thing}`"),
        ({"goal": object()}, "task.goal: is of type `object`"),
        (Task(goal="About {thing}"), "task: goal: unknown parameter `{thing}`"),
        (Task(goal="x", output="report.xyz"), "task: output: invalid report file"),
        ({"goal": 10**400}, "a whole number has at most 64 bits"),
        ({"goal": "\ud800"}, "task.goal: is '\\ud800', which has half a surrogate pair; expected text"),
        ({"goal": "x", "parameters": {"\ud800": 1}}, "task.parameters: is '\\ud800', which has half"),
        ("\ud800.yaml", "task: is '\\ud800.yaml', which has half a surrogate pair"),
        ("a\0b", "task: is 'a\\x00b'; a path has no NUL character"),
        (5, "task: is 5; expected the path of a task file, a `swarm.Task`, or a dict"),
        ("What is it?", "hint: to ask a question, write `swarm.Task(goal=…)`"),
    ],
)
async def test_fault_158_a_wrong_task_is_named(task: Any, words: str) -> None:
    assert words in await refused(task)


def test_all_wrong_arguments_are_reported_together() -> None:
    with pytest.raises(swarm.SwarmError) as caught:
        run_options(cast("RunArguments", {"workers": "8", "limits": 3}))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.anyio
async def test_an_unknown_argument_is_a_type_error_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match="did you mean `endpoint`"):
        await swarm.run(Task(goal="x"), **cast("Any", {"endpont": "offline"}))
    with pytest.raises(TypeError, match="did you mean `endpoint`"):
        swarm.Run(Task(goal="x"), **cast("Any", {"endpont": "offline"}))
    with pytest.raises(TypeError, match="did you mean `endpoint`"):
        await swarm.run(Task(goal="x"), **cast("Any", {"endpont": None}))


@pytest.mark.anyio
@pytest.mark.parametrize("run", [None, 5, ["last"], b"last", "a\0b", "\ud800"])
async def test_a_wrong_name_of_a_run_is_named(run: Any) -> None:
    with pytest.raises(swarm.SwarmError, match=r"^run: is "):
        await swarm.resume(run)


@pytest.mark.anyio
async def test_a_task_may_be_a_dict(tmp_path: Path) -> None:
    (tmp_path / "n.md").write_text("Twelve.")
    task = {"goal": "How many {what}?", "inputs": [tmp_path / "n.md"], "parameters": {"what": "eggs"}}
    endpoint = Scripted(PLAN, "Twelve.")
    result = await swarm.run(task, endpoint=endpoint, runs=tmp_path, parameters={"what": "ducks"}, cache=False)
    assert result.status == "done"
    assert "How many ducks?" in str(endpoint.requests[0])


@pytest.mark.anyio
async def test_a_parameter_keeps_its_type_and_may_be_new_if_the_goal_uses_it(tmp_path: Path) -> None:
    endpoint = Scripted(PLAN, "x")
    task = Task(goal="Version {version}", folder=tmp_path)
    await swarm.run(task, endpoint=endpoint, parameters={"version": "010"}, cache=False)
    assert "Version 010" in str(endpoint.requests[0])


@pytest.mark.anyio
@pytest.mark.parametrize(
    "plan",
    [
        {"steps": [{"id": "a", "prompt": "b"}]},
        [{"id": "a", "prompt": "b"}],
        [Step(id="a", prompt="b")],
        (Step(id="a", prompt="b"),),
        Plan(steps=(Step(id="a", prompt="b"),)),
    ],
)
async def test_a_plan_may_be_given_in_any_form(tmp_path: Path, plan: Any) -> None:
    result = await swarm.run(Task(goal="x", folder=tmp_path), endpoint=Scripted("y"), plan=plan, cache=False)
    assert (result.status, result.steps["total"]) == ("done", 1)


@pytest.mark.anyio
@pytest.mark.parametrize("tools", [double, [double], (double,), swarm.tool(double)])
async def test_fault_154_a_function_that_is_passed_is_granted(tmp_path: Path, tools: Any) -> None:
    endpoint = Function(lambda request: PLAN if not request.tools else "x")
    await swarm.run(Task(goal="x", folder=tmp_path), endpoint=endpoint, tools=tools, cache=False)
    assert [tool.name for tool in endpoint.requests[1].tools] == ["double", "read_more"]


@pytest.mark.anyio
class TestEndpointObjects:
    async def test_fault_156_a_text_instead_of_a_reply_is_named(self, tmp_path: Path) -> None:
        class Bare:
            async def complete(self, request: swarm.Request) -> str:
                return f"{len(request.messages)} messages"

        message = await refused(Task(goal="x", folder=tmp_path), endpoint=Bare(), cache=False)
        assert "`complete` returned a value of type `str`; expected a `swarm.Reply`" in message
        assert not list(tmp_path.rglob("bug-*"))

    async def test_a_function_that_is_not_async_is_accepted(self, tmp_path: Path) -> None:
        class Plain:
            def complete(self, request: swarm.Request) -> swarm.Reply:
                return reply(f"{len(request.messages)} messages")

        result = await swarm.run(
            Task(goal="x", folder=tmp_path), endpoint=cast("swarm.Endpoint", Plain()), plan=[Step(id="a", prompt="b")]
        )
        assert result.status == "done"

    async def test_its_exceptions_are_the_caller_s_not_an_internal_error(self, tmp_path: Path) -> None:
        def fail(request: swarm.Request) -> str:
            raise ValueError(f"{len(request.messages)} is a bad number")

        plan = [Step(id="a", prompt="b")]
        result = await swarm.run(Task(goal="x", folder=tmp_path), endpoint=Function(fail), plan=plan, cache=False)
        assert result.exit_code == 1
        message = result.errors[0].message
        assert "the endpoint object raised ValueError" in message
        assert "test_arguments.py, line" in message


@pytest.mark.anyio
class TestRunObject:
    async def test_fault_155_progress_needs_a_run_that_has_started(self) -> None:
        run = swarm.Run(Task(goal="x"), endpoint=Scripted())
        with pytest.raises(swarm.SwarmError, match="async with"):
            async for _ in run.progress():
                pass

    async def test_a_run_starts_once(self, tmp_path: Path) -> None:
        run = swarm.Run(Task(goal="x", folder=tmp_path), endpoint=Scripted(PLAN, "y"), cache=False)
        async with run:
            pass
        with pytest.raises(swarm.SwarmError, match="already been started"):
            async with run:
                pass

    async def test_an_interrupt_in_the_first_instant_counts(self, tmp_path: Path) -> None:
        async with swarm.Run(Task(goal="x", folder=tmp_path), endpoint=Scripted(), cache=False) as run:
            run.interrupt("not now")
        assert (run.result.status, run.result.usage.calls) == ("cancelled", 0)


class TestSync:
    def test_it_runs_and_resumes_without_a_loop(self, tmp_path: Path) -> None:
        result = swarm.run_sync(Task(goal="x", folder=tmp_path), endpoint=Scripted(PLAN, "y"), cache=False)
        assert result.status == "done"
        again = swarm.resume_sync(result.folder, endpoint=Scripted())
        assert again.text == result.text != ""

    def test_it_is_refused_inside_of_a_loop(self) -> None:
        async def body() -> None:
            with pytest.raises(swarm.SwarmError, match=r"await swarm\.run"):
                swarm.run_sync(Task(goal="x"))

        anyio.run(body)


@pytest.mark.anyio
class TestRoadsThatLeadNowhere:
    async def test_fault_153_offline_without_inputs(self, tmp_path: Path) -> None:
        message = await refused(Task(goal="x", folder=tmp_path), endpoint="offline")
        assert "this task has no inputs" in message
        assert list(tmp_path.iterdir()) == []

    async def test_fault_152_a_model_without_an_endpoint(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "n.md").write_text("Twelve.")
        task = Task(goal="x", inputs=("n.md",), folder=tmp_path)
        assert "model: model `qwen3-32b` needs an endpoint" in await refused(task, model="qwen3-32b")
        monkeypatch.setenv("SWARM_MODEL", "qwen3-32b")
        assert "SWARM_MODEL: model `qwen3-32b` needs an endpoint" in await refused(task)
        assert (await swarm.run(task, endpoint="offline")).status == "done"


def test_fault_157_a_misspelt_name_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(AttributeError, match="did you mean 'Task'"):
        _ = swarm.Taskk  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def checked(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the types of a file."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_samples_of_the_docs_are_typed_completely(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for number, block in enumerate(blocks):
        imports = [line for line in block.splitlines() if line.startswith(("import ", "from "))]
        body = [line for line in block.splitlines() if line not in imports]
        text = "\n".join([*imports, "async def main() -> None:", *(f"    {line}" for line in body)])
        (tmp_path / f"sample_{number}.py").write_text(f"# pyright: strict\n{text}\n")
    done = checked(".", tmp_path)
    assert "0 errors" in done.stdout, done.stdout


@pytest.mark.slow
def test_a_type_checker_sees_wrong_names_and_arguments(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(
        "import swarm\n"
        "swarm.Taskk\n"
        "swarm.run_sync('task.yaml', endpont='offline')\n"
        "swarm.run_sync('task.yaml', endpoint=3)\n"
        "swarm.run_sync({'goal': 'x'}, endpoint='offline', workers=3)\n"
    )
    done = checked("sample.py", tmp_path)
    lines = [line for line in done.stdout.splitlines() if " error: " in line]
    assert [line.split("sample.py:")[1].split(":")[0] for line in lines] == ["2", "3", "4"], done.stdout
