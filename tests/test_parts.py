"""Reading in parts: which steps a step becomes, what each reads, and how their answers become one."""

import json
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.attempt.part_schemas import VALUE, filled, joined, part_schema
from swarm.attempt.parts import MOST_ID, narrowed, parts_of
from swarm.attempt.prompt import messages, reading_of
from swarm.attempt.types import Attempt, Given, Missing
from swarm.base.values import text_digest
from swarm.spec.chat import Text
from swarm.spec.plan import Step
from swarm.spec.task import Input
from tests.attempts import FIGURE, NAMES, attempt

LINES = "".join(f"Line {n} says {n * 7919 % 10007}.\n" for n in range(4000))


def file(name: str, text: str) -> Input:
    return Input(name=name, text=text, sha256=text_digest(text), size=len(text))


def image(name: str, size: int = 4000) -> Input:
    return Input(name=name, medium="image", mime="image/png", base64="A" * size, sha256=name, size=size)


def reading(*inputs: Input, **fields: Any) -> Attempt:
    output, context = fields.pop("output", None), fields.pop("context", 8192)
    step = fields.pop("step", None) or Step(id="study", prompt="Find it.", needs=("x",), output=output)
    return attempt(step=step, inputs=inputs, context=context, settings={"max_tokens": 4096}, **fields)


def texts_of(made: Attempt) -> list[str]:
    """Return the texts of a prompt that are not data."""
    return [part.text for part in messages(made).messages[1].parts if isinstance(part, Text)]


def made_of(whole: Attempt) -> list[Attempt]:
    """Return the attempts of the parts of an attempt, as they would be made."""
    found = parts_of(whole.step, whole)
    assert found is not None
    attempts: list[Attempt] = []
    for step in found.steps:
        inputs = tuple(each for each in whole.inputs if each.name in (step.inputs or ()))
        given = tuple(each for each in whole.given if each.step in step.after)
        inputs, given = narrowed(step, inputs, given)
        attempts.append(whole.model_copy(update={"step": step, "inputs": inputs, "given": given}))
    return attempts


def test_a_text_that_is_too_long_is_read_in_parts_that_fit() -> None:
    whole = reading(file("long.txt", LINES))
    *parts, last = made_of(whole)
    assert [each.step.id for each in (*parts, last)] == [*(f"study.{n}" for n in range(1, len(parts) + 1)), "study.0"]
    assert all(reading_of(each).fits for each in parts)
    own = [(each.inputs[0].text.encode(), each.step.part) for each in parts if each.step.part]
    assert b"".join(text[part.own - part.start :] for text, part in own).decode() == LINES
    length = parts[0].step.length
    assert length is not None
    assert length <= reading_of(whole).left // 2
    assert {(each.step.partial_of, each.step.length, each.step.prompt) for each in parts} == {
        ("study", length, "Find it.")
    }
    assert last.step.after == tuple(each.step.id for each in parts)
    assert (last.step.part, last.step.length, last.inputs) == (None, None, ())


def test_what_fits_is_not_split() -> None:
    assert parts_of(Step(id="s"), reading(file("short.txt", "short"))) is None


def test_many_texts_that_fit_alone_are_not_parts() -> None:
    whole = reading(*(file(f"{n}.txt", LINES[:3000]) for n in range(8)))
    assert not reading_of(whole).fits
    assert parts_of(whole.step, whole) is None


def test_a_planner_is_not_split() -> None:
    assert parts_of(Step(id="plan"), reading(file("long.txt", LINES), agent="planner")) is None


def test_a_part_that_fits_is_not_split_again_and_one_that_does_not_becomes_parts_of_the_same_text() -> None:
    whole = reading(file("log.csv", "name,price\n" + LINES))
    part = made_of(whole)[3]
    assert parts_of(part.step, part) is None
    small = part.model_copy(update={"context": 4096})
    found = parts_of(part.step, small)
    assert found is not None
    assert (found.combine, {step.partial_of for step in found.steps}) == ("text", {"study.4"})
    pieces = [step.part for step in found.steps if step.part is not None]
    mine = part.step.part
    assert mine is not None
    assert (pieces[0].start, pieces[0].own, pieces[-1].end) == (mine.start, mine.own, mine.end)
    assert [one.end for one in pieces[:-1]] == [other.own for other in pieces[1:]]
    assert (pieces[0].lines[0], pieces[-1].lines[1]) == mine.lines
    for step in found.steps:
        inputs, _ = narrowed(step, whole.inputs, ())
        text = inputs[0].text
        assert step.part is not None
        assert (text_digest(text), text[: mine.head]) == (step.part.sha256, part.inputs[0].text[: mine.head])
        assert reading_of(small.model_copy(update={"step": step, "inputs": inputs})).fits


