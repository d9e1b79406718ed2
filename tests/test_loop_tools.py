"""Tool calls in an attempt: results, refusals, loops and caps."""

import pytest
from attempts import FIGURE, WORDING, Tried, attempt, looks

from swarm.attempt.long_results import READ_MORE, SHOWN_BYTES
from swarm.attempt.loop import carry_out
from swarm.attempt.prompt import phrase
from swarm.attempt.tool_turns import CALLS_A_TURN
from swarm.attempt.transcript import in_order
from swarm.spec.chat import Data, Message, Reply, Request, ToolCall
from swarm.testing import Function, reply
from swarm.tools import Toolbox, ToolContext
from swarm.tools.functions import tool

pytestmark = pytest.mark.anyio

# Tools


async def test_a_result_reaches_the_model_as_data() -> None:
    tried = Tried(attempt(tools=("look_up",)), looks("tea"), "It is TEA.")
    assert (await tried.outcome()).output == "It is TEA."
    assert tried.requests[0].tools == (*tried.library.box.specs(["look_up"]), READ_MORE)
    result = tried.requests[1].messages[-1]
    assert result == Message(role="tool", parts=(Data(of="tool", name="look_up", text="TEA"),), tool_call_id="call-1")


async def test_a_tool_gets_the_context_of_the_call() -> None:
    seen: list[ToolContext] = []

    @tool
    def look_up(word: str, context: ToolContext) -> str:
        """Look a word up."""
        seen.append(context)
        return word

    tried = Tried(attempt(tools=("look_up",), attempt=3, labels=("blue", "red")), looks("tea", "milk"), "Tea.")
    tried.library.box = Toolbox([look_up])
    assert (await tried.outcome()).output == "Tea."
    assert {request.labels for request in tried.requests} == {("blue", "red")}
    assert [(each.step, each.attempt, each.labels) for each in seen] == [("s", 3, ("blue", "red"))] * 2
    assert all(each.ended.is_set() for each in seen)


async def test_a_tool_with_a_label_that_the_attempt_does_not_carry_is_words_to_the_model() -> None:
    @tool(label="private")
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    tried = Tried(attempt(tools=("look_up",), labels=("public",)), looks("tea"), "Well.")
    tried.library.box = Toolbox([look_up])
    await tried.outcome()
    assert tried.results == ["Failed: look_up returns data labelled private, which this step may not read"]


async def test_tools_and_a_form_are_not_asked_for_together() -> None:
    tried = Tried(attempt(output=FIGURE, tools=("look_up",)), looks("tea"), '{"mb": 5}')
    assert (await tried.outcome()).output == {"mb": 5}
    assert [request.form for request in tried.requests] == [None, None]
    assert '"mb"' in tried.requests[0].messages[1].text


async def test_everything_is_noted_before_it_is_acted_on() -> None:
    answers = iter([looks("a", "b"), looks("c"), reply("Done.")])
    tried = Tried(attempt(tools=("look_up",)))
    seen: list[tuple[int, list[str]]] = []

    def answer(request: Request) -> Reply:
        assert list(request.messages[2:]) == in_order(tried.said)
        seen.append((len(tried.turns), list(tried.library.asked)))
        return next(answers)

    await carry_out(tried.attempt, endpoint=Function(answer), tools=tried.library.box, note=tried.note)
    assert [(count, sorted(asked)) for count, asked in seen] == [(0, []), (3, ["a", "b"]), (5, ["a", "b", "c"])]
    assert [turn.usage.calls for turn in tried.turns] == [1, 0, 0, 1, 0, 1]


async def test_a_tool_that_fails_is_words_to_the_model() -> None:
    tried = Tried(attempt(tools=("look_up",)), looks("fail"), "Not found.")
    await tried.outcome()
    assert tried.results == ["Failed: KeyError: 'no such word'"]


async def test_fault_71_malformed_arguments_are_words_to_the_model() -> None:
    call = ToolCall(id="x", name="look_up", arguments='{"wrod": "tea"')
    bad = Reply(message=Message(role="assistant", tool_calls=(call,)), finish="tool_calls")
    tried = Tried(attempt(tools=("look_up",)), bad, "Well.")
    await tried.outcome()
    assert tried.results[0].startswith("Failed: arguments: Invalid JSON")
    assert tried.library.asked == []


async def test_a_long_result_is_cut_and_says_so() -> None:
    tried = Tried(attempt(tools=("look_up",), context=100_000), looks("long"), "Long.")
    await tried.outcome()
    assert len(tried.results[0]) == SHOWN_BYTES
    assert tried.results[1] == phrase(WORDING, "tool_cut", shown=SHOWN_BYTES, total=280_000, ref="result-1")


