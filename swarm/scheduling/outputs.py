"""What steps pass on: the output of a step, and the outputs that a step reads.

A stand-in has no outcome: its output is made from those of its children, as its `combine` says. In
a text, a child without an output is replaced by the texts that it would have read, each with the id
of its step. So a failed or unpaid partial report loses nothing that was found before it.
"""

from collections.abc import Callable, Iterable
from typing import cast

from swarm.attempt.citations import check_report
from swarm.attempt.merge import Leaf, merge_list, merge_table, merged_of, notes_of
from swarm.attempt.part_schemas import joined
from swarm.attempt.prompt import written
from swarm.attempt.types import Given, Missing
from swarm.base.values import Json
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.checks import also_read, chosen_ballot, last_work, unfounded_in
from swarm.scheduling.merging import merge_attempt
from swarm.scheduling.titles import short_item, title_of
from swarm.scheduling.votes import most_common, voted
from swarm.spec.plan import Step, before_of, sinks


class Outputs:
    """The outputs of the steps of a run."""

    def __init__(self, state: State, load: Callable[[str], Json], about: Callable[[Step], str]) -> None:
        """`load` reads an output from its artifact; `about` returns what a step was asked, in one line."""
        self._state = state
        self._load = load
        self._about = about
        self._notes: dict[tuple[str, int], dict[str, Json]] = {}
        """Conflicts and empty cells of tables that were read, by step and attempt."""
        self._cited: dict[tuple[str, int, int], tuple[str, ...]] = {}
        """Titles of the steps that partial reports cite, by step, attempt and length."""

    # The output of one step

    def of(self, s: StepState) -> Json:
        """Return the output of a step; for a stand-in, the combination of its children's outputs."""
        if s.kind != "stand_in":
            return s.outcome.loaded(self._load).output
        children = [self._state.steps[name] for name in s.children]
        if s.combine == "last":
            return self.of(children[-1])
        if s.combine == "sections":
            return self._sections(children)
        if s.combine == "text":
            return "\n\n".join(filter(None, map(self._text_of, children)))
        if s.combine == "list":
            return [self.of(child) for child in children]
        return self._made_of(s, children)

    def _made_of(self, s: StepState, children: list[StepState]) -> Json:
        """Return one value of those that the children of a stand-in have."""
        if s.combine == "checked" and (work := last_work(self._state, s)) is not None:
            return self.of(work)
        done = [child for child in children if child.gave]
        outputs = [self.of(child) for child in done]
        if s.combine != "majority":
            return _made_of(outputs, s)
        chosen = chosen_ballot(self._state, s)
        at = done.index(chosen) if chosen in done else None
        return voted(outputs, key=s.step.key or (), schema=s.step.output, chosen=at).value

    def _sections(self, children: list[StepState]) -> str:
        """Return a report in sections: the summary, which the last child wrote, then the others in order."""
        *sections, summary = children
        texts = [written(self.of(summary)).strip()] if summary.status is Status.DONE else []
        for section in sections:
            text = self._text_of(section)
            if text and not text.startswith("#"):
                text = f"## {title_of(self._state, section.step) or section.id}\n\n{text}"
            texts.append(text)
        return "\n\n".join(filter(None, texts))

    def _text_of(self, s: StepState) -> str:
        """Return the output of a step as text; without one, the texts that it would have read."""
        if s.taken:
            return ""
        if s.status is Status.DONE:
            return written(self.of(s)).strip()
        steps, (given, _) = self._state.steps, self.given_to(s)
        sources = (each for each in given if _is_source(steps[each.step].step, s.step))
        return "\n\n".join(f"{written(each.output).strip()} [{each.step}]" for each in sources)

    # The outputs that a step reads

    def given_to(self, s: StepState) -> tuple[tuple[Given, ...], tuple[Missing, ...]]:
        """Return the outputs that a step reads, in plan order, and the missing ones.

        Each step before it is one of three cases:

        1. A planner or a stand-in whose readers read its children, see `_in_place_of`.
        2. Done: it passes its own output, whatever it spawned.
        3. Without output: it is missing, and the steps that it would have read are read in its place, so a failure in
           the middle of the graph loses nothing that was done before it. A step with a `length` does not do this: it
           was given its share, and what it misses stands next to its answer. Neither does a merge: what a missing
           step would have read is of another kind.
        """
        read = self.read_by(s)
        given = tuple(each for each in read if isinstance(each, Given))
        return given, tuple(each for each in read if isinstance(each, Missing))

    def read_by(self, s: StepState) -> tuple[Given | Missing, ...]:
        """Return the same in one order, that of the plan."""
        steps = self._state.steps
        read: list[Given | Missing] = []
        seen: set[str] = set()
        stack = list(reversed(before_of(s.step)))
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            other = steps[name]
            if in_place := self._in_place_of(other, s.step):  # 1
                stack.extend(reversed(in_place))
            elif other.status is Status.DONE or not other.over:  # 2; a vote that is settled after its reader
                read.append(self._given(other, s))
            else:  # 3
                read.append(Missing(step=name, because=_because(other)))
                if s.step.length is None and s.step.merge is None:
                    stack.extend(reversed(self._before(other)))
        spawner = also_read(self._state, s)
        if spawner is not None and spawner.id not in seen and not spawner.failed:
            read.append(self._given(spawner, s))
            read.sort(key=lambda each: steps[each.step].order)  # whichever vote was the last one
        return tuple(read)

    def _given(self, s: StepState, reader: StepState) -> Given:
        item = short_item(s.step)
        template = s.step.model_copy(update={"instance_of": None}) if item else s.step
        output, below = self._read_by(reader, s), self._below(s)
        about, unfounded = self._about(template), unfounded_in(self._state, s)
        files = tuple(made for made in s.outcome.media if made.name)
        return Given(
            step=s.id,
            about=about,
            output=output,
            item=item,
            files=files,
            below=below,
            titles=self._titles(s, output, below),
            unfounded=unfounded,
        )

    def _titles(self, s: StepState, output: Json, below: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the steps are about that a partial report cites: readers see no other name."""
        if not below or not isinstance(output, str):
            return ()
        known = (s.id, s.attempt, len(output))
        if known not in self._cited:
            steps = (self._state.steps[name].step for name in check_report(output, below).cited)
            titles = ((step.id, title_of(self._state, step)) for step in steps)
            self._cited[known] = tuple(f"{name} = {title}" for name, title in titles if title)
        return self._cited[known]

    def _read_by(self, reader: StepState, s: StepState) -> Json:
        """Return what a step reads of another.

        With the rows of a table, a model gets its conflicts and empty cells: a later planner plans who looks again.
        """
        output = self.of(s)
        if s.step.merge != "table" or reader.step.merge is not None:
            return output
        known = (s.id, s.attempt)
        if known not in self._notes:
            found = merged_of(merge_attempt(self._state, s, *self.given_to(s), ()))
            self._notes[known] = notes_of(found)
        notes = self._notes[known]
        return {"rows": output, **notes} if notes else output

    def _below(self, s: StepState) -> tuple[str, ...]:
        """Return the steps that a partial, or the steps that stand in for one, were made from, over all levels."""
        steps = self._state.steps
        names: dict[str, None] = {}
        stack = [s] if s.step.partial_of is not None or s.kind == "stand_in" else []
        while stack:
            now = stack.pop()
            for name in (*now.children, *before_of(now.step)):
                if name not in names:
                    names[name] = None
                    other = steps[name]
                    is_partial = other.step.partial_of is not None
                    stack += [other] if is_partial or other.kind == "stand_in" else []
        return tuple(names)

    def _in_place_of(self, s: StepState, reader: Step) -> tuple[str, ...]:
        """Return the steps read in place of a step: its instances, its sections, or the ends of its plan.

        Work that is judged or done again is read as it is, with its summary.
        """
        if s.kind == "plain" or s.id in (reader.judges, reader.redoes):
            return ()
        if s.kind == "planner":
            return sinks(tuple(self._state.steps[child].step for child in s.children))
        if s.combine == "sections":
            return tuple(s.children[:-1])  # never the summary: it repeats them
        return tuple(s.children) if s.combine in ("list", "text") else ()

    def _before(self, s: StepState) -> tuple[str, ...]:
        """Return the steps that a step without output would have read; for a stand-in, those of its last child."""
        if s.kind == "stand_in" and s.children:
            return before_of(self._state.steps[s.children[-1]].step)
        return before_of(s.step)


def _is_source(step: Step, reader: Step) -> bool:
    """Return whether a step is a source of a section: neither its earlier answer, nor the verdict on that."""
    return step.judges is None and step.id != reader.redoes


def _made_of(outputs: list[Json], s: StepState) -> Json:
    """Return one value made of the outputs of the children of a stand-in, without those that have none."""
    if s.combine == "table":
        return _joined(outputs, s.step.output)
    if s.combine == "array":
        return joined([cast("list[Json]", each) for each in outputs if isinstance(each, list)])
    return most_common(outputs)


def _joined(outputs: Iterable[Json], schema: Json) -> list[Json]:
    """Return the rows of all outputs, each once; if they are not rows, their items."""
    leaves = [Leaf(str(n), output) for n, output in enumerate(outputs)]
    table = merge_table(leaves, schema=schema)
    return merge_list(leaves).value if table.unread else table.value


def _because(s: StepState) -> str:
    if s.status is Status.SKIPPED:
        return s.because
    return s.error.message if s.error is not None else f"it is {s.status}"
