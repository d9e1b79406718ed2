"""Which models may see what, and how labels flow along the edges of a graph.

A label says which models its data may reach; a medium, which models can make anything of it. Both narrow the models
that may serve a step. Labels flow: what a step gives carries every label of what it was made from, whatever the model
did with it. Nothing here knows a run: it is sets and names.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import Field

from swarm.base.text import listing
from swarm.base.values import Frozen, Id

DEFAULT = "default"
"""The alias that serves where nothing else is said."""
INLINE_BYTES = 20_000_000
"""Bytes of the largest picture, sound or film that is written into a request: what providers take so, as base64."""

LARGE = "large"
"""Stands before a medium that no request can hold."""


def medium_of(medium: str, size: int) -> str:
    """Name what a model must take to be given a file: its medium; `large …` where no request can hold so many bytes."""
    return medium if size <= INLINE_BYTES or medium == "text" else f"{LARGE} {medium}"


class Place(NamedTuple):
    """Where a step goes."""

    model: str
    """The alias."""
    members: tuple[str, ...]
    """The models behind it that may serve this step: all of a pool, or those that are left of it."""


class Access(Frozen):
    """What each model of a run may see and can take."""

    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For a label, the models that its data may reach: none where it has no entry."""
    members: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For an alias, the models behind it: itself, or those of a pool. In the order of the task."""
    takes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For a model, the media it takes beside text, `large …` too where it does: none where it has no entry."""
    roles: dict[str, str] = Field(default_factory=dict)
    """For a role, the alias it uses where its step names none, if that is not `default`."""
    carried: dict[str, tuple[Id, ...]] = Field(default_factory=dict)
    """For a step that is there already, the labels its output carries, where it carries any."""
    inherited: tuple[Id, ...] = ()
    """Labels of what the planner itself reads: all that it writes carries them."""

    def behind(self, alias: str) -> tuple[str, ...]:
        """Name the models behind an alias."""
        return self.members.get(alias, (alias,))

    def sees(self, model: str, labels: Iterable[str]) -> bool:
        """Whether data with all these labels may reach a model."""
        return all(model in self.labels.get(label, ()) for label in labels)

    def can(self, model: str, media: Iterable[str]) -> bool:
        """Whether a model takes all these media."""
        return all(medium in self.takes.get(model, ()) for medium in media)

    def place(
        self, alias: str, labels: Iterable[str] = (), media: Iterable[str] = (), *, named: bool = False
    ) -> Place | None:
        """Find the alias that serves a step: its own, else the first of the task's that may and can; None if none.

        Of a pool only the members that may and can are left. An alias that the step itself names (`named`) is never
        changed for a label's sake: who wrote it meant that model. For a medium's sake it is.
        """
        labels, media = tuple(labels), tuple(media)
        if named and not self._seeing(alias, labels):
            return None
        for each in dict.fromkeys((alias, DEFAULT, *self.members)):
            able = tuple(model for model in self._seeing(each, labels) if self.can(model, media))
            if able:
                return Place(able[0] if len(able) == 1 and able != self.behind(each) else each, able)
        return None

    def _seeing(self, alias: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(model for model in self.behind(alias) if self.sees(model, labels))

    def refusal(
        self, alias: str, labels: Iterable[str], media: Iterable[str], *, named: bool = False
    ) -> tuple[str, str]:
        """Say why there is no place, as a kind (`label` or `media`) and words for people and planners."""
        labels, media = tuple(labels), tuple(media)
        reach = "; ".join(f"`{label}` reaches {listing(self.labels.get(label, ()))}" for label in labels)
        if named and not self._seeing(alias, labels):
            return "label", f"the model `{alias}` may not see all it would read: {reach}"
        if labels and not any(self._seeing(each, labels) for each in (alias, DEFAULT, *self.members)):
            return "label", f"no model may see all it would read: {reach}"
        among = f" of those that may see it ({reach})" if reach else ""
        if any(medium.startswith(LARGE) for medium in media):
            most = f"over {INLINE_BYTES:,} bytes, a file goes only to a provider that stores files (kimi)"
            return "media", f"no model{among} takes {listing(media)}: {most}; make it smaller, or split it"
        return "media", f"no model{among} takes {listing(media)}: a model says what it takes with `takes:`"


def pooled(pools: Mapping[str, tuple[str, ...] | None]) -> dict[str, tuple[str, ...]]:
    """Name the models behind each alias, given what each uses: None for a model, aliases for a pool."""
    found: dict[str, tuple[str, ...]] = {}
    for alias in pools:
        leaves: dict[str, None] = {}
        seen: set[str] = set()
        left = [alias]
        while left:
            name = left.pop()
            if name in seen:
                continue
            seen.add(name)
            use = pools.get(name)
            if use is None:
                leaves[name] = None
            else:
                left += reversed(use)
        found[alias] = tuple(leaves)
    return found


def reach(labels: Mapping[str, Iterable[str]], members: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Name the models that each label's data may reach; a pool stands for the models behind it."""
    return {
        label: tuple(dict.fromkeys(model for alias in aliases for model in members.get(alias, (alias,))))
        for label, aliases in labels.items()
    }


def spread(own: Mapping[str, Iterable[str]], reads: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Let labels flow: each name ends with its own and those of all it reads, directly or not.

    `reads` gives, by name, what is read; cycles do no harm. Costs O(edges · labels).
    """
    readers: dict[str, list[str]] = defaultdict(list)
    for reader, sources in reads.items():
        for source in sources:
            readers[source].append(reader)
    found: dict[str, set[str]] = defaultdict(set)
    todo = [(name, label) for name, labels in own.items() for label in labels]
    while todo:
        name, label = todo.pop()
        if label not in found[name]:
            found[name].add(label)
            todo += [(reader, label) for reader in readers[name]]
    return {name: frozenset(found[name]) for name in {*own, *reads}}
