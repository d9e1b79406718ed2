"""What a report says and its outputs do not is asked about once. Other answers get notes."""

from typing import Any

import pytest
from attempts import CUT, GIVEN, WORDING, Tried, attempt, looks

from swarm.attempt.support import CitedOutputs, claims_of, count_line, report_claims, unfounded_lines
from swarm.attempt.types import Given
from swarm.base.errors import EndpointBusy, EndpointRefused, LimitError
from swarm.endpoints import Endpoint
from swarm.spec.chat import Reply, Request
from swarm.spec.plan import Step
from swarm.spec.task import Input
from swarm.testing import reply

pytestmark = pytest.mark.anyio

WRONG = "A needs 7 [read.1]. B needs 6 [read.2]."
RIGHT = "A needs 5 [read.1]. B needs 6 [read.2]."
NOTE = "1 of 2 claims not found in their sources"


def reducing(**fields: Any) -> Any:
    return attempt("reducer", given=GIVEN, **fields)


async def test_a_report_is_asked_once_about_what_its_outputs_do_not_say() -> None:
    tried = Tried(reducing(), WRONG, RIGHT)
    outcome = await tried.outcome()
    assert (outcome.output, outcome.notes, outcome.usage.calls) == (RIGHT, (), 2)
    (words,) = tried.words
    assert words.startswith(WORDING["evidence"].splitlines()[0])
    assert '- "A needs 7." [read.1]. Not found: 7' in words
    assert "B needs" not in words
    assert [request.optional for request in tried.requests] == [False, True]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(WRONG, id="the same again"),
        pytest.param("A needs 5 [read.1]. B needs 8 [read.2]. C needs 9 [read.2].", id="more errors"),
        pytest.param("See above [read.1].", id="most of it lost"),
        pytest.param("You are right.", id="no citation"),
        pytest.param("", id="empty"),
        pytest.param(CUT, id="truncated"),
        pytest.param(looks("a"), id="a call"),
        pytest.param(reply("No.").model_copy(update={"finish": "refused"}), id="refused"),
        pytest.param(EndpointBusy("down"), id="busy"),
        pytest.param(EndpointRefused("too long", kind="context_length"), id="too long"),
        pytest.param(LimitError("spent", limit="tokens", value=1), id="limit"),
    ],
)
async def test_the_first_report_is_kept_if_the_second_is_not_better(second: str | Reply | Exception) -> None:
    tried = Tried(reducing(), WRONG, second)
    outcome = await tried.outcome()
    assert (outcome.output, outcome.notes) == (WRONG, (NOTE,))
    assert len(tried.requests) == 2


async def test_nothing_is_asked_without_a_turn_left_and_of_the_built_in_endpoint() -> None:
    from swarm.attempt.loop import carry_out

    for fields, name in (({"turns": 1}, "x"), ({}, "offline")):
        tried = Tried(reducing(**fields), WRONG)
        endpoint = Labelled(tried.endpoint, name)
        outcome = await carry_out(tried.attempt, endpoint=endpoint, tools=tried.library.box, note=tried.note)
        assert outcome.notes == (NOTE,)
        assert len(tried.requests) == 1
        again = Tried(reducing(transcript=tuple(tried.said), **fields))
        assert (await again.outcome()).notes == (NOTE,)
        assert again.requests == []


class Labelled:
    """An endpoint with a label."""

    def __init__(self, inner: Endpoint, label: str) -> None:
        self.inner = inner
        self.label = label

    async def complete(self, request: Request) -> Reply:
        return (await self.inner.complete(request)).model_copy(update={"endpoint": self.label})


class Slow:
    """An endpoint whose first answer takes 10 seconds, and the second 60."""

    def __init__(self, inner: Endpoint) -> None:
        self.inner = inner
        self.calls = 0

    async def complete(self, request: Request) -> Reply:
        import anyio

        self.calls += 1
        seconds = 10 if self.calls == 1 else 60
        await anyio.sleep(seconds)
        return (await self.inner.complete(request)).model_copy(update={"seconds": seconds})


@pytest.mark.virtual
@pytest.mark.parametrize(("left", "calls", "output"), [(12.0, 1, WRONG), (40.0, 2, WRONG), (100.0, 2, RIGHT)])
async def test_a_question_does_not_outlast_the_run(left: float, calls: int, output: str) -> None:
    from swarm.attempt.loop import carry_out

    tried = Tried(reducing(seconds_left=left), WRONG, RIGHT)
    slow = Slow(tried.endpoint)
    outcome = await carry_out(tried.attempt, endpoint=slow, tools=tried.library.box, note=tried.note)
    assert (slow.calls, outcome.output) == (calls, output)


def test_a_citation_stands_for_an_output_its_instances_an_entry_or_the_partial_reports_that_cite_it() -> None:
    given = (
        Given(step="names", about="", output=["apples", "pears"]),
        Given(step="study.1", about="", output="one"),
        Given(step="study.2", about="", output="two"),
        Given(step="reduce.1", about="", output="A needs 5 [read.1, read.17]."),
        Given(step="reduce.2", about="", output="B needs 6 [read.18]."),
    )
    outputs = CitedOutputs(given)
    found = {
        step: [source.name for source in outputs.of(step)]
        for step in ("study.2", "study", "names.2", "read.1", "read.18", "read.3", "names.9")
    }
    assert found == {
        "study.2": ["study.2"],
        "study": ["study.1", "study.2"],
        "names.2": ["names.2"],
        "read.1": ["reduce.1"],
        "read.18": ["reduce.2"],
        "read.3": [],
        "names.9": [],
    }
    assert outputs.of("names.2")[0].text == "pears"
    claims = claims_of(attempt("reducer", given=given), "A needs 5 [read.17]. B needs 5 [read.18].")
    assert [(claim.steps, claim.evidence) for claim in claims] == [
        (("read.17",), "supported"),
        (("read.18",), "unsupported"),
    ]
    assert count_line(claims) == NOTE
    assert count_line(claims[:1]) == ""


