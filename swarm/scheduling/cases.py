"""Which of the cases of `swarm.scheduling.tree` a step is, and what becomes of an answer that reaches its cap.

Nothing may be lost where an answer has to be as long as what it is of: a report in sections, texts
in a row, the entries of lists. One value or one summary is made of many things by steps that write
short answers.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, cast

from swarm.attempt.prompt import wanted, written
from swarm.attempt.reading import ASSUMED_CONTEXT, Reading, room_to_answer
from swarm.attempt.types import Attempt, Given
from swarm.base.values import Json
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.scheduling.tree import REPEATED, SECTION_OF_ANSWER, Case
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import Step

Kind = Literal["text", "report", "plan", "list", "object", "value"]
"""Kind of an answer: that of `wanted`, and of a JSON value its type as far as it matters."""

AGAIN: Mapping[Kind, Case] = {"text": "smaller", "list": "rows", "object": "fields"}
"""The case of a step whose answer reached its cap: what it read is read again in smaller groups."""

CITED = 0.5
"""Part of an answer that a report reads at least for sections to help: citations may double what it repeats."""

SEVERAL = 2
"""Minimum number of shares whose answers reached the cap before that is expected of the others."""
CONTINUED = 6
"""Maximum steps from a share up to the step that it is of, both included, for its answer to be continued."""


class Cases:
    """What becomes of the steps of a run. It looks at the graph and at what a step reads, and keeps nothing."""

    def __init__(self, state: State, report: Literal["sections", "summary"] | None) -> None:
        """`report` is the key of the task; None leaves the choice to what the report reads."""
        self._state = state
        self._report = report

    def of(self, s: StepState, attempt: Attempt, reading: Reading) -> Case | None:
        """Return how a step is expanded, or None if it is not."""
        kind, must_split = kind_of(attempt), not reading.fits or self.is_cut(s, attempt)
        if kind == "report" and self._may_have_sections(s):
            return "sections" if must_split or self._wants_sections(attempt.given, reading) else None
        if not must_split or self._is_in_vain(s):
            return None
        if self._is_repeated(s):
            return "smaller"
        return self._of_cut(kind, s) if reading.fits else self._of_many(kind, s)

    def _of_cut(self, kind: Kind, s: StepState) -> Case | None:
        """Return the case of a step whose answer reached its output cap."""
        is_partial_report = kind == "report" and self._is_share_of_report(s)
        return "smaller" if is_partial_report else AGAIN.get(kind)

    def is_cut(self, s: StepState, attempt: Attempt) -> bool:
        """Return whether the answer of a step reached its output cap, or would, as those of its siblings did.

        So siblings that have not started are not asked for answers that are thrown away.
        """
        if was_cut(s):
            return True
        return self.is_one_of_cut(s) and self.on_cut(s, attempt) == "split"

    def is_one_of_cut(self, s: StepState) -> bool:
        """Return whether the answers of most siblings of a share reached their cap so far."""
        is_share = s.step.partial_of is not None and s.id != f"{s.step.partial_of}.0"
        return is_share and any(map(are_cut, self._state.shared_by(s)))

    def _of_many(self, kind: Kind, s: StepState) -> Case:
        """Return the case of a step that does not fit its prompt."""
        if kind == "report" and was_cut(s) and self._is_share_of_report(s):
            return "smaller"
        if kind == "list":
            return "rows"
        keeps_all = kind == "object" and s.step.judges is None and _has_lists(s.step.output)
        return "fields" if keeps_all else "last"

    def is_quoted(self, s: StepState, attempt: Attempt) -> bool:
        """Return whether a step writes a report, or a section of one, that repeats what it reads."""
        return kind_of(attempt) == "report" and (self._may_have_sections(s) or self._is_repeated(s))

    def on_cut(self, s: StepState, attempt: Attempt) -> Literal["keep", "continue", "note", "split", "drop"]:
        """Return what becomes of an answer that reaches the output cap, see `Attempt.on_cut`."""
        is_report = kind_of(attempt) == "report"
        if not was_cut(s) and (self._is_much(s, attempt) if is_report else self._is_kept_whole(s, attempt)):
            return "split"
        if is_report and self._is_repeated(s):
            return "drop"
        if self._is_above_sections(s):
            return "note"
        return "continue" if attempt.on_cut == "keep" and self._is_share_of_text(s) else attempt.on_cut

    def _is_much(self, s: StepState, attempt: Attempt) -> bool:
        """Return whether a report is worth sections, or a section smaller ones, because its answer was cut."""
        reads = len(attempt.given) + len(attempt.inputs)
        if self._is_repeated(s) or self._is_share_of_report(s):
            return reads > 0
        return self._may_have_sections(s) and _ratio(s, attempt) > CITED

    def _is_kept_whole(self, s: StepState, attempt: Attempt) -> bool:
        """Return whether an answer that is no report is worth reading again what it is of.

        Not if it could have repeated all of that; nor if it is a verdict, or tools were called for it; nor if one short
        value will be made of it and of others.
        """
        if kind_of(attempt) not in AGAIN or attempt.tools or s.step.judges is not None or self._is_share_of_value(s):
            return False
        return _ratio(s, attempt) > REPEATED

    def _is_share_of_value(self, s: StepState) -> bool:
        parent = self._state.steps.get(s.by)
        is_share = parent is not None and parent.combine == "last" and s.step.output is None
        return is_share and parent is not None and parent.step.output is not None

    def _is_share_of_text(self, s: StepState) -> bool:
        """Return whether a step does a share of a text of which nothing may be lost: not of a value or a verdict, and
        not far below others, whose answers have to become shorter.
        """
        shares: list[Step] = []
        for name in self._state.lineage(s.id):
            shares.append(self._state.steps[name].step)
            if shares[-1].partial_of is None:
                break
        is_text = all(step.output is None and step.judges is None for step in shares)
        return is_text and 2 <= len(shares) <= CONTINUED

    def _may_have_sections(self, s: StepState) -> bool:
        """Return whether a step is to write a whole report that may have sections.

        So may the work that a critic judges, and each of several votes.
        """
        _, parent = self._above(s)
        if s.step.length is not None:
            return False
        if self._report == "summary":
            return parent is not None and self._ignores_length(s, parent)
        return parent is None or parent.combine in ("checked", "majority")

    def _ignores_length(self, s: StepState, parent: StepState) -> bool:
        """Return whether a report comes after partial reports of which most reached their length.

        A summary of them would lose most of what they say, and so would another level.
        """
        if parent.combine != "last" or parent.children[-1] != s.id:
            return False
        shares = [self._state.steps[name] for name in parent.children[:-1]]
        return 2 * sum(share.combine == "text" for share in shares) > len(shares)

    def _is_share_of_report(self, s: StepState) -> bool:
        """Return whether a step writes a partial report for a report that is to be a summary."""
        parent = self._state.steps.get(s.by)
        is_share = parent is not None and parent.combine == "last" and s.id != parent.children[-1]
        return is_share and self._report == "summary" and s.step.length is not None

    def _wants_sections(self, given: Sequence[Given], reading: Reading) -> bool:
        """Return whether a report is in sections although its model could read all of it in one prompt.

        It is if one answer cannot repeat what it reads. Without a choice of the task, most of that must have been
        written by instances of lists, or have a schema, too.
        """
        if sum(item.total for item in reading.items) <= SECTION_OF_ANSWER * reading.answer:
            return False
        steps = [self._state.steps[each.step].step for each in given]
        alike = sum(step.instance_of is not None or step.output is not None for step in steps)
        return self._report == "sections" or 2 * alike > len(steps)

    def _is_repeated(self, s: StepState) -> bool:
        """Return whether what a step reads is in the output of its parent as it is, if the step has no output."""
        s, parent = self._above(s)
        if parent is None:
            return False
        return parent.combine == "text" or (parent.combine == "sections" and parent.children[-1] != s.id)

    def _above(self, s: StepState) -> tuple[StepState, StepState | None]:
        """Return the step of whose work a step does a share, and the child of that one which it is.

        A step that does work again without the earlier answer takes the place of the one that was to do it with that.
        """
        parent = self._state.steps.get(s.step.partial_of or "")
        while parent is not None and s.step.redoes is not None and parent.children == [s.id]:
            s, parent = parent, self._state.steps.get(parent.step.partial_of or "")
        return s, parent

    def _is_above_sections(self, s: StepState) -> bool:
        """Return whether a step writes the summary of a report in sections, or does a share of that."""
        lineage = [self._state.steps[name] for name in self._state.lineage(s.id)]
        return any(
            parent.combine == "sections" and parent.children[-1] == child.id for child, parent in pairwise(lineage)
        )

    def _is_in_vain(self, s: StepState) -> bool:
        """Return whether a step comes after partials that all failed: others of the same sources would fail, too."""
        parent = self._state.steps.get(s.by)
        if parent is None or parent.combine != "last" or s.id != f"{parent.id}.0":
            return False
        return not any(self._state.steps[name].gave for name in parent.children if name != s.id)


def _ratio(s: StepState, attempt: Attempt) -> float:
    """Return how many times as long as an answer all is that an attempt reads."""
    size = sum(len(each.text) for each in attempt.inputs) + sum(len(written(each.output)) for each in attempt.given)
    answer = room_to_answer(attempt.context or ASSUMED_CONTEXT, attempt.settings, s.step.length)
    return attempt.density * size / (answer * BYTES_PER_TOKEN)


def was_cut(s: StepState) -> bool:
    """Return whether the last answer of a step reached its output cap."""
    return s.error is not None and s.error.kind == "truncated"


def are_cut(s: StepState) -> bool:
    """Return whether most answers to shares of a step reached their cap so far, and several did."""
    return s.cut >= SEVERAL and 2 * s.cut >= s.answered


def sizes_known(state: State, s: StepState) -> tuple[object, ...]:
    """Return what decides how much can be read at once, as far as a failure of this step may change it."""
    return dict(state.contexts), dict(state.densities.guessed), [are_cut(each) for each in state.shared_by(s)]


def kind_of(attempt: Attempt) -> Kind:
    """Return the kind of the answer to an attempt."""
    want = wanted(attempt)
    if want.kind != "json":
        return want.kind
    types: dict[Json, Kind] = {"array": "list", "object": "object"}
    return types.get((want.schema or {}).get("type"), "value")


def _has_lists(schema: Json) -> bool:
    """Return whether an object of a JSON Schema has a list, of which nothing may be lost."""
    properties = cast("dict[str, Any]", schema).get("properties") if isinstance(schema, dict) else None
    fields = cast("dict[str, Any]", properties).values() if isinstance(properties, dict) else ()
    return any(isinstance(field, dict) and cast("dict[str, Any]", field).get("type") == "array" for field in fields)
