"""Whether a swarm is worth it: what it would gain over one agent doing it all, and what it would cost.

Both are predicted from the plan's own steps, so what making the plan took is spent either way and is left out.

    one agent     carries out the steps one after the other in one conversation. It takes the sum of their seconds. Its
                  tokens are those of the steps, and at each step all that was said before once more, as input: with
                  tokens t1 … tn that is the sum over i of (ti + t1 + … + t(i-1)). What was said before is priced as
                  cached input, which it is at every endpoint that has a prefix cache.
    the swarm     is simulated with so many workers (`swarm.forecast.simulate`), each step `HANDOVER_SECONDS` longer and
                  `HANDOVER_TOKENS` dearer: rules, instructions, goal and what others found are read anew by each. A
                  plan with several ends is reduced by one step more, for both.

The advice is "swarm" where that makes it `WORTH` times as fast, or where one agent's context could not hold the work;
else "one agent". It is a prediction by a model with two constants, no promise: `swarm show` tells what came of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.base.values import Frozen, Id
from swarm.forecast.expect import Expected, Experience
from swarm.forecast.simulate import ITEMS, Course, simulate
from swarm.planning.brief import Brief
from swarm.planning.graph import critical_path
from swarm.spec.plan import REDUCER, Step, closed
from swarm.spec.task import Limits, Model, Price

HANDOVER_SECONDS = 0.5
"""Reading a prompt of a few thousand tokens at the ten thousand a second that servers prefill at, and the way there."""
HANDOVER_TOKENS = 600
"""The rules and instructions of the roles that come with this package, and the goal, in tokens."""
WORTH = 1.2
"""How many times as fast a swarm must be: less is lost in what the prediction does not know."""
OUTPUT_SHARE = 0.25
"""Of a step's tokens, those that are written rather than read."""
TRIES = 3
"""Turns without tools in one attempt, at worst: an answer may be asked for again twice."""
ANSWER_STEP = "answer"
"""The id of the one step where one agent does it all."""
PLAIN_AGENTS = ("worker", REDUCER)
"""Roles that one agent can stand in for: they have nothing of their own."""
BYTES_PER_TOKEN = 3
"""Of text, at least: the estimate of `swarm.spec.chat`."""
ASSUMED_CONTEXT = 128_000
"""Tokens one agent can hold where nothing is known (`swarm.attempt.prompt`); a half of it is left for what it does."""

Recommendation = Literal["swarm", "one agent"]


class Estimate(Frozen):
    """What one way is predicted to take."""

    seconds: float
    tokens: int
    usd: float | None = None
    """US dollars. None where the price is not known."""


class Advice(Frozen):
    """Which way to go, and why."""

    verdict: Recommendation
    reason: str
    """For people, in one sentence."""
    speedup: float
    """Seconds of one agent by those of the swarm."""
    ideal_speedup: float
    """Work by critical path: with a worker for every step, and nothing handed over."""
    workers: int
    one_agent: Estimate
    swarm: Estimate
    critical_path: tuple[Id, ...]
    """The longest chain of steps by what they are expected to take."""
    expected_from: tuple[str, ...]
    """Where the seconds come from: `plan`, `earlier runs`, `default`."""
    is_estimate: bool = False
    """Whether some lists are of unknown length, so that `ITEMS` instances were assumed for each."""


@dataclass(frozen=True)
class Setting:
    """What the advice depends on beside the plan."""

    workers: int = Limits().workers
    inputs: tuple[str, ...] | None = None
    """Names of the run's inputs; None where they are not known."""
    input_tokens: int = 0
    """Tokens of all inputs: what one agent has to read at least."""
    context: int | None = None
    """Tokens one agent can hold, where known."""
    price: Price | None = None
    items: int = ITEMS
    """Length of lists that are not known."""


_SETTING = Setting()
_NO_EXPERIENCE = Experience()


def advise(steps: Iterable[Step], setting: Setting = _SETTING, experience: Experience = _NO_EXPERIENCE) -> Advice:
    """Weigh a swarm against one agent. Raises `PlanError` where steps wait for each other or for what is not there."""
    steps = closed(tuple(steps))
    expected = {step.id: experience.expect(step) for step in steps}

    def expect(step: Step) -> Expected:
        return expected[step.instance_of or step.id]

    inputs, items = setting.inputs, setting.items
    plain = simulate(Course(steps, lambda step, _: expect(step).seconds, inputs, items))
    handed = Course(steps, lambda step, _: expect(step).seconds + HANDOVER_SECONDS, inputs, items)
    swarm = simulate(handed, workers=setting.workers)
    done = [s for s in plain.state.real_steps() if s.spans]
    tokens = [expect(s.step).tokens for s in done]
    one = _alone(plain.work_seconds, tokens, setting.price)
    many = _together(swarm.seconds, tokens, setting.price)
    speedup = one.seconds / many.seconds if many.seconds > 0 else 1.0
    is_chain = plain.seconds >= plain.work_seconds
    verdict, reason = _weigh(one, many, sum(tokens), setting, is_chain=is_chain)
    return Advice(
        verdict=verdict,
        reason=reason,
        speedup=round(speedup, 3),
        ideal_speedup=round(plain.work_seconds / plain.seconds if plain.seconds > 0 else 1.0, 3),
        workers=setting.workers,
        one_agent=one,
        swarm=many,
        critical_path=critical_path(steps, {name: each.seconds for name, each in expected.items()}).steps,
        expected_from=experience.sources(steps),
        is_estimate=any(step.each is not None and not _is_known(step, setting) for step in steps),
    )


