"""What steps are about, in the words of their readers: files and items instead of ids."""

from swarm.base.text import listing
from swarm.record.state import State
from swarm.spec.plan import Step, before_of

NAME_CHARACTERS = 80
"""Maximum characters of an item that names its step: most paths and titles are shorter."""
NAMED = 2
"""Inputs of one step that are named. The others are counted."""
DEEPEST = 12
"""Levels of partial reports that are looked through for the ends of one."""
_BETWEEN = " – "
_GLOB = frozenset("*?[")
"""Characters of a pattern of names."""


def short_item(step: Step) -> str:
    """Return the item of an instance if it is a short text on one line, else nothing."""
    item = step.item
    is_short = isinstance(item, str) and len(item) <= NAME_CHARACTERS and item.isprintable()
    return item if isinstance(item, str) and is_short else ""


def title_of(state: State, step: Step, levels: int = DEEPEST) -> str:
    """Return what a step is about: its item, its inputs, or of a partial report the first and the last thing.

    Nothing if only its prompt says it.
    """
    if item := short_item(step):
        return item
    if step.part is not None and step.part.kind == "input":
        first, last = step.part.lines
        return f"{step.part.name}, lines {first:,}-{last:,}"
    inputs = step.inputs or ()
    if any(not _GLOB.isdisjoint(name) for name in inputs):
        return ""
    if step.partial_of is None or levels == 0:
        return listing(inputs, NAMED) if inputs else ""
    return _ends(state, step, levels - 1)


def _ends(state: State, step: Step, levels: int) -> str:
    """Return the titles of the first and the last thing that a partial report reads."""
    before = [each for each in _read_by(state, step) if each.judges is None]
    ends = [title_of(state, each, levels) or each.id for each in (*before[:1], *before[-1:])]
    found = list(dict.fromkeys((*ends, *(step.inputs or ())[-1:])))
    if len(found) < 2:
        return "".join(found)
    return f"{found[0].split(_BETWEEN)[0]}{_BETWEEN}{found[-1].split(_BETWEEN)[-1]}"


def _read_by(state: State, step: Step) -> list[Step]:
    """Return the steps that a partial report reads, without its earlier answer."""
    names = (name for name in before_of(step) if name != step.redoes)
    return [state.steps[name].step for name in names if name in state.steps]
