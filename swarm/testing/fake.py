"""A chat endpoint on loopback whose answers and faults a test defines.

It uses real sockets and HTTP/1.1, on asyncio and on trio. In a test:

    async with FakeServer("first answer", Answer(status=429)) as server:
        ...  # server.url, server.requests, server.peak

For programs in other processes, run `python -m swarm.testing.server --delay 1.0`. It prints its
address.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.utils import formatdate
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

import anyio
import anyio.abc

from swarm.base.values import Json, canonical

HEAD_BYTES = 65_536
"""Maximum bytes of a request's head, and bytes per read."""


_USAGE: Mapping[str, Json] = MappingProxyType(
    {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
    }
)
"""The default usage of an answer."""


@dataclass(frozen=True)
class Answer:
    """The answer of the server to one request."""

    text: str = "ok"
    """The text of the answer."""
    calls: tuple[tuple[str, Json], ...] = ()
    """Tool calls: name and arguments."""
    finish: str | None = None
    """The `finish_reason`. [default: `tool_calls` if there are calls, else `stop`]"""
    usage: Json = field(default_factory=lambda: {**_USAGE})
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Additional headers. They replace default headers of the same name."""
    body: bytes | Json = None
    """The body in place of a completion: bytes, or JSON."""
    message: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Additional fields of the message."""
    delay: float | None = None
    """Seconds before the answer starts. [default: the delay of the server]"""
    pieces: tuple[bytes, ...] | None = None
    """The whole response with its head, sent piece by piece, in place of all fields above."""
    pause: float = 0.0
    """Seconds between two pieces."""
    then: Literal["keep", "close", "reset", "hang"] = "keep"
    """State of the connection after the answer."""


@dataclass(frozen=True)
class Received:
    """A request that the server received."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    """The body."""

    @property
    def body(self) -> Any:
        """The body as JSON."""
        return json.loads(self.raw)


Scripted = str | Answer
Respond = Callable[[Received], "Scripted | Awaitable[Scripted]"]


def error(
    message: str,
    *,
    code: str | int | None = None,
    kind: str | None = None,
) -> dict[str, Json]:
    """Return an error object as most endpoints send it, for `Answer.body`."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def completion(answer: Answer, *, model: str) -> dict[str, Json]:
    """Return an answer as a completion."""
    message: dict[str, Json] = {"role": "assistant", "content": answer.text, **answer.message}
    if answer.calls:
        message["tool_calls"] = _tool_calls(answer.calls)
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
        "usage": answer.usage,
    }


