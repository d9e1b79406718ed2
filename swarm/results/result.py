"""The result of a run for programs: status, report and figures."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from swarm.base.showing import Displayed
from swarm.base.values import Json
from swarm.record.folder import RunFolder
from swarm.record.outcome import Opened
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.results.left_out import LeftOut, left_out
from swarm.results.measure import Costs, Parallelism, cost, measure
from swarm.results.provenance import Provenance, provenance_of
from swarm.results.report import Report, make_report
from swarm.results.step_outputs import Rows, StepOutputs
from swarm.results.table import Table, table_of
from swarm.scheduling.assign import Assigner
from swarm.scheduling.checks import Judged, judged
from swarm.scheduling.ending import RunStatus
from swarm.spec.agent import Agent
from swarm.spec.chat import Usage
from swarm.spec.plan import PLAN_STEP, Plan

EXIT_CODES: dict[RunStatus, int] = {"done": 0, "failed": 1, "partial": 3, "limit": 4, "cancelled": 130}
"""Exit codes of the command, by status; see `swarm --help`."""


@dataclass(frozen=True)
class StepError:
    """A step that did not succeed, and why."""

    step: str
    kind: str
    message: str


@dataclass(frozen=True)
class StepMedia:
    """A file of a step: media of its answer, for example audio, or what its tools left, for example a chart."""

    step: str
    medium: str
    mime: str
    sha256: str
    size: int
    """Size in bytes."""
    path: Path
    name: str = ""
    """Name that the tool gave it; empty for media of an answer."""


@dataclass(frozen=True)
class Result(Displayed):
    """The result of a run."""

    run: str
    status: RunStatus
    report: Report | None
    """None without a report: see `errors`."""
    errors: tuple[StepError, ...]
    usage: Usage
    costs: Costs
    """Usage by step, agent and model."""
    parallelism: Parallelism
    steps: dict[str, int]
    """Number of steps, total and by outcome."""
    because: str
    """Reason why the run stopped early; empty if it did not."""
    folder: Path
    """The run's folder."""
    checks: tuple[Judged, ...] = ()
    """Verdicts on the steps with `check`, in plan order. A run with contradicted work is at best `partial`."""
    left_out: tuple[LeftOut, ...] = ()
    """Inputs and outputs that were not read completely. Such a run is at best `partial`."""
    opened: tuple[tuple[str, Opened], ...] = ()
    """Long inputs and outputs that steps opened, with what each step saw of them, in plan order."""
    media: tuple[StepMedia, ...] = ()
    """Media in answers, in plan order; the files are in the run's folder."""
    merged: Table | None = None
    """Table of the run with the steps behind its rows, conflicts and empty cells; None without one."""
    outputs: Mapping[str, Json] = field(default_factory=dict[str, Json], compare=False, repr=False)
    """Output of each finished step, by id; read when you look it up."""
    unwritten: tuple[str, ...] = ()
    """Messages about files of `output:` that could not be written. The report is in the run's folder."""

    @classmethod
    def of(
        cls,
        state: State,
        folder: RunFolder,
        assigner: Assigner,
        *,
        note: Callable[[Exception], object] | None = None,
    ) -> "Result":
        """Return the result of the run with this state.

        With `note`, an internal error in the measurement of parallelism goes there and does not end
        the run: its figures are those of a run without steps.
        """
        finished = state.finished
        table = table_of(state, assigner)
        report = make_report(state, assigner.output_of, assigner.about, table, note=note)
        return cls(
            run=state.run,
            status="cancelled" if finished is None else finished.status,
            report=report,
            errors=_errors(state),
            usage=state.usage,
            costs=cost(state),
            parallelism=_measured(state, note),
            steps=counts(state),
            because="" if finished is None else finished.because,
            folder=folder.path,
            checks=judged(state),
            left_out=left_out(state),
            opened=tuple(_opened(state)),
            media=_media(state, folder),
            merged=table,
            outputs=StepOutputs(state, assigner.output_of),
        )

    def __repr__(self) -> str:
        usage = self.usage
        paid = f", ${usage.cost:,.4f}" if usage.cost else ""
        steps = f"{self.steps['done']:,} of {self.steps['total']:,} steps done"
        return f"<Result of run {self.run}: {self.status}, {steps}, {usage.tokens:,} tokens{paid}>"

    @property
    def text(self) -> str:
        """Text of the report. Empty if there is no report."""
        return "" if self.report is None else self.report.text

    @property
    def table(self) -> Rows | None:
        """Rows of the table of the run, each by field; None without one. `to_pandas()` makes a data frame."""
        return None if self.merged is None else Rows.of(self.merged.rows, self.merged.fields)

    @property
    def exit_code(self) -> int:
        """Exit code of the command."""
        if any(error.kind == "bug" for error in self.errors) and self.report is None:
            return 70
        if self.unwritten and self.status == "done":
            return EXIT_CODES["partial"]
        return EXIT_CODES[self.status]

    def provenance(self, claim: str) -> Provenance:
        """Return the steps behind a claim of the report (`c7`, or `7`), and the places in their inputs.

        Raise `RunNotFoundError` if there is no such claim.
        """
        return provenance_of(RunFolder(self.folder), claim)

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON object that `swarm run --json` prints."""
        shown = {"text", "sources", "claims", "conflicts"}
        report = None if self.report is None else self.report.model_dump(mode="json", include=shown)
        if report is not None and self.merged is not None:
            report |= {"table": list(self.merged.rows), "table_notes": self.merged.notes()}
        return {
            "run": self.run,
            "status": self.status,
            "because": self.because,
            "report": report,
            "steps": self.steps,
            "usage": _usage(self.usage),
            "costs": self.costs.model_dump(mode="json", exclude={"run"}),
            "parallelism": self.parallelism.model_dump(mode="json"),
            "errors": [{"step": each.step, "kind": each.kind, "message": each.message} for each in self.errors],
            "checks": [asdict(each) for each in self.checks],
            "left_out": [each.model_dump() for each in self.left_out],
            "opened": [{"step": step, **each.model_dump(mode="json")} for step, each in self.opened],
            "outputs": self.outputs.to_dict() if isinstance(self.outputs, StepOutputs) else dict(self.outputs),
            "media": [{**asdict(each), "path": str(each.path)} for each in self.media],
            "unwritten": list(self.unwritten),
            "folder": str(self.folder),
        }


def _opened(state: State) -> Iterator[tuple[str, Opened]]:
    for s in state.real_steps():
        yield from ((s.id, each) for each in s.outcome.opened)


def _measured(state: State, note: Callable[[Exception], object] | None) -> Parallelism:
    try:
        return measure(state)
    except Exception as error:
        if note is None:
            raise
        note(error)  # a report that was paid for must not be lost to a figure about it
        return measure(State())


def _errors(state: State) -> tuple[StepError, ...]:
    """Return the errors of the steps that ended without an output."""
    ended = (s for s in state.steps.values() if s.over and s.status is not Status.DONE)
    return tuple(StepError(s.id, s.error.kind, s.error.message) for s in ended if s.error is not None)


def _media(state: State, folder: RunFolder) -> tuple[StepMedia, ...]:
    found: list[StepMedia] = []
    for s in state.real_steps():
        for each in s.outcome.media:
            path = folder.path / "artifacts" / each.sha256
            found.append(StepMedia(s.id, each.medium, each.mime, each.sha256, each.size, path, each.name))
    return tuple(found)


def _usage(usage: Usage) -> dict[str, Json]:
    """Return what was answered, and what may have been billed for calls without an answer."""
    unanswered = {"tokens": usage.unanswered_tokens, "usd": usage.unanswered_cost}
    return {**usage.model_dump(include=USAGE_FIELDS), "usd": usage.cost, "unanswered": unanswered}


USAGE_FIELDS = {"calls", "input_tokens", "output_tokens", "cached_tokens", "estimated"}
"""Fields of a usage in that JSON object, apart from `usd`."""


def plan_of(state: State) -> Plan | None:
    """Return the first plan of a run with the agents that it brought, or None if there is none yet.

    Steps of later waves are not part of it: the step that planned them is, and plans them again.
    """
    steps = tuple(s.step for s in state.steps.values() if s.by in ("task", PLAN_STEP))
    if not steps:
        return None
    planner = state.steps.get(PLAN_STEP)
    return Plan(agents=_given_agents(state) if planner is None else planner.outcome.agents, steps=steps)


def _given_agents(state: State) -> tuple[Agent, ...]:
    """Return the agents that the task's own plan brings."""
    plan = cast("dict[str, Any]", state.task.get("plan") or {})
    names = [str(agent["name"]) for agent in plan.get("agents", ())]
    return tuple(state.agents[name] for name in names if name in state.agents)


def counts(state: State) -> dict[str, int]:
    """Return the number of real steps, total and by outcome."""
    real = list(state.real_steps())
    ended = {status: sum(s.status is status for s in real) for status in Status}
    return {
        "total": len(real),
        "done": ended[Status.DONE],
        "failed": ended[Status.FAILED] + ended[Status.LIMITED] + ended[Status.CANCELLED],
        "skipped": ended[Status.SKIPPED],
        "cached": sum(s.outcome.cached for s in real),
    }
