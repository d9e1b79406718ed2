"""The last line of defence of a model: what it may not see, or cannot take, is refused before a byte is sent.

Steps are placed by their labels and media before any call (`swarm.spec.labels`); this stands around each single
model, so that no pool, hedge or retry, however it chooses, reaches one it must not.
"""

from collections.abc import Container, Mapping

from swarm.base.errors import EndpointRefused
from swarm.base.text import listing
from swarm.endpoints import Endpoint
from swarm.endpoints.wire.uploads import stored
from swarm.spec.chat import Media, Reply, Request
from swarm.spec.providers import Store, quirks_of, takes_of
from swarm.spec.task import Model

MOST_MEDIA = 28_000_000
"""Characters of base64 in one request: one file of the largest size that is written into one (20 MB)."""


class LabelGuard:
    """Another endpoint, around that of one model: refuses, with kind `label`, `media` or `too_large`."""

    def __init__(
        self,
        inner: Endpoint,
        *,
        alias: str,
        model: Model,
        labels: Mapping[str, Container[str]] | None = None,
        store: Store | None = None,
    ) -> None:
        """`labels` gives, by label, the aliases that its data may reach; `store` is its provider's, if not given."""
        self._inner = inner
        self._alias = alias
        self._labels = labels or {}
        self._takes = takes_of(model)
        self._store = store or quirks_of(model.endpoint or "").store

    async def complete(self, request: Request) -> Reply:
        """Give the model's answer to a request that it may see and can take."""
        unseen = [label for label in request.labels if self._alias not in self._labels.get(label, ())]
        if unseen:
            message = f"the model `{self._alias}` may not see what is labelled {listing(unseen)}"
            raise EndpointRefused(message, kind="label")
        media = [part for message in request.messages for part in message.parts if isinstance(part, Media)]
        strange = sorted({part.medium for part in media} - set(self._takes))
        if strange:
            raise EndpointRefused(f"the model `{self._alias}` takes no {listing(strange)}", kind="media")
        apart = list(stored(request, self._store))
        size = sum(len(part.base64) for part in media) - sum(len(part.base64) for part in apart)
        if size > MOST_MEDIA:
            message = (
                f"{size:,} characters of media in one request; at most {MOST_MEDIA:,} are sent: make the step see fewer"
            )
            raise EndpointRefused(message, kind="too_large")
        largest = max((len(part.base64) * 3 // 4 for part in apart), default=0)
        if self._store is not None and largest > self._store.most:
            message = f"{largest:,} bytes in one file; its endpoint takes at most {self._store.most:,}"
            raise EndpointRefused(message, kind="too_large")
        return await self._inner.complete(request)
