"""The verdict on an answer: an outcome, or a correction for the model.

Judging is pure: the same attempt and the same text give the same verdict. So an attempt that was
interrupted can judge the answers in its transcript again. The cases, in the order of the code:

1. The answer was truncated.
   a. A text: accepted with a doubt, unless its role asks again (`truncated: retry`).
   b. A report: a correction; the second one is accepted with a doubt.
   c. A plan or a JSON value: a correction.
2. The answer is no answer.
   a. It is empty, but the model has reasoned: a correction. After it, the reasoning is accepted with a doubt.
   b. It is empty: a correction.
   c. It is a tool call written as text: a correction.
   d. A small model copies a heading of its prompt: a correction, as for b.
3. A plan is wanted.
   a. No JSON: a correction.
   b. No steps, from a planner of a later wave: an outcome without steps.
   c. The plan passes the linter: an outcome with its steps.
   d. It does not pass: a correction. After it, the valid part of a plan is accepted.
4. A JSON value is wanted.
   a. It matches its schema: an outcome.
   b. It does not match: a correction.
5. A report is wanted.
   a. No outputs were given, or it cites known steps only, which support it: an outcome.
   b. It cites none, or an unknown one: a correction. After it, the report is accepted with a note.
   c. Claims are not in what they cite: an optional question. The better report is accepted.
6. A text is wanted: an outcome.
7. The output does not match the schema of `check`: a correction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from swarm.attempt import continuing
from swarm.attempt.answer_schemas import ANSWER
from swarm.attempt.answers import Fit, fit, read_json, validate
from swarm.attempt.citations import check_report
from swarm.attempt.prompt import AnswerForm, known_steps, phrase, wanted, written
from swarm.attempt.support import claims_of, count_line, is_better, question
from swarm.attempt.types import Attempt
from swarm.attempt.written_calls import is_written_call
from swarm.base.errors import AnswerError
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.planning.lint import Linted, feedback, lint, read_plan
from swarm.record.outcome import CUT, Outcome
from swarm.spec.chat import Message, estimate_tokens

ALLOWED: Mapping[str, int] = {
    "form": 2,
    "plan": 1,
    "empty": 1,
    "truncated": 1,
    "continued": 2,
    "citations": 1,
    "evidence": 1,
    "unparsed_call": 1,
    "unknown_tool": 1,
}
"""Maximum corrections per attempt, by kind."""
PLAN_LIKE: dict[str, Json] = {
    "anyOf": [
        {"type": "object", "required": ["steps"]},
        {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["prompt"]}},
    ]
}
"""Schema that tells a plan from other JSON in the same answer. Whether the plan is valid is for
the linter."""
CUT_REPORT = "the report was truncated twice at its output cap; raise the model's `max_tokens`"
"""Note on a truncated report that was accepted: one line of the report's list."""
CUT_TEXT = "the end of the answer: it reached its output cap; raise the model's `max_tokens`"
"""Note on a truncated text that was accepted."""
CUT_SHARE = "the end of the answer: it reached its length, and was kept up to its last complete sentence"
"""Note on a truncated answer of a step that does a share of another one's work."""
CUT_SUMMARY = "the summary reached its length, and was kept up to its last complete sentence; its sections are complete"
"""Note on the truncated summary of a report in sections."""
_SENTENCE_END = re.compile(r"[.!?…](?:\s*\[[^\[\]\n]{1,200}\])*(?=\s)|[。！？]|\n(?=\s*\n)|\](?=\s*\n)")
"""The end of a sentence with its citations, of a paragraph, or of a line that ends with a citation."""
_TRUNCATED: Mapping[str, Literal["keep", "retry"]] = {"text": "keep", "report": "retry"}
"""What is done with a truncated answer if the role does not say it."""
CUT_ANSWER = "the answer was truncated twice at its output cap\nhint: raise `max_tokens`, or split the step"
"""Message of the error for any other truncated answer."""
KNOWN_SHOWN = 60
"""Maximum number of step ids that a correction lists: more would fill the context of a small
model."""


@dataclass(frozen=True)
class Correction:
    """An answer that cannot be used as it is, and the words that ask for another one."""

    kind: str
    """The reason: a key of `ALLOWED`, and the kind of the error once corrections are used up."""
    words: str
    """Words for the model."""
    message: str
    """Words for people."""
    may_help: bool = True
    """Whether another attempt may help once corrections are used up."""
    accepted: Outcome | None = None
    """Outcome that is accepted once corrections are used up, if there is one."""
    optional: bool = False
    """Whether the run can do without the corrected answer: one more turn, and no error, comes of it."""
    asks: bool = True
    """Whether another answer is requested before that outcome is accepted."""

    ends: bool = False
    """Whether the attempt ends without another answer."""

    def error(self) -> AnswerError:
        """Return the error that ends the attempt."""
        return AnswerError(self.message, kind=self.kind, may_help=self.may_help)


