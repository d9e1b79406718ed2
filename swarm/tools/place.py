"""The place of an attempt: what its tools may use, and what they keep from call to call."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import anyio

from swarm.base.errors import ToolError
from swarm.spec.chat import MediaFile
from swarm.spec.task import Input

STEP = "step/"
"""Beginning of the names of outputs, and of files that other steps left."""
CLOSING_SECONDS = 10.0
"""Maximum seconds that closing the things of a place may take, for example ending the process of a box."""


class Kept(Protocol):
    """A thing that is kept from call to call, such as the process of a box.

    It is opened in one task and closed in another, so between calls it may hold no task group and no cancel scope.
    """

    async def aclose(self) -> None:
        """Close it. It may be closed already."""
        ...


K = TypeVar("K", bound=Kept)


class Storage(Protocol):
    """Files of the run, as far as tools may use them."""

    def content(self, artifact: str) -> bytes:
        """Return the bytes of an artifact. Raise `JournalError`."""
        ...

    def clean(self, text: str) -> str:
        """Return a text without secrets, as it may be written into a file."""
        ...

    def scratch(self, step: str) -> Path:
        """Return the empty scratch folder of a step."""
        ...

    def clear(self, step: str) -> None:
        """Remove the scratch folder of a step."""
        ...


@dataclass
class Place:
    """The place of one attempt. The loop makes it, and closes it when the attempt ends."""

    step: str = ""
    inputs: tuple[Input, ...] = ()
    """Inputs that the step reads."""
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    """Outputs that the step reads, by the id of their step, as text."""
    files: Mapping[str, MediaFile] = field(default_factory=dict[str, MediaFile])
    """Files that those steps left, by `step/<id>/<name>`."""
    labels: tuple[str, ...] = ()
    """Labels of all data that the step reads, sorted."""
    storage: Storage | None = None
    """Where the files are; None outside of a run, where there is no scratch folder."""
    _kept: dict[str, Kept] = field(default_factory=dict[str, Kept], repr=False)
    _locks: dict[str, anyio.Lock] = field(default_factory=dict[str, anyio.Lock], repr=False)
    _scratch: Path | None = None

    @property
    def scratch(self) -> Path:
        """The scratch folder of the attempt, made at first use and removed when the attempt ends.

        What it holds then becomes artifacts, which later steps may be given.
        """
        if self._scratch is None:
            if self.storage is None:
                raise ToolError("there is no scratch folder outside of a run")
            self._scratch = self.storage.scratch(self.step)
        return self._scratch

    @property
    def has_scratch(self) -> bool:
        """Whether a tool has used the scratch folder."""
        return self._scratch is not None

    def content(self, made: MediaFile) -> bytes:
        """Return the bytes of a file of the run. Raise `JournalError`."""
        if made.content or self.storage is None:
            return made.content
        return self.storage.content(made.sha256)

    def clean(self, content: bytes) -> bytes:
        """Return the content of a file without secrets, if it is a text."""
        if self.storage is None:
            return content
        try:
            return self.storage.clean(content.decode()).encode()
        except UnicodeDecodeError:
            return content

    async def keep(self, name: str, make: Callable[[], Awaitable[K]]) -> K:
        """Return the thing of this name. The first caller makes it; it is closed when the attempt ends."""
        async with self._locks.setdefault(name, anyio.Lock()):
            found = self._kept.get(name)
            if found is None:
                found = self._kept[name] = await make()
            return found  # type: ignore[return-value]  # one maker a name

    def forget(self, name: str) -> None:
        """Drop a thing that broke or was closed: the next `keep` makes a new one."""
        self._kept.pop(name, None)

    async def aclose(self) -> None:
        """Close everything that was kept and remove the scratch folder, even if the attempt was cancelled."""
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + CLOSING_SECONDS):
            for kept in self._kept.values():
                await kept.aclose()
        self._kept.clear()
        if self._scratch is not None and self.storage is not None:
            self.storage.clear(self.step)
            self._scratch = None
