"""The report of a run and its provenance: the steps behind each claim, missing steps, what was left out."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain

from pydantic import Field
from pydantic_core import to_json

from swarm.attempt.citations import claims
from swarm.base.text import listing
from swarm.base.values import Frozen, Json
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.claims import (
    Checked,
    CheckedClaim,
    OutputConflict,
    check_report_of,
    citable_steps,
    evidence_line,
    not_found,
    not_mentioned,
    published,
    published_conflicts,
)
from swarm.results.left_out import left_out, left_out_line, not_read_line
from swarm.results.table import Table, report_body
from swarm.scheduling.titles import title_of
from swarm.spec.plan import Step, before_of, role_of
from swarm.spec.rows import Row

NAMED = 5
"""Steps that a line names which have no output for the same reason. The others are counted."""
REASON_CHARACTERS = 300
"""Maximum characters of the reason why a step has no output: a report is not a log."""


class Report(Frozen):
    """The report of a run."""

    text: str
    """Markdown with lists of sources and gaps at its end; JSON if the output of the last step is a
    value."""
    sources: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Steps cited by each claim, in the order of the text."""
    claims: tuple[CheckedClaim, ...] = ()
    """Its sentences, each with the steps behind it and whether they support it."""
    not_found: str = ""
    """How many claims are not in their sources, for people: `2 of 41 claims not found in their sources`. Empty if all
    are."""
    conflicts: tuple[OutputConflict, ...] = ()
    """Outputs of the run that say different things about the same."""
    value: Json = None
    """Output of the last step, unchanged: a text or a JSON value."""
    table: tuple[Row, ...] | None = None
    """Rows of the table of the run, if a step gives one."""

    def _repr_html_(self) -> str:
        """Return the report for a notebook: as text, with every character escaped."""
        text = self.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f'<pre style="white-space: pre-wrap">{text}</pre>'


def make_report(
    state: State,
    output_of: Callable[[StepState], Json],
    about: Callable[[Step], str],
    table: Table | None = None,
    *,
    note: Callable[[Exception], object] | None = None,
) -> Report | None:
    """Return the report of a run, or None without one.

    `about` returns what a step was asked, in one line. `table` is the table of the run. With `note`, an internal error
    in the check of its claims goes there, and the report has no claims.
    """
    last = state.steps.get(state.report_step or "")
    if last is None or last.status is not Status.DONE:
        return None
    value, rows = output_of(last), _rows(table)
    body = report_body(last, value, table)
    if body is None:
        return Report(text=to_json(value, indent=2).decode(), value=value, table=rows)
    steps = citable_steps(state)
    sources = claims(body, {s.id for s in steps})
    checked = _without_uncited(last, _checked(state, body, output_of, about, note))
    cited = set(chain.from_iterable(sources.values()))
    blocks = (
        body.strip(),
        _listed("Sources", [_source(state, s, about(s.step)) for s in steps if s.id in cited]),
        _listed("Conflicts between sources", not_mentioned(checked.unmentioned)),
        _listed("Not found in sources", not_found(checked.claims)),
        _listed("Missing", _missing(s for s in steps if _is_missing(s))),
        _listed("Left out", [*_left_out(state, steps), *_not_cited(state, last, cited)]),
    )
    text = "\n\n".join(block for block in blocks if block)
    return Report(
        text=text + "\n",
        sources=sources,
        claims=published(checked.claims),
        not_found=evidence_line(checked.claims),
        conflicts=published_conflicts(checked.conflicts),
        value=value,
        table=rows,
    )


def _without_uncited(last: StepState, checked: Checked) -> Checked:
    """Return the claims of a report; of a merged text only the cited ones, since its headings cite the sources."""
    if last.step.merge is None:
        return checked
    return replace(checked, claims=tuple(each for each in checked.claims if each.steps))


def _checked(
    state: State,
    text: str,
    output_of: Callable[[StepState], Json],
    about: Callable[[Step], str],
    note: Callable[[Exception], object] | None,
) -> Checked:
    try:
        return check_report_of(state, text, output_of, about)
    except Exception as error:
        if note is None:
            raise
        note(error)  # a report that was paid for must not be lost to the check of its claims
        return Checked()


def _rows(table: Table | None) -> tuple[Row, ...] | None:
    return None if table is None else table.rows


def _listed(title: str, lines: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _source(state: State, s: StepState, asked: str) -> str:
    parent = state.steps.get(s.step.partial_of or "")
    if parent is not None and parent.combine not in ("checked", "majority"):
        return f"[{s.id}] {_share(state, s.step)}"
    read = s.step.inputs or ()
    files = listing(read, 3) if read else ""
    if files and s.step.instance_of is not None:  # all instances were asked the same
        return f"[{s.id}] {files}"
    known = [part for part in (files, asked) if part]
    return f"[{s.id}] {': '.join(known) or role_of(s.step)}"


def _share(state: State, step: Step) -> str:
    """Return what a step read that did a share of another one's work: its prompt says only how."""
    title = title_of(state, step)
    return f"part of {step.partial_of}: {title}" if title else f"part of {step.partial_of}"


def _is_missing(s: StepState) -> bool:
    return s.over and s.status is not Status.DONE


def _missing(steps: Iterable[StepState]) -> list[str]:
    """Return a line for each reason why steps have no output, with the first of the steps and their number."""
    by_reason: dict[str, list[str]] = {}
    for s in steps:
        by_reason.setdefault(f"{s.status}: {_reason(s)}".rstrip(": "), []).append(s.id)
    return [f"{_named(names)} {reason}" for reason, names in by_reason.items()]


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"[{', '.join(names[:NAMED])}]{more}"


def _reason(s: StepState) -> str:
    """Return why a step has no output, in one line."""
    why = s.because
    if s.status is not Status.SKIPPED:
        why = "" if s.error is None else s.error.message
    return " ".join(why.split())[:REASON_CHARACTERS]


def _not_cited(state: State, last: StepState, cited: set[str]) -> list[str]:
    """Return how many outputs a truncated report does not cite, with their names: what they say may be missing."""
    if not last.outcome.is_cut:
        return []
    read = list(chain.from_iterable(_instances(state, name) for name in before_of(last.step)))
    missing = [name for name in read if name not in cited]
    if not missing:
        return []
    return [f"{len(missing):,} of {len(read):,} outputs are not cited in the truncated report: {_named(missing)}"]


def _instances(state: State, name: str) -> list[str]:
    """Return the steps with an output that a need on a step reads: of a list, its instances."""
    s = state.steps[name]
    is_list = s.kind == "stand_in" and s.combine == "list"
    return [each for each in (s.children if is_list else [name]) if state.steps[each].status is Status.DONE]


def _left_out(state: State, steps: list[StepState]) -> list[str]:
    """Return what was left out: one line for all inputs and outputs that were not read, and other gaps by step."""
    found = left_out(state)
    lines = [left_out_line(each for each in found if not each.because), not_read_line(found)]
    for s in steps:
        lines += [f"[{s.id}] {what}" for what in s.outcome.gaps]
    return list(filter(None, lines))