def test_what_an_answer_could_not_repeat_is_read_again_in_pieces_that_it_can() -> None:
    part = made_of(reading(file("long.txt", LINES)))[0]
    found = parts_of(part.step, part, was_cut=True)
    assert found is not None
    assert found.combine == "text"
    assert part.step.length is not None
    assert all((step.length or 0) > part.step.length for step in found.steps)  # no step reads all of these answers
    for step in found.steps:
        inputs, _ = narrowed(step, (file("long.txt", LINES),), ())
        assert len(inputs[0].text) <= 0.8 * 3 * (step.length or 0)
        again = part.model_copy(update={"step": step, "inputs": inputs})
        assert parts_of(step, again, was_cut=True) is None


def test_a_cut_answer_of_several_long_texts_is_not_for_parts_of_one() -> None:
    given = (Given(step="x", about="", output="word " * 1100),)
    whole = reading(file("long.txt", LINES[:9000]), given=given)
    small = whole.model_copy(update={"settings": {"max_tokens": 700}})
    assert reading_of(small).fits
    assert parts_of(whole.step, small, was_cut=True) is None


def test_no_space_for_a_piece_is_no_part() -> None:
    assert parts_of(Step(id="s"), reading(file("long.txt", LINES), context=1024)) is None


def test_an_id_that_would_be_too_long_is_not_made() -> None:
    step = Step(id="a" * MOST_ID, prompt="Find it.")
    assert parts_of(step, reading(file("long.txt", LINES), step=step)) is None


def test_small_data_goes_with_every_part() -> None:
    given = (Given(step="x", about="", output="A fact."),)
    long = file("long.txt", LINES * 4)
    whole = reading(long, file("note.txt", "A note."), image("p.png", 200), given=given, context=32_000)
    *parts, last = made_of(whole)
    for each in parts:
        assert [one.name for one in each.inputs] == ["long.txt", "note.txt", "p.png"]
        assert each.step.after == ("x",)
        assert reading_of(each).fits
    assert (last.step.inputs, last.step.after) == ((), tuple(each.step.id for each in parts))


def test_more_data_goes_to_the_last_step_and_images_are_not_cut() -> None:
    given = (Given(step="x", about="", output="word " * 600),)
    images = (image("p.png"), image("q.png"))
    *parts, last = made_of(reading(file("long.txt", LINES), *images, given=given))
    assert {each.step.inputs for each in parts} == {("long.txt",)}
    assert {each.step.after for each in parts} == {()}
    assert last.step.inputs == ("p.png", "q.png")
    assert last.step.after == (*(each.step.id for each in parts), "x")


def test_every_part_is_told_what_is_missing() -> None:
    whole = reading(file("long.txt", LINES), missing=(Missing(step="gone", because="it failed"),))
    found = parts_of(whole.step, whole)
    assert found is not None
    assert {step.after for step in found.steps[:-1]} == {("gone",)}
    assert "gone" not in found.steps[-1].after


def test_a_part_of_a_report_can_repeat_what_it_reads() -> None:
    *parts, _ = made_of(reading(given=(Given(step="x", about="", output=LINES),), agent="reducer"))
    for each in parts:
        assert each.step.length is not None
        assert len(str(each.given[0].output)) <= 3 * each.step.length


