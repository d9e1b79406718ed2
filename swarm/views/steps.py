"""The steps of a run as a table: the instances, parts and partial reports of one step share a line."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.plan import role_of
from swarm.views.words import seconds, short, some, table

FOLDED, FEW = 10, 2
"""More items than this of one step share a line; more parts, partial reports or votes."""


def _spent(s: StepState) -> float:
    return sum(((span.end or span.start) - span.start for span in s.spans), 0.0)


SORTS: dict[str, Callable[[StepState], float]] = {
    "took": _spent,
    "cost": lambda s: s.usage.cost or 0.0,
    "tokens": lambda s: float(s.usage.tokens),
}
"""What steps can be sorted by, the largest first."""


def steps_table(state: State, sort: str = "", *, everything: bool = True) -> str:
    """Return the steps of a run, a line each, in plan order or sorted by a key of `SORTS`.

    Unless `everything` is shown or the steps are sorted, many steps that do the work of one share a line.
    """
    priced = bool(state.usage.cost)  # a column of zeros says less than the table of usage
    groups = [[s] for s in in_order(state) if s.kind != "stand_in"]
    if sort:
        groups.sort(key=lambda group: SORTS[sort](group[0]), reverse=True)
    elif not everything:
        groups = list(_folded(state))
    rows = [_row(group, state, priced=priced) for group in groups]
    head = ["STEP", "STATUS", "AGENT", "MODEL", "ATTEMPTS", "TURNS", "TOKENS"]
    head += ["USD", "TIME"] if priced else ["TIME"]
    return table(head, rows, right=(4, 5, 6, 7, 8))


def _folded(state: State) -> Iterator[list[StepState]]:
    """Yield the steps of each line in plan order: one, or all that do the work of one step."""
    stack = [s for s in reversed(state.steps.values()) if s.by not in state.steps]
    while stack:
        s = stack.pop()
        alike = _by_role(s, state)
        most = FOLDED if s.combine == "list" else FEW
        if any(len(group) > most for group in alike):
            for group in alike:
                yield from [group] if len(group) > most else ([each] for each in group)
            continue
        if s.kind != "stand_in":
            yield [s]
        stack.extend(state.steps[child] for child in reversed(s.children))


def _by_role(s: StepState, state: State) -> list[list[StepState]]:
    """Return the steps that do the work of a step, those of each role together: a check is not an item."""
    if s.kind != "stand_in":
        return [[s]]
    found: dict[str, list[StepState]] = {}
    for each in _below(s, state):
        if each.kind != "stand_in":
            found.setdefault(role_of(each.step), []).append(each)
    return list(found.values())


def ended_alike(steps: Iterable[StepState]) -> list[list[StepState]]:
    """Return the steps that ended without an output: those of one role that ended for one kind of reason together."""
    found: dict[tuple[str, ...], list[StepState]] = {}
    for s in steps:
        if s.over and s.status is not Status.DONE:
            # Messages differ in figures, so the kind of the error decides.
            kind = s.because if s.error is None else s.error.kind
            found.setdefault((s.status, role_of(s.step), kind), []).append(s)
    return list(found.values())


def in_order(state: State) -> Iterator[StepState]:
    """Return the steps in plan order, each followed by the steps it spawned."""
    for s in list(state.steps.values()):
        if s.by not in state.steps:
            yield s
            yield from _below(s, state)


def _below(s: StepState, state: State) -> Iterator[StepState]:
    stack = [state.steps[child] for child in reversed(s.children)]
    while stack:
        child = stack.pop()
        yield child
        stack.extend(state.steps[name] for name in reversed(child.children))


def _row(group: Sequence[StepState], state: State, *, priced: bool) -> list[str]:
    used = [s.usage for s in group]
    row = [_name(group, state), _status(group), *_who(group)]
    row += [f"{sum(s.attempt for s in group):,}", f"{sum(s.turns for s in group):,}"]
    row += [short(sum(usage.tokens for usage in used))]
    if priced:
        costs = [usage.cost for usage in used]
        row += ["unknown" if None in costs else f"{sum(cost or 0.0 for cost in costs):,.4f}"]
    return [*row, _took(group)]


def _name(group: Sequence[StepState], state: State) -> str:
    if len(group) == 1:
        return group[0].id
    return f"{_whole(group, state)} ×{len(group):,}"


def _whole(group: Sequence[StepState], state: State) -> str:
    """Return the step whose work the steps of a line do: the nearest that they all come from."""
    first, *others = [state.lineage(s.id) for s in (group[0], group[-1])]
    return next((name for name in first[1:] if all(name in other for other in others)), group[0].id)


def _status(group: Sequence[StepState]) -> str:
    counts = Counter(s.status.value for s in group)
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _who(group: Sequence[StepState]) -> list[str]:
    return [_named(role_of(s.step) for s in group), _named(s.model for s in group)]


def _named(names: Iterable[str]) -> str:
    return some(list(dict.fromkeys(filter(None, names))), 2)


def _took(group: Sequence[StepState]) -> str:
    if all(s.outcome.cached for s in group):
        return "cached"
    ended = [_spent(s) for s in group if s.spans and s.spans[0].end is not None]
    if not ended:
        return ""
    least, most = seconds(min(ended)), seconds(max(ended))
    return least if least == most else f"{least} – {most}"
