"""Steps for which a limit left no space, and the similar steps that need not be tried.

A call is refused if its worst case does not fit what is left, even if every call in flight takes
nothing. What is left only shrinks. So a similar step that reads as much or more would be refused,
too. It is not started: a spent limit is one decision for thousands of parts of a text, not one
attempt for each of them.
"""

from collections.abc import Hashable

from swarm.base.values import canonical
from swarm.record import events as e
from swarm.record.steps import StepState


class Shortfalls:
    """The limits that left no space for a step, and the smallest of similar steps for which they left none."""

    def __init__(self) -> None:
        self.limits: dict[str, float] = {}
        """The limits, with their values, until they are reached."""
        self._refused: dict[Hashable, tuple[int, e.Failure]] = {}

    def note(self, s: StepState, failure: e.Failure) -> None:
        """Note that the first call of a step did not fit. Later calls of an attempt are larger than those of others."""
        if s.transcript:
            return
        like, size = _like(s), _size(s)
        known = self._refused.get(like)
        if known is None or size < known[0]:
            self._refused[like] = (size, failure)

    def forget(self) -> None:
        """Forget the refused steps: after another answer, a smaller output cap may be enough for similar calls."""
        self._refused.clear()

    def event(self, s: StepState) -> e.StepFailed | None:
        """Return the event of a ready step whose first call cannot fit; None if it may."""
        if not self._refused or s.transcript:
            return None
        size, failure = self._refused.get(_like(s), (0, None))
        if failure is None or _size(s) < size:
            return None
        return e.StepFailed(step=s.id, attempt=s.attempt, error=failure)


def _like(s: StepState) -> Hashable:
    """Return what similar steps have in common: all of their prompts, except what `_size` counts."""
    step = s.step
    template = step.prompt if step.item is not None else None
    form = "" if step.output is None else repr(step.output)
    return s.by, step.agent, step.model, step.needs, step.after, step.inputs, step.tools, step.length, form, template


def _size(s: StepState) -> int:
    """Return the bytes of what a step reads for itself: its prompt, its item, its piece of a text."""
    step = s.step
    size = len(step.prompt.encode("utf-8", "replace"))
    if step.item is not None:
        size += len(canonical(step.item))
    return size if step.part is None else size + step.part.head + step.part.end - step.part.start
