"""The executor of a run: its wrappers, and their order. The tools that are open during it."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from swarm.attempt.permits import Permits
from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.errors import ToolError
from swarm.executors.approvals import Approvals
from swarm.executors.budgeted import Budgeted
from swarm.executors.cached import Cached
from swarm.executors.checking import Check, Checking
from swarm.executors.filling import Filling
from swarm.executors.local import Local
from swarm.executors.merging import Merging
from swarm.executors.one_agent import OneAgent
from swarm.executors.pages import Pages
from swarm.executors.salvaging import Salvaging
from swarm.lifecycle.prepare import Prepared
from swarm.record.cache import Cache
from swarm.record.folder import RunFolder
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.spec.agent import is_function
from swarm.tools import Opening, Toolbox

EXECUTOR_ORDER: tuple[type[Executor], ...] = (Salvaging, OneAgent, Cached, Pages, Merging, Checking, Filling, Local)
"""Executors of a run, outermost first. The list in ARCHITECTURE.md gives the reason for each place."""


@dataclass(frozen=True, kw_only=True)
class ExecutorWiring:
    """Everything that the executors of a run need."""

    budgeted: Budgeted
    tools: Toolbox
    approvals: Approvals
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])
    """Python functions that check outputs, by name."""
    state: State
    folder: RunFolder
    clean: Callable[[str], str]
    """Removes secrets from a text."""
    known: Mapping[str, Outcome]
    """Outcomes of earlier stretches of the run, by key."""
    cache: Cache | None
    """Cache of the project; None with `--no-cache`."""
    advised_goal: str | None
    """Goal of a task with `swarm: auto`, whose first plan may become one agent's work; None for other tasks."""


async def open_tools(prepared: Prepared, folder: RunFolder, stack: AsyncExitStack, warn: Callable[[str], None]) -> None:
    """Open the kits of a run until the stack closes. Raise `TaskError`: nothing was spent then."""
    await open_box(prepared.toolbox, folder.path, prepared.redactor.clean, stack, warn)


async def open_box(
    box: Toolbox, folder: Path, clean: Callable[[str], str], stack: AsyncExitStack, warn: Callable[[str], None]
) -> None:
    """Open the kits of a toolbox until the stack closes. Raise `TaskError`."""
    if not box.kits:
        return
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    stack.push_async_callback(box.close)
    await box.open(Opening(folder, tasks, clean, warn))


@dataclass(frozen=True)
class RunStorage:
    """The files of a run that its tools may use."""

    folder: RunFolder
    redacted: Callable[[str], str]

    def clean(self, text: str) -> str:
        """Return a text without secrets."""
        return self.redacted(text)

    def content(self, artifact: str) -> bytes:
        """Return the bytes of an artifact. Raise `JournalError`."""
        return self.folder.content(artifact)

    def scratch(self, step: str) -> Path:
        """Return the empty scratch folder of a step. Raise `ToolError` if it cannot be made."""
        try:
            return self.folder.scratch(step)
        except OSError as error:
            raise ToolError(f"there is no scratch folder: {error.strerror}") from error

    def clear(self, step: str) -> None:
        """Remove the scratch folder of a step."""
        self.folder.clear(step)


def assemble(wiring: ExecutorWiring) -> Executor:
    """Return the outermost executor."""

    def permits_for(attempt: Attempt, note: Note) -> Permits:
        return wiring.budgeted.permits_for(attempt, note, wiring.approvals)

    storage = RunStorage(wiring.folder, wiring.clean)
    executor: Executor = Local(wiring.budgeted.endpoint_for, wiring.tools, storage, permits_for)
    for wrapper in reversed(EXECUTOR_ORDER[:-1]):
        executor = _WRAPPERS[wrapper](executor, wiring)
    return executor


def _with_pages(inner: Executor, wiring: ExecutorWiring) -> Executor:
    def write(name: str, text: str) -> None:
        wiring.folder.write_page(name, wiring.clean(text))

    return Pages(inner, write, lambda step: wiring.state.steps[step].order)


def _with_cache(inner: Executor, wiring: ExecutorWiring) -> Executor:
    def is_stable(called: str) -> bool:
        try:
            return wiring.tools.get(wiring.tools.named(called)).is_stable
        except ToolError:
            return True  # there is no such tool, so the call changed nothing and gave nothing

    def is_repeatable(attempt: Attempt) -> bool:
        # To merge or to call a function again costs less than to look it up.
        return attempt.step.merge is None and not is_function(attempt.agent)

    def is_refused(attempt: Attempt) -> bool:
        decided = wiring.state.steps[attempt.step.id].decided.values()
        return any(event.answer == "no" for event in decided)

    return Cached(
        inner,
        known=wiring.known,
        cache=wiring.cache,
        is_repeatable=is_repeatable,
        is_stable=is_stable,
        is_refused=is_refused,
        clean=wiring.clean,
        content=wiring.folder.content,
    )


def _with_merging(inner: Executor, wiring: ExecutorWiring) -> Executor:
    del wiring
    return Merging(inner)


def _with_checking(inner: Executor, wiring: ExecutorWiring) -> Executor:
    return Checking(inner, wiring.checks)


def _with_filling(inner: Executor, wiring: ExecutorWiring) -> Executor:
    del wiring
    return Filling(inner)


def _with_advice(inner: Executor, wiring: ExecutorWiring) -> Executor:
    return inner if wiring.advised_goal is None else OneAgent(inner, goal=wiring.advised_goal)


def _with_salvaging(inner: Executor, wiring: ExecutorWiring) -> Executor:
    return Salvaging(inner, wiring.state)


_WRAPPERS: Mapping[type[Executor], Callable[[Executor, ExecutorWiring], Executor]] = {
    Filling: _with_filling,
    Merging: _with_merging,
    Checking: _with_checking,
    Pages: _with_pages,
    Cached: _with_cache,
    OneAgent: _with_advice,
    Salvaging: _with_salvaging,
}
