"""Prices of models: the task's own price, else the provider's list price, else unknown (never 0).

List prices come with `genai-prices`, whose tables are data in the package: nothing is looked up on
the network. A model is found by its base URL and name together, so a model of the same name at an
unknown address has no price. Models on this machine are free, unless the task has a price for them.
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
    """Return the routes with their prices. With a custom endpoint, only task prices are known."""
    tariff = _own if custom_endpoint else tariff_of
    found: dict[str, Route] = {}
    for alias, route in routes.items():
        found[alias] = route if route.is_pool else replace(route, tariff=tariff(route))
    return found


def _own(route: Route) -> Tariff | None:
    price = route.settings.price
    return None if price is None else flat(price)


def tariff_of(route: Route) -> Tariff | None:
    """Return the price of a model, or None if it is unknown."""
    if route.settings.price is not None:
        return _own(route)
    if route.is_offline or is_loopback(route.address):
        return FREE
    if not route.address or not route.model_name:
        return None
    return list_price(route.address, route.model_name)


def check_prices(limits: Limits, routes: Routes) -> None:
    """Raise `TaskError` if there is a limit in dollars and the price of a model is unknown."""
    unknown = [alias for alias, route in single(routes).items() if route.tariff is None]
    if limits.usd is None or not unknown:
        return
    message = (
        f"the price of {listing(unknown)} is unknown; a limit in USD needs the price of every model\n"
        "hint: set it in USD per million tokens, `price: {input: …, output: …}`, "
        "or limit `tokens` instead of `usd`"
    )
    raise TaskError(Problem(message, key="limits.usd"))


def described(routes: Routes) -> dict[str, dict[str, Json] | None]:
    """Return the prices for the journal: by alias, in USD per million tokens; None if unknown."""
    return {alias: _described(route.tariff) for alias, route in single(routes).items()}


def _described(tariff: Tariff | None) -> dict[str, Json] | None:
    if tariff is None:
        return None
    _, price = tariff.tiers[0]
    return {**price.model_dump(), "source": tariff.source}


def list_price(base_url: str, name: str) -> Tariff | None:
    """Return the list price of a model at a base URL, or None if it is not listed.

    If the price depends on the hour of the day, this is the highest: a run may last into that hour.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(name, None, None, base_url)
    except LookupError:
        return None
    prices: list[Any] = [model.prices]
    if isinstance(model.prices, list):
        prices = _current(model.prices)
    found = [tariff for each in prices if (tariff := _tariff(each)) is not None]
    return max(found, key=lambda tariff: tariff.worst(1_000_000, 1_000_000), default=None)


def _current(conditional: list[Any]) -> list[Any]:
    """Return every price by the hour, and the latest price whose start date has passed."""
    from datetime import UTC, datetime

    today = datetime.now(UTC)  # noqa: TID251 - dates of a price list; nothing is computed from it
    hourly: list[Any] = []
    begun: list[Any] = []
    for each in conditional:
        if hasattr(each.constraint, "start_time"):
            hourly.append(each.prices)
        elif each.constraint is None or each.constraint.active(today):
            begun.append(each.prices)
    return [*hourly, *begun[-1:]]


def _tariff(price: Any) -> Tariff | None:
    """Return a price of the tables as a tariff, or None if it is not a price for tokens."""
    taken, given = getattr(price, "input_mtok", None), getattr(price, "output_mtok", None)
    if taken is None and given is None:
        return None
    cached = getattr(price, "cache_read_mtok", None)
    starts = {0, *_starts(taken), *_starts(given), *_starts(cached)}
    tiers = tuple((start, _price_at(start, taken, given, cached)) for start in sorted(starts))
    return Tariff(tiers, "list price")


def _starts(value: Any) -> list[int]:
    """Return the input tokens beyond which the tiers of a price apply."""
    return [tier.start for tier in getattr(value, "tiers", ())]


def _price_at(start: int, taken: Any, given: Any, cached: Any) -> Price:
    return Price(
        input=_at(taken, start) or 0.0,
        output=_at(given, start) or 0.0,
        cached=_at(cached, start),
    )


def _at(value: Any, start: int) -> float | None:
    """Return a price for calls with more than `start` input tokens."""
    if value is None:
        return None
    tiers = cast("tuple[Any, ...]", getattr(value, "tiers", ()))
    begun = [tier for tier in tiers if tier.start <= start]
    return float(begun[-1].price if begun else getattr(value, "base", value))
