"""A plan while it is checked: its steps with the places they were written at, and what is known around them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from swarm.base.values import Json
from swarm.planning.brief import Brief
from swarm.planning.lint.findings import Findings, Key, Names
from swarm.spec.agent import Agent
from swarm.spec.plan import PLAN_STEP, Plan, Step, chosen

GLOB_MARKS = "*?["
"""What makes a name a glob."""


@dataclass(slots=True)
class Row:
    """A step, and the place it was written at."""

    index: int
    step: Step

    def key(self, *rest: str | int) -> Key:
        """Name a place in the step."""
        return ("steps", self.index, *rest)

    def change(self, **fields: Any) -> None:
        """Put other values into fields of the step."""
        self.step = self.step.model_copy(update=fields)


@dataclass
class Sheet:
    """What every check reads; what a repair changes is `rows` and `agents`."""

    brief: Brief
    by_planner: bool
    """Whether a model wrote the plan: then a repair may also take something away."""
    rows: list[Row]
    agents: list[Agent]
    found: Findings
    _matches: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @classmethod
    def of(cls, plan: Plan, brief: Brief, found: Findings, *, by_planner: bool) -> "Sheet":
        """Lay out a plan."""
        rows = [Row(index, step) for index, step in enumerate(plan.steps)]
        return cls(brief, by_planner, rows, list(plan.agents), found)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps as they are now."""
        return tuple(row.step for row in self.rows)

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids the plan was written with."""
        return frozenset(row.step.id for row in self.rows)

    @cached_property
    def known(self) -> frozenset[str]:
        """Steps of the run. The planner's own step is one, whether the brief names it or not."""
        own = (PLAN_STEP,) if self.by_planner and self.brief.first else ()
        return frozenset((*self.brief.known, *own))

    @cached_property
    def barred(self) -> frozenset[str]:
        """Steps of the run that are over only when this plan's are: waiting for one of them would never end."""
        own = (PLAN_STEP,) if self.by_planner and self.brief.first else ()
        return frozenset((*self.brief.barred, *own))

    @cached_property
    def inputs(self) -> Names:
        """The task's inputs."""
        return Names(one.name for one in self.brief.inputs)

    @cached_property
    def files(self) -> dict[str, list[str]]:
        """The task's inputs by the last part of their paths."""
        files: dict[str, list[str]] = {}
        for name in self.inputs:
            files.setdefault(name.rpartition("/")[2], []).append(name)
        return files

    def tools_of(self) -> dict[str, tuple[str, ...]]:
        """Map every role that a step may name to the tools it may use."""
        roles = {role.name: role.tools for role in self.brief.roles}
        return {**{agent.name: agent.tools for agent in self.agents}, **roles}

    def inputs_of(self, patterns: Iterable[str]) -> frozenset[str]:
        """Name the inputs that names or globs mean."""
        found: set[str] = set()
        for pattern in patterns:
            if pattern not in self._matches:
                exact = pattern in self.inputs and not any(mark in pattern for mark in GLOB_MARKS)
                self._matches[pattern] = (pattern,) if exact else chosen((pattern,), self.inputs)
            found.update(self._matches[pattern])
        return frozenset(found)

    def instances(self, step: Step) -> int | None:
        """Count what a step runs as: 1, or one per item; None where that is known only later."""
        if step.each is None:
            return 1
        if isinstance(step.each, tuple):
            return len(step.each)
        if step.each == "inputs":
            return len(self.inputs_of(step.inputs)) if step.inputs is not None else len(self.brief.inputs)
        return None

    def outputs_of(self) -> dict[str, Json]:
        """Map every agent that the plan brings to the form of its answers: a schema, `text`, `plan` or `report`."""
        return {agent.name: agent.output for agent in self.agents}
