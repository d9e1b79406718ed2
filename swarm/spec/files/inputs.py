"""The inputs of a task: names, globs and mappings made to files that were read."""

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
from swarm.spec.task import Input, InputSpec, Task
from swarm.spec.yaml.strict import Document

MOST_TEXT = 5_000_000
"""Bytes of one text: over a million tokens, which is more than any model reads at once."""
MOST_MEDIA = 100_000_000
"""Bytes of one picture, sound or film: what the largest store of a provider takes. Most models take less
(`swarm.spec.labels.INLINE_BYTES`)."""
MOST_FILES = 10_000
"""Files of a task; a glob that finds more was meant otherwise."""
PRIVATE = ".swarm"
"""The folder of runs. What is in it is never an input."""

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
"""By the ending of the name, the same on every machine; anything else is `text/plain`."""

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
"""How the files of a kind begin: offset, bytes, type."""


@dataclass(frozen=True)
class _Wanted:
    """A file that an entry of `inputs:` names."""

    path: Path
    name: str
    entry: int
    spec: InputSpec


def read_inputs(task: Task) -> tuple[Input, ...]:
    """Find and read every input of a task, in the order of its entries, globs sorted by name.

    A glob (`*`, `?`, `[…]`, `**`) finds files, no hidden ones, and follows no links to folders. A file that two
    entries name is read once, with the label, kind and name that either gives it. Raises `TaskError` with all problems.
    """
    problems: list[tuple[int, str]] = []
    wanted: dict[Path, _Wanted] = {}
    for index, entry in enumerate(task.inputs):
        spec = InputSpec(path=entry) if isinstance(entry, str) else entry
        try:
            for found in _found(spec, index, task.folder):
                resolved = found.path.resolve()
                wanted[resolved] = _merged(wanted[resolved], found) if resolved in wanted else found
        except _WrongError as wrong:
            problems.append((index, str(wrong)))
    if len(wanted) > MOST_FILES:
        raise TaskError(Problem(f"the inputs are {len(wanted):,} files; at most {MOST_FILES:,} are read", key="inputs"))
    problems += _same_names(wanted.values())
    inputs: list[Input] = []
    for file in wanted.values():
        try:
            inputs.append(_read(file))
        except _WrongError as wrong:
            problems.append((file.entry, str(wrong)))
    if problems:
        raise TaskError(*(_problem(task, entry, message) for entry, message in sorted(problems)))
    return tuple(inputs)


class _WrongError(Exception):
    """What is wrong with an entry."""


def _problem(task: Task, index: int, message: str) -> Problem:
    where = task.origin.place(("inputs", index)) if isinstance(task.origin, Document) else ""
    return Problem(message, where=where, key=f"inputs.{index}")


def _found(spec: InputSpec, entry: int, folder: Path) -> Iterator[_Wanted]:
    written = spec.path
    if "\0" in written:
        raise _WrongError("the path holds a NUL character")
    path = folder / written
    try:
        if path.is_dir():
            raise _WrongError(
                f"`{clip(written)}` is a folder; for all files in it write `{clip(written.rstrip('/'))}/**`"
            )
        if path.exists() or not _is_glob(written):
            yield _Wanted(path, spec.name or written, entry, spec)
            return
        found = _glob(written, folder)
    except OSError as error:
        raise _WrongError(f"`{clip(written)}` cannot be read: {error.strerror or error}") from None
    if not found:
        raise _WrongError(f"`{clip(written)}` matches no file in {folder}{_near(written, folder)}")
    if spec.name is not None and len(found) > 1:
        raise _WrongError(f"`{clip(written)}` matches {len(found)} files, and `name` can be that of one only")
    for name, path in found:
        yield _Wanted(path, spec.name or name, entry, spec)


def _is_glob(path: str) -> bool:
    return any(c in path for c in "*?[")


def _glob(pattern: str, folder: Path) -> list[tuple[str, Path]]:
    """Find files by a glob: what each is called, which begins as the pattern does, and where it is."""
    whole = PurePosixPath(pattern)
    fixed = list(whole.parts)
    first = next(index for index, part in enumerate(fixed) if _is_glob(part))
    root = PurePosixPath(*fixed[:first])
    rest = "/".join(fixed[first:]) + ("/*" if fixed[-1] == "**" else "")
    base = folder / root
    found: list[tuple[str, Path]] = []
    try:
        for path in base.glob(rest):
            inner = path.relative_to(base).parts
            if PRIVATE in (*root.parts, *inner) or not _is_shown(inner, rest) or not path.is_file():
                continue
            found.append((str(root / PurePosixPath(*inner)), path))
            if len(found) > MOST_FILES:
                raise _WrongError(f"`{clip(pattern)}` matches more than {MOST_FILES:,} files; name fewer")
    except ValueError as error:
        raise _WrongError(f"`{clip(pattern)}` is not a glob: {error}") from None
    return sorted(found)


