"""Arguments for tools of servers, compared with a schema that somebody else wrote."""

from typing import Any

import pytest

from swarm.base.errors import ToolError
from swarm.tools.mcp.arguments import check_arguments

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "pattern": "^(a+)+$"},
        "edits": {"type": "array"},
        "options": {"type": "object"},
        "count": {"type": ["integer", "null"]},
        "odd": True,
        "far": {"$ref": "http://127.0.0.1:9/schema"},
    },
    "required": ["path"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "path: is required"),
        ("[1]", "must be one JSON object"),
        ("{", "not valid JSON"),
        ('{"path": "a", "pth": 1}', "pth: is unknown; known: count, edits, far, odd, options and path"),
        ('{"path": {"a": 1}}', "path: must be a string"),
        ('{"path": "a", "edits": "x", "options": []}', "edits: must be an array; options: must be an object"),
    ],
)
def test_what_no_server_can_take_is_said(text: str, words: str) -> None:
    with pytest.raises(ToolError, match=words) as caught:
        check_arguments(SCHEMA, text)
    assert caught.value.kind == "arguments"


@pytest.mark.parametrize(
    "text",
    [
        '{"path": "a", "count": null, "odd": [1], "far": {"x": 1}}',
        '{"path": 3, "count": "5"}',  # the server may take it
        f'{{"path": "{"a" * 60}b"}}',  # no pattern of a server is run
    ],
)
def test_what_a_server_may_take_is_left_to_it(text: str) -> None:
    check_arguments(SCHEMA, text)


NO_SCHEMAS: list[dict[str, Any]] = [
    {},
    {"properties": 3, "required": "x"},
    {"properties": {"a": None}, "required": [None, {}]},
]


@pytest.mark.parametrize("schema", NO_SCHEMAS)
def test_a_schema_that_is_none_stops_nothing(schema: dict[str, Any]) -> None:
    check_arguments(schema, '{"a": 1}')
