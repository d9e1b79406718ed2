"""Expected seconds and tokens of steps: from the plan, else from similar steps, else a default.

Steps are similar if they have the same agent and the same prompt (with another item or other
inputs). If no step has both, steps with the same agent count as similar. In any case the same model
with the same settings, at the same endpoint, has served them: what one model took says nothing of
another. Only steps that ran and are done count. A step from the cache took no time, so it is
ignored. So is a step of a journal that does not say which endpoint served it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from swarm.attempt.types import part_digest
from swarm.base.errors import JournalError
from swarm.base.values import Frozen
from swarm.forecast.simulate import DEFAULT_SECONDS
from swarm.record.folder import RunFolder, listed
from swarm.record.journal import read
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.plan import Step

DEFAULT_TOKENS = 2000
"""Tokens of a step without any information: one or two pages to read, half a page to write."""
NEWEST = 5
"""Maximum earlier runs that are read. Older runs say little about the next one."""
MOST_BYTES = 4_000_000
"""Maximum bytes of a journal that is read. That takes at most 0.1 s, so the advice stays fast."""

UNKNOWN = frozenset({"", part_digest(None)})
"""Endpoints of which nothing can be learnt: those of earlier journals, and objects without an identity."""

Source = Literal["plan", "earlier runs", "sizes", "default"]


class Expected(Frozen):
    """The expected time and tokens of one attempt at a step."""

    seconds: float
    tokens: int
    """Input and output together."""
    seconds_from: Source
    tokens_from: Source


NOTHING = Expected(seconds=0.0, tokens=0, seconds_from="plan", tokens_from="plan")
"""What a step takes that calls no model."""


class ServedBy(NamedTuple):
    """Who served a step: two parts of its key (`Attempt.parts`)."""

    endpoint: str
    model: str


class Like(NamedTuple):
    """What similar steps took on average."""

    seconds: float
    """Seconds of the last attempt, without waiting."""
    tokens: float
    output_tokens: float
    calls: float


@dataclass
class _Sums:
    seconds: float = 0.0
    tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    count: int = 0

    def add(self, s: StepState) -> None:
        self.seconds += _seconds(s)
        self.tokens += s.usage.tokens
        self.output_tokens += s.usage.output_tokens
        self.calls += s.turns
        self.count += 1

    @property
    def mean(self) -> Like:
        count = self.count
        return Like(self.seconds / count, self.tokens / count, self.output_tokens / count, self.calls / count)


@dataclass
class Experience:
    """The average time and tokens of steps in earlier runs, by kind of step and by who served it."""

    _sums: dict[tuple[str, ...], dict[ServedBy, _Sums]] = field(
        default_factory=dict[tuple[str, ...], dict[ServedBy, _Sums]]
    )

    def learn(self, state: State) -> None:
        """Add the steps of a run to the averages."""
        for s in state.real_steps():
            is_measured = s.status is Status.DONE and not s.outcome.cached and bool(s.spans) and s.step.merge is None
            if is_measured:
                served = ServedBy(s.parts.get("endpoint", ""), s.parts.get("model", ""))
                for kind in _kinds(s.step):
                    self._sums.setdefault(kind, {}).setdefault(served, _Sums()).add(s)

    def like(self, step: Step, served: ServedBy | None = None) -> Like | None:
        """Return what similar steps took that were served so. Return None if there are none.

        Without `served`, they are those of whoever served such a step last.
        """
        for kind in _kinds(step):
            found = self._sums.get(kind, {})
            sums = next(iter(found.values()), None) if served is None else found.get(served)
            if sums is not None and (served is None or served.endpoint not in UNKNOWN):
                return sums.mean
        return None

    def of_equal_prompts(self) -> "Experience":
        """Return the experience with steps of the same agent and prompt only."""
        return Experience({kind: sums for kind, sums in self._sums.items() if len(kind) > 1})

    def expect(self, step: Step) -> Expected:
        """Return the expected time and tokens of an attempt at a step, or at one of its instances.

        A step that merges outputs takes neither.
        """
        if step.merge is not None:
            return NOTHING
        seconds, tokens = DEFAULT_SECONDS, float(DEFAULT_TOKENS)
        seconds_from: Source = "default"
        tokens_from: Source = "default"
        like = self.like(step)
        if like is not None:
            seconds, seconds_from = like.seconds, "earlier runs"
            if like.tokens:
                tokens, tokens_from = like.tokens, "earlier runs"
        if step.seconds is not None:
            seconds, seconds_from = step.seconds, "plan"
        if step.tokens is not None:
            tokens, tokens_from = step.tokens, "plan"
        return Expected(
            seconds=seconds,
            tokens=round(tokens),
            seconds_from=seconds_from,
            tokens_from=tokens_from,
        )

    def sources(self, steps: Iterable[Step]) -> tuple[Source, ...]:
        """Return the sources of the expected seconds, each once, in the order of the steps."""
        return tuple(dict.fromkeys(self.expect(step).seconds_from for step in steps if step.merge is None))


def experience_of(runs: Path, newest: int = NEWEST) -> Experience:
    """Return the experience from the newest runs in a folder.

    A run that cannot be read or exceeds `MOST_BYTES` is ignored.
    """
    found = Experience()
    for folder in reversed(listed(runs)[-newest:]):
        state = _fold(folder)
        if state is not None:
            found.learn(state)
    return found


def _fold(folder: RunFolder) -> State | None:
    state = State()
    try:
        if folder.journal.stat().st_size > MOST_BYTES:
            return None
        for event in read(folder.journal):
            state.apply(event)
    except (JournalError, OSError):
        return None
    return state


def _kinds(step: Step) -> tuple[tuple[str, ...], ...]:
    """Return the kinds under which durations are averaged, the most specific first."""
    return ((step.agent, step.prompt), (step.agent,))


def _seconds(s: StepState) -> float:
    """Return the seconds of the attempt that succeeded, without waiting. Failed attempts do not count."""
    last = s.spans[-1]
    whole = 0.0 if last.end is None else last.end - last.start
    return max(0.0, whole - sum(s.waited.values()))
