"""What becomes of an answer: an outcome, or words that ask again.

Pure: the same attempt and the same text give the same verdict. That is how an attempt that was interrupted finds out
what its transcript already settles.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from swarm.attempt.answer_schemas import ANSWER
from swarm.attempt.answers import Fit, fit, read_json
from swarm.attempt.citations import check_report
from swarm.attempt.prompt import AnswerForm, known_steps, phrase, wanted, written
from swarm.attempt.types import Attempt
from swarm.base.errors import AnswerError
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.planning.lint import Linted, feedback, lint, read_plan
from swarm.record.outcome import Outcome

ALLOWED: Mapping[str, int] = {"form": 2, "plan": 1, "empty": 1, "truncated": 1, "citations": 1}
"""How often an answer is asked for again, by what was wrong with it."""
PLAN_LIKE: dict[str, Json] = {
    "anyOf": [
        {"type": "object", "required": ["steps"]},
        {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["prompt"]}},
    ]
}
"""What tells a plan from other JSON beside it in an answer; whether it is a good one is the linter's affair."""
CUT_REPORT = "the report was cut off at its output cap, twice: raise the model's max_tokens"
KNOWN_SHOWN = 60
"""Ids of steps that are listed to a model that cited none of them."""


@dataclass(frozen=True)
class Correction:
    """An answer that will not do, as it is."""

    kind: str
    """What is wrong: a key of `ALLOWED`, and the kind of the error once it was asked too often."""
    words: str
    """What the model is told."""
    message: str
    """What people are told."""
    may_help: bool = True
    """Whether another attempt may help, once asking again did not."""
    accepted: Outcome | None = None
    """What is taken all the same, once asking again did not help."""

    def error(self) -> AnswerError:
        """Make the error that ends the attempt."""
        return AnswerError(self.message, kind=self.kind, may_help=self.may_help)


def truncated(attempt: Attempt, text: str) -> Correction:
    """Ask again for an answer that hit the cap. Another attempt would hit it too.

    What a step gives to others is whole or it is not given. A report is read by people, and is the last of the run: cut
    off, and said to be, it is worth more than none.
    """
    message = "the answer was cut off at its output cap, twice: raise the model's max_tokens, or make the step smaller"
    cut = Outcome(output=text.strip(), left_out=(CUT_REPORT,)) if text.strip() else None
    report = wanted(attempt).kind == "report"
    words = phrase(attempt.wording, "truncated")
    return Correction("truncated", words, message, may_help=False, accepted=cut if report else None)


def judge(attempt: Attempt, text: str, *, asked_form: str = "") -> Outcome | Correction:
    """Judge a whole answer.

    `asked_form` is how the endpoint was asked for the form (`Reply.form`): where it was made to keep to a schema,
    broken JSON is not guessed at. Raises `AnswerError` where the step's own schema cannot be used.
    """
    text = text.strip()
    if not text:
        return Correction(
            "empty", phrase(attempt.wording, "empty"), "the model answered nothing, and nothing when asked again"
        )
    want = wanted(attempt)
    repair = asked_form != "json_schema"
    if want.kind == "plan":
        return _judge_plan(attempt, text, repair=repair)
    if want.kind == "json":
        return _judge_json(attempt, text, want, repair=repair)
    if want.kind == "report":
        return _judge_report(attempt, text)
    return Outcome(output=text)


def _judge_json(attempt: Attempt, text: str, want: AnswerForm, *, repair: bool) -> Outcome | Correction:
    found = fit(text, want.schema or {}, key=ANSWER if want.wrapped else None, repair=repair)
    return Outcome(output=found.value, notes=_repair_notes(found)) if found.ok else _ask_form(attempt, found)


def _judge_plan(attempt: Attempt, text: str, *, repair: bool) -> Outcome | Correction:
    found = fit(text, PLAN_LIKE, repair=repair)
    if not found.ok:
        found = read_json(text)
    if not found.ok:
        return _ask_form(attempt, found)
    brief = attempt.brief
    if brief is None:
        raise AnswerError("a planner was given no brief to check its plan against", kind="bug", may_help=False)
    if not brief.first and found.value in ([], {"steps": []}):
        return Outcome(output={"steps": []})
    draft = read_plan(found.value, brief)
    linted = lint(draft, brief)
    if linted.ok:
        return _planned(linted, _repair_notes(found))
    findings = feedback(linted.findings)
    message = "\n".join(str(problem) for problem in linted.problems)
    words = phrase(attempt.wording, "repair_plan", findings=findings)
    rest = lint(draft, brief, forgiving=True)
    accepted = _planned(rest, ("the planner could not put its plan right; what was wrong in it was left out",))
    return Correction("plan", words, message, may_help=False, accepted=accepted if rest.ok else None)


def _planned(linted: Linted, notes: tuple[str, ...]) -> Outcome:
    steps = [step.model_dump(mode="json", exclude_defaults=True) for step in linted.steps]
    notes = (*notes, *(str(finding) for finding in linted.repaired))
    return Outcome(output={"steps": steps}, spawned=linted.steps, agents=linted.agents, notes=notes)


def _judge_report(attempt: Attempt, text: str) -> Outcome | Correction:
    known = known_steps(attempt)
    if not attempt.given:
        return Outcome(output=text)
    found = check_report(text, known)
    unknown = tuple(name for name in found.unknown if name not in _carried(attempt, known))
    if found.cited and not unknown:
        return Outcome(output=text)
    note = f"the report cites what is no step: {listing(unknown)}" if unknown else "the report cites no step"
    names = listing(known[:KNOWN_SHOWN])
    words = (
        phrase(attempt.wording, "citations", unknown=listing(unknown), known=names)
        if unknown
        else phrase(attempt.wording, "uncited", known=names, example=known[0])
    )
    return Correction("citations", words, note, accepted=Outcome(output=text, notes=(note,)))


def _carried(attempt: Attempt, known: tuple[str, ...]) -> set[str]:
    """Name what the given outputs cite themselves: a partial report's citations are handed on."""
    names: set[str] = set()
    for given in attempt.given:
        found = check_report(written(given.output), known)
        names.update(found.cited, found.unknown)
    return names


def _ask_form(attempt: Attempt, found: Fit) -> Correction:
    errors = "\n".join(f"- {error}" for error in found.errors)
    words = phrase(attempt.wording, "repair", errors=errors)
    return Correction("form", words, f"the answer does not have the form asked for: {'; '.join(found.errors)}")


def _repair_notes(found: Fit) -> tuple[str, ...]:
    return ("the answer's JSON was broken and was repaired",) if found.repaired else ()
