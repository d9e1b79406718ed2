"""One GET of an agent: checked addresses, few redirects, small answers, one request a host at a time.

    target ──> may the host be fetched? ──> robots ──> its turn ──> all its addresses checked ──> connect to one of them
                       ▲                                                                                  │
                       └────────────── redirect, at most 5: as if it were the first ──────────────────────┘

A name is resolved once for each hop, and the connection goes to the address that was checked: a
second look-up could give another one. No cookie, no key, no proxy and no referrer is sent.
"""

import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import anyio

from swarm.base.version import __version__
from swarm.tools.web.addresses import Address, AddressRules, RefusedError, Target, target_of

if TYPE_CHECKING:
    import httpx2
    from protego import Protego

BODY_BYTES = 5_000_000
"""Maximum bytes of an answer, unpacked."""
ROBOTS_BYTES = 500_000
"""Maximum bytes of a robots file: RFC 9309 asks for at least 500 KiB."""
SECONDS = 20.0
"""Maximum seconds of a fetch, its redirects included."""
HOPS = 5
"""Maximum redirects."""
PAUSE_SECONDS = 1.0
"""Seconds between two requests to one host."""
AGENT = f"local-agent-swarm/{__version__}"
"""User agent, also for robots files."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Awaitable[tuple[Address, ...]]]
"""Returns all addresses of a host."""


async def resolved(host: str, port: int) -> tuple[Address, ...]:
    """Return all addresses of a host, as the system knows them. Raise RefusedError if there is none."""
    try:
        found = await anyio.getaddrinfo(host, port, proto=6)
    except (OSError, UnicodeError):
        raise RefusedError(f"there is no host {host}") from None
    return tuple(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)


@dataclass(frozen=True)
class WebAnswer:
    """What came."""

    url: str
    """Address of the last hop."""
    status: int
    kind: str
    """Content type, without parameters, in lower case."""
    charset: str
    """Encoding that the header names; empty if it names none."""
    content: bytes


@dataclass
class _Host:
    """A host that is fetched from: one request at a time, with a pause between."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    free_at: float = 0.0
    robots: "Protego | None" = None
    is_closed: str = ""
    """Why nothing of the host is fetched; empty if its robots file could be read, or is not there."""
    is_known: bool = False


