"""Which steps of a rehearsed plan become several because of what they read, and how many."""

from collections.abc import Iterable
from itertools import chain
from typing import Literal

from swarm.attempt.prompt import written
from swarm.base.values import Frozen
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.spec.chat import estimate_tokens
from swarm.spec.plan import before_of


class Tree(Frozen):
    """The steps that do the work of one step, or of the instances of one list, over all levels."""

    step: str
    """Id of the step; of instances, that of their list."""
    kind: Literal["parts", "partial reports", "partial answers"]
    whole: int
    """Number of steps that become several: of instances, how many."""
    reads: int
    """Number of outputs that they read."""
    tokens: int
    """Expected tokens of those outputs."""
    partials: int
    """Number of steps that read a part or a group."""
    levels: int
    """Maximum number of such steps between what is read and the output."""


def trees_of(state: State) -> tuple[Tree, ...]:
    """Return the trees of a rehearsal in plan order."""
    found: dict[str, list[StepState]] = {}
    for s in state.steps.values():
        if s.kind == "stand_in" and s.combine != "list" and s.step.partial_of is None:
            found.setdefault(s.step.instance_of or s.id, []).append(s)
    trees = (_tree(name, whole, state) for name, whole in found.items())
    return tuple(tree for tree in trees if tree.partials)


def _tree(name: str, whole: Iterable[StepState], state: State) -> Tree:
    stands_in = list(whole)
    below = list(chain.from_iterable(_partials_below(s, state) for s in stands_in))
    read = list(chain.from_iterable(_outputs(s, state) for s in stands_in))
    first = stands_in[0].step
    answers = "parts" if any(s.step.part is not None for s, _ in below) else "partial answers"
    return Tree(
        step=name,
        kind="partial reports" if state.reduces(first) else answers,
        whole=len(stands_in),
        reads=len(read),
        tokens=sum(estimate_tokens(written(state.steps[output].outcome.output)) for output in read),
        partials=len(below),
        levels=max((level for _, level in below), default=0),
    )


def _partials_below(s: StepState, state: State) -> Iterable[tuple[StepState, int]]:
    """Yield the steps that read a share for a step, each with its level; checks and votes are none."""
    stack = [(name, 1) for name in s.children]
    while stack:
        name, level = stack.pop()
        child = state.steps[name]
        if child.kind == "stand_in":
            stack += [(each, level + (name.endswith(".0"))) for each in child.children]
        elif not name.endswith(".0") and not _judges_or_is_judged(child, s):
            yield child, level


def _judges_or_is_judged(child: StepState, s: StepState) -> bool:
    """Return whether a step is the work, a critic or a vote, or joins texts: it reads no share."""
    is_round = s.combine == "checked" and child.by == s.id
    return is_round or child.step.ballot is not None or child.step.merge is not None


def _outputs(s: StepState, state: State) -> Iterable[str]:
    """Yield the steps whose outputs a step reads: of a list, its instances."""
    for name in before_of(s.step):
        other = state.steps[name]
        yield from other.children if other.kind == "stand_in" and other.combine == "list" else (name,)
