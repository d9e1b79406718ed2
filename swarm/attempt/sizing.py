"""The search for a context size that no refusal states.

A request that was refused as too long is sent again with less and less of its longest text, until
one is accepted: the context is at least that large. The steps are small at first, because a size
that a task or a server states is seldom far off. Refused calls cost nothing; the one that is
accepted costs about as much as one part of a text. One attempt searches for all that use the same
model: those that were refused at the same time wait for it. It never goes below a size that was
accepted before.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

import anyio

from swarm.attempt.reading import ASSUMED_CONTEXT, ASSUMED_OUTPUT, SPARE
from swarm.attempt.too_long import teach
from swarm.attempt.types import Attempt, Note
from swarm.base.errors import EndpointError, EndpointRefused, LimitError
from swarm.endpoints import Endpoint
from swarm.record.events import TurnTaken
from swarm.spec.chat import BYTES_PER_TOKEN, Data, Message, Reply, Request, estimate_tokens, request_tokens

FIRST_SHARES = (0.9, 0.8, 0.7, 0.6, 0.5)
"""ContextSearch that are tried first, as shares of the refused one."""
NEXT_SHARE = 0.83
"""Size of every later try, as a share of the one before."""
TRIES = 20
"""Maximum number of tries: down to 3 % of the refused size."""


class ContextSearch:
    """What the endpoints of a run accepted and refused, by model alias, in estimated tokens with the output cap."""

    def __init__(self) -> None:
        self._accepted: dict[str, int] = {}
        """The largest accepted size."""
        self._found: dict[str, int] = {}
        """The result of the last search."""
        self._locks: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    def accept(self, attempt: Attempt, request: Request) -> None:
        """Note that a request was accepted."""
        size = needed(attempt, request)
        self._accepted[attempt.model] = max(size, self._accepted.get(attempt.model, 0))

    async def search(self, attempt: Attempt, request: Request, endpoint: Endpoint) -> tuple[int | None, Reply | None]:
        """Return the context size below that of a refused request, and the answer that was paid for to find it.

        None for the size if no request is as short as the next try, or if none was accepted.
        """
        size, model = needed(attempt, request), attempt.model
        async with self._locks[model]:
            found = self._found.get(model)
            if found is not None and found < size:
                return found, None
            accepted = self._accepted.get(model, 0)
            least = accepted if accepted < size else 0
            found, reply = await _searched(attempt, request, endpoint, least)
            if found is not None:
                self._found[model] = found
            return found, reply


async def learn(
    searches: ContextSearch,
    error: EndpointRefused,
    attempt: Attempt,
    request: Request,
    *,
    endpoint: Endpoint,
    note: Note,
) -> None:
    """Set what a refusal of a too long request teaches (`too_long.teach`). If it states no size, search for it."""
    is_first = all(message.role in ("system", "user") for message in request.messages)
    if error.kind == "context_length" and error.context is None and is_first:
        size, reply = await searches.search(attempt, request, endpoint)
        error.context = None if size is None else with_spare(size, attempt)
        if reply is not None:
            step, number, seconds = attempt.step.id, attempt.attempt, reply.seconds
            paid = {"usage": reply.usage, "seconds": seconds, "model": reply.model, "endpoint": reply.endpoint}
            note(TurnTaken.model_validate({"step": step, "attempt": number, "messages": (), **paid}))
    teach(attempt, error, request)


def with_spare(size: int, attempt: Attempt) -> int:
    """Return the context that leaves so many tokens after its spare part: a prompt with its answer was accepted.

    It is less than what the attempt had assumed.
    """
    return min(size * SPARE // (SPARE - 1), (attempt.context or ASSUMED_CONTEXT) - 1)


def needed(attempt: Attempt, request: Request) -> int:
    """Return the tokens of a request with its output cap."""
    cap = request.max_tokens or attempt.settings.get("max_tokens")
    return int(request_tokens(request) * attempt.density) + (cap if isinstance(cap, int) else ASSUMED_OUTPUT)


def _shares() -> Iterator[float]:
    yield from FIRST_SHARES
    share = FIRST_SHARES[-1]
    for _ in range(TRIES - len(FIRST_SHARES)):
        share *= NEXT_SHARE
        yield share


async def _searched(
    attempt: Attempt, request: Request, endpoint: Endpoint, least: int
) -> tuple[int | None, Reply | None]:
    """Return the first size that is accepted, or `least` if the next one would be smaller."""
    whole = needed(attempt, request)
    for share in _shares():
        size = int(whole * share)
        if size <= least:
            return least, None
        trial = shortened(request, int((whole - size) / attempt.density))
        if trial is None:
            return None, None
        try:
            return size, await endpoint.complete(trial)
        except EndpointRefused as error:
            if error.kind != "context_length":
                return size, None
            if error.context is not None:
                return error.context, None
        except (EndpointError, LimitError):
            return size, None  # what was refused is known to be too long: less is asked next time, whatever this was
    return None, None


def shortened(request: Request, tokens: int) -> Request | None:
    """Return a request without so many estimated tokens at the end of its longest text; None if it is shorter."""
    parts = chain.from_iterable(message.parts for message in request.messages)
    texts = [part for part in parts if isinstance(part, Data)]
    longest = max(texts, key=lambda part: len(part.text), default=None)
    if longest is None or estimate_tokens(longest.text) <= tokens:
        return None
    data = longest.text.encode("utf-8", "replace")
    kept = data[: len(data) - tokens * BYTES_PER_TOKEN].decode("utf-8", "ignore")
    short = longest.model_copy(update={"text": kept})

    def without(message: Message) -> Message:
        parts = tuple(short if part is longest else part for part in message.parts)
        return message.model_copy(update={"parts": parts})

    return request.model_copy(update={"messages": tuple(map(without, request.messages)), "optional": True})
