"""Tools: what a model may call, and the toolbox that checks the right to call it.

A call names a tool. Whether the tool runs depends on the tools that the attempt was granted, and
on the labels that the attempt carries. A prompt or the text of a model cannot change either.

kinds       what a tool is, and what it gives: Tool, ToolContext, ToolResult
place       what the attempt of a call has: Place
kit         tools with one lifetime, that of the run: Kit
box         the tools of a run: Toolbox
functions   tools made of Python functions: `@tool`
offered     the kits that a task can name
"""

from swarm.tools.box import RESULT_BYTES, Toolbox
from swarm.tools.kinds import DEADLINE_SECONDS, Alone, Effect, Tool, ToolContext, ToolResult, made_file, words
from swarm.tools.kit import Kit, Offer, Opening
from swarm.tools.place import Place

__all__ = [
    "DEADLINE_SECONDS",
    "RESULT_BYTES",
    "Alone",
    "Effect",
    "Kit",
    "Offer",
    "Opening",
    "Place",
    "Tool",
    "ToolContext",
    "ToolResult",
    "Toolbox",
    "made_file",
    "words",
]