NOTES = Input(name="notes.md", text="Lunr needs 40 MB of memory. “It is small and fast”, says Jane Doe.")


async def notes_of(answer: str, *calls: Reply, **fields: Any) -> tuple[str, ...]:
    fields.setdefault("inputs", (NOTES,))
    tried = Tried(attempt("worker", **fields), *calls, answer)
    return (await tried.outcome()).notes


async def test_a_worker_is_not_asked_but_its_answer_has_a_note() -> None:
    assert await notes_of("Lunr takes 40 MB; Jane Doe finds it “small and fast”, she says.") == ()
    wrong = await notes_of("Lunr takes 41 MB; Jane Dole says “it is small and slow”.")
    assert wrong == ("not found in what the step read: 41 MB, “it is small and slow” and Jane Dole",)
    assert await notes_of('{"mb": 41}', output={"type": "object"}) == ("not found in what the step read: 41",)
    assert await notes_of("It is 41.", inputs=()) == (), "it read nothing: it answers from what its model knows"


async def test_what_a_worker_did_not_read_is_recorded_with_its_output() -> None:
    tried = Tried(attempt("worker", inputs=(NOTES,)), "Lunr takes 41 MB, says Jane Doe.")
    assert (await tried.outcome()).unfounded == ("41 MB",)
    alone = Tried(attempt("reducer", inputs=(NOTES,)), "Lunr takes 41 MB, says Jane Doe.")
    assert (await alone.outcome()).unfounded == ("41 MB",), "a report without outputs is compared with the inputs"


async def test_a_picture_may_show_anything() -> None:
    picture = Input(name="a.png", text="", medium="image", mime="image/png", base64="AAAA")
    assert await notes_of("Lunr takes 41 MB.", inputs=(NOTES, picture)) == ()


async def test_work_that_is_done_again_and_its_critic_are_no_sources() -> None:
    given = (
        Given(step="read.1", about="", output="Lunr takes 41 MB."),
        Given(step="read.2", about="", output={"verdict": "contradicted", "reasons": ["It is not 42 MB."]}),
    )
    for answer in ("Lunr takes 41 MB.", "Lunr takes 42 MB."):
        tried = Tried(
            attempt("worker", inputs=(NOTES,), given=given, step=Step(id="read.3", prompt="Find it.", redoes="read.1")),
            answer,
        )
        assert len((await tried.outcome()).unfounded) == 1


async def test_a_report_is_told_what_its_outputs_did_not_read_and_not_asked_about_it() -> None:
    one = Given(step="read.1", about="", output="A needs 5. B needs 9.", unfounded=("9", "“it is good”"))
    lines = unfounded_lines((one, GIVEN[1]))
    assert lines == ("read.1: 9 and “it is good”",)
    tried = Tried(attempt("reducer", given=(one, GIVEN[1]), unfounded=lines), "A needs 5 [read.1]. B needs 9 [read.1].")
    assert (await tried.outcome()).notes == ()
    assert lines[0] in tried.requests[0].messages[-1].text
    assert len(tried.requests) == 1
    (right, wrong) = report_claims(tried.said[-1].text, {"read.1"}, (one, GIVEN[1]), "")
    assert (right.evidence, wrong.evidence, wrong.missing) == ("supported", "unsupported", ("9",))


async def test_a_result_of_a_tool_counts_as_read() -> None:
    assert await notes_of("The answer is 4 711 MB.", looks("4711 MB"), tools=("look_up",)) == ()


async def test_a_call_that_an_answer_names_must_have_been_made() -> None:
    ran = "I ran `look_up a` and it works."
    assert await notes_of(ran) == ("the answer says 'I ran `look_up a`', but no such call was made",)
    assert await notes_of(ran, looks("a"), tools=("look_up",)) == ()
    other = await notes_of("I executed `pytest -q` and it passed.", looks("a"), tools=("look_up",))
    assert other == ("the answer says 'I executed `pytest -q`', but no such call was made",)
    assert await notes_of("The author says: I was there. A test ran.") == ()


async def test_a_report_reads_the_conflicts_between_its_outputs() -> None:
    from swarm.attempt.support import conflict_lines

    one = Given(step="read.1", about="", output="Lunr needs 40 MB of memory.")
    other = Given(step="read.2", about="", output="Lunr took 45 MB of memory.")
    lines = conflict_lines((one, other))
    assert lines == ("Lunr memory: 40 MB [read.1]; 45 MB [read.2]",)
    tried = Tried(attempt("reducer", given=(one, other), conflicts=lines), "40 [read.1] or 45 [read.2].")
    await tried.outcome()
    prompt = tried.requests[0].messages[-1].text
    assert WORDING["conflicts"] in prompt
    assert lines[0] in prompt
    assert conflict_lines((one, one.model_copy(update={"step": "read.3"}))) == ()
