"""The advice whether a swarm is worth it: does one agent hold the work, is it independent, what does it cost.

The cost of making the plan is left out, because it is paid either way.

    one agent   reads all inputs once and writes one answer. If the plan states how long its steps
                take, or they use tools, one agent has to do them all: then its time is the sum of
                theirs.
    the swarm   is simulated with the run's workers (`swarm.forecast.simulate`). Each of its steps
                reads the rules, the instructions, the goal and the results of others again, so it
                takes more tokens: often 2 to 15 times as many.

The first of these that applies decides:

1. One agent cannot hold the work: inputs and one answer exceed its context, or the results exceed
   one answer. Then "swarm".
2. No two steps can run in parallel. Then "one agent".
3. The swarm is less than `WORTH` times as fast. Then "one agent".
4. It takes more times the tokens than it is faster. Then "one agent".
5. Otherwise "swarm".

If the sizes are known, `swarm.forecast.plan` decides with those of a rehearsal. `advise` decides by
the times of the steps alone: it knows no sizes, so it cannot apply case 4.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.attempt.reading import ASSUMED_CONTEXT, room_to_read
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
    token_ratio: float | None = None
    """Tokens of the swarm divided by those of one agent. None if sizes are unknown."""
    steps: int = 0
    """Steps of the swarm that run, including instances and parts."""
    cached: int = 0
    """Number of these steps that are in the cache: they cost nothing."""


@dataclass(frozen=True)
class Setting:
    """Everything except the plan that the advice depends on."""

    workers: int = Limits().usual_workers
    inputs: tuple[str, ...] | None = None
    """Names of the run's inputs, or None if they are unknown."""
    input_tokens: int = 0
    """Tokens of all inputs: the minimum that one agent reads."""
    context: int | None = None
    """Context size of one agent in tokens, or None if it is unknown."""
    reads: int | None = None
    """Tokens of inputs that fit one agent's context, next to its instructions and its answer. None if
    they follow from the context."""
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
    one = _estimate(plain.work_seconds, sum(tokens), setting.price)
    many = _estimate(swarm.seconds, sum(tokens) + HANDOVER_TOKENS * len(tokens), setting.price)
    grounds = Grounds(
        too_much=_too_much(setting),
        is_chain=plain.seconds >= plain.work_seconds,
        gain=ratio_of(one.seconds, many.seconds),
        workers=setting.workers,
    )
    verdict, reason = weigh(grounds)
    seconds = {name: each.seconds for name, each in expected.items()}
    return Advice(
        verdict=verdict,
        reason=reason,
        speedup=round(grounds.gain, 3),
        ideal_speedup=round(ratio_of(plain.work_seconds, plain.seconds), 3),
        workers=setting.workers,
        one_agent=one,
        swarm=many,
        critical_path=critical_path(steps, seconds).steps,
        expected_from=experience.sources(steps),
        is_estimate=any(step.each is not None and not _is_known(step, setting) for step in steps),
        steps=len(done),
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
    setting = Setting(workers, names, input_tokens=-(-size // BYTES_PER_TOKEN), reads=brief.reads)
    advice = advise(steps, setting)
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
    *,
    shares: int = 0,
) -> int:
    """Return an upper bound of a plan's tokens.

    It counts every possible attempt and turn, each with the maximum output. A turn is assumed to
    read all inputs, the maximum output of the steps before it and all results of tools, but no more
    than the model's context. A list of unknown length counts as `items`. `shares` is the number
    of parts and partial reports: each may take a whole context per attempt and turn. The bound is at
    most `limits.tokens`.
    """
    total = sum(_worst_of(step, limits, model, inputs_tokens, items) for step in steps)
    total += shares * TRIES * 2 * (model.context or ASSUMED_CONTEXT)
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


def _estimate(seconds: float, tokens: int, price: Price | None) -> Estimate:
    """Return an estimate. Of its tokens, `OUTPUT_SHARE` are output."""
    return Estimate(seconds=seconds, tokens=tokens, usd=usd_of(tokens, price))


def usd_of(tokens: int, price: Price | None) -> float | None:
    """Return the price of expected tokens in US dollars, or None without a price."""
    if price is None:
        return None
    given = tokens * OUTPUT_SHARE
    return ((tokens - given) * price.input + given * price.output) / 1_000_000


def _too_much(setting: Setting) -> str:
    """Return why one agent cannot read all inputs and answer; nothing if it can."""
    context = setting.context or ASSUMED_CONTEXT
    reads = room_to_read(context, {}) if setting.reads is None else setting.reads
    if setting.input_tokens <= reads:
        return ""
    return f"the inputs have about {setting.input_tokens:,} tokens, too much for one agent, which can read {reads:,}"


@dataclass(frozen=True)
class Grounds:
    """What decides whether a swarm is worth it."""

    too_much: str
    """Why one agent cannot hold the work; empty if it can."""
    is_chain: bool
    """Whether no two steps can run in parallel."""
    gain: float
    """Time of one agent divided by that of the swarm."""
    workers: int
    token_ratio: float | None = None
    """Tokens of the swarm divided by those of one agent. None if sizes are unknown."""


def weigh(grounds: Grounds) -> tuple[Recommendation, str]:
    """Return the recommendation and its reason. The cases are those of the module."""
    gain, ratio = grounds.gain, grounds.token_ratio
    cost = "" if ratio is None else f", for {ratio:.1f}× the tokens"
    predicted = f"{gain:.1f}× with {grounds.workers} workers{cost}"
    if grounds.too_much:  # 1
        return "swarm", grounds.too_much
    if grounds.is_chain:  # 2
        return "one agent", f"no two of its steps can run in parallel{cost}"
    if gain < 1 and ratio is not None:  # 3
        return "one agent", f"it holds all of the work; a swarm would take {1 / gain:.1f}× the time{cost}"
    if gain < WORTH:
        return "one agent", f"predicted speed-up of a swarm {predicted}; at least {WORTH:g}× is needed"
    if ratio is not None and ratio > gain:  # 4
        return "one agent", f"it holds all of the work; predicted speed-up of a swarm {predicted}"
    return "swarm", f"predicted speed-up {predicted}"  # 5


def ratio_of(one: float, other: float) -> float:
    """Return one figure divided by another; 1.0 if the other is 0."""
    return one / other if other > 0 else 1.0
