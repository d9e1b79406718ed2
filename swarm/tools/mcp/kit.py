"""The tools of an MCP server, as a task lists them."""

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from swarm.base.errors import Problem, TaskError, ToolError
from swarm.base.network import wrong_address
from swarm.base.redaction import safe_text
from swarm.base.text import clip, listing
from swarm.spec.chat import ToolSpec
from swarm.spec.labels import MCP_PLACE
from swarm.spec.servers import Server, ServerTool
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant
from swarm.spec.yaml.schemas import schema_problems
from swarm.spec.yaml.strict import Document
from swarm.tools.functions import tidied
from swarm.tools.kinds import Tool, ToolContext, ToolResult
from swarm.tools.kit import OPENING_SECONDS, Kit, Offer, Opening
from swarm.tools.mcp import sandbox
from swarm.tools.mcp.answers import result_of
from swarm.tools.mcp.arguments import arguments_of, check_arguments
from swarm.tools.mcp.faults import BROKEN, NOT_INSTALLED, ServerError
from swarm.tools.mcp.lease import leased
from swarm.tools.mcp.owner import Owner
from swarm.tools.mcp.pins import changes, command_hash, tool_hash
from swarm.tools.mcp.pipes import Log, open_pipes

if TYPE_CHECKING:
    from mcp.types import Tool as ListedTool

DESCRIPTION_CHARACTERS = 1000
"""Maximum characters of a server's description of a tool."""
SCHEMA_BYTES = 32 * 1024
"""Maximum bytes of the schema of a tool: it is a part of every prompt."""
WIRE_CHARACTERS = 64
LAST_START = 0.5
"""Seconds before the deadline of all kits at which an opening ends, so that it can say why."""
_LAUNCHERS = ("npx", "uvx", "pipx", "bunx", "pnpx")


