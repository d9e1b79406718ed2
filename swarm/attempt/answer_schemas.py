"""The forms that answers are asked for in: JSON Schemas that an endpoint can hold a model to.

What a grammar can hold, no model has to be asked for twice. So a planner with little room is asked for a small form, in
which a text that never ends, a role that is not there and a plan that fills its whole context cannot be written at all.
Inputs that no step can read together are not offered by name: they are for a step each.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from swarm.base.values import Json, canonical
from swarm.planning.brief import Brief
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import PLANNER, REDUCER, Plan

ANSWER = "answer"
"""Name of the form of a step's answer, and the key that wraps a form that is no object."""
NOT_FOR_PLANS = frozenset({"item", "instance_of"})
"""Fields of a step that only this package sets."""
NOT_FOR_FORMS = frozenset({"title", "description", "default", "pattern", "minimum", "maximum", "minItems", "minLength"})
"""What is told a planner by its instructions, or judged by `swarm.planning.lint`, and refused by some grammars."""
ROOMY = 3000
"""Tokens of an answer from which a planner gets the whole form. Models that have less are small ones on one's own
machine, whose servers hold them to any grammar."""
ROOM_FOR_NEEDS = 1500
"""Tokens of an answer from which steps may wait for one another. In less room there are so few that a reducer after
them does as well; and names of other steps are what a grammar cannot hold a model to."""
CHARACTERS_A_TOKEN = 2
"""Of a small plan, for each token of room: so a plan and its correction fit, at the 3 to 4 characters of a token."""
SHORTEST_PROMPT, LONGEST_PROMPT = 120, 300
"""Characters of a prompt in a small plan."""
MOST_INSTANCES_A_WORKER = 2
"""Times the workers of a run that a small plan may keep busy, if each of its steps is done for each input."""
FRAME = 100
"""Characters that a step takes beside its prompt, about."""
SHORT_ID = 24
"""Characters of an id in a small plan."""
LISTED = 40
"""Inputs that a small form names: a grammar grows with each."""

_OWN_ROOT = re.compile(r'"\$(ref|dynamicRef)":"#(?!/\$defs/|/definitions/)')


def as_object(schema: dict[str, Json]) -> tuple[dict[str, Json], bool]:
    """Wrap a schema of anything but an object, unless it refers to its own root; say whether that was done."""
    if schema.get("type") == "object" or _OWN_ROOT.search(canonical(schema).decode()):
        return schema, False
    lifted = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in lifted and key != "$id"}
    form = {"type": "object", "properties": {ANSWER: inner}, "required": [ANSWER], "additionalProperties": False}
    return {**lifted, **form}, True


def plan_form(brief: Brief | None = None, *, room: int = ROOMY) -> dict[str, Json]:
    """Give the form of a plan for an answer of so many tokens, without references, so that any endpoint can enforce it.

    The small one, for less than `ROOMY`, has what a small plan needs: steps with a prompt, what they read, what they
    wait for. Its bounds keep the whole plan within the room, whatever a model writes.
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
        most = max(1, min(most, MOST_INSTANCES_A_WORKER * brief.limits.workers // len(brief.inputs)))
    name: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": SHORT_ID}
    fields: dict[str, Json] = {"id": name, "prompt": {"type": "string", "minLength": 1, "maxLength": longest}}
    roles = [role.name for role in brief.roles if role.name not in (PLANNER, REDUCER)]
    if len(roles) > 1:
        fields["agent"] = {"enum": roles}
    inputs = [each.name for each in brief.inputs]
    if len(inputs) > 1:
        fields["each"] = {"enum": ["inputs"]}
        tokens = sum(each.size for each in brief.inputs) // BYTES_PER_TOKEN
        if len(inputs) <= LISTED and (brief.reads is None or tokens <= brief.reads):
            fields["inputs"] = {"type": "array", "items": {"enum": inputs}, "minItems": 1, "maxItems": len(inputs)}
    if room >= ROOM_FOR_NEEDS:
        fields["needs"] = {"type": "array", "items": name, "minItems": 1, "maxItems": most}
    step = {"type": "object", "properties": fields, "required": ["id", "prompt"], "additionalProperties": False}
    steps = {"type": "array", "items": step, "minItems": 1 if brief.first else 0, "maxItems": most}
    return {"type": "object", "properties": {"steps": steps}, "required": ["steps"], "additionalProperties": False}


def _slim(schema: Any, definitions: Mapping[str, Any]) -> Any:
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
            slim[key] = {k: _slim(v, definitions) for k, v in value.items() if k not in NOT_FOR_PLANS}
        elif key == "anyOf":
            slim |= _either([_slim(each, definitions) for each in value if each != {"type": "null"}])
        elif key not in NOT_FOR_FORMS and key != "$defs":
            slim[key] = _slim(value, definitions)
    return slim


def _either(schemas: list[Any]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
