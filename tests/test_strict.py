import contextlib
import json
import os
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm.base.errors import InputError, PlanError, Problem, TaskError
from swarm.spec.plan import Plan
from swarm.spec.task import Task
from swarm.spec.yaml.notation import MOST_BYTES, MOST_DEPTH
from swarm.spec.yaml.strict import Document, parse, read, read_file, validate
from swarm.spec.yaml.yaml12 import write_yaml


def wrong(text: str, source: str = "t.yaml") -> list[str]:
    with pytest.raises(InputError) as caught:
        read(text, source=source)
    return str(caught.value).split("\n")


def wrong_task(text: str) -> list[str]:
    with pytest.raises(TaskError) as caught:
        validate(Task, parse(text, source="t.yaml"))
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("1:30", "1:30"), ("010", 10), ("0o17", 15),
        ("0x1F", 31), ("400_000", 400_000), ("-3", -3), ("1e3", 1000.0), (".5", 0.5), ("2020-01-01", "2020-01-01"),
        ("~", None), ("", None), ("Null", None), ("TRUE", True), ("tRue", "tRue"), ("0b11", "0b11"), ("1.2.3", "1.2.3"),
        ("'1'", "1"), ('"null"', "null"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_threat_s19_scalars_are_of_yaml_1_2(text: str, value: Any) -> None:
    found = read(f"a: {text}", source="t").value["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "t.yaml:2:1: a: duplicate key `a`; it is already in line 1"),
        ("a: {b: 1, b: 2}", "t.yaml:1:11: a.b: duplicate key `b`; it is already in line 1"),
        ('{"a": 1,\n "a": 2}', "t.yaml:2:2: a: duplicate key `a`; it is already in line 1"),
        ("a: &x 1", "t.yaml:1:4: a: `&x` is an anchor, which is not supported; remove it"),
        ("a: *x", "t.yaml:1:4: a: `*x` is an alias, which is not supported; write the value itself"),
        ("a: .inf", "t.yaml:1:4: a: `.inf` is not a finite number; quote it if it is text"),
        ("a: .nan", "t.yaml:1:4: a: `.nan` is not a finite number; quote it if it is text"),
        ("a: 1e400", "t.yaml:1:4: a: `1e400` is too large for a number"),
        ('{"a": 1e400}', "t.yaml:1:7: a: `1e400` is too large for a number"),
        ('{"a": NaN}', "t.yaml:1:7: a: `NaN` is not JSON"),
        ('{"a": -Infinity}', "t.yaml:1:7: a: `-Infinity` is not JSON"),
        (".nan: 1", 't.yaml:1:1: .nan: the key `.nan` is not text; quote it: ".nan"'),
        ("1: a", 't.yaml:1:1: 1: the key `1` is not text; quote it: "1"'),
        ("? [a]\n: b", "t.yaml:1:3: a key must be text, not a list or a mapping"),
        ("a: !!python/object/apply:os.system [x]", "t.yaml:1:4: a: `tag:yaml.org,2002:python/object/"),
        ("a: !!str 1", "t.yaml:1:4: a: `tag:yaml.org,2002:str` is a tag"),
        ("a: 1\n---\nb: 2", "t.yaml:2:1: a second document begins; only one per file is allowed"),
        ("%YAML 1.1\n---\na: no", "t.yaml:2:1: unsupported directive; only `%YAML 1.2` is allowed"),
        ("a:\n\t- b", "t.yaml:2:1: not YAML: a tab; indent with spaces"),
        ("a: [1, 2", "t.yaml:1:9: not YAML: expected ',' or ']'"),
        ("a: {k: ${KEY}}", 'inside { } and [ ], put a reference in double quotes: "${NAME}"'),
        ("a: \x07", "t.yaml:1:4: the character U+0007 is not allowed in YAML; remove it"),
        ('a: "\\ud800"', "t.yaml:1:4: a: the text contains half a character (a lone surrogate); remove it"),
        ('{"a": "\\ud800"}', "t.yaml:1:7: a: the text contains half a character (a lone surrogate); remove it"),
    ],
)  # fmt: skip
def test_threats_s17_s18_s19_what_is_refused(text: str, message: str) -> None:
    assert message in wrong(text)[0]


