"""The advice whether a swarm is worth it: its gain over one agent, and its cost.

Both are predicted from the steps of the plan. The cost of making the plan is left out, because it
is paid either way.

    one agent   runs the steps one after the other in one conversation. Its time is the sum of their
                times. Its tokens are those of the steps and, at each step, everything before it
                again as input. With tokens t1 … tn that is the sum over i of (ti + t1 + … + t(i-1)).
                Repeated input has the price of cached input, because every endpoint with a prefix
                cache charges it so.
    the swarm   is simulated with the run's workers (`swarm.forecast.simulate`). Each step takes
                `HANDOVER_SECONDS` and `HANDOVER_TOKENS` more, because it reads the rules, the
                instructions, the goal and the results of others. A plan with several last steps
                gets one more step that reduces them, for both.

The advice is "swarm" if the swarm is `WORTH` times as fast, or if the work exceeds one agent's
context; else "one agent". It is a prediction with two constants. `swarm show` reports what a run
really gained.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.attempt.prompt import ASSUMED_CONTEXT
from swarm.base.values import Frozen, Id
from swarm.forecast.expect import Expected, Experience
from swarm.forecast.simulate import ITEMS, Course, simulate
from swarm.planning.brief import Brief
from swarm.planning.graph import critical_path
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import ANSWER_STEP, REDUCER, Step, closed
from swarm.spec.task import Limits, Model, Price

HANDOVER_SECONDS = 0.5
"""Seconds a step takes longer in a swarm: a prompt of a few thousand tokens at 10,000 tokens per
second, and the round trip."""
HANDOVER_TOKENS = 600
"""Tokens a step reads more in a swarm: the rules, the instructions of the roles in this package,
and the goal."""
WORTH = 1.2
"""Minimum speed-up at which a swarm is advised. Smaller gains are within the error of the
prediction."""
OUTPUT_SHARE = 0.25
"""Share of a step's tokens that are output, from 0 to 1: an agent reads more than it writes."""
TRIES = 3
"""Maximum turns without tools in one attempt: an invalid answer is retried twice."""
PLAIN_AGENTS = ("worker", REDUCER)
"""Roles that one agent can replace: they have no tools or models of their own."""

Recommendation = Literal["swarm", "one agent"]


class Estimate(Frozen):
    """The predicted time and cost of one way to run a plan."""

    seconds: float
    tokens: int
    usd: float | None = None
    """US dollars, or None if the price is unknown."""


class Advice(Frozen):
    """The recommended way to run a plan, with the reason and both estimates."""

    verdict: Recommendation
    reason: str
    """One sentence for people. It is part of the JSON output and of the note in a journal."""
    speedup: float
    """Time of one agent divided by the time of the swarm."""
    ideal_speedup: float
    """Work divided by the critical path: one worker per step, and no handover."""
    workers: int
    one_agent: Estimate
    swarm: Estimate
    critical_path: tuple[Id, ...]
    """The chain of steps with the longest expected time."""
    expected_from: tuple[str, ...]
    """Sources of the expected times: `plan`, `earlier runs`, `default`."""
    is_estimate: bool = False
    """True if the length of a list is unknown, so that `ITEMS` instances were assumed."""


@dataclass(frozen=True)
class Setting:
    """Everything except the plan that the advice depends on."""

    workers: int = Limits().workers
    inputs: tuple[str, ...] | None = None
    """Names of the run's inputs, or None if they are unknown."""
    input_tokens: int = 0
    """Tokens of all inputs: the minimum that one agent reads."""
    context: int | None = None
    """Context size of one agent in tokens, or None if it is unknown."""
    price: Price | None = None
    items: int = ITEMS
    """Assumed length of lists that are not known yet."""


_SETTING = Setting()
_NO_EXPERIENCE = Experience()


def advise(
    steps: Iterable[Step],
    setting: Setting = _SETTING,
    experience: Experience = _NO_EXPERIENCE,
) -> Advice:
    """Return the advice for a plan.

    Raise `PlanError` if its steps are cyclic or need unknown steps.
    """
    steps = closed(tuple(steps))
    expected = {step.id: experience.expect(step) for step in steps}

    def expect(step: Step) -> Expected:
        return expected[step.instance_of or step.id]

    inputs, items = setting.inputs, setting.items
    plain = simulate(Course(steps, lambda step, _: expect(step).seconds, inputs, items))
    handed = Course(steps, lambda step, _: expect(step).seconds + _handover(step), inputs, items)
    swarm = simulate(handed, workers=setting.workers)
    done = [s for s in plain.state.real_steps() if s.spans and s.step.merge is None]
    tokens = [expect(s.step).tokens for s in done]
    one = _alone(plain.work_seconds, tokens, setting.price)
    many = _together(swarm.seconds, tokens, setting.price)
    is_chain = plain.seconds >= plain.work_seconds
    verdict, reason = _weigh(one, many, sum(tokens), setting, is_chain=is_chain)
    seconds = {name: each.seconds for name, each in expected.items()}
    return Advice(
        verdict=verdict,
        reason=reason,
        speedup=round(_ratio(one.seconds, many.seconds), 3),
        ideal_speedup=round(_ratio(plain.work_seconds, plain.seconds), 3),
        workers=setting.workers,
        one_agent=one,
        swarm=many,
        critical_path=critical_path(steps, seconds).steps,
        expected_from=experience.sources(steps),
        is_estimate=any(step.each is not None and not _is_known(step, setting) for step in steps),
    )


