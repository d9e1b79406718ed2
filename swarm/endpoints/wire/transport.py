"""HTTP to one origin: many cheap connections, and strict rules for what leaves and what comes back.

`Connections` speaks HTTP/1.1 over anyio with h11. The client library's pool walks all its
connections twice per request, which takes most of the time of a call. Here an idle connection is
taken from the end of a queue, however many there are, and a request leaves in one piece. There is
no limit of connections: callers limit their calls.

`OneOrigin` decides what leaves: an explicit list of headers, to one origin. It adds the key, so
that no object of the library above, and none of its exceptions, ever holds the key. It also decides
what comes back: bodies are capped. Plain bytes are requested; a body that is compressed all the
same is unpacked within the cap, because a few kilobytes that unpack to gigabytes are an attack.
"""

import select
from collections import deque
from contextlib import suppress
from ssl import SSLContext
from typing import Self

import anyio
import anyio.abc
import h11
import httpx2

from swarm.base.proxy import proxy_for
from swarm.endpoints.wire.connecting import Leaving, leaving
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.inflate import Inflated
from swarm.endpoints.wire.shapes import BadAnswer
from swarm.endpoints.wire.sse import is_stream

BODY_BYTES = 8_000_000
"""Maximum bytes of an answer: a million tokens of text, far above any output cap."""
STREAM_BYTES = 64_000_000
"""Maximum bytes of a stream, whose frame is ten times its text, and of an answer with audio."""
HEAD_BYTES = 100_000
"""Maximum bytes of the status line and headers of an answer."""
READ_BYTES = 65_536
"""Maximum bytes of one read from a socket."""
CONNECT_SECONDS = 20.0
"""Seconds to connect. A burst of a thousand connections fits, also on a slow core."""
KEEP_SECONDS = 60.0
"""Seconds for which an idle connection is kept. Servers close theirs after 5 to 75 s; a closed one
is detected before use."""

_SENT = frozenset(
    {
        b"host",
        b"accept",
        b"content-type",
        b"content-length",
        b"transfer-encoding",
        b"traceparent",
    }
)
"""Headers that are sent unchanged. The client library would send two dozen, some of them from the
environment."""


def open_transport(
    origin: str,
    *,
    key: str | None,
    agent: str,
    most: int = BODY_BYTES,
) -> httpx2.AsyncBaseTransport:
    """Return the transport to one origin: our own connections, or the library's if a proxy is set.

    `most` is the maximum number of bytes of an answer that is not streamed.
    """
    context = httpx2.create_ssl_context() if origin.startswith("https") else None
    proxy = proxy_for(origin)
    if proxy is None:
        return OneOrigin(origin, Connections(origin, context), key=key, agent=agent, most=most)
    limits = httpx2.Limits(
        max_connections=None,
        max_keepalive_connections=None,
        keepalive_expiry=KEEP_SECONDS,
    )
    inner = httpx2.AsyncHTTPTransport(
        verify=context or False,
        limits=limits,
        proxy=proxy,
        trust_env=False,
    )
    return OneOrigin(origin, inner, key=key, agent=agent, most=most)


