"""What each model costs: the task's own price, else the provider's list price, else unknown, which is never 0.

List prices come with `genai-prices`, whose tables are data in the package: nothing is looked up on a network. A model
is found by its base URL and its name together, so that the same name at a stranger's address has no price. What is on
this machine costs nothing, unless the task says otherwise.
"""

from collections.abc import Mapping
from typing import Any, cast

from swarm.base.errors import Problem, TaskError
from swarm.base.network import is_loopback
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.endpoints.router import OFFLINE, resolved
from swarm.spec.tariff import FREE, Tariff, flat
from swarm.spec.task import Limits, Model, Price

Tariffs = Mapping[str, Tariff | None]
"""By alias, of all models but pools; None where the price is not known."""


def tariffs(models: Mapping[str, Model], *, custom_endpoint: bool = False) -> Tariffs:
    """Price every model that is not a pool. With a custom endpoint, only prices from the task are known."""
    found: dict[str, Tariff | None] = {}
    for alias, model in models.items():
        if model.use is None:
            found[alias] = _own(model) if custom_endpoint else tariff_of(model)
    return found


def _own(model: Model) -> Tariff | None:
    return None if model.price is None else flat(model.price)


def tariff_of(model: Model) -> Tariff | None:
    """Price a model; None where nobody says."""
    if model.price is not None:
        return flat(model.price)
    model = resolved(model)
    if model.endpoint is None:
        return None
    if model.endpoint == OFFLINE or is_loopback(model.endpoint):
        return FREE
    return None if not model.name else list_price(model.endpoint, model.name)


def check_prices(limits: Limits, priced: Tariffs) -> None:
    """Raise a `TaskError` where a limit in dollars could not be kept, because what a model costs is not known."""
    unknown = [alias for alias, tariff in priced.items() if tariff is None]
    if limits.usd is None or not unknown:
        return
    message = (
        f"the price of {listing(unknown)} is not known, so a limit in dollars could not be kept: give it, in dollars a "
        "million tokens, as `price: {input: …, output: …}`, or limit `tokens` instead of `usd`"
    )
    raise TaskError(Problem(message, key="limits.usd"))


def described(priced: Tariffs) -> dict[str, dict[str, Json] | None]:
    """Write prices for the journal: by alias, in dollars a million tokens, and whose price it is; null if unknown."""
    return {
        alias: None if tariff is None else {**tariff.tiers[0][1].model_dump(), "source": tariff.source}
        for alias, tariff in priced.items()
    }


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