def as_one_agent(
    steps: Sequence[Step],
    goal: str,
    brief: Brief,
    *,
    workers: int,
) -> tuple[Step, str] | None:
    """Return the step that replaces a planner's plan, with the reason, or None if a swarm may help.

    The step `answer` gets the goal and all inputs. The decision depends on the plan and the brief
    only, so it is the same at any time. A plan stays as it is if one agent cannot replace it
    (`_is_replaceable`), or if the inputs exceed its context.
    """
    if not _is_replaceable(steps, brief):
        return None
    size = sum(each.size for each in brief.inputs)
    names = tuple(each.name for each in brief.inputs)
    advice = advise(steps, Setting(workers, names, input_tokens=-(-size // BYTES_PER_TOKEN)))
    if advice.verdict == "swarm":
        return None
    note = f"one agent replaces the planner's {len(steps)} steps (swarm: auto): {advice.reason}"
    return Step(id=ANSWER_STEP, prompt=goal), note


def _is_replaceable(steps: Sequence[Step], brief: Brief) -> bool:
    """Return whether one agent can do all steps.

    It cannot if they use special agents, models, tools, lists or a schema of the report, or media
    or labelled inputs.
    """
    if len(steps) < 2 or steps[-1].output is not None or brief.table == "file":
        return False
    if any(each.medium != "text" or each.label is not None for each in brief.inputs):
        return False
    return all(_is_plain(step) for step in steps)


def _is_plain(step: Step) -> bool:
    has_own = step.model is not None or step.tools is not None or step.each is not None or step.merge is not None
    return step.agent in PLAIN_AGENTS and not has_own


def worst_tokens(
    steps: Iterable[Step],
    limits: Limits,
    model: Model,
    inputs_tokens: int = 0,
    items: int = ITEMS,
) -> int:
    """Return an upper bound of a plan's tokens.

    It counts every possible attempt and turn, each with the maximum output. A turn is assumed to
    read all inputs, the maximum output of the steps before it and all results of tools, but no more
    than the model's context. A list of unknown length counts as `items`. The bound is at most
    `limits.tokens`.
    """
    total = sum(_worst_of(step, limits, model, inputs_tokens, items) for step in steps)
    return total if limits.tokens is None else min(total, limits.tokens)


def _worst_of(step: Step, limits: Limits, model: Model, inputs_tokens: int, items: int) -> int:
    """Return an upper bound of the tokens of a step and all its instances."""
    if step.merge is not None:
        return 0
    context = model.context or ASSUMED_CONTEXT
    attempts = 1 + (1 if step.retries is None else step.retries)
    if step.tools:
        turns, reads = limits.turns, context
    else:
        turns = min(TRIES, limits.turns)
        handed = len((*step.needs, *step.after)) * model.max_tokens
        reads = min(context, inputs_tokens + handed + turns * model.max_tokens)
    return _instances(step, items) * attempts * turns * (reads + model.max_tokens)


def _instances(step: Step, items: int) -> int:
    if step.each is None:
        return 1
    return len(step.each) if isinstance(step.each, tuple) else items


def _is_known(step: Step, setting: Setting) -> bool:
    return isinstance(step.each, tuple) or (step.each == "inputs" and setting.inputs is not None)


def _handover(step: Step) -> float:
    """Return the seconds that a step takes longer in a swarm. One that merges outputs reads nothing."""
    return HANDOVER_SECONDS if step.merge is None else 0.0


def _alone(seconds: float, tokens: Sequence[int], price: Price | None) -> Estimate:
    """Return the estimate of one agent, which reads everything before a step again."""
    said = again = 0
    for count in tokens:
        again += said
        said += count
    return Estimate(seconds=seconds, tokens=said + again, usd=usd_of(said, again, price))


def _together(seconds: float, tokens: Sequence[int], price: Price | None) -> Estimate:
    """Return the estimate of a swarm, where each step reads the handover."""
    total = sum(tokens) + HANDOVER_TOKENS * len(tokens)
    return Estimate(seconds=seconds, tokens=total, usd=usd_of(total, 0, price))


def usd_of(new: int, again: int, price: Price | None) -> float | None:
    """Return the price of expected tokens in US dollars, or None without a price.

    `again` are input tokens that the endpoint has cached.
    """
    if price is None:
        return None
    cached = price.input if price.cached is None else price.cached
    written = new * OUTPUT_SHARE
    return ((new - written) * price.input + written * price.output + again * cached) / 1_000_000


def _weigh(
    one: Estimate,
    many: Estimate,
    tokens: int,
    setting: Setting,
    *,
    is_chain: bool,
) -> tuple[Recommendation, str]:
    """Return the recommendation and its reason."""
    context = setting.context or ASSUMED_CONTEXT
    held = setting.input_tokens + tokens
    # Half of the context is left for the answers of the one agent.
    if held > context // 2:
        size = f"about {held:,} tokens, too much for one agent's context of {context:,}"
        return "swarm", f"the work is {size}"
    if is_chain:
        return "one agent", "no two of its steps can run in parallel"
    gain = _ratio(one.seconds, many.seconds)
    more_tokens = many.tokens / one.tokens if one.tokens else 1.0
    predicted = f"{gain:.1f}× with {setting.workers} workers, for {more_tokens:.1f}× the tokens"
    if gain >= WORTH:
        return "swarm", f"predicted speed-up {predicted}"
    return "one agent", f"predicted speed-up of a swarm {predicted}; at least {WORTH:g}× is needed"


def _ratio(one: float, other: float) -> float:
    return one / other if other > 0 else 1.0
