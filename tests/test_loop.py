"""One attempt: turns, and going on behind a transcript."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest
from attempts import CUT, FIGURE, GIVEN, WORDING, Tried, attempt, looks, planning

from swarm.attempt.judge import CUT_REPORT
from swarm.attempt.prompt import messages
from swarm.attempt.types import Attempt, Given
from swarm.base.errors import AnswerError, EndpointBusy, EndpointRefused
from swarm.record.events import TurnTaken
from swarm.record.outcome import Outcome
from swarm.spec.chat import Message, Reply, Text, Usage
from swarm.testing import reply

pytestmark = pytest.mark.anyio

# A turn


async def test_a_text_is_taken_as_it_is() -> None:
    tried = Tried(attempt(trace="a" * 32, span="b" * 16), reply("  It is so.\n", usage=Usage(calls=1, input_tokens=7)))
    outcome = await tried.outcome()
    assert outcome == Outcome(output="It is so.", usage=Usage(calls=1, input_tokens=7))
    (request,) = tried.requests
    assert request.messages == messages(tried.attempt).messages
    assert (request.model, request.purpose, request.form, request.tools) == ("default", "text", None, ())
    assert request.max_tokens is None
    assert request.traceparent == f"00-{'a' * 32}-{'b' * 16}-01"


async def test_a_turn_is_noted_with_what_it_cost() -> None:
    answer = reply("yes", usage=Usage(calls=2, input_tokens=9, output_tokens=1)).model_copy(
        update={"seconds": 2.5, "model": "m-1", "endpoint": "http://e", "form": "json_object"}
    )
    tried = Tried(attempt(attempt=3), answer)
    await tried.outcome()
    (turn,) = tried.turns
    assert turn.messages == (answer.message,)
    assert (turn.step, turn.attempt, turn.usage, turn.seconds) == ("s", 3, answer.usage, 2.5)
    assert (turn.model, turn.endpoint, turn.finish, turn.form) == ("m-1", "http://e", "stop", "json_object")


async def test_the_purpose_says_what_an_answer_is_for() -> None:
    for made, answer, purpose in (
        (attempt("reducer", given=GIVEN), "A [read.1]", "report"),
        (attempt(output=FIGURE), '{"mb": 5}', "json"),
        (planning(), '{"steps": [{"id": "a", "prompt": "Go."}]}', "plan"),
    ):
        tried = Tried(made, answer)
        await tried.outcome()
        assert tried.requests[0].purpose == purpose


async def test_what_an_endpoint_raises_goes_through() -> None:
    tried = Tried(attempt(), EndpointBusy("no slot"))
    assert isinstance(await tried.error(), EndpointBusy)
    assert tried.turns == []


async def test_what_did_not_fit_is_listed() -> None:
    tried = Tried(attempt("reducer", given=(Given(step="x", about="", output="word\n" * 9000),), context=8000), "A [x]")
    assert (await tried.outcome()).left_out == tuple(messages(tried.attempt).left_out)
    assert messages(tried.attempt).left_out != ()


# Turns


async def test_the_model_gets_a_note_before_its_last_turn() -> None:
    tried = Tried(attempt(tools=("look_up",), turns=3), looks("a"), looks("b", "c"), "Well.")
    assert (await tried.outcome()).output == "Well."
    assert tried.words == [WORDING["last_turn"]]
    assert tried.requests[2].messages[-1].text == WORDING["last_turn"]


async def test_turns_have_an_end() -> None:
    tried = Tried(attempt(tools=("look_up",), turns=3), looks("a"), looks("b"), looks("c"))
    error = await tried.error()
    assert isinstance(error, AnswerError)
    assert (error.kind, error.may_help) == ("turns", False)
    assert len(tried.requests) == 3


async def test_an_answer_that_will_not_do_in_the_last_turn_is_what_is_wrong() -> None:
    assert (await Tried(attempt(output=FIGURE, turns=2), "x", "y").error()).kind == "form"
    report = Tried(attempt("reducer", given=GIVEN, turns=1), "A is 5.")
    assert (await report.outcome()).doubts == ("the report cites no step",)


# Going on behind a transcript

SCRIPTS: dict[str, tuple[Attempt, list[str | Reply]]] = {
    "tools": (
        attempt(tools=("look_up",), turns=6),
        [looks("a", "b"), reply(calls=[("wipe", {})]), looks("b"), looks("b"), looks("b"), "Well."],
    ),
    "form": (attempt(output=FIGURE), ["x", '{"mb": "y"}', '{"mb": 5}']),
    "form, in vain": (attempt(output=FIGURE), ["x", "y", "z"]),
    "cut": (attempt(settings={"max_tokens": 50}), [CUT, "", "Well."]),
    "cut, twice": (attempt(), [CUT, CUT]),
    "loop": (attempt(tools=("look_up",)), [looks("a"), looks("a"), looks("a"), looks("a")]),
    "unknown": (attempt(), [looks("a"), looks("b"), looks("c")]),
    "turns": (attempt(tools=("look_up",), turns=2), [looks("a"), looks("b")]),
    "a report, cut twice": (attempt("reducer", given=GIVEN), [CUT, CUT]),
    "a report, cut and without sources": (attempt("reducer", given=GIVEN), [CUT, "A", "B"]),
    "citations": (attempt("reducer", given=GIVEN), ["A", "B [read.9]"]),
    "evidence": (attempt("reducer", given=GIVEN), ["A needs 7 [read.1]", "A needs 5 [read.1]"]),
    "evidence, in vain": (attempt("reducer", given=GIVEN), ["A needs 7 [read.1]", "A needs 8 [read.1]"]),
    "evidence, then cut": (attempt("reducer", given=GIVEN), ["A needs 7 [read.1]", CUT]),
    "evidence, then a call": (attempt("reducer", given=GIVEN), ["A needs 7 [read.1]", looks("a")]),
    "citations, then evidence": (attempt("reducer", given=GIVEN), ["A", "A needs 7 [read.1]", "A needs 5 [read.1]"]),
    "plan": (planning(), ['{"steps": [{"id": "a", "needs": ["a"]}]}', '{"steps": [{"id": "a", "prompt": "Look."}]}']),
}


async def ended(tried: Tried) -> tuple[Any, ...]:
    """Carry out and give what came of it, but for the usage."""
    try:
        outcome = await tried.outcome()
    except AnswerError as error:
        return (error.kind, str(error), error.may_help)
    return (outcome.output, outcome.spawned, outcome.doubts, outcome.left_out)


def answers(turns: Iterable[TurnTaken]) -> int:
    return sum(message.role == "assistant" for turn in turns for message in turn.messages)


def by_call(messages: Iterable[Message]) -> list[Message]:
    """Return messages with the results of a turn in the order of its calls: they are noted as they come."""
    found: list[Message] = []
    for is_result, group in groupby(messages, key=lambda message: message.role == "tool"):
        together = list(group)
        found += sorted(together, key=lambda message: message.tool_call_id or "") if is_result else together
    return found


@pytest.mark.parametrize("name", SCRIPTS)
async def test_an_attempt_goes_on_wherever_it_was_interrupted(name: str) -> None:
    made, script = SCRIPTS[name]
    whole = Tried(made, *script)
    expected = await ended(whole)
    for cut in range(len(whole.turns) + 1):
        before = whole.turns[:cut]
        transcript = tuple(message for turn in before for message in turn.messages)
        rest = Tried(made.model_copy(update={"transcript": transcript}), *script[answers(before) :])
        assert await ended(rest) == expected
        assert len(rest.requests) == len(whole.requests) - answers(before)  # P1: nothing paid is paid again
        assert by_call([*transcript, *rest.said]) == by_call(whole.said)
        results = sum(message.role == "tool" for message in transcript)
        assert len(rest.results) == len(whole.results) - results
        assert [request.messages for request in rest.requests] == [
            request.messages for request in whole.requests[answers(before) :]
        ]


async def test_killed_behind_an_answer_that_was_cut_nobody_is_asked_to_shorten_what_is_to_be_split() -> None:
    made = attempt("reducer", given=GIVEN, on_cut="split")
    first = Tried(made, CUT)
    assert (await first.error()).kind == "truncated"
    again = Tried(made.model_copy(update={"transcript": tuple(first.said)}), "A needs 5 [read.1].")
    error = await again.error()
    assert (error.kind, error.may_help, again.requests) == ("truncated", True, [])


async def test_a_finished_answer_is_judged_not_asked_for_again() -> None:
    transcript = (Message(role="assistant", parts=(Text(text='{"mb": 5}'),)),)
    tried = Tried(attempt(output=FIGURE, transcript=transcript))
    assert await tried.outcome() == Outcome(output={"mb": 5})
    assert tried.turns == []


async def test_words_that_were_never_noted_come_with_the_next_turn() -> None:
    transcript = (Message(role="assistant", parts=(Text(text="x"),)),)
    tried = Tried(attempt(output=FIGURE, transcript=transcript), '{"mb": 5}')
    assert (await tried.outcome()).output == {"mb": 5}
    assert [message.role for message in tried.said] == ["user", "assistant"]


# A conversation that gets too long

TOO_LONG = EndpointRefused("the prompt is longer than the model reads", kind="context_length")


async def test_answers_that_were_wrong_are_left_out_of_a_conversation_that_is_too_long() -> None:
    tried = Tried(attempt(output=FIGURE), "a wrong answer", TOO_LONG, '{"mb": 5}')
    assert (await tried.outcome()).output == {"mb": 5}
    *_, before, after = tried.requests
    assert "a wrong answer" in [message.text for message in before.messages]
    prompt = messages(tried.attempt).messages
    assert [message.role for message in after.messages] == [message.role for message in prompt]
    assert after.messages[-1].parts == (*prompt[-1].parts, *tried.said[1].parts)


async def test_what_was_not_good_enough_is_taken_where_no_better_answer_fits() -> None:
    tried = Tried(attempt("reducer", given=GIVEN), "A needs 5.", TOO_LONG, TOO_LONG)
    outcome = await tried.outcome()
    assert (outcome.output, outcome.doubts) == ("A needs 5.", ("the report cites no step",))
    cut = Tried(attempt("reducer", given=GIVEN), CUT, TOO_LONG, TOO_LONG)
    outcome = await cut.outcome()
    assert (outcome.output, outcome.left_out) == ("A nee", (CUT_REPORT,))


async def test_answers_stay_in_a_conversation_with_tool_calls_that_is_too_long() -> None:
    """The results of tools cannot be left out, so the last answer is accepted without another call."""
    tried = Tried(attempt("reducer", given=GIVEN, tools=("look_up",)), looks("a"), "A needs 5.", TOO_LONG)
    assert (await tried.outcome()).doubts == ("the report cites no step",)
    assert len(tried.requests) == 3


@pytest.mark.parametrize(
    ("made", "script"),
    [
        (attempt(), [TOO_LONG]),
        (attempt(output=FIGURE), ["x", TOO_LONG, TOO_LONG]),
        (attempt(tools=("look_up",)), [looks("a"), TOO_LONG]),
        (attempt(output=FIGURE), ["x", EndpointRefused("no", kind="auth")]),
    ],
)
async def test_a_prompt_that_is_too_long_by_itself_ends_the_attempt(made: Attempt, script: list[Any]) -> None:
    tried = Tried(made, *script)
    assert isinstance(await tried.error(), EndpointRefused)
    assert len(tried.requests) == len(script)


async def test_a_report_that_is_cut_off_twice_is_given_and_said_to_be() -> None:
    outcome = await Tried(attempt("reducer", given=GIVEN), CUT, CUT).outcome()
    assert (outcome.output, outcome.left_out) == ("A nee", (CUT_REPORT,))
