"""What each model costs: the task's price, the list's, or unknown; never a guess, never 0 for what is not known."""

from pathlib import Path

import pytest

import swarm
from swarm.base.errors import TaskError
from swarm.budget.prices import check_prices, list_price, priced, tariff_of
from swarm.endpoints.route import route_of, routes_of
from swarm.spec.chat import Usage
from swarm.spec.plan import Plan, Step
from swarm.spec.tariff import FREE, Tariff, flat, usd_of
from swarm.spec.task import Limits, Model, Price, Task
from swarm.testing import Function

OWN = Price(input=0.6, output=2.5, cached=0.1)
OPENAI = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model(endpoint=OPENAI, name="gpt-5-mini", price=OWN), flat(OWN)),
        (Model(endpoint="http://127.0.0.1:8000/v1", name="gpt-5-mini", price=OWN), flat(OWN)),
        (Model(endpoint="http://127.0.0.1:8000/v1", name="gpt-5-mini"), FREE),
        (Model(endpoint="http://localhost:11434/v1", name="x"), FREE),
        (Model(endpoint="ollama", name="x"), FREE),
        (Model(endpoint="offline"), FREE),
        (Model(endpoint="https://strangers.example.com/v1", name="gpt-5-mini"), None),
        (Model(endpoint="http://10.0.0.7:8000/v1", name="gpt-5-mini"), None),
        (Model(endpoint=OPENAI, name="no-such-model-1"), None),
        (Model(endpoint="openrouter", name="openrouter/auto"), None),
    ],
)
def test_whose_price_it_is(model: Model, expected: Tariff | None) -> None:
    assert tariff_of(route_of("default", model)) == expected


@pytest.mark.parametrize("endpoint", ["openai", OPENAI, OPENAI + "/"])
def test_a_list_price_is_found_by_where_it_is_and_its_name(endpoint: str) -> None:
    tariff = tariff_of(route_of("default", Model(endpoint=endpoint, name="gpt-5-mini")))
    assert tariff is not None
    assert tariff.source == "list price"
    price = tariff.tiers[0][1]
    assert 0 < (price.cached or 0) < price.input < price.output


def test_a_price_beyond_a_threshold_holds_for_the_whole_call() -> None:
    tariff = list_price("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro")
    assert tariff is not None
    (_, low), (start, high) = tariff.tiers
    assert high.input > low.input
    below, above = (usd_of(tariff.picos(Usage(calls=1, input_tokens=n))) for n in (start, start + 1))
    assert below == pytest.approx(start * low.input / 1e6)
    assert above == pytest.approx((start + 1) * high.input / 1e6)
    assert tariff.worst(start + 1, 10) >= tariff.picos(Usage(calls=1, input_tokens=start + 1, output_tokens=10))


def test_of_prices_by_the_hour_the_dearest_is_taken() -> None:
    from genai_prices.data_snapshot import get_snapshot

    tariff = list_price("https://api.deepseek.com", "deepseek-reasoner")
    assert tariff is not None
    _, model = get_snapshot().find_provider_model("deepseek-reasoner", None, None, "https://api.deepseek.com")
    assert isinstance(model.prices, list)
    outputs = [float(getattr(each.prices, "output_mtok")) for each in model.prices]  # noqa: B009 - set by keyword
    assert tariff.tiers[0][1].output == max(outputs)


def test_money_adds_up_exactly_in_any_order() -> None:
    tariff = flat(Price(input=0.1, output=0.2))
    calls = [Usage(calls=1, input_tokens=n, output_tokens=n * 7 % 13) for n in range(1, 200)]
    whole = sum((tariff.picos(each) for each in calls), 0)
    assert whole == tariff.picos(sum(calls, Usage())) == sum((tariff.picos(each) for each in reversed(calls)), 0)


def test_what_is_unknown_makes_a_sum_unknown_and_what_used_nothing_does_not() -> None:
    known, unknown = Usage(calls=1, input_tokens=5, usd=0.5), Usage(calls=1, input_tokens=5)
    assert (Usage() + known).cost == 0.5
    assert (Usage(calls=1) + known).cost == 0.5
    assert (known + unknown).cost is None
    assert (Usage().cost, unknown.cost) == (0.0, None)


STRANGERS = {"default": Model(endpoint="https://strangers.example.com/v1", name="m"), "pool": Model(use=("default",))}


class TestLimitInDollars:
    def test_an_unknown_price_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(TaskError, match=r"^limits\.usd: the price of default is unknown; .*\nhint: .*`price: {"):
            check_prices(Limits(usd=1), priced(routes_of(STRANGERS)))
        check_prices(Limits(), priced(routes_of(STRANGERS)))
        known = {"default": STRANGERS["default"].model_copy(update={"price": OWN})}
        check_prices(Limits(usd=1), priced(routes_of(known)))

    @pytest.mark.anyio
    async def test_it_is_refused_before_anything_is_spent_or_written(self, tmp_path: Path) -> None:
        plan = Plan(steps=(Step(id="a", prompt="Do."),))
        task = Task(plan=plan, models=STRANGERS, folder=tmp_path, limits=Limits(usd=1))
        with pytest.raises(TaskError, match="price of default is unknown"):
            await swarm.run(task)
        with pytest.raises(TaskError, match="price of default is unknown"):
            await swarm.run(Task(plan=plan, folder=tmp_path, limits=Limits(usd=1)), endpoint=Function(lambda _: "x"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.anyio
    async def test_what_is_free_keeps_any_limit(self, tmp_path: Path) -> None:
        plan = Plan(steps=(Step(id="a", prompt="Do."),))
        (tmp_path / "n.md").write_text("Do this.")
        task = Task(plan=plan, inputs=("n.md",), folder=tmp_path, limits=Limits(usd=0.01))
        result = await swarm.run(task, endpoint="offline")
        assert (result.status, result.usage.cost) == ("done", 0.0)