def _is_shown(parts: tuple[str, ...], pattern: str) -> bool:
    """Tell whether no part of a name is hidden, but those that the pattern names as hidden."""
    asked = [part for part in pattern.split("/") if part.startswith(".")]
    return all(not part.startswith(".") or any(fnmatchcase(part, ask) for ask in asked) for part in parts)


def _near(written: str, folder: Path) -> str:
    """Name the nearest entry of the folder that the path is in, as the end of a message."""
    path = folder / written
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())[:1000]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean `{clip(str(PurePosixPath(written).with_name(near[0])))}`?" if near else ""


def _merged(first: _Wanted, second: _Wanted) -> _Wanted:
    """Put together what two entries say of one file: a label said once holds, so no glob can lift it."""
    spec = first.spec
    for key in ("label", "as_", "name"):
        one, other = getattr(spec, key), getattr(second.spec, key)
        if one is not None and other is not None and one != other:
            word = key.rstrip("_")
            raise _WrongError(f"`{clip(first.name)}` has `{word}: {one}` in one entry and `{word}: {other}` in this")
        if one is None and other is not None:
            spec = spec.model_copy(update={key: other})
    return replace(first, spec=spec, name=spec.name or first.name)


def _same_names(files: Iterable[_Wanted]) -> Iterator[tuple[int, str]]:
    seen: dict[str, _Wanted] = {}
    for file in files:
        if file.name in seen:
            paths = listing([str(seen[file.name].path), str(file.path)])
            yield file.entry, f"two inputs are called `{clip(file.name)}`: {paths}; give one another `name`"
        seen[file.name] = file


def _read(file: _Wanted) -> Input:
    mime = _MIMES.get(file.path.suffix.lower(), "text/plain")
    medium = file.spec.as_ or _medium(mime)
    most = MOST_TEXT if medium == "text" else MOST_MEDIA
    content = _content(file, most)
    made = Input(
        name=file.name,
        medium=medium,
        mime=mime,
        label=file.spec.label,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )
    if medium == "text":
        text = _decoded(file.name, content)
        return made.model_copy(update={"text": text, "mime": mime if _medium(mime) == "text" else "text/plain"})
    if _medium(mime) != medium:
        mime = _sniffed(file.name, content, medium)
    return made.model_copy(update={"base64": base64.b64encode(content).decode(), "mime": mime})


def _medium(mime: str) -> Medium:
    kind = mime.split("/", 1)[0]
    return cast("Medium", kind) if kind in {"image", "audio", "video"} else "text"


def _content(file: _Wanted, most: int) -> bytes:
    name = clip(file.name)
    try:
        if not file.path.exists():
            raise _WrongError(
                f"there is no file `{name}` in {file.path.parent}{_near(file.path.name, file.path.parent)}"
            )
        if not file.path.is_file():
            raise _WrongError(f"`{name}` is not a regular file")
        with file.path.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        raise _WrongError(f"`{name}` cannot be read: {error.strerror or error}") from None
    if len(content) > most:
        raise _WrongError(f"`{name}` has more than {most:,} bytes, which is the most for one input; split it")
    return content


def _decoded(name: str, content: bytes) -> str:
    text = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in text:
        raise _WrongError(
            f"`{clip(name)}` is not text; say `as: image`, `audio` or `video`, or make a text of it first"
        )
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise _WrongError(
            f"`{clip(name)}` is not UTF-8 (line {line}); save it as UTF-8, or say `as: image`, `audio` or `video`"
        ) from None


def _sniffed(name: str, content: bytes, medium: Medium) -> str:
    """Tell the type of a file, whose name does not, by its first bytes."""
    for offset, magic, mime in _MAGIC:
        if content[offset : offset + len(magic)] == magic and _medium(mime) == medium:
            return mime
    endings = listing([ending for ending, mime in _MIMES.items() if _medium(mime) == medium])
    raise _WrongError(f"`{clip(name)}` is not known as {medium}; give it an ending of its kind: {endings}")
