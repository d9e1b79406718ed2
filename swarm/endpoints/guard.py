"""The last check before a model is called: a request with data it may not see, or media it does not accept, is refused.

Steps are placed by their labels and media before any call (`swarm.spec.labels`). This wrapper is
around each single model, so that no pool, hedge or retry sends a request to a model that must not
have it.
"""

from collections.abc import Container, Mapping, Sequence

from swarm.base.errors import EndpointRefused
from swarm.base.text import listing
from swarm.endpoints import Endpoint
from swarm.endpoints.route import Route
from swarm.endpoints.wire.uploads import stored
from swarm.spec.chat import Media, Reply, Request

MOST_MEDIA = 28_000_000
"""Maximum characters of base64 in one request: one file of the largest size that is sent inline (20
MB)."""


class LabelGuard:
    """A wrapper around the endpoint of one model: refuses requests, with kind `label`, `media` or `too_large`."""

    def __init__(self, inner: Endpoint, route: Route, *, labels: Mapping[str, Container[str]] | None = None) -> None:
        """Take the endpoint of a model, and for each label the aliases that its data may reach."""
        self._inner = inner
        self._alias = route.alias
        self._takes = frozenset(route.takes)
        self._store = route.quirks.store
        self._labels = labels or {}

    async def complete(self, request: Request) -> Reply:
        """Return the model's answer. Raise `EndpointRefused` if the request may not be sent to it."""
        self._check_labels(request)
        media = _media_of(request)
        self._check_media(media)
        self._check_sizes(request, media)
        return await self._inner.complete(request)

    def _check_labels(self, request: Request) -> None:
        unseen = [label for label in request.labels if self._alias not in self._labels.get(label, ())]
        if unseen:
            message = f"the model `{self._alias}` may not see data with the label {listing(unseen)}"
            raise EndpointRefused(message, kind="label")

    def _check_media(self, media: Sequence[Media]) -> None:
        refused = sorted({part.medium for part in media} - self._takes)
        if refused:
            raise EndpointRefused(f"the model `{self._alias}` does not accept {listing(refused)}", kind="media")

    def _check_sizes(self, request: Request, media: Sequence[Media]) -> None:
        apart = list(stored(request, self._store))
        inline = sum(len(part.base64) for part in media) - sum(len(part.base64) for part in apart)
        if inline > MOST_MEDIA:
            message = (
                f"{inline:,} characters of media in one request; the maximum is {MOST_MEDIA:,}: "
                "give the step fewer or smaller files"
            )
            raise EndpointRefused(message, kind="too_large")
        largest = max((len(part.base64) * 3 // 4 for part in apart), default=0)
        if self._store is not None and largest > self._store.most:
            message = f"{largest:,} bytes in one file; the maximum of its endpoint is {self._store.most:,}"
            raise EndpointRefused(message, kind="too_large")


def _media_of(request: Request) -> list[Media]:
    found: list[Media] = []
    for message in request.messages:
        found += [part for part in message.parts if isinstance(part, Media)]
    return found
