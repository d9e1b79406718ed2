"""The graph of a run: its steps with their status, and what happens to the others when one is over.

A step is *over* when its own status is final, and *settled* when it and every step it spawned is
over: the instances of an `each` step, the steps of a later plan. A step that waits for it waits
until it is settled. A stand-in runs from the moment it is expanded until the last of its children
is settled. It is done if every child is (`list`), or if any child gave something (all other ways to
combine outputs). The transitions of a step are in `swarm.record.steps`.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from swarm.base.errors import JournalError
from swarm.record.steps import OVER, RESUMED_TRANSITIONS, TRANSITIONS, Status, StepState
from swarm.spec.agent import Agent
from swarm.spec.plan import REDUCER, Step, before_of


class Graph:
    """The steps of a run. `swarm.record.state` adds what the events say about them."""

    def __init__(self) -> None:
        self.seq = 0
        """Number of the last event."""
        self.t = 0.0
        """The run's clock at the last event."""
        self.steps: dict[str, StepState] = {}
        """Every step, in plan order."""
        self.agents: dict[str, Agent] = {}
        """Every role, including those that plans brought."""
        self.counts: dict[Status, int] = dict.fromkeys(Status, 0)
        self.limits_reached: dict[str, float] = {}
        self.report_step: str | None = None
        self.joined: deque[str] = deque()
        """Steps that have just joined. The scheduler drains this queue and the next two."""
        self.fresh: deque[str] = deque()
        """Steps that have just become ready."""
        self.doomed: deque[tuple[str, str]] = deque()
        """Steps that can never run, each with the step that is the reason."""

    # Questions

    @property
    def over(self) -> bool:
        """Whether every step is over."""
        return sum(self.counts[status] for status in OVER) == len(self.steps)

    def real_steps(self) -> Iterable[StepState]:
        """Return every step that has attempts of its own: all but stand-ins that had none before their expansion."""
        return (s for s in self.steps.values() if s.kind != "stand_in" or s.spans)

    def reads_for(self, step: str) -> str:
        """Return the step for which a step does a share of the work, over all levels; itself if it does none."""
        whole = (name for name in self.lineage(step) if self.steps[name].step.partial_of is None)
        return next(whole, step)

    def is_report(self, step: str) -> bool:
        """Return whether a step makes the report, does a share of that work, or was spawned by a step that does."""
        return self.report_step in self.lineage(step)

    def lineage(self, step: str) -> tuple[str, ...]:
        """Return a step, the step that spawned it, and so on; each once, even in a forged journal."""
        found: dict[str, None] = {}
        while step in self.steps and step not in found:
            found[step] = None
            step = self.steps[step].by
        return tuple(found)

    def shared_by(self, s: StepState) -> Iterable[StepState]:
        """Yield the steps of whose reading a step does a share, from the nearest to the first.

        One whose own answer reached the cap is the last: below it, pieces are small.
        """
        if s.step.partial_of is None:
            return
        for name in self.lineage(s.id)[1:]:
            above = self.steps[name]
            yield above
            if above.step.partial_of is None or (above.error is not None and above.error.kind == "truncated"):
                return

    def reduces(self, step: Step) -> bool:
        """Return whether a step only puts together what others found."""
        agent = self.agents.get(step.agent)
        writes_reports = step.agent == REDUCER or (agent is not None and agent.output == "report")
        return writes_reports or step.merge is not None

    # Changes

    def _get(self, name: str) -> StepState:
        if name not in self.steps:
            raise JournalError(f"event {self.seq}: unknown step {name!r}")
        return self.steps[name]

    def _back_to(self, s: StepState, status: Status) -> None:
        if s.status is not status:
            self._to(s, status, RESUMED_TRANSITIONS)

    def _to(self, s: StepState, status: Status, allowed: Mapping[Status, frozenset[Status]] = TRANSITIONS) -> None:
        if status not in allowed[s.status]:
            raise JournalError(f"event {self.seq}: step {s.id} cannot go from {s.status} to {status}")
        self.counts[s.status] -= 1
        self.counts[status] += 1
        s.status = status

    def _link(self, s: StepState) -> None:
        for before in before_of(s.step):
            other = self._get(before)
            has_output = other.over or other.kind == "stand_in"  # of a vote in parts: all but the last
            if has_output and not other.settled and other.id in self.lineage(s.id):
                continue  # it spawned the step and has an output: it is settled only after the step
            other.waiters.append(s.id)
            if not other.settled:
                s.blockers += 1
            else:
                self._doom_if_needed(s, other)

    def _ready_if_free(self, s: StepState) -> None:
        if s.status is Status.WAITING and s.blockers == 0 and not s.doomed:
            s.ready_at = self.t
            self._to(s, Status.READY)
            self.fresh.append(s.id)

    def _settle(self, first: StepState) -> None:
        """Settle a step if it and its children are over, then the steps that spawned it, upwards."""
        stack = [first]
        while stack:
            s = stack.pop()
            if s.settled or s.unsettled or not (s.over or s.kind == "stand_in"):
                continue
            s.settled = True
            if not s.over:
                self._to(s, Status.DONE if self._gave_something(s) else Status.FAILED)
            for waiter in s.waiters:
                self._unblock(self.steps[waiter], s)
            parent = self.steps.get(s.by)
            if parent is not None:
                parent.unsettled -= 1
                parent.hurt += not s.good and parent.combine in (None, "list")
                stack.append(parent)

    def _gave_something(self, s: StepState) -> bool:
        """Return whether a stand-in has an output, now that its children are settled."""
        if s.combine == "list":
            return not s.hurt
        children = [self.steps[name] for name in s.children]
        if s.combine == "last":
            return bool(children) and children[-1].status is Status.DONE
        if s.combine == "checked":
            return bool(children) and children[0].status is Status.DONE
        if any(child.gave for child in children):
            return True
        # The text contains what the children would have read.
        return s.combine in ("sections", "text") and any(map(self._reads_something, children))

    def _reads_something(self, s: StepState) -> bool:
        """Return whether any step that a step reads has an output."""
        return any(self.steps[name].status is Status.DONE for name in before_of(s.step))

    def _unblock(self, waiter: StepState, by: StepState) -> None:
        waiter.blockers -= 1
        self._doom_if_needed(waiter, by)
        self._ready_if_free(waiter)

    def _doom_if_needed(self, waiter: StepState, by: StepState) -> None:
        hopeless = not by.good and by.id not in waiter.step.after and not self._takes_what_there_is(waiter)
        if hopeless and waiter.status is Status.WAITING and not waiter.doomed:
            waiter.doomed = True
            self.doomed.append((waiter.id, by.id))

    def _takes_what_there_is(self, s: StepState) -> bool:
        """Return whether a step runs without the needs that failed.

        A reducer that ends the plan does; after a limit was reached, so does any step that makes the report.
        """
        return s.id == self.report_step and (self.reduces(s.step) or bool(self.limits_reached))
