"""A recorded run with its task as it is now: the edited file, the earlier options, and what differs."""

import platform
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

from swarm.attempt.types import NOT_RERUN
from swarm.base.errors import AttemptError
from swarm.base.values import Json, text_digest
from swarm.base.version import __version__
from swarm.budget.prices import described
from swarm.endpoints.preflight import already_served
from swarm.executors.cached import known_outcomes
from swarm.lifecycle.inputs import kept_facts, with_kept
from swarm.lifecycle.invalidate import Invalidation, invalidation
from swarm.lifecycle.opened import OpenedTask, open_task
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import Prepared, prepare
from swarm.record import events as e
from swarm.record.cache import differing
from swarm.record.changes import agent_changes, input_changes, task_changes, wording_changes
from swarm.record.folder import RunFolder
from swarm.record.outcome import Outcome
from swarm.record.recorded import Recorded
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.result import plan_of
from swarm.scheduling.assign import Assigner
from swarm.spec.agent import Agent
from swarm.spec.files import public, recall_task
from swarm.spec.plan import PLAN_STEP, Step, before_of, chosen, reading_items_only
from swarm.spec.task import Task


@dataclass(frozen=True)
class Differences:
    """Differences between a recorded task and the present one, and their effect on the steps."""

    words: tuple[str, ...]
    """Each difference, for people."""
    invalidation: Invalidation
    """The steps that are not kept, because of a difference or because something ended them."""
    replanned: bool
    """Whether the first steps have changed: then all steps are replaced."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to rerun and nothing to note."""
        found = self.invalidation
        return not (self.words or self.replanned or found.reopened or found.voided)


@dataclass(frozen=True, kw_only=True)
class Reopened:
    """A recorded run that can be resumed. Its folder is owned from the read of its journal on."""

    folder: RunFolder
    recorded: Recorded
    options: Options
    """Options of the first start, overridden by those of now."""
    prepared: Prepared
    differences: Differences
    known: Mapping[str, Outcome]
    """Outcomes of its finished steps, by key."""
    served: frozenset[str]
    """Aliases of models that have answered and are unchanged."""

    @property
    def has_plan(self) -> bool:
        """Whether the run has a plan that will run as it is."""
        found = self.differences.invalidation
        is_made_again = self.differences.replanned or PLAN_STEP in {*found.reopened, *found.voided}
        return plan_of(self.recorded.state) is not None and not is_made_again


async def reopened(
    recorded: Recorded,
    folder: RunFolder,
    options: Options,
    *,
    failed: bool = False,
    prepared: Prepared | None = None,
) -> Reopened:
    """Prepare the task of a recorded run as it is now, and compare it with the run. Raise `InputError`.

    The caller owns the folder. With `failed`, failed steps run again. With `prepared`, the task is
    not read again.
    """
    latest = recorded.state.started or recorded.first
    options = with_kept(with_earlier(recorded.first, options), latest, folder)
    if prepared is None:
        earlier = _recalled(recorded, folder, options)
        prepared = await prepare(_open_again(recorded, earlier, options), replace(options, models=earlier.models))
    prepared.toolbox.recall(facts_of_tools(recorded.events))
    state = with_agents(recorded.events, prepared.agents)
    assigner = Assigner(state, prepared.resources, folder.load)
    models = cast("dict[str, Json]", public(prepared.task).get("models", {}))
    return Reopened(
        folder=folder,
        recorded=recorded,
        options=options,
        prepared=prepared,
        differences=differences(state, prepared, assigner, failed=failed),
        known=known_outcomes(recorded.events, folder.load),
        served=frozenset(already_served(recorded.events, models)),
    )


# The first event of a stretch


def run_started(run: str, prepared: Prepared, options: Options, contexts: Mapping[str, int]) -> e.RunStarted:
    """Return the first event of a run. `contexts` are the sizes that earlier runs learnt."""
    return e.RunStarted(
        run=run,
        trace=secrets.token_hex(16),
        versions=versions(),
        prices=described(prepared.routes),
        task=public(prepared.task),
        agents=tuple(prepared.agents.values()),
        wording=dict(prepared.resources.wording),
        inputs=facts_of(prepared),
        unread=prepared.files.unread,
        kept=kept_facts(prepared.files.loaded),
        folder=str(prepared.task.folder),
        source=prepared.source,
        said=kept_options(options, prepared),
        tools=prepared.toolbox.facts,
        contexts=dict(contexts),
    )


