"""Forms of answers: JSON Schemas that an endpoint can enforce.

What a grammar enforces needs no correction. So a planner with little room for its answer gets a
small form. In that form it cannot write an endless text, an unknown role, or a plan that fills
its context. If the inputs do not fit one step together, the form does not offer their names: each
gets its own step.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from swarm.base.values import Json, canonical
from swarm.planning.brief import Brief
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import PLANNER, REDUCER, SET_BY_RUN, Plan

ANSWER = "answer"
"""Name of the form of a step's answer, and the key around a value that is not an object."""
NOT_FOR_PLANS = frozenset(SET_BY_RUN)
"""Fields of a step that no planner may set."""
NOT_FOR_FORMS = frozenset({"title", "description", "default", "pattern", "minimum", "maximum", "minItems", "minLength"})
"""Keys of a schema that some grammars refuse. The instructions of the planner or
`swarm.planning.lint` cover them."""
ROOMY = 3000
"""Minimum tokens of an answer for the full form of a plan. Models with less are small local ones,
and their servers can enforce any grammar."""
ROOM_FOR_NEEDS = 1500
"""Minimum tokens of an answer for a form with `needs`. With less room a plan has so few steps
that the reducer after them is enough; and a grammar cannot enforce that `needs` names other
steps."""
CHARACTERS_A_TOKEN = 2
"""Characters of a small plan per token of its answer. A token has 3 to 4, so the plan and one
correction fit."""
SHORTEST_PROMPT, LONGEST_PROMPT = 120, 300
"""Minimum and maximum of the longest prompt that a small plan may have, in characters."""
MOST_INSTANCES_A_WORKER = 2
"""Maximum instances of a small plan, as a multiple of the workers of the run."""
FRAME = 100
"""Approximate characters of a step that are not its prompt."""
SHORT_ID = 24
"""Maximum characters of an id in a small plan."""
LISTED = 40
"""Maximum number of inputs that a small form names: the grammar grows with each of them."""

_OWN_ROOT = re.compile(r'"\$(ref|dynamicRef)":"#(?!/\$defs/|/definitions/)')


def as_object(schema: dict[str, Json]) -> tuple[dict[str, Json], bool]:
    """Return a schema within that of an object, and True; as it is, and False, if it needs no object.

    It needs none if it is that of an object. It can have none if it refers to its own root.
    """
    if schema.get("type") == "object" or _OWN_ROOT.search(canonical(schema).decode()):
        return schema, False
    lifted = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in lifted and key != "$id"}
    return {**lifted, **_object({ANSWER: inner}, [ANSWER])}, True


def plan_form(brief: Brief | None = None, *, room: int = ROOMY) -> dict[str, Json]:
    """Return the form of a plan for an answer of `room` tokens. Any endpoint can enforce it.

    It has no references. Below `ROOMY` it is a small form: steps with a prompt, inputs and `needs`. Its bounds keep the
    whole plan within the room, whatever a model writes.
    """
    if brief is not None and room < ROOMY:
        return _small_form(brief, room)
    full = Plan.model_json_schema()
    return cast("dict[str, Json]", _slim(full, full["$defs"]))


def _small_form(brief: Brief, room: int) -> dict[str, Json]:
    characters = room * CHARACTERS_A_TOKEN
    longest = max(SHORTEST_PROMPT, min(LONGEST_PROMPT, characters // 4 - FRAME))
    most = max(1, min(brief.steps_left, characters // (longest + FRAME)))
    if len(brief.inputs) > 1:
        instances = MOST_INSTANCES_A_WORKER * brief.limits.usual_workers
        most = max(1, min(most, instances // len(brief.inputs)))
    name: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": SHORT_ID}
    prompt: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": longest}
    fields: dict[str, Json] = {"id": name, "prompt": prompt}
    roles = [role.name for role in brief.roles if role.name not in (PLANNER, REDUCER)]
    if len(roles) > 1:
        fields["agent"] = {"enum": roles}
    fields |= _input_fields(brief)
    if room >= ROOM_FOR_NEEDS:
        fields["needs"] = {"type": "array", "items": name, "minItems": 1, "maxItems": most}
    step = _object(fields, ["id", "prompt"])
    steps = {"type": "array", "items": step, "minItems": 1 if brief.first else 0, "maxItems": most}
    return _object({"steps": steps}, ["steps"])


def _input_fields(brief: Brief) -> dict[str, Json]:
    """Return the fields with which a step chooses inputs, if there is a choice."""
    inputs = [each.name for each in brief.inputs]
    if len(inputs) < 2:
        return {}
    fields: dict[str, Json] = {"each": {"enum": ["inputs"]}}
    tokens = sum(each.size for each in brief.inputs) // BYTES_PER_TOKEN
    if len(inputs) <= LISTED and (brief.reads is None or tokens <= brief.reads):
        names: dict[str, Json] = {"enum": inputs}
        fields["inputs"] = {"type": "array", "items": names, "minItems": 1, "maxItems": len(inputs)}
    return fields


def _object(fields: dict[str, Json], required: list[str]) -> dict[str, Json]:
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _slim(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema without references, and without what grammars refuse or planners may not set."""
    if isinstance(schema, list):
        return [_slim(each, definitions) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    found = cast("dict[str, Any]", schema)
    if "$ref" in found:
        return _slim(definitions[found["$ref"].rpartition("/")[2]], definitions)
    slim: dict[str, Any] = {}
    for key, value in found.items():
        if key == "properties":
            slim[key] = _slim_fields(value, definitions)
        elif key == "anyOf":
            slim |= _slim_choice(value, definitions)
        elif key not in NOT_FOR_FORMS and key != "$defs":
            slim[key] = _slim(value, definitions)
    return slim


def _slim_fields(fields: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _slim(field, definitions) for name, field in fields.items() if name not in NOT_FOR_PLANS}


def _slim_choice(schemas: list[Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a choice of schemas without null; the schema itself, if it is the only one left."""
    slim = [_slim(each, definitions) for each in schemas if each != {"type": "null"}]
    return slim[0] if len(slim) == 1 else {"anyOf": slim}
