"""Endpoints whose answers a test defines."""

from collections.abc import Awaitable, Callable, Iterable

from swarm.base.values import Json, canonical
from swarm.spec.chat import Message, Reply, Request, Text, ToolCall, Usage

Answer = str | Reply | Exception


def reply(
    text: str = "",
    *,
    calls: Iterable[tuple[str, Json]] = (),
    usage: Usage | None = None,
) -> Reply:
    """Return a reply with a text and tool calls.

    `calls` are pairs of a tool's name and its arguments.
    """
    parts = (Text(text=text),) if text else ()
    tool_calls = tuple(
        ToolCall(id=f"call-{n}", name=name, arguments=canonical(arguments).decode())
        for n, (name, arguments) in enumerate(calls, 1)
    )
    return Reply(
        message=Message(role="assistant", parts=parts, tool_calls=tool_calls),
        finish="tool_calls" if tool_calls else "stop",
        usage=usage or Usage(calls=1, input_tokens=10, output_tokens=5),
        endpoint="scripted",
        model="scripted",
    )


class Scripted:
    """An endpoint with listed answers: a text, a `Reply`, or an exception to raise.

    With an `identity`, its answers are cached.
    """

    def __init__(self, *answers: Answer, identity: str | None = None) -> None:
        self.identity = identity
        """What tells it from other endpoints; see `swarm.run`."""
        self.requests: list[Request] = []
        """All requests, in order."""
        self._answers = list(answers)

    async def complete(self, request: Request) -> Reply:
        """Return the next answer. Raise `AssertionError` if none is left."""
        self.requests.append(request)
        if not self._answers:
            raise AssertionError(f"Scripted has no answer for request {len(self.requests)}; add one")
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else reply(answer)


class Function:
    """An endpoint that answers with a function of the request.

    The function may be async. It returns a text, a `Reply`, or an exception to raise. With an
    `identity`, its answers are cached.
    """

    def __init__(
        self, function: Callable[[Request], Answer | Awaitable[Answer]], *, identity: str | None = None
    ) -> None:
        self.identity = identity
        """What tells it from other endpoints; see `swarm.run`."""
        self.requests: list[Request] = []
        """All requests, in order."""
        self._function = function

    async def complete(self, request: Request) -> Reply:
        """Return the answer of the function."""
        self.requests.append(request)
        answer = self._function(request)
        if isinstance(answer, Awaitable):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else reply(answer)
