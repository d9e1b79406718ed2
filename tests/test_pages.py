"""The page of a step, for people: a text as it is, any other value as JSON that can be read."""

from attempts import attempt

from swarm.base.values import Json
from swarm.executors.pages import page
from swarm.record.outcome import Outcome


def answer(output: Json) -> str:
    text = page(attempt(), Outcome(output=output))
    return text.partition("## Answer\n\n")[2].partition("\n\n## Asked\n\n")[0]


def test_an_answer_is_shown_as_it_is_and_a_value_as_json() -> None:
    assert answer("A needs 5.\n- x") == "A needs 5.\n- x"
    assert answer([{"größe": 5}]) == '```json\n[\n  {\n    "größe": 5\n  }\n]\n```'
    assert answer("\ud800") == "\ud800"
    assert answer(["\ud800", float("inf")]).startswith("```json\n["), "what no file can hold is no error"
