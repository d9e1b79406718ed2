"""What is wrong with a plan, found before anything is spent; what can be mended without guessing, mended.

    reading    a planner's JSON, or a file's, made a plan: read_plan(value, brief) -> Draft
    names      whether everything it names is there, and may be granted
    steps      whether each step can be carried out
    prompts    what prompts tell: races, needs without use, steps told the same
    places     whether every step has a model that may see and take what it reads
    shape      cycles, size, depth, what leads nowhere
    findings   what is said of it: Finding, feedback(findings)
    values     JSON and JSON Schema out of somebody's hand
    sheet      the plan while it is checked

All findings come at once, in the order of the plan. Nothing here recurses or raises, whatever the plan; the cost is
about linear in what was written. An `error` must go back to who wrote it.
"""

from dataclasses import dataclass

from swarm.base.errors import Problem
from swarm.planning.brief import Brief
from swarm.planning.lint.context import Sheet
from swarm.planning.lint.findings import Finding, Findings, Severity, feedback
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
    """A plan that was checked: what may be run if it is `ok`, and everything there is to say of it."""

    steps: tuple[Step, ...]
    """Mended and, if it is the run's first plan, ending in one step. Only to be run if `ok`."""
    agents: tuple[Agent, ...]
    """The specialists it brings."""
    findings: tuple[Finding, ...]
    """All of them, in the order of the plan."""
    stats: Stats

    @property
    def ok(self) -> bool:
        """Whether the plan can be run: there is no error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What must go back."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def repaired(self) -> tuple[Finding, ...]:
        """What was mended."""
        return tuple(finding for finding in self.findings if finding.severity == "repaired")

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The errors as what `PlanError` carries."""
        return tuple(finding.problem for finding in self.errors)


FORGIVEN = frozenset(
    {"unknown_step", "unknown_agent", "unknown_model", "unknown_tool", "not_granted", "unknown_input", "too_much"}
)
"""Errors that a plan can do without: a name that means nothing, a right that nobody has, more than a model reads."""


def lint(plan: Plan | Draft, brief: Brief, *, forgiving: bool = False) -> Linted:
    """Check a plan against what the run has and allows.

    A `Draft` of a planner may lose what it says twice; a plan by hand keeps every step. A plan with more steps than
    `brief.steps_left` is refused before anything else is looked at. `forgiving` is for a planner that was told what is
    wrong and wrote it again: names that mean nothing are left out, and said to be.
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
    check_lists(sheet)
    check_steps(sheet)
    check_reading(sheet)
    check_mentions(sheet)
    check_use(sheet)
    if check_cycles(sheet):
        stats = measured(sheet)
    steps = sheet.steps
    if not found.any_error:
        steps = close(sheet) if brief.first else steps
        check_places(sheet, steps)
    return Linted(steps, tuple(sheet.agents), found.in_order(), stats)
