"""What a run may spend: the ledger by its laws, worst cases from above."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.errors import BugError
from swarm.base.values import Json
from swarm.budget.ledger import (
    Amount,
    Ledger,
    Reservation,
    output_cap,
    report_share,
    visible_output,
    weigh,
    worst_input,
)
from swarm.endpoints.wire.messages import write_message
from swarm.spec.chat import Data, Form, Media, Message, Request, Text, ToolCall, ToolSpec, Usage, says
from swarm.spec.tariff import flat, picos_of
from swarm.spec.task import Model, Price
from tests.budgets import texts

virtual = [pytest.mark.anyio, pytest.mark.virtual]
CAP = 200
MODEL = Model(endpoint="http://127.0.0.1:9/v1", name="m", max_tokens=CAP)
ASK = Request(model="default", messages=(says("user", "hi"),))

# The ledger


class TestLedger:
    @given(
        st.integers(0, 500),
        st.integers(0, 300),
        st.lists(st.tuples(st.booleans(), st.integers(0, 200), st.floats(0, 1)), max_size=40),
    )
    def test_spent_held_and_kept_never_exceed_a_limit(
        self, limit: int, keep: int, acts: list[tuple[bool, int, float]]
    ) -> None:
        ledger = Ledger({"tokens": limit, "usd": limit * 3}, keep=Amount(keep, keep))
        held: list[Reservation] = []
        for report, tokens, share in acts:
            reservation = ledger.reserve(Amount(tokens, 3 * tokens), report=report)
            if reservation is not None:
                held.append(reservation)
            if held and share > 0.4:
                first = held.pop(int(share * 10) % len(held))
                first.settle(Amount(int(first.worst.tokens * share), int(first.worst.picos * share)))
            for pot in ledger.pots.values():
                assert pot.spent + pot.held + pot.kept <= pot.limit
                assert min(pot.spent, pot.held, pot.kept) >= 0
                assert pot.held == sum(each.worst.tokens * (1 + 2 * (pot.limit > limit)) for each in held) or limit == 0

    @given(st.integers(2, 500), st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), max_size=30))
    def test_the_reports_share_is_there_whatever_the_others_do(self, limit: int, acts: list[tuple[int, float]]) -> None:
        keep = limit // 2
        ledger = Ledger({"tokens": limit}, keep=Amount(keep))
        held: list[Reservation] = []
        for tokens, share in acts:
            reservation = ledger.reserve(Amount(tokens))
            if reservation is not None:
                held.append(reservation)
            if held and share > 0.5:
                held.pop().settle(Amount(int(tokens * 0)))
        assert ledger.reserve(Amount(keep), report=True) is not None

    def test_what_cannot_fit_is_told_from_what_does_not_fit_now(self) -> None:
        ledger = Ledger({"tokens": 100}, keep=Amount(20))
        first = ledger.reserve(Amount(50))
        assert first is not None
        assert ledger.reserve(Amount(31)) is None
        assert ledger.exceeded(Amount(31)) is None
        assert ledger.exceeded(Amount(81)) == "tokens"
        assert ledger.exceeded(Amount(81), report=True) is None
        first.settle(Amount(50))
        assert ledger.exceeded(Amount(31)) == "tokens"

    def test_what_an_endpoint_uses_beyond_its_worst_case_is_charged_and_said(self) -> None:
        ledger = Ledger({"tokens": 100}, keep=Amount(20))
        first = ledger.reserve(Amount(50))
        assert first is not None
        first.settle(Amount(130))
        pot = ledger.pots["tokens"]
        assert (pot.spent, pot.held, pot.kept, ledger.overdrawn) == (130, 0, 0, "tokens")
        assert ledger.exceeded(Amount(1), report=True) == "tokens"

    def test_a_reservation_is_settled_once(self) -> None:
        first = Ledger({"tokens": 100}).reserve(Amount(50))
        assert first is not None
        first.release()
        with pytest.raises(BugError):
            first.settle(Amount(1))

    @pytest.mark.parametrize(("worst", "used", "left"), [(30, 5, 35), (50, 20, 30), (50, 45, 5), (50, 60, 0)])
    def test_what_the_report_reserved_and_did_not_use_returns_to_its_share(
        self, worst: int, used: int, left: int
    ) -> None:
        ledger = Ledger({"tokens": 100}, keep=Amount(40))
        call = ledger.reserve(Amount(worst), report=True)
        assert call is not None
        call.settle(Amount(used))
        room = 100 - used - left
        assert ledger.pots["tokens"].kept == left
        assert ledger.reserve(Amount(room + 1)) is None, "the rest is still reserved for the report"
        assert ledger.reserve(Amount(room)) is not None

    def test_the_share_is_a_call_at_least_15_percent_and_at_most_half(self) -> None:
        assert report_share(1_000_000, 20_000) == 150_000
        assert report_share(100_000, 20_000) == 20_000
        assert report_share(10_000, 20_000) == 5_000


# Prices


def test_a_worst_case_uses_the_price_of_cached_input_if_that_is_the_higher_one() -> None:
    tariff = flat(Price(input=1.0, output=4.0, cached=1.25))
    assert tariff.worst(100, 10) == picos_of((100 * 1.25 + 10 * 4.0) / 1e6)
    cached = Usage(calls=1, input_tokens=100, cached_tokens=100, output_tokens=10)
    assert tariff.picos(cached) == tariff.worst(100, 10), "a call that reads everything from the cache meets it"


# Worst cases

TEXTS = st.text(max_size=60)


class TestWorstCase:
    @given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
    def test_input_is_counted_from_above_in_any_script(self, written: list[str], name: str) -> None:
        parts = (*(Text(text=text) for text in written), Data(of="input", name=name, text=written[0]))
        call = ToolCall(id="c", name="look", arguments=json.dumps({"word": written[0]}))
        messages = (
            Message(role="user", parts=parts),
            Message(role="assistant", tool_calls=(call,), raw={"reasoning_content": written[-1]}),
            Message(role="tool", tool_call_id="c", parts=parts),
        )
        sent = sum(len(text) for message in messages for text in texts(write_message(message)))
        assert worst_input(Request(model="default", messages=messages)) >= sent

    def test_tools_forms_and_media_count(self) -> None:
        schema: dict[str, Json] = {"type": "object", "properties": {"größe": {"type": "number"}}}
        bare = worst_input(ASK)
        tools = (ToolSpec(name="look", description="Look.", parameters=schema),)
        assert worst_input(ASK.model_copy(update={"tools": tools})) > bare + len(json.dumps(schema))
        assert worst_input(ASK.model_copy(update={"form": Form(name="a", json_schema=schema)})) > bare + 60
        for medium, least in (("image", 5_000), ("audio", 2_000), ("video", 2_000)):
            part = Media.model_validate({"medium": medium, "name": "x", "mime": "x/y", "base64": "A" * 100_000})
            assert worst_input(Request(model="d", messages=(Message(role="user", parts=(part,)),))) > bare + least

    @pytest.mark.parametrize(
        ("more", "asked", "cap"),
        [
            ({}, None, 200),
            ({}, 400, 400),
            ({"params": {"max_tokens": 900}}, 400, 900),
            ({"extra": {"max_completion_tokens": 50}}, None, 50),
            ({"extra": {"n": 3}}, None, 600),
        ],
    )
    def test_output_is_the_cap_that_is_sent(self, more: dict[str, Any], asked: int | None, cap: int) -> None:
        assert output_cap(MODEL.model_copy(update=more), asked) == cap

    def test_the_visible_part_of_a_request_is_the_text_of_all_its_messages(self) -> None:
        said = (says("system", "Größe"), says("user", "hi"))
        assert weigh(ASK.model_copy(update={"messages": said})).visible == len("Größe".encode()) + 2

    def test_everything_that_is_visible_of_an_answer_counts(self) -> None:
        """A reported count above it is not plausible, so nothing may be left out."""
        calls = tuple(ToolCall(id=f"c{n}", name="look", arguments='{"word": "ö"}') for n in (1, 2))
        answer = Message(role="assistant", parts=(Text(text="Größe"),), tool_calls=calls)
        spoken = len("Größe".encode())
        asked = 2 * (len("look") + len('{"word": "ö"}'.encode()))
        assert visible_output(answer) == spoken + asked
        thought = answer.model_copy(update={"raw": {"reasoning_content": "Well."}})
        assert visible_output(thought) >= spoken + asked + len("Well.")
