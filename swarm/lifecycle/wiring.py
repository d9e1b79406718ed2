"""The executor of a run: its wrappers, and their order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swarm.attempt.types import Attempt, Executor
from swarm.executors.budgeted import Budgeted
from swarm.executors.cached import Cached
from swarm.executors.filling import Filling
from swarm.executors.local import Local
from swarm.executors.merging import Merging
from swarm.executors.one_agent import OneAgent
from swarm.executors.pages import Pages
from swarm.executors.salvaging import Salvaging
from swarm.record.cache import Cache
from swarm.record.folder import RunFolder
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.tools import Toolbox

EXECUTOR_ORDER: tuple[type[Executor], ...] = (Salvaging, OneAgent, Cached, Pages, Merging, Filling, Local)
"""Executors of a run, outermost first. The list in ARCHITECTURE.md gives the reason for each place."""


@dataclass(frozen=True, kw_only=True)
class ExecutorWiring:
    """Everything that the executors of a run need."""

    budgeted: Budgeted
    tools: Toolbox
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


def assemble(wiring: ExecutorWiring) -> Executor:
    """Return the outermost executor."""
    executor: Executor = Local(wiring.budgeted.endpoint_for, wiring.tools)
    for wrapper in reversed(EXECUTOR_ORDER[:-1]):
        executor = _WRAPPERS[wrapper](executor, wiring)
    return executor


def _with_pages(inner: Executor, wiring: ExecutorWiring) -> Executor:
    def write(name: str, text: str) -> None:
        wiring.folder.write_page(name, wiring.clean(text))

    return Pages(inner, write, lambda step: wiring.state.steps[step].order)


def _with_cache(inner: Executor, wiring: ExecutorWiring) -> Executor:
    effects = {tool.name: tool.effect for tool in wiring.tools.tools}

    def is_repeatable(attempt: Attempt) -> bool:
        # A tool that does more than read must do so in every run. To merge again costs less than to look it up.
        return attempt.step.merge is None and all(effects[name] == "read" for name in attempt.tools)

    return Cached(
        inner,
        known=wiring.known,
        cache=wiring.cache,
        is_repeatable=is_repeatable,
        clean=wiring.clean,
        content=wiring.folder.content,
    )


def _with_merging(inner: Executor, wiring: ExecutorWiring) -> Executor:
    del wiring
    return Merging(inner)


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
    Pages: _with_pages,
    Cached: _with_cache,
    OneAgent: _with_advice,
    Salvaging: _with_salvaging,
}
