"""Kits: tools with one lifetime, that of the run. They open before anything is paid for, and close with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from anyio.abc import TaskGroup

from swarm.tools.kinds import Effect, Tool, asks

OPENING_SECONDS = 20.0
"""Maximum seconds that opening all kits of a run takes."""

CLOSING_SECONDS = 10.0
"""Maximum seconds that closing all of them takes."""


@dataclass(frozen=True)
class Offer:
    """A tool of a kit as the task alone describes it: all that a lint needs before anything is opened."""

    name: str
    """Name in tasks, plans and agents: `read_file`, `notes.read_text_file`."""
    goes_to: str = ""
    """Place that its arguments go to; empty if they stay in this run."""
    label: str | None = None
    """Label of what it gives."""
    about: str = ""
    """What it is for, in one sentence for planners; empty if only an open kit knows."""
    effect: Effect | None = None
    """The most that it does outside of the run; None if only an open kit knows."""
    ask: bool | None = None
    """Whether a person must allow each call. None: as the task's `approve` says."""

    def asks(self, *, by_default: bool) -> bool:
        """Return whether a person must allow each call, if the task asks about tools by default or not."""
        return asks(self.effect, self.ask, by_default=by_default)


@dataclass(frozen=True)
class Opening:
    """What a kit may use while it is open."""

    folder: Path
    """Folder of the run, for log files such as `mcp-notes.log`."""
    tasks: TaskGroup
    """Task group of all kits of the run. It is cancelled after every kit was closed."""
    clean: Callable[[str], str]
    """Removes secrets from a text."""
    warn: Callable[[str], None]
    """Shows people a warning."""


class Kit:
    """Several tools with one lifetime. Subclasses set `name` and `offers`, and open what they need.

    A kit whose tools need nothing to be known sets `tools`, too, when it is made. An error in `open`
    is a `TaskError` whose problem names the key of the task: it ends the run before anything is
    spent.
    """

    name: str = ""
    """Name in messages: `files`, `web`, `mcp.notes`. It is also the place of its tools, if they have one."""
    prefix: str = ""
    """Name in `tools:` of the task, agents and plans that means all its tools, alone or with `.*`: `files`, `notes`."""
    section: str = ""
    """Key of the task that describes it: `web`, `mcp`; empty if none does."""
    offers: tuple[Offer, ...] = ()
    """Its tools, known from the task alone."""
    path: tuple[str | int, ...] = ()
    """Path of what describes it in the task, for problems; empty: they are shown at the entry of `tools:`."""
    tools: tuple[Tool, ...] = ()
    """Its tools; empty until it is open, unless they are known before."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its tools."""
        return tuple(offer.name for offer in self.offers)

    def granted_by(self, entry: str) -> tuple[str, ...]:
        """Return the tools that an entry of `tools:` names: all of them, one, or none."""
        if self.prefix and entry in (self.prefix, f"{self.prefix}.*"):
            return self.names
        return (entry,) if entry in self.names else ()

    def problem(self) -> str | None:
        """Return why this machine cannot offer the kit, with the remedy; None if it can. It may be asked often."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Return warnings for people about what the task says of it."""
        return ()

    async def open(self, opening: Opening) -> None:
        """Open what the tools need and set `tools`. Raise `TaskError`."""

    async def close(self) -> None:
        """Close what `open` opened, if anything. It must not raise; afterwards the kit may be opened again."""


def offered(tools: Iterable[Tool]) -> tuple[Offer, ...]:
    """Return the offers of tools that are known."""
    return tuple(
        Offer(tool.name, tool.destination, tool.label, first_sentence(tool), tool.effect, tool.ask) for tool in tools
    )


def first_sentence(tool: Tool) -> str:
    """Return the first sentence of a tool's description."""
    line = " ".join(tool.spec.description.split("\n\n", 1)[0].split())
    head, dot, _ = line.partition(". ")
    return (head + dot.strip())[:SENTENCE_CHARACTERS]


SENTENCE_CHARACTERS = 200
"""Maximum characters of what a planner is told about a tool."""
