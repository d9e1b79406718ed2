"""Calls that share a prefix: the first one goes ahead, the others follow once the endpoint has read the prefix.

An endpoint with a prefix cache reads a long prefix once, if it has read it before the next call
arrives. The steps of a swarm start together, so none finds it cached: a hundred siblings pay for
the same prefix a hundred times. With `PrefixFirst` the first call leads, and the others wait until
its first token shows that its prompt has been read.

| | |
| --- | --- |
| shared prefix | the same tools, output format and first parts of messages, of `LEAST_TOKENS` or more |
| what the others wait for | the first token of the leader; its answer, if answers are not streamed |
| longest wait | `WAIT_SECONDS` after the leader was sent, however long it queues or thinks |
| the leader fails | all waiting calls are sent, and the next call to arrive leads |
| after the first token | no call waits for `KEPT_SECONDS`, the time caches keep an unused prefix |

It is off unless a model has `warm: true`. Waiting always costs time, and pays only if cached input
is cheaper or faster by more than that. It does not pay with llama.cpp, whose slots share nothing
(64 of 5,400 tokens were cached with it, 32 without). `bench/prefix.py` measures it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256

import anyio

from swarm.base.values import canonical
from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.clock import clock_of
from swarm.spec.chat import Media, Reply, Request

LEAST_TOKENS = 1_024
"""Tokens of the shortest prefix that providers cache (OpenAI, Anthropic and Gemini document 1,024
for most of their models, 2025)."""
TOKEN_BYTES = 4
"""Average bytes per token of prose. If a prefix has fewer tokens than this suggests, the wait gains
nothing."""
MEDIA_BYTES = 1_024 * TOKEN_BYTES
"""Bytes that an image counts as: most models read it as about 1,024 tokens."""
WAIT_SECONDS = 5.0
"""Maximum wait for a leader, in seconds. Its first token takes about one second per ten thousand
tokens of prompt; a leader that takes longer is queued."""
KEPT_SECONDS = 300.0
"""Seconds that caches keep an unused prefix: five to ten minutes (the same documents)."""
KEPT = 1_024
"""Maximum number of prefixes that are remembered, to bound the memory of a run."""


@dataclass
class _Lead:
    """A call that goes ahead, or went."""

    request: Request
    began: float
    read: anyio.Event = field(default_factory=anyio.Event)
    """Set when the endpoint has read the prompt, or never will."""
    used: float | None = None
    """When a call with this prefix was last sent; None until the prefix has been read."""

    def is_valid(self, now: float) -> bool:
        """Whether calls with this prefix need no leader of their own."""
        return self.used is None or now < self.used + KEPT_SECONDS

    def was_read(self) -> None:
        """Note that the endpoint has read the prefix, and let the waiting calls go."""
        self.used = anyio.current_time()
        self.read.set()


class Leads:
    """The leaders of one model, by prefix. A `PrefixFirst` adds them; the wire reports their first tokens."""

    def __init__(self) -> None:
        self._by_prefix: OrderedDict[bytes, _Lead] = OrderedDict()
        self._in_flight: dict[int, _Lead] = {}

    def begun(self, request: Request) -> None:
        """Note that the first token of a request has arrived."""
        lead = self._in_flight.get(id(request))
        if lead is not None:
            lead.was_read()

    def of(self, prefix: bytes) -> _Lead | None:
        """Return the leader of a prefix, or None if the next call must lead."""
        lead = self._by_prefix.get(prefix)
        return lead if lead is not None and lead.is_valid(anyio.current_time()) else None

    def start(self, prefix: bytes, request: Request) -> _Lead:
        """Make a request the leader of its prefix."""
        lead = self._by_prefix[prefix] = _Lead(request, anyio.current_time())
        self._by_prefix.move_to_end(prefix)
        while len(self._by_prefix) > KEPT:
            self._by_prefix.popitem(last=False)
        self._in_flight[id(request)] = lead
        return lead

    def failed(self, prefix: bytes, lead: _Lead) -> None:
        """Forget a leader that failed before its prefix was read, so that the next call leads."""
        if lead.used is None and self._by_prefix.get(prefix) is lead:
            del self._by_prefix[prefix]

    def ended(self, lead: _Lead) -> None:
        """Let the calls go that still wait for a leader."""
        self._in_flight.pop(id(lead.request), None)
        lead.read.set()


class PrefixFirst:
    """A wrapper around the endpoint of one model: calls with a shared prefix follow the first token of the first."""

    def __init__(self, inner: Endpoint, leads: Leads) -> None:
        """Take the endpoint, and the leads that its wire reports first tokens to."""
        self._inner = inner
        self._leads = leads

    async def complete(self, request: Request) -> Reply:
        """Return the answer of the wrapped endpoint."""
        prefix = prefix_of(request)
        if prefix is None:
            return await self._inner.complete(request)
        lead = self._leads.of(prefix)
        if lead is None:
            return await self._go_ahead(prefix, request)
        with anyio.CancelScope(deadline=lead.began + WAIT_SECONDS), clock_of(request).spent("slots"):
            await lead.read.wait()
        if lead.used is not None:
            lead.used = anyio.current_time()
        return await self._inner.complete(request)

    async def _go_ahead(self, prefix: bytes, request: Request) -> Reply:
        lead = self._leads.start(prefix, request)
        try:
            reply = await self._inner.complete(request)
        except BaseException:  # a cancelled leader, too, has read nothing for the others
            self._leads.failed(prefix, lead)
            raise
        else:
            lead.was_read()
            return reply
        finally:
            self._leads.ended(lead)


def prefix_of(request: Request) -> bytes | None:
    """Return a hash of the prefix of a request, or None if the request is too short to be cached.

    The prefix has the tools, the output format, and as many parts of messages as make it
    `LEAST_TOKENS` long.
    """
    before = canonical([request.tools, request.form])
    hashed, size = sha256(before), len(before)
    for message in request.messages:
        hashed.update(message.role.encode())
        for part in message.parts:
            written = canonical(part)
            hashed.update(written)
            size += len(written) if not isinstance(part, Media) else MEDIA_BYTES
            if size >= LEAST_TOKENS * TOKEN_BYTES:
                return hashed.digest()
    return None