def as_one_agent(steps: Sequence[Step], goal: str, brief: Brief, *, workers: int) -> tuple[Step, str] | None:
    """Say what is run in place of a planner's plan where a swarm would not help, and why; None where it may help.

    That is the one step `answer`, asked the goal with all inputs before it. The decision is a function of the plan and
    the brief alone, so it is the same whenever it is taken. A plan is left as it is where one agent could not stand in
    for it: it has roles, models or tools of its own, a later planner, media or labelled data, a form of its report;
    or the inputs are more than fit.
    """
    plain = all(s.agent in PLAIN_AGENTS and s.model is None and s.tools is None and s.each is None for s in steps)
    ordinary = all(each.medium == "text" and each.label is None for each in brief.inputs)
    if len(steps) < 2 or not plain or not ordinary or any(s.output is not None for s in steps[-1:]):
        return None
    size = sum(each.size for each in brief.inputs)
    advice = advise(
        steps, Setting(workers, tuple(each.name for each in brief.inputs), input_tokens=-(-size // BYTES_PER_TOKEN))
    )
    if advice.verdict == "swarm":
        return None
    note = f"one agent does it all in place of the planner's {len(steps)} steps (swarm: auto), because {advice.reason}"
    return Step(id=ANSWER_STEP, prompt=goal), note


def worst_tokens(
    steps: Iterable[Step], limits: Limits, model: Model, inputs_tokens: int = 0, items: int = ITEMS
) -> int:
    """Bound the tokens of a plan: every attempt that may be made, each turn it may take, each at its output cap.

    What a turn reads is taken as all inputs, all that the steps before could have written and what tools could have
    given, but never more than the model's context holds. `limits.tokens` bounds it all. Lists that are not known count
    as `items`.
    """
    steps = tuple(steps)
    context = model.context or ASSUMED_CONTEXT
    total = 0
    for step in steps:
        instances = 1 if step.each is None else len(step.each) if isinstance(step.each, tuple) else items
        attempts = 1 + (1 if step.retries is None else step.retries)
        turns = limits.turns if step.tools else min(TRIES, limits.turns)
        handed = len((*step.needs, *step.after)) * model.max_tokens
        reads = context if step.tools else min(context, inputs_tokens + handed + turns * model.max_tokens)
        total += instances * attempts * turns * (reads + model.max_tokens)
    return total if limits.tokens is None else min(total, limits.tokens)


def _is_known(step: Step, setting: Setting) -> bool:
    return isinstance(step.each, tuple) or (step.each == "inputs" and setting.inputs is not None)


def _alone(seconds: float, tokens: Sequence[int], price: Price | None) -> Estimate:
    said = again = 0
    for count in tokens:
        again += said
        said += count
    return Estimate(seconds=seconds, tokens=said + again, usd=usd_of(said, again, price))


def _together(seconds: float, tokens: Sequence[int], price: Price | None) -> Estimate:
    total = sum(tokens) + HANDOVER_TOKENS * len(tokens)
    return Estimate(seconds=seconds, tokens=total, usd=usd_of(total, 0, price))


def usd_of(new: int, again: int, price: Price | None) -> float | None:
    """Price tokens that are expected, in US dollars; `again` are those an endpoint has cached. None without a price."""
    if price is None:
        return None
    cached = price.input if price.cached is None else price.cached
    written = new * OUTPUT_SHARE
    return ((new - written) * price.input + written * price.output + again * cached) / 1_000_000


def _weigh(
    one: Estimate, many: Estimate, tokens: int, setting: Setting, *, is_chain: bool
) -> tuple[Recommendation, str]:
    """Give the verdict and its reason."""
    context = setting.context or ASSUMED_CONTEXT
    held = setting.input_tokens + tokens
    if held > context // 2:
        return "swarm", f"the work is about {held:,} tokens, too much for the {context:,} one agent can hold"
    if is_chain:
        return "one agent", "no two of its steps can run side by side"
    gain = one.seconds / many.seconds if many.seconds > 0 else 1.0
    dearer = many.tokens / one.tokens if one.tokens else 1.0
    words = f"predicted {gain:.1f} times as fast with {setting.workers} workers, for {dearer:.1f} times the tokens"
    if gain >= WORTH:
        return "swarm", words
    return "one agent", f"a swarm is {words}; from {WORTH:g} times as fast it is worth it"