def run_resumed(prepared: Prepared, differs: Differences) -> e.RunResumed:
    """Return the event with which a run resumes."""
    return e.RunResumed(
        task=public(prepared.task),
        agents=tuple(prepared.agents.values()),
        wording=dict(prepared.resources.wording),
        inputs=facts_of(prepared),
        unread=prepared.files.unread,
        kept=kept_facts(prepared.files.loaded),
        versions=versions(),
        prices=described(prepared.routes),
        tools=prepared.toolbox.facts,
        changed=differs.words,
        reopened=differs.invalidation.reopened,
        voided=differs.invalidation.voided,
    )


def versions() -> dict[str, str]:
    """Return the versions of this package and of Python."""
    return {"swarm": __version__, "python": platform.python_version()}


# Options


def kept_options(options: Options, prepared: Prepared) -> dict[str, Json]:
    """Return the options that a resumed run needs again, for its first event. Never a secret."""
    found: dict[str, Json] = {
        "limits": dict(options.limits),
        "parameters": dict(options.parameters),
        "workers": options.workers,
        "strict": options.strict,
        "fetch": options.fetch,
        "yes": options.approve is True,
    }
    if options.inputs:
        found["inputs"] = {
            "folder": str(Path(options.inputs_folder).resolve()),
            "paths": [str(p) for p in options.inputs],
        }
    if isinstance(options.plan, str | Path):
        found["plan"] = str(Path(options.plan).resolve())
    outputs = prepared.files.outputs
    if options.outputs is not None or any(each.is_given for each in outputs):
        found["outputs"] = [str(each.path) for each in outputs]
    kept = {name: value for name, value in found.items() if value}
    if options.cache_folder is not None:
        return kept | {"cache": str(options.cache_folder.resolve())}
    return kept if options.uses_cache else kept | {"cache": False}


def with_earlier(first: e.RunStarted, options: Options) -> Options:
    """Return options completed by those that the run was started with."""
    earlier = first.said
    return replace(
        options,
        limits={**cast("dict[str, Any]", earlier.get("limits", {})), **options.limits},
        parameters={**cast("dict[str, Any]", earlier.get("parameters", {})), **options.parameters},
        workers=options.workers or cast("Any", earlier.get("workers")),
        approve=options.approve if options.approve is True else bool(earlier.get("yes")) or options.approve,
        strict=options.strict or bool(earlier.get("strict")),
        fetch=options.fetch or bool(earlier.get("fetch")),
        may_replace=True,
        **_earlier_inputs(cast("dict[str, Any]", earlier.get("inputs") or {}), options),
        plan=options.plan if options.plan is not None else cast("str | None", earlier.get("plan")),
        outputs=options.outputs if options.outputs is not None else cast("list[str] | None", earlier.get("outputs")),
        cache=options.cache if options.cache is not None else cast("bool | str | None", earlier.get("cache")),
    )


def _earlier_inputs(earlier: dict[str, Any], options: Options) -> dict[str, Any]:
    """Return the options about inputs that a run was started with, unless there are new ones."""
    if options.inputs or not earlier:
        return {}
    return {"inputs": tuple(map(str, earlier["paths"])), "inputs_folder": str(earlier["folder"])}


# The task


def _recalled(recorded: Recorded, folder: RunFolder, options: Options) -> Task:
    """Return the task of a run from its journal."""
    return recall_task(
        recorded.state.task,
        source=str(folder.path / "task.yaml"),
        environ=options.environ,
        folder=Path(recorded.first.folder),
    )


def _open_again(recorded: Recorded, task: Task, options: Options) -> OpenedTask:
    """Read the task of a run from its file if that still exists; else return the one from the journal.

    Models that the task does not name are those that the run chose; their keys come from the
    present environment.
    """
    first = recorded.first
    source = Path(first.source)
    if not first.source or not source.is_file():
        return open_task(task, options)
    opened = open_task(source, options)
    if opened.task.models:
        return opened
    update = {"models": task.models, "references": task.references}
    return replace(opened, task=opened.task.model_copy(update=update))


# Differences


