"""An endpoint object of the calling program: what it returns and raises is checked, because it is not our code."""

from collections.abc import Awaitable
from pathlib import Path
from traceback import extract_tb
from typing import cast

from swarm.base.errors import AttemptError, EndpointRefused
from swarm.base.text import clip
from swarm.endpoints import Endpoint
from swarm.spec.chat import Reply, Request

MESSAGE_CHARACTERS = 500
"""Maximum characters of an exception's message in an error."""


class CustomEndpoint:
    """A wrapper around the caller's endpoint object."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.misuse = ""
        """Message if the object does not keep to the protocol. Empty as long as it does."""

    async def complete(self, request: Request) -> Reply:
        """Return the answer of the object.

        Raise `EndpointRefused` if it returns something else than a `Reply`, or raises an exception that is none of
        this package.
        """
        try:
            reply = cast("object", self._endpoint.complete(request))
            if isinstance(reply, Awaitable):
                reply = await cast("Awaitable[object]", reply)
        except AttemptError:
            raise
        except Exception as error:
            raise EndpointRefused(_raised(error), kind="endpoint") from error
        if isinstance(reply, Reply):
            return reply
        self.misuse = _returned(reply)
        raise EndpointRefused(self.misuse, kind="endpoint", stops=True)


def _returned(value: object) -> str:
    what = f"`complete` returned a value of type `{type(value).__name__}`; expected a `swarm.Reply`"
    return f"{what}\nhint: `swarm.testing.reply(text)` makes one of a text"


def _raised(error: Exception) -> str:
    """Return the words for an exception of the object, with the line that raised it."""
    frames = extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    words = clip(str(error), MESSAGE_CHARACTERS) or "no message"
    return f"the endpoint object raised {type(error).__name__}: {words}{place}"
