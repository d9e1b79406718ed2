"""Steps that turn out to be several, before they have an outcome.

A step is expanded because of what it would read, at the moment at which it could start, or again
when a refusal taught that its context is smaller. An expansion depends on the step and on what it
reads only, never on the order in which other steps ended. It is a fact of the journal: a resumed
run does not ask again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from swarm.attempt.parts import joined_answers, needs_no_call, parts_of
from swarm.attempt.prompt import written
from swarm.attempt.types import Attempt
from swarm.base.errors import AttemptError
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.spec.plan import Combine, Step

QUICK_BYTES = 1_024
"""Characters that any model has room for: a step that reads less is not measured."""
QUICK_TEXTS = 8
"""Number of texts up to which their marks have space, too."""


@dataclass(frozen=True)
class Expansion:
    """The steps that do the work of a step, and how its output is made of theirs."""

    steps: tuple[Step, ...]
    combine: Combine
    takes: tuple[str, ...] = ()
    """Steps that would read the next parts of the same text: these steps read them, too."""


def follow_nothing(state: State, s: StepState, outcome: Outcome | None) -> tuple[Step, ...]:
    """Return no steps: no outcome leads to more steps than it spawned itself."""
    del state, s, outcome
    return ()


def in_parts(s: StepState, attempt: Attempt) -> Expansion | None:
    """Return the steps that read single long texts of a step in parts, or None if there are none."""
    parts = parts_of(s.step, attempt)
    return None if parts is None else Expansion(parts.steps, parts.combine)


class Expander:
    """Answers whether a step is expanded."""

    def __init__(
        self,
        attempt_of: Callable[[StepState], Attempt],
        taken: Collection[str],
        expansion_of: Callable[[StepState, Attempt], Expansion | None] = in_parts,
    ) -> None:
        """`attempt_of` makes the attempt at a step, which shows what it would read. `taken` has the ids of the run.

        `expansion_of` returns the expansion of a step that makes an attempt of its own.
        """
        self._attempt_of = attempt_of
        self._taken = taken
        self._expanded = expansion_of

    def __call__(self, s: StepState) -> Expansion | None:
        """Return the expansion of a step that could start now, or None if it is one attempt."""
        if s.step.merge is not None or s.transcript:
            return None  # It calls no model, or continues a conversation that was sized before.
        try:
            attempt = self._attempt_of(s)
        except AttemptError:
            return None  # The attempt fails for the same reason, and says so.
        if needs_no_call(attempt) or (_is_small(attempt) and s.error is None):
            return None
        joined = joined_answers(s.step, attempt)
        found = self._expanded(s, attempt) if joined is None else Expansion(joined.steps, joined.combine)
        if found is None or any(step.id in self._taken for step in found.steps):
            return None
        return found


def _is_small(attempt: Attempt) -> bool:
    """Return whether a step reads so little that it fits any model."""
    if len(attempt.given) + len(attempt.missing) + len(attempt.inputs) > QUICK_TEXTS:
        return False
    size = sum(len(each.text) + len(each.base64) for each in attempt.inputs)
    return size <= QUICK_BYTES and size + sum(len(written(each.output)) for each in attempt.given) <= QUICK_BYTES
