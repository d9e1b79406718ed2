"""The HTTP under the endpoint: many cheap connections to one origin, and nothing that surprises.

`Connections` speaks HTTP/1.1 over anyio with h11. The pool that the client library brings walks all its connections
twice a request and spends most of a call's time; here an idle connection is taken from the end of a queue, whatever
their number, and a request leaves in one piece. There is no bound on connections: callers bound their calls.

`OneOrigin` decides what leaves and what comes back. What leaves is an explicit list of headers, to one origin; the key
is added here, so that no object of the library above, and none of its exceptions, ever holds it. What comes back is
capped, and refused where it is compressed: plain bytes were asked for, and a few kilobytes that unpack to gigabytes are
an attack.
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

from swarm.base.network import proxy_for
from swarm.endpoints.wire.answers import BadAnswer
from swarm.endpoints.wire.faults import Fault

BODY_BYTES = 8_000_000
"""Most bytes of an answer: a million tokens of text, far above any output cap."""
STREAM_BYTES = 64_000_000
"""Most bytes of a stream, whose frame is ten times its text, and of an answer with sound."""
HEAD_BYTES = 100_000
"""Most bytes of an answer's head."""
READ_BYTES = 65_536
CONNECT_SECONDS = 20.0
"""A burst of a thousand connections is made within it, even on a slow core; no host that is there takes longer."""
KEEP_SECONDS = 60.0
"""How long an idle connection is kept; servers close theirs after 5 to 75 s, and a closed one is noticed before use."""

_SENT = frozenset({b"host", b"accept", b"content-type", b"content-length", b"transfer-encoding", b"traceparent"})
"""Headers that leave as they are; the client library would send two dozen, some of them out of the environment."""


def open_transport(origin: str, *, key: str | None, agent: str, most: int = BODY_BYTES) -> httpx2.AsyncBaseTransport:
    """Make the transport to one origin: our own connections, or the library's where a proxy is between.

    `most` caps the bytes of an answer that is not streamed.
    """
    context = httpx2.create_ssl_context() if origin.startswith("https") else None
    proxy = proxy_for(origin)
    if proxy is None:
        return OneOrigin(origin, Connections(origin, context), key=key, agent=agent, most=most)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_SECONDS)
    inner = httpx2.AsyncHTTPTransport(verify=context or False, limits=limits, proxy=proxy, trust_env=False)
    return OneOrigin(origin, inner, key=key, agent=agent, most=most)


