"""What models write in place of answers, in the forms of many families: calls, thoughts, citations, values."""

from typing import Any

import pytest

from swarm.attempt.answers import fit
from swarm.attempt.citations import check_report
from swarm.attempt.written_calls import is_written_call
from swarm.endpoints.wire.thoughts import answer_in

FIVE = "The sum is five."

CALLS = (
    "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
    "[TOOL_CALLS]f[ARGS]{}",
    "```tool_code\nprint(f(a=1))\n```",
    '```tool_call\n{"name": "f", "arguments": {}}\n```',
    '<tools>{"name": "f", "arguments": {}}</tools>',
    "<tool_use>\n<name>f</name>\n<arguments>{}</arguments>\n</tool_use>",
    "I will look it up.\n<use_mcp_tool>\n<tool_name>f</tool_name>\n</use_mcp_tool>",
    "<tool_code>print(f())</tool_code>",
    'Action: f\nAction Input: {"a": 1}',
    "Thought: I need to search.\nAction: search\nAction Input: five\nObservation:",
    '{"name": "f", "arguments": {"a": 1}}',
    '{"type": "function", "name": "f", "parameters": {}}',
    '[{"tool": "f", "args": {}}]',
    '{"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}',
    '{"function_call": {"name": "f", "arguments": "{}"}}',
    "[f(a=1), g(b='x')]",
    "[[search(q='x')]]",
    'functools[{"name": "f", "arguments": {}}]',
    '<xai:function_call name="f"><parameter name="a">1</parameter></xai:function_call>',
    'to=functions.f json{"a": 1}',
    '>>>f\n{"a": 1}',
    "<|recipient|>f\n<|content|>{}",
    "<ctrl42>call:f{a:1}<ctrl43>",
)
NO_CALLS = (
    'Hermes writes `<tool_call>` around JSON, and Llama 4 writes `[f(a=1)]`.',
    "Action: the board raised the price.\nInput: none.",
    "Thought: two and three.\nAction: add\nAction Input: 2, 3\nObservation: 5\nFinal Answer: five",
    '{"name": "Alpha", "arguments": "for and against"}',
    '{"name": "Alpha", "parameters": {"size": 3}, "price": 5}',
    '{"tool_calls": [], "note": "none"}',
    "[a] says so (see b=2).",
    "```python\nprint(f(a=1))\n```",
    "[]",
)  # fmt: skip


@pytest.mark.parametrize("text", CALLS)
def test_fault_111_a_call_of_any_family_is_no_answer(text: str) -> None:
    assert is_written_call(text)


def test_fault_128_the_json_of_a_call_may_be_a_typed_answer() -> None:
    assert not is_written_call('{"name": "answer", "arguments": {"n": 836}}', wants_json=True)
    assert is_written_call("<tool_call>f</tool_call>", wants_json=True)


@pytest.mark.parametrize("text", NO_CALLS)
def test_fault_111_a_text_that_looks_like_a_call_is_an_answer(text: str) -> None:
    assert not is_written_call(text)


@pytest.mark.parametrize("text", ["[f(" + "a=1, " * 50_000, "Action: f\n" * 50_000, '{"name": "f", ' * 20_000])
def test_long_texts_cost_no_time(text: str) -> None:
    assert not is_written_call(text)


@pytest.mark.parametrize(
    "text",
    [
        f"<thinking>a</think>{FIVE}",
        f"<reflection>a</reflection>{FIVE}",
        f"<scratchpad>a</scratchpad>\n{FIVE}",
        f"<inner_monologue>a</inner_monologue>{FIVE}",
        f"<longcat_think>a</longcat_think>{FIVE}",
        f"<think_never_used_51bce0c785>a</think_never_used_51bce0c785>{FIVE}",
        f"<思考>a</思考>{FIVE}",
        f'<details type="reasoning" done="true"><summary>Thought for 3 s</summary>\n> a\n</details>\n{FIVE}',
        f"<unused94>thought\na<unused95>{FIVE}",
        f"<|start_think|>a<|end_think|>{FIVE}",
        f"<|thought_start|>a<|thought_end|>{FIVE}",
        f"<｜think｜>a<｜/think｜>{FIVE}",
        f"analysis We add.assistantfinal{FIVE}",
        f"assistantfinal{FIVE}",
        f"<answer>{FIVE}</answer>",
        f"<Thought>a</Thought><Output>{FIVE}</Output>",
        f"<|begin_of_box|>{FIVE}<|end_of_box|>",
        f"{FIVE}[/INST]",
        f"{FIVE}<|eom|><|eos|>",
    ],
)
def test_fault_112_thoughts_and_tokens_of_any_family_are_removed(text: str) -> None:
    assert answer_in(text).strip() == FIVE


