"""The value of a text that was read in parts: filled from the parts, and asked of a model only where they differ."""

from typing import Any

import pytest

from swarm.attempt.types import Attempt, Given, Note
from swarm.executors.filling import Filling
from swarm.record.outcome import Outcome
from swarm.spec.plan import Step
from swarm.spec.task import Input
from tests.attempts import attempt

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "price": {"type": "number"}, "tags": {"type": "array"}},
    "required": ["name", "price"],
    "additionalProperties": False,
}
pytestmark = pytest.mark.anyio


class Asked:
    """An executor that records what it is asked, and answers."""

    def __init__(self, output: Any = "asked") -> None:
        self.attempts: list[Attempt] = []
        self._output = output

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        del note
        self.attempts.append(attempt)
        return Outcome(output=self._output, notes=("asked",))


def whole(*outputs: Any, schema: dict[str, Any] | None = SCHEMA, **fields: Any) -> Attempt:
    given = tuple(Given(step=f"study.{n}", about="", output=output) for n, output in enumerate(outputs, 1))
    step = Step(id=fields.pop("id", "study.0"), partial_of="study", output=schema)
    return attempt(step=step, given=(*given, *fields.pop("given", ())), **fields)


async def run(made: Attempt, asked: Asked) -> Any:
    return (await Filling(asked).execute(made, lambda _: None)).output


async def test_values_that_agree_need_no_call() -> None:
    asked = Asked()
    made = whole({"name": "A", "tags": [1]}, {"price": 5, "tags": [2]}, {"name": "A"}, {})
    assert await run(made, asked) == {"name": "A", "price": 5, "tags": [1, 2]}
    assert asked.attempts == []


async def test_a_model_is_asked_for_what_differs_and_for_what_no_part_has() -> None:
    asked = Asked({"name": "B", "price": 7})
    assert await run(whole({"name": "A", "tags": [1]}, {"name": "B"}), asked) == {"tags": [1], "name": "B", "price": 7}
    (made,) = asked.attempts
    properties = {name: SCHEMA["properties"][name] for name in ("name", "price")}
    assert made.step.output == {**SCHEMA, "properties": properties, "required": ["name", "price"]}
    assert len(made.given) == 2


@pytest.mark.parametrize(
    "made",
    [
        whole("text", schema=None),
        whole({"name": "A", "price": 5}, id="study.3"),
        whole({"name": "A", "price": 5}, given=(Given(step="other", about="", output="x"),)),
        whole({"name": "A", "price": 5}, inputs=(Input(name="more.txt", text="x"),)),
        whole({"name": "A", "price": "five"}),
        whole(4, 5, schema={"type": "number"}),
    ],
)
async def test_all_else_is_asked_as_it_is(made: Attempt) -> None:
    asked = Asked()
    assert await run(made, asked) == "asked"
    assert asked.attempts == [made]


async def test_a_number_that_all_parts_agree_on_is_taken() -> None:
    assert await run(whole(None, 5, None, schema={"type": "number"}), Asked()) == 5
