"""Tools from functions, and the box that keeps their rights."""

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
import pytest
from pydantic import BaseModel, Field

import swarm.tools
from swarm.base.errors import TaskError, ToolError
from swarm.spec.chat import ToolSpec
from swarm.tools import RESULT_BYTES, Tool, Toolbox, ToolContext, ToolResult
from swarm.tools.functions import tool


class Shelf(BaseModel):
    """Where to look."""

    title: str
    row: int = 1


@tool
def find(query: str, shelf: Shelf, sort: Literal["up", "down"] = "up", *, most: Annotated[int, Field(ge=1)] = 3) -> str:
    """Find books on a shelf.

    Slow on large shelves.

    Args:
        query: what to look for
        shelf: where
        most: how many
    """
    return f"{query} {shelf.title} {shelf.row} {sort} {most}"


@tool(name="add-up", effect="exec")
async def add(numbers: list[float]) -> dict[str, float]:
    """Add numbers."""
    return {"sum": sum(numbers), "mean": sum(numbers) / len(numbers)}


@dataclass
class Point:
    x: int
    y: int


async def result_of(made: Tool, arguments: str, context: ToolContext | None = None) -> ToolResult:
    return await Toolbox([made]).call(made.name, arguments, [made.name], context or ToolContext(step="s"))


async def call(made: Tool, arguments: str, context: ToolContext | None = None) -> str:
    return (await result_of(made, arguments, context)).text


def test_a_function_describes_itself() -> None:
    assert find.spec == ToolSpec(
        name="find",
        description="Find books on a shelf.\n\nSlow on large shelves.",
        parameters={
            "$defs": {
                "Shelf": {
                    "description": "Where to look.",
                    "properties": {"title": {"type": "string"}, "row": {"default": 1, "type": "integer"}},
                    "required": ["title"],
                    "type": "object",
                }
            },
            "additionalProperties": False,
            "properties": {
                "query": {"type": "string", "description": "what to look for"},
                "shelf": {"$ref": "#/$defs/Shelf", "description": "where"},
                "sort": {"default": "up", "enum": ["up", "down"], "type": "string"},
                "most": {"default": 3, "minimum": 1, "type": "integer", "description": "how many"},
            },
            "required": ["query", "shelf"],
            "type": "object",
        },
    )
    assert (find.effect, add.effect, add.name) == ("read", "exec", "add-up")


def test_a_tool_is_still_a_function() -> None:
    assert find("tea", Shelf(title="a"), most=1) == "tea a 1 up 1"


@pytest.mark.anyio
async def test_a_call_gives_text_or_json() -> None:
    assert await call(find, '{"query": "tea", "shelf": {"title": "b", "row": 2}, "sort": "down"}') == "tea b 2 down 3"
    assert await call(add, '{"numbers": [1, 2.5]}') == '{"mean":1.75,"sum":3.5}'
    assert await call(tool(lambda_free), "") == '{"x":1,"y":2}'


def lambda_free() -> Point:
    """Give a point."""
    return Point(1, 2)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"query": 5, "shelf": {"title": "b"}}', "query: Input should be a valid string"),
        ('{"query": "x", "shelf": {"title": "b", "row": "2"}}', "shelf.row: Input should be a valid integer"),
        ('{"query": "x", "shelf": {"title": "b"}, "most": 0}', "most: Input should be greater than or equal to 1"),
        ('{"query": "x", "shelf": {"title": "b"}, "limit": 3}', "limit: Unexpected keyword argument"),
        ("{}", "query: Missing required argument; shelf: Missing required argument"),
        ('{"query": "x"', "arguments: Invalid JSON: "),
        ('["x"]', "one JSON object"),
        ("42", "one JSON object"),
        ("[" * 100_000, "one JSON object"),
        ('{"query": ' + "[" * 100_000, "Invalid JSON"),
    ],
)
async def test_fault_71_bad_arguments_are_told_and_nothing_runs(arguments: str, words: str) -> None:
    ran: list[str] = []

    @tool(name="find")
    def watched(query: str, shelf: Shelf, most: Annotated[int, Field(ge=1)] = 3) -> None:
        ran.append(f"{query}{shelf}{most}")

    with pytest.raises(ToolError) as caught:
        await call(watched, arguments)
    assert words in str(caught.value)
    assert caught.value.kind == "arguments"
    assert ran == []


