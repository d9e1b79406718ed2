"""The forecast of a plan: its estimate, its worst case, and its course in a simulation."""

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.base.values import Json
from swarm.budget.prices import tariff_of
from swarm.endpoints.route import route_of
from swarm.forecast.advice import Advice, Setting, advise, usd_of, worst_tokens
from swarm.forecast.expect import Experience
from swarm.forecast.simulate import ITEMS, Course
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import Step
from swarm.spec.task import Input, Model, Price, Task

DEFAULT_MODEL = "default"
"""The alias of the model that the forecast assumes for every step."""


@dataclass(frozen=True)
class Forecast:
    """The estimate of a plan, its worst case, and the advice whether a swarm is worth it."""

    advice: Advice
    worst_tokens: int
    worst_usd: float | None
    """US dollars, or None if the price is unknown."""

    @property
    def value(self) -> dict[str, Json]:
        """Return the forecast as JSON values."""
        worst = {"tokens": self.worst_tokens, "usd": self.worst_usd}
        return {"advice": self.advice.model_dump(mode="json"), "worst": worst}


def price_of(model: Model | None) -> Price | None:
    """Return the price of a model: the one in the task, else a list price, else None."""
    tariff = None if model is None else tariff_of(route_of(DEFAULT_MODEL, model))
    return None if tariff is None else tariff.tiers[0][1]


def forecast_plan(
    steps: Sequence[Step],
    task: Task,
    *,
    inputs: Sequence[Input],
    context: int | None,
    experience: Experience,
) -> Forecast:
    """Return the forecast of a plan. Steps that are similar to steps in `experience` are estimated
    from them.

    `context` is the context size of the default model in tokens, or None if it is unknown.
    """
    limits = task.limits
    model = task.models.get(DEFAULT_MODEL) or Model()
    size = sum(each.size for each in inputs if each.medium == "text")
    setting = Setting(
        workers=limits.workers,
        inputs=tuple(each.name for each in inputs),
        input_tokens=-(-size // BYTES_PER_TOKEN),
        context=context,
        price=price_of(model),
    )
    advice = advise(steps, setting, experience)
    worst = worst_tokens(steps, limits, model, setting.input_tokens)
    return Forecast(advice, worst, _worst_usd(worst, setting.price, limits.usd))


def _worst_usd(tokens: int, price: Price | None, limit: float | None) -> float | None:
    """Return the price if every token has the higher price, at most the limit of the task."""
    if price is None:
        return None
    usd = tokens * max(price.input, price.output) / 1_000_000
    return usd if limit is None else min(usd, limit)


def planned_course(
    steps: tuple[Step, ...],
    experience: Experience,
    *,
    inputs: tuple[str, ...] | None = None,
    items: int = ITEMS,
    price: Price | None = None,
) -> Course:
    """Return the course of a plan: the expected time, tokens and price of each step."""

    def tokens_of(step: Step) -> int:
        return experience.expect(step).tokens

    return Course(
        steps,
        lambda step, _: experience.expect(step).seconds,
        inputs,
        items,
        tokens_of=tokens_of,
        usd_of=lambda step: usd_of(tokens_of(step), 0, price),
    )
