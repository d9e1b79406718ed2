"""Finished steps by content: what an earlier run of the project paid for, a later one takes.

An entry is a file named by the key of the attempt that made it (`executor.Attempt.key`): a line with the hash of the
rest, then the rest as JSON. A sound that its answer has beside words is a file of its own, named by its hash. All is
checked whole when it is read; what is damaged, gone, or of another format, is a miss.
Entries are written beside and renamed, so any number of runs may share a folder.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import ValidationError

from swarm.base.files import write_file
from swarm.base.values import canonical, digest
from swarm.record.outcome import OutcomeRecord
from swarm.spec.chat import MediaFile

SUFFIX = ".json"
BYTES = ".bytes"


class Entry(OutcomeRecord):
    """The outcome of a finished step, and what determined it."""

    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset({"artifact", "cached"})
    """An entry holds the whole output."""

    format: Literal[1] = 1
    key: str
    parts: dict[str, str]
    """What determined the output, each part by the beginning of its hash."""
    step: str
    """The step that first gave it, for people."""
    agent: str
    run: str

    def with_media(self, media: tuple[MediaFile, ...]) -> Self:
        """Return the entry with other media."""
        return self.model_copy(update={"outcome": self.outcome.model_copy(update={"media": media})})


class CacheSize(NamedTuple):
    """How much a cache holds."""

    entries: int
    bytes: int


class Nearest(NamedTuple):
    """The entry that shares the most with a key that was missed."""

    entry: Entry
    differs: tuple[str, ...]
    """Names of the parts that differ."""


class Cache:
    """A folder of entries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Entry | None:
        """Give the entry of a key, with the bytes it has beside words; None if there is none that is whole."""
        entry = _read(self._path(key))
        if entry is None or not entry.outcome.media:
            return entry
        media = tuple(self._with_content(each) for each in entry.outcome.media)
        return entry.with_media(media) if all(each.content for each in media) else None

    def _with_content(self, made: MediaFile) -> MediaFile:
        try:
            content = self._path(made.sha256, BYTES).read_bytes()
        except OSError:
            return made
        whole = hashlib.sha256(content).hexdigest() == made.sha256
        return made.model_copy(update={"content": content}) if whole else made

    def put(self, entry: Entry) -> None:
        """Keep an entry. A disk that takes none is no reason for a run to stop: it is not kept then.

        Neither is one whose bytes beside words are lost.
        """
        if not all(each.content for each in entry.outcome.media):
            return
        content = canonical(entry)
        checked = hashlib.sha256(content).hexdigest().encode() + b"\n" + content
        try:
            for made in entry.outcome.media:
                write_file(self._path(made.sha256, BYTES), made.content)
            write_file(self._path(entry.key), checked)
        except OSError:
            return

    def entries(self) -> Iterator[Entry]:
        """Give every whole entry, by key."""
        for path in self._files():
            entry = _read(path)
            if entry is not None:
                yield entry

    def size(self) -> CacheSize:
        """Count the entries and their bytes, damaged ones too."""
        entries = self._files()
        return CacheSize(len(entries), sum(path.stat().st_size for path in (*entries, *self._files(BYTES))))

    def clear(self) -> int:
        """Remove every entry; say how many there were."""
        count = 0
        for path in self._files():
            path.unlink(missing_ok=True)
            count += 1
        for path in self._files(BYTES):
            path.unlink(missing_ok=True)
        return count

    def nearest(self, parts: Mapping[str, str], agent: str = "", *, but: str = "") -> Nearest | None:
        """Find the entry that differs in the fewest parts; among equals one of the same agent, then the first.

        What the run `but` has left itself does not count.
        """
        best: Nearest | None = None
        for entry in self.entries():
            if entry.run == but:
                continue
            found = Nearest(entry, differing(parts, entry.parts))
            if best is None or _rank(found, agent) < _rank(best, agent):
                best = found
        return best

    def _path(self, key: str, suffix: str = SUFFIX) -> Path:
        return self.folder / key[:2] / (key + suffix)

    def _files(self, suffix: str = SUFFIX) -> list[Path]:
        return sorted(self.folder.glob(f"??/*{suffix}")) if self.folder.is_dir() else []


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """Name the parts in which two keys differ."""
    return tuple(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def _rank(found: Nearest, agent: str) -> tuple[int, bool]:
    return len(found.differs), found.entry.agent != agent


def _read(path: Path) -> Entry | None:
    try:
        check, _, content = path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != check:
            return None
        entry = Entry.model_validate_json(content)
    except (OSError, ValidationError, RecursionError):
        return None
    return entry if digest(entry.parts) == entry.key == path.name.removesuffix(SUFFIX) else None
