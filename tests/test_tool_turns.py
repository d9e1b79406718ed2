"""The calls of a turn: together or in order, each noted as it ends; crashes, pictures and long results."""

from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from swarm.attempt.long_results import PAGE_BYTES, SHOWN_BYTES
from swarm.attempt.loop import carry_out
from swarm.attempt.transcript import in_order
from swarm.base.errors import ToolError
from swarm.base.values import Json
from swarm.record.events import TurnTaken
from swarm.record.outcome import Outcome
from swarm.spec.chat import Media, Message, Reply, Request, Text, ToolCall
from swarm.testing import Scripted, reply
from swarm.tools import Tool, Toolbox, ToolResult, made_file, words
from swarm.tools.functions import tool
from tests.attempts import WORDING, attempt

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


class Log:
    """Tools that take two seconds each, and what they did when."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, float, float]] = []
        self.running = 0
        self.most = 0

    async def take(self, word: str) -> str:
        started = anyio.current_time()
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await anyio.sleep(2)
        finally:
            self.running -= 1
        self.spans.append((word, started, anyio.current_time()))
        return word.upper()

    def tool(self, name: str, **traits: Any) -> Tool:
        async def work(word: str) -> str:
            """Work."""
            return await self.take(word)

        return tool(name=name, **traits)(work)


def turn(*calls: tuple[str, str]) -> Reply:
    return reply(calls=[(name, {"word": word}) for name, word in calls])


async def carried(
    tools: Iterable[Tool], answers: Iterable[Any], *, transcript: tuple[Message, ...] = (), **fields: Any
) -> tuple[Outcome, list[TurnTaken], list[Request]]:
    """Carry an attempt out, and return its outcome, what it noted, and its requests."""
    box, endpoint, noted = Toolbox(tools), Scripted(*answers), list[TurnTaken]()

    def note(fact: Any) -> None:
        noted.append(fact)

    this = attempt(tools=tuple(box.names), transcript=transcript, **fields)
    outcome = await carry_out(this, endpoint=endpoint, tools=box, note=note)
    return outcome, noted, endpoint.requests


async def test_five_reads_of_two_seconds_take_two_seconds() -> None:
    log = Log()
    before = anyio.current_time()
    _, noted, requests = await carried([log.tool("get")], [turn(*(("get", c) for c in "abcde")), "Done."])
    assert anyio.current_time() - before == pytest.approx(2)
    assert [fact.seconds for fact in noted[1:6]] == [pytest.approx(2)] * 5
    results = [message for message in requests[1].messages if message.role == "tool"]
    assert [message.text.splitlines()[1] for message in results] == list("ABCDE"), "in the order of the calls"


async def test_at_most_eight_run_at_once() -> None:
    log = Log()
    await carried([log.tool("get")], [turn(*(("get", str(n)) for n in range(20))), "Done."])
    assert (log.most, len(log.spans)) == (8, 20)


async def test_a_call_that_is_alone_waits_for_those_before_and_holds_those_after() -> None:
    log = Log()
    tools = [log.tool("get"), log.tool("put", effect="write")]
    calls = turn(("get", "a"), ("get", "b"), ("put", "c"), ("put", "d"), ("get", "e"), ("get", "f"))
    await carried(tools, [calls, "Done."])
    starts = {word: started - log.spans[0][1] for word, started, _ in log.spans}
    assert starts == {"a": 0, "b": 0, "c": 2, "d": 4, "e": 6, "f": 6}


async def test_one_failing_call_does_not_cancel_its_neighbours() -> None:
    log = Log()

    @tool
    async def fail(word: str) -> str:
        """Fail."""
        raise ValueError(word)

    _, _, requests = await carried([log.tool("get"), fail], [turn(("get", "a"), ("fail", "b"), ("get", "c")), "Done."])
    results = [message.text.splitlines()[1] for message in requests[1].messages if message.role == "tool"]
    assert results == ["A", "Failed: ValueError: b", "C"]


async def test_an_error_of_the_journal_is_raised_as_it_is() -> None:
    log = Log()

    def note(fact: Any) -> None:
        if fact.messages[-1].role == "tool":
            raise OSError("disk full")

    this = attempt(tools=("get",))
    with pytest.raises(OSError, match="disk full"):
        await carry_out(
            this, endpoint=Scripted(turn(("get", "a"), ("get", "b"))), tools=Toolbox([log.tool("get")]), note=note
        )


# After a crash


def interrupted(calls: Iterable[tuple[str, str]], done: Iterable[int] = ()) -> tuple[Message, ...]:
    """Make a transcript whose last answer asked for calls, of which some have results."""
    made = tuple(
        ToolCall(id=f"c{n}", name=name, arguments=f'{{"word": "{word}"}}') for n, (name, word) in enumerate(calls)
    )
    asked = Message(role="assistant", tool_calls=made)
    results = [Message(role="tool", parts=(Text(text=f"old {n}"),), tool_call_id=f"c{n}") for n in done]
    return (asked, *results)


@pytest.mark.parametrize(
    ("calls", "done", "ran", "uncertain"),
    [
        ([("get", "a"), ("get", "b")], [1], ["a"], []),
        ([("put", "a"), ("put", "b")], [], ["b"], ["c0"]),
        ([("put", "a"), ("put", "b")], [0], [], ["c1"]),
        ([("get", "a"), ("put", "b"), ("get", "c")], [], ["a", "b", "c"], []),
        ([("get", "a"), ("put", "b"), ("get", "c")], [0], ["c"], ["c1"]),
        ([("send", "a"), ("send", "b"), ("put", "c")], [], ["c"], ["c0", "c1"]),
        ([("box", "a")], [], ["a"], []),
    ],
)
async def test_a_write_is_not_made_twice_after_a_crash(
    calls: list[tuple[str, str]], done: list[int], ran: list[str], uncertain: list[str]
) -> None:
    """Whatever may have run and may not be repeated is said to be uncertain; all else runs."""
    log = Log()
    tools = [
        log.tool("get"),
        log.tool("put", effect="write"),
        log.tool("send", effect="network", alone="no"),
        log.tool("box", effect="exec", stable=True),
    ]
    _, _, requests = await carried(tools, ["Done."], transcript=interrupted(calls, done))
    assert sorted(word for word, _, _ in log.spans) == ran
    results = {message.tool_call_id: message.text for message in requests[0].messages if message.role == "tool"}
    assert len(results) == len(calls)
    assert [name for name, text in results.items() if "Not known whether" in text] == uncertain
    assert list(results) == [f"c{n}" for n in range(len(calls))]


async def test_killed_at_every_event_a_write_runs_at_most_once_and_no_other_result_is_lost() -> None:
    calls = [("get", "a"), ("put", "b"), ("get", "c"), ("put", "d"), ("get", "e"), ("get", "f")]
    answers = [turn(*calls), "Done."]
    _, noted, _ = await carried([*_both(Log())], answers)
    for end in range(1, len(noted)):
        log = Log()
        before = tuple(message for fact in noted[:end] for message in fact.messages)
        # What was in flight when the process died ran as well: at worst all of the next batch.
        answered = {message.tool_call_id for message in before if message.role == "tool"}
        _, _, requests = await carried([*_both(log)], ["Done."], transcript=before)
        results = [message for message in in_order(requests[-1].messages) if message.role == "tool"]
        assert len(results) == len(calls)
        reran = [word for word, _, _ in log.spans]
        waiting = [
            word
            for n, (_, word) in enumerate(calls, 1)
            if f"call-1-{n}" not in answered and f"call-{n}" not in answered
        ]
        assert set(reran) <= set(waiting)
        if waiting and waiting[0] in ("b", "d"):
            assert waiting[0] not in reran, "it may have run"


def _both(log: Log) -> tuple[Tool, ...]:
    return log.tool("get"), log.tool("put", effect="write")


@pytest.mark.parametrize(("effect", "tries"), [("read", 2), ("write", 1)])
async def test_a_call_that_was_lost_is_made_again_only_if_it_may_be(effect: Any, tries: int) -> None:
    made: list[str] = []

    @tool(effect=effect)
    async def ask(word: str) -> str:
        """Ask."""
        made.append(word)
        if len(made) == 1:
            raise ToolError("the server is gone", kind="lost")
        return "tea"

    _, _, requests = await carried([ask], [turn(("ask", "a")), "Done."])
    assert len(made) == tries
    told = requests[1].messages[-1].text
    assert ("tea" in told) == (tries == 2)
    assert ("Not known whether" in told) == (tries == 1)


# Long results


def long_text(lines: int) -> str:
    return "\n".join(f"line {n} of the list" for n in range(1, lines + 1))


@tool
async def dump(word: str) -> str:
    """Dump."""
    return long_text(120_000) if word == "long" else "x" * 3_000_000 if word == "one line" else word


def reads(**arguments: Any) -> Reply:
    return reply(calls=[("read_more", arguments)])


async def test_a_result_of_3_mb_is_read_to_its_last_line_in_a_small_context() -> None:
    answers = [
        turn(("dump", "long")),
        reads(ref="result-1", from_line=119_999),
        reads(ref="result-1", find="LINE 77777 OF"),
        reads(ref="result-1", from_line=200_000),
        "Done.",
    ]
    _, noted, requests = await carried([dump], answers, context=8192)
    first = noted[1].messages[0]
    [whole] = first.made
    assert (whole.name, whole.medium, whole.size) == ("result-1", "file", len(long_text(120_000)))
    assert len(whole.content) == whole.size
    assert len(first.text.encode()) < SHOWN_BYTES + 500
    said = [message.text for message in requests[-1].messages if message.role == "tool"]
    assert "lines 119,999 to 120,000 of 120,000:\nline 119999 of the list\nline 120000 of the list" in said[1]
    assert "77777: line 77777 of the list" in said[2]
    assert "there is no line 200,000" in said[3]
    assert sum(len(text.encode()) for text in said) < 3 * 8192


async def test_a_page_says_how_to_go_on_and_a_line_of_megabytes_is_cut() -> None:
    first, second = turn(("dump", "long")), turn(("dump", "one line"))
    answers = [first, second, reads(ref="result-1", lines=9999), reads(ref="result-2"), "Done."]
    _, _, requests = await carried([dump], answers, context=200_000)
    page, line = [message.text for message in requests[-1].messages if message.role == "tool"][2:]
    assert 12_000 < len(page) < PAGE_BYTES + 500
    assert "(go on with from_line=" in page
    assert len(line) < 1_200


async def test_a_name_is_valid_only_in_the_conversation_that_holds_it() -> None:
    """Else grants and labels could be walked around: `hash` is known to whoever saw it elsewhere."""
    answers = [reads(ref="result-1"), reads(ref="a" * 64), reads(wrong=1), "Done."]
    _, _, requests = await carried([dump], answers)
    said = [message.text.splitlines()[1] for message in requests[-1].messages if message.role == "tool"]
    assert said[0] == "Failed: there is no result 'result-1' in this conversation; there are: none yet"
    assert said[1].startswith("Failed: there is no result 'aaaa")
    assert said[2] == "Failed: wrong: unknown argument; there are ref, from_line, lines and find"


async def test_reading_more_does_not_let_polling_pass() -> None:
    answers = [turn(("dump", "long")), *[reads(ref="result-1", from_line=9)] * 3, "Done."]
    _, _, requests = await carried([dump], answers)
    assert "you made this same call 3 times" in requests[-1].messages[-1].text


# Pictures and files

PNG = bytes.fromhex("89504e470d0a1a0a")


def chart() -> Tool:
    async def run(text: str, context: Any) -> Json | ToolResult:
        return ToolResult(
            (words("draw", "two bars"), made_file("chart.png", PNG), made_file("rows.csv", b"a,b\n1,2\n"))
        )

    return Tool(dump.spec.model_copy(update={"name": "draw"}), run, effect="exec")


async def test_pictures_follow_the_results_of_the_turn_for_models_that_take_them() -> None:
    answers = [reply(calls=[("draw", {}), ("draw", {"word": "b"})]), "Done."]
    _, noted, requests = await carried([chart()], answers, takes=("image",))
    roles = [message.role for message in requests[1].messages[2:]]
    assert roles == ["assistant", "tool", "tool", "user"]
    pictures = [part for part in requests[1].messages[-1].parts if isinstance(part, Media)]
    assert [(each.name, each.mime) for each in pictures] == [("chart.png", "image/png")] * 2
    assert "The picture chart.png from the call" in requests[1].messages[-1].text
    result = noted[1].messages[0]
    assert [(made.name, made.medium, made.size) for made in result.made] == [
        ("chart.png", "image", 8),
        ("rows.csv", "file", 8),
    ]
    assert not any(isinstance(part, Media) for fact in noted for message in fact.messages for part in message.parts)


async def test_a_model_that_takes_no_pictures_is_told_type_size_and_name() -> None:
    answers = [reply(calls=[("draw", {})]), reads(ref="rows.csv"), "Done."]
    _, _, requests = await carried([chart()], answers)
    assert [message.role for message in requests[1].messages[2:]] == ["assistant", "tool"]
    assert "(The call made the file chart.png: image/png, 8 bytes.)" in requests[1].messages[-1].text
    assert "1,2" in requests[2].messages[-1].text


# Fault 78


async def test_fault_78_the_model_is_told_how_many_calls_it_made() -> None:
    many = turn(*(("dump", str(n)) for n in range(33)))
    many = many.model_copy(update={"message": many.message.model_copy(update={"more_calls": 467})})
    _, noted, _ = await carried([dump], [many, "Done."])
    told = [message.text for fact in noted for message in fact.messages if "maximum is 32" in message.text]
    assert told == [WORDING["tool_budget"].format(asked=500, most=32)]


async def test_results_are_put_in_the_order_of_their_calls() -> None:
    transcript = interrupted([("get", "a"), ("get", "b"), ("get", "c")], [2, 0, 1])
    assert [message.tool_call_id for message in in_order(transcript)[1:]] == ["c0", "c1", "c2"]
