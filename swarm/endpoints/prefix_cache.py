"""Calls that begin alike: the first goes ahead, the others follow once the endpoint has read what they share.

An endpoint with a prefix cache reads a long beginning once, if it has read it by the time that the next call comes.
Steps of a swarm start together, so none finds it read: a hundred siblings pay for it a hundred times. With this, the
first of them leads, and the others wait until its first token shows that its prompt has been read.

| | |
| --- | --- |
| alike | the same tools, form and first parts of messages (what siblings share is first), of `LEAST_TOKENS` or more |
| waited for | the leader's first token; where answers are not streamed, its answer |
| nobody waits longer | than `WAIT_SECONDS` from when the leader was sent on, however long it queues or thinks |
| the leader fails | all go, and the next one to come leads |
| after its first token | nobody waits, for as long as caches keep what is not used: `KEPT_SECONDS` |

It is off where a model does not say `warm: true`: waiting costs time for certain, and pays only where cached input is
cheaper or quicker by more than that: not with llama.cpp, whose slots share nothing (64 of 5,400 tokens were cached with
it, 32 without). `bench/prefix.py` measures it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256

import anyio

from swarm.base.values import canonical
from swarm.endpoints import Endpoint
from swarm.spec.chat import Media, Reply, Request

LEAST_TOKENS = 1_024
"""What providers cache at least (OpenAI, Anthropic and Gemini document 1,024 for most of their models, 2025)."""
TOKEN_BYTES = 4
"""Of a token of prose, on the average: what is shorter than it seems is waited for in vain."""
MEDIA_BYTES = 1_024 * TOKEN_BYTES
"""What a picture counts for: most take about that many tokens."""
WAIT_SECONDS = 5.0
"""A leader's first token takes about a second for ten thousand tokens of prompt; who takes longer is queued."""
KEPT_SECONDS = 300.0
"""How long caches keep what nobody uses: five to ten minutes (the same documents)."""
KEPT = 1_024
"""Beginnings that are remembered."""


@dataclass
class _Lead:
    """The call that goes ahead, or went."""

    request: Request
    began: float
    read: anyio.Event = field(default_factory=anyio.Event)
    """Set when the endpoint has read its prompt, or never will."""
    used: float | None = None
    """When a call last began so, once the beginning was read."""

    def holds(self, now: float) -> bool:
        """Whether those that begin alike need no leader of their own."""
        return self.used is None or now < self.used + KEPT_SECONDS


class PrefixFirst:
    """Another endpoint, around that of one model: sends calls that begin alike after the first one's first token."""

    def __init__(self, inner: Endpoint) -> None:
        self._inner = inner
        self._leads: OrderedDict[bytes, _Lead] = OrderedDict()
        self._leading: dict[int, _Lead] = {}

    def begun(self, request: Request) -> None:
        """Take in that a request's first token has come."""
        lead = self._leading.get(id(request))
        if lead is not None:
            self._warmed(lead)

    async def complete(self, request: Request) -> Reply:
        """Give the other endpoint's answer."""
        start = beginning(request)
        if start is None:
            return await self._inner.complete(request)
        lead = self._leads.get(start)
        if lead is None or not lead.holds(anyio.current_time()):
            return await self._go_ahead(start, request)
        with anyio.CancelScope(deadline=lead.began + WAIT_SECONDS):
            await lead.read.wait()
        if lead.used is not None:
            lead.used = anyio.current_time()
        return await self._inner.complete(request)

    async def _go_ahead(self, start: bytes, request: Request) -> Reply:
        lead = self._leads[start] = _Lead(request, anyio.current_time())
        self._leads.move_to_end(start)
        while len(self._leads) > KEPT:
            self._leads.popitem(last=False)
        self._leading[id(request)] = lead
        try:
            reply = await self._inner.complete(request)
        except BaseException:
            if lead.used is None and self._leads.get(start) is lead:
                del self._leads[start]
            raise
        else:
            self._warmed(lead)
            return reply
        finally:
            self._leading.pop(id(request), None)
            lead.read.set()

    def _warmed(self, lead: _Lead) -> None:
        lead.used = anyio.current_time()
        lead.read.set()


def beginning(request: Request) -> bytes | None:
    """Name the beginning of a request by its hash: tools, form, and as many parts as make it long; None if none do."""
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
