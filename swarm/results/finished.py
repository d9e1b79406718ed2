"""A step that has ended, as a program that follows a run receives it."""

from collections.abc import Callable
from dataclasses import dataclass

from swarm.base.values import Json
from swarm.record.events import Failure
from swarm.record.steps import Status, StepState
from swarm.spec.chat import Usage


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """A step that has ended: its output, or why it has none."""

    id: str
    agent: str
    status: Status
    """`done`, `failed`, `skipped`, `cancelled` or `limited`; only `done` is a success."""
    output: Json
    """Its text or its JSON value; None without one. Of a step with `each`: the outputs of all instances."""
    error: Failure | None
    """Why it failed; None for a step that is done or was skipped."""
    because: str
    """Why it was skipped; empty for others."""
    seconds: float
    """Seconds of its attempts."""
    usage: Usage
    cached: bool
    """Whether an earlier run paid for it."""
    model: str
    """Alias of the model of its last attempt; empty if it had none."""
    instance_of: str | None
    """The step with `each` that it is an instance of."""
    instances: int
    """Number of steps that it was expanded into; 0 for a step that did its work itself."""

    @classmethod
    def of(cls, s: StepState, output: Callable[[StepState], Json]) -> "FinishedStep":
        """Return a step that has ended. `output` returns the output of one that is done."""
        return cls(
            id=s.id,
            agent=s.step.agent,
            status=s.status,
            output=output(s) if s.status is Status.DONE else None,
            error=None if s.status is Status.DONE else s.error,
            because=s.because,
            seconds=sum((span.end or span.start) - span.start for span in s.spans),
            usage=s.usage,
            cached=s.outcome.cached,
            model=s.model,
            instance_of=s.step.instance_of,
            instances=len(s.children) if s.kind == "stand_in" else 0,
        )
