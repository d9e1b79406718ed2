"""What a run gave, for programs: its status, its report, its figures; and the files a task asks for."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic_core import to_json

from swarm.base.errors import TaskError
from swarm.base.files import write_file
from swarm.base.values import Json
from swarm.record.folder import RunFolder
from swarm.record.state import State, Status
from swarm.results.measure import Costs, Parallelism, cost, measure
from swarm.results.report import Report, make_report
from swarm.scheduling.assign import Assigner
from swarm.spec.agent import Agent
from swarm.spec.chat import Usage
from swarm.spec.plan import PLAN_STEP, Plan
from swarm.spec.task import Task

RunStatus = Literal["done", "partial", "failed", "limit", "cancelled"]
EXIT_CODES: dict[RunStatus, int] = {"done": 0, "failed": 1, "partial": 3, "limit": 4, "cancelled": 130}
"""What the command exits with; see `swarm --help`."""


@dataclass(frozen=True)
class StepError:
    """A step that did not succeed, and why."""

    step: str
    kind: str
    message: str


@dataclass(frozen=True)
class StepMedia:
    """What a step's answer has beside words: a sound, as a file."""

    step: str
    medium: str
    mime: str
    sha256: str
    size: int
    """Bytes."""
    path: Path


@dataclass(frozen=True)
class Result:
    """What a run gave."""

    run: str
    status: RunStatus
    report: Report | None
    """None where there is no report: see `errors`."""
    errors: tuple[StepError, ...]
    usage: Usage
    costs: Costs
    """The same by step, agent and model, with what it cost."""
    parallelism: Parallelism
    steps: dict[str, int]
    """How many in all, and by how they ended."""
    because: str
    """Why the run stopped early, if it did."""
    folder: Path
    """The run's folder."""
    media: tuple[StepMedia, ...] = ()
    """What answers have beside words, in plan order; the files are in the run's folder."""

    @classmethod
    def of(cls, state: State, folder: RunFolder, assigner: Assigner) -> "Result":
        """Read the result off a state."""
        finished = state.finished
        report = make_report(state, assigner.output_of, assigner.about)
        return cls(
            run=state.run,
            status="cancelled" if finished is None else finished.status,
            report=report,
            errors=tuple(
                StepError(s.id, s.error.kind, s.error.message)
                for s in state.steps.values()
                if s.error is not None and s.over and s.status is not Status.DONE
            ),
            usage=state.usage,
            costs=cost(state),
            parallelism=measure(state),
            steps=counts(state),
            because="" if finished is None else finished.because,
            folder=folder.path,
            media=tuple(
                StepMedia(s.id, each.medium, each.mime, each.sha256, each.size, folder.path / "artifacts" / each.sha256)
                for s in state.real_steps()
                for each in s.outcome.media
            ),
        )

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        if any(error.kind == "bug" for error in self.errors) and self.report is None:
            return 70
        return EXIT_CODES[self.status]

    def to_dict(self) -> dict[str, Json]:
        """Give it as the one JSON object of `swarm run --json`."""
        report = None if self.report is None else {"text": self.report.text, "sources": self.report.sources}
        return {
            "run": self.run,
            "status": self.status,
            "because": self.because,
            "report": report,
            "steps": self.steps,
            "usage": {**self.usage.model_dump(include=USAGE_FIELDS), "usd": self.usage.cost},
            "costs": self.costs.model_dump(mode="json", exclude={"run"}),
            "parallelism": self.parallelism.model_dump(mode="json"),
            "errors": [{"step": each.step, "kind": each.kind, "message": each.message} for each in self.errors],
            "media": [{**asdict(each), "path": str(each.path)} for each in self.media],
            "folder": str(self.folder),
        }


USAGE_FIELDS = {"calls", "input_tokens", "output_tokens", "cached_tokens", "estimated"}


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
    """Count the steps that are one attempt's work, by how they ended."""
    real = list(state.real_steps())
    ended = {status: sum(s.status is status for s in real) for status in Status}
    return {
        "total": len(real),
        "done": ended[Status.DONE],
        "failed": ended[Status.FAILED] + ended[Status.LIMITED] + ended[Status.CANCELLED],
        "skipped": ended[Status.SKIPPED],
        "cached": sum(s.outcome.cached for s in real),
    }


def write_outputs(result: Result, task: Task) -> None:
    """Write the report into the run's folder, and to the files of the task's `output:`."""
    report = result.report
    if report is None:
        return
    text = report.text.encode("utf-8", "replace")
    write_file(result.folder / "report.md", text)
    for name in (task.output,) if isinstance(task.output, str) else task.output:
        content = to_json(result.to_dict(), indent=2) + b"\n" if name.endswith(".json") else text
        path = task.folder / name
        try:
            write_file(path, content, mode=0o644)
        except OSError as error:
            message = f"output: cannot write {path}: {error.strerror}; the report is in {result.folder / 'report.md'}"
            raise TaskError(message) from error
