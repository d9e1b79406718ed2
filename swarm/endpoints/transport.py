"""The HTTP under the endpoint: many cheap connections to one origin, and nothing that surprises.

The pool that the client library brings walks all its connections twice a request, which at a thousand in flight costs
more than the request. So requests go to the least busy of several plain pools, and each walk is as many times shorter.
What leaves is an explicit list of headers, and the key is added here, so that no object of the library above, and none
of its exceptions, ever holds it. What comes back is capped, and refused where it is compressed: the client asked for
plain bytes, and a few kilobytes that unpack to gigabytes are an attack.
"""

from typing import TYPE_CHECKING, Self
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx2

from swarm.endpoints.answers import BadAnswer
from swarm.endpoints.faults import Fault
from swarm.endpoints.providers import is_loopback

if TYPE_CHECKING:
    from ssl import SSLContext

BODY_BYTES = 8_000_000
"""Most bytes of an answer: a million tokens of text, far above any output cap."""
STREAM_BYTES = 64_000_000
"""Most bytes of a stream, whose frame is ten times its text."""
CONNECT_SECONDS = 20.0
"""A burst of a thousand connections is made within it, even on a slow core; no host that is there takes longer."""
KEEP_SECONDS = 60.0
"""How long an idle connection is kept; servers close theirs after 5 to 75 s, and a closed one is noticed before use."""
SHARDS = 16
"""Pools per endpoint: at 1,000 calls in flight each walks 63 connections, which costs less than the call."""

_SENT = frozenset({b"host", b"accept", b"content-type", b"content-length", b"transfer-encoding", b"traceparent"})
"""Headers that leave as they are; the client library would send two dozen, some of them out of the environment."""


class Shards(httpx2.AsyncBaseTransport):
    """Plain transports to one origin, each request to the least busy one."""

    def __init__(self, origin: str, *, key: str | None, agent: str, shards: int = SHARDS) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_SECONDS)
        context: SSLContext | bool = httpx2.create_ssl_context() if origin.startswith("https") else False
        proxy = proxy_for(origin)
        self._origin = httpx2.URL(origin)
        self._plain = [
            httpx2.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy, trust_env=False)
            for _ in range(shards)
        ]
        self._busy = [0] * shards
        self._own: list[tuple[bytes, bytes]] = [(b"Accept-Encoding", b"identity"), (b"User-Agent", agent.encode())]
        if key:
            self._own.append((b"Authorization", b"Bearer " + key.encode()))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to this origin, and to no other."""
        url = request.url
        if (url.scheme, url.host, url.port) != (self._origin.scheme, self._origin.host, self._origin.port):
            raise BadAnswer(Fault(kind="redirect", text=f"to {url.host}"))
        kept = [(name, value) for name, value in request.headers.raw if name.lower() in _SENT]
        stripped = httpx2.Request(
            request.method, url, headers=kept + self._own, stream=request.stream, extensions=request.extensions
        )
        shard = self._busy.index(min(self._busy))
        self._busy[shard] += 1
        try:
            response = await self._plain[shard].handle_async_request(stripped)
        except BaseException:
            self._busy[shard] -= 1
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        body = _Body(self, shard, response.stream, _cap(response))
        if response.headers.get("content-encoding", "identity") == "identity":
            response.stream = body
            return response
        await body.aclose()
        if response.is_success:
            raise BadAnswer(
                Fault(status=200, kind="malformed", text="it is compressed, and plain bytes were asked for")
            )
        del response.headers["content-encoding"]
        return httpx2.Response(response.status_code, headers=response.headers, content=b"")

    def release(self, shard: int) -> None:
        """Count a request of a shard as over."""
        self._busy[shard] -= 1

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._plain:
            await transport.aclose()


def _cap(response: httpx2.Response) -> int:
    streamed = response.headers.get("content-type", "").startswith("text/event-stream")
    return STREAM_BYTES if streamed else BODY_BYTES


class _Body(httpx2.AsyncByteStream):
    """A body that is cut off at its cap, and that tells its shard when it is over."""

    def __init__(self, shards: Shards, shard: int, inner: httpx2.AsyncByteStream, most: int) -> None:
        self._shards = shards
        self._shard = shard
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
        self._shards.release(self._shard)
        if not self._ended:
            # The generators below are closed by nobody when a body is left half read, and trio warns of each. A
            # cancelled read runs through all of them, and has the connection closed on its way.
            with anyio.CancelScope() as scope:
                scope.cancel()
                async for _ in self._chunks:
                    pass
        await self._inner.aclose()


def proxy_for(origin: str) -> str | None:
    """Name the proxy that this machine's settings ask for; none for this machine's own addresses.

    Reads `HTTPS_PROXY` and its family the way Python's own library does.
    """
    url = httpx2.URL(origin)
    if is_loopback(origin) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