def test_two_long_texts_are_both_read() -> None:
    *parts, last = made_of(reading(file("one.txt", LINES), file("two.txt", LINES)))
    names = [each.step.part.name for each in parts if each.step.part]
    assert names == ["one.txt"] * (len(parts) // 2) + ["two.txt"] * (len(parts) // 2)
    assert len(last.step.after) == len(parts)


def test_a_long_output_is_read_in_parts() -> None:
    rows = [{"name": f"item {n}", "price": n} for n in range(3000)]
    *parts, _ = made_of(reading(given=(Given(step="x", about="", output=rows),)))
    texts = [str(each.given[0].output) for each in parts]
    assert all(f'"name":"item {n}","price":{n}}}' in "".join(texts) for n in (0, 1234, 2999))
    assert {each.step.after for each in parts} == {("x",)}
    assert all(text.rstrip("]").endswith(("},", "}")) for text in texts)


def test_equal_pieces_have_equal_keys_wherever_they_are() -> None:
    before = made_of(reading(file("log.txt", LINES)))
    appended = made_of(reading(file("log.txt", LINES + "One more line.\n")))
    inserted = made_of(reading(file("log.txt", "A first line.\n" + LINES)))
    keys = {each.key for each in before[:-1]}
    assert [each.key for each in appended[:-2]] == [each.key for each in before[:-2]]
    assert len({each.key for each in inserted[:-1]} - keys) <= 3
    words = list(chain.from_iterable(map(texts_of, before)))
    assert not any("study.1" in text or "bytes" in text for text in words)


def test_a_part_says_that_it_is_one_and_that_its_first_line_is_repeated() -> None:
    first, second, *_, last = made_of(reading(file("long.txt", LINES)))
    notes = [texts_of(first), texts_of(second)]
    assert sum('one part of "long.txt"' in text for text in notes[0]) == 1
    assert not any("repeats the end" in text for text in notes[0])
    assert any("repeats the end" in text for text in notes[1])
    assert any("each for a part of the data" in text for text in texts_of(last))


def test_the_end_of_a_long_line_is_not_said_to_be_a_line() -> None:
    one_line = " ".join(f"w{n:05}" for n in range(8000))
    second = made_of(reading(file("long.txt", one_line)))[1]
    assert second.step.part is not None
    assert second.step.part.own > second.step.part.start
    assert "repeats the end" not in messages(second).messages[1].text


def test_a_list_is_joined_without_a_step() -> None:
    whole = reading(file("long.txt", LINES), output={**NAMES, "minItems": 3})
    found = parts_of(whole.step, whole)
    assert found is not None
    assert found.combine == "array"
    assert found.steps[-1].id == f"study.{len(found.steps)}"
    assert {json.dumps(step.output) for step in found.steps} == {json.dumps(NAMES)}


def test_the_fields_of_a_part_are_optional() -> None:
    schema = {**FIGURE, "properties": {"mb": {"type": "number"}, "names": {**NAMES, "minItems": 1}}, "minProperties": 1}
    assert part_schema(schema) == {"type": "object", "properties": {"mb": {"type": "number"}, "names": NAMES}}
    either = [{"type": "number"}, {"type": "null"}]
    assert part_schema({"type": "number", "$defs": {}}) == {"$defs": {}, "anyOf": either}


@pytest.mark.parametrize(
    ("values", "value", "unclear"),
    [
        ([{"a": 1}, {"b": 2}, None], {"a": 1, "b": 2}, ()),
        ([{"a": 1}, {"a": 1, "b": ""}, {"b": "x"}], {"a": 1, "b": "x"}, ()),
        ([{"a": 1, "b": 2}, {"a": 3}], {"b": 2}, ("a",)),
        ([{"a": [1, 2]}, {"a": [2, 3]}], {"a": [1, 2, 3]}, ()),
        ([{"a": {"b": 1}}, {"a": {"c": 2}}], {"a": {"b": 1, "c": 2}}, ()),
        ([{"a": {"b": 1}}, {"a": {"b": 2}}], {}, ("a",)),
        ([[1], [2]], [1, 2], ()),
        ([None, 5, 5], 5, ()),
        ([4, 5], None, (VALUE,)),
        ([None, None], None, (VALUE,)),
        ([{"a": 1}, "text"], None, (VALUE,)),
    ],
)
def test_values_of_parts_become_one(values: list[Any], value: Any, unclear: tuple[str, ...]) -> None:
    assert (filled(values).value, filled(values).open) == (value, unclear)


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 8))
@settings(max_examples=200)
def test_lists_of_pieces_with_one_shared_entry_are_the_whole_list(whole: list[int], size: int) -> None:
    pieces = [whole[max(0, n - 1) : n + size] for n in range(0, len(whole), size)]
    assert joined(pieces) == whole


def test_entries_of_a_shared_record_are_there_once() -> None:
    assert joined([["a", "b", "c"], ["b", "c", "d"], ["e"]]) == ["a", "b", "c", "d", "e"]
    assert joined([["x", "x"], ["x", "x"]]) == ["x", "x", "x"]
