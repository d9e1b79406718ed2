"""The steps that a ready step becomes because all that it reads, or what it has to write, is too much.

The cases are those of `swarm.scheduling.tree`, and `swarm.scheduling.cases` decides between them.
One text that is larger than the space of its step is read in parts (`swarm.attempt.parts`), unless
what is read is repeated.

An answer is pure: it depends on what the step would read, on the sizes of its model and on the
task, and keeps nothing. It costs O(what the step reads).
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Literal

from swarm.attempt.part_schemas import part_schema
from swarm.attempt.parts import TO_ANSWER, frame_of_part, parts_of, pieces_of, stated
from swarm.attempt.prompt import phrase, reading_of, wanted
from swarm.attempt.reading import ASSUMED_CONTEXT, Item, Reading, room_to_answer, room_to_read
from swarm.attempt.types import Attempt, Given
from swarm.attempt.verdicts import VERDICT
from swarm.base.values import canonical
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.assign import Assigner
from swarm.scheduling.cases import AGAIN, Cases, kind_of, was_cut
from swarm.scheduling.expand import Expander, Expansion
from swarm.scheduling.shares import CriticShares, redone
from swarm.scheduling.tree import (
    LEAST_LENGTH,
    SHARE_OF_SUMMARY,
    SUMMARY_LENGTH,
    Case,
    Read,
    Sizes,
    again_sizes,
    group,
    is_deep,
    last,
    partials,
    section_sizes,
    share_sizes,
    shortened,
)
from swarm.spec.chat import BYTES_PER_TOKEN, estimate_tokens
from swarm.spec.plan import Combine, Part, Step

_COMBINED: dict[Case, Combine] = {
    "sections": "sections",
    "smaller": "text",
    "rows": "table",
    "fields": "last",
    "last": "last",
}


@dataclass(frozen=True)
class _Ready:
    """A step that has become ready, with what its next attempt would be."""

    s: StepState
    attempt: Attempt
    reading: Reading
    reads: tuple[Read, ...]
    verdicts: tuple[str, ...] = ()
    """Steps with the verdicts on an earlier answer: each partial reads them."""

    @property
    def step(self) -> Step:
        return self.s.step

    @property
    def total(self) -> int:
        """Tokens of all that it reads."""
        return sum(read.size for read in self.reads)


class Reduction:
    """Maker of partial steps. It answers for one step at a time and keeps nothing."""

    def __init__(self, state: State, assigner: Assigner, report: Literal["sections", "summary"] | None = None) -> None:
        """`report` is the key of the task; None leaves the choice to what the report reads."""
        self._state = state
        self._assigner = assigner
        self._cases = Cases(state, report)
        self._shares = CriticShares(state, assigner.draft)

    @property
    def expander(self) -> Expander:
        """What the scheduler asks."""
        return Expander(self._assigner.draft, self._state.steps, self)

    def __call__(self, s: StepState, attempt: Attempt) -> Expansion | None:
        """Return the steps that take the place of a ready step, or None if it is run as it is."""
        if s.kind == "planner" or s.step.each is not None:
            return None
        reading = reading_of(attempt)
        if s.step.judges is not None and s.step.output == VERDICT:
            return None if reading.fits else self._shares.of(s, attempt, reading, self._reads(s, attempt, reading))
        case = self._cases.of(s, attempt, reading)
        if s.step.redoes is not None and case is not None:
            return self._done_again(s, attempt, case)
        return None if case is None else self._in_shares(s, attempt, reading, case)

    def _done_again(self, s: StepState, attempt: Attempt, case: Case) -> Expansion | None:
        """Return the steps that do contradicted work again, if it is too much for one.

        They do not read the earlier answer, which would be told like a source, and each reads the verdict on it.
        """
        if (again := redone(self._state, s, attempt)) is not None:
            return again
        given = tuple(each for each in attempt.given if each.step != s.step.redoes)
        if len(given) == len(attempt.given):
            return self._in_shares(s, attempt, reading_of(attempt), case)
        attempt = attempt.model_copy(update={"given": given})
        reading = reading_of(attempt)
        if (now := self._cases.of(s, attempt, reading)) is not None:
            return self._in_shares(s, attempt, reading, now)
        names = tuple(each.step for each in (*given, *attempt.missing))
        update = {"id": f"{s.id}.1", "needs": (), "after": names, "partial_of": s.id}
        return Expansion((s.step.model_copy(update=update),), "last")

    def _in_shares(self, s: StepState, attempt: Attempt, reading: Reading, case: Case) -> Expansion | None:
        """Return the steps that do shares of a step's work in one of the cases.

        They take the next parts of its text, too, if all of these together become more parts than they are: else nobody
        would read less than before.
        """
        widened, takes = self._widened(s)
        if takes:
            found = self._of_own(widened, self._assigner.draft(widened), reading, case)
            if found is not None and sum(step.part is not None for step in found.steps) > 1 + len(takes):
                return replace(found, takes=takes)
        return self._of_own(s, attempt, reading, case)

    def _of_own(self, s: StepState, attempt: Attempt, reading: Reading, case: Case) -> Expansion | None:
        """Return the steps that read what a step reads."""
        attempt = self._measured(attempt)
        if not self._cases.is_quoted(s, attempt):
            parts = parts_of(s.step, attempt, was_cut=reading.fits and self._cases.is_cut(s, attempt))
            if parts is not None:
                return Expansion(parts.steps, parts.combine)
        reading, verdicts = reading_of(attempt), self._verdicts(s, attempt)
        return self._expanded(_Ready(s, attempt, reading, self._reads(s, attempt, reading), verdicts), case)

    def _verdicts(self, s: StepState, attempt: Attempt) -> tuple[str, ...]:
        """Return the verdicts that a step which does work again reads."""
        if s.step.redoes is None:
            return ()
        return tuple(each.step for each in attempt.given if self._state.steps[each.step].step.judges is not None)

    def _widened(self, s: StepState) -> tuple[StepState, tuple[str, ...]]:
        """Return a step with the next parts of the same text as one with its own, and who was to read them.

        What makes its part too long holds for them, too, and nobody has begun to read them. So the text
        is cut again as a whole: cut one by one, each would leave a small rest.
        """
        is_alone = was_cut(s) and not self._cases.is_one_of_cut(s)
        taken = [] if is_alone or s.step.redoes is not None else self._next_parts(s)
        if not taken:
            return s, ()
        part, end = s.step.part, taken[-1].step.part
        assert part is not None
        assert end is not None
        wide = part.model_copy(update={"end": end.end, "lines": (part.lines[0], end.lines[1])})
        widened = copy(s)
        widened.step = s.step.model_copy(update={"part": wide})
        return widened, tuple(other.id for other in taken)

    def _next_parts(self, s: StepState) -> list[StepState]:
        """Return the steps that are to read the parts behind that of a step, up to one that has begun."""
        part, parent = s.step.part, self._state.steps.get(s.step.partial_of or "")
        if part is None or parent is None:
            return []
        behind = islice(parent.children, int(s.id.rpartition(".")[2]), None)
        others = (self._state.steps[name] for name in behind)
        return list(takewhile(lambda other: _is_free(other, part) and was_cut(other) == was_cut(s), others))

    def _measured(self, attempt: Attempt) -> Attempt:
        """Return an attempt with the density of its texts as it is known by now, for its pieces."""
        names = [each.name for each in attempt.inputs if each.medium == "text"]
        density = self._state.densities.of(attempt.model, names, outputs=bool(attempt.given))
        return attempt.model_copy(update={"density": density})

    def attempts(self, fitted: Callable[[Attempt], Attempt]) -> Callable[[StepState], Attempt]:
        """Return the function that makes the attempts of a run; `fitted` fits one to the budget."""

        def attempt_of(s: StepState) -> Attempt:
            attempt = fitted(self._assigner.attempt_of(s))
            on_cut = self._cases.on_cut(s, attempt)
            return attempt if on_cut == attempt.on_cut else attempt.model_copy(update={"on_cut": on_cut})

        return attempt_of

    # The steps

    def _expanded(self, ready: _Ready, case: Case) -> Expansion | None:
        """Return the partials of a step, or None if there is no space for them or they would not help."""
        prompt = self._prompt(ready, case)
        sizes = self._sizes(ready, case, prompt)
        if sizes is not None and case == "last":
            sizes = shortened(sizes, ready.reading, ready.reads)
        if sizes is None:
            other = AGAIN.get(kind_of(ready.attempt)) if case == "last" else None
            return None if other is None else self._expanded(ready, other)
        reads = (
            ready.reads if case == "last" else self._in_pieces(ready, sizes.group, shares=case in ("rows", "fields"))
        )
        groups = group(reads, sizes.group)
        if len(groups) < 2 or is_deep(ready.step, self._levels(ready.step), len(groups)):
            return None
        parts = self._fitting(ready, groups, case, prompt, sizes)
        if case == "sections":
            summary = self._phrase(ready, "summary")
            parts.append(last(ready.step, parts, prompt=summary, length=_summary(ready)))
        elif case in ("last", "fields"):
            parts.append(last(ready.step, parts))
        return Expansion(tuple(parts), _COMBINED[case])

    def _in_pieces(self, ready: _Ready, most: int, *, shares: bool) -> list[Read]:
        """Return what a step reads, with texts of more than `most` tokens as pieces of them; see `pieces_of`."""
        items = {(item.kind, item.name): item for item in ready.reading.items if item.splittable}
        reads: list[Read] = []
        for read in ready.reads:
            item = items.get((read.kind, read.name))
            space = most - frame_of_part(ready.attempt, read.name)
            if item is None or read.size <= most or space <= 0:
                reads.append(read)
            else:
                reads += self._pieces(ready.attempt, item, space, shares=shares)
        return reads

    def _pieces(self, attempt: Attempt, item: Item, space: int, *, shares: bool) -> list[Read]:
        frame = frame_of_part(attempt, item.name)
        return [
            Read(item.kind, item.name, _tokens(part.head + part.end - part.start) + frame, part.sha256, part)
            for part in pieces_of(attempt, item, space, shares=shares)
        ]

    def _fitting(
        self, ready: _Ready, groups: list[tuple[Read, ...]], case: Case, prompt: str, sizes: Sizes
    ) -> list[Step]:
        """Return the partials. Each is measured as it will be sent; a group that does not fit is halved."""
        length = None if case in ("rows", "fields") else sizes.length
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
        step, schema = ready.step.model_copy(update={"density": stated(ready.attempt)}), ready.step.output
        if case == "last" and wanted(ready.attempt).kind == "json":
            is_text = ready.attempt.agent.output == "text"
            step = step.model_copy(update={"output": None if is_text else {"type": "string"}})
        elif case == "fields" and schema is not None:
            step = step.model_copy(update={"output": part_schema(schema)})
        found = partials(step, groups, prompt=prompt, length=length)
        if not ready.verdicts:
            return found
        return [each.model_copy(update={"after": (*each.after, *ready.verdicts)}) for each in found]

    def _draft(self, ready: _Ready, step: Step) -> Attempt:
        return self._assigner.draft(StepState(step, ready.s.id, ready.s.order, "plain"))

    def _sizes(self, ready: _Ready, case: Case, prompt: str) -> Sizes | None:
        """Return the sizes of the partials of a step. A group is at most half of what it reads."""
        sizes, density = self._sizes_of_case(ready, case, prompt), ready.attempt.density
        if sizes is None:
            return None
        return Sizes(max(1, min(sizes.group, -(-ready.total // 2))), max(1, int(sizes.length * density)))

    def _sizes_of_case(self, ready: _Ready, case: Case, prompt: str) -> Sizes | None:
        """Return the sizes in estimated tokens; the cap of an answer is sent in real ones."""
        (empty,) = self._partials(ready, [()], case, prompt, 1)
        attempt = self._draft(ready, empty)
        alone = reading_of(attempt)
        context_left = alone.room + 1 - alone.total
        density = ready.attempt.density
        answer = int(room_to_answer(attempt.context or ASSUMED_CONTEXT, attempt.settings) / density)
        if case == "last":
            if ready.step.length is not None and kind_of(ready.attempt) == "report":
                answer = min(answer, int(SHARE_OF_SUMMARY * ready.step.length / density))
            return share_sizes(context_left, answer, ready.reading.left)
        if case == "sections":
            context, summary = attempt.context or ASSUMED_CONTEXT, _summary(ready)
            room = room_to_read(context, attempt.settings, length=summary, density=density)
            summary_left = room - alone.total
            return section_sizes(context_left, answer, summary_left)
        if case != "smaller" and not self._cases.is_cut(ready.s, ready.attempt):
            size = min(context_left - answer, TO_ANSWER * answer)
            return Sizes(size, answer) if size > 0 else None
        length = answer if ready.step.length is None else int(ready.step.length / density)
        return again_sizes(context_left, length)

    def _levels(self, step: Step) -> int:
        """Return the number of levels of partials that a step is below."""
        lineage = self._state.lineage(step.id)
        return sum(self._state.steps[name].step.partial_of is not None for name in lineage)

    # Words

    def _prompt(self, ready: _Ready, case: Case) -> str:
        """Return the prompt of the partials. Lists are asked for as before: their rows are only joined."""
        if case in ("rows", "fields", "smaller"):
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
        part = s.step.part
        piece = None if part is None else (part.kind, part.name)
        reads: list[Read] = []
        for each in attempt.inputs:
            known = ("input", each.name)
            reads.append(Read(*known, items[known].total, f"input {each.name}", part if piece == known else None))
        about, verdicts = "", self._verdicts(s, attempt)
        for each in self._assigner.read_by(s):
            if each.step in verdicts or (each.step == s.step.redoes and ("output", each.step) not in items):
                continue
            if isinstance(each, Given):
                size = items["output", each.step].total + _told(each, about)
                about = each.about
                known = ("output", each.step)
                identity = _identity(self._state.steps[each.step].step)
                reads.append(Read(*known, size, identity, part if piece == known else None))
            else:
                size = items["missing", each.step].total
                reads.append(Read("missing", each.step, size, each.step))
        return tuple(reads)


def _is_free(s: StepState, part: Part) -> bool:
    """Return whether a step is to read another part of the same text, and nobody has begun that."""
    other = s.step.part
    is_same = other is not None and (other.kind, other.name, other.whole) == (part.kind, part.name, part.whole)
    return is_same and s.status is Status.READY and not s.transcript


def _tokens(size: int) -> int:
    """Return the estimated tokens of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)


def _told(given: Given, before: str) -> int:
    """Return the tokens of what a prompt says about an output: its item, and its prompt if the one before differs."""
    item = estimate_tokens(f"{given.step} = {given.item}; ") if given.item else 0
    item += estimate_tokens(f"{given.cited}\n") if given.titles else 0
    return item + (estimate_tokens(f"{given.step} to {given.step}: {given.about}") if given.about != before else 0)


def _identity(step: Step) -> str:
    """Return what a step is about, whatever its number: its item, else its id."""
    return step.id if step.instance_of is None else canonical([step.instance_of, step.item]).decode()


def _summary(ready: _Ready) -> int:
    """Return the maximum tokens of the summary of a report in sections."""
    return max(LEAST_LENGTH, min(SUMMARY_LENGTH, ready.reading.answer // 4))
