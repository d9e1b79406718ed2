"""Videos and images that are uploaded to a provider once, and referenced by every request.

Some providers have a store of files (`providers.Store`). Large media are uploaded there, and
requests hold their address instead of their bytes. So a video is sent once per run, not once per
turn and try, and may be larger than a request. Uploaded files are deleted when the endpoint is
closed: at the end of a run, also of an interrupted one. A file stays if the process is killed, if
an upload is interrupted before its id is known, or if the store does not delete it in time.

The store belongs to the endpoint of the request: the same host, key and transport. So data that may
not reach the endpoint is refused before an upload (`swarm.endpoints.guard`).
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
"""Maximum seconds that the end of a run waits for the deletion of all files."""
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
"""The characters of an id: it becomes a part of a path."""
_ENDING = re.compile(r"[a-z0-9]{1,5}")
"""A file name's ending that may leave this machine."""


@dataclass(frozen=True)
class File:
    """A file to upload."""

    purpose: str
    name: str
    mime: str
    content: bytes


Send = Callable[[str, File | None], Awaitable["Json | Fault"]]
"""One call: upload a file to a path, or delete that path. Return the answer's JSON or a fault."""


@dataclass
class Shelf:
    """Files that one run has uploaded to one account's store. Shared by all calls with its key."""

    known: dict[str, str] = field(default_factory=dict[str, str])
    """Ids of the provider, by the base64 of the content."""
    locks: dict[str, anyio.Lock] = field(default_factory=dict[str, anyio.Lock])
    """Locks held during an upload, by the base64 of the content."""

    def forget(self, name: str) -> None:
        """Remove the file with an id of the provider."""
        self.known = {base: known for base, known in self.known.items() if known != name}


class Uploads:
    """Uploader of large media in the requests of one endpoint."""

    def __init__(self, store: Store, send: Send, shelf: Shelf | None = None) -> None:
        self._store = store
        self._send = send
        self._shelf = shelf or Shelf()
        self._own: list[str] = []

    async def addresses(self, request: Request) -> dict[str, str] | Fault:
        """Upload the large media of a request. Return addresses by base64, or the first fault."""
        found: dict[str, str] = {}
        for part in stored(request, self._store):
            name = await self._placed(part)
            if isinstance(name, Fault):
                return name
            found[part.base64] = self._store.address.format(id=name)
        return found

    async def _placed(self, part: Media) -> str | Fault:
        """Return the id of a medium in the store, after its upload."""
        shelf = self._shelf
        # Cancelled here, the next caller takes the lock and uploads the file itself.
        async with shelf.locks.setdefault(part.base64, anyio.Lock()):
            if part.base64 in shelf.known:
                return shelf.known[part.base64]
            answer = await self._send(self._store.path, file_of(part))
            if isinstance(answer, Fault):
                return answer
            name, good = _id_in(answer)
            if name:  # also if the file is unusable: it must be deleted
                self._own.append(name)
            if not good:
                said = canonical(answer).decode()[:300]
                return Fault(status=200, kind="malformed", text=f"the upload failed: {said}")
            shelf.known[part.base64] = name
            return name

    async def clear(self) -> None:
        """Delete the files that this endpoint uploaded. What is not deleted in time stays."""
        # An interrupted run deletes its files, too: the shield keeps its cancellation out, and the
        # deadline bounds the wait.
        with anyio.CancelScope(shield=True), anyio.move_on_after(DELETE_SECONDS):
            while self._own:
                name = self._own.pop()
                self._shelf.forget(name)
                await self._send(f"{self._store.path}/{name}", None)


def stored(request: Request, store: Store | None) -> Iterable[Media]:
    """Yield the media of a request that are uploaded instead of written into the request."""
    if store is None:
        return
    for message in request.messages:
        for part in message.parts:
            if not isinstance(part, Media):
                continue
            if part.medium in store.takes and len(part.base64) > store.over:
                yield part


def file_of(part: Media) -> File:
    """Return a medium as a file to upload. Of the user's file name only the ending is sent."""
    content = base64.b64decode(part.base64)
    of_name = PurePosixPath(part.name).suffix[1:].lower()
    of_type = part.mime.rpartition("/")[2]
    ending = next(e for e in (of_name, of_type, "bin") if _ENDING.fullmatch(e))
    name = f"{sha256(content).hexdigest()[:16]}.{ending}"
    return File(purpose=part.medium, name=name, mime=part.mime, content=content)


def _id_in(answer: Json) -> tuple[str, bool]:
    """Return the id in an answer of the store, empty if invalid, and whether the file is usable."""
    fields = cast("dict[str, Json]", answer) if isinstance(answer, dict) else {}
    name = fields.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name) or not name.strip("."):
        return "", False
    return name, fields.get("status") not in {"error", "failed"}