@pytest.mark.parametrize("text", ["Thought leaders say so.", "The <output> of it.", "It ends with <answer>."])
def test_fault_112_a_text_about_them_is_left_alone(text: str) -> None:
    assert answer_in(text) == text


@pytest.mark.parametrize(
    "bracket",
    [
        "[Quelle: a]", "[Fuente: a]", "[出典: a]", "[来源：a]", "[источник: a]", "[Étape a]", "[ref:a]", "[cite:a]",
        "[citation: a]", "[@a]", "[id: a]", "[a p. 3]", "[a: 3]", "[a†L1-L3]", "[from a]", "[cf. a]", "[output of a]",
        "[task a]", '["a"]', "[(a)]", "[`a`]", "\\[a\\]", "\\cite{a}", "<cite>a</cite>", "[a](#a)", "〖a〗", "⟦a⟧",
        "【a:0†source】", "[^a^]",
    ],
)  # fmt: skip
def test_fault_136_one_step_is_cited(bracket: str) -> None:
    assert check_report(f"It needs 12 GB {bracket}.", ("a", "b")).cited == ("a",)


@pytest.mark.parametrize("bracket", ["[a/b]", "[a + b]", "[a | b]", "[a · b]", "[a und b]", "[a et b]", "[a と b]"])
def test_fault_136_two_steps_are_cited(bracket: str) -> None:
    assert check_report(f"It needs 12 GB {bracket}.", ("a", "b")).cited == ("a", "b")


@pytest.mark.parametrize("text", ["See [page 3].", "[a link](https://a.example)", "[of a kind]", "It said [a lot]."])
def test_fault_136_other_brackets_are_no_citations(text: str) -> None:
    assert check_report(text, ("a", "b")) == check_report("", ())


NUMBER: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
LIST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "firstNames": {"type": "array", "items": {"type": "string"}},
        "ok": {"type": "boolean"},
        "x": {"type": "number"},
    },
    "required": ["firstNames"],
    "additionalProperties": False,
}
LEVEL: dict[str, Any] = {"type": "object", "properties": {"level": {"enum": ["low", "high"]}}, "required": ["level"]}
CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    "text",
    [
        "836", "836.", "**836**", "n: 836", "n = 836", "n：836", "$\\boxed{836}$", "[836]", "８３６",
        '{"n": ８３６}', '{"n": "８３６"}', '{"n": [836]}', '{"n": {"value": 836}}', '{"n ": 836}',
        '{"$schema": "x", "n": 836}',
        '{"n": 836, "_comment": "x"}', '{"data": {"n": 836}, "status": "ok"}',
        '{"function": {"name": "answer", "arguments": "{\\"n\\": 836}"}}',
        '{"tool_calls": [{"function": {"name": "answer", "arguments": "{\\"n\\": 836}"}}]}',
    ],
)  # fmt: skip
def test_fault_169_a_value_with_one_meaning_is_taken_and_noted(text: str) -> None:
    found = fit(text, NUMBER)
    assert (found.value, found.coerced) == ({"n": 836}, True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"n": "1,836"}', {"n": 1836}),
        ('{"first_names": "Ada"}', {"firstNames": ["Ada"]}),
        ('{"firstNames": [1]}', {"firstNames": ["1"]}),
        ('{"firstNames": [{"name": "Ada"}]}', {"firstNames": ["Ada"]}),
        ('{"firstNames": [], "ok": 1, "x": "N/A"}', {"firstNames": [], "ok": True}),
        ('{"firstNames": [], "ok": "oui", "x": ""}', {"firstNames": [], "ok": True}),
        ("high", {"level": "high"}),
        ("Level: **low**", {"level": "low"}),
    ],
)
def test_fault_128_slips_of_other_kinds_are_put_right(text: str, value: Any) -> None:
    schema = NUMBER if "n" in value else LEVEL if "level" in value else LIST
    found = fit(text, schema)
    assert (found.value, found.coerced) == (value, True)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("836 million", NUMBER),
        ("The answer is 836.", NUMBER),
        ('{"n": null}', NUMBER),
        ('{"n": 836, "note": "in 2020"}', NUMBER),
        ('{"firstNames": "Ada, Alan"}', LIST),
        ('{"firstNames": [], "x": "3,5"}', LIST),
        ('{"firstNames": null}', LIST),
        ("medium", LEVEL),
        ("I cannot help with that.", CITY),
    ],
)
def test_fault_128_what_may_mean_two_things_is_asked_for_again(text: str, schema: dict[str, Any]) -> None:
    assert not fit(text, schema).ok
