"""A server with a URL: streamable HTTP to one address, without redirects, with capped answers.

Imported where a server is opened: the library takes a second to load.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from swarm.base.proxy import proxy_for
from swarm.tools.mcp.faults import ServerError

ANSWER_BYTES = 16 * 1024 * 1024
"""Maximum bytes of an answer, and of one event of a stream."""
CONNECT_SECONDS = 10.0


@asynccontextmanager
async def open_http(url: str, headers: Mapping[str, str]) -> AsyncGenerator[Any]:
    """Yield the streams of a session with the server at a URL."""
    from mcp.client.streamable_http import streamable_http_client

    # An answer may take as long as the call may; the caller has the deadline.
    timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
    transport = _Capped(httpx2.AsyncHTTPTransport(proxy=proxy_for(url), trust_env=False))
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=timeout, transport=transport, trust_env=False) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=ANSWER_BYTES) as streams,
    ):
        yield streams


class _Capped(httpx2.AsyncBaseTransport):
    """Refuses redirects, and answers that are too long while they are read."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.is_redirect:
            await response.aclose()
            target = response.headers.get("location", "")[:200]
            raise ServerError(f"its address redirects to {target}\nhint: write that address as `url`")
        if "text/event-stream" not in response.headers.get("content-type", ""):
            response.stream = _Counted(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for chunk in self._inner:
            count += len(chunk)
            if count > ANSWER_BYTES:
                raise ServerError(f"an answer has more than {ANSWER_BYTES:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