def truncated(attempt: Attempt, text: str) -> Correction:
    """Return the correction of an answer that reached the output cap (case 1).

    Another attempt would reach the cap too. People read a text or a report: truncated and with a
    note, it is worth more than none. So is the share of another step's work, up to its last
    sentence. Of a value, a step passes all of it or none. If all that the step read is kept
    (`on_cut`), none is better.
    """
    words = phrase(attempt.wording, "truncated")
    kind, text = wanted(attempt).kind, text.strip()
    if text and continuing.may_continue(attempt, text):
        accepted = Outcome(output=text, left_out=(CUT_TEXT,), doubts=(CUT,))
        return Correction(continuing.KIND, continuing.words(attempt, text), CUT_ANSWER, accepted=accepted)
    accepted: Outcome | None = None
    if attempt.on_cut in ("split", "drop"):
        return Correction("truncated", words, CUT_ANSWER, may_help=attempt.on_cut == "split", ends=True)
    if text and kind in {"report", "text"}:
        left_out = CUT_REPORT if kind == "report" else CUT_TEXT
        if attempt.step.length is not None:
            text, left_out = up_to_last_sentence(text), CUT_SHARE
        accepted = Outcome(output=text, left_out=(left_out,), doubts=(CUT,))
        if attempt.on_cut == "note":
            accepted = Outcome(output=text, notes=(CUT_SUMMARY,))
    asks = accepted is None or (attempt.agent.truncated or _TRUNCATED[kind]) == "retry"
    return Correction("truncated", words, CUT_ANSWER, may_help=False, accepted=accepted, asks=asks)