class ServerKit(Kit):
    """The tools of one server."""

    section = "mcp"

    def __init__(self, name: str, server: Server, folder: Path = Path(), document: Any = None) -> None:
        """`folder` is that of the task; `document` is its file, for places in messages."""
        self.prefix = name
        self.name = f"{MCP_PLACE}{name}"
        self.server = server
        self.path: tuple[str | int, ...] = ("mcp", name)
        self.opening_seconds = OPENING_SECONDS - LAST_START
        self.listed: Mapping[str, ListedTool] = {}
        """What the server said of its tools when it opened."""
        self._folder = folder
        self._document = document
        self._owner: Owner | None = None
        self._log: Log | None = None
        self._clean: Callable[[str], str] = str
        self._rules = {f"{name}.{rule.as_ or own}": (own, rule) for own, rule in server.rules().items()}
        self.offers = tuple(
            Offer(called, self.name, rule.label or server.label, effect=rule.effect, ask=rule.ask)
            for called, (_, rule) in self._rules.items()
        )

    # What can be said before it opens

    def problem(self) -> str | None:
        """Return why this machine cannot start or reach the server."""
        if find_spec("mcp") is None:
            return NOT_INSTALLED
        if self.server.command is None:
            return None
        program = self.server.command[0]
        if self._program() is None:
            return f'"{clip(program)}" is not on PATH\nhint: install it, or write its path'
        if self.server.box and sandbox.program() is None:
            return "there is no sandbox for it: bubblewrap is not installed\nhint: install it, or write `box: false`"
        missing = [name for name in (*self.server.reads, *self.server.writes) if not (self._folder / name).exists()]
        return f"there is no {listing(missing)} to show it" if missing and self.server.box else None

    def notes(self) -> tuple[str, ...]:
        """Return warnings about what is written."""
        words = self.server.command or ()
        name = Path(words[0]).name if words else ""
        packages = [word for word in words[1:] if not word.startswith("-")][:1]
        if name in _LAUNCHERS and not any("@" in word[1:] or "==" in word for word in packages):
            return (f"{self.name}: {name} starts the newest version, whatever it is\nhint: name a version",)
        return ()

    def _program(self) -> str | None:
        assert self.server.command is not None
        program = self.server.command[0]
        if os.sep in program:
            program = os.path.normpath(self._folder / program)
        found = shutil.which(program)
        return None if found is None else str(Path(found).absolute())

    # Lifetime

    async def open(self, opening: Opening) -> None:
        """Start or reach the server, and take its tools. Raise `TaskError`."""
        await anyio.to_thread.run_sync(_load)
        self._clean = opening.clean
        self._log = Log(opening.folder / f"{self.name.replace('.', '-')}.log", opening.clean)
        log = self._log
        owner = Owner(
            self._connect(log),
            opening_seconds=self.opening_seconds,
            last_words=lambda: log.last,
            listed=self._take,
            changed=self._changed,
        )
        try:
            await opening.tasks.start(owner.run)
        except ServerError as error:
            words = str(error)
            more = "" if "\nhint: " in words else f"\nhint: {self._remedy(words)}"
            raise TaskError(self._located(words + more)) from None
        self._owner = owner

    def _remedy(self, words: str) -> str:
        """Return what to do about a server that does not open, for these words."""
        if words.startswith(("tools: ", BROKEN)):
            return "update the server, or leave it out: this is its fault"
        if self.server.url is not None:
            return "does it run, and is this the path of its streamable HTTP, often /mcp?"
        if not self.server.box:
            return "run the command by itself: it must wait for messages, and write nothing else to its output"
        files = "files must be in `reads` or `writes`, and the network needs `network: true`"
        return f"run the command by itself; if it waits for messages there, it misses something in its box: {files}"

    async def close(self) -> None:
        """End the session."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.stop()
        if self._log is not None:
            self._log.close()
            self._log = None
        self.tools = ()

    def _connect(self, log: Log) -> Callable[[Callable[[], None]], AbstractAsyncContextManager[Any]]:
        server = self.server
        if server.url is not None:
            from swarm.tools.mcp.http import open_http

            url = server.url
            return lambda ended: open_http(url, server.headers)
        program = self._program()
        if program is None:
            raise TaskError(self._located(self.problem() or "does not start"))
        assert server.command is not None
        command = [program, *server.command[1:]]
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        if server.box:
            command = sandbox.boxed(command, server, self._folder, kept.get("HOME", "/root"))
        return lambda ended: open_pipes(command, {**kept, **server.env}, self._folder, log, ended)

    def _located(self, words: str, *keys: str) -> Problem:
        path = (*self.path, *keys)
        problem = Problem(words, path=path)
        if isinstance(self._document, Document):
            return self._document.located([problem])[0]
        return _keyed(problem)

    # Tools

    def _take(self, listed: Mapping[str, "ListedTool"]) -> None:
        """Make the tools of a server that has opened. Raise `ServerError`."""
        self.listed = listed
        missing = [own for own, _ in self._rules.values() if own not in listed]
        if missing:
            near = meant(missing[0], listed)
            known = listing(sorted(map(safe_text, listed)), 20)
            raise ServerError(f'tools: the server has no "{clip(missing[0])}"{near}\nhint: it has {known}')
        if changed := changes(self.server, listed):
            hint = "hint: look at it with `swarm tools TASK`, then pin it again with `swarm tools TASK --pin`"
            raise ServerError(f"changed since it was pinned: {listing(changed)}\n{hint}")
        self.tools = tuple(self._tool(called, own, rule) for called, (own, rule) in self._rules.items())

    def _changed(self, listed: Mapping[str, "ListedTool"]) -> list[str]:
        return [
            own
            for own, _ in self._rules.values()
            if own not in listed or tool_hash(listed[own]) != tool_hash(self.listed[own])
        ]

    def _tool(self, called: str, own: str, rule: ServerTool) -> Tool:
        alone = rule.alone or ("no" if rule.effect == "read" else "run")
        paths = [self._folder / name for name in self.server.writes] if alone == "run" else []

        async def run(text: str, context: ToolContext) -> ToolResult:
            del context
            if self._owner is None:
                raise ToolError("the server is closed")
            arguments = arguments_of(text)
            async with leased(paths, rule.seconds):
                answer = await self._owner.call(own, arguments)
            return result_of(wire_name(called), answer, self._clean)

        listed = self.listed[own]
        spec = ToolSpec(
            name=wire_name(called),
            description=_described(listed.description or own),
            parameters=_parameters(own, listed.input_schema),
        )
        return Tool(
            spec,
            run,
            effect=rule.effect,
            seconds=rule.seconds,
            label=rule.label or self.server.label,
            stable=rule.stable,
            shared=rule.effect == "read",
            alone=alone,
            goes_to=self.name,
            price=rule.price,
            ask=rule.ask,
            version=f"{command_hash(self.server)} {tool_hash(listed)}",
            called=called,
            kit=self.name,
            check=partial(check_arguments, spec.parameters),
        )


def kits(task: Task, taken: Collection[str] = ()) -> tuple[ServerKit, ...]:
    """Return a kit for each server of a task. Raise `TaskError` for a server that cannot be used as it is written.

    `taken` are names of other kits.
    """
    problems = list(chain.from_iterable(_problems(name, server) for name, server in task.mcp.items()))
    words = "is the name of other tools; give the server another one"
    problems += [Problem(words, path=("mcp", name), on_key=True) for name in task.mcp if name in taken]
    if problems:
        document = task.origin
        raise TaskError(*(document.located(problems) if isinstance(document, Document) else map(_keyed, problems)))
    return tuple(ServerKit(name, server, task.folder, task.origin) for name, server in task.mcp.items())


def wire_name(called: str) -> str:
    """Return the name that models call a tool by: endpoints allow no dots."""
    return called.replace(".", "__", 1)


def _keyed(problem: Problem) -> Problem:
    return Problem(problem.message, key=".".join(map(str, problem.path)))


def _problems(name: str, server: Server) -> Iterator[Problem]:
    """Yield what is wrong with a server as it is written."""
    path = ("mcp", name)
    if (server.command is None) == (server.url is None):
        yield Problem("give either `command` or `url`", path=path)
    if server.command is not None and not "".join(server.command[:1]).strip():
        yield Problem("is empty; give a program and its arguments", path=(*path, "command"))
    if server.url is not None:
        yield from _address_problems(name, server.url)
    keys = ("headers",) if server.url is None else ("env", "reads", "writes", "network")
    other = "url" if server.url is None else "command"
    wanted = [key for key in keys if getattr(server, key)]
    yield from (Problem(f"belongs to a `{other}`", path=(*path, key), on_key=True) for key in wanted)
    yield from _name_problems(name, server)


def _address_problems(name: str, url: str) -> Iterator[Problem]:
    wrong = wrong_address(url)
    if wrong is None and not url.startswith(("http://", "https://")):
        wrong = "the address must begin with http:// or https://"
    if wrong is not None:
        yield Problem(wrong, path=("mcp", name, "url"))


def _name_problems(name: str, server: Server) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for own, rule in server.rules().items():
        path = ("mcp", name, "tools", own)
        wire = wire_name(f"{name}.{rule.as_ or own}")
        if len(wire) > WIRE_CHARACTERS or not all(c.isascii() and (c.isalnum() or c in "_-") for c in wire):
            what = f"models would call it {clip(wire)}, and names have letters, digits, `_`, `-`"
            yield Problem(f"{what}, maximum {WIRE_CHARACTERS}; give it another name with `as:`", path=path)
        elif wire in taken:
            yield Problem(f"has the name of {clip(taken[wire])}; give it another one with `as:`", path=path)
        else:
            taken[wire] = own


def _load() -> None:
    """Import the library in a thread: it takes a second."""
    import logging  # noqa: TID251 - the logger of the library is silenced, none is used

    import mcp.client.streamable_http

    assert mcp.client.streamable_http
    # Its tracebacks about broken servers are in our words elsewhere, and would otherwise reach the terminal.
    logger = logging.getLogger("mcp")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _described(text: str) -> str:
    """Return a server's description of a tool for prompts: it is the text of a third party."""
    return clip(safe_text(text).strip(), DESCRIPTION_CHARACTERS)


def _parameters(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a tool for prompts. Raise `ServerError` if no endpoint takes it."""
    parameters = {key: value for key, value in tidied(dict(schema)).items() if key != "$schema"}
    if parameters.setdefault("type", "object") != "object":
        raise ServerError(f"tools: the arguments of {clip(name)} are no object, which no endpoint takes")
    parameters.setdefault("properties", {})
    if problems := schema_problems(parameters):
        where = ".".join(map(str, problems[0].path))
        words = f"tools: the arguments of {clip(name)} have a schema that no endpoint takes"
        raise ServerError(f"{words}: {where}: {problems[0].message}")
    size = len(str(parameters))
    if size > SCHEMA_BYTES:
        raise ServerError(f"tools: the schema of {clip(name)} has {size:,} bytes; maximum {SCHEMA_BYTES:,}")
    return parameters
