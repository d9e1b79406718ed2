"""What steps are expected to take, in seconds and tokens: what the plan says, what like steps took, else a default.

Steps are alike if the same agent was asked the same (with another item, or other inputs); failing that, if they have
the same agent. Only what was carried out and done counts: what a cache gave took nothing, and says nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from swarm.base.errors import JournalError
from swarm.base.values import Frozen
from swarm.forecast.simulate import DEFAULT_SECONDS
from swarm.record.folder import RunFolder, listed
from swarm.record.journal import read
from swarm.record.state import State, Status, StepState
from swarm.spec.plan import Step

DEFAULT_TOKENS = 2000
"""Tokens of a step of which nothing is known: a page or two to read, half a page to write."""
NEWEST = 5
"""Earlier runs that are looked at: more say little about what the next one takes."""
MOST_BYTES = 4_000_000
"""Of a journal that is looked at: a tenth of a second each at most, so that asking for advice costs nothing."""

Source = Literal["plan", "earlier runs", "default"]


class Expected(Frozen):
    """What one attempt at a step is expected to take."""

    seconds: float
    tokens: int
    """Input and output."""
    seconds_from: Source
    tokens_from: Source


@dataclass
class _Mean:
    seconds: float = 0.0
    tokens: int = 0
    count: int = 0

    def add(self, seconds: float, tokens: int) -> None:
        self.seconds += seconds
        self.tokens += tokens
        self.count += 1


@dataclass
class Experience:
    """What steps of earlier runs took, on average by kind."""

    _resources: dict[tuple[str, ...], _Mean] = field(default_factory=dict[tuple[str, ...], _Mean])

    def learn(self, state: State) -> None:
        """Take in what the steps of a run took."""
        for s in state.real_steps():
            if s.status is Status.DONE and not s.cached and s.spans:
                for kind in _kinds(s.step):
                    self._resources.setdefault(kind, _Mean()).add(_seconds(s), s.usage.tokens)

    def expect(self, step: Step) -> Expected:
        """Say what an attempt at a step, or at each of its instances, is expected to take."""
        seconds, tokens = DEFAULT_SECONDS, float(DEFAULT_TOKENS)
        seconds_from: Source = "default"
        tokens_from: Source = "default"
        mean = next((self._resources[kind] for kind in _kinds(step) if kind in self._resources), None)
        if mean is not None:
            seconds, seconds_from = mean.seconds / mean.count, "earlier runs"
            if mean.tokens:
                tokens, tokens_from = mean.tokens / mean.count, "earlier runs"
        if step.seconds is not None:
            seconds, seconds_from = step.seconds, "plan"
        if step.tokens is not None:
            tokens, tokens_from = step.tokens, "plan"
        return Expected(seconds=seconds, tokens=round(tokens), seconds_from=seconds_from, tokens_from=tokens_from)

    def sources(self, steps: Iterable[Step]) -> tuple[Source, ...]:
        """Name what the seconds of some steps come from, each once, in the order of the steps."""
        return tuple(dict.fromkeys(self.expect(step).seconds_from for step in steps))


def experience_of(runs: Path, newest: int = NEWEST) -> Experience:
    """Learn from the newest runs in a folder of runs. One that cannot be read, or is very large, is passed over."""
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
    """Name what a step is alike to, the closest first."""
    return ((step.agent, step.prompt), (step.agent,))


def _seconds(s: StepState) -> float:
    """Give the seconds of the attempt that succeeded: expected is one, not its failures."""
    last = s.spans[-1]
    return 0.0 if last.end is None else last.end - last.start
