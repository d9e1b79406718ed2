"""The files that a glob or a folder stands for.

A folder stands for all files below it that a person would mean: no hidden ones, none that
`.gitignore` or `.ignore` names, no links, nothing that swarm itself wrote.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from swarm.base.text import clip
from swarm.spec.files.outputs import PRIVATE

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MOST_FILES = 10_000
"""Maximum input files of a task. A glob or folder with more is probably a mistake."""
IGNORE_FILES = (".gitignore", ".ignore")
"""Files with rules for what is not meant, in the format of git. Of two rules, the later one decides."""
DEEPEST = 100
"""Maximum depth of folders in a folder."""
MOST_STARS = 4
"""Maximum parts `**` of a glob. Each looks at all folders again, so the time of a match is a power of their number."""
_GIT = ".git"


class FoundError(Exception):
    """A glob or a folder that cannot be used, in words."""


@dataclass(frozen=True)
class FoundFile:
    """A file that a glob or a folder stands for."""

    name: str
    """Its path, beginning as the user wrote it."""
    path: Path
    base: Path
    """The folder that the user wrote. The file is opened below it."""
    because: str = ""
    """Why it is not read, for a folder in it that cannot be looked at."""


def is_glob(path: str) -> bool:
    """Return whether a path has characters of a glob."""
    return any(c in path for c in "*?[")


def glob_files(pattern: str, folder: Path) -> list[FoundFile]:
    """Return the files that a glob matches, sorted by name. Raise FoundError."""
    parts = _parts(pattern)
    first = next(index for index, part in enumerate(parts) if is_glob(part))
    root = PurePosixPath(*parts[:first])
    rest = "/".join(parts[first:]) + ("/*" if parts[-1] == "**" else "")
    base = folder / root
    found: list[FoundFile] = []
    try:
        for path in base.glob(rest):
            inner = path.relative_to(base).parts
            is_private = PRIVATE in (*root.parts, *inner)
            if is_private or not _is_shown(inner, rest) or not path.is_file():
                continue
            found.append(FoundFile(str(root / PurePosixPath(*inner)), path, base))
            _check_number(found, pattern)
    except ValueError as error:
        raise FoundError(f"`{clip(pattern)}` is not a glob: {error}") from None
    return sorted(found, key=lambda each: each.name)


def _parts(pattern: str) -> tuple[str, ...]:
    """Return the parts of a glob, `**/**` as one. Raise FoundError if it has so many that matching takes for ever."""
    written = PurePosixPath(pattern).parts
    found = tuple(part for part, before in zip(written, ("", *written), strict=False) if (part, before) != ("**", "**"))
    if len(found) > DEEPEST or found.count("**") > MOST_STARS:
        most = f"{DEEPEST} parts, {MOST_STARS} of them `**`"
        raise FoundError(f"`{clip(pattern)}` is too long; the maximum is {most}")
    return found


def _is_shown(parts: tuple[str, ...], pattern: str) -> bool:
    """Check that no part of a name is hidden, except parts that the pattern itself names with a leading dot."""
    named = [part for part in pattern.split("/") if part.startswith(".")]
    hidden = [part for part in parts if part.startswith(".")]
    return all(any(fnmatchcase(part, name) for name in named) for part in hidden)


def _check_number(found: list[FoundFile], written: str) -> None:
    if len(found) > MOST_FILES:
        message = f"`{clip(written)}` has more than {MOST_FILES:,} files, the maximum; use a narrower glob"
        raise FoundError(message)


def folder_files(written: str, path: Path) -> list[FoundFile]:
    """Return the files below a folder, sorted by name. Raise FoundError, or OSError for the folder itself."""
    root = PurePosixPath(written)
    walk = _Walk(path, _Rules(path))
    found: list[FoundFile] = []
    for inner in walk.files(PurePosixPath()):
        found.append(FoundFile(str(root / inner), path / inner, path))
        _check_number(found, written)
    for inner, because in walk.closed:
        found.append(FoundFile(f"{root / inner}/", path / inner, path, because))
    return sorted(found, key=lambda each: each.name)


@dataclass
class _Walk:
    """A walk through a folder."""

    base: Path
    rules: "_Rules"
    closed: list[tuple[PurePosixPath, str]] = field(default_factory=list[tuple[PurePosixPath, str]])
    """Folders that cannot be looked at, and why."""

    def files(self, inner: PurePosixPath) -> Iterator[PurePosixPath]:
        """Yield the files below a folder, by their path in it. A folder that cannot be read is an error only at first.

        Links are not followed: what they lead to is elsewhere, or comes twice.
        """
        with os.scandir(self.base / inner) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            child = inner / entry.name
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            if self.rules.ignore(child, is_folder=is_folder):
                continue
            if is_folder:
                yield from self._inside(child)
            elif entry.is_file(follow_symlinks=False):
                yield child

    def _inside(self, inner: PurePosixPath) -> Iterator[PurePosixPath]:
        if len(inner.parts) > DEEPEST:
            self.closed.append((inner, f"is more than {DEEPEST} folders deep\nhint: name it by itself"))
            return
        try:
            yield from self.files(inner)
        except OSError as error:
            words = f"is a folder that cannot be read: {error.strerror or error}"
            self.closed.append((inner, f"{words}\nhint: change its permissions, or name it in `.ignore`"))


@dataclass
class _Rules:
    """The rules of a folder, of the folders in it, and of those above it up to its repository."""

    base: Path
    _specs: dict[Path, "GitIgnoreSpec | None"] = field(default_factory=dict[Path, "GitIgnoreSpec | None"])
    _above: list[Path] = field(default_factory=list[Path])

    def __post_init__(self) -> None:
        base = self.base.resolve()
        above = [base, *base.parents]
        repository = next((n for n, folder in enumerate(above) if (folder / _GIT).exists()), 0)
        self._above = above[: repository + 1]
        # Who names an ignored folder means it.
        if any(self._decide(folder, base.relative_to(folder), is_folder=True) for folder in self._above[1:]):
            self._above = [base]

    def ignore(self, inner: PurePosixPath, *, is_folder: bool) -> bool:
        """Return whether the rules name a file or folder, by its path in the base. The nearest rule decides."""
        base = self._above[0]
        path = base / inner
        inside = [base / parent for parent in inner.parents if str(parent) != "."]
        for folder in (*inside, *self._above):
            decided = self._decide(folder, path.relative_to(folder), is_folder=is_folder)
            if decided is not None:
                return decided
        return False

    def _decide(self, folder: Path, path: Path, *, is_folder: bool) -> bool | None:
        spec = self._spec(folder)
        if spec is None:
            return None
        return spec.check_file(f"{path.as_posix()}/" if is_folder else path.as_posix()).include

    def _spec(self, folder: Path) -> "GitIgnoreSpec | None":
        """Return the rules in a folder, or None without any. What cannot be read has none."""
        if folder not in self._specs:
            lines: list[str] = []
            for name in IGNORE_FILES:
                try:
                    lines += (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
                except OSError:
                    continue
            self._specs[folder] = _compiled(lines)
        return self._specs[folder]


def _compiled(lines: list[str]) -> "GitIgnoreSpec | None":
    """Return rules; invalid ones are ignored, as git does."""
    if not lines:
        return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        kept = [line for line in lines if _is_rule(line)]
        return GitIgnoreSpec.from_lines(kept)


def _is_rule(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
