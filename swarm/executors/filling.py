"""Values of long texts, filled from those of their parts."""

from typing import Any, cast

from swarm.attempt.answers import fit
from swarm.attempt.part_schemas import VALUE, Filled, filled
from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.values import Json, canonical
from swarm.record.outcome import Outcome


class Filling:
    """Executor around another: fills a value from those of the parts of a text. A model is asked for the rest only.

    The rest are fields for which parts have different values, and required fields that no part has.
    """

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Return the value without a call if the parts agree, else with the fields that a model was asked for."""
        found = _found(attempt)
        if found is None:
            return await self._inner.execute(attempt, note)
        schema = attempt.step.output or {}
        if not found.open:
            return Outcome(output=found.value)
        step = attempt.step.model_copy(update={"output": _only(schema, found.open)})
        rest = await self._inner.execute(attempt.model_copy(update={"step": step}), note)
        output = {**cast("dict[str, Json]", found.value), **cast("dict[str, Json]", rest.output)}
        return rest.model_copy(update={"output": output})


def _found(attempt: Attempt) -> Filled | None:
    """Return the value that the parts of a text make, with the fields to ask for.

    None if the attempt is not about the parts of one text alone, or if their values do not make one
    that its schema allows.
    """
    schema = attempt.step.output
    if schema is None or not _reads_parts_only(attempt):
        return None
    found = filled(each.output for each in attempt.given)
    value: Json = found.value
    required: list[str] = schema.get("required") or []
    missing = [name for name in required if name not in value] if isinstance(value, dict) else []
    found = Filled(value, tuple(dict.fromkeys((*found.open, *missing))))
    if found.open == (VALUE,):
        return None
    return found if found.open or fit(canonical(value).decode(), schema).ok else None


def _reads_parts_only(attempt: Attempt) -> bool:
    parent = attempt.step.partial_of
    is_last = attempt.step.id == f"{parent}.0"
    return is_last and not attempt.inputs and all(each.step.startswith(f"{parent}.") for each in attempt.given)


def _only(schema: dict[str, Json], fields: tuple[str, ...]) -> dict[str, Json]:
    """Return the schema of an object with some of its fields."""
    properties = cast("dict[str, Any]", schema.get("properties") or {})
    required = cast("list[str]", schema.get("required") or [])
    return {
        **schema,
        "properties": {name: properties[name] for name in fields if name in properties},
        "required": [name for name in fields if name in required],
    }
