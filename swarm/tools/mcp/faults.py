"""What went wrong with a server, in one sentence: the causes are buried in groups of errors."""

from itertools import chain
from typing import cast

from pydantic import ValidationError

from swarm.base.redaction import safe_text
from swarm.base.text import clip

WORDS = 500
"""Maximum characters of the words of an error."""
BROKEN = "it broke the protocol"
NOT_INSTALLED = 'the package mcp is not installed\nhint: install it: pip install "local-agent-swarm[mcp]"'


class ServerError(Exception):
    """A fault of a server or its connection, worded for people."""


def words_of(error: BaseException) -> str:
    """Return the cause of an error in one sentence."""
    causes = [cause for cause in _causes(error) if str(cause) or isinstance(cause, OSError)]
    first = next((cause for cause in causes if isinstance(cause, ServerError)), None)
    if first is not None:
        return str(first)
    if not causes:
        return f"the connection broke ({type(error).__name__})"
    return _worded(causes[0])


def _worded(cause: BaseException) -> str:
    """Return the words of one error."""
    if isinstance(cause, ValidationError):
        return f"{BROKEN}: {_first(cause)}"
    name = type(cause).__name__
    said = clip(safe_text(" ".join(str(cause).split())), WORDS)
    if said == "Connection closed":
        return "it ended, or closed the connection, before it answered"
    begin = _BEGINNINGS.get(name, name)
    return f"{begin}: {said}" if begin else said


_BEGINNINGS = {
    "ConnectError": "nobody answers at its address",
    "ConnectTimeout": "nobody answers at its address",
    "HTTPStatusError": "its address answers with an error",
    "MCPError": "",
}
"""What is said before the words of an error, by its class; for others it is the name of the class."""


def _first(error: ValidationError) -> str:
    """Return where an answer is wrong first, and why."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"]))
    return clip(f"{where}: {found['msg']}" if where else found["msg"], WORDS)


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return list(chain.from_iterable(map(_causes, group.exceptions)))
    return [error]
