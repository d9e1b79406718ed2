"""`swarm mcp`: the swarm as an MCP server over its own pipes. Standard output carries the protocol and nothing else."""

import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.base.errors import Problem, SwarmError, TaskError
from swarm.base.version import __version__
from swarm.cli import options as o
from swarm.cli.failures import keep_trace, ours, save_anywhere
from swarm.cli.interrupts import Interrupts
from swarm.cli.streams import say
from swarm.lifecycle.options import Options

if TYPE_CHECKING:
    from swarm.lifecycle.opened import OpenedTask
    from swarm.lifecycle.served import ServedRuns

CHUNK = 4_096
"""Bytes of one write: what a pipe that can be written to always takes."""
MESSAGE_BYTES = 4_000_000
"""Maximum bytes of one message of the host."""
ENDS = 300
"""Bytes at each end of a message that is too long, in which its id is looked for."""
TICK_SECONDS = 0.1
"""Interval between two looks at signals."""
SIGNAL_GRACE = 1.5
"""Seconds from a signal to the end: clients kill a server 2 seconds after they asked it to end."""
TOTALS = ("tokens", "usd")

TaskFile = Annotated[
    str | None,
    typer.Option("--task", metavar="FILE", help="Task file below the current folder. [default: only default models]"),
]
Totals = Annotated[
    list[str] | None,
    typer.Option(
        "--total",
        metavar="NAME=VALUE",
        help="Limit of all runs of the server together, such as tokens=2_000_000. Repeatable. [names: tokens, usd] "
        "[default: what one run may take]",
    ),
]
AllRuns = Annotated[bool, typer.Option("--all-runs", help="Also show and resume runs that this server did not start.")]


def mcp(
    ctx: typer.Context,
    task: TaskFile = None,
    runs: o.Runs = None,
    limit: o.Limit = None,
    total: Totals = None,
    all_runs: AllRuns = False,
) -> int:
    """Serve swarm to an MCP host over stdin and stdout.

    The host's model gives goals and parameters, chooses among the inputs of the task by name, and can
    only lower limits. Models, tools, labels and agents come from the task. Ends when stdin does;
    runs are then interrupted and can be resumed.
    """
    import anyio

    from swarm.spec.files.overrides import typed_values

    totals = _totals(typed_values(o.pairs("--total", total)))
    options = o.in_folder(Options(limits=typed_values(o.pairs("--limit", limit))), runs)
    base = anyio.run(_checked, task, options, totals)
    interrupts: Interrupts = ctx.obj
    with interrupts.awaited(lambda: True):
        anyio.run(_serve, base, options, totals, all_runs, interrupts)
    return interrupts.exit_code if interrupts.received else 0


def _totals(given: dict[str, Any]) -> dict[str, float]:
    problems = [
        Problem(f"unknown or not a number above 0; totals are {' and '.join(TOTALS)}", key=f"--total {name[:80]}")
        for name, value in given.items()
        if name not in TOTALS or isinstance(value, bool) or not isinstance(value, int | float) or not value > 0
    ]
    if problems:
        raise TaskError(*problems)
    return given


async def _checked(name: str | None, options: Options, totals: dict[str, float]) -> "OpenedTask | None":
    """Read and check the task before the first message. Raise `TaskError` or `PlanError`."""
    from importlib.util import find_spec

    from swarm.lifecycle.opened import open_task
    from swarm.lifecycle.prepare import prepare
    from swarm.spec.task import Task
    from swarm.tools.mcp.faults import NOT_INSTALLED

    if find_spec("mcp") is None:
        raise TaskError(NOT_INSTALLED)
    if name is None:
        open_task(Task(goal="-"), options)  # the limits alone
        return None
    _check_place(name)
    opened = open_task(name, options)
    for server, settings in opened.task.mcp.items():
        if _is_this(settings.command or ()):
            words = "starts `swarm mcp`: a server must not call itself"
            raise TaskError(Problem(words, where=name, key=f"mcp.{server}.command"))
    bounded = opened.task
    if "usd" in totals and bounded.limits.usd is None:
        limits = bounded.limits.model_copy(update={"usd": totals["usd"]})
        bounded = bounded.model_copy(update={"limits": limits})
    await prepare(type(opened)(bounded, opened.source), replace(options, sends=False))
    return opened


def _check_place(name: str) -> None:
    """Raise `TaskError` for a task that is not below the folder in which the server was started."""
    if not Path(name).resolve().is_relative_to(Path().resolve()):
        raise TaskError(Problem("must be below the folder that the server was started in", where=name, key="--task"))


def _is_this(command: tuple[str, ...]) -> bool:
    """Return whether a command of a task starts this server."""
    words = [Path(word).name for word in command]
    return "mcp" in words[1:] and any(word in ("swarm", "swarm.cli", "swarm.exe") for word in words)