def differences(state: State, prepared: Prepared, assigner: Assigner, *, failed: bool) -> Differences:
    """Compare a run with its task as it is now. `state` has the present agents already."""
    assert state.started is not None
    started = state.started
    recorded = {agent.name: agent for agent in started.agents}
    words = (
        *task_changes(started.task, public(prepared.task)),
        *agent_changes(recorded, prepared.agents),
        *wording_changes(started.wording, prepared.resources.wording),
        *input_changes(started.inputs, facts_of(prepared)),
    )
    first_steps = tuple(s.step for s in state.steps.values() if s.by in ("task", "run"))
    plans = started.task.get("plan"), public(prepared.task).get("plan")
    if first_steps != prepared.steps and not (plans[0] == plans[1] and _as_now(first_steps) == prepared.steps):
        return Differences(words, Invalidation((), tuple(state.steps)), replanned=True)
    names = tuple(each.name for each in prepared.resources.inputs)
    changed = [*_relisted(state, names), *_changed_steps(state, assigner)]
    new_limits = started.task.get("limits") != public(prepared.task).get("limits")
    found = invalidation(state, failed=failed, changed=changed, new_limits=new_limits)
    return Differences(words, found, replanned=False)


def _as_now(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return recorded steps as the linter leaves them now, if the plan that was written is the same."""
    return tuple(reading_items_only(step) for step in steps)


def facts_of(prepared: Prepared) -> tuple[e.InputFact, ...]:
    """Return the inputs of a task as facts: their hashes, never their content."""
    return tuple(
        e.InputFact(
            name=i.name,
            medium=i.medium,
            sha256=i.sha256,
            size=i.size,
            label=i.label,
            reader=i.reader,
            text_sha256=i.text_sha256,
            path=i.path,
        )
        for i in prepared.resources.inputs
    )


def facts_of_tools(events: Iterable[e.Stamped]) -> tuple[e.ToolFact, ...]:
    """Return the tools of the last stretch of a run: they stand for those that are not open yet."""
    stretches = [event for event in events if isinstance(event, e.RunStarted | e.RunResumed)]
    return stretches[-1].tools if stretches else ()


def with_agents(events: Iterable[e.Stamped], agents: Mapping[str, Agent]) -> State:
    """Fold events, with the present agents instead of those that each stretch began with."""
    state = State()
    for event in events:
        state.apply(event)
        if isinstance(event, e.RunStarted | e.RunResumed):
            state.replace_agents(agents)
    return state


def _changed_steps(state: State, assigner: Assigner) -> list[str]:
    """Return the finished steps whose output depends on something that has changed."""
    changed = _stale(state, assigner)
    for s in state.steps.values():
        if s.status is not Status.DONE or s.kind == "stand_in" or not s.key:
            continue
        if s.step.agent not in state.agents:
            changed.append(s.id)
            continue
        try:
            parts = assigner.attempt_of(s).parts
        except AttemptError:
            continue  # A limit that is used up says nothing about a finished step.
        # A later planner received the steps of its time, which are more by now: that alone is no change.
        ignored = NOT_RERUN if s.id == PLAN_STEP else NOT_RERUN | {"brief"}
        if set(differing(parts, s.parts)) - ignored:
            changed.append(s.id)
    return changed


def _relisted(state: State, names: tuple[str, ...]) -> list[str]:
    """Return the steps that were expanded over the inputs of their time: `names` are those of now."""
    found: list[str] = []
    for s in state.steps.values():
        then = _inputs_then(s, state)
        now = names if s.step.inputs is None else chosen(s.step.inputs, names)
        if then is not None and then != set(now):
            found.append(s.id)
    return found


def _inputs_then(s: StepState, state: State) -> set[str] | None:
    """Return the inputs over which a step was expanded: its list, or the shares in which it read them."""
    if not s.has_children_of_inputs:
        return None
    children = [state.steps[name].step for name in s.children]
    if s.step.each == "inputs":
        return {str(child.item) for child in children}
    reads_inputs = s.step.inputs is not None or not (before_of(s.step) or s.step.instance_of)
    if s.step.each is not None or not reads_inputs:
        return None
    return set(chain.from_iterable(child.inputs or () for child in children))


def _stale(state: State, assigner: Assigner) -> list[str]:
    """Return the steps whose parts are those of another text than there is now: the text must be cut again."""
    digests: dict[tuple[str, str], str] = {}
    stale: dict[str, None] = {}
    for s in state.steps.values():
        part = s.step.part
        if part is None or s.by in stale:
            continue
        text = (part.kind, part.name)
        if text not in digests:
            digests[text] = text_digest(assigner.text_of(*text) or "")
        if digests[text] != part.whole:
            stale[s.by] = None
    return list(stale)