@pytest.mark.parametrize("text", ["a: " + "9" * 5000, '{"a": ' + "9" * 5000 + "}", "a: 1234567890123456789"])
def test_threat_s38_whole_numbers_fit_64_bits(text: str) -> None:
    assert "is a whole number with more than 18 digits; quote it if it is text" in wrong(text)[0]


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000, "{a: " * 1_000, '{"a":' * 50_000, "[" * 900 + "]" * 900])
def test_threat_s19_depth_is_bounded(text: str) -> None:
    (message,) = wrong(text)
    assert message.endswith(f"nested deeper than {MOST_DEPTH} levels")


def test_as_deep_as_allowed_is_read() -> None:
    text = "[" * MOST_DEPTH + "]" * MOST_DEPTH
    assert read(text, source="t").value
    assert read(f"a: {text[1:-1]}", source="t").value
    for deeper in (f"[{text}]", f"a: {text}"):
        assert wrong(deeper)[0].endswith("nested deeper than 64 levels")


def test_threat_s18_a_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert "is an anchor" in wrong(bomb)[0]


def test_too_many_bytes_are_refused_unread() -> None:
    assert wrong("#" * (MOST_BYTES + 1)) == ["t.yaml: has more than 1,000,000 bytes, the maximum"]
    assert wrong("ö" * (MOST_BYTES // 2 + 1)) == wrong("#" * (MOST_BYTES + 1))


@pytest.mark.parametrize(("before", "between", "after"), [("steps:\n  - ", "\n  - ", ""), ('{"steps": [', ",", "]}")])
def test_a_list_over_its_cap_ends_the_parsing(before: str, between: str, after: str) -> None:
    text = before + between.join(json.dumps({"id": f"s{n}", "prompt": "work"}) for n in range(300)) + after
    broken_later = text if after else text + "\n  - ]"
    with pytest.raises(PlanError, match="more than 256 items, the maximum that `limits"):
        parse(broken_later, source="t", caps={("steps",): 256}, error=PlanError)
    assert len(parse(text, source="t", caps={("steps",): 300}).value["steps"]) == 300


def test_fault_146_a_flood_of_problems_is_cut() -> None:
    found = wrong("a: &a 1\n" * 100_000)
    assert len(found) == 101
    assert found[-1].endswith("more than 100 errors; these are the first")
    with pytest.raises(TaskError) as caught:
        validate(Task, parse(f"{{inputs: [{'3,' * 2_000}]}}", source="t"))
    assert 100 <= len(caught.value.problems) <= 300


def test_problems_before_a_syntax_error_are_reported_too() -> None:
    assert wrong("a: 1\na: 2\nb: [") == [
        "t.yaml:2:1: a: duplicate key `a`; it is already in line 1",
        "t.yaml:3:5: not YAML: expected a value, but found '<stream end>' (while parsing a value)",
    ]


def test_places_of_values_and_keys() -> None:
    text = 'a: 1\nb:\n  - x\n  - {c: "é", d: [1,\n      2]}\n'
    document = read(text, source="f")
    assert document.place(("a",)) == "f:1:4"
    assert document.place(("b", 1, "d", 1)) == "f:5:7"
    assert document.place(("b", 1, "d"), key=True) == "f:4:14"
    assert document.place(("b", 1, "absent", 3)) == "f:4:5"
    assert document.place() == "f:1:1"


def test_places_in_json_are_found_when_asked_for() -> None:
    text = '\n{"a": {"b\\"": [1, {"c":\n null}], "tab":\t2},\n\t"d": 3}'
    document = read(text, source="f")
    assert not document.known
    assert document.place(("a", 'b"', 1, "c")) == "f:3:2"
    assert document.place(("a", "tab")) == "f:3:17"
    assert document.place(("d",), key=True) == "f:4:2"


def test_text_below_other_text_keeps_its_lines() -> None:
    document = parse("a: 1\na: 2", source="f", line=11)
    assert [str(p) for p in document.in_order(document.problems)] == [
        "f:12:1: a: duplicate key `a`; it is already in line 11"
    ]


def test_two_halves_in_json_are_one_character() -> None:
    assert read('{"a": "\\ud83d\\ude00"}', source="t").value == {"a": "😀"}
    assert read('a: "\\ud83d\\ude00"', source="t").value == {"a": "😀"}


SCALARS = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.sampled_from(
    ["no", "null", "~", "1e3", "0x1F", "400_000", "- a", "a: b", "---", "<<", "1:30", "2020-01-01", ""]
)
TEXTS = (
    WORDS
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.text("a \n-:#{}'\"|>%@`01_.~\t,?\r\x85\u2028", max_size=12)
)
VALUES = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


@settings(deadline=None, max_examples=150)
@given(VALUES)
@example({"a": "x\n\n  y\n", "b": [None, []], "c": {}})
def test_what_is_written_as_yaml_or_json_reads_back(value: Any) -> None:
    assert read(write_yaml(value), source="t").value == value
    assert read(json.dumps([value]), source="t").value == [value]
    assert read(json.dumps([value], ensure_ascii=False, indent=1), source="t").value == [value]


def test_yaml_is_written_for_people() -> None:
    same = [1]
    value = {"goal": "a\nb\n", "steps": [{"id": "x", "n": "no"}], "same": {"a": same, "b": same}}
    assert write_yaml(value) == (
        'goal: |\n  a\n  b\nsteps:\n  - id: x\n    "n": "no"\nsame:\n  a:\n    - 1\n  b:\n    - 1\n'
    )


HOSTILE = st.text("ab:-?[]{},&*!|>'\"%@`#~ \n\t\\01.<=u\x00\x85\ufeff\ud800", max_size=40) | st.binary(max_size=40).map(
    lambda content: content.decode("latin-1")
)


@settings(deadline=None, max_examples=150)
@given(HOSTILE)
@example('"\\UFFFFFFFF"')
@example("%TAG ! tag:x\n---\na")
@example("? ? ? a")
@example("!<")
def test_no_text_gives_a_traceback(text: str) -> None:
    with contextlib.suppress(InputError):
        document = parse(text, source="t")
        document.place(("a", 0))
        validate(Task, document)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60))