def chunks(answer: Answer, *, model: str) -> list[dict[str, Json]]:
    """Return an answer as the chunks of a stream: a few words per chunk, and the usage last."""
    words = answer.text.split(" ")
    groups = [" ".join(words[n : n + 4]) for n in range(0, len(words), 4)]
    deltas: list[dict[str, Json]] = [{"role": "assistant", "content": "", **answer.message}]
    deltas += [{"content": group if n == 0 else f" {group}"} for n, group in enumerate(groups) if group]
    calls = _tool_calls(answer.calls)
    deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(calls)]
    frame: dict[str, Json] = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
    }
    choices: list[dict[str, Json]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": _finish(answer)})
    written: list[dict[str, Json]] = [{**frame, "choices": [choice]} for choice in choices]
    return [*written, {**frame, "choices": [], "usage": answer.usage}]


def _tool_calls(calls: Iterable[tuple[str, Json]]) -> list[dict[str, Json]]:
    functions: list[dict[str, Json]] = [
        {"name": name, "arguments": canonical(arguments).decode()} for name, arguments in calls
    ]
    return [{"id": f"t{n}", "type": "function", "function": function} for n, function in enumerate(functions, 1)]


def _finish(answer: Answer) -> str:
    return answer.finish or ("tool_calls" if answer.calls else "stop")


def http(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return an HTTP response. `headers` replace default headers of the same name."""
    usual = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "date": formatdate(usegmt=True),
    }
    lines = {**usual, **{name.lower(): value for name, value in (headers or {}).items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + body


def sse(events: Iterable[Json | bytes], *, done: bool = True) -> bytes:
    """Return events of a stream: JSON values, or bytes unchanged."""
    written = [_sse_event(event) for event in events]
    return b"".join(written) + (b"data: [DONE]\n\n" if done else b"")


def _sse_event(event: Json | bytes) -> bytes:
    return event if isinstance(event, bytes) else b"data: " + canonical(event) + b"\n\n"


STREAM_HEAD = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
"""The head of a streamed response, for `Answer.pieces`."""


def piece(data: bytes) -> bytes:
    """Return one piece of a chunked body. An empty piece ends the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class FakeServer:
    """A chat endpoint on 127.0.0.1. Use it with `async with`.

    It sends the `answers` in order and repeats the last one, or answers with `respond`. `models` is
    the answer to `GET /v1/models`, by default a list of its `model`.
    """

    def __init__(
        self,
        *answers: Scripted,
        respond: Respond | None = None,
        delay: float = 0.0,
        model: str = "fake",
        models: Answer | None = None,
        port: int = 0,
    ) -> None:
        self.requests: list[Received] = []
        """All requests for a completion, in order of arrival."""
        self.listed = 0
        """Number of requests for the list of models."""
        self.connections = 0
        """Number of accepted connections."""
        self.in_flight = 0
        """Number of requests that are not answered yet."""
        self.peak = 0
        """Maximum number of requests in flight."""
        self._answers = [_scripted(answer) for answer in answers or ("ok",)]
        self._respond = respond
        self._delay = delay
        self._model = model
        listed = {"object": "list", "data": [{"id": model, "object": "model"}]}
        self._models = models or Answer(body=listed, delay=0.0)
        self._port = port
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._port)
        self._port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - of a socket, not of a database
        await self._stack.__aenter__()
        await self._stack.enter_async_context(listener)
        group = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(group.cancel_scope.cancel)
        group.start_soon(listener.serve, self._serve)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(None, None, None)  # an error of the block is not wrapped in a group

    async def _serve(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        rest = b""
        async with stream:
            try:
                while True:
                    rest = rest or await stream.receive(HEAD_BYTES)
                    if not rest[:1].isalpha():  # a client that speaks TLS, for example
                        return await stream.send(http(400, b"this is HTTP", {"connection": "close"}))
                    received, rest = await _receive(stream, rest)
                    if not await self._answer(stream, received):
                        return None
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return None

    async def _answer(self, stream: anyio.abc.SocketStream, received: Received) -> bool:
        """Answer one request, and return whether the connection stays open."""
        if received.path.endswith("/models"):
            self.listed += 1
            return await self._give(stream, received, self._models)
        self.requests.append(received)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._give(stream, received, await self._choose(received))
        finally:
            self.in_flight -= 1

    async def _give(self, stream: anyio.abc.SocketStream, received: Received, answer: Answer) -> bool:
        delay = self._delay if answer.delay is None else answer.delay
        if delay:
            await anyio.sleep(delay)
        for n, part in enumerate(self._pieces(answer, received)):
            if n and answer.pause:
                await anyio.sleep(answer.pause)
            await stream.send(part)
        if answer.then == "hang":
            await anyio.sleep_forever()
        if answer.then == "reset":
            _reset(stream)
        return answer.then == "keep"

    async def _choose(self, received: Received) -> Answer:
        if self._respond is None:
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        chosen = self._respond(received)
        if isinstance(chosen, Awaitable):
            chosen = await chosen
        return _scripted(chosen)

    def _pieces(self, answer: Answer, received: Received) -> tuple[bytes, ...]:
        if answer.pieces is not None:
            return answer.pieces
        if answer.body is not None:
            body = answer.body
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            return (http(answer.status, raw, answer.headers),)
        if answer.status != 200:
            raw = canonical(error(f"status {answer.status}"))
            return (http(answer.status, raw, answer.headers),)
        if b'"stream":true' not in received.raw.replace(b": ", b":"):
            raw = json.dumps(completion(answer, model=self._model)).encode()
            return (http(200, raw, answer.headers),)
        pieces = [piece(sse([chunk], done=False)) for chunk in chunks(answer, model=self._model)]
        return (STREAM_HEAD, *pieces, piece(sse([])), piece(b""))


def _scripted(answer: Scripted) -> Answer:
    return Answer(answer) if isinstance(answer, str) else answer


async def _receive(stream: anyio.abc.SocketStream, rest: bytes) -> tuple[Received, bytes]:
    """Return one request, and the bytes after it, which belong to the next."""
    while (end := rest.find(b"\r\n\r\n")) < 0:
        if len(rest) > HEAD_BYTES:
            raise anyio.EndOfStream
        rest += await stream.receive(HEAD_BYTES)
    first, *lines = rest[:end].decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = bytearray(rest[end + 4 :])
    size = int(headers.get("content-length", "0"))
    while len(body) < size:
        body += await stream.receive(HEAD_BYTES)
    method, path, _ = first.split(" ", 2)
    return Received(method, path, headers, bytes(body[:size])), bytes(body[size:])


def _reset(stream: anyio.abc.SocketStream) -> None:
    """Let the connection end with a TCP reset: a linger time of zero drops unsent bytes."""
    import socket
    import struct

    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - of a socket, not of a database
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
