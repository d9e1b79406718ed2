"""The forecast of a plan: its estimate, its worst case, and its course in a simulation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from swarm.attempt.reading import ASSUMED_CONTEXT
from swarm.base.values import Json
from swarm.budget.prices import tariff_of
from swarm.endpoints.route import Route, Routes, route_of, routes_of
from swarm.forecast.advice import Advice, Estimate, Grounds, ratio_of, usd_of, weigh, worst_tokens
from swarm.forecast.expect import NOTHING, Expected, Experience, Source
from swarm.forecast.rehearse import Rehearsal, Scene, rehearse
from swarm.forecast.simulate import ITEMS, Course, course_of, simulate
from swarm.forecast.trees import Tree, trees_of
from swarm.record.cache import Cache
from swarm.results.timeline import Timeline
from swarm.scheduling.resources import RunResources
from swarm.spec.agent import Agent
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import ANSWER_STEP, Step, closed
from swarm.spec.task import Model, Price

ALMOST = 1 - 1e-9
"""Share of the work that a chain has: all of it, but for rounding."""
DEFAULT_MODEL = "default"
"""The alias of the model that the forecast assumes for every step."""


@dataclass(frozen=True)
class Forecast:
    """The estimate of a plan, its worst case, and the advice whether a swarm is worth it."""

    advice: Advice
    worst_tokens: int
    worst_usd: float | None
    """US dollars, or None if the price is unknown."""
    trees: tuple[Tree, ...] = ()
    """The steps that become several because of what they read."""
    opened: tuple[tuple[str, int], ...] = ()
    """The steps that look things up in long texts, with their bytes: of instances, the most."""
    limit: int | None = None
    """The limit on tokens, if the plan is expected to use more."""

    @property
    def value(self) -> dict[str, Json]:
        """Return the forecast as JSON values."""
        worst = {"tokens": self.worst_tokens, "usd": self.worst_usd}
        trees = [tree.model_dump(mode="json") for tree in self.trees]
        opened = [{"step": step, "bytes": size} for step, size in self.opened]
        advice = self.advice.model_dump(mode="json")
        return {"advice": advice, "worst": worst, "trees": trees, "opened": opened}


def price_of(model: Model | None) -> Price | None:
    """Return the price of a model: the one in the task, else a list price, else None."""
    tariff = None if model is None else tariff_of(route_of(DEFAULT_MODEL, model))
    return None if tariff is None else tariff.tiers[0][1]


def scene_of(
    resources: RunResources,
    agents: Iterable[Agent],
    experience: Experience,
    cache: Cache | None = None,
) -> Scene:
    """Return everything but the plan that its forecast depends on, with the prices of all models."""
    routes = routes_of(resources.task.models)
    prices = {alias: _dearest(route, routes) for alias, route in routes.items()}
    prices.setdefault(DEFAULT_MODEL, None)
    return Scene(resources=resources, agents=tuple(agents), experience=experience, cache=cache, prices=prices)


def _dearest(route: Route, routes: Routes) -> Price | None:
    """Return the price of a model; of a pool, that of the most expensive model in it. None if it is unknown."""
    prices = [price_of(routes[member].settings) for member in route.members]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices) or not known:
        return None
    return max(known, key=lambda price: price.input + price.output)


def forecast_plan(steps: Sequence[Step], scene: Scene) -> Forecast:
    """Return the forecast of a plan, from the sizes of what its steps read. Raise `PlanError` if it is invalid."""
    task, inputs = scene.resources.task, scene.resources.inputs
    limits = task.limits
    model = task.models.get(DEFAULT_MODEL) or Model()
    size = sum(each.size for each in inputs if each.medium == "text")
    whole = closed(tuple(steps))
    many = rehearse(whole, scene)
    trees = trees_of(many.state)
    shares = sum(each.partials for each in trees)
    worst = worst_tokens(steps, limits, model, -(-size // BYTES_PER_TOKEN), shares=shares)
    return Forecast(
        _advise(whole, many, scene),
        worst,
        _worst_usd(worst, price_of(model), limits.usd),
        trees,
        _opened(many),
        limits.tokens if limits.tokens is not None and many.tokens > limits.tokens else None,
    )


def _opened(many: Rehearsal) -> tuple[tuple[str, int], ...]:
    sizes: dict[str, int] = {}
    for name, each in many.steps.items():
        if each.opens:
            step = many.state.steps[name].step.instance_of or name
            sizes[step] = max(each.opens, sizes.get(step, 0))
    return tuple(sizes.items())


def _advise(steps: tuple[Step, ...], many: Rehearsal, scene: Scene) -> Advice:
    """Return the advice from the rehearsals of the plan and of one agent."""
    workers = scene.resources.task.limits.usual_workers
    alone = rehearse((_one_step(steps, scene),), scene.for_one_agent())

    def latency(step: Step, random: Random) -> float:
        del random
        return many.seconds_of(step)

    course = replace(course_of(many.state), latency=latency)
    widest, swarm = simulate(course), simulate(course, workers=workers)
    # Time that the plan states, and that of tools, one agent takes as well; an answer it writes only once.
    has_own_time = any(each.is_stated or each.calls > 1 for each in many.paid)
    answered = sum(each.seconds for each in alone.steps.values())
    seconds = max(answered, widest.work_seconds) if has_own_time else answered
    ratio = many.tokens / alone.tokens if alone.tokens and not many.cached else None
    grounds = Grounds(
        too_much=_too_much(many, alone, scene),
        is_chain=widest.seconds >= widest.work_seconds * ALMOST,
        gain=ratio_of(seconds, swarm.seconds),
        workers=workers,
        token_ratio=ratio,
    )
    verdict, reason = weigh(grounds)
    measured = {s.id: s for s in many.state.real_steps()}
    return Advice(
        verdict=verdict,
        reason=reason,
        speedup=round(grounds.gain, 3),
        ideal_speedup=round(ratio_of(widest.work_seconds, widest.seconds), 3),
        workers=workers,
        one_agent=Estimate(seconds=round(seconds, 3), tokens=alone.tokens, usd=alone.usd),
        swarm=Estimate(seconds=round(swarm.seconds, 3), tokens=many.tokens, usd=many.usd),
        critical_path=Timeline(widest.state).longest(_seconds(many)).steps,
        expected_from=sources_of(many),
        is_estimate=many.has_unknown_lists,
        token_ratio=None if ratio is None else round(ratio, 2),
        steps=len(measured),
        cached=many.cached,
    )


def _one_step(steps: tuple[Step, ...], scene: Scene) -> Step:
    """Return the step of one agent that does all of the work."""
    prompts = dict.fromkeys(step.prompt for step in steps)
    return Step(id=ANSWER_STEP, prompt=scene.resources.task.goal or "\n".join(prompts))


def _too_much(many: Rehearsal, alone: Rehearsal, scene: Scene) -> str:
    """Return why one agent cannot hold the work; empty if it can."""
    model = scene.resources.task.models.get(DEFAULT_MODEL) or Model()
    context = scene.resources.contexts.get(DEFAULT_MODEL, ASSUMED_CONTEXT)
    if len(alone.steps) > 1 or any(each.is_cut for each in alone.steps.values()):
        size = sum(each.size for each in scene.resources.inputs) // BYTES_PER_TOKEN
        return (
            f"the inputs have up to {size:,} tokens: with an answer of up to {model.max_tokens:,} tokens, that is too "
            f"much for one agent's context of {context:,}"
        )
    if many.merged_tokens > model.max_tokens:
        return (
            f"the merged results have about {many.merged_tokens:,} tokens, more than one answer of "
            f"{model.max_tokens:,} can hold"
        )
    return ""


def _seconds(rehearsal: Rehearsal) -> dict[str, float]:
    return {name: each.seconds for name, each in rehearsal.steps.items()}


def sources_of(rehearsal: Rehearsal) -> tuple[Source, ...]:
    """Return the sources of the expected lengths and seconds, each once."""
    return tuple(dict.fromkeys(each.source for each in rehearsal.paid))


def _worst_usd(tokens: int, price: Price | None, limit: float | None) -> float | None:
    """Return the price if every token has the higher price, at most the limit of the task."""
    if price is None:
        return None
    usd = tokens * max(price.input, price.output) / 1_000_000
    return usd if limit is None else min(usd, limit)


def rehearsed_course(steps: tuple[Step, ...], scene: Scene, *, price: Price | None = None) -> Course:
    """Return the course of a plan with the steps that it becomes: parts, partial reports, checks and votes.

    Its lists, and how long outputs are, are those of a rehearsal; a step takes the time that is expected of it.
    """
    state, experience = rehearse(steps, scene).state, scene.experience

    def expect(step: Step) -> Expected:
        s = state.steps.get(step.id)
        stands_in = s is not None and s.kind == "stand_in"  # the steps that it becomes do its work
        return NOTHING if stands_in else experience.expect(step)

    def latency(step: Step, random: Random) -> float:
        del random
        return expect(step).seconds

    def tokens_of(step: Step) -> int:
        return expect(step).tokens

    def price_of_step(step: Step) -> float | None:
        return usd_of(expect(step).tokens, price)

    return replace(course_of(state), latency=latency, tokens_of=tokens_of, usd_of=price_of_step)


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
        usd_of=lambda step: usd_of(tokens_of(step), price),
    )
