"""Films and pictures that are put at a provider once, and named by every request that shows them.

A provider with a store of files (`providers.Store`) takes a large one there; requests hold its address instead of its
bytes. So a film goes over the wire once a run, not once a turn and a try, and may be larger than a request. What was
put there is deleted when the endpoint is closed: at the end of a run, also of one that was interrupted. Only a process
that is killed leaves files behind.

The store is that of the endpoint which the request goes to: its host, its key, its transport. So what may not reach the
endpoint is refused before anything is put there (`swarm.endpoints.guard`).
"""

import base64
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast

import anyio

from swarm.chat import Media, Request
from swarm.endpoints.faults import Fault
from swarm.endpoints.providers import Store
from swarm.frozen import Json, canonical

DELETE_SECONDS = 10.0
"""How long the end of a run waits for files to be deleted, all together."""
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
"""What an id may be made of: it becomes a part of a path."""
_ENDING = re.compile(r"[a-z0-9]{1,10}")


@dataclass(frozen=True)
class File:
    """What is put into a store."""

    purpose: str
    name: str
    mime: str
    content: bytes


Send = Callable[[str, File | None], Awaitable["Json | Fault"]]
"""Makes one call: puts a file at a path, or deletes that path; gives the JSON of the answer, or what went wrong."""


@dataclass
class Shelf:
    """What one run has put into the store of one account, by content: one for all that call it with one key."""

    known: dict[str, str] = field(default_factory=dict[str, str])
    """By base64: the id that the provider gave."""
    locks: dict[str, anyio.Lock] = field(default_factory=dict[str, anyio.Lock])
    """By base64: held by whoever puts it there."""


class Uploads:
    """Puts the large media of one endpoint's requests into its provider's store."""

    def __init__(self, store: Store, send: Send, shelf: Shelf | None = None) -> None:
        self._store = store
        self._send = send
        self._shelf = shelf or Shelf()
        self._own: list[str] = []

    async def addresses(self, request: Request) -> dict[str, str] | Fault:
        """Give the address of each medium of a request that is not written into it, by its base64."""
        found: dict[str, str] = {}
        for part in stored(request, self._store):
            name = await self._placed(part)
            if isinstance(name, Fault):
                return name
            found[part.base64] = self._store.address.format(id=name)
        return found

    async def _placed(self, part: Media) -> str | Fault:
        """Give the id of a medium in the store, once it is there."""
        shelf = self._shelf
        async with shelf.locks.setdefault(part.base64, anyio.Lock()):
            if part.base64 in shelf.known:
                return shelf.known[part.base64]
            answer = await self._send(self._store.path, file_of(part))
            name = answer if isinstance(answer, Fault) else _id_in(answer)
            if isinstance(name, str):
                shelf.known[part.base64] = name
                self._own.append(name)
            return name

    async def clear(self) -> None:
        """Delete what was put there by this endpoint. What cannot be deleted in time stays: the run is over."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(DELETE_SECONDS):
            while self._own:
                name = self._own.pop()
                self._shelf.known = {base: known for base, known in self._shelf.known.items() if known != name}
                await self._send(f"{self._store.path}/{name}", None)


def stored(request: Request, store: Store | None) -> Iterable[Media]:
    """Name the media of a request that go into a store rather than into the request."""
    if store is None:
        return
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Media) and part.medium in store.takes and len(part.base64) > store.over:
                yield part


def file_of(part: Media) -> File:
    """Make the file that is put into a store; it has no name of the user's."""
    content = base64.b64decode(part.base64)
    ending = part.mime.rpartition("/")[2]
    name = f"{sha256(content).hexdigest()[:16]}.{ending if _ENDING.fullmatch(ending) else 'bin'}"
    return File(purpose=part.medium, name=name, mime=part.mime, content=content)


def _id_in(answer: Json) -> str | Fault:
    """Read the id that the store gave."""
    if isinstance(answer, dict):
        fields = cast("dict[str, Json]", answer)
        name, status = fields.get("id"), fields.get("status")
        if isinstance(name, str) and _ID.fullmatch(name) and name.strip(".") and status not in {"error", "failed"}:
            return name
    return Fault(status=200, kind="malformed", text=f"the store gave no id: {canonical(answer).decode()[:300]}")
