"""A server with a URL: streamable HTTP to one address, without redirects, with capped answers.

An answer that cannot be used becomes an error in its place, so that it costs one call and not the
connection. Imported where a server is opened: the library takes a second to load.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
from pydantic_core import from_json, to_json

from swarm.base.proxy import proxy_for
from swarm.tools.mcp.faults import ServerError

ANSWER_BYTES = 16 * 1024 * 1024
"""Maximum bytes of an answer, and of one event of a stream."""
CONNECT_SECONDS = 10.0
FAILED = 500
"""Status from which on a server has failed; those below it are for the library, which knows what they mean."""
_REFUSED = (401, 403, 429)
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


@asynccontextmanager
async def open_http(url: str, headers: Mapping[str, str]) -> AsyncGenerator[Any]:
    """Yield the streams of a session with the server at a URL."""
    from mcp.client.streamable_http import streamable_http_client

    # An answer may take as long as the call may; the caller has the deadline.
    timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
    transport = _Capped(httpx2.AsyncHTTPTransport(proxy=proxy_for(url), trust_env=False))
    sent = {"Accept-Encoding": "identity", **headers}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=timeout, transport=transport, trust_env=False) as client,
        # Events are capped here, where one that is too long has an answer.
        streamable_http_client(url, http_client=client, max_sse_event_size=2 * ANSWER_BYTES) as streams,
    ):
        yield streams


class _Capped(httpx2.AsyncBaseTransport):
    """Refuses redirects, and puts an error in the place of an answer that cannot be used."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        number = _number(await request.aread())
        response = await self._inner.handle_async_request(request)
        if response.is_redirect:
            await response.aclose()
            target = response.headers.get("location", "")[:200]
            raise ServerError(f"its address redirects to {target}\nhint: write that address as `url`")
        try:
            wrong = await _usable(response, number)
        except BaseException:
            await response.aclose()
            raise
        if wrong:
            await response.aclose()
            if number is None:
                raise ServerError(wrong)
            return httpx2.Response(200, headers={"Content-Type": "application/json"}, content=_error(number, wrong))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _number(body: bytes) -> Any:
    """Return the id of the request that is sent; None for a message without one."""
    try:
        sent = from_json(body or b"null")
    except ValueError:
        return None
    return cast("dict[str, Any]", sent).get("id") if isinstance(sent, dict) else None


def _error(number: Any, words: str) -> bytes:
    return to_json({"jsonrpc": "2.0", "id": number, "error": {"code": -32603, "message": words}})


def _too_long() -> str:
    return f"the answer has more than {ANSWER_BYTES:,} bytes"


async def _usable(response: httpx2.Response, number: Any) -> str:
    """Return why an answer cannot be used; empty if it can. Its stream is capped."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("", "identity"):
        return f"the answer is packed as {packing[:40]}, which was not asked for"
    if response.status_code >= FAILED or response.status_code in _REFUSED:
        more = ": it does not accept these `headers`" if response.status_code in (401, 403) else ""
        return f"its address answers with status {response.status_code}{more}"
    if "text/event-stream" in response.headers.get("content-type", ""):
        response.stream = _Events(response.stream, number)
        return ""
    body = bytearray()
    async for chunk in cast("httpx2.AsyncByteStream", response.stream):
        body += chunk
        if len(body) > ANSWER_BYTES:
            return _too_long()
    response.stream = _Whole(bytes(body), response.stream)
    if number is not None and "application/json" in response.headers.get("content-type", ""):
        try:
            from_json(body)
        except ValueError as error:
            return f"the answer is not valid JSON: {error}"
    return ""


class _Whole(httpx2.AsyncByteStream):
    """An answer that was read, in the place of its stream."""

    def __init__(self, body: bytes, inner: Any) -> None:
        self._body = body
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Events(httpx2.AsyncByteStream):
    """A stream of whole events; one that is too long ends it, with an error for the request that it answers."""

    def __init__(self, inner: Any, number: Any) -> None:
        self._inner = inner
        self._number = number

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest = bytearray()
        async for chunk in self._inner:
            start = max(0, len(rest) - 3)  # an end may lie across two chunks
            rest += chunk
            ends = [found.end() for found in _EVENT_END.finditer(rest, start)]
            if ends:
                yield bytes(rest[: ends[-1]])
                del rest[: ends[-1]]
            if len(rest) > ANSWER_BYTES:
                if self._number is not None:
                    yield b"event: message\ndata: " + _error(self._number, _too_long()) + b"\n\n"
                return
        yield bytes(rest)

    async def aclose(self) -> None:
        await self._inner.aclose()