async def test_fault_70_and_79_a_tool_that_is_not_granted_does_not_run() -> None:
    tried = Tried(attempt(tools=("look_up",)), reply(calls=[("wipe", {})]), reply(calls=[("nothing", {})]), "Well.")
    await tried.outcome()
    assert tried.library.asked == []
    assert tried.results == [
        phrase(WORDING, "unknown_tool", name=name, tools="look_up") for name in ("wipe", "nothing")
    ]


def refused(name: str) -> str:
    return phrase(WORDING, "unknown_tool", name=name, tools="look_up")


async def test_fault_70_three_turns_of_unknown_tools_end_the_attempt() -> None:
    unknown = reply(calls=[("nothing", {}), ("wipe", {})])
    error = await Tried(attempt(tools=("look_up",)), unknown, unknown, unknown).error()
    assert (error.kind, error.may_help) == ("unknown_tool", False)
    recovers = Tried(attempt(tools=("look_up",)), unknown, unknown, looks("a"), unknown, "Well.")
    assert (await recovers.outcome()).output == "Well."


def ids(message: Message) -> list[str]:
    return [call.id for call in message.tool_calls]


@pytest.mark.parametrize("given", ["", "same"])
async def test_fault_73_to_75_call_ids_are_unique_and_each_call_runs(given: str) -> None:
    calls = tuple(ToolCall(id=given, name="look_up", arguments=f'{{"word": "{word}"}}') for word in "ab")
    twice = Reply(message=Message(role="assistant", tool_calls=calls), finish="tool_calls")
    other = twice.model_copy(update={"message": twice.message.model_copy(update={"tool_calls": calls[:1]})})
    tried = Tried(attempt(tools=("look_up",)), twice, other, "Well.")
    await tried.outcome()
    assert sorted(tried.library.asked) == ["a", "a", "b"]
    asked = [name for message in tried.said for name in ids(message)]
    assert len(set(asked)) == 3
    assert "" not in asked
    assert [message.tool_call_id for message in in_order(tried.said) if message.role == "tool"] == asked


async def test_fault_76_the_same_call_for_ever_gets_a_note_then_ends_the_attempt() -> None:
    tried = Tried(attempt(tools=("look_up",)), *[looks("tea")] * 4)
    error = await tried.error()
    assert (error.kind, error.may_help) == ("loop", False)
    assert tried.library.asked == ["tea", "tea"]
    assert tried.results[-1] == phrase(WORDING, "tool_repeated", times=3)


async def test_fault_76_a_call_between_breaks_the_row() -> None:
    answers = [looks(word) for word in ("a", "a", "b", "a", "a", "a", "b", "a")]
    tried = Tried(attempt(tools=("look_up",)), *answers, "Well.")
    await tried.outcome()
    assert tried.library.asked == ["a", "a", "b", "a", "a", "b", "a"]


async def test_fault_76_a_second_row_gets_a_note_of_its_own() -> None:
    answers = [looks(word) for word in ("a", "a", "a", "b", "a", "a", "a")]
    tried = Tried(attempt(tools=("look_up",)), *answers, "Well.")
    assert (await tried.outcome()).output == "Well."
    assert tried.results.count(phrase(WORDING, "tool_repeated", times=3)) == 2


async def test_fault_76_one_turn_of_many_equal_calls_is_not_yet_a_loop() -> None:
    tried = Tried(attempt(tools=("look_up",)), looks(*["a"] * 6), "Well.")
    await tried.outcome()
    assert tried.library.asked == ["a", "a"]
    assert len(tried.results) == 6


async def test_fault_78_calls_over_the_cap_are_answered_not_run() -> None:
    tried = Tried(attempt(tools=("look_up",)), looks(*(str(n) for n in range(500))), "Well.")
    await tried.outcome()
    assert len(tried.library.asked) == CALLS_A_TURN
    told = phrase(WORDING, "tool_budget", most=CALLS_A_TURN, asked=500)
    assert tried.results.count(told) == 500 - CALLS_A_TURN


async def test_cut_calls_do_not_run() -> None:
    cut = looks("a", "b").model_copy(update={"finish": "length"})
    tried = Tried(attempt(tools=("look_up",)), cut, "Well.")
    assert (await tried.outcome()).output == "Well."
    assert tried.library.asked == []
    assert tried.results == [WORDING["tool_unfinished"]] * 2
    assert (await Tried(attempt(tools=("look_up",)), cut, cut).error()).kind == "truncated"
