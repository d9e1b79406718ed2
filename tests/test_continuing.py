"""The rest of a text that reached its output cap is requested, and nothing is put together wrongly or lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.attempt.continuing import LEAST_REPEATED, joined, kept
from swarm.attempt.types import Attempt
from swarm.base.errors import EndpointRefused, LimitError
from swarm.record.outcome import CUT as DOUBT
from swarm.spec.chat import Message, Reply, Text
from swarm.spec.plan import Step
from swarm.spec.task import Input
from tests.attempts import Tried, attempt

WHOLE = "Alpha needs 40 MB.\n* Beta needs 1,250 MB\n* Gamma needs 7 MB\n\nAll were measured in May. That is all."


def cut(text: str) -> Reply:
    """An answer that reached the output cap."""
    return Reply(message=Message(role="assistant", parts=(Text(text=text),)), finish="length")


def continuing(**more: Any) -> Attempt:
    """An attempt of a role that continues a truncated text."""
    made = attempt(**more)
    return made.model_copy(update={"agent": made.agent.model_copy(update={"truncated": "continue"})})


@given(at=st.integers(32, len(WHOLE)), repeats=st.integers(0, 30))
def test_a_text_cut_anywhere_and_continued_from_what_is_kept_is_the_text(at: int, repeats: int) -> None:
    first = kept(WHOLE[:at])
    rest = WHOLE[len(first) :]
    assert " ".join(joined(first, rest).split()) == " ".join(WHOLE.split())
    repeated = first.rstrip()[-repeats:].lstrip() if repeats else ""
    repeated = repeated if len(repeated) >= LEAST_REPEATED else ""
    assert " ".join(joined(first, repeated + rest).split()) == " ".join(WHOLE.split())


def test_an_answer_that_begins_again_replaces_a_shorter_one_only() -> None:
    assert joined(WHOLE[:60], WHOLE) == WHOLE
    assert joined(WHOLE[:60], WHOLE[:50]) == WHOLE[:60]


@pytest.mark.anyio
async def test_a_truncated_text_is_continued_and_no_figure_is_lost_or_split() -> None:
    at = WHOLE.index("250 MB")
    tried = Tried(continuing(), cut(WHOLE[:at]), WHOLE[len(kept(WHOLE[:at])) :])
    outcome = await tried.outcome()
    assert (outcome.output, outcome.doubts, outcome.left_out) == (WHOLE, (), ())
    assert "Alpha needs 40 MB." in tried.words[0]
    assert tried.requests[1].optional, "a limit must not forbid what is there"
    resumed = Tried(continuing(transcript=tuple(tried.said[:2])), WHOLE[len(kept(WHOLE[:at])) :])
    assert (await resumed.outcome()).output == WHOLE, "also after an interruption between the two"
    assert (await Tried(continuing(transcript=tuple(tried.said))).outcome()).output == WHOLE


@pytest.mark.anyio
async def test_the_rest_is_requested_twice_at_most_and_then_noted() -> None:
    pieces = [cut(f"Sentence {n} is here. ") for n in range(3)]
    outcome = await Tried(continuing(), *pieces).outcome()
    assert outcome.output == "Sentence 0 is here. Sentence 1 is here. Sentence 2 is here."
    assert (outcome.doubts, len(outcome.left_out)) == ((DOUBT,), 1)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error", [EndpointRefused("too long", kind="context_length"), LimitError("no", limit="tokens", value=1)]
)
async def test_without_space_or_budget_for_the_rest_the_text_is_kept(error: Exception) -> None:
    outcome = await Tried(continuing(), cut("One. Two. Thr"), error).outcome()
    assert (outcome.output, outcome.doubts) == ("One. Two. Thr", (DOUBT,))


@pytest.mark.anyio
async def test_a_share_that_is_longer_than_what_it_reads_and_another_role_are_not_continued() -> None:
    file = Input(name="a.md", text="x" * 40)
    share = attempt(
        step=Step(id="s.1", prompt="Find it.", partial_of="s", inputs=("a.md",)), inputs=(file,), on_cut="continue"
    )
    assert (await Tried(share, cut("and so on " * 5)).outcome()).doubts == (DOUBT,)
    shorter = Tried(share, cut("and so on " * 4), "The end.")
    assert (await shorter.outcome()).doubts == ()
    silent = Tried(attempt(), cut("One. Tw"))
    await silent.outcome()
    assert len(silent.requests) == 1
