"""What went wrong with a server, in one sentence: the causes are buried in groups of errors."""

from itertools import chain
from typing import cast

from swarm.base.redaction import safe_text
from swarm.base.text import clip

WORDS = 500
"""Maximum characters of the words of an error."""


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
    cause = causes[0]
    name = type(cause).__name__
    said = clip(safe_text(" ".join(str(cause).split())), WORDS)
    if name in ("ConnectError", "ConnectTimeout"):
        return f"nobody answers at its address: {said}"
    if name == "HTTPStatusError":
        return f"its address answers with an error: {said}"
    if said == "Connection closed":
        return "it ended, or closed the connection, before it answered"
    return said if name == "MCPError" else f"{name}: {said}"


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return list(chain.from_iterable(map(_causes, group.exceptions)))
    return [error]
