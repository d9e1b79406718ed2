"""Values of long texts, filled from those of their parts."""

from typing import Any, cast

from swarm.attempt.parts import filled_by_parts
from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.values import Json
from swarm.record.outcome import Outcome


class Filling:
    """Executor around another: fills a value from those of the parts of a text. A model is asked for the rest only.

    The rest are fields for which parts have different values, and required fields that no part has.
    """

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Return the value without a call if the parts agree, else with the fields that a model was asked for."""
        found = filled_by_parts(attempt)
        if found is None:
            return await self._inner.execute(attempt, note)
        schema = attempt.step.output or {}
        if not found.open:
            return Outcome(output=found.value)
        step = attempt.step.model_copy(update={"output": _only(schema, found.open)})
        rest = await self._inner.execute(attempt.model_copy(update={"step": step}), note)
        output = {**cast("dict[str, Json]", found.value), **cast("dict[str, Json]", rest.output)}
        return rest.model_copy(update={"output": output})


def _only(schema: dict[str, Json], fields: tuple[str, ...]) -> dict[str, Json]:
    """Return the schema of an object with some of its fields."""
    properties = cast("dict[str, Any]", schema.get("properties") or {})
    required = cast("list[str]", schema.get("required") or [])
    return {
        **schema,
        "properties": {name: properties[name] for name in fields if name in properties},
        "required": [name for name in fields if name in required],
    }
