"""The claims of a report, each with the steps behind it and whether their outputs support it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from pydantic import Field

from swarm.attempt.citations import cited_spans
from swarm.attempt.evidence.check import Evidence, ReportClaim
from swarm.attempt.evidence.conflicts import Contradiction, line
from swarm.attempt.evidence.statements import keyed
from swarm.attempt.support import contradictions, count_line, is_doubtful, report_claims
from swarm.attempt.types import Given
from swarm.base.text import cut, listing
from swarm.base.values import Frozen, Json
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.checks import unfounded_in
from swarm.spec.plan import Step, before_of, role_of
from swarm.texts.figures import figures

LISTED = 20
"""Maximum claims in the list at the foot of a report: a list of more is in `report.claims`."""
CLAIM_CHARACTERS = 160
"""Maximum characters of a claim in that list."""


class CheckedClaim(Frozen):
    """One sentence of a report, and whether the steps that it cites support it."""

    id: str
    """`c1`, `c2` … for sentences with citations, as in `sources`; `u1`, `u2` … for the others."""
    text: str
    """The sentence, without its citations."""
    steps: tuple[str, ...] = ()
    """The cited steps."""
    evidence: Evidence
    """`supported`: all its figures, names and quotations are in the outputs it cites. `derived`: a figure is computed
    or converted from theirs. `unsupported`: something is not there. `uncited`: it cites no step."""
    missing: tuple[str, ...] = Field(default=())
    """The figures, names and quotations that are not there."""


class ConflictSide(Frozen):
    """What one output says."""

    steps: tuple[str, ...]
    figure: str
    text: str
    """The sentence or row with the figure."""


class OutputConflict(Frozen):
    """Outputs that say different things about the same."""

    about: str
    """Names and words that the sides share."""
    sides: tuple[ConflictSide, ...]


@dataclass(frozen=True)
class Checked:
    """What a check of a report against the outputs of its run found."""

    claims: tuple[ReportClaim, ...] = ()
    conflicts: tuple[Contradiction, ...] = ()
    """Conflicts between outputs."""
    unmentioned: tuple[Contradiction, ...] = ()
    """Those of which the report does not mention all figures."""


def citable_steps(state: State) -> list[StepState]:
    """Return every step that a report may cite: those with attempts, and stand-ins that pass on one output."""
    return [s for s in state.steps.values() if s.kind != "stand_in" or s.spans or s.has_one_output]


def citation_ends(state: State, text: str) -> list[int]:
    """Return the offset after the citations of each cited claim of a report: those of `c1`, `c2` …, in order."""
    return [span.end for span in cited_spans(text, {s.id for s in citable_steps(state)})]


def check_report_of(
    state: State, text: str, output_of: Callable[[StepState], Json], about: Callable[[Step], str]
) -> Checked:
    """Return the claims of the report of a run, checked, and the conflicts between the outputs of its steps."""
    last = state.steps[state.report_step or ""]
    citable = citable_steps(state)
    steps = [s for s in citable if s.status is Status.DONE and s.kind != "planner" and s is not last]
    given = {s.id: _given(state, s, output_of, about) for s in steps}
    found = contradictions(given[s.id] for s in steps if _is_leaf(s.step))
    said = _values(text) if found else set[float | str]()
    return Checked(
        claims=tuple(_claims(state, last, text, list(given.values()))),
        conflicts=tuple(found),
        unmentioned=tuple(each for each in found if not _is_mentioned(each, said)),
    )


def _given(state: State, s: StepState, output_of: Callable[[StepState], Json], about: Callable[[Step], str]) -> Given:
    return Given(
        step=s.id,
        about=_about(s.step, about),
        output=output_of(s),
        unfounded=unfounded_in(state, s),
    )


def _is_leaf(step: Step) -> bool:
    """Whether a step is not a partial report: it may read a part of an input."""
    return step.partial_of is None or step.part is not None


def _values(text: str) -> set[float | str]:
    """Return the values of all figures of a text."""
    return set(chain.from_iterable(figure.values or (figure.code,) for figure in figures(text)))


def _is_mentioned(conflict: Contradiction, said: set[float | str]) -> bool:
    return all(said & _values(side.figure) for side in conflict.sides)


def _claims(state: State, last: StepState, text: str, given: list[Given]) -> list[ReportClaim]:
    known = {s.id for s in citable_steps(state)}
    found = report_claims(text, known, given, state.goal)
    if not _reads_more(state, last.step):
        return found
    return [_of_inputs(claim, unfounded_in(state, last)) for claim in found]


def _reads_more(state: State, step: Step) -> bool:
    """Whether a step may have read more than outputs: inputs, or results of tools."""
    agent = state.agents.get(role_of(step))
    return bool(step.inputs) or not before_of(step) or (agent is not None and bool(agent.tools))


def _of_inputs(claim: ReportClaim, unfounded: Sequence[str]) -> ReportClaim:
    """Return a claim without a citation as its step checked it, against all that it read."""
    if claim.steps:
        return claim
    said = f" {keyed(claim.text)} "
    missing = tuple(each for each in unfounded if f" {keyed(each)} " in said)
    return ReportClaim(claim.id, claim.text, claim.start, claim.end, evidence="uncited", missing=missing)


def _about(step: Step, about: Callable[[Step], str]) -> str:
    return " ".join((about(step), *(step.inputs or ())))


def published(claims: Sequence[ReportClaim]) -> tuple[CheckedClaim, ...]:
    """Return claims as they are in a result."""
    return tuple(
        CheckedClaim(
            id=each.id,
            text=each.text,
            steps=each.steps,
            evidence=each.evidence,
            missing=each.missing,
        )
        for each in claims
    )


def published_conflicts(found: Sequence[Contradiction]) -> tuple[OutputConflict, ...]:
    """Return conflicts as they are in a result."""
    return tuple(
        OutputConflict(
            about=each.about,
            sides=tuple(ConflictSide(steps=side.steps, figure=side.figure, text=side.text) for side in each.sides),
        )
        for each in found
    )


def not_mentioned(found: Sequence[Contradiction]) -> list[str]:
    """Return a line for each conflict that the report does not mention, for its foot."""
    lines = [line(each) for each in found[:LISTED]]
    if len(found) > LISTED:
        lines.append(f"and {len(found) - LISTED:,} more")
    return lines


def not_found(claims: Sequence[ReportClaim]) -> list[str]:
    """Return a line for each claim that is not in its sources, for the foot of a report."""
    doubtful = [claim for claim in claims if is_doubtful(claim)]
    lines = [_line(claim) for claim in doubtful[:LISTED]]
    if len(doubtful) > LISTED:
        lines.append(f"and {len(doubtful) - LISTED:,} more")
    return lines


def _line(claim: ReportClaim) -> str:
    steps = f" [{', '.join(claim.steps)}]" if claim.steps else ""
    text = cut(" ".join(claim.text.split()), CLAIM_CHARACTERS)
    return f"{claim.id}: {listing(claim.missing)}, in: {text}{steps}"


def evidence_line(claims: Sequence[ReportClaim]) -> str:
    """Return how many claims are not in their sources, for people; empty if all are."""
    return count_line(claims)