def up_to_last_sentence(text: str) -> str:
    """Return a truncated text without its incomplete last sentence; unchanged if it has no complete one."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]].rstrip() if ends else text


def uncalled(attempt: Attempt) -> Correction:
    """Return the correction of an answer that calls a tool although none was offered."""
    words = phrase(attempt.wording, "no_tools")
    message = "the model called a tool, and none was offered"
    return Correction("unknown_tool", words, message, may_help=False)


def judge_message(attempt: Attempt, message: Message, *, asked_form: str = "") -> Outcome | Correction:
    """Judge the message of an answer without tool calls (cases 1 to 7)."""
    if CUT in message.doubts:
        return truncated(attempt, message.spoken)
    verdict = judge(attempt, message.spoken, asked_form=asked_form, thought=message.thought)
    schema = attempt.step.check
    if isinstance(schema, dict) and isinstance(verdict, Outcome):  # 7
        return _checked(attempt, verdict, schema)
    return verdict


def judge(attempt: Attempt, text: str, *, asked_form: str = "", thought: str = "") -> Outcome | Correction:
    """Judge a complete answer (cases 2 to 6).

    `asked_form` is how the endpoint was asked for a form (`Reply.form`). If it had to keep to a
    schema, broken JSON is not repaired. `thought` is the model's reasoning. Raise `AnswerError` if
    the step's own schema cannot be used.
    """
    text = text.strip()
    want = wanted(attempt)
    repair = asked_form != "json_schema"
    if not text:  # 2a, 2b
        return _empty(attempt, thought.strip())
    if _is_echo(attempt, text):  # 2d
        return _empty(attempt, "")
    wants_json = want.kind in {"json", "plan"}
    if asked_form != "tool" and is_written_call(text, wants_json=wants_json):  # 2c
        words = phrase(attempt.wording, "written_call") if attempt.tools else uncalled(attempt).words
        message = "the model wrote a tool call as text, also after a correction"
        return Correction("unparsed_call", words, message, may_help=False)
    if want.kind == "plan":  # 3
        return _judge_plan(attempt, text, repair=repair)
    if want.kind == "json":  # 4
        return _judge_json(attempt, text, want, repair=repair)
    if want.kind == "report":  # 5
        return _judge_report(attempt, text)
    return Outcome(output=text)  # 6


def _checked(attempt: Attempt, outcome: Outcome, schema: dict[str, Json]) -> Outcome | Correction:
    """Judge an output by the schema of `check`. It is compared as it is: a text is a string."""
    errors = validate(outcome.output, schema)
    return _wrong_form(attempt, Fit(errors=errors)) if errors else outcome


def _is_echo(attempt: Attempt, text: str) -> bool:
    """Check whether a small model began to copy its prompt: its answer starts with a heading of ours."""
    if not attempt.settings.get("small"):
        return False
    first = text.partition("\n")[0].strip()
    return first.startswith("#") and any(first in words.splitlines() for words in attempt.wording.values())


def _empty(attempt: Attempt, thought: str) -> Correction:
    """Return the correction of an answer without words; the reasoning may be worth something."""
    if not thought:
        words = phrase(attempt.wording, "empty")
        return Correction("empty", words, "the answer was empty, also after a correction")
    message = f"the model wrote only reasoning (about {estimate_tokens(thought):,} tokens) and no answer"
    judged = judge(attempt, thought)
    outcome = judged.accepted if isinstance(judged, Correction) else judged
    if outcome is not None:
        outcome = outcome.model_copy(update={"doubts": (*outcome.doubts, f"{message}; the reasoning was used")})
    return Correction("empty", phrase(attempt.wording, "only_thought"), message, accepted=outcome)


def _judge_plan(attempt: Attempt, text: str, *, repair: bool) -> Outcome | Correction:
    brief = attempt.brief
    if brief is None:
        message = "a planner has no brief to check its plan against"
        raise AnswerError(message, kind="bug", may_help=False)
    found = fit(text, PLAN_LIKE, repair=repair)
    if not found.ok:
        found = read_json(text)  # other JSON: the linter says better what is missing
    if not found.ok:  # 3a
        return _wrong_form(attempt, found)
    if not brief.first and found.value in ([], {"steps": []}):  # 3b
        return Outcome(output={"steps": []})
    draft = read_plan(found.value, brief)
    linted = lint(draft, brief)
    if linted.ok:  # 3c
        return _planned(linted, doubts=_repair_doubts(found))
    rest = lint(draft, brief, forgiving=True)  # 3d
    note = "the plan had errors after a correction; the invalid parts were left out"
    return Correction(
        "plan",
        phrase(attempt.wording, "repair_plan", findings=feedback(linted.findings)),
        "\n".join(str(problem) for problem in linted.problems),
        may_help=False,
        accepted=_planned(rest, doubts=(note,)) if rest.ok else None,
    )


def _planned(linted: Linted, *, doubts: tuple[str, ...]) -> Outcome:
    steps = [step.model_dump(mode="json", exclude_defaults=True) for step in linted.steps]
    notes = tuple(str(finding) for finding in linted.repaired)
    return Outcome(output={"steps": steps}, spawned=linted.steps, agents=linted.agents, notes=notes, doubts=doubts)


def _judge_json(attempt: Attempt, text: str, want: AnswerForm, *, repair: bool) -> Outcome | Correction:
    found = fit(text, want.schema or {}, key=ANSWER if want.wrapped else None, repair=repair)
    if found.ok:  # 4a
        return Outcome(output=found.value, notes=_coercion_notes(found), doubts=_repair_doubts(found))
    return _wrong_form(attempt, found)  # 4b


def _judge_report(attempt: Attempt, text: str) -> Outcome | Correction:
    if not attempt.given:  # 5a
        return Outcome(output=text)
    known = known_steps(attempt)
    found = check_report(text, known)
    repeated = _cited_by_outputs(attempt, known) if found.unknown else set[str]()
    unknown = tuple(name for name in found.unknown if name not in repeated)
    if found.cited and not unknown:
        return _judge_claims(attempt, text)
    names = listing(known[:KNOWN_SHOWN])  # 5b
    if unknown:
        note = f"the report cites unknown steps: {listing(unknown)}"
        words = phrase(attempt.wording, "citations", unknown=listing(unknown), known=names)
    else:
        note = "the report cites no step"
        words = phrase(attempt.wording, "uncited", known=names, example=known[0])
    return Correction("citations", words, note, accepted=Outcome(output=text, doubts=(note,)))


def _judge_claims(attempt: Attempt, text: str) -> Outcome | Correction:
    claims = claims_of(attempt, text)
    note = count_line(claims)
    if not note:  # 5a
        return Outcome(output=text)
    outcome = Outcome(output=text, notes=(note,))
    return Correction("evidence", question(attempt.wording, claims), note, accepted=outcome, optional=True)  # 5c


def revised(attempt: Attempt, first: Outcome, verdict: Outcome | Correction | None) -> Outcome:
    """Return the better of a report and its revision, of which this is the verdict.

    None, and a correction for any other reason, stand for a revision that cannot be used.
    """
    is_other = isinstance(verdict, Correction) and not verdict.optional
    new = verdict.accepted if isinstance(verdict, Correction) else verdict
    if is_other:
        return first
    if new is None or not isinstance(new.output, str) or not isinstance(first.output, str):
        return first
    return new if is_better(attempt, new.output, first.output) else first


def _cited_by_outputs(attempt: Attempt, known: tuple[str, ...]) -> set[str]:
    """Return what the given outputs cite: a report may repeat the citations of a partial report."""
    names: set[str] = set()
    for given in attempt.given:
        if given.below:
            continue  # its sources are known: it cannot make an invented id valid
        found = check_report(written(given.output), known)
        names.update(found.cited, found.unknown)
    return names


def _wrong_form(attempt: Attempt, found: Fit) -> Correction:
    errors = "\n".join(f"- {error}" for error in found.errors)
    words = phrase(attempt.wording, "repair", errors=errors)
    message = f"the answer does not match the output format: {'; '.join(found.errors)}"
    return Correction("form", words, message)


def _repair_doubts(found: Fit) -> tuple[str, ...]:
    return ("the answer's JSON was broken and was repaired",) if found.repaired else ()


def _coercion_notes(found: Fit) -> tuple[str, ...]:
    return ("a slip in the answer was put right by its schema",) if found.coerced else ()
