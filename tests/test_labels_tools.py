"""Labels of tools: what a labelled tool returns reaches the models that its label names, and no others."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import EndpointRefused, PlanError, TaskError
from swarm.results.result import Result
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function, reply
from swarm.tools import ToolContext
from swarm.tools.functions import tool
from tests.models import own_prompt, resume_with, run_with

pytestmark = pytest.mark.anyio

SECRET = "zq1zq"
STEPS = (
    Step(id="ask", prompt="Ask.", tools=("look_up",)),
    Step(id="tell", prompt="Tell.", needs=("ask",), tools=()),
    Step(id="free", prompt="Be free.", tools=()),
    Step(id="could", prompt="Could ask.", tools=("look_up",)),
)


class Models:
    """Two models that record what they were sent; `ask` calls the tool, and all repeat the secrets they see."""

    def __init__(self) -> None:
        self.sent: dict[str, list[str]] = defaultdict(list)
        self.served: dict[str, set[str]] = defaultdict(set)
        """By the first word of a prompt: models that served it."""
        self.refuses = ""
        self.endpoint = Function(self._answer)
        self.contexts: list[ToolContext] = []

        @tool(label="red")
        def look_up(word: str, context: ToolContext) -> str:
            """Look a word up."""
            self.contexts.append(context)
            return f"{word} is {SECRET}"

        self.look_up = look_up

    def _answer(self, request: Request) -> Any:
        prompt = own_prompt(request)
        self.sent[request.model].append(request.model_dump_json())
        self.served[prompt.split()[0]].add(request.model)
        if self.refuses and self.refuses in prompt:
            return EndpointRefused("spent", kind="quota", stops=True)
        if prompt == "Ask." and len(request.messages) == 2:
            return reply(calls=[("look_up", {"word": "tea"})])
        seen = SECRET if SECRET in request.model_dump_json() else "nothing"
        return f"I saw {seen} [ask]"

    def saw_it(self) -> set[str]:
        return {name for name, requests in self.sent.items() if any(SECRET in each for each in requests)}


def task(folder: Path, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "goal": "Tell all.",
        "models": {"default": Model(endpoint="offline"), "a": Model(endpoint="offline")},
        "labels": {"red": ("a",)},
        "plan": Plan(steps=STEPS),
        "limits": Limits(workers=1),
        "folder": folder,
    }
    return Task(**(fields | more))


async def run(models: Models, this: Task) -> Result:
    return await run_with(models.endpoint, this, tools=(models.look_up,), cache=False)


async def test_what_a_labelled_tool_returns_reaches_no_other_model_on_any_way(tmp_path: Path) -> None:
    models = Models()
    result = await run(models, task(tmp_path))
    assert result.status == "done"
    assert result.report is not None
    assert models.saw_it() == {"a"}
    assert models.served["Tell."] == {"a"}, "who reads the output of the step carries the label too"
    assert models.served["Be"] == {"default"}, "a step without the tool stays with the model it asks for"


async def test_a_step_carries_the_label_before_its_first_call(tmp_path: Path) -> None:
    """Else the result could forbid the model in the middle of a conversation."""
    models = Models()
    await run(models, task(tmp_path))
    assert models.served["Ask."] == {"a"}
    assert models.served["Could"] == {"a"}
    assert [(each.step, each.labels) for each in models.contexts] == [("ask", ("red",))]


async def test_a_resumed_run_knows_the_label_of_a_result_in_its_journal(tmp_path: Path) -> None:
    models = Models()
    models.refuses = "Tell."
    first = await run(models, task(tmp_path))
    assert first.report is None
    again = Models()
    result = await resume_with(again.endpoint, first.folder, tools=(again.look_up,), cache=False)
    assert result.status == "done"
    assert again.contexts == [], "the step that called the tool does not run again"
    assert again.saw_it() == {"a"}
    assert again.served["Tell."] == {"a"}


async def test_where_no_model_may_see_the_label_the_run_does_not_start_and_the_tool_does_not_run(
    tmp_path: Path,
) -> None:
    models = Models()
    plan = Plan(steps=(STEPS[0].model_copy(update={"model": "default"}),))
    with pytest.raises(PlanError, match="the model `default` may not see all its data: `red` reaches a"):
        await run(models, task(tmp_path, plan=plan))
    assert models.contexts == []
    assert models.sent == {}


async def test_a_label_that_the_task_does_not_list_is_an_error_before_any_call(tmp_path: Path) -> None:
    models = Models()
    with pytest.raises(TaskError, match=r"tool look_up: label 'red' is not in the task's `labels`"):
        await run(models, task(tmp_path, labels={}))
    assert models.sent == {}
