"""The context of a tool's call: who gets it, what it says, and the labels of results."""

import threading
from contextlib import nullcontext
from typing import Any

import anyio
import anyio.to_thread
import pytest

import swarm.tools
from swarm.base.errors import ToolError
from swarm.tools import Tool, Toolbox, ToolContext, ToolResult
from swarm.tools.functions import tool


async def result_of(made: Tool, arguments: str, context: ToolContext | None = None) -> ToolResult:
    return await Toolbox([made]).call(made.name, arguments, [made.name], context or ToolContext(step="s"))


async def call(made: Tool, arguments: str, context: ToolContext | None = None) -> str:
    return (await result_of(made, arguments, context)).text


def note_down(word: str, context: ToolContext, *, times: int = 1) -> str:
    """Note a word.

    Args:
        word: what to note
        context: the call
        times: how often
    """
    return f"{context.step} {context.attempt} {' '.join(context.labels)}: {word * times}"


async def note_later(word: str, context: ToolContext | None = None) -> str:
    """Note a word later."""
    return f"{context.step if context else 'nobody'}: {word}"


async def note_as_text(word: "str", context: "ToolContext") -> str:
    """Note a word, by a function with annotations that are texts."""
    return f"{context.step}: {word}"


async def note_as_dotted_text(word: str, context: "swarm.tools.ToolContext | None" = None) -> str:
    """Note a word, likewise."""
    return f"{context.step if context else 'nobody'}: {word}"


@pytest.mark.anyio
@pytest.mark.parametrize("function", [note_down, note_later, note_as_text, note_as_dotted_text])
async def test_a_parameter_for_the_context_gets_it_and_is_not_in_the_schema(function: Any) -> None:
    made = tool(function)
    names = set(made.spec.parameters["properties"])
    assert names - {"times"} == {"word"}
    assert made.spec.parameters["required"] == ["word"]
    said = await call(made, '{"word": "tea"}', ToolContext(step="s.7", attempt=2, labels=("blue", "red")))
    assert said.startswith("s.7")
    assert said.endswith(": tea")
    with pytest.raises(ToolError, match="context: Unexpected keyword argument") as caught:
        await call(made, '{"word": "tea", "context": {"step": "other"}}')
    assert caught.value.kind == "arguments"


@pytest.mark.anyio
async def test_the_context_names_step_attempt_and_labels() -> None:
    context = ToolContext(step="s.7", attempt=2, labels=("blue", "red"))
    assert await call(tool(note_down), '{"word": "tea", "times": 2}', context) == "s.7 2 blue red: teatea"


@pytest.mark.anyio
async def test_a_function_with_a_context_can_be_called_as_before() -> None:
    assert await tool(note_later)("tea") == "nobody: tea"
    assert tool(note_down)("tea", ToolContext(step="a")) == "a 1 : tea"


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_tool_sees_its_deadline_and_may_stop_itself() -> None:
    left: list[float] = []

    @tool(seconds=30)
    async def waits(stop: bool, context: ToolContext) -> str:
        """Wait."""
        left.append(context.scope.deadline - anyio.current_time())
        if stop:
            context.scope.cancel()
        await anyio.sleep(1)
        return "done"

    assert await call(waits, '{"stop": false}') == "done"
    with pytest.raises(ToolError) as caught:
        await call(waits, '{"stop": true}')
    assert caught.value.kind == "timeout"
    assert left == [30, 30]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("how", ["deadline", "cancelled"])
async def test_a_function_in_a_thread_sees_that_nothing_waits_for_it_any_more(how: str) -> None:
    began, ended = threading.Event(), threading.Event()

    @tool(seconds=0.05 if how == "deadline" else 60)
    def works(context: ToolContext) -> None:
        """Work."""
        began.set()
        if context.ended.wait(20):
            ended.set()

    with anyio.CancelScope() as attempt:
        async with anyio.create_task_group() as tasks:
            if how == "cancelled":

                async def cancel() -> None:
                    await anyio.to_thread.run_sync(began.wait, 20)
                    attempt.cancel()

                tasks.start_soon(cancel)
            with pytest.raises(ToolError) if how == "deadline" else nullcontext():
                await call(works, "{}")
    assert await anyio.to_thread.run_sync(ended.wait, 20)


# Labels


@pytest.mark.anyio
async def test_a_result_carries_the_label_of_its_tool() -> None:
    secret = tool(label="private")(note_later)
    found = await result_of(secret, '{"word": "tea"}', ToolContext(step="s", labels=("private",)))
    assert (found.text, found.labels) == ("s: tea", ("private",))
    assert (await result_of(tool(note_later), '{"word": "tea"}')).labels == ()


@pytest.mark.anyio
async def test_a_tool_whose_label_the_step_does_not_carry_does_not_run() -> None:
    ran: list[str] = []

    @tool(label="private")
    def looks_up(word: str) -> None:
        """Look a word up."""
        ran.append(word)

    with pytest.raises(ToolError, match="labelled private") as caught:
        await call(looks_up, '{"word": "tea"}', ToolContext(step="s", labels=("public",)))
    assert caught.value.kind == "label"
    assert ran == []


def test_a_box_lists_the_labels_of_its_tools() -> None:
    assert Toolbox([tool(note_down), tool(label="private")(note_later)]).labels == {"note_later": "private"}
    assert Toolbox([tool(note_later)]).key(["note_later"]) == Toolbox([tool(label="x")(note_later)]).key(["note_later"])
