"""What a JSON Schema means for a value: references and `allOf` replaced."""

from typing import Any

import pytest

from swarm.attempt.answers import fit
from swarm.base.values import Json
from swarm.spec.json_schemas import resolved

NAMED: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
AGED: dict[str, Any] = {"properties": {"age": {"type": "integer"}}, "required": ["age"]}
ROOT: dict[str, Json] = {
    "$defs": {
        "person": {"allOf": [NAMED, {"$ref": "#/$defs/aged"}]},
        "aged": AGED,
        "a/b": {"type": "integer"},
        "turn": {"$ref": "#/$defs/back"},
        "back": {"allOf": [{"$ref": "#/$defs/turn"}]},
    }
}


def test_references_and_parts_are_one_schema() -> None:
    found = resolved({"$ref": "#/$defs/person", "title": "Person"}, ROOT)
    properties = {**NAMED["properties"], **AGED["properties"]}
    assert found == {"type": "object", "title": "Person", "properties": properties, "required": ["name", "age"]}
    assert resolved({"$ref": "#/$defs/a~1b"}, ROOT) == {"type": "integer"}
    assert resolved({"type": "string"}, ROOT) == {"type": "string"}
    assert resolved(True, ROOT) == {}


@pytest.mark.parametrize("where", ["#/$defs/none", "#/$defs/turn", "https://example.com/schema", "other.json#/a"])
def test_a_reference_to_nothing_has_no_meaning(where: str) -> None:
    assert resolved({"$ref": where}, ROOT) is None
    assert resolved({"allOf": [{"$ref": where}]}, ROOT) is None
    assert resolved(False, ROOT) is None


@pytest.mark.parametrize("output", [{"$ref": "#/$defs/a~1b"}, {"allOf": [{"$ref": "#/$defs/a~1b"}, {"minimum": 1}]}])
def test_slips_are_put_right_behind_references(output: dict[str, Json]) -> None:
    schema: dict[str, Json] = {**ROOT, "type": "object", "properties": {"n": output}}
    assert fit('{"n": "1,836"}', schema).value == {"n": 1836}