class OneOrigin(httpx2.AsyncBaseTransport):
    """Sends requests to one origin, with the headers that are wanted and the key, and checks what comes back."""

    def __init__(
        self, origin: str, inner: httpx2.AsyncBaseTransport, *, key: str | None, agent: str, most: int = BODY_BYTES
    ) -> None:
        self._origin = _place(httpx2.URL(origin))
        self._inner = inner
        self._most = most
        self._own: list[tuple[bytes, bytes]] = [(b"Accept-Encoding", b"identity"), (b"User-Agent", agent.encode())]
        if key:
            self._own.append((b"Authorization", b"Bearer " + key.encode()))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to this origin, and to no other."""
        if _place(request.url) != self._origin:
            raise BadAnswer(Fault(kind="redirect", text=f"to {request.url.host}"))
        headers = [(name, value) for name, value in request.headers.raw if name.lower() in _SENT] + self._own
        stripped = httpx2.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )
        response = await self._inner.handle_async_request(stripped)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        streamed = response.headers.get("content-type", "").startswith("text/event-stream")
        body = _Body(response.stream, STREAM_BYTES if streamed else self._most)
        if response.headers.get("content-encoding", "identity") == "identity":
            response.stream = body
            return response
        await body.aclose()
        if response.is_success:
            raise BadAnswer(Fault(status=200, kind="malformed", text="compressed, and plain bytes were asked for"))
        del response.headers["content-encoding"]
        return httpx2.Response(response.status_code, headers=response.headers, content=b"")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()


def _place(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


class _Body(httpx2.AsyncByteStream):
    """A body that is cut off at its cap, and whose reading is unwound where it is left half read."""

    def __init__(self, inner: httpx2.AsyncByteStream, most: int) -> None:
        self._inner = inner
        self._chunks = aiter(inner)
        self._left = most
        self._most = most
        self._open = True
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except BaseException:
            self._ended = True
            raise
        self._left -= len(chunk)
        if self._left < 0:
            raise BadAnswer(Fault(status=200, kind="too_large_response", text=f"over {self._most} bytes"))
        return chunk

    async def aclose(self) -> None:
        if not self._open:
            return
        self._open = False
        if not self._ended:
            # The library's generators are closed by nobody when a body is left half read, and trio warns of each. A
            # cancelled read runs through all of them, and has the connection closed on its way.
            with anyio.CancelScope() as scope:
                scope.cancel()
                async for _ in self._chunks:
                    pass
        await self._inner.aclose()


class Connections(httpx2.AsyncBaseTransport):
    """Connections to one origin, one call at a time each. The one that was used last is used next."""

    def __init__(self, origin: str, context: SSLContext | None) -> None:
        url = httpx2.URL(origin)
        self._host = url.host
        self._port = url.port or (80 if context is None else 443)
        self._context = context
        self._idle: deque[_Connection] = deque()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the head of its answer; the body is read as it is asked for."""
        connection = await self._take()
        try:
            head = await connection.exchange(request, await request.aread())
        except BaseException as error:
            await connection.drop()
            if isinstance(error, h11.ProtocolError):
                raise httpx2.RemoteProtocolError(str(error)) from error
            raise
        return httpx2.Response(head.status_code, headers=head.headers.raw_items(), stream=_Read(connection, self))

    async def _take(self) -> "_Connection":
        """Take an idle connection that is still good, or open one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_good():
                return connection
            await connection.drop()
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                return _Connection(await self._connect())
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no connection within {CONNECT_SECONDS:g} s") from error
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise httpx2.ConnectError(str(error)) from error

    async def _connect(self) -> anyio.abc.ByteStream:
        if self._context is None:
            return await anyio.connect_tcp(self._host, self._port)
        return await anyio.connect_tcp(self._host, self._port, ssl_context=self._context, tls_standard_compatible=False)

    async def put_back(self, connection: "_Connection") -> None:
        """Keep a connection for the next call, if it can take one; let go of those that nobody took for long."""
        if connection.is_reusable():
            self._idle.append(connection)
        else:
            await connection.drop()
        oldest = anyio.current_time() - KEEP_SECONDS
        while self._idle and self._idle[0].idle_since < oldest:
            await self._idle.popleft().drop()

    async def aclose(self) -> None:
        """Close every idle connection; a busy one is closed by its call."""
        while self._idle:
            await self._idle.pop().drop()


class _Connection:
    """One connection, and how far its call has come."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.idle_since = 0.0
        self._stream = stream
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._socket = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - of a socket, not of a database

    def is_good(self) -> bool:
        """Tell whether an idle connection can be used: a byte to read on one can only be its end."""
        ready = select.poll()
        ready.register(self._socket.fileno(), select.POLLIN)
        return not ready.poll(0) and anyio.current_time() - self.idle_since < KEEP_SECONDS

    def is_reusable(self) -> bool:
        """Tell whether both sides are done with the call, and make ready for the next if they are."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        if self._state.trailing_data[0]:  # an answer to nothing must not become the next call's
            return False
        self._state.start_next_cycle()
        self.idle_since = anyio.current_time()
        return True

    async def exchange(self, request: httpx2.Request, body: bytes) -> h11.Response:
        """Send a request in one piece, and give the head of the answer."""
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        data = self._state.send(head) or b""
        if body:
            data += self._state.send(h11.Data(data=body)) or b""
        data += self._state.send(h11.EndOfMessage()) or b""
        with suppress(anyio.BrokenResourceError):  # whoever refuses a request early may have said why
            await self._stream.send(data)
        while True:
            event = await self.event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx2.RemoteProtocolError("the server closed the connection without an answer")

    async def event(self) -> h11.Event | type[h11.PAUSED]:
        """Read until something has happened."""
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
        """Close it without ceremony: there is nobody to say goodbye to."""
        await anyio.aclose_forcefully(self._stream)


class _Read(httpx2.AsyncByteStream):
    """The body of an answer, as it comes."""

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
            await self._connections.put_back(self._connection)