async def _serve(
    base: "OpenedTask | None", options: Options, totals: dict[str, float], every: bool, interrupts: Interrupts
) -> None:
    """Serve until stdin ends or a signal comes, then end all runs."""
    import anyio
    from mcp.server.stdio import stdio_server

    from swarm.lifecycle.served import LEAVING_SECONDS, ServedRuns

    wire = ProtocolPipes()
    async with anyio.create_task_group() as runs:
        served = ServedRuns(runs, base, options, totals, every=every)
        server = _server(served)
        async with anyio.create_task_group() as serving:
            serving.start_soon(_watch, interrupts, serving.cancel_scope)
            stdin: Any = wire.lines()
            stdout: Any = wire
            async with stdio_server(stdin, stdout) as (read, write):
                await server.run(read, write, server.create_initialization_options())
            serving.cancel_scope.cancel()
        await served.leave(SIGNAL_GRACE if interrupts.received else LEAVING_SECONDS)


async def _watch(interrupts: Interrupts, scope: Any) -> None:
    import anyio

    while not interrupts.received:  # noqa: ASYNC110 - a signal handler sets a flag, nothing else
        await anyio.sleep(TICK_SECONDS)
    scope.cancel()


def _server(served: "ServedRuns") -> Any:
    """Return the server of the protocol, with our tools."""
    import logging  # noqa: TID251 - the logger of the library is silenced, none is used

    import mcp_types as types
    from mcp.server.lowlevel.server import Server

    from swarm.cli.mcp_tools import TOOLS, answered, sentence

    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    by_name = {tool.name: tool for tool in TOOLS}

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        del ctx, params
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    description=tool.about,
                    input_schema=tool.arguments.model_json_schema(),
                    output_schema=tool.result.model_json_schema(),
                    annotations=types.ToolAnnotations(read_only_hint=True) if tool.is_read_only else None,
                )
                for tool in TOOLS
            ]
        )

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = by_name.get(params.name)
        if tool is None:
            wrong = TaskError(f"there is no tool {params.name[:80]!r}; there are {', '.join(by_name)}")
            return _refusal(types, wrong, sentence)
        try:
            found = await answered(served, tool, params.arguments, ctx.session.report_progress)
        except Exception as error:  # noqa: BLE001 - one request must not end the server
            return _refusal(types, error, sentence)
        shown = found.model_dump(mode="json")
        text = types.TextContent(type="text", text=found.model_dump_json(exclude_defaults=True))
        return types.CallToolResult(content=[text], structured_content=shown)

    about = "Answers questions with many agents in parallel. `check` is free, `plan` estimates, `run` answers."
    return Server("swarm", version=__version__, instructions=about, on_list_tools=list_tools, on_call_tool=call_tool)


def _refusal(types: Any, error: Exception, sentence: Any) -> Any:
    """Return an error as a result for the model: one sentence. The traceback of an internal one goes to a file."""
    inner = ours(error)
    words = sentence(inner) if isinstance(inner, SwarmError) else keep_trace(inner, save_anywhere).partition("\n")[0]
    return types.CallToolResult(content=[types.TextContent(type="text", text=words)], is_error=True)


class ProtocolPipes:
    """The pipes of the process, for the protocol alone: another reader of stdin finds its end, prints go to stderr.

    Reads and writes wait in the event loop, not in threads, so that nothing holds back the end of the process.
    """

    def __init__(self) -> None:
        self._in, self._out = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        sys.stdout.flush()
        os.dup2(2, 1)
        self._waiting = b""

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of stdin to its end."""
        import anyio

        rest = bytearray()
        dropped = 0
        while True:
            await _ready(anyio.wait_readable, self._in)
            chunk = os.read(self._in, 1 << 16)
            if not chunk:
                break
            start = len(rest)
            rest += chunk
            while (end := rest.find(b"\n", start)) >= 0:
                line, start = bytes(rest[:end]), 0
                del rest[: end + 1]
                if len(line) + dropped <= MESSAGE_BYTES:
                    yield line.decode("utf-8", "replace")
                else:
                    await self._refuse(line)
                dropped = 0
            if len(rest) > MESSAGE_BYTES:  # of a message that is too long only the ends are kept
                dropped += len(rest) - 2 * ENDS
                del rest[ENDS:-ENDS]
        if rest:
            yield rest.decode("utf-8", "replace")

    async def _refuse(self, line: bytes) -> None:
        """Answer a message that is too long with an error, if its id can be found."""
        from swarm.tools.mcp.pipes import error_for, id_of

        number = id_of(line)
        if number is not None:
            error = error_for(number, f"the message has more than {MESSAGE_BYTES:,} bytes")
            await self.write(f"{error.decode()}\n")
            await self.flush()

    async def write(self, text: str) -> None:
        """Take a text to be written by `flush`."""
        self._waiting += text.encode("utf-8", "replace")

    async def flush(self) -> None:
        """Write what waits. If nobody reads any more, drop it: the end of stdin follows."""
        import anyio

        while self._waiting:
            await _ready(anyio.wait_writable, self._out)
            try:
                written = os.write(self._out, self._waiting[:CHUNK])
            except OSError as error:
                say(f"note: nobody reads the answers any more: {error.strerror}")
                self._waiting = b""
                return
            self._waiting = self._waiting[written:]


async def _ready(wait: Any, stream: int) -> None:
    """Wait until a pipe is ready. A plain file always is, and cannot be waited for."""
    import anyio

    try:
        await wait(stream)
    except PermissionError:
        await anyio.lowlevel.checkpoint()
