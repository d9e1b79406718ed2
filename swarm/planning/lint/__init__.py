"""Checks of a plan before anything is spent. Errors with only one possible fix are fixed.

    reading    a plan from the JSON of a planner or a file: read_plan(value, brief) -> Draft
    names      ids, steps, agents, tools, models and inputs that must exist
    steps      single steps: prompt, items, inputs, output
    merging    steps that merge outputs without a model
    checking   steps that are checked or voted on
    prompts    prompts: outputs used without a need, unused needs, equal steps
    placement  a model for every step, for its labels and media
    shape      cycles, size, depth, unused steps
    findings   the results: Finding, feedback(findings)
    values     JSON values and JSON Schemas
    context    the plan while it is checked

`lint` returns all findings together, in the order of the plan. The checks neither recurse nor raise
for any plan, and their cost is about linear in its size. An `error` goes back to the author of the
plan.
"""

from dataclasses import dataclass

from swarm.base.errors import Problem
from swarm.planning.brief import Brief
from swarm.planning.lint.checking import check_checks
from swarm.planning.lint.context import Sheet
from swarm.planning.lint.findings import Finding, Findings, Severity, feedback
from swarm.planning.lint.merging import check_merges, check_table
from swarm.planning.lint.names import check_agents, check_ids, check_references
from swarm.planning.lint.placement import check_places
from swarm.planning.lint.prompts import check_duplicates, check_mentions, check_use
from swarm.planning.lint.reading import Draft, read_plan
from swarm.planning.lint.shape import Stats, check_cycles, close, measured, too_many
from swarm.planning.lint.steps import check_lists, check_reading, check_steps, check_values
from swarm.spec.agent import Agent
from swarm.spec.plan import Plan, Step

__all__ = ["Draft", "Finding", "Linted", "Severity", "Stats", "feedback", "lint", "read_plan"]


@dataclass(frozen=True)
class Linted:
    """A checked plan: its steps, which may run if it is `ok`, and all findings."""

    steps: tuple[Step, ...]
    """The steps after repairs. A run's first plan ends in one step. They may run only if `ok`."""
    agents: tuple[Agent, ...]
    """The agents of the plan."""
    findings: tuple[Finding, ...]
    """All findings, in the order of the plan."""
    stats: Stats

    @property
    def ok(self) -> bool:
        """True if the plan can run: it has no error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The errors."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def repaired(self) -> tuple[Finding, ...]:
        """The repairs."""
        return tuple(finding for finding in self.findings if finding.severity == "repaired")

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The errors, as the problems of a `PlanError`."""
        return tuple(finding.problem for finding in self.errors)


FORGIVEN = frozenset(
    {
        "unknown_step",
        "unknown_agent",
        "unknown_model",
        "unknown_tool",
        "not_granted",
        "unknown_input",
        "too_much",
        "duplicate_id",
    }
)
"""Kinds of errors that can be dropped from a plan: unknown names, tools that are not allowed, too
many inputs. A second step with the same id gets one of its own."""


def lint(plan: Plan | Draft, brief: Brief, *, forgiving: bool = False) -> Linted:
    """Return a plan, checked against what the run has and allows.

    Equal steps of a planner's `Draft` are merged; a plan by hand keeps every step. A plan with more
    steps than `brief.steps_left` gets no other check. `forgiving` is for the second plan of a
    planner that has seen its errors: unknown names are dropped with a repair.
    """
    draft = plan if isinstance(plan, Draft) else Draft(plan, by_planner=False)
    found = Findings(draft.findings, forgiven=FORGIVEN if forgiving else ())
    if draft.plan is None:
        return Linted((), (), found.in_order(), Stats())
    sheet = Sheet.of(draft.plan, brief, found, by_planner=draft.by_planner)
    stats = Stats(steps=len(sheet.rows))
    if too_many(sheet):
        return Linted((), (), found.in_order(), stats)
    check_values(sheet)
    check_ids(sheet)
    check_agents(sheet)
    check_references(sheet)
    check_duplicates(sheet)
    check_merges(sheet)
    check_checks(sheet)
    check_lists(sheet)
    check_steps(sheet)
    check_reading(sheet)
    check_mentions(sheet)
    check_use(sheet)
    check_table(sheet)
    if check_cycles(sheet):
        stats = measured(sheet)
    steps = sheet.steps
    if not found.any_error:
        steps = close(sheet) if brief.first else steps
        check_places(sheet, steps)
    return Linted(steps, tuple(sheet.agents), found.in_order(), stats)
