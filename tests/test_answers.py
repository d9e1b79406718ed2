"""JSON out of what models write, and its check against a form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.attempt.answers import fit, read_json, validate
from swarm.base.errors import AnswerError
from swarm.base.values import MOST_DEPTH

NAMES: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
FIGURE: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "mb": {"type": "number"}},
    "required": ["name", "mb"],
    "additionalProperties": False,
}
GOOD = {"name": "lunr", "mb": 40}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "lunr", "mb": 40}',
        '\ufeff  {"name": "lunr", "mb": 40}\n',
        '```json\n{"name": "lunr", "mb": 40}\n```',
        '```\n{"name": "lunr", "mb": 40}\n```\nI hope this helps!',
        '~~~json\n{"name": "lunr", "mb": 40}\n~~~',
        '   ```json\n   {"name": "lunr",\n   "mb": 40}\n   ```',
        'Here it is: {"name": "lunr", "mb": 40}. As asked.',
        'As [note.1] and {this} say, [1]: {"name": "lunr", "mb": 40}',
        'Draft: {"name": "lunr"}\nFinal: {"name": "lunr", "mb": 40}',
        'The code is\n```python\nx = {"a": 1}\n```\nand the answer\n```json\n{"name": "lunr", "mb": 40}\n```',
        'An unclosed fence:\n```json\n{"name": "lunr", "mb": 40}',
    ],
)
def test_json_is_found_with_any_text_around_it(text: str) -> None:
    found = fit(text, FIGURE)
    assert (found.value, found.errors, found.repaired) == (GOOD, (), False)


@pytest.mark.parametrize(
    "text",
    [
        "{'name': 'lunr', 'mb': 40}",
        '{"name": "lunr", "mb": 40,}',
        '{name: "lunr", mb: 40}',
        '{"name": "lunr" "mb": 40}',
        'Sure: {"name": "lunr", "mb": 40',
        '```json\n{"name": "lunr", // the library\n "mb": 40}\n```',
    ],
)
def test_broken_json_is_repaired_only_where_the_model_was_merely_asked(text: str) -> None:
    repaired = fit(text, FIGURE, repair=True)
    assert repaired.value == GOOD
    assert repaired.repaired
    strict = fit(text, FIGURE)
    assert not strict.ok
    assert strict.errors[0].startswith("$: not JSON: ")


def test_a_repair_that_does_not_fit_is_not_taken() -> None:
    found = fit("{'name': 'lunr'}", FIGURE, repair=True)
    assert not found.ok
    assert "not JSON" in found.errors[0]


def test_the_inside_of_broken_json_is_not_taken_for_the_answer() -> None:
    text = '{"steps": [{"id": "a", "needs": ["b"]}, {"id": "b" oops "needs": ["c"]}]}'
    assert not read_json(text).ok
    assert not fit(text, NAMES).ok


@pytest.mark.parametrize("text", ["", "no JSON here", "a [link](x) and {braces}", "[x] done"])
def test_no_json_is_said(text: str) -> None:
    assert fit(text, FIGURE, repair=True).errors == ("$: there is no JSON in the answer",)


def test_errors_are_lines_with_paths() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"list": {"type": "array", "items": FIGURE}}}
    found = fit('{"list": [{"name": "a", "mb": 1}, {"name": 7, "mb": "much", "why": 1}]}', schema)
    assert found.errors == (
        "$.list[1]: Additional properties are not allowed ('why' was unexpected)",
        "$.list[1].mb: 'much' is not of type 'number'",
        "$.list[1].name: 7 is not of type 'string'",
    )


def test_of_alternatives_the_nearest_error_is_reported() -> None:
    schema: dict[str, Any] = {"anyOf": [{"type": "null"}, FIGURE]}
    assert fit('{"name": "lunr", "mb": "x"}', schema).errors == ("$.mb: 'x' is not of type 'number'",)


def test_many_errors_are_counted_and_long_ones_cut() -> None:
    errors = fit(json.dumps([*[{"a": n, "b": n} for n in range(30)], {"a": 1, "long": "x" * 5000}]), NAMES).errors
    assert errors[-1] == "and 21 more"
    assert max(len(line) for line in errors) < 300
    assert len(validate("x" * 5000, {"type": "integer"})[0]) < 300


def test_a_form_that_is_no_object_comes_wrapped_or_bare() -> None:
    for text in ('{"answer": ["a", "b"]}', '["a", "b"]', 'So: ["a", "b"]!'):
        assert fit(text, NAMES, key="answer").value == ["a", "b"]


def test_an_object_of_its_own_that_has_the_key_is_left_alone() -> None:
    assert fit('{"answer": 1, "more": 2}', {"type": "object"}, key="answer").value == {"answer": 1, "more": 2}


def test_a_string_may_come_without_quotes() -> None:
    assert fit("Paris", {"type": "string"}).value == "Paris"
    assert fit('"Paris"', {"type": "string"}).value == "Paris"
    assert fit("Paris", {"type": "string", "enum": ["Rome"]}).errors == ("$: 'Paris' is not one of ['Rome']",)


@pytest.mark.parametrize("text", ['{"mb": NaN, "name": ""}', '{"mb": 1e999, "name": ""}', "[Infinity]"])
def test_a_number_is_finite(text: str) -> None:
    assert fit(text, {}, repair=True).errors == ("$: a number is not finite",)


def test_nesting_has_an_end() -> None:
    def nested(levels: int) -> str:
        return "[" * levels + "]" * levels

    assert read_json(nested(MOST_DEPTH)).ok
    assert read_json(nested(MOST_DEPTH + 1)).errors == (f"$: nested deeper than {MOST_DEPTH} levels",)
    assert not read_json(nested(100_000)).ok


def test_half_a_surrogate_does_not_get_in() -> None:
    value = read_json('{"a\\ud800": "b\\udfff"}').value
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "where", ["http://schemas.test/x.json", "http://127.0.0.1:1/x", "file:///etc/hostname", "other.json", "#/nowhere"]
)
def test_threat_a_schema_fetches_nothing(where: str) -> None:
    with pytest.raises(AnswerError, match="is not a valid JSON Schema") as caught:
        fit("{}", {"$ref": where})
    assert (caught.value.kind, caught.value.may_help) == ("schema", False)


@pytest.mark.parametrize("schema", [{"type": "strnig"}, {"required": 5}, {"properties": 5}, {"anyOf": 1}])
def test_a_schema_that_is_none_is_an_error_not_a_crash(schema: dict[str, Any]) -> None:
    with pytest.raises(AnswerError) as caught:
        fit('{"a": 1}', schema)
    assert caught.value.kind == "schema"


def test_patterns_are_judged() -> None:
    schema: dict[str, Any] = {"type": "string", "pattern": r"^\d{4}-\d{2}$"}
    assert fit('"2026-11"', schema).ok
    assert fit('"soon"', schema).errors == (r"$: 'soon' does not match '^\\d{4}-\\d{2}$'",)
    assert fit('"soon"', {"type": "string", "pattern": "(?=needs backtracking)"}).ok


@pytest.mark.timeout(20)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_threat_s39_a_pattern_cannot_stall(keyword: str) -> None:
    bomb, text = r"^(a+)+$", "a" * 60 + "!"
    if keyword == "pattern":
        assert not fit(json.dumps(text), {"type": "string", "pattern": bomb}).ok
    else:
        schema: dict[str, Any] = {"patternProperties": {bomb: {}}, "additionalProperties": False}
        assert fit(json.dumps({text: 1}), schema).ok


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    ["{", "[", '{"', '["', "[{'", '"a', '{"a":', "]}\n{", "[1,", "```\n", '{"\\"', "{a:", '{"]}', "1", "[[[[1,", "{ "],
)
def test_threat_s39_a_hostile_text_cannot_stall(piece: str) -> None:
    for length in (30_000, 1_000_000):
        text = piece * (length // len(piece))
        assert not fit(text, FIGURE, repair=True).ok
        assert not fit('{"x": [' + text, FIGURE, repair=True).ok


@given(JSON, st.sampled_from(["", "Here:\n", "```json\n", "[sic] "]), st.sampled_from(["", "\n```\n"]))
def test_what_is_written_is_read(value: Any, before: str, after: str) -> None:
    text = f"{before}{json.dumps([value])}{after}"
    assert read_json(text).value == [value]


@given(st.text() | st.text(alphabet="{}[]\":,'`~\\ \n01ab"))
def test_no_text_raises(text: str) -> None:
    for schema in (True, FIGURE, NAMES, {"type": "string"}):
        found = fit(text, schema, key="answer", repair=True)
        assert found.ok != bool(found.errors)


LIST = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"type": "string"}},
        "meta": {"type": "object"},
        "n": {"type": "integer"},
        "b": {"type": "boolean"},
    },
    "required": ["items"],
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"items": "[\\"a\\", \\"b\\"]"}', {"items": ["a", "b"]}),
        (json.dumps(json.dumps({"items": ["a"]})), {"items": ["a"]}),
        ('{"items": ["a"], "meta": "{\\"k\\": 1}"}', {"items": ["a"], "meta": {"k": 1}}),
        ('{"items": ["a"], "n": "3", "b": "True"}', {"items": ["a"], "n": 3, "b": True}),
        ('{"name": "answer", "arguments": {"items": ["a"]}}', {"items": ["a"]}),
        ('{"name": "answer", "arguments": "{\\"items\\": [\\"a\\"]}"}', {"items": ["a"]}),
        ('{"type": "object", "properties": {"items": ["a"]}}', {"items": ["a"]}),
        ('[{"items": ["a"]}]', {"items": ["a"]}),
        ('{"items": ["a"], "n": null}', {"items": ["a"]}),
        ('{"Items": ["a"]}', {"items": ["a"]}),
        ('{"result": {"items": ["a"]}}', {"items": ["a"]}),
        ('["a", "b"]', {"items": ["a", "b"]}),
        ("{“items”: [“a，b”]，“n”：3}", {"items": ["a，b"], "n": 3}),
        ('｛"items"：［"a“b”"］｝', {"items": ["a“b”"]}),
    ],
)
def test_fault_128_a_slip_with_one_meaning_is_put_right_by_the_schema(text: str, value: Any) -> None:
    found = fit(text, LIST)
    assert (found.value, found.ok, found.coerced, found.repaired) == (value, True, True, False)


@pytest.mark.parametrize("text", ['{"items": "a, b"}', '{"items": ["a"], "n": "three"}', '{"items": null}', '{"n": 3}'])
def test_fault_128_what_has_no_one_meaning_stays_wrong(text: str) -> None:
    assert not fit(text, LIST).ok


def test_fault_128_what_matches_is_not_touched() -> None:
    loose: dict[str, Any] = {"type": "object", "properties": {"n": {"type": ["string", "integer"]}}}
    found = fit('{"n": "3", "properties": null}', loose)
    assert (found.value, found.coerced) == ({"n": "3", "properties": None}, False)


def test_fault_169_a_bare_value_is_that_of_the_only_field() -> None:
    one: dict[str, Any] = {"type": "object", "properties": {"mb": {"type": "number"}}, "required": ["mb"]}
    assert fit("836", one).value == {"mb": 836}
    two: dict[str, Any] = {**one, "required": ["mb", "kb"]}
    assert not fit("836", two).ok
