"""Functions that behave as no tool should: each is words for the model, or an error before a run."""

import functools
import itertools
import json
import math
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from swarm.base.errors import TaskError, ToolError
from swarm.base.values import canonical, canonical_pieces
from swarm.tools import Toolbox, ToolContext, ToolResult, written
from swarm.tools import box as box_module
from swarm.tools.functions import tool


class Note(BaseModel):
    """A value with a model's form."""

    text: str


class Exits(BaseException):
    """An exception that `except Exception` does not catch."""


def leave(word: str) -> Any:
    """Act."""
    sys.exit(len(word))


def fall(word: str) -> Any:
    """Act."""
    raise Exits(word)


def interrupt(word: str) -> Any:
    """Act."""
    raise KeyboardInterrupt


def repeat(word: str) -> Any:
    """Act."""
    return itertools.repeat(word)


def unfold(word: str) -> Any:
    """Act."""
    return (letter for letter in word)


async def unfold_later(word: str) -> Any:
    """Act."""
    for letter in word:
        yield letter


async def come(word: str) -> str:
    """Act."""
    return word


def promise(word: str) -> Any:
    """Act."""
    return come(word)


def give(value: Any) -> Any:
    """Return a function that returns a value."""

    def act(word: str) -> Any:
        """Act."""
        return value

    return act


async def leave_later(word: str) -> str:
    """Act."""
    sys.exit(len(word))


async def cancel(word: str) -> str:
    """Act."""
    raise anyio.get_cancelled_exc_class()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (leave, "SystemExit: 3"),
        (fall, "Exits: tea"),
        (interrupt, "KeyboardInterrupt"),
        (repeat, "more than 10,000 items"),
        (give(b"\xff"), "neither text nor JSON: bytes"),
        (give(object()), "neither text nor JSON: object"),
        (give(ToolResult(parts=("tea",))), "neither words nor a file: str"),  # type: ignore[arg-type]
        (leave_later, "SystemExit: 3"),
        (cancel, "was cancelled, by itself"),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio makes no cancellations by hand
@pytest.mark.anyio
@pytest.mark.anyio
async def test_whatever_a_function_does_is_words_for_the_model(act: Any, words: str) -> None:
    box = Toolbox([tool(name="act")(act)])
    with pytest.raises(ToolError, match=words):
        await box.call("act", '{"word": "tea"}', ("act",), ToolContext("s"))


@pytest.mark.parametrize(
    ("act", "text"), [(unfold, '["t","e","a"]'), (unfold_later, '["t","e","a"]'), (promise, "tea")]
)
@pytest.mark.anyio
async def test_what_a_function_gives_later_is_waited_for(act: Any, text: str) -> None:
    box = Toolbox([tool(name="act")(act)])
    assert (await box.call("act", '{"word": "tea"}', ("act",), ToolContext("s"))).text == text


class Counter:
    """An object that can be called."""

    async def __call__(self, n: int) -> int:
        """Count."""
        return n + 1


@pytest.mark.anyio
async def test_a_large_value_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def pieces(value: Any) -> Iterator[str]:
        threads.append(threading.current_thread().name)
        return canonical_pieces(value)

    monkeypatch.setattr(written, "canonical_pieces", pieces)
    values: dict[str, Any] = {
        "small": {"rows": [[1, "é"]] * 100},
        "rows": {"rows": [{"b": n, "a": "x" * 30, "é": "😀"} for n in range(3_000)]},
        "text": ["x" * 2_000_000],
        "model": Note(text="y" * 2_000_000),
    }

    @tool(stable=True)
    async def give(name: str) -> Any:
        """Give a value."""
        return values[name]

    box = Toolbox([give])
    for name, value in values.items():
        result = await box.call("give", json.dumps({"name": name}), ("give",), ToolContext(name))
        assert (result.text, result.total) == (canonical(value).decode(), len(canonical(value)))
    assert len(threads) == 3
    assert threading.current_thread().name not in threads
    monkeypatch.setattr(box_module, "RESULT_BYTES", 1_000)
    result = await Toolbox([give]).call("give", '{"name": "rows"}', ("give",), ToolContext("cut"))
    assert result.text == canonical(values["rows"])[:1_000].decode("utf-8", "ignore")
    assert result.total == len(canonical(values["rows"]))


@pytest.mark.anyio
async def test_objects_and_partial_functions_are_tools_with_a_name() -> None:
    tools = [tool(name="count")(Counter()), tool(name="add")(functools.partial(operator_add, 1))]
    box = Toolbox(tools)
    assert (await box.call("count", '{"n": 1}', ("count",), ToolContext("s"))).text == "2"
    assert (await box.call("add", '{"b": 2}', ("add",), ToolContext("s"))).text == "3"


def operator_add(a: int, b: int) -> int:
    """Add."""
    return a + b


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seconds": 0}, "seconds is 0; expected a number above 0"),
        ({"seconds": math.nan}, "seconds is nan; expected a number above 0"),
        ({"effect": "all"}, "effect is 'all'; expected `read`, `write`, `exec` or `network`"),
        ({"alone": True}, "alone is True; expected `no`, `step` or `run`"),
        ({"price": -1}, "price is -1; expected a number that is not negative"),
        ({"label": "No Good"}, "label is 'No Good'; expected a label"),
        ({"ask": "yes"}, "ask is 'yes'; expected True or False"),
        ({"stabel": True}, "there is no setting 'stabel'; there are name, effect, seconds, label"),
        ({"name": 3}, "3 cannot be the name of a tool"),
    ],
)
def test_a_wrong_setting_is_named_before_a_run(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=re.escape(words)):
        tool(**settings)(operator_add)
    with pytest.raises(TaskError, match="is no function"):
        tool(int)
