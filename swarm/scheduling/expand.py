"""Steps that turn out to be several, before they have an outcome.

A step is expanded because of what it would read, at the moment at which it could start, or again when a
refusal taught that its context is smaller. An expansion depends on the step and on what it reads only,
never on the order in which other steps ended. It is a fact of the journal: a resumed run does not ask
again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from swarm.attempt.parts import filled_by_parts, joined_answers, parts_of
from swarm.attempt.types import Attempt
from swarm.base.errors import AttemptError
from swarm.record.steps import StepState
from swarm.spec.plan import Combine, Step


@dataclass(frozen=True)
class Expansion:
    """The steps that do the work of a step, and how its output is made of theirs."""

    steps: tuple[Step, ...]
    combine: Combine


class Expander:
    """Answers whether a step is expanded."""

    def __init__(self, attempt_of: Callable[[StepState], Attempt], taken: Collection[str]) -> None:
        """`attempt_of` makes the attempt at a step, which shows what it would read. `taken` has the ids of the run."""
        self._attempt_of = attempt_of
        self._taken = taken

    def __call__(self, s: StepState) -> Expansion | None:
        """Return the expansion of a step that could start now, or None if it is one attempt."""
        if s.step.merge is not None or s.transcript:
            return None  # It calls no model, or continues a conversation that was sized before.
        try:
            attempt = self._attempt_of(s)
        except AttemptError:
            return None  # The attempt fails for the same reason, and says so.
        found = filled_by_parts(attempt)
        if found is not None and not found.open:
            return None  # It needs no call, whatever the size of the parts' answers.
        parts = joined_answers(s.step, attempt) or parts_of(s.step, attempt)
        if parts is None or any(step.id in self._taken for step in parts.steps):
            return None
        return Expansion(parts.steps, parts.combine)
