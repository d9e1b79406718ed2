"""`swarm tools`: the tools that a task grants, and what its servers offer. It starts them and calls nothing."""

import os
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.base.errors import Problem, TaskError
from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json, say

if TYPE_CHECKING:
    from swarm.base.values import Json
    from swarm.spec.task import Task
    from swarm.tools import Toolbox
    from swarm.tools.mcp.kit import ServerKit

OneTask = Annotated[str | None, typer.Argument(metavar="TASK", help="Task file.", show_default=False)]
Pin = Annotated[bool, typer.Option("--pin", help="Write what each server is like now into the task file.")]


def tools(task: OneTask = None, files: o.ToolFiles = None, pin: Pin = False, as_json: o.AsJson = False) -> int:
    """Show the tools that a task grants.

    Starts or reaches the MCP servers of the task and calls none of their tools. A server that does not
    start, or differs from its pin, is an error. With --pin, the pins in the task file are written anew;
    comments are kept.
    """
    import anyio

    from swarm.cli.source import source_of
    from swarm.lifecycle.tool_files import load_tools

    source = source_of([] if task is None else [task])
    if pin and source.text is not None:
        raise TaskError(Problem("needs a task file", key="--pin"))
    read = _read(source.name, source.text)
    given = load_tools(files)
    found = anyio.run(_look, _without_pins(read) if pin else read, given)
    if pin:
        for name, value in found["pins"].items():
            _write(source.name, name, value)
    if as_json:
        answer_json(found)
    else:
        answer("\n".join(_lines(found)))
    if pin:
        say(
            f"pinned: {', '.join(found['pins'])}" if found["pins"] else "nothing to pin: no tool of a server is granted"
        )
    return 0


def _read(name: str, text: str | None) -> "Task":
    """Read a task. API keys of models may be missing."""
    from swarm.cli.check import read_leniently
    from swarm.lifecycle.options import Options

    return read_leniently(name, Options(text=text)).opened.task


def _without_pins(task: "Task") -> "Task":
    servers = {name: server.model_copy(update={"pin": None}) for name, server in task.mcp.items()}
    return task.model_copy(update={"mcp": servers})


async def _look(task: "Task", given: Any) -> "dict[str, Json]":
    """Open the tools of a task and describe them. Raise `TaskError`."""
    from swarm.base.redaction import Redactor
    from swarm.lifecycle.grants import toolbox
    from swarm.lifecycle.wiring import open_box
    from swarm.spec.files import load_agents, secrets_of

    box = toolbox(given, task)
    roles = {name: agent.tools for name, agent in load_agents(task).items()}
    failed: TaskError | None = None
    found: dict[str, Json] = {}
    with TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            try:
                await open_box(box, Path(folder), Redactor(secrets_of(task)).clean, stack, say)
                found = _found(box, roles, by_default=task.asks_about_tools)
            except TaskError as error:  # raised below: the stack would put it into a group
                failed = error
    if failed is not None:
        raise failed
    return found


def _found(box: "Toolbox", roles: "dict[str, Any]", *, by_default: bool) -> "dict[str, Json]":
    from swarm.tools.mcp import sandbox
    from swarm.tools.mcp.pins import pin_of

    servers: list[ServerKit] = [kit for kit in box.kits if kit.section == "mcp"]  # type: ignore[misc]  # the section's kits
    rows: list[Json] = []
    for tool in box.tools:
        size = len(tool.spec.model_dump_json().encode())
        has = [name for name, granted in roles.items() if _grants(box, granted, tool.name)]
        rows.append(
            {
                "name": tool.name,
                "effect": tool.effect,
                "goes_to": tool.destination,
                "label": tool.label,
                "asks": tool.asks(by_default=by_default),
                "stable": tool.is_stable,
                "bytes": size,
                "roles": has,
            }
        )
    return {
        "tools": rows,
        "not_listed": {kit.prefix: sorted(set(kit.listed) - set(kit.server.tools)) for kit in servers},
        "pins": {kit.prefix: pin_of(kit.server, kit.listed) for kit in servers},
        "sandbox": sandbox.program(),
    }


def _grants(box: "Toolbox", granted: "tuple[str, ...]", name: str) -> bool:
    return any(entry in ("*", name) or name in box.groups.get(entry, ()) for entry in granted)


def _write(name: str, server: str, value: str) -> None:
    """Write the pin of a server into the task file, at once or not at all."""
    from swarm.spec.yaml.edit import with_entry
    from swarm.spec.yaml.strict import parse, read_file

    path = Path(name)
    text = with_entry(parse(read_file(path), source=name), ("mcp", server), "pin", value)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        made.write_text(text, encoding="utf-8")
        made.chmod(path.stat().st_mode & 0o777)
        made.replace(path)
    except OSError as error:
        with suppress(OSError):
            made.unlink()
        raise TaskError(Problem(f"cannot be written: {error.strerror}", where=name)) from None


def _lines(found: "dict[str, Json]") -> list[str]:
    lines = [_line(each) for each in found["tools"]] or ["The task grants no tools."]
    for server, names in found["not_listed"].items():
        if names:
            lines.append(f"{server} also offers, not listed in the task: {', '.join(names)}")
    if found["pins"]:
        lines.append(f"sandbox: {found['sandbox'] or 'none; bubblewrap is not installed'}")
    return lines


def _line(tool: "dict[str, Json]") -> str:
    facts = [tool["effect"], "stable" if tool["stable"] else "not stable", f"{tool['bytes']:,} bytes in each prompt"]
    if tool["goes_to"]:
        facts.append(f"sends to {tool['goes_to']}")
    if tool["asks"]:
        facts.append("asks before each call")
    if tool["label"]:
        facts.append(f"gives {tool['label']} data")
    facts.append(f"for {', '.join(tool['roles']) or 'no agent'}")
    return f"{tool['name']}: {'; '.join(facts)}"
