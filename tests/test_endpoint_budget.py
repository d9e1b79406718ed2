"""The budget at the endpoints, in virtual time: who waits for it, and what each try is charged."""

from random import Random
from typing import Any

import anyio
import pytest

from swarm.base.errors import EndpointBusy, EndpointRefused, LimitError
from swarm.budget.ledger import Amount, Ledger, LimitName
from swarm.budget.meter import Meter
from swarm.budget.queue import BudgetQueue
from swarm.endpoints.account import Account, ChargedEndpoint
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Request, Usage, request_tokens, says
from swarm.spec.tariff import flat, picos_of, usd_of
from swarm.spec.task import Model, Price
from swarm.testing import Function, reply

virtual = [pytest.mark.anyio, pytest.mark.virtual]
CAP = 200
MODEL = Model(endpoint="http://127.0.0.1:9/v1", name="m", max_tokens=CAP)
ASK = Request(model="default", messages=(says("user", "hi"),))

# Waiting and settling


def queue(limit: int, keep: int = 0) -> BudgetQueue:
    return BudgetQueue(Ledger({"tokens": limit}, keep=Amount(keep)))


def spent(of: BudgetQueue, limit: LimitName = "tokens") -> tuple[int, int]:
    pot = of.ledger.pots[limit]
    return pot.spent, pot.held


class TestBudgetQueue:
    pytestmark = virtual

    async def test_who_fits_without_the_calls_in_flight_waits_for_one_and_in_order(self) -> None:
        shared, log = queue(100), list[tuple[str, float]]()
        began = anyio.current_time()

        async def call(name: str, worst: int, used: int, seconds: float) -> None:
            reservation = await shared.reserve(Amount(worst))
            log.append((name, anyio.current_time() - began))
            await anyio.sleep(seconds)
            shared.settle(reservation, Amount(used))

        async with anyio.create_task_group() as tasks:
            for args in (("a", 60, 5, 2.0), ("b", 40, 5, 3.0), ("large", 90, 10, 1.0), ("small", 1, 1, 1.0)):
                tasks.start_soon(call, *args)
                await anyio.lowlevel.checkpoint()
        assert log == [("a", 0), ("b", 0), ("large", 3), ("small", 4)] or log == [
            ("a", 0), ("b", 0), ("large", 3), ("small", 3),
        ]  # fmt: skip
        assert spent(shared) == (21, 0)

    async def test_who_can_fit_no_more_is_turned_away_and_lets_the_next_in(self) -> None:
        shared = queue(100)
        first = await shared.reserve(Amount(60))
        results: list[str] = []

        async def call(name: str, worst: int) -> None:
            try:
                await shared.reserve(Amount(worst))
                results.append(name)
            except LimitError as error:
                results.append(f"{name}: {error.limit} {error.value:g}")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "large", 70)
            await anyio.sleep(1)
            tasks.start_soon(call, "small", 30)
            await anyio.sleep(1)
            assert results == []
            shared.settle(first, Amount(50))
        assert sorted(results) == ["large: tokens 100", "small"]

    async def test_what_can_never_fit_is_refused_at_once_with_what_to_do(self) -> None:
        words = (
            r"up to 71 tokens; available: 70 tokens \(limit 100 tokens, .*, 30 tokens reserved[^\n]*\nhint: .*--limit"
        )
        with pytest.raises(LimitError, match=words):
            await queue(100, keep=30).reserve(Amount(71))

    async def test_who_gives_up_waiting_leaves_nothing_behind(self) -> None:
        shared = queue(100)
        first = await shared.reserve(Amount(60))
        with anyio.move_on_after(1):
            await shared.reserve(Amount(50))
        shared.settle(first, Amount(10))
        assert (await shared.reserve(Amount(90))).open
        assert spent(shared) == (10, 90)


def meter(shared: BudgetQueue, **more: Any) -> Meter:
    return Meter(shared, MODEL.model_copy(update=more), None)


