"""Films and pictures that are put at a provider once, and named by every request that shows them.

A provider with a store of files (`providers.Store`) takes a large one there; requests hold its address instead of its
bytes. So a film goes over the wire once a run, not once a turn and a try, and may be larger than a request. What was
put there is deleted when the endpoint is closed: at the end of a run, also of one that was interrupted. It stays there
if the process is killed, if an upload is cut off before its id is known, or if the store does not delete it in time.

The store is that of the endpoint which the request goes to: its host, its key, its transport. So what may not reach the
endpoint is refused before anything is put there (`swarm.endpoints.guard`).
"""

import base64
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from typing import cast

import anyio

from swarm.base.values import Json, canonical
from swarm.endpoints.wire.faults import Fault
from swarm.spec.chat import Media, Request
from swarm.spec.providers import Store

DELETE_SECONDS = 10.0
"""How long the end of a run waits for files to be deleted, all together."""
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
"""What an id may be made of: it becomes a part of a path."""
_ENDING = re.compile(r"[a-z0-9]{1,5}")


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
            if isinstance(answer, Fault):
                return answer
            name, good = _id_in(answer)
            if name:
                self._own.append(name)
            if not good:
                said = canonical(answer).decode()[:300]
                return Fault(status=200, kind="malformed", text=f"the store took no file: {said}")
            shelf.known[part.base64] = name
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
    """Make the file that is put into a store. Of the user's name for it only the ending leaves: it tells the type."""
    content = base64.b64decode(part.base64)
    endings = (PurePosixPath(part.name).suffix[1:].lower(), part.mime.rpartition("/")[2], "bin")
    ending = next(ending for ending in endings if _ENDING.fullmatch(ending))
    name = f"{sha256(content).hexdigest()[:16]}.{ending}"
    return File(purpose=part.medium, name=name, mime=part.mime, content=content)


def _id_in(answer: Json) -> tuple[str, bool]:
    """Read the id that the store gave, empty if it is none, and whether the file can be used."""
    fields = cast("dict[str, Json]", answer) if isinstance(answer, dict) else {}
    name = fields.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name) or not name.strip("."):
        return "", False
    return name, fields.get("status") not in {"error", "failed"}
