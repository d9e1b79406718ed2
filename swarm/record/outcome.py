"""The outcome of an attempt: one value, in events, cache entries and the state."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from swarm.base.values import Frozen, Json, is_empty
from swarm.spec.agent import Agent
from swarm.spec.chat import MediaFile, Usage
from swarm.spec.plan import Step

CUT = "the answer was truncated at its output cap"
"""Doubt about a truncated answer that was accepted. A run with one is not `done`."""

UNOPENED = "unopened"
"""Kind of the failure of an attempt that opened nothing of its long texts."""


class Unread(Frozen):
    """An input or an output of which a step read only the first part."""

    of: Literal["input", "output"]
    name: str
    """Name of the input, or id of the step."""
    read: int
    """Bytes that were shown."""
    total: int
    """Bytes of all of it."""


class Opened(Frozen):
    """A long input or output of which a step saw the start, and could look up the rest."""

    of: Literal["input", "output"]
    name: str
    """Name of the input, or id of the step."""
    pages: tuple[int, ...]
    """Numbers of the pages that it read, from 1."""
    read: int
    """Bytes that it saw: of the start, and of those pages."""
    total: int
    """Bytes of all of it."""

    @property
    def words(self) -> str:
        """What it saw, for people."""
        size = f"{self.read:,} of {self.total:,} bytes"
        return f"opened {self.name}: {size}, {len(self.pages):,} pages read"


class Outcome(Frozen):
    """The result of a successful attempt.

    On disk its fields are written in this order, next to those of the record that holds it.
    """

    output: Json = None
    """Text, or the requested JSON value; null if `artifact` has it."""
    artifact: str | None = None
    """SHA-256 of the file in `artifacts/` that holds the output as JSON, if it is over 64 KiB. Set by the recorder."""
    spawned: tuple[Step, ...] = ()
    """Steps that join the graph."""
    agents: tuple[Agent, ...] = ()
    """Roles made for the spawned steps."""
    usage: Usage = Usage()
    cached: bool = False
    """Whether an earlier run paid for it."""
    left_out: tuple[str, ...] = ()
    """What did not fit the prompt, in words."""
    unread: tuple[Unread, ...] = Field(default=(), exclude_if=is_empty)
    """The same of inputs and outputs, as data. A run with such an outcome is `partial`."""
    opened: tuple[Opened, ...] = Field(default=(), exclude_if=is_empty)
    """Long inputs and outputs that the step opened, with what it saw of them."""
    notes: tuple[str, ...] = ()
    """Notes for people: a repaired plan, a citation of an unknown step."""
    doubts: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """Why the output may be incomplete or wrong, for people. An outcome with doubts is not stored in the cache."""
    unfounded: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """Figures, names and quotations of the output that are in nothing that the step read."""
    media: tuple[MediaFile, ...] = ()
    """Media in the answer. In a run each is a file in `artifacts/`, in the cache a file next to the entry."""

    @property
    def is_cut(self) -> bool:
        """Whether the end of the output is missing."""
        return CUT in self.doubts

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing: neither the end of the output, nor a part of what it was made from."""
        return not self.is_cut and not self.unread

    @property
    def gaps(self) -> tuple[str, ...]:
        """What was left out, in words, without the inputs and outputs that `unread` names."""
        named = tuple(f"{each.of} {each.name}: " for each in self.unread)
        return tuple(words for words in self.left_out if not named or not words.startswith(named))

    def loaded(self, load: Callable[[str], Json]) -> Self:
        """Return the outcome with its output read from its artifact, if it has one."""
        if self.artifact is None:
            return self
        return self.model_copy(update={"output": load(self.artifact), "artifact": None})

    def reused(self) -> Self:
        """Return the outcome as one that an earlier attempt paid for."""
        return self.model_copy(update={"cached": True, "usage": Usage()})


class OutcomeRecord(Frozen):
    """A record that holds an outcome as one value, and is flat on disk.

    One validator gathers the outcome's fields, one serializer spreads them, so a new field of an outcome is one edit.
    """

    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset()
    """Fields of an outcome that this record does not have on disk. They keep their defaults in memory, too: a record
    equals the one that is read back."""

    outcome: Outcome

    @classmethod
    def _written(cls) -> tuple[str, ...]:
        return tuple(name for name in Outcome.model_fields if name not in cls.NOT_WRITTEN)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, Any]", data)
        given = fields.get("outcome")
        if isinstance(given, Outcome):
            defaults = {name: Outcome.model_fields[name].default for name in cls.NOT_WRITTEN}
            return {**fields, "outcome": given.model_copy(update=defaults)}
        if "outcome" in fields:
            raise ValueError("the fields of an outcome are written next to those of its record")
        names = cls._written()
        outcome = {name: fields[name] for name in names if name in fields}
        return {name: value for name, value in fields.items() if name not in names} | {"outcome": outcome}

    @model_serializer(mode="wrap")
    def _spread(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = handler(self)
        outcome = fields.pop("outcome", {})
        return fields | {name: outcome[name] for name in self._written() if name in outcome}