def test_no_bytes_give_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        parse(read_file(path), source="t")


def test_files_that_cannot_be_read(tmp_path: Any) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9")
    (tmp_path / "big.yaml").write_bytes(b"#" * (MOST_BYTES + 1))
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    for name, message in (
        ("none.yaml", f"{tmp_path}/none.yaml: there is no such file"),
        (".", f"{tmp_path}: is a folder, not a file"),
        ("latin.yaml", f"{tmp_path}/latin.yaml:2:1: is not UTF-8 text; save it as UTF-8"),
        ("big.yaml", f"{tmp_path}/big.yaml: has more than 1,000,000 bytes, the maximum"),
        ("pipe.yaml", f"{tmp_path}/pipe.yaml: is not a regular file"),
        ("device.yaml", f"{tmp_path}/device.yaml: is not a regular file"),
        ("n\0l", "n␀l: there is no such file"),
    ):
        with pytest.raises(TaskError) as caught:
            read_file(tmp_path / name)
        assert message in str(caught.value)


def test_a_byte_order_mark_is_removed(tmp_path: Any) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read(read_file(path), source="t").value == {"a": 1}


def test_every_problem_at_once_in_the_order_of_the_file() -> None:
    text = """goal: x
modles: {}
inputs:
  - {pth: a, label: Bad Label}
  - 3
models:
  default: {endpoint: 3, key: {a: 1}, calls: 0, takes: [imge], hedge: no}
limits: {workers: "3", steps: 1.5, tokens: 400_000, wrkers: 3}
approve: akk
agents: *x
"""
    names = (
        "names have lower case letters, digits, `_`, `.` and `-`, begin with a letter or digit, and have at most 64 "
        "characters"
    )
    assert wrong_task(text) == [
        "t.yaml:2:1: modles: unknown key; allowed here: agents, approve, goal, inputs, labels, limits, mcp, models, "
        "on_failure, otel, output, parameters, patience, plan, python, report, swarm, tools, version and web; "
        "did you mean `models`?",
        "t.yaml:4:5: inputs.0.path: is required but missing",
        "t.yaml:4:6: inputs.0.pth: unknown key; allowed here: as, label, name and path; did you mean `path`?",
        f"t.yaml:4:21: inputs.0.label: invalid name `Bad Label`; {names}; did you mean `bad-label`?",
        't.yaml:5:5: inputs.1: is the number 3; allowed: text or a mapping; quote it if it is text: "3"',
        't.yaml:7:23: models.default.endpoint: is the number 3; allowed: text; quote it if it is text: "3"',
        "t.yaml:7:31: models.default.key: is a mapping; allowed: text or a list",
        "t.yaml:7:46: models.default.calls: is the number 0; allowed: at least 1",
        "t.yaml:7:57: models.default.takes.0: is the text `imge`; allowed: `text`, `image`, `audio` or `video`; "
        "did you mean `image`?",
        "t.yaml:7:71: models.default.hedge: is the text `no`; allowed: `true` or `false`",
        "t.yaml:8:19: limits.workers: is the text `3`; allowed: `auto` or a whole number",
        "t.yaml:8:31: limits.steps: is the number 1.5; allowed: a whole number",
        "t.yaml:8:53: limits.wrkers: unknown key; allowed here: depth, rounds, seconds, steps, tokens, turns, usd and "
        "workers; did you mean `workers`?",
        "t.yaml:9:10: approve: is the text `akk`; allowed: `auto`, `ask`, `tools` or `all`; did you mean `ask`?",
        "t.yaml:10:9: agents: `*x` is an alias, which is not supported; write the value itself",
    ]  # fmt: skip