class Fetcher:
    """Fetches for all agents of a run."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        resolve: Resolve = resolved,
        pause: float = PAUSE_SECONDS,
        most: int = BODY_BYTES,
        seconds: float = SECONDS,
    ) -> None:
        """Fetch by rules: at most `most` bytes within `seconds` each, with a `pause` in seconds at one host."""
        self._rules = rules
        self._most = most
        self._seconds = seconds
        self._resolve = resolve
        self._pause = pause
        self._hosts: dict[str, _Host] = {}

    async def get(self, url: str) -> WebAnswer:
        """Return what is at an address. Raise RefusedError in words for the model."""
        try:
            with anyio.fail_after(self._seconds):
                return await self._follow(target_of(url))
        except TimeoutError:
            raise RefusedError(f"no answer within {self._seconds:g} seconds") from None

    async def ask(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> WebAnswer:
        """Return the answer of a service that the task names, without its robots file. Redirects are refused."""
        target = target_of(url)
        try:
            with anyio.fail_after(SECONDS):
                answer, moved = await self._request(target, BODY_BYTES, headers, body)
        except TimeoutError:
            raise RefusedError(f"{target.host} did not answer within {SECONDS:g} seconds") from None
        if moved:
            raise RefusedError(f"{target.host} answered with a redirect")
        return answer

    async def _follow(self, target: Target) -> WebAnswer:
        for _ in range(HOPS + 1):
            self._rules.check_host(target.host)
            async with self._turn(target) as host:
                await self._check_robots(host, target)
                answer, moved = await self._request(target, self._most)
            if not moved:
                return answer
            target = target_of(urljoin(target.url, moved))
        raise RefusedError(f"more than {HOPS} redirects")

    @asynccontextmanager
    async def _turn(self, target: Target) -> AsyncGenerator[_Host]:
        """Wait until no other fetch asks the same host, and until the pause after the last one is over."""
        host = self._hosts.setdefault(target.origin, _Host())
        async with host.lock:
            await anyio.sleep(max(0.0, host.free_at - anyio.current_time()))
            try:
                yield host
            finally:
                host.free_at = anyio.current_time() + self._pause

    async def _check_robots(self, host: _Host, target: Target) -> None:
        """Raise RefusedError if the robots file of a host forbids an address. It is read once a run."""
        if not host.is_known:
            await self._read_robots(host, target)
            host.is_known = True
        if host.is_closed:
            raise RefusedError(host.is_closed)
        if host.robots is not None and not host.robots.can_fetch(target.url, AGENT):
            raise RefusedError(f"the robots file of {target.host} does not allow this address")

    async def _read_robots(self, host: _Host, target: Target) -> None:
        """Read a robots file: none (4xx) allows everything, one that cannot be read (5xx) nothing (RFC 9309)."""
        from protego import Protego

        answer, moved = await self._request(target_of(f"{target.origin}/robots.txt"), ROBOTS_BYTES)
        if answer.status >= 500:
            host.is_closed = f"the robots file of {target.host} could not be read: status {answer.status}"
        elif answer.status == 200 and not moved:
            host.robots = Protego.parse(answer.content.decode("utf-8", "replace"))

    async def _request(
        self, target: Target, most: int, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[WebAnswer, str]:
        """Send one request to a checked address. Return the answer, and where it redirects to, if it does."""
        import httpx2

        addresses = await self._resolve(target.host, target.port)
        for address in addresses:
            self._rules.check_address(target.host, address)
        if not addresses:
            raise RefusedError(f"there is no host {target.host}")
        request = _request_to(target, addresses[0], headers or {}, body)
        try:
            async with httpx2.AsyncHTTPTransport(trust_env=False) as transport:
                response = await transport.handle_async_request(request)
                try:
                    return await _read(response, target, most)
                finally:
                    await response.aclose()
        except httpx2.TransportError as error:
            raise RefusedError(f"{target.host} cannot be reached: {type(error).__name__}") from None


def _request_to(target: Target, address: Address, headers: Mapping[str, str], body: bytes | None) -> "httpx2.Request":
    """Return a request that goes to an address, and names the host to it."""
    import httpx2

    place = f"[{address}]" if address.version == 6 else str(address)
    seconds = {"connect": SECONDS, "read": SECONDS, "write": SECONDS, "pool": SECONDS}
    return httpx2.Request(
        "GET" if body is None else "POST",
        f"{target.scheme}://{place}:{target.port}{target.path}",
        headers={
            "Host": target.origin.partition("://")[2],
            "User-Agent": AGENT,
            "Accept": "text/html,text/plain,application/json,application/pdf;q=0.9,*/*;q=0.1",
            "Accept-Encoding": "identity, gzip",
            **headers,
        },
        content=body,
        extensions={"sni_hostname": target.host, "timeout": seconds},
    )


async def _read(response: "httpx2.Response", target: Target, most: int) -> tuple[WebAnswer, str]:
    if response.status_code in _REDIRECTS and "location" in response.headers:
        return WebAnswer(target.url, response.status_code, "", "", b""), response.headers["location"]
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    charset = parameters.partition("charset=")[2].strip().strip("\"'")
    content = await _unpacked(response, most)
    return WebAnswer(target.url, response.status_code, kind.strip().lower(), charset, content), ""


async def _unpacked(response: "httpx2.Response", most: int) -> bytes:
    """Return the body. Raise RefusedError if it is too large, or packed in a way that was not asked for."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "", "gzip", "x-gzip"):
        raise RefusedError(f"the answer is packed as {packing[:40]}, which was not asked for")
    unpack = zlib.decompressobj(wbits=31) if "gzip" in packing else None
    content = bytearray()
    async for chunk in response.aiter_raw():
        try:
            content += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(content))
        except zlib.error:
            raise RefusedError("the answer cannot be unpacked") from None
        if len(content) > most:
            raise RefusedError(f"the answer has more than {most:,} bytes, the maximum")
    return bytes(content)
