"""Runs read from their journals: of this process or another, finished or still running."""

import os
import platform
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from swarm.base.errors import Problem, RunNotFoundError, SwarmError
from swarm.base.private import read_private
from swarm.record.folder import LOCK

if TYPE_CHECKING:
    from swarm.base.values import Json
    from swarm.exports.formats import Export
    from swarm.record.folder import RunFolder
    from swarm.record.state import State
    from swarm.results.result import Result
    from swarm.scheduling.assign import Assigner

_OWNER = re.compile(r"process (\d+) on (.*)\n")
RUNNING, STOPPED = "running", "stopped"
"""Status of a run that has not ended: its process is alive, or not."""


@dataclass(frozen=True)
class ListedRun:
    """A run in a list of runs."""

    run: str
    status: str
    """How it ended, else `running`, `stopped` or `damaged`."""
    goal: str = ""
    steps: int = 0
    done: int = 0
    at: float = 0.0
    """Start time in seconds since 1970."""
    seconds: float = 0.0
    """Seconds it took, or has taken so far."""
    size: int = 0
    """Bytes of the files in its folder."""
    folder: str = ""
    problem: str = ""
    """The error in its journal."""


def state_of(folder: "RunFolder") -> "State":
    """Return the state of a run, folded from its journal."""
    from swarm.record.recorded import recorded

    return recorded(folder).state


def result_of(state: "State", folder: "RunFolder") -> "Result":
    """Return the result of a run as `swarm run` returned it, or would return it now."""
    from swarm.results.result import Result

    return Result.of(state, folder, assigner_of(state, folder))


def assigner_of(state: "State", folder: "RunFolder") -> "Assigner":
    """Return what reads the outputs of a recorded run."""
    from swarm.scheduling.assign import Assigner
    from swarm.scheduling.resources import RunResources
    from swarm.spec.task import Task

    parameters: dict[str, Any] = state.task.get("parameters") or {}
    return Assigner(state, RunResources(task=Task(goal="-", parameters=parameters)), folder.load)


def exported(folder: "RunFolder", step: str | None = None) -> "Export":
    """Return a recorded run, or one step of it, to be written. Raise `RunNotFoundError` if there is no such step."""
    from swarm.base.collection import no_collection

    with no_collection():
        return _exported(folder, step)


def _exported(folder: "RunFolder", step: str | None) -> "Export":
    from swarm.exports.formats import Export
    from swarm.record.recorded import recorded
    from swarm.results.result import Result

    found = recorded(folder)
    if step is not None and step not in found.state.steps:
        raise no_step(found.state, step)
    assigner = assigner_of(found.state, folder)
    chosen = None if step is None else found.state.steps[step]
    result = Result.of(found.state, folder, assigner)
    return Export(found, result, assigner, status_of(found.state, folder), chosen)


def no_step(state: "State", step: str) -> RunNotFoundError:
    """Return the error that a run has no such step."""
    from swarm.spec.yaml.explain import meant

    wrong = f"run {state.run} has no step `{step[:80]}`{meant(step, state.steps)}"
    return RunNotFoundError(Problem(f"{wrong}\nhint: list the steps with `swarm show {state.run}`"))


def run_object(folder: "RunFolder", state: "State | None" = None) -> "dict[str, Json]":
    """Return the object that `--json` prints for a recorded run."""
    state = state_of(folder) if state is None else state
    return {**object_of(result_of(state, folder)), "status": status_of(state, folder)}


def object_of(result: "Result") -> "dict[str, Json]":
    """Return the object that `--json` prints for a result, with absolute paths."""
    found = replace(result, folder=result.folder.resolve())
    return replace(found, media=tuple(replace(each, path=each.path.resolve()) for each in result.media)).to_dict()


def status_of(state: "State", folder: "RunFolder") -> str:
    """Return how a run ended, or whether it is `running` or `stopped`."""
    if state.finished is not None:
        return state.finished.status
    return RUNNING if is_owned(folder) else STOPPED


def is_owned(folder: "RunFolder") -> bool:
    """Return whether the process that last owned a run is alive.

    Reads the lock file only: taking the lock could refuse it to another process.
    """
    try:
        owner = _OWNER.match(read_private(folder.path, LOCK, 1000).decode("utf-8", "replace"))
    except OSError:
        return False
    if owner is None:
        return False
    if owner[2] != platform.node():
        return True
    try:
        os.kill(int(owner[1]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def row_of(folder: "RunFolder") -> ListedRun:
    """Return the row of a run in the list of runs."""
    from swarm.record.recorded import recorded

    where = str(folder.path)
    try:
        found = recorded(folder)
    except SwarmError as error:
        return ListedRun(folder.run, "damaged", size=folder.size(), folder=where, problem=str(error))
    state = found.state
    real = list(state.real_steps())
    return ListedRun(
        run=folder.run,
        status=status_of(state, folder),
        goal=" ".join(state.goal.split()),
        steps=len(real),
        done=sum(s.status == "done" for s in real),
        at=found.events[0].at,
        seconds=state.t,
        size=folder.size(),
        folder=where,
    )