def test_a_union_is_one_problem_where_the_branch_that_was_meant_is_wrong() -> None:
    assert wrong_task("plan:\n  steps:\n    - {id: a, agnt: b, each: {x: 1}}") == [
        "t.yaml:3:15: plan.steps.0.agnt: unknown key; allowed here: after, agent, check, each, id, inputs, key, merge, "
        "model, needs, open, optional, output, prompt, retries, seconds, tokens, tools and vote; did you mean `agent`?",
        "t.yaml:3:30: plan.steps.0.each: is a mapping; allowed: text or a list",
    ]
    assert wrong_task("plan: 3") == [
        't.yaml:1:7: plan: is the number 3; allowed: a mapping, a list or text; quote it if it is text: "3"'
    ]
    assert wrong_task("parameters: {a: [1]}") == [
        "t.yaml:1:17: parameters.a: is a list; allowed: text, a whole number, a number or `true` or `false`"
    ]


@pytest.mark.parametrize("text", ["", "# nothing", "null", "[]", "text"])
def test_a_file_that_is_not_a_mapping(text: str) -> None:
    (message,) = wrong_task(text)
    assert "allowed: a mapping with the keys agents, approve, goal" in message


def test_a_value_that_may_be_a_secret_is_not_in_a_message() -> None:
    (message,) = wrong_task("limits: {workers: sk-abcdefghijklmnop1234}")
    assert message == "t.yaml:1:19: limits.workers: is a text; allowed: `auto` or a whole number"


def test_problems_that_name_a_key_get_its_place() -> None:
    document: Document = read("steps:\n  - {id: a.b, needs: [x, y]}", source="p")
    (found,) = document.located([Problem("no such step", key="steps.0.needs.1")])
    assert str(found) == "p:2:26: steps.0.needs.1: no such step"
    (in_parent,) = document.located([Problem("gone", key="steps.0.agent")])
    assert in_parent.where == "p:2:5"
    assert validate(Plan, document).steps[0].needs == ("x", "y")


def test_problems_that_name_a_path_get_its_place_and_key_in_the_order_of_the_file() -> None:
    document = read("a.b: {c: 1}\nd: 2", source="p")
    problems = (
        Problem("in its place", path=("d",)),
        Problem("on its key", path=("a.b", "c"), on_key=True),
        Problem("at a position", path=("d",), position=(1, 1)),
        Problem("in its place", path=("d",)),
    )
    assert [str(problem) for problem in document.in_order(problems)] == [
        "p:1:1: d: at a position",
        "p:1:7: a.b.c: on its key",
        "p:2:4: d: in its place",
    ]
    assert [problem.where for problem in document.located(problems)] == ["p:2:4", "p:1:7", "p:1:1", "p:2:4"]
