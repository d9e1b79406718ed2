"""The task of a run that exists, as it is now: its file as edited since, what its caller said, and what differs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from swarm.base.errors import AttemptError
from swarm.base.values import Json
from swarm.lifecycle.invalidate import Invalidation, reopening
from swarm.lifecycle.prepare import Options, Prepared, read_task
from swarm.record import events as e
from swarm.record.cache import differing
from swarm.record.changes import agent_changes, input_changes, task_changes, wording_changes
from swarm.record.folder import RunFolder
from swarm.record.state import State, Status
from swarm.scheduling.assign import Assigner
from swarm.spec.agent import Agent
from swarm.spec.files import public, recall_task
from swarm.spec.plan import PLAN_STEP
from swarm.spec.task import Task


def said(options: Options) -> dict[str, Json]:
    """Write down what a caller said beside the task, so that resuming needs none of it again. Never a secret."""
    found: dict[str, Json] = {
        "limits": dict(options.limits),
        "parameters": dict(options.parameters),
        "workers": options.workers,
    }
    if isinstance(options.plan, str | Path):
        found["plan"] = str(Path(options.plan).resolve())
    return {name: value for name, value in found.items() if value}


def as_said(first: e.RunStarted, options: Options) -> Options:
    """Put what the run's first caller said under what the present one says."""
    before = first.said
    return replace(
        options,
        limits={**cast("dict[str, Any]", before.get("limits", {})), **options.limits},
        parameters={**cast("dict[str, Any]", before.get("parameters", {})), **options.parameters},
        workers=options.workers or cast("int | None", before.get("workers")),
        plan=options.plan if options.plan is not None else cast("str | None", before.get("plan")),
    )


def present_task(state: State, folder: RunFolder, options: Options) -> Task:
    """Read the task of a run: from its file where that is still there, else as the journal holds it.

    Models that the task does not name are those the run chose; their keys come from the present environment.
    """
    assert state.first is not None
    source = Path(state.first.source)
    recorded = recall_task(
        state.task, source=str(folder.path / "task.yaml"), environ=options.environ, folder=Path(state.first.folder)
    )
    if not state.first.source or not source.is_file():
        return read_task(recorded, options)
    task = read_task(source, options)
    if task.models:
        return task
    return task.model_copy(update={"models": recorded.models, "references": recorded.references})


@dataclass(frozen=True)
class Differences:
    """How a run's task differs from what its journal tells, and what that means for its steps."""

    words: tuple[str, ...]
    """Each difference, for people."""
    reopening: Invalidation
    """The steps that are taken up again, for this or because they were cut off."""
    replanned: bool
    """Whether the steps that the task itself gives, or whether it gives any, have changed: they join anew."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to take up and nothing to note."""
        again = self.reopening
        return not (self.words or self.replanned or again.reopened or again.voided)


def differences(state: State, prepared: Prepared, assigner: Assigner, *, failed: bool) -> Differences:
    """Compare a run with its present task. `state` must know the present agents already."""
    assert state.started is not None
    started = state.started
    recorded = {a.name: a for a in started.agents}
    words = (
        *task_changes(started.task, public(prepared.task)),
        *agent_changes(recorded, {a.name: a for a in prepared.roles}),
        *wording_changes(started.wording, prepared.resources.wording),
        *input_changes(started.inputs, facts_of(prepared)),
    )
    given = tuple(s.step for s in state.steps.values() if s.by in ("task", "run"))
    if given != prepared.steps:
        return Differences(words, Invalidation((), tuple(state.steps)), replanned=True)
    return Differences(words, reopening(state, failed=failed, changed=_changed(state, assigner)), replanned=False)


def facts_of(prepared: Prepared) -> tuple[e.InputFact, ...]:
    """Note the inputs of a task as they are: never their content."""
    return tuple(
        e.InputFact(name=i.name, medium=i.medium, sha256=i.sha256, size=i.size, label=i.label)
        for i in prepared.resources.inputs
    )


def with_agents(events: Iterable[e.Stamped], agents: Iterable[Agent]) -> State:
    """Fold events, and let the present agents stand in place of those of the journal."""
    state, present = State(), {agent.name: agent for agent in agents}
    for event in events:
        if isinstance(event, e.RunStarted | e.RunResumed):
            state.apply(event)
            state.agents.update(present)
        else:
            state.apply(event)
    return state


def _changed(state: State, assigner: Assigner) -> list[str]:
    """Name the steps that are done and whose output is determined by something else than it was."""
    changed: list[str] = []
    for s in state.steps.values():
        if s.status is not Status.DONE or s.expanded or not s.key:
            continue
        if s.step.agent not in state.agents:
            changed.append(s.id)
            continue
        try:
            parts = assigner.attempt_of(s).parts
        except AttemptError:
            continue  # a limit that is used up says nothing about what is done
        # A later planner was told the steps of its day, which are more by now: that alone changes nothing.
        if set(differing(parts, s.parts)) - (set() if s.id == PLAN_STEP else {"brief"}):
            changed.append(s.id)
    return changed
