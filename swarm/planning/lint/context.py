"""A plan while it is checked: its steps with their places, and what the run has and allows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from swarm.base.values import Json
from swarm.planning.brief import Brief
from swarm.planning.lint.findings import Findings, Key, Names
from swarm.spec.agent import Agent, expanded
from swarm.spec.plan import PLAN_STEP, Plan, Step, chosen

GLOB_MARKS = "*?["
"""Characters that make a name a glob."""


@dataclass(slots=True)
class Row:
    """A step and its index in the plan as it was written."""

    index: int
    step: Step

    def key(self, *rest: str | int) -> Key:
        """Return a place in the step."""
        return ("steps", self.index, *rest)

    def change(self, **fields: Any) -> None:
        """Replace values of the step."""
        self.step = self.step.model_copy(update=fields)


@dataclass
class Sheet:
    """The plan and its surroundings, which every check reads. Repairs change `rows` and `agents` only."""

    brief: Brief
    by_planner: bool
    """True if a model wrote the plan: repairs may then also drop something."""
    rows: list[Row]
    agents: list[Agent]
    found: Findings
    _matches: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @classmethod
    def of(cls, plan: Plan, brief: Brief, found: Findings, *, by_planner: bool) -> "Sheet":
        """Return the sheet of a plan."""
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
        """Ids of the run's steps. The planner's own step is one, also if the brief does not name it."""
        own = (PLAN_STEP,) if self.by_planner and self.brief.first else ()
        return frozenset((*self.brief.known, *own))

    @cached_property
    def barred(self) -> frozenset[str]:
        """Ids of the run's steps that end only after this plan. Waiting for one of them would be a deadlock."""
        own = (PLAN_STEP,) if self.by_planner and self.brief.first else ()
        return frozenset((*self.brief.barred, *own))

    @cached_property
    def inputs(self) -> Names:
        """Names of the task's inputs."""
        return Names(one.name for one in self.brief.inputs)

    @cached_property
    def files(self) -> dict[str, list[str]]:
        """Names of the task's inputs, by the last part of their paths."""
        files: dict[str, list[str]] = {}
        for name in self.inputs:
            files.setdefault(name.rpartition("/")[2], []).append(name)
        return files

    def tools_of(self) -> dict[str, tuple[str, ...]]:
        """Return the tools of every role that a step may name."""
        groups = self.brief.groups
        roles = {role.name: expanded(role.tools, groups) for role in self.brief.roles}
        return {**{agent.name: expanded(agent.tools, groups) for agent in self.agents}, **roles}

    def inputs_of(self, patterns: Iterable[str]) -> frozenset[str]:
        """Return the inputs that names or globs match."""
        found: set[str] = set()
        for pattern in patterns:
            if pattern not in self._matches:
                exact = pattern in self.inputs and not any(mark in pattern for mark in GLOB_MARKS)
                self._matches[pattern] = (pattern,) if exact else chosen((pattern,), self.inputs)
            found.update(self._matches[pattern])
        return frozenset(found)

    def instances(self, step: Step) -> int | None:
        """Return the instances of a step: 1, or one per item; None if the number is not known yet."""
        if step.each is None:
            return 1
        if isinstance(step.each, tuple):
            return len(step.each)
        if step.each == "inputs":
            if step.inputs is None:
                return len(self.brief.inputs)
            return len(self.inputs_of(step.inputs))
        return None

    def outputs_of(self) -> dict[str, Json]:
        """Return the output of every agent of the plan: a schema, `text`, `plan` or `report`."""
        return {agent.name: agent.output for agent in self.agents}