@pytest.mark.anyio
async def test_fault_79_what_is_not_granted_does_not_run() -> None:
    ran: list[int] = []

    @tool
    def wipe() -> None:
        """Wipe all."""
        ran.append(1)

    box = Toolbox([wipe, find])
    for name in ("wipe", "nothing"):
        with pytest.raises(ToolError) as caught:
            await box.call(name, "{}", ("find",), ToolContext(step="s"))
        assert caught.value.kind == "unknown_tool"
        assert str(caught.value) == f"no tool called {name} may be used; these may: find"
    assert ran == []


@pytest.mark.anyio
async def test_an_exception_is_words_for_the_model() -> None:
    @tool
    def fails(how: str) -> None:
        """Fail."""
        raise (KeyError if how == "key" else TimeoutError if how == "time" else ValueError)(how * 3000)

    for how, kind in (("key", "KeyError"), ("time", "TimeoutError"), ("value", "ValueError")):
        with pytest.raises(ToolError) as caught:
            await call(fails, f'{{"how": "{how}"}}')
        assert str(caught.value).startswith(f"{kind}: ")
        assert len(str(caught.value)) < 2100
        assert caught.value.kind == "tool"


@pytest.mark.anyio
@pytest.mark.virtual
async def test_an_async_tool_has_a_deadline() -> None:
    @tool(seconds=30)
    async def waits(seconds: float) -> str:
        """Wait."""
        await anyio.sleep(seconds)
        return "done"

    assert await call(waits, '{"seconds": 29}') == "done"
    with pytest.raises(ToolError, match="waits took longer than 30 seconds") as caught:
        await call(waits, '{"seconds": 31}')
    assert caught.value.kind == "timeout"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_fault_96_a_blocking_tool_is_left_behind() -> None:
    release = threading.Event()

    @tool(seconds=0.05)
    def blocks() -> None:
        """Block."""
        release.wait(20)

    try:
        with pytest.raises(ToolError, match="took longer"):
            await call(blocks, "{}")
    finally:
        release.set()


@pytest.mark.anyio
async def test_a_large_result_is_cut_at_a_line_and_says_how_large_it_was() -> None:
    @tool
    def lists(lines: int) -> str:
        """List."""
        return "é" * 20 + "\n" + "line\n" * lines

    small = await result_of(lists, '{"lines": 3}')
    assert (small.shown, small.total) == (56, 56)
    large = await result_of(lists, '{"lines": 50000}')
    assert large.total == 250_041
    assert RESULT_BYTES // 2 < large.shown <= RESULT_BYTES
    assert large.text.endswith("line")


@pytest.mark.anyio
async def test_a_result_that_is_neither_text_nor_json_is_an_error() -> None:
    @tool
    def gives() -> Any:
        """Give."""
        return object()

    with pytest.raises(ToolError, match="the result of gives is neither text nor JSON: object"):
        await call(gives, "{}")


@pytest.mark.anyio
async def test_half_a_surrogate_does_not_leave_a_tool() -> None:
    @tool
    def gives() -> str:
        """Give."""
        return "a\ud800b"

    (await call(gives, "{}")).encode()


def test_a_box_has_one_tool_of_a_name() -> None:
    with pytest.raises(TaskError, match="two tools are called find"):
        Toolbox([find, find])


def test_specs_come_in_one_order_and_make_one_key() -> None:
    box = Toolbox([find, add])
    assert [spec.name for spec in box.specs(["find", "add-up"])] == ["add-up", "find"]
    assert box.key(["find", "add-up"]) == Toolbox([add, find]).key(["add-up", "find"])
    assert box.key(["find"]) != box.key(["add-up"])
    assert box.specs([]) == ()
    with pytest.raises(ToolError, match="there is no tool called lend here; there are: add-up and find"):
        box.specs(["lend"])


def many(*words: str) -> None: ...


def odd(thing: threading.Event) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (many, "argument words cannot be given by name"),
        (odd, "an argument's type has no JSON Schema"),
        (lambda: 1, "'<lambda>' cannot be the name of a tool"),
    ],
)
def test_what_cannot_be_a_tool_is_said_at_once(function: Any, words: str) -> None:
    with pytest.raises(TaskError) as caught:
        tool(function)
    assert words in str(caught.value)


def test_an_argument_without_a_type_is_said_at_once() -> None:
    with pytest.raises(TaskError, match="tool untyped: argument x has no type"):
        tool(name="untyped")(eval("lambda x: x"))


# Context


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
    assert Toolbox([find, tool(label="private")(note_later)]).labels == {"note_later": "private"}
    assert Toolbox([tool(note_later)]).key(["note_later"]) == Toolbox([tool(label="x")(note_later)]).key(["note_later"])
