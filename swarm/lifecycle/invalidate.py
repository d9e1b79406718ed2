"""What a resumed run takes up again, and what of it no longer stands."""

from collections.abc import Iterable
from dataclasses import dataclass

from swarm.record.state import State, Status, StepState


@dataclass(frozen=True)
class Invalidation:
    """What becomes of the steps of a run that is resumed."""

    reopened: tuple[str, ...]
    """Steps that are over no more, in plan order."""
    voided: tuple[str, ...]
    """Steps that are gone, because the list or the plan they were made from is made anew."""


def reopening(state: State, *, failed: bool = False, changed: Iterable[str] = ()) -> Invalidation:
    """Say what a resumed run takes up again.

    That is what was cut off by an interrupt, a limit or a refusal of the endpoint; with `failed`, what failed too; what
    is `changed`; and all that waited for one of these, directly or not. What a step that is taken up had spawned is
    void, and so is what another planner built on that. Everything else that is done stays done.
    """
    work = _Spread(state)
    for s in state.steps.values():
        if not s.expanded and _is_cut_off(s, failed=failed):
            work.take_up(s)
    for name in changed:
        work.take_up(state.steps[name])
    work.spread()
    names = list(state.steps)
    return Invalidation(
        reopened=tuple(name for name in names if name in work.again and name not in work.void),
        voided=tuple(name for name in names if name in work.void),
    )


def _is_cut_off(s: StepState, *, failed: bool) -> bool:
    if s.status in (Status.CANCELLED, Status.LIMITED):
        return True
    if s.status is Status.SKIPPED:
        return not s.doomed  # it was given up for a limit or a stop, not for a step it needs
    return s.status is Status.FAILED and (failed or (s.error is not None and s.error.stops))


class _Spread:
    def __init__(self, state: State) -> None:
        self.again: set[str] = set()
        self.void: set[str] = set()
        self._steps = state.steps
        self._stack: list[str] = []

    def take_up(self, s: StepState) -> None:
        """Take a step up; what it had spawned is void."""
        if s.id in self.again:
            return
        self.again.add(s.id)
        self._stack.append(s.id)
        for child in s.children:
            self._make_void(child)

    def spread(self) -> None:
        """Take up all that waits for what is taken up."""
        while self._stack:
            name = self._stack.pop()
            s: StepState | None = self._steps[name]
            while s is not None:  # what waits for a step waits for what spawned it too
                for waiter in s.waiters:
                    self._reach(self._steps[waiter], name)
                s = self._steps.get(s.by)

    def _reach(self, waiter: StepState, name: str) -> None:
        if waiter.expanded and waiter.step.each != name:
            self._stack += [waiter.id] if waiter.id not in self.again and waiter.settled else []
            return  # its instances wait for that step themselves, and are reached by that
        if waiter.over or waiter.expanded:
            self.take_up(waiter)

    def _make_void(self, first: str) -> None:
        stack = [first]
        while stack:
            s = self._steps[stack.pop()]
            if s.id in self.void:
                continue
            self.void.add(s.id)
            self._stack.append(s.id)
            stack += s.children
            for waiter in s.waiters:
                by = self._steps.get(self._steps[waiter].by)
                if waiter not in self.void and by is not None and by.id != s.by:
                    self.take_up(by)
