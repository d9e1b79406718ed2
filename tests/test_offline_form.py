"""JSON values for schemas, filled from sources."""

import json
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from swarm.base.errors import EndpointRefused
from swarm.endpoints.offline.form import MOST_ENTRIES, fill
from swarm.endpoints.offline.report import Material
from swarm.texts.sentences import read
from swarm.texts.words import facets

GOAL = "How much memory does each library need?"
NOTES = {
    "tantivy.md": "# Tantivy\n\nTantivy needs 210 MB of memory for its index. It was begun in 2016 and made in Rust.",
    "lunr.md": "## Memory\n\n- It needs 40 MB\n- It runs without a server\n",
    "meilisearch.md": "| aspect | value |\n|--|--|\n| memory | 1.2 GB |\n| language | Rust |\n",
}
LIST = "# Libraries\n\nWe looked at four.\n\n- Tantivy: fast\n- Lucene\n- Lunr\n- Xapian\n"


def filled(schema: dict[str, Any], *texts: str, goal: str = GOAL, **named: str) -> Any:
    sources = {**{f"note-{n}.md": text for n, text in enumerate(texts)}, **named}
    given = Material(goal, facets(goal), goal, tuple(read(name, text) for name, text in sources.items()))
    value = json.loads(fill(schema, given))
    cast("Any", Draft202012Validator(schema)).validate(value)
    return value


def an_object(required: bool = True, **properties: Any) -> dict[str, Any]:
    wanted = list(properties) if required else []
    return {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False}


NUMBER, TEXT, FLAG = {"type": "number"}, {"type": "string"}, {"type": "boolean"}


def test_a_record_for_each_source_with_its_figure() -> None:
    schema = {"type": "array", "items": an_object(name=TEXT, megabytes=NUMBER)}
    assert filled(schema, **NOTES) == [
        {"name": "Tantivy", "megabytes": 210},
        {"name": "lunr", "megabytes": 40},
        {"name": "meilisearch", "megabytes": 1200},
    ]


def test_a_number_is_the_figure_beside_the_property_s_words() -> None:
    schema = an_object(begun=NUMBER, memory_mb={"type": "integer"}, disk={"type": "number"})
    text = "It was begun in 2016. It takes 300 MB of disk. Memory of 0.21 GB is enough."
    assert filled(schema, text) == {"begun": 2016, "memory_mb": 210, "disk": 300}


def test_a_number_keeps_within_its_bounds() -> None:
    text = "In 2016 it took 5 of 90 parts."
    assert filled({"type": "integer", "minimum": 50, "maximum": 100}, text) == 90
    assert filled({"type": "number", "exclusiveMaximum": 10}, text) == 5
    assert filled({"type": "integer", "multipleOf": 1008}, text) == 2016


def test_a_figure_of_another_measure_is_not_taken() -> None:
    assert filled(an_object(required=False, memory_mb=NUMBER), "It takes 30 seconds.") == {}


def test_no_number_is_made_up() -> None:
    with pytest.raises(EndpointRefused, match="cannot fill `score`") as caught:
        filled(an_object(score=NUMBER), "There is no figure here.")
    assert caught.value.kind == "form"
    assert "--endpoint" in str(caught.value)
    assert filled(an_object(required=False, score=NUMBER), "No figure.") == {}
    assert filled(an_object(score={"type": ["number", "null"]}), "No figure.") == {"score": None}
    assert filled(an_object(score={"type": "number", "default": 7}), "No figure.") == {"score": 7}


def test_a_text_is_the_nearest_sentence_and_names_its_subject() -> None:
    value = filled(an_object(memory=TEXT, language=TEXT), **{"tantivy.md": NOTES["tantivy.md"]})
    assert value["memory"] == "Tantivy needs 210 MB of memory for its index."
    assert value["language"] == "Tantivy needs 210 MB of memory for its index." or "Rust" in value["language"]


def test_a_text_keeps_its_length() -> None:
    assert filled({"type": "string", "maxLength": 12}, "Tantivy needs 210 MB.") == "Tantivy"
    assert len(filled({"type": "string", "minLength": 30}, "Short one. Another short one. A third.")) >= 30
    assert filled({"type": "string", "pattern": "^v[0-9]+$"}, "The version is v12 today.") == "v12"


def test_an_option_is_the_one_that_is_told_of() -> None:
    schema = {"enum": ["Java", "C", "Rust"]}
    assert filled(schema, NOTES["tantivy.md"]) == "Rust"
    assert filled(an_object(required=False, language=schema), "Nothing of the kind.") == {}
    assert filled(an_object(language=schema), "Nothing of the kind.") == {"language": "Java"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("It needs a server.", True),
        ("It needs no server.", False),
        ("It runs without a server.", False),
        ("It is fast.", False),
    ],
)
def test_a_flag_is_judged_by_presence(text: str, holds: bool) -> None:
    assert filled(an_object(server=FLAG), text) == {"server": holds}


