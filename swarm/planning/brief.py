"""The brief of a planner: what it needs to know, and what its plan is checked against."""

from typing import Literal, Self

from pydantic import Field

from swarm.base.places import MARK
from swarm.base.values import Frozen, Id, is_empty, is_none
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.labels import Access
from swarm.spec.task import Input, Limits

FIRST_LINE_CHARACTERS = 200
"""Maximum characters of an input's first line that a planner sees."""


def _first_line(text: str) -> str:
    """Return the first line of a text that is neither empty nor the mark of a page."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not MARK.fullmatch(line)), "")[:FIRST_LINE_CHARACTERS]


class RoleBrief(Frozen):
    """A role, as described to a planner."""

    name: str
    description: str
    tools: tuple[str, ...] = ()
    open: bool = Field(default=False, exclude_if=is_empty)
    """Whether it looks things up in long texts, instead of reading all of them."""


class InputBrief(Frozen):
    """An input, as described to a planner: its first line, not its content."""

    name: str
    medium: str
    size: int
    label: str | None = None
    first_line: str = ""
    kind: str = Field(default="", exclude_if=is_empty)
    """Kind of document, with the number of its pages, slides or sheets."""
    columns: str = Field(default="", exclude_if=is_empty)
    """Columns of a table: type, range, sum, most frequent values, empty cells."""
    tokens: int = Field(default=0, exclude_if=is_empty)
    """Approximate tokens of a text that no step can read at once; 0 for any other input."""
    parts: int = Field(default=0, exclude_if=is_empty)
    """Approximate number of parts in which a step reads such a text."""

    def sized(self, reads: int | None) -> "InputBrief":
        """Return the input with its tokens and parts if it is a text of more than `reads` tokens."""
        tokens = -(-self.size // BYTES_PER_TOKEN)
        if reads is None or self.medium != "text" or tokens <= reads:
            return self
        return self.model_copy(update={"tokens": tokens, "parts": -(-tokens // max(1, reads))})

    @classmethod
    def of(cls, given: Input) -> Self:
        """Return the brief of an input. Of a labelled one, planners see the name, never the content."""
        pages = f", {given.count:,} {given.unit}{'s' * (given.count != 1)}" if given.unit else ""
        found = cls(
            name=given.name,
            medium=given.medium,
            size=given.size,
            label=given.label,
            kind=f"{given.kind}{pages}" if given.kind else "",
        )
        if given.label is not None:
            return found
        return found.model_copy(update={"first_line": _first_line(given.text), "columns": given.columns})


class Brief(Frozen):
    """The roles, inputs, limits and steps of a run, for a planner and for the checks of its plan."""

    roles: tuple[RoleBrief, ...]
    inputs: tuple[InputBrief, ...] = ()
    models: tuple[str, ...] = ("default",)
    tools: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict, exclude_if=is_empty)
    """Names that mean several of the tools, such as that of a kit."""
    about: dict[str, str] = Field(default_factory=dict, exclude_if=is_empty)
    """What tools are for, in a sentence each."""
    limits: Limits = Limits()
    known: tuple[Id, ...] = ()
    """Ids of the run's steps. New steps may need them, and may not reuse their ids."""
    barred: tuple[Id, ...] = ()
    """The steps of `known` that end only after the new steps: the planner's own step, the steps
    that spawned it, and the steps that wait for one of them. A new step that waited for one would
    never start."""
    steps_left: int = 256
    """Maximum number of new steps."""
    reads: int | None = None
    """Approximate maximum tokens of inputs of a step; None if no model states its context."""
    access: Access | None = None
    """The models for each label and medium, if inputs have labels or are not text."""
    table: Literal["asked", "file"] | None = Field(default=None, exclude_if=is_none)
    """Whether the plan should end in a table: `asked` for in the goal, or needed for a `file` of the
    task's `output`. Then a plan without rows is an error."""
    first: bool = True
    """True if this is the run's first plan, which must end in the report."""
