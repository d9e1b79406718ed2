"""Whether what an attempt wrote is in what it read: the claims of a report, the figures of an answer, its calls.

A report is checked against the outputs that it cites. Any other answer is checked against all that
its model was shown: inputs, outputs and results of tools.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import cast

import anyio
from anyio.lowlevel import RunVar

from swarm.attempt.citations import check_report
from swarm.attempt.evidence.calls import not_called
from swarm.attempt.evidence.check import Checker, ReportClaim, unfounded
from swarm.attempt.evidence.conflicts import Contradiction, conflicts, line
from swarm.attempt.evidence.sources import SourceText
from swarm.attempt.prompt import known_steps, phrase, written
from swarm.attempt.types import Attempt, Given
from swarm.base.text import clip, cut, listing
from swarm.base.values import Json
from swarm.record.outcome import Outcome
from swarm.spec.chat import Data, Message, Part, Text, split_data

CLAIMS_ASKED = 20
"""Maximum claims that a question lists: with more, models correct fewer of them."""
CLAIM_CHARACTERS = 300
"""Maximum characters of a claim in a question."""
KEEPS = 0.75
"""Minimum share of the supported claims that a revised report must keep, to replace the first one."""
READ_CHARACTERS = 200_000
"""Maximum characters that an answer other than a report is checked against: some 0.2 seconds of work."""
MOST_UNFOUNDED = 5
"""Maximum figures, names and quotations that a note lists."""
MOST_KEPT = 100
"""Maximum figures, names and quotations of an answer that are recorded as not found."""

CONFLICTS_LISTED = 12
"""Maximum conflicts in a prompt: some 500 tokens."""
DOUBTED_LISTED = 40
"""Maximum outputs with parts that were not confirmed, in a prompt: some 1,000 tokens."""
LINE_CHARACTERS = 300
"""Maximum characters of a conflict, or of what of an output is not confirmed, in a prompt."""
COMPARED_CHARACTERS = 2_000_000
"""Maximum characters of the outputs of a step that are compared with each other: some seconds of work."""

_TURN = RunVar[anyio.Lock]("checks of answers")


class CitedOutputs:
    """The texts that the citations of a report stand for."""

    def __init__(self, given: Iterable[Given]) -> None:
        """`given` are the outputs of steps, in plan order."""
        self._given = {each.step: each for each in given}
        self._sources: dict[str, SourceText] = {}

    @cached_property
    def everything(self) -> tuple[SourceText, ...]:
        """All outputs."""
        return tuple(self._whole(each) for each in self._given.values())

    def of(self, step: str) -> Sequence[SourceText]:
        """Return the texts behind a citation of a step.

        1. Its output.
        2. For a step with instances, their outputs.
        3. For an entry of a list (`names.3`), the entry.
        4. Else the outputs that cite the step: partial reports.
        """
        given = self._given.get(step)
        if given is not None:  # 1
            return [self._whole(given)]
        below = [each for each in self._given.values() if each.step.startswith(f"{step}.")]
        if below:  # 2
            return [self._whole(each) for each in below]
        entry = self._entry(step)
        if entry is not None:  # 3
            return [entry]
        cites = re.compile(rf"\[[^\[\]\n]*(?<![\w.-]){re.escape(step)}(?![\w-]|\.\w)[^\[\]\n]*\]")
        return [each for each in self.everything if cites.search(each.text)]  # 4

    def _entry(self, name: str) -> SourceText | None:
        """Return the entry of a list that a name stands for, such as `names.3`."""
        parent, _, number = name.rpartition(".")
        above = self._given.get(parent)
        listed: Json = None if above is None else above.output
        if above is None or not isinstance(listed, list) or not number.isdigit():
            return None
        entries = cast("list[Json]", listed)[int(number) - 1 : int(number)]
        return self._source(name, written(entries[0]), above) if entries else None

    def _whole(self, given: Given) -> SourceText:
        return self._source(given.step, written(given.output), given)

    def _source(self, name: str, text: str, given: Given) -> SourceText:
        if name not in self._sources:
            self._sources[name] = SourceText(name, text, about=given.about, doubted=given.unfounded)
        return self._sources[name]


def report_claims(text: str, known: Iterable[str], given: Iterable[Given], goal: str) -> list[ReportClaim]:
    """Return the claims of a report, each with its evidence in these outputs."""
    outputs = CitedOutputs(given)
    return Checker(outputs.of, outputs.everything, goal=goal).check(text, frozenset(known))


def claims_of(attempt: Attempt, text: str) -> list[ReportClaim]:
    """Return the claims of a report that an attempt wrote.

    What the outputs have and their steps did not read is no reason to ask: its prompt said so (`unfounded_lines`).
    """
    known = set(known_steps(attempt))
    for given in attempt.given:
        cited = check_report(written(given.output), known)
        known.update(cited.cited, cited.unknown)
    given = [each.model_copy(update={"unfounded": ()}) for each in attempt.given]
    return report_claims(text, known, given, f"{attempt.goal}\n\n{attempt.step.prompt}")


def contradictions(given: Iterable[Given]) -> list[Contradiction]:
    """Return the conflicts between outputs. Of more than `COMPARED_CHARACTERS`, none are looked for."""
    texts = [SourceText(each.step, written(each.output)) for each in given]
    if len(texts) < 2 or sum(len(text.text) for text in texts) > COMPARED_CHARACTERS:
        return []
    return conflicts(texts)


def conflict_lines(given: Iterable[Given]) -> tuple[str, ...]:
    """Return the conflicts between outputs, a line each, for a prompt."""
    return tuple(cut(line(each), LINE_CHARACTERS) for each in contradictions(given)[:CONFLICTS_LISTED])


def unfounded_lines(given: Iterable[Given]) -> tuple[str, ...]:
    """Return what of the outputs is in nothing that their steps read, a line a step, for a prompt."""
    doubted = [each for each in given if each.unfounded]
    lines = [cut(f"{each.step}: {listing(each.unfounded)}", LINE_CHARACTERS) for each in doubted[:DOUBTED_LISTED]]
    return tuple(lines)


def is_doubtful(claim: ReportClaim) -> bool:
    """Return whether something in a claim was not found."""
    return bool(claim.missing)


def count_line(claims: Sequence[ReportClaim]) -> str:
    """Return for people how many claims are not in their sources: `2 of 41 claims not found in their sources`."""
    checked = [claim for claim in claims if claim.steps or claim.missing]
    missing = sum(map(is_doubtful, checked))
    if not missing:
        return ""
    return f"{missing:,} of {len(checked):,} claim{'s' * (len(checked) != 1)} not found in their sources"


def question(wording: Mapping[str, str], claims: Sequence[ReportClaim]) -> str:
    """Return the words that ask a model about the claims that were not found."""
    doubtful = [claim for claim in claims if is_doubtful(claim)]
    lines = [
        phrase(
            wording,
            "evidence_line",
            claim=cut(" ".join(claim.text.split()), CLAIM_CHARACTERS),
            steps=listing(claim.steps),
            missing="; ".join(claim.missing),
        )
        for claim in doubtful[:CLAIMS_ASKED]
    ]
    return phrase(wording, "evidence", claims="\n".join(lines))


def is_better(attempt: Attempt, new: str, old: str) -> bool:
    """Return whether a revised report has fewer claims that are not found, and kept most of the first one."""
    theirs, before = claims_of(attempt, new), claims_of(attempt, old)
    fewer = sum(map(is_doubtful, theirs)) < sum(map(is_doubtful, before))
    return fewer and _supported(theirs) >= KEEPS * _supported(before) and 2 * len(new) >= len(old)


def _supported(claims: Iterable[ReportClaim]) -> int:
    return sum(claim.evidence in ("supported", "derived") for claim in claims)


# Answers other than reports


async def with_notes(outcome: Outcome, attempt: Attempt, said: Sequence[Message]) -> Outcome:
    """Return an outcome with notes on what was checked of it: see `noted`. Attempts are checked one after the other.

    A thousand answers may come at the same time. Whoever shares the event loop has its turn between two of them. Nobody
    is cancelled here: the answer was paid for.
    """
    turn = _turn()
    with anyio.CancelScope(shield=True):
        await turn.acquire()
    try:
        return noted(outcome, attempt, said)
    finally:
        turn.release()


def _turn() -> anyio.Lock:
    """Return the lock of this event loop."""
    try:
        return _TURN.get()
    except LookupError:
        lock = anyio.Lock()
        _TURN.set(lock)
        return lock


def noted(outcome: Outcome, attempt: Attempt, said: Sequence[Message]) -> Outcome:
    """Return an outcome with what is in nothing that its model read, and with notes on it and on calls not made.

    `said` is the whole conversation: the prompt, the answers and the results of tools.
    """
    kind = attempt.step.output if attempt.step.output is not None else attempt.agent.output
    if kind == "plan" or (kind == "report" and attempt.given) or outcome.output is None:
        return outcome
    text = written(outcome.output)
    missing = _unread(text, said, attempt)
    names = listing((clip(each) for each in missing), MOST_UNFOUNDED)
    notes = [f"not found in what the step read: {names}"] if missing else []
    calls = list(chain.from_iterable(message.tool_calls for message in said))
    notes += not_called(text, calls) if kind != "report" else []
    if not notes:
        return outcome
    return outcome.model_copy(update={"notes": (*outcome.notes, *notes), "unfounded": missing[:MOST_KEPT]})


def _unread(text: str, said: Iterable[Message], attempt: Attempt) -> tuple[str, ...]:
    """Return what of an answer is in no text that a model was shown. Pictures and sounds may say anything.

    Work that it does again, and the reasons of the critic, are no sources. A text that it opened is
    one as a whole, too: what is on the page before the one that it read is not invented.
    """
    shown = [part for part in _shown(said) if not _is_work(part, attempt.step.redoes)]
    texts = [part for part in shown if isinstance(part, Data | Text)]
    has_data = any(isinstance(part, Data) and part.of != "brief" for part in texts)
    if not has_data or len(texts) < len(shown) or sum(len(part.text) for part in texts) > READ_CHARACTERS:
        return ()
    return _missing(text, [SourceText(_name_of(part), part.text) for part in texts], attempt)


def _name_of(part: Data | Text) -> str:
    """Return the name of an input or an output: those are counted when an answer says how many it read."""
    return part.name if isinstance(part, Data) and part.of in ("input", "output") else ""


def _missing(text: str, sources: list[SourceText], attempt: Attempt) -> tuple[str, ...]:
    missing = unfounded(text, sources)
    if missing and (whole := _opened(attempt)):
        return unfounded(text, [*sources, *whole])
    return missing


def _opened(attempt: Attempt) -> list[SourceText]:
    """Return the whole texts of which an attempt saw pages, unless they are too much to check."""
    opens = {name for _, name in attempt.opens}
    texts = [each.text for each in attempt.inputs if each.name in opens]
    texts += [written(each.output) for each in attempt.given if each.step in opens]
    size = sum(map(len, texts))
    return [] if size > READ_CHARACTERS else [SourceText("", text) for text in texts]


def _shown(said: Iterable[Message]) -> list[Part]:
    """Return what a model was shown: the parts of its prompt, and the results of its tools."""
    heard = (message.parts for message in said if message.role in ("user", "tool"))
    return split_data(chain.from_iterable(heard))


def _is_work(part: Part, redoes: str | None) -> bool:
    """Whether a text is work that is done again, or the verdict on it, which is the step behind it."""
    if redoes is None or not isinstance(part, Data) or part.of != "output":
        return False
    step, _, number = redoes.rpartition(".")
    return part.name in (redoes, f"{step}.{int(number) + 1}")
