"""The shape of a plan: cycles, size and depth against the limits, what leads nowhere, how much runs side by side."""

from dataclasses import dataclass

from swarm.planning import graph
from swarm.planning.lint.context import Sheet
from swarm.planning.lint.findings import quoted, shortened
from swarm.spec.plan import REDUCER, Step, before_of, closed, sinks

SHORTEST_CHAIN = 3
"""Steps from which a plan that is one chain is worth a hint: two are a step and what is made of it."""
SHOWN_CYCLE = 20
"""Steps of a cycle that a message names."""


@dataclass(frozen=True)
class Stats:
    """How big a plan is, before a reducer is added."""

    steps: int = 0
    instances: int = 0
    """Attempts it takes at least: one per item where the items are known, else one."""
    depth: int = 0
    """Steps in the longest chain; 0 where steps wait for each other."""
    width: int = 0
    """Most attempts that may run at once by stage, instances counted."""
    chain: bool = False
    """Whether nothing in it can run side by side."""


def too_many(sheet: Sheet) -> bool:
    """Refuse more steps, or instances, than the run may still have; nothing else is worth looking at then."""
    left = sheet.brief.steps_left
    count = len(sheet.rows)
    if count > left:
        sheet.found.error("too_many_steps", ("steps",), too_many_steps(count, left), advice=fewer(left))
        return True
    return _too_many_instances(sheet, sum(_at_least(sheet, step) for step in sheet.steps))


def _too_many_instances(sheet: Sheet, count: int) -> bool:
    left = sheet.brief.steps_left
    if count > left:
        message = f"with one instance per item the plan has {count:,} steps; the run may have {left:,} more"
        sheet.found.error("too_many_steps", ("steps",), message, advice=fewer(left))
    return count > left


def _at_least(sheet: Sheet, step: Step) -> int:
    count = sheet.instances(step)
    return 1 if count is None else count


def too_many_steps(count: int, left: int) -> str:
    """Say that a plan has too many steps."""
    return f"the plan has {count:,} steps; the run may have {left:,} more (limits.steps)"


def fewer(left: int) -> str:
    """Say what to do about too many steps."""
    return f"Plan at most {left:,} steps, instances counted: merge small ones, or group the items."


def check_cycles(sheet: Sheet) -> bool:
    """Name a cycle for each set of steps that wait for one another; whether there is none."""
    places = {row.step.id: row for row in sheet.rows}
    found = graph.cycles(sheet.steps)
    for cycle in found:
        shown = cycle if len(cycle) <= SHOWN_CYCLE else (*cycle[: SHOWN_CYCLE - 1], "…", cycle[-1])
        row = places[cycle[0]]
        message = f"steps wait for each other: {' → '.join(shown)}"
        advice = "Take out one of these needs, so that each step can start after the ones before it."
        sheet.found.error("cycle", row.key("needs"), message, advice=advice, step=row.step.id)
    return not found


def measured(sheet: Sheet) -> Stats:
    """Measure an acyclic plan, and hold its depth against the limit."""
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
        advice = "Merge steps of the chain, or let more of them run side by side."
        sheet.found.error("too_deep", ("steps",), message, advice=advice)
    if stats.chain and stats.steps >= SHORTEST_CHAIN:
        message = f"the plan is one chain of {stats.steps} steps: nothing runs side by side"
        advice = "Split by part, source or question instead, or give it to one agent."
        sheet.found.hint("chain", ("steps",), message, advice=advice)
    return stats


def close(sheet: Sheet) -> tuple[Step, ...]:
    """Make a run's first plan end in one step, and say what that changed."""
    steps = sheet.steps
    _check_orphans(sheet, steps)
    whole = closed(steps)
    ends = sinks(steps)
    if len(whole) > len(steps):
        last = whole[-1]
        verb = "ends" if len(ends) == 1 else "end"
        message = f"{shortened(ends)} {verb} the plan; {quoted(last.id)} was added to make the report of it"
        sheet.found.repaired("several_ends", ("steps",), message)
    return whole


def _check_orphans(sheet: Sheet, steps: tuple[Step, ...]) -> None:
    """Find steps that nothing uses: beside the reducer that was meant to end the plan, or beside a connected plan."""
    ends = frozenset(sinks(steps))
    reducers = [step for step in steps if step.id in ends and step.agent == REDUCER and step.each is None]
    linked = sum(1 for step in steps if before_of(step))
    for row in sheet.rows:
        step = row.step
        if step.id not in ends or step in reducers:
            continue
        if len(reducers) == 1:
            message = f"nothing used {quoted(step.id)}; {quoted(reducers[0].id)} waits for it now"
            sheet.found.repaired("orphan", row.key(), message, step=step.id)
        elif linked > 1 and not before_of(step):
            message = f"nothing uses {quoted(step.id)}, and it uses nothing: only the report sees it"
            sheet.found.hint("orphan", row.key(), message, advice="Let a step need it, or drop it.", step=step.id)
