"""Endpoints that answer what a test tells them to."""

from collections.abc import Awaitable, Callable, Iterable

from swarm.base.values import Json, canonical
from swarm.spec.chat import Message, Reply, Request, Text, ToolCall, Usage

Answer = str | Reply | Exception


def reply(text: str = "", *, calls: Iterable[tuple[str, Json]] = (), usage: Usage | None = None) -> Reply:
    """Make a reply of words and tool calls, `calls` being pairs of a tool's name and its arguments."""
    tool_calls = tuple(
        ToolCall(id=f"call-{n}", name=name, arguments=canonical(arguments).decode())
        for n, (name, arguments) in enumerate(calls, 1)
    )
    return Reply(
        message=Message(role="assistant", parts=(Text(text=text),) if text else (), tool_calls=tool_calls),
        finish="tool_calls" if tool_calls else "stop",
        usage=usage or Usage(calls=1, input_tokens=10, output_tokens=5),
        endpoint="scripted",
        model="scripted",
    )


class Scripted:
    """Gives the listed answers in order: a text, a whole `Reply`, or an exception to raise."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[Request] = []
        """Every request it was given, in order."""
        self._answers = list(answers)

    async def complete(self, request: Request) -> Reply:
        """Give the next answer; an `AssertionError` when there is none left."""
        self.requests.append(request)
        if not self._answers:
            raise AssertionError(f"Scripted: request {len(self.requests)} has no answer left; give one more")
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else reply(answer)


class Function:
    """Gives what a function of the request returns: a text, a `Reply`, or an exception to raise; it may be async."""

    def __init__(self, function: Callable[[Request], Answer | Awaitable[Answer]]) -> None:
        self.requests: list[Request] = []
        """Every request it was given, in order."""
        self._function = function

    async def complete(self, request: Request) -> Reply:
        """Call the function."""
        self.requests.append(request)
        answer = self._function(request)
        if isinstance(answer, Awaitable):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else reply(answer)
