"""Access of models and tools to labelled data and media, and the flow of labels along the edges of a graph.

A label limits the models and the places that its data may reach. A medium limits the models that
can read it. Both limit the models for a step. The output of a step has all labels of its inputs,
whatever the model did with them. This module works on sets and names only, without a run.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from pydantic import Field

from swarm.base.text import listing
from swarm.base.values import Frozen, Id, is_empty

DEFAULT = "default"
"""Alias of steps and agents that name no model."""
INLINE_BYTES = 20_000_000
"""Maximum bytes of an image, audio or video file inside a request, as base64. It is the limit of
common providers."""

PLACES = ("caller", "dask", "python", "web")
"""Places that data may go to in addition to models: the host that runs `swarm mcp`, an engine, and kits of tools."""
MCP_PLACE, TOOL_PLACE = "mcp.", "tool."
"""Beginnings of the other places: `mcp.<server>`, and `tool.<name>` for a single tool with the effect `network`."""
LARGE = "large"
"""Prefix of the medium of a file that is too large for a request."""


def is_place(name: str, servers: Iterable[str] = ()) -> bool:
    """Return whether a name in `labels` is a place, not a model. `servers` are the names in `mcp:`."""
    if name.startswith(MCP_PLACE):
        return name.removeprefix(MCP_PLACE) in servers
    return name in PLACES or name.startswith(TOOL_PLACE)


def medium_of(medium: str, size: int) -> str:
    """Return the medium that a model must accept to read a file: its medium, or `large …` if no request can hold it."""
    return medium if size <= INLINE_BYTES or medium == "text" else f"{LARGE} {medium}"


class Placement(NamedTuple):
    """The model for a step."""

    model: str
    """Alias of the model or pool."""
    members: tuple[str, ...]
    """Models behind the alias that may serve the step: all members of a pool, or some of them."""


class Access(Frozen):
    """Labels and media that each model of a run may read."""

    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For each label, the models and places that its data may reach. A label without an entry reaches none."""
    members: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For each alias, the models behind it: itself, or the members of a pool. In the order of the
    task."""
    takes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For each model, the media that it accepts in addition to text, `large …` included. No entry:
    only text."""
    roles: dict[str, str] = Field(default_factory=dict)
    """For each role, its alias, if that is not `default`. A step may name another one."""
    carried: dict[str, tuple[Id, ...]] = Field(default_factory=dict)
    """For each existing step, the labels of its output, if it has any."""
    inherited: tuple[Id, ...] = ()
    """Labels of the planner's own inputs. Everything that the planner writes has them."""
    tool_places: dict[str, str] = Field(default_factory=dict, exclude_if=is_empty)
    """For each tool, the place that its arguments go to, if they leave the run."""
    tool_labels: dict[str, str] = Field(default_factory=dict, exclude_if=is_empty)
    """For each tool, the label of what it gives, if it has one."""

    def behind(self, alias: str) -> tuple[str, ...]:
        """Return the models behind an alias."""
        return self.members.get(alias, (alias,))

    def sees(self, model: str, labels: Iterable[str]) -> bool:
        """Check whether data with all these labels may reach a model."""
        return all(model in self.labels.get(label, ()) for label in labels)

    def barred(self, tool: str, labels: Iterable[str]) -> tuple[str, ...]:
        """Return the labels whose data may not go where the arguments of a tool go."""
        place = self.tool_places.get(tool)
        return tuple(label for label in labels if place is not None and place not in self.labels.get(label, ()))

    def taken_by(self, models: Iterable[str]) -> tuple[str, ...]:
        """Return the media that all these models accept in addition to text."""
        taken = [self.takes.get(model, ()) for model in models]
        return tuple(medium for medium in taken[0] if all(medium in each for each in taken)) if taken else ()

    def can(self, model: str, media: Iterable[str]) -> bool:
        """Check whether a model accepts all these media."""
        return all(medium in self.takes.get(model, ()) for medium in media)

    def place(
        self, alias: str, labels: Iterable[str] = (), media: Iterable[str] = (), *, named: bool = False
    ) -> Placement | None:
        """Return the place for a step: its own alias, else the first alias of the task that has access; None if none.

        A pool is reduced to its members with access. An alias that the step itself names (`named`)
        is replaced if it cannot read a medium, but not because of a label: then the plan is wrong.
        """
        labels, media = tuple(labels), tuple(media)
        if named and not self._seeing(alias, labels):
            return None
        for each in dict.fromkeys((alias, DEFAULT, *self.members)):
            able = tuple(model for model in self._seeing(each, labels) if self.can(model, media))
            if able:
                is_one_of_pool = len(able) == 1 and able != self.behind(each)
                return Placement(able[0] if is_one_of_pool else each, able)
        return None

    def _seeing(self, alias: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(model for model in self.behind(alias) if self.sees(model, labels))

    def refusal(
        self, alias: str, labels: Iterable[str], media: Iterable[str], *, named: bool = False
    ) -> tuple[str, str]:
        """Return why `place` returned None: a kind (`label` or `media`) and a message for people and planners."""
        labels, media = tuple(labels), tuple(media)
        allowed = "; ".join(f"`{label}` reaches {listing(self.labels.get(label, ()))}" for label in labels)
        if named and not self._seeing(alias, labels):
            return "label", f"the model `{alias}` may not see all its data: {allowed}"
        if labels and not any(self._seeing(each, labels) for each in (alias, DEFAULT, *self.members)):
            return "label", f"no model may see all its data: {allowed}"
        among = f" of those that may see it ({allowed})" if allowed else ""
        message = f"no model{among} accepts {listing(media)}"
        if any(medium.startswith(LARGE) for medium in media):
            limit = f"only a provider that stores files (kimi) accepts more than {INLINE_BYTES:,} bytes"
            return "media", f"{message}: {limit}; make the file smaller, or split it"
        return "media", f"{message}; add `takes: [{', '.join(media)}]` to a model that does"


def pooled(pools: Mapping[str, tuple[str, ...] | None]) -> dict[str, tuple[str, ...]]:
    """Return the models behind each alias.

    `pools` has the members of each pool, and None for each model.
    """
    return {alias: _models_behind(alias, pools) for alias in pools}


def _models_behind(alias: str, pools: Mapping[str, tuple[str, ...] | None]) -> tuple[str, ...]:
    """Return the models behind one alias in order, each once.

    Pools may contain pools; cycles are ignored.
    """
    models: dict[str, None] = {}
    seen: set[str] = set()
    todo = [alias]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        members = pools.get(name)
        if members is None:
            models[name] = None
        else:
            todo += reversed(members)
    return tuple(models)


def reach(labels: Mapping[str, Iterable[str]], members: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the models that the data of each label may reach.

    A pool means the models behind it.
    """
    reached: dict[str, tuple[str, ...]] = {}
    for label, aliases in labels.items():
        models = chain.from_iterable(members.get(alias, (alias,)) for alias in aliases)
        reached[label] = tuple(dict.fromkeys(models))
    return reached


def spread(own: Mapping[str, Iterable[str]], reads: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Return the labels of each name: its own, and those of everything that it reads, directly or indirectly.

    `reads` has the names that each name reads. It may be cyclic. The cost is O(edges · labels).
    """
    readers: dict[str, list[str]] = defaultdict(list)
    for reader, sources in reads.items():
        for source in sources:
            readers[source].append(reader)
    found: dict[str, set[str]] = defaultdict(set)
    todo: list[tuple[str, str]] = []
    for name, labels in own.items():
        todo += [(name, label) for label in labels]
    while todo:
        name, label = todo.pop()
        if label not in found[name]:
            found[name].add(label)
            todo += [(reader, label) for reader in readers[name]]
    return {name: frozenset(found[name]) for name in {*own, *reads}}
