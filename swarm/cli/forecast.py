"""The estimate of a plan, for the commands that print it before anything is paid for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swarm.base.values import Json
    from swarm.forecast.advice import Advice
    from swarm.lifecycle.prepare import Prepared
    from swarm.spec.plan import Step
    from swarm.spec.task import Model, Price

DEFAULT_MODEL = "default"


@dataclass(frozen=True)
class Forecast:
    """The estimate of a plan, its worst case, and whether a swarm is worth it."""

    advice: "Advice"
    worst_tokens: int
    worst_usd: float | None

    @property
    def value(self) -> "dict[str, Json]":
        """Return the same for `--json`."""
        worst = {"tokens": self.worst_tokens, "usd": self.worst_usd}
        return {"advice": self.advice.model_dump(mode="json"), "worst": worst}


def price_of(model: "Model | None") -> "Price | None":
    """Return the price of a model: that of the task, else a list price, else None."""
    from swarm.budget.prices import tariff_of

    tariff = None if model is None else tariff_of(model)
    return None if tariff is None else tariff.tiers[0][1]


def forecast(prepared: "Prepared", steps: "Sequence[Step]", runs: "Path | None" = None) -> Forecast:
    """Estimate a plan. Steps that are similar to steps of earlier runs in `runs` are estimated from them."""
    from swarm.forecast.advice import BYTES_PER_TOKEN, Setting, advise, worst_tokens
    from swarm.forecast.expect import experience_of
    from swarm.spec.task import Model

    resources, limits = prepared.resources, prepared.task.limits
    model = prepared.task.models.get(DEFAULT_MODEL) or Model()
    size = sum(each.size for each in resources.inputs if each.medium == "text")
    setting = Setting(
        workers=limits.workers,
        inputs=tuple(each.name for each in resources.inputs),
        input_tokens=-(-size // BYTES_PER_TOKEN),
        context=resources.contexts.get(DEFAULT_MODEL),
        price=price_of(model),
    )
    advice = advise(steps, setting, experience_of(runs or prepared.runs))
    worst = worst_tokens(steps, limits, model, setting.input_tokens)
    price = setting.price
    usd = None if price is None else worst * max(price.input, price.output) / 1_000_000
    return Forecast(advice, worst, usd if usd is None or limits.usd is None else min(usd, limits.usd))
