"""MCP servers of a task: what is started or reached, and which of its tools the user lets in, with what effect.

A tool that is not listed is not there. Its effect is the user's word: what a server says about its
own tools decides nothing.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from swarm.base.values import Frozen, Id

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
"""Name of a server. It begins the names of its tools, which have maximum 64 characters."""
WireName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Name that endpoints accept for a tool."""
ServerEffect = Literal["read", "write", "exec", "network"]


class ServerTool(Frozen):
    """A tool of an MCP server, with settings."""

    effect: ServerEffect
    """The most that it does outside of the run."""
    as_: Annotated[WireName | None, Field(alias="as")] = None
    """Another name for it. [default: the server's]"""
    stable: bool = False
    """The same arguments give the same result, and nothing outside of the run changes: then steps
    that called it are kept in the cache. [default: false]"""
    alone: Literal["no", "step", "run"] | None = None
    """Which calls wait for a call: none, those of its turn, or also those of other steps. [default:
    `no` for `read`, else `run`]"""
    label: Id | None = None
    """Label of its results. [default: that of the server]"""
    ask: bool | None = None
    """Whether a person must allow each call. [default: as `approve` of the task says]"""
    price: float = Field(default=0.0, ge=0)
    """US dollars per call. [default: 0]"""
    seconds: float = Field(default=60.0, gt=0, le=86_400)
    """Maximum seconds per call. [default: 60]"""


class Server(Frozen):
    """An MCP server: a command that speaks over its pipes, or the URL of one that runs."""

    command: tuple[str, ...] | None = None
    """Program and its arguments, started in the task's folder without a shell. Example: `[node,
    server.js, ./data]`."""
    url: str | None = None
    """Address of a server with streamable HTTP, instead of `command`. Example:
    `http://127.0.0.1:9000/mcp`."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers for `url`, sent to its origin only. Example: `{Authorization: "Bearer ${TOKEN}"}`."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment of `command`, in addition to PATH and HOME. Example: `{TOKEN: "${NOTES_TOKEN}"}`."""
    reads: tuple[str, ...] = ()
    """Files and folders that the command may read, relative to the task file. Example: `[./data]`."""
    writes: tuple[str, ...] = ()
    """Files and folders that the command may change. Example: `[./notes]`."""
    tools: dict[str, ServerEffect | ServerTool] = Field(min_length=1)
    """Its tools that the run may use, by the server's names, with their effect or settings. Example:
    `{search: read}`."""
    label: Id | None = None
    """Label of everything that it gives. [default: none]"""
    pin: str | None = None
    """Hashes of command and tools, which `swarm tools TASK --pin` writes. A server that differs is
    an error. [default: none]"""
    box: bool = True
    """Run `command` in a sandbox. `false`: it can read and write what you can. [default: true]"""
    network: bool = False
    """Let the sandbox reach the network. [default: false]"""

    def rules(self) -> dict[str, ServerTool]:
        """Return the settings of each listed tool, by the server's name for it."""
        return {
            name: rule if isinstance(rule, ServerTool) else ServerTool(effect=rule) for name, rule in self.tools.items()
        }
