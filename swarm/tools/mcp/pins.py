"""What a server was like when the user looked at it: hashes of its command and of each listed tool.

A pin names what changed, so it has a part for the command and one for each listed tool, sorted by
the server's name.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from swarm.base.values import digest
from swarm.spec.servers import Server

if TYPE_CHECKING:
    from mcp.types import Tool as ListedTool

PART = 16
"""Hexadecimal digits of a part."""
COMMAND = "its command"


def command_hash(server: Server) -> str:
    """Return the hash of what is started or reached."""
    return digest([list(server.command or ()), server.url or ""])[:PART]


def tool_hash(tool: "ListedTool") -> str:
    """Return the hash of what a server says of a tool."""
    return digest([tool.name, tool.description or "", tool.input_schema])[:PART]


def pin_of(server: Server, listed: Mapping[str, "ListedTool"]) -> str:
    """Return the pin of a server with these tools."""
    return "-".join([command_hash(server), *(tool_hash(listed[name]) for name in _names(server, listed))])


def changes(server: Server, listed: Mapping[str, "ListedTool"]) -> list[str]:
    """Return what differs from the pin of a server, by name; empty if nothing does or it has none."""
    if server.pin is None:
        return []
    pinned, now = server.pin.split("-"), pin_of(server, listed).split("-")
    if len(pinned) != len(now):
        return ["the list of its tools"]
    names = [COMMAND, *_names(server, listed)]
    return [name for name, old, new in zip(names, pinned, now, strict=True) if old != new]


def _names(server: Server, listed: Iterable[str]) -> list[str]:
    return sorted(name for name in server.tools if name in set(listed))
