"""The differences between a recorded task and the present one, in words."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from pydantic_core import to_json

from swarm.base.text import cut
from swarm.base.values import Json
from swarm.record.events import InputFact
from swarm.spec.agent import Agent

SHOWN = 60
"""Maximum characters of a value that are shown."""


def task_changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[str, ...]:
    """Return a line for every value of a task that differs: `limits.tokens: 1000 → 2000`."""
    return tuple(_different("", dict(before), dict(after)))


def agent_changes(before: Mapping[str, Agent], after: Mapping[str, Agent]) -> tuple[str, ...]:
    """Return a line for every agent whose file differs. Agents that a plan brought have no file, and get none."""
    changed = [name for name, agent in after.items() if before.get(name) != agent]
    return tuple(f"agent {name}: {'changed' if name in before else 'new'}" for name in changed)


def input_changes(before: Iterable[InputFact], after: Iterable[InputFact]) -> tuple[str, ...]:
    """Return a line for every input whose content differs."""
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    words = [f"input {name}: removed" for name in old if name not in new]
    words += [f"input {name}: {'changed' if name in old else 'new'}" for name in new if old.get(name) != new[name]]
    return tuple(words)


def wording_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for every phrase of the wording that differs."""
    names = sorted(before.keys() | after.keys())
    return tuple(f"wording {name}: changed" for name in names if before.get(name) != after.get(name))


def _different(path: str, before: Json, after: Json) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Json]", before), cast("dict[str, Json]", after)
        for key in sorted(old.keys() | new.keys()):
            yield from _different(f"{path}.{key}" if path else key, old.get(key), new.get(key))
        return
    yield f"{path}: {_short(before)} → {_short(after)}"


def _short(value: Json) -> str:
    return cut(to_json(value).decode(), SHOWN)
