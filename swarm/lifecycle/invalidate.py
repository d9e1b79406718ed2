"""The steps that a resumed run reruns, and the steps that it removes."""

from collections.abc import Iterable
from dataclasses import dataclass

from swarm.base.errors import TooLargeError
from swarm.record.state import State
from swarm.record.steps import Status, StepState


@dataclass(frozen=True)
class Invalidation:
    """The steps of a run that are not kept when it is resumed."""

    reopened: tuple[str, ...]
    """Steps that run again, in plan order."""
    voided: tuple[str, ...]
    """Steps that are removed, because their list or their plan is made again."""


def invalidation(
    state: State, *, failed: bool = False, changed: Iterable[str] = (), new_limits: bool = False
) -> Invalidation:
    """Return the steps that a resumed run does not keep.

    These run again: steps that an interrupt, a limit or a refusal of the endpoint ended; with
    `failed` also failed steps, and those that were skipped because similar ones had failed; with
    `new_limits` those that were too large for a limit; `changed` steps; and every step that waited for
    one of these, directly or not. Steps that a rerun step had spawned are removed, and so is every wave
    that was planned on them. All other finished steps are kept.
    """
    work = _Spread(state)
    for s in state.steps.values():
        if s.kind != "stand_in" and (_was_ended(s, failed=failed) or (new_limits and _was_too_large(s))):
            work.reopen(s)
    for name in changed:
        work.reopen(state.steps[name])
    work.spread()
    names = list(state.steps)
    return Invalidation(
        reopened=tuple(name for name in names if name in work.reopened and name not in work.voided),
        voided=tuple(name for name in names if name in work.voided),
    )


def _was_ended(s: StepState, *, failed: bool) -> bool:
    """Return whether something other than its own outcome ended a step; with `failed`, also whether it failed."""
    if s.status in (Status.CANCELLED, Status.LIMITED):
        return True
    if s.status is Status.SKIPPED:
        if s.skipped_after_failures:
            return failed
        return not s.doomed  # It was skipped for a limit or a stop, not for a step that it needs.
    return s.status is Status.FAILED and (failed or (s.error is not None and s.error.stops))


def _was_too_large(s: StepState) -> bool:
    return s.status is Status.FAILED and s.error is not None and s.error.kind == TooLargeError.kind


class _Spread:
    """The spread of an invalidation along the edges of the graph."""

    def __init__(self, state: State) -> None:
        self.reopened: set[str] = set()
        self.voided: set[str] = set()
        self._state = state
        self._steps = state.steps
        self._stack: list[str] = []

    def reopen(self, s: StepState) -> None:
        """Reopen a step and void the steps that it had spawned."""
        if s.id in self.reopened:
            return
        self.reopened.add(s.id)
        self._stack.append(s.id)
        for child in s.children:
            self._void(child)

    def spread(self) -> None:
        """Reopen every step that waited for a step that is reopened or voided."""
        while self._stack:
            name = self._stack.pop()
            # A step that waits for another waits for the step that spawned it, too.
            for above in self._state.lineage(name):
                for waiter in self._steps[above].waiters:
                    self._reach(self._steps[waiter], name)

    def _reach(self, waiter: StepState, name: str) -> None:
        """Reopen a step that waited for the step `name`."""
        if waiter.kind == "stand_in" and waiter.combine == "list" and waiter.step.each != name:
            # Its instances wait for that step themselves, and are reached through it.
            if waiter.settled and waiter.id not in self.reopened:
                self._stack.append(waiter.id)
            return
        if waiter.over or waiter.kind == "stand_in":
            self.reopen(waiter)

    def _void(self, first: str) -> None:
        """Void a step, everything it spawned, and every wave that was planned on one of these."""
        stack = [first]
        while stack:
            s = self._steps[stack.pop()]
            if s.id in self.voided:
                continue
            self.voided.add(s.id)
            self._stack.append(s.id)
            stack += s.children
            for waiter in s.waiters:
                by = self._steps.get(self._steps[waiter].by)
                if waiter not in self.voided and by is not None and by.id != s.by:
                    self.reopen(by)
