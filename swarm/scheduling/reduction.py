"""Whether a ready step is expanded because all that it reads is too much, and into which steps.

The cases are those of `swarm.scheduling.tree`.

An answer is pure: it depends on what the step would read, on the sizes of its model and on the task, and keeps nothing.
It costs O(what the step reads).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.attempt.prompt import phrase, reading_of, wanted
from swarm.attempt.reading import ASSUMED_CONTEXT, Reading, room_to_answer, room_to_read
from swarm.attempt.types import Attempt, Given
from swarm.base.values import canonical
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.scheduling.assign import Assigner
from swarm.scheduling.expand import Expander, Expansion
from swarm.scheduling.scheduler import RETRIES
from swarm.scheduling.tree import (
    LEAST_LENGTH,
    SECTION_OF_ANSWER,
    SUMMARY_LENGTH,
    Case,
    Read,
    Sizes,
    group,
    is_deep,
    last,
    partials,
    section_sizes,
    share_sizes,
    shrinks,
)
from swarm.spec.chat import estimate_tokens
from swarm.spec.plan import Step


@dataclass(frozen=True)
class _Ready:
    """A step that has become ready, with what its next attempt would be."""

    s: StepState
    attempt: Attempt
    reading: Reading
    reads: tuple[Read, ...]

    @property
    def step(self) -> Step:
        return self.s.step

    @property
    def was_truncated(self) -> bool:
        """Whether its last answer reached the output cap."""
        return self.s.error is not None and self.s.error.kind == "truncated"


class Reduction:
    """Maker of partial steps. It answers for one step at a time and keeps nothing."""

    def __init__(self, state: State, assigner: Assigner, report: Literal["sections", "summary"] | None = None) -> None:
        """`report` is the key of the task; None leaves the choice to what the report reads."""
        self._state = state
        self._assigner = assigner
        self._report = report

    @property
    def expander(self) -> Expander:
        """What the scheduler asks: parts of single long texts first, then partials."""
        return Expander(self._assigner.draft, self._state.steps, self)

    def __call__(self, s: StepState, attempt: Attempt) -> Expansion | None:
        """Return the steps that take the place of a ready step, or None if it is run as it is."""
        if s.kind == "planner" or s.step.each is not None:
            return None
        ready = self._ready(s, attempt)
        case = self._case(ready)
        return None if case is None or len(ready.reads) < 2 else self._expanded(ready, case)

    def attempts(self, fitted: Callable[[Attempt], Attempt]) -> Callable[[StepState], Attempt]:
        """Return the function that makes the attempts of a run; `fitted` fits one to the budget."""
        return lambda s: self.marked(s, fitted(self._assigner.attempt_of(s)))

    def marked(self, s: StepState, attempt: Attempt) -> Attempt:
        """Return an attempt with what becomes of an answer that reaches the output cap."""
        is_repeated = self._is_repeated(s)
        if not is_repeated and not self.in_sections(s, attempt.given):
            return attempt
        retries = RETRIES if s.step.retries is None else s.step.retries
        may_split = s.failures < retries and len(attempt.given) + len(attempt.inputs) > 1
        if may_split:
            return attempt.model_copy(update={"on_cut": "split"})
        return attempt.model_copy(update={"on_cut": "drop"}) if is_repeated else attempt

    def _ready(self, s: StepState, attempt: Attempt) -> _Ready:
        reading = reading_of(attempt)
        return _Ready(s, attempt, reading, self._reads(s, attempt, reading))

    def in_sections(self, s: StepState, given: Sequence[Given]) -> bool:
        """Return whether a report is written in sections if it does not fit one answer.

        Without a choice of the task it is if most of what it reads was written by instances of lists, or has a schema.
        """
        if s.step.partial_of is not None or s.step.length is not None:
            return False
        if self._report is not None:
            return self._report == "sections"
        steps = [self._state.steps[each.step].step for each in given]
        alike = sum(step.instance_of is not None or step.output is not None for step in steps)
        return 2 * alike > len(steps)

    def _is_repeated(self, s: StepState) -> bool:
        """Return whether what a step reads is in the output of its parent as it is, if the step has no output."""
        parent = self._state.steps.get(s.by)
        if parent is None or s.step.partial_of is None:
            return False
        return parent.combine == "text" or (parent.combine == "sections" and parent.children[-1] != s.id)

    # The case

    def _case(self, ready: _Ready) -> Case | None:
        """Return how a step is expanded, or None if it fits."""
        s, reading = ready.s, ready.reading
        want = wanted(ready.attempt)
        must_split = not reading.fits or ready.was_truncated
        if want.kind == "report" and self.in_sections(s, ready.attempt.given):
            exceeds = sum(item.total for item in reading.items) > SECTION_OF_ANSWER * reading.answer
            return "sections" if exceeds or must_split else None
        if self._is_repeated(s):
            return "smaller" if must_split else None
        if reading.fits:
            return None
        return "rows" if want.schema is not None and want.schema.get("type") == "array" else "last"

    # The steps

    def _expanded(self, ready: _Ready, case: Case) -> Expansion | None:
        """Return the partials of a step, or None if there is no space for them or they would not help."""
        prompt = self._prompt(ready, case)
        sizes = self._sizes(ready, case, prompt)
        if sizes is None:
            return None
        total = sum(read.size for read in ready.reads)
        most = min(sizes.group, -(-total // 2))
        groups = group(ready.reads, max(1, most))
        if is_deep(ready.step, self._levels(ready.step), len(groups)):
            return None
        if case in ("last", "rows") and not shrinks(ready.reading, sizes, len(groups)):
            return None
        parts = self._fitting(ready, groups, case, prompt, sizes)
        if case == "sections":
            summary = self._phrase(ready, "summary")
            return Expansion((*parts, last(ready.step, parts, prompt=summary, length=_summary(ready))), "sections")
        if case == "last":
            return Expansion((*parts, last(ready.step, parts)), "last")
        return Expansion(tuple(parts), "text" if case == "smaller" else "table")

    def _fitting(
        self, ready: _Ready, groups: list[tuple[Read, ...]], case: Case, prompt: str, sizes: Sizes
    ) -> list[Step]:
        """Return the partials. Each is measured as it will be sent; a group that does not fit is halved."""
        length = None if case == "rows" else sizes.length
        fitting: list[tuple[Read, ...]] = []
        stack = list(reversed(groups))
        while stack:
            members = stack.pop()
            (step,) = self._partials(ready, [members], case, prompt, length)
            if len(members) > 1 and not reading_of(self._draft(ready, step)).fits:
                middle = len(members) // 2
                stack += [members[middle:], members[:middle]]
            else:
                fitting.append(members)
        return self._partials(ready, fitting, case, prompt, length)

    def _partials(
        self, ready: _Ready, groups: list[tuple[Read, ...]], case: Case, prompt: str, length: int | None
    ) -> list[Step]:
        step = ready.step
        if case == "last" and wanted(ready.attempt).kind == "json":
            step = step.model_copy(update={"output": {"type": "string"}})
        return partials(step, groups, prompt=prompt, length=length)

    def _draft(self, ready: _Ready, step: Step) -> Attempt:
        return self._assigner.draft(StepState(step, ready.s.id, ready.s.order, "plain"))

    def _sizes(self, ready: _Ready, case: Case, prompt: str) -> Sizes | None:
        """Return the sizes of the partials of a step."""
        (empty,) = self._partials(ready, [()], case, prompt, 1)
        attempt = self._draft(ready, empty)
        alone = reading_of(attempt)
        context_left = alone.room + 1 - alone.total
        answer = room_to_answer(attempt.context or ASSUMED_CONTEXT, attempt.settings)
        if case == "last":
            return share_sizes(context_left, answer, ready.reading.left)
        if case == "rows":
            size = context_left - answer
            return Sizes(size, answer) if size > 0 else None
        if case == "smaller":
            half = max(1, sum(read.size for read in ready.reads) // 2)
            length = ready.step.length or answer
            return Sizes(min(half, max(1, context_left - length)), length)
        summary = _summary(ready)
        summary_left = room_to_read(attempt.context or ASSUMED_CONTEXT, attempt.settings, length=summary) - alone.total
        return section_sizes(context_left, answer, summary_left)

    def _levels(self, step: Step) -> int:
        """Return the number of levels of partials that a step is below."""
        lineage = self._state.lineage(step.id)
        return sum(self._state.steps[name].step.partial_of is not None for name in lineage)

    # Words

    def _prompt(self, ready: _Ready, case: Case) -> str:
        """Return the prompt of the partials. Lists are asked for as before: their rows are only joined."""
        if case == "rows" or case == "smaller":
            return ready.step.prompt
        return self._phrase(ready, "section" if case == "sections" else "share")

    def _phrase(self, ready: _Ready, name: str) -> str:
        wording = ready.attempt.wording
        kind = wanted(ready.attempt).kind
        prompt = ready.step.prompt.strip() or phrase(wording, f"step_{kind}")
        return phrase(wording, name, prompt=prompt)

    # What it reads

    def _reads(self, s: StepState, attempt: Attempt, reading: Reading) -> tuple[Read, ...]:
        """Return what a step reads, in plan order: inputs, then outputs and missing ones as they come."""
        items = {(item.kind, item.name): item for item in reading.items}
        reads = [
            Read("input", each.name, items["input", each.name].total, f"input {each.name}") for each in attempt.inputs
        ]
        about = ""
        for each in self._assigner.read_by(s):
            if isinstance(each, Given):
                size = items["output", each.step].total + _told(each, about)
                about = each.about
                reads.append(Read("output", each.step, size, _identity(self._state.steps[each.step].step)))
            else:
                size = items["missing", each.step].total
                reads.append(Read("missing", each.step, size, each.step))
        return tuple(reads)


def _told(given: Given, before: str) -> int:
    """Return the tokens of what a prompt says about an output: its item, and its prompt if the one before differs."""
    item = estimate_tokens(f"{given.step} = {given.item}; ") if given.item else 0
    return item + (estimate_tokens(f"{given.step} to {given.step}: {given.about}") if given.about != before else 0)


def _identity(step: Step) -> str:
    """Return what a step is about, whatever its number: its item, else its id."""
    return step.id if step.instance_of is None else canonical([step.instance_of, step.item]).decode()


def _summary(ready: _Ready) -> int:
    """Return the maximum tokens of the summary of a report in sections."""
    return max(LEAST_LENGTH, min(SUMMARY_LENGTH, ready.reading.answer // 4))
