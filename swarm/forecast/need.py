"""Whether a plan fits the limit on tokens: one call per step, each with its whole output cap.

A step that would read more than fits counts with the partial steps that read for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.attempt.reading import ASSUMED_CONTEXT
from swarm.planning.graph import topological_order
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import Step, before_of
from swarm.spec.task import Input, Model

ASSUMED_ITEMS = 10
"""Number of items of a list that a step has yet to make."""
AROUND = 600
"""Approximate tokens of a prompt that are neither inputs nor outputs: rules, instructions, goal."""
LEAST_CAP = 64
"""Minimum output cap that a hint proposes: two sentences."""


@dataclass(frozen=True)
class Need:
    """What the calls of a plan may use, one per step or partial step."""

    calls: int
    largest: int
    """Tokens of the largest call, input and output."""
    reads: int
    """Tokens of all inputs together."""
    max_tokens: int
    """Output cap of a call."""

    @property
    def total(self) -> int:
        """Tokens of all calls."""
        return self.reads + self.calls * self.max_tokens

    def warning(self, limit: int | None) -> str | None:
        """Return the warning that a limit on tokens is too low for all steps, or None if they fit."""
        if limit is None or self.total <= limit:
            return None
        cap = (limit - self.reads) // self.calls if self.calls else 0
        other = f", or set `max_tokens: {cap}` for the model" if cap >= LEAST_CAP else ""
        what = f"{self.calls:,} calls of up to {self.largest:,} tokens may use {self.total:,}"
        return f"limits.tokens: {what}, and the limit is {limit:,}: some steps may not run\nhint: raise it{other}"


def need_of(steps: Sequence[Step], inputs: Sequence[Input], model: Model) -> Need:
    """Return what the calls of a plan may use. The steps wait only for each other, without a cycle."""
    sizes = {each.name: each.size // BYTES_PER_TOKEN for each in inputs if each.medium == "text"}
    by_id = {step.id: step for step in steps}
    waiters: dict[str, list[str]] = {name: [] for name in by_id}
    for step in steps:
        for name in before_of(step):
            waiters[name].append(step.id)
    waits = {step.id: len(before_of(step)) for step in steps}
    counts: dict[str, int] = {}
    calls = largest = reads = 0
    for name in topological_order(waits, lambda name: waiters[name]):
        step = by_id[name]
        counts[name] = _instances(step, len(sizes))
        if step.merge is not None:
            continue
        needed = _reads(step, sizes, counts, model)
        each = min(needed, (model.context or ASSUMED_CONTEXT) - model.max_tokens)
        shares = _shares(needed, each)
        calls += counts[name] * (1 + shares)
        reads += counts[name] * (each if not shares else needed + shares * AROUND + each)
        largest = max(largest, each + model.max_tokens)
    return Need(calls, largest, reads, model.max_tokens)


def _shares(needed: int, room: int) -> int:
    """Return how many partial steps read for a step that would read more than it has room for; 0 if that fits."""
    return 0 if needed <= room else -(-needed // max(1, room - AROUND))


def _instances(step: Step, inputs: int) -> int:
    if step.each is None:
        return 1
    if step.each == "inputs":
        return len(step.inputs) if step.inputs is not None else inputs
    return len(step.each) if isinstance(step.each, tuple) else ASSUMED_ITEMS


def _reads(step: Step, sizes: dict[str, int], counts: dict[str, int], model: Model) -> int:
    """Return the tokens of the prompt of one instance."""
    total = sum(sizes.values())
    if step.each == "inputs":
        return AROUND + total // max(1, len(sizes))
    read = [name for name in (*step.needs, *step.after) if name in counts]
    outputs = sum(counts[name] for name in read) * model.max_tokens
    named = step.inputs
    if named is None:
        return AROUND + outputs + (0 if before_of(step) else total)
    return AROUND + outputs + sum(sizes.get(name, total // max(1, len(sizes))) for name in named)
