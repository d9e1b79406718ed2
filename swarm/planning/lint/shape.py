"""The shape of a plan: cycles, size and depth, limits, unused steps, parallelism."""

from dataclasses import dataclass

from swarm.planning import graph
from swarm.planning.lint.context import Sheet
from swarm.planning.lint.findings import quoted, shortened
from swarm.planning.lint.merging import with_table
from swarm.spec.plan import REDUCER, Step, before_of, closed, sinks

SHORTEST_CHAIN = 3
"""Minimum steps of a chain that gets a hint. Two steps are a result and its use."""
SHOWN_CYCLE = 20
"""Maximum steps of a cycle in a message."""


@dataclass(frozen=True)
class Stats:
    """The size of a plan, before a reducer is added."""

    steps: int = 0
    instances: int = 0
    """Minimum attempts: one per item if the items are known, else one per step."""
    depth: int = 0
    """Steps in the longest chain; 0 if there is a cycle."""
    width: int = 0
    """Maximum attempts of one stage, instances included: those that may run in parallel."""
    chain: bool = False
    """True if no two steps can run in parallel."""


def too_many(sheet: Sheet) -> bool:
    """Return True, and add an error, if there are more steps or instances than the run may have."""
    left = sheet.brief.steps_left
    count = len(sheet.rows)
    if count > left:
        sheet.found.error("too_many_steps", ("steps",), too_many_steps(count, left), advice=fewer(left))
        return True
    return _too_many_instances(sheet, sum(_at_least(sheet, step) for step in sheet.steps))


def _too_many_instances(sheet: Sheet, count: int) -> bool:
    left = sheet.brief.steps_left
    if count > left:
        message = f"with one instance per item, the plan has {count:,} steps; {left:,} are left (limits.steps)"
        sheet.found.error("too_many_steps", ("steps",), message, advice=fewer(left))
    return count > left


def _at_least(sheet: Sheet, step: Step) -> int:
    count = sheet.instances(step)
    return 1 if count is None else count


def too_many_steps(count: int, left: int) -> str:
    """Return the message about too many steps."""
    return f"the plan has {count:,} steps; {left:,} are left (limits.steps)"


def fewer(left: int) -> str:
    """Return the advice about too many steps."""
    return f"Plan at most {left:,} steps, instances counted: merge small ones, or group the items."


def check_cycles(sheet: Sheet) -> bool:
    """Add an error with one cycle of each tangle of steps. Return True if there is none."""
    places = {row.step.id: row for row in sheet.rows}
    found = graph.cycles(sheet.steps)
    for cycle in found:
        shown = cycle if len(cycle) <= SHOWN_CYCLE else (*cycle[: SHOWN_CYCLE - 1], "…", cycle[-1])
        row = places[cycle[0]]
        message = f"cyclic dependency: {' → '.join(shown)}"
        advice = "Remove one of these needs."
        sheet.found.error("cycle", row.key("needs"), message, advice=advice, step=row.step.id)
    return not found


def measured(sheet: Sheet) -> Stats:
    """Measure a plan without cycles, and check its depth and its instances."""
    steps = sheet.steps
    many = {step.id: _at_least(sheet, step) for step in steps}
    stages = graph.stages(steps)
    width = max((sum(many[name] for name in stage) for stage in stages), default=0)
    spread = any(step.each is not None for step in steps)
    stats = Stats(
        steps=len(steps),
        instances=sum(many.values()),
        depth=len(stages),
        width=width,
        chain=width == 1 and len(steps) > 1 and not spread,
    )
    _too_many_instances(sheet, stats.instances)
    most = sheet.brief.limits.depth
    if stats.depth > most:
        message = f"the longest chain has {stats.depth:,} steps; limits.depth is {most:,}"
        advice = "Merge steps of the chain, or run more of them in parallel."
        sheet.found.error("too_deep", ("steps",), message, advice=advice)
    if stats.chain and stats.steps >= SHORTEST_CHAIN:
        message = f"the plan is one chain of {stats.steps} steps: nothing runs in parallel"
        advice = "Split the work by part, source or question, or give it to one agent."
        sheet.found.hint("chain", ("steps",), message, advice=advice)
    return stats


def close(sheet: Sheet) -> tuple[Step, ...]:
    """Return the steps of a run's first plan, with one last step. Add a repair if that changed the plan."""
    steps = with_table(sheet)
    _check_orphans(sheet, steps)
    whole = closed(steps)
    ends = sinks(steps)
    if len(whole) > len(steps):
        last = whole[-1]
        message = f"added step {quoted(last.id)} to write the report from {shortened(ends)}"
        sheet.found.repaired("several_ends", ("steps",), message)
    return whole


def _can_be_last(step: Step, ends: frozenset[str]) -> bool:
    return step.id in ends and step.agent == REDUCER and step.each is None


def _check_orphans(sheet: Sheet, steps: tuple[Step, ...]) -> None:
    """Find steps that no step uses, if a reducer ends the plan or if the other steps are connected."""
    ends = frozenset(sinks(steps))
    reducers = [step for step in steps if _can_be_last(step, ends)]
    is_connected = sum(1 for step in steps if before_of(step)) > 1
    unused = [row for row in sheet.rows if row.step.id in ends and row.step not in reducers]
    for row in unused:
        name = row.step.id
        if len(reducers) == 1:
            message = f"no step used {quoted(name)}; now {quoted(reducers[0].id)} waits for it"
            sheet.found.repaired("orphan", row.key(), message, step=name)
        elif is_connected and not before_of(row.step):
            message = f"no step uses {quoted(name)}, and it uses no step: only the report reads it"
            advice = "Add it to the `needs` of a step, or remove it."
            sheet.found.hint("orphan", row.key(), message, advice=advice, step=name)
