"""The reader of a task's inputs: paths, globs and mappings become files with their content."""

import base64
import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import cast

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip, listing
from swarm.spec.chat import Medium
from swarm.spec.files.outputs import PRIVATE, OutputFiles
from swarm.spec.task import Input, InputSpec, Task
from swarm.spec.yaml.strict import Document

MOST_TEXT = 5_000_000
"""Maximum bytes of a text: more than a million tokens, which exceeds the context of every model."""
MOST_MEDIA = 100_000_000
"""Maximum bytes of an image, audio or video file: the largest file that a provider stores. Most
models accept less (`swarm.spec.labels.INLINE_BYTES`)."""
MOST_FILES = 10_000
"""Maximum input files of a task. A glob that matches more is probably a mistake."""

_MIMES: Mapping[str, str] = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff", ".heic": "image/heic", ".avif": "image/avif",
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg",
    ".opus": "audio/opus", ".m4a": "audio/mp4", ".aac": "audio/aac",
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".avi": "video/x-msvideo", ".mpeg": "video/mpeg", ".mpg": "video/mpeg",
    ".md": "text/markdown", ".csv": "text/csv", ".html": "text/html", ".htm": "text/html", ".xml": "text/xml",
    ".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml",
}  # fmt: skip
"""MIME type by file name ending, the same on every machine. Other endings are `text/plain`."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
)
"""Signatures of file formats: offset, bytes, MIME type."""


@dataclass(frozen=True)
class _Match:
    """A file that an entry of `inputs:` matches."""

    path: Path
    name: str
    entry: int
    spec: InputSpec
    by_glob: bool
    """Whether only globs match it."""


def read_inputs(task: Task, outputs: OutputFiles | None = None, notes: list[str] | None = None) -> tuple[Input, ...]:
    """Return every input of a task with its content, in the order of its entries; files of a glob sorted by name.

    A glob (`*`, `?`, `[…]`, `**`) skips hidden files and does not follow links to folders. A file
    that two entries name is read once, with the label, medium and name of either. An output of the
    task that a glob matches is left out, with a note for people in `notes`. Raise TaskError with all
    problems.
    """
    problems: list[tuple[int, str]] = []
    found = _matches(task, problems)
    files = _without_outputs(found, outputs or OutputFiles(), problems, [] if notes is None else notes)
    if len(files) > MOST_FILES:
        raise TaskError(Problem(f"{len(files):,} input files; maximum {MOST_FILES:,}", key="inputs"))
    problems += _same_names(files)
    inputs: list[Input] = []
    for file in files:
        try:
            inputs.append(_read(file))
        except _EntryError as error:
            problems.append((file.entry, str(error)))
    if problems:
        raise TaskError(*(_problem(task, entry, message) for entry, message in sorted(problems)))
    return tuple(inputs)


class _EntryError(Exception):
    """An entry of `inputs:` is wrong."""


def _matches(task: Task, problems: list[tuple[int, str]]) -> tuple[_Match, ...]:
    """Return the files that the entries of a task match, each once.

    Add errors to `problems`, by index of the entry.
    """
    matches: dict[Path, _Match] = {}
    for index, entry in enumerate(task.inputs):
        spec = InputSpec(path=entry) if isinstance(entry, str) else entry
        try:
            for found in _found(spec, index, task.folder):
                resolved = found.path.resolve()
                matches[resolved] = _merged(matches[resolved], found) if resolved in matches else found
        except _EntryError as error:
            problems.append((index, str(error)))
    return tuple(matches.values())


def _without_outputs(
    files: tuple[_Match, ...], outputs: OutputFiles, problems: list[tuple[int, str]], notes: list[str]
) -> tuple[_Match, ...]:
    """Return the files that are not outputs of the task. One that is named as an input is a problem."""
    kept: list[_Match] = []
    for file in files:
        output = outputs.same_as(file.path)
        if output is None:
            kept.append(file)
        elif file.by_glob:
            notes.append(f"`{clip(file.name)}` is an output of this task, so it is left out of the inputs")
        else:
            words = f"`{clip(file.name)}` is an input, and `output: {clip(output.name)}` would replace it"
            problems.append((file.entry, f"{words}\nhint: choose another name for the output"))
    return tuple(kept)


def _problem(task: Task, index: int, message: str) -> Problem:
    where = task.origin.place(("inputs", index)) if isinstance(task.origin, Document) else ""
    return Problem(message, where=where, key=f"inputs.{index}")


def _found(spec: InputSpec, entry: int, folder: Path) -> Iterator[_Match]:
    """Yield the files that one entry matches.

    A path that exists is not a glob, whatever characters it contains.
    """
    written = spec.path
    shown = clip(written)
    if "\0" in written:
        raise _EntryError("the path contains a NUL character")
    path = folder / written
    try:
        if path.is_dir():
            raise _EntryError(f"`{shown}` is a folder; for all files in it write `{clip(written.rstrip('/'))}/**`")
        is_path = path.exists() or not _is_glob(written)
        found = [(written, path)] if is_path else _glob(written, folder)
    except OSError as error:
        raise _EntryError(f"`{shown}` cannot be read: {error.strerror or error}") from None
    if not found:
        raise _EntryError(f"`{shown}` matches no file in {folder}{_near(written, folder)}")
    if spec.name is not None and len(found) > 1:
        raise _EntryError(f"`{shown}` matches {len(found)} files; `name` is allowed for one file only")
    for name, path in found:
        yield _Match(path, spec.name or name, entry, spec, not is_path)


def _is_glob(path: str) -> bool:
    return any(c in path for c in "*?[")


def _glob(pattern: str, folder: Path) -> list[tuple[str, Path]]:
    """Return the files that match a glob, sorted: the name, which begins like the pattern, and the path."""
    parts = PurePosixPath(pattern).parts
    first = next(index for index, part in enumerate(parts) if _is_glob(part))
    root = PurePosixPath(*parts[:first])
    rest = "/".join(parts[first:]) + ("/*" if parts[-1] == "**" else "")
    base = folder / root
    found: list[tuple[str, Path]] = []
    try:
        for path in base.glob(rest):
            inner = path.relative_to(base).parts
            is_private = PRIVATE in (*root.parts, *inner)
            if is_private or not _is_shown(inner, rest) or not path.is_file():
                continue
            found.append((str(root / PurePosixPath(*inner)), path))
            if len(found) > MOST_FILES:
                raise _EntryError(
                    f"`{clip(pattern)}` matches more than {MOST_FILES:,} files, the maximum; use a narrower glob"
                )
    except ValueError as error:
        raise _EntryError(f"`{clip(pattern)}` is not a glob: {error}") from None
    return sorted(found)


def _is_shown(parts: tuple[str, ...], pattern: str) -> bool:
    """Check that no part of a name is hidden, except parts that the pattern itself names with a leading dot."""
    named = [part for part in pattern.split("/") if part.startswith(".")]
    hidden = [part for part in parts if part.startswith(".")]
    return all(any(fnmatchcase(part, name) for name in named) for part in hidden)


def _near(written: str, folder: Path) -> str:
    """Return `; did you mean …?` with the nearest name in the folder of a path, as the end of a message."""
    path = folder / written
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())[:1000]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean `{clip(str(PurePosixPath(written).with_name(near[0])))}`?" if near else ""


def _merged(first: _Match, second: _Match) -> _Match:
    """Return a file that two entries match.

    A label in one of them is kept, so a glob cannot remove it.
    """
    spec = first.spec
    for key in ("label", "as_", "name"):
        one, other = getattr(spec, key), getattr(second.spec, key)
        if one is not None and other is not None and one != other:
            key_in_file = key.rstrip("_")
            values = f"`{key_in_file}: {one}` in one entry and `{key_in_file}: {other}` in this one"
            raise _EntryError(f"`{clip(first.name)}` has {values}")
        if one is None and other is not None:
            spec = spec.model_copy(update={key: other})
    return replace(first, spec=spec, name=spec.name or first.name, by_glob=first.by_glob and second.by_glob)


def _same_names(files: Iterable[_Match]) -> Iterator[tuple[int, str]]:
    seen: dict[str, _Match] = {}
    for file in files:
        if file.name in seen:
            paths = listing([str(seen[file.name].path), str(file.path)])
            yield file.entry, f"two inputs have the name `{clip(file.name)}`: {paths}; set another `name` for one"
        seen[file.name] = file


def _read(file: _Match) -> Input:
    mime = _MIMES.get(file.path.suffix.lower(), "text/plain")
    medium = file.spec.as_ or _medium(mime)
    most = MOST_TEXT if medium == "text" else MOST_MEDIA
    content = _content(file, most)
    empty = Input(
        name=file.name,
        medium=medium,
        mime=mime,
        label=file.spec.label,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )
    if medium == "text":
        text = _decoded(file.name, content)
        mime = mime if _medium(mime) == "text" else "text/plain"
        return empty.model_copy(update={"text": text, "mime": mime})
    if _medium(mime) != medium:
        mime = _sniffed(file.name, content, medium)
    return empty.model_copy(update={"base64": base64.b64encode(content).decode(), "mime": mime})


def _medium(mime: str) -> Medium:
    kind = mime.split("/", 1)[0]
    return cast("Medium", kind) if kind in {"image", "audio", "video"} else "text"


def _content(file: _Match, most: int) -> bytes:
    name = clip(file.name)
    try:
        if not file.path.exists():
            folder = file.path.parent
            raise _EntryError(f"there is no file `{name}` in {folder}{_near(file.path.name, folder)}")
        if not file.path.is_file():
            raise _EntryError(f"`{name}` is not a regular file")
        with file.path.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        raise _EntryError(f"`{name}` cannot be read: {error.strerror or error}") from None
    if len(content) > most:
        raise _EntryError(f"`{name}` has more than {most:,} bytes, the maximum for one input; split it")
    return content


def _decoded(name: str, content: bytes) -> str:
    text = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in text:
        advice = "convert it to text, or set `as:` to image, audio or video"
        raise _EntryError(f"`{clip(name)}` is not text; {advice}")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        advice = "save it as UTF-8, or set `as:` to image, audio or video"
        raise _EntryError(f"`{clip(name)}` is not UTF-8 (line {line}); {advice}") from None


def _sniffed(name: str, content: bytes, medium: Medium) -> str:
    """Return the MIME type of a file from its first bytes, if its name has an unknown ending."""
    for offset, magic, mime in _MAGIC:
        if content[offset : offset + len(magic)] == magic and _medium(mime) == medium:
            return mime
    endings = listing([ending for ending, mime in _MIMES.items() if _medium(mime) == medium])
    raise _EntryError(f"`{clip(name)}` has an unknown {medium} format; give its name one of these endings: {endings}")
