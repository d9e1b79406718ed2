"""What each model costs: the task's own price, else the provider's list price, else unknown, which is never 0.

List prices come with `genai-prices`, whose tables are data in the package: nothing is looked up on a network. A model
is found by its base URL and its name together, so that the same name at a stranger's address has no price. What is on
this machine costs nothing, unless the task says otherwise.
"""

from dataclasses import replace
from typing import Any, cast

from swarm.base.errors import Problem, TaskError
from swarm.base.network import is_loopback
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.endpoints.route import Route, Routes, single
from swarm.spec.tariff import FREE, Tariff, flat
from swarm.spec.task import Limits, Price


def priced(routes: Routes, *, custom_endpoint: bool = False) -> dict[str, Route]:
    """Return the routes with their prices. With a custom endpoint, only prices from the task are known."""
    return {
        alias: route if route.is_pool else replace(route, tariff=_own(route) if custom_endpoint else tariff_of(route))
        for alias, route in routes.items()
    }


def _own(route: Route) -> Tariff | None:
    price = route.settings.price
    return None if price is None else flat(price)


def tariff_of(route: Route) -> Tariff | None:
    """Return the price of a model, or None if it is unknown."""
    if route.settings.price is not None:
        return _own(route)
    if route.is_offline or is_loopback(route.address):
        return FREE
    return list_price(route.address, route.model_name) if route.address and route.model_name else None


def check_prices(limits: Limits, routes: Routes) -> None:
    """Raise `TaskError` if there is a limit in dollars and the price of a model is unknown."""
    unknown = [alias for alias, route in single(routes).items() if route.tariff is None]
    if limits.usd is None or not unknown:
        return
    message = (
        f"the price of {listing(unknown)} is unknown; a limit in USD needs the price of every model\n"
        "hint: set it in USD per million tokens, `price: {input: …, output: …}`, or limit `tokens` instead of `usd`"
    )
    raise TaskError(Problem(message, key="limits.usd"))


def described(routes: Routes) -> dict[str, dict[str, Json] | None]:
    """Return the prices for the journal: by alias, in USD per million tokens, with the source; None if unknown."""
    return {alias: _described(route.tariff) for alias, route in single(routes).items()}


def _described(tariff: Tariff | None) -> dict[str, Json] | None:
    return None if tariff is None else {**tariff.tiers[0][1].model_dump(), "source": tariff.source}


def list_price(base_url: str, name: str) -> Tariff | None:
    """Look up the list price of a model by where it is and what it is called there; None where it is not listed.

    Where it changes by the hour of the day, the dearest hour's is taken: a run may last into it.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(name, None, None, base_url)
    except LookupError:
        return None
    prices: list[Any] = [model.prices] if not isinstance(model.prices, list) else _current(model.prices)
    made = [tariff for each in prices if (tariff := _tariff(each)) is not None]
    return max(made, key=lambda tariff: tariff.worst(1_000_000, 1_000_000), default=None)


def _current(conditional: list[Any]) -> list[Any]:
    """Leave out prices that have not begun; of those that began one after another, the last stands for all."""
    from datetime import UTC, datetime

    today = datetime.now(UTC)  # noqa: TID251 - of a price list's dates; nothing is computed from it
    hourly = [each.prices for each in conditional if hasattr(each.constraint, "start_time")]
    dated = [each for each in conditional if not hasattr(each.constraint, "start_time")]
    begun = [each.prices for each in dated if each.constraint is None or each.constraint.active(today)]
    return [*hourly, *begun[-1:]]


def _tariff(price: Any) -> Tariff | None:
    """Read a price of the tables; None where it is not one for tokens."""
    taken, given = getattr(price, "input_mtok", None), getattr(price, "output_mtok", None)
    if taken is None and given is None:
        return None
    cached = getattr(price, "cache_read_mtok", None)
    starts = sorted({0, *(tier.start for each in (taken, given, cached) for tier in getattr(each, "tiers", ()))})
    tiers = tuple(
        (
            start,
            Price(
                input=_at(taken, start) or 0.0,
                output=_at(given, start) or 0.0,
                cached=None if cached is None else _at(cached, start),
            ),
        )
        for start in starts
    )
    return Tariff(tiers, "list price")


def _at(value: Any, start: int) -> float | None:
    """Give a price beyond so many tokens of input."""
    if value is None:
        return None
    tiers = [tier for tier in cast("tuple[Any, ...]", getattr(value, "tiers", ())) if tier.start <= start]
    return float(tiers[-1].price if tiers else getattr(value, "base", value))