class TestTries:
    pytestmark = virtual

    async def test_every_try_is_reserved_and_one_that_may_be_billed_is_charged_in_full(self) -> None:
        shared = queue(10_000)
        worst = meter(shared).worst(ASK).tokens
        answers: list[Any] = [EndpointBusy("lost", kind="disconnected"), EndpointBusy("later", kind="rate_limited")]

        def answer(request: Request) -> Any:
            assert spent(shared)[1] == worst
            return answers.pop(0) if answers else reply("done", usage=Usage(calls=1, input_tokens=30, output_tokens=5))

        wire = Retrying(Function(answer), rng=Random(1), around=meter(shared).around)
        got = await wire.complete(ASK.model_copy(update={"account": Account()}))
        assert spent(shared) == (worst + 35, 0)
        assert (got.usage.calls, got.usage.tokens, got.usage.estimated) == (3, 35, False)
        assert (got.usage.unanswered_tokens, got.usage.charged_tokens) == (worst, worst + 35)

    async def test_what_was_refused_before_any_work_costs_nothing(self) -> None:
        shared = queue(10_000)
        refused = EndpointRefused("no", kind="bad_request", status=400)
        wire = Retrying(Function(lambda _: refused), rng=Random(1), around=meter(shared).around)
        with pytest.raises(EndpointRefused):
            await wire.complete(ASK)
        assert spent(shared) == (0, 0)

    async def test_a_call_cut_off_in_flight_is_charged_and_one_in_the_queue_for_a_slot_is_not(self) -> None:
        shared = queue(10_000)
        accounts = [Account(), Account()]

        async def hang(_: Request) -> str:
            await anyio.sleep(1_000)
            return "late"

        slots = anyio.CapacityLimiter(1)
        wire = Retrying(Function(hang), rng=Random(1), slots=slots, around=meter(shared).around)
        async with anyio.create_task_group() as tasks:
            for account in accounts:
                tasks.start_soon(wire.complete, ASK.model_copy(update={"account": account}))
            await anyio.sleep(5)
            tasks.cancel_scope.cancel()
        worst = meter(shared).worst(ASK).tokens
        assert spent(shared) == (worst, 0)
        assert sorted(account.lost.unanswered_tokens for account in accounts) == [0, worst]

    async def test_waiting_for_money_is_not_held_against_the_deadline_of_a_call(self) -> None:
        shared = queue(10_000)
        first = await shared.reserve(Amount(9_990))
        wire = Retrying(Function(lambda _: "done"), rng=Random(1), deadline=10, around=meter(shared).around)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wire.complete, ASK)
            await anyio.sleep(500)
            shared.settle(first, Amount())
        assert spent(shared) == (15, 0)

    @pytest.mark.parametrize("usage", [Usage(), Usage(calls=1, estimated=True)])
    async def test_fault_135_missing_usage_is_estimated_from_the_words(self, usage: Usage) -> None:
        shared = queue(100_000)
        said = reply("five").model_copy(update={"usage": usage})
        got = await ChargedEndpoint(Function(lambda _: said), meter(shared).around).complete(ASK)
        assert (got.usage.input_tokens, got.usage.output_tokens) == (request_tokens(ASK), 2)
        assert got.usage.estimated
        assert spent(shared) == (request_tokens(ASK) + 2, 0)

    @pytest.mark.parametrize(
        "update",
        [{"finish": "length"}, {"message": reply("five").message.model_copy(update={"raw": {"reasoning": "…"}})}],
    )
    async def test_fault_45_missing_usage_of_an_answer_that_is_not_all_seen_is_charged_in_full(
        self, update: dict[str, Any]
    ) -> None:
        shared = queue(100_000)
        said = reply("five").model_copy(update={"usage": Usage(estimated=True), **update})
        got = await ChargedEndpoint(Function(lambda _: said), meter(shared).around).complete(ASK)
        assert (got.usage.tokens, got.usage.estimated) == (meter(shared).worst(ASK).tokens, True)

    async def test_usage_that_is_less_than_possible_is_charged_in_full(self) -> None:
        shared = queue(100_000)
        ask = Request(model="default", messages=(says("user", "word " * 1_000),))
        said = reply("a").model_copy(update={"usage": Usage(calls=1, input_tokens=1, output_tokens=5)})
        got = await ChargedEndpoint(Function(lambda _: said), meter(shared).around).complete(ask)
        assert (got.usage.tokens, got.usage.estimated) == (meter(shared).worst(ask).tokens, True)
        assert spent(shared) == (got.usage.tokens, 0)

    async def test_half_a_count_does_not_hide_an_answer_beyond_its_cap(self) -> None:
        shared = BudgetQueue(Ledger({"tokens": 100_000, "usd": picos_of(1.0)}))
        local = Meter(shared, MODEL, flat(Price(input=1.0, output=4.0)))
        taken = 10
        half = Usage(calls=1, input_tokens=taken, output_tokens=5_000, estimated=True)
        got = await ChargedEndpoint(Function(lambda _: reply("word " * 5_000, usage=half)), local.around).complete(ASK)
        assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.estimated) == (taken, 5_000, True)
        assert spent(shared) == (taken + 5_000, 0)
        assert got.usage.usd == pytest.approx((taken + 4 * 5_000) / 1e6) == usd_of(spent(shared, "usd")[0])
        assert local.worst(ASK).output_tokens >= 5_000

    async def test_a_count_of_output_that_no_tokenizer_could_give_is_none(self) -> None:
        shared = queue(100_000)
        local = meter(shared)
        worst = local.worst(ASK)
        usage = Usage(calls=1, input_tokens=12, output_tokens=2)
        said = reply("word " * 200, usage=usage)
        got = await ChargedEndpoint(Function(lambda _: said), local.around).complete(ASK)
        assert (got.usage.tokens, got.usage.estimated) == (worst.tokens, True)
        signed = said.message.model_copy(update={"parts": (), "raw": {"signature": "x" * 9_000}})
        sound = said.model_copy(update={"message": signed})
        got = await ChargedEndpoint(Function(lambda _: sound), local.around).complete(ASK)
        assert (got.usage.tokens, got.usage.estimated) == (14, False)

    async def test_an_endpoint_that_ignores_its_cap_is_taken_at_its_word_from_then_on(self) -> None:
        shared = queue(100_000)
        local = meter(shared)
        honest = local.worst(ASK).tokens
        said = reply("word " * 5_000, usage=Usage(calls=1, input_tokens=10, output_tokens=5_000))
        await ChargedEndpoint(Function(lambda _: said), local.around).complete(ASK)
        assert spent(shared) == (5_010, 0)
        assert local.worst(ASK).tokens >= 5_000 > honest

    async def test_a_claim_beyond_the_cap_and_beyond_what_is_seen_is_charged_the_worst_case(self) -> None:
        shared = queue(100_000)
        local = meter(shared)
        worst = local.worst(ASK)
        said = reply("a", usage=Usage(calls=1, input_tokens=90_000, output_tokens=80_000))
        got = await ChargedEndpoint(Function(lambda _: said), local.around).complete(ASK)
        assert (got.usage.tokens, got.usage.estimated) == (worst.tokens, True)
        assert spent(shared) == (worst.tokens, 0)

    async def test_what_an_endpoint_counted_bounds_what_begins_alike(self) -> None:
        shared = queue(1_000_000)
        local = meter(shared)
        system = says("system", "You are one of many. " * 200)
        first = Request(model="default", messages=(system, says("user", "One.")))
        other = Request(model="default", messages=(system, says("user", "Another one.")))
        later = Request(model="default", messages=(*first.messages, says("assistant", "So."), says("user", "More.")))
        said = reply("So.", usage=Usage(calls=1, input_tokens=1_100, output_tokens=5))
        before = local.worst(other).input_tokens
        await ChargedEndpoint(Function(lambda _: said), local.around).complete(first)
        assert before > 4_000
        assert 1_100 < local.worst(other).input_tokens < 1_150
        assert 1_100 < local.worst(later).input_tokens < 1_150
        more = reply("So.", usage=Usage(calls=1, input_tokens=2_000, output_tokens=5))
        await ChargedEndpoint(Function(lambda _: more), local.around).complete(other)
        assert local.worst(other).input_tokens == before

    async def test_cached_input_has_its_own_price(self) -> None:
        shared = BudgetQueue(Ledger({"usd": picos_of(1.0)}))
        local = Meter(shared, MODEL, flat(Price(input=1.0, output=10.0, cached=0.1)))
        said = reply("a", usage=Usage(calls=1, input_tokens=100, cached_tokens=60, output_tokens=7))
        got = await ChargedEndpoint(Function(lambda _: said), local.around).complete(ASK)
        assert got.usage.usd == pytest.approx((40 * 1 + 60 * 0.1 + 7 * 10) / 1e6)
        assert usd_of(spent(shared, "usd")[0]) == got.usage.usd