class OneOrigin(httpx2.AsyncBaseTransport):
    """Sender to one origin: selects the headers, adds the key, and checks the answer."""

    def __init__(
        self,
        origin: str,
        inner: httpx2.AsyncBaseTransport,
        *,
        key: str | None,
        agent: str,
        most: int = BODY_BYTES,
    ) -> None:
        self._origin = _place(httpx2.URL(origin))
        self._inner = inner
        self._most = most
        self._own: list[tuple[bytes, bytes]] = [
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", agent.encode()),
        ]
        if key:
            self._own.append((b"Authorization", b"Bearer " + key.encode()))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raise `BadAnswer` for another origin."""
        if _place(request.url) != self._origin:
            raise BadAnswer(Fault(kind="redirect", text=f"to {request.url.host}"))
        kept = [(name, value) for name, value in request.headers.raw if name.lower() in _SENT]
        stripped = httpx2.Request(
            request.method,
            request.url,
            headers=kept + self._own,
            stream=request.stream,
            extensions=request.extensions,
        )
        response = await self._inner.handle_async_request(stripped)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        label = response.headers.pop("content-encoding", "")
        response.stream = _Body(response.stream, Inflated(label, self._most))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()


def _place(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


class _Body(httpx2.AsyncByteStream):
    """A body with a maximum size, whose generators are closed if it is left half read."""

    def __init__(self, inner: httpx2.AsyncByteStream, plain: Inflated) -> None:
        self._inner = inner
        self._chunks = aiter(inner)
        self._plain = plain
        self._start = b""
        self._known = False
        """Whether the bytes have told if the body is a stream."""
        self._open = True
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        while True:
            try:
                data = await anext(self._chunks)
            except StopAsyncIteration:
                self._ended = True
                rest = self._plain.end()
                if rest:
                    return rest
                raise
            except BaseException:  # also a cancellation: the generators have ended, and closed theirs
                self._ended = True
                raise
            chunk = self._plain.feed(data)  # counted as it arrives: `Content-Length` may be absent or wrong
            if chunk:
                self._look(chunk)
                return chunk

    def _look(self, chunk: bytes) -> None:
        """Raise the maximum if the first bytes are those of a stream."""
        if self._known:
            return
        self._start += chunk
        streamed = is_stream(self._start)
        self._known = streamed is not None
        if streamed:
            self._plain.most = STREAM_BYTES

    async def aclose(self) -> None:
        if not self._open:
            return
        self._open = False
        if not self._ended:
            # If a body is left half read, nothing closes the library's generators, and trio warns
            # about each. A cancelled read runs through all of them and closes the connection.
            with anyio.CancelScope() as scope:
                scope.cancel()
                async for _ in self._chunks:
                    pass
        await self._inner.aclose()


class Connections(httpx2.AsyncBaseTransport):
    """Connections to one origin, with one call at a time each. The last one used is used next."""

    def __init__(self, origin: str, context: SSLContext | None) -> None:
        url = httpx2.URL(origin)
        self._host = url.host
        self._port = url.port or (80 if context is None else 443)
        self._context = context
        self._idle: deque[_Connection] = deque()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the head of its answer. The caller reads the body."""
        connection = await self._take()
        try:
            head = await connection.exchange(request, await request.aread())
        except BaseException as error:
            # Also after a cancellation: the answer may still arrive, so no other call may use this
            # connection. `drop` does not wait, so it needs no shield.
            await connection.drop()
            if isinstance(error, h11.ProtocolError):
                raise httpx2.RemoteProtocolError(str(error)) from error
            raise
        return httpx2.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Read(connection, self),
        )

    async def _take(self) -> "_Connection":
        """Return an idle connection that is still usable, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_good():
                return connection
            await connection.drop()
        call = leaving.get() or Leaving()
        call.connects = True
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                connection = _Connection(await self._connect())
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no connection within {CONNECT_SECONDS:g} s") from error
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise httpx2.ConnectError(str(error)) from error
        call.connects = False
        return connection

    async def _connect(self) -> anyio.abc.ByteStream:
        if self._context is None:
            return await anyio.connect_tcp(self._host, self._port)
        return await anyio.connect_tcp(
            self._host,
            self._port,
            ssl_context=self._context,
            tls_standard_compatible=False,  # many servers close without the closing handshake
        )

    async def put_back(self, connection: "_Connection") -> None:
        """Keep a connection for the next call if it is reusable. Close those idle for long."""
        if connection.is_reusable():
            self._idle.append(connection)
        else:
            await connection.drop()
        oldest = anyio.current_time() - KEEP_SECONDS
        while self._idle and self._idle[0].idle_since < oldest:
            await self._idle.popleft().drop()

    async def aclose(self) -> None:
        """Close every idle connection. A busy one is closed by its call."""
        while self._idle:
            await self._idle.pop().drop()


class _Connection:
    """One connection and the state of its call."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.idle_since = 0.0
        self._stream = stream
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        of_socket = anyio.abc.SocketAttribute.raw_socket
        self._socket = stream.extra(of_socket)  # noqa: S610 - a socket, not a database

    def is_good(self) -> bool:
        """Return whether an idle connection is usable. A byte to read on it can only be its end."""
        ready = select.poll()
        ready.register(self._socket.fileno(), select.POLLIN)
        return not ready.poll(0) and anyio.current_time() - self.idle_since < KEEP_SECONDS

    def is_reusable(self) -> bool:
        """Return whether both sides have finished the call; if so, prepare the next one."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        if self._state.trailing_data[0]:  # an answer to no request must not answer the next one
            return False
        self._state.start_next_cycle()
        self.idle_since = anyio.current_time()
        return True

    async def exchange(self, request: httpx2.Request, body: bytes) -> h11.Response:
        """Send a request in one piece. Return the head of the answer."""
        head = h11.Request(
            method=request.method,
            target=request.url.raw_path,
            headers=request.headers.raw,
        )
        data = self._state.send(head) or b""
        if body:
            data += self._state.send(h11.Data(data=body)) or b""
        data += self._state.send(h11.EndOfMessage()) or b""
        with suppress(anyio.BrokenResourceError):  # a server that refused early may have answered
            await self._stream.send(data)
        while True:
            event = await self.event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx2.RemoteProtocolError(
                    "the server closed the connection without an answer",
                )

    async def event(self) -> h11.Event | type[h11.PAUSED]:
        """Return the next event of the protocol; read from the socket until there is one."""
        while True:
            event = self._state.next_event()
            if event is not h11.NEED_DATA:
                assert event is h11.PAUSED or isinstance(event, h11.Event)
                return event
            try:
                data = await self._stream.receive(READ_BYTES)
            except anyio.EndOfStream:
                data = b""
            except (anyio.BrokenResourceError, OSError) as error:
                raise httpx2.ReadError(str(error) or "the connection was lost") from error
            self._state.receive_data(data)

    async def drop(self) -> None:
        """Close it immediately, without a closing handshake."""
        await anyio.aclose_forcefully(self._stream)


class _Read(httpx2.AsyncByteStream):
    """The body of an answer, read as it arrives."""

    def __init__(self, connection: _Connection, connections: Connections) -> None:
        self._connection = connection
        self._connections = connections
        self._open = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            event = await self._connection.event()
        except h11.RemoteProtocolError as error:
            raise httpx2.RemoteProtocolError(str(error)) from error
        if isinstance(event, h11.Data):
            return bytes(event.data)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            # After a cancelled read this drops the connection: its answer has not been read.
            await self._connections.put_back(self._connection)