def test_a_list_of_names_is_the_list_in_the_text() -> None:
    schema = {"type": "array", "items": TEXT}
    goal = "List the libraries the notes name."
    assert filled(schema, LIST, goal=goal)[:4] == ["Tantivy", "Lucene", "Lunr", "Xapian"]
    assert filled(schema, goal=goal, **NOTES) == ["Tantivy", "lunr", "meilisearch"]
    prose = "We tried Tantivy and Lucene. Then Tantivy won over Xapian."
    assert filled(schema, prose, goal=goal)[0] == "Tantivy"
    assert set(filled(schema, prose, goal=goal)) == {"Tantivy", "Lucene", "Xapian"}
    assert filled(schema, "We asked Quarry Lane Brewery for 3 GB.", goal=goal) == ["Quarry Lane Brewery"]
    two = {"a.md": "Quarry Lane uses 3 GB.", "b.md": "Lunr uses 4 GB."}
    assert filled(schema, goal=goal, **two) == ["Quarry Lane", "Lunr"]


def test_a_list_keeps_its_bounds() -> None:
    text = "".join(f"- entry number {n}\n" for n in range(100))
    assert len(filled({"type": "array", "items": TEXT}, text)) == MOST_ENTRIES
    assert len(filled({"type": "array", "items": TEXT, "maxItems": 3}, text)) == 3
    assert len(filled({"type": "array", "items": TEXT, "minItems": 30, "uniqueItems": True}, text)) >= 30
    assert filled({"type": "array", "items": NUMBER}, "No figure.") == []
    with pytest.raises(EndpointRefused):
        filled({"type": "array", "items": NUMBER, "minItems": 1}, "No figure.")


def test_a_schema_in_parts_is_put_together() -> None:
    schema = {
        "type": "object",
        "properties": {"library": {"$ref": "#/$defs/library"}, "size": {"anyOf": [{"type": "null"}, NUMBER]}},
        "required": ["library", "size"],
        "$defs": {"library": {"allOf": [an_object(name=TEXT), {"type": "object", "minProperties": 1}]}},
    }
    assert filled(schema, **{"tantivy.md": NOTES["tantivy.md"]}) == {"library": {"name": "Tantivy"}, "size": 210}


def test_a_schema_that_contains_itself_ends() -> None:
    schema = {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}},
    }
    assert isinstance(filled(schema, LIST), dict)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "http://localhost:1/x.json"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "string", "not": {"$ref": "http://example.com/x.json"}},
        {"$ref": "#/$defs/absent"},
        {"$ref": "#"},
        {"type": "none"},
        {"allOf": [{"type": "string"}], "not": {}},
        {"type": "string", "pattern": "^(never)$"},
    ],
)
def test_what_cannot_be_filled_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(EndpointRefused) as caught:
        filled(schema, LIST)
    assert caught.value.kind == "form"


def test_a_pattern_that_takes_for_ever_stalls_nothing() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    text = "a" * 40
    assert outcome(schema, f"{text}! {text}") == text


def test_lone_surrogates_of_json_do_not_reach_the_wire() -> None:
    assert filled(TEXT, '{"a": "bad \\ud800 one"}').encode()


LEAVES: tuple[dict[str, Any], ...] = (
    *(TEXT, NUMBER, FLAG, {"type": "integer", "minimum": 0}, {"enum": ["low", "high", 3]}, {"type": "null"}, {}),
    *({"type": "string", "maxLength": 5}, {"type": ["number", "null"]}, {"type": "string", "minLength": 3}),
    *({"const": 7}, {"anyOf": [{"type": "number", "minimum": 1000}, TEXT]}, {"allOf": [TEXT, {"maxLength": 4}]}),
)
KEYS = st.sampled_from(["name", "memory_mb", "license", "offline", "sizes", "a"])


def a_list(items: Any, least: int, unique: bool) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "uniqueItems": unique}


def from_dictionary(properties: dict[str, Any], required: bool) -> dict[str, Any]:
    return an_object(required, **properties)


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = st.builds(from_dictionary, st.dictionaries(KEYS, inner, max_size=4), st.booleans())
    return st.one_of(objects, st.builds(a_list, inner, st.integers(0, 2), st.booleans()))


def outcome(schema: dict[str, Any], text: str) -> Any:
    """Return the filled schema, or the error."""
    try:
        return filled(schema, text)
    except EndpointRefused as error:
        return error.kind, str(error)


@settings(max_examples=60)
@given(st.recursive(st.sampled_from(LEAVES), composed, max_leaves=6), st.text(max_size=200))
def test_what_is_filled_always_fits(schema: dict[str, Any], text: str) -> None:
    rich = f"Tantivy needs 2100 MB. {text}\n\n- Lucene: 450 MB\n"
    for each in (text, rich):
        found = outcome(schema, each)  # `filled` validates
        assert found == outcome(schema, each)
        assert not isinstance(found, tuple) or found[0] == "form"
