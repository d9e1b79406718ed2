"""The cache of finished steps: a later run of the project reuses what an earlier one paid for.

An entry is a file named by the key of the attempt that made it (`Attempt.key`): a line with the
hash of the rest, then the rest as JSON. Each medium of its answer is a file of its own, named by
its hash. Every file is checked when it is read; one that is damaged, missing or of another format
is a cache miss. Files are written under another name and renamed, so any number of runs may share a
folder.
"""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import ValidationError

from swarm.base.private import is_plain_folder, read_private, write_private
from swarm.base.values import canonical, digest
from swarm.record.outcome import OutcomeRecord
from swarm.spec.chat import MediaFile

SUFFIX = ".json"
"""Ending of the files of entries."""
BYTES = ".bytes"
"""Ending of the files of media."""
LOCK = ".lock"
"""Ending of the files that running attempts hold locked."""


CURRENT = 2
"""Format of the entries that are used. Older ones were stored before answers had to be whole."""


class Entry(OutcomeRecord):
    """The outcome of a finished step, and what determined it."""

    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset({"artifact", "cached"})
    """An entry holds the whole output."""

    format: Literal[1, 2] = 2
    """Entries of format 1 may hold answers that were not whole: they are listed, but not used."""
    key: str
    parts: dict[str, str]
    """The parts that determined the output, each as the start of its hash."""
    step: str
    """The step that made it, for people."""
    agent: str
    run: str

    def with_media(self, media: tuple[MediaFile, ...]) -> Self:
        """Return the entry with other media."""
        return self.model_copy(update={"outcome": self.outcome.model_copy(update={"media": media})})


class CacheSize(NamedTuple):
    """Size of a cache."""

    entries: int
    bytes: int


class Nearest(NamedTuple):
    """The entry that is nearest to a key without an entry."""

    entry: Entry
    differs: tuple[str, ...]
    """Names of the parts that differ."""


class Cache:
    """A folder of entries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Entry | None:
        """Return the entry of a key with the bytes of its media. Return None if a file is missing or damaged."""
        entry = _read(self.folder, _name(key))
        if entry is None or entry.format < CURRENT:
            return None
        if not entry.outcome.media:
            return entry
        media = tuple(self._with_content(each) for each in entry.outcome.media)
        return entry.with_media(media) if all(each.content for each in media) else None

    def _with_content(self, made: MediaFile) -> MediaFile:
        try:
            content = read_private(self.folder, _name(made.sha256, BYTES))
        except OSError:
            return made
        whole = hashlib.sha256(content).hexdigest() == made.sha256
        return made.model_copy(update={"content": content}) if whole else made

    def put(self, entry: Entry) -> None:
        """Store an entry. Write errors are ignored. An entry whose media are missing is not stored."""
        if not all(each.content for each in entry.outcome.media):
            return
        content = canonical(entry)
        checked = hashlib.sha256(content).hexdigest().encode() + b"\n" + content
        try:
            for made in entry.outcome.media:
                write_private(self.folder, _name(made.sha256, BYTES), made.content)
            write_private(self.folder, _name(entry.key), checked)
        except OSError:
            return

    def entries(self) -> Iterator[Entry]:
        """Return every valid entry, sorted by key."""
        for path in self._files():
            entry = _read(self.folder, f"{path.parent.name}/{path.name}")
            if entry is not None:
                yield entry

    def size(self) -> CacheSize:
        """Return the number of entries and their bytes, including damaged ones."""
        entries = self._files()
        return CacheSize(len(entries), sum(path.lstat().st_size for path in (*entries, *self._files(BYTES))))

    def lock_of(self, key: str) -> Path:
        """Return the file that is locked while an attempt with this key runs."""
        return self.folder / _name(key, LOCK)

    def clear(self) -> int:
        """Remove every entry, and return their number."""
        count = 0
        for path in self._files():
            path.unlink(missing_ok=True)
            count += 1
        for path in (*self._files(BYTES), *self._files(LOCK)):
            path.unlink(missing_ok=True)
        return count

    def nearest(self, parts: Mapping[str, str], agent: str = "", *, but: str = "") -> Nearest | None:
        """Return the entry that differs in the fewest parts; of several, one of the same agent, then the first.

        Entries of the run `but` are ignored.
        """
        best: Nearest | None = None
        for entry in self.entries():
            if entry.run == but:
                continue
            found = Nearest(entry, differing(parts, entry.parts))
            if best is None or _rank(found, agent) < _rank(best, agent):
                best = found
        return best

    def _files(self, suffix: str = SUFFIX) -> list[Path]:
        folders = (each for each in self.folder.glob("??") if is_plain_folder(each)) if self.folder.is_dir() else ()
        return sorted(chain.from_iterable(each.glob(f"*{suffix}") for each in folders))


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the parts in which two keys differ."""
    return tuple(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def _rank(found: Nearest, agent: str) -> tuple[int, bool]:
    return len(found.differs), found.entry.agent != agent


def _name(key: str, suffix: str = SUFFIX) -> str:
    """Return the name of a file in the folder of the cache."""
    return f"{key[:2]}/{key}{suffix}"


def _read(folder: Path, name: str) -> Entry | None:
    try:
        check, _, content = read_private(folder, name).partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != check:
            return None
        entry = Entry.model_validate_json(content)
    except (OSError, ValidationError, RecursionError):
        return None
    return entry if digest(entry.parts) == entry.key == name.rpartition("/")[2].removesuffix(SUFFIX) else None
