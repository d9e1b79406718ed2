"""Tools from functions, and the box that keeps their rights."""

import threading
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio
import pytest
from pydantic import BaseModel, Field

from swarm.base.errors import TaskError, ToolError
from swarm.spec.chat import ToolSpec
from swarm.tools import Tool, Toolbox, ToolContext, ToolResult
from swarm.tools import box as box_module
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


async def result_of(made: Tool, arguments: str) -> ToolResult:
    return await Toolbox([made]).call(made.name, arguments, [made.name], ToolContext(step="s"))


async def call(made: Tool, arguments: str) -> str:
    return (await result_of(made, arguments)).text


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
async def test_a_call_returns_text_or_json() -> None:
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
async def test_fault_71_bad_arguments_are_an_error_and_nothing_runs(arguments: str, words: str) -> None:
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
async def test_a_large_result_is_whole_up_to_a_bound_and_says_how_large_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    @tool
    def lists(lines: int) -> str:
        """List."""
        return "é" * 20 + "\n" + "line\n" * lines

    small = await result_of(lists, '{"lines": 3}')
    assert (small.shown, small.total) == (56, 56)
    monkeypatch.setattr(box_module, "RESULT_BYTES", 39)
    large = await result_of(lists, '{"lines": 50000}')
    assert (large.shown, large.total, large.text) == (38, 250_041, "é" * 19)


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
