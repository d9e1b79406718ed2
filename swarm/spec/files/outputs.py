"""The files that a task's report is written to, checked before anything is paid for.

A report never replaces what the task is made of: an input, the task, its plan, an agent. Paths are
compared after links are followed, and by the identity of the file, so another spelling, a link and
a file system without upper and lower case make no difference.
"""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip
from swarm.spec.files.check import wrong_ending
from swarm.spec.task import Task
from swarm.spec.yaml.strict import Document

PRIVATE = ".swarm"
"""Name of the folder of runs. Nothing in it is an input or an output."""
MOST_NAME = 255
"""Maximum bytes of the name of a file or a folder on every common file system."""
NO_FILES = (Path("/proc"), Path("/sys"), Path("/dev"))
"""Folders of the kernel. A new file in them is an error only when it is written."""
_UNKNOWN = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS})
"""Errors of a file system that has no unnamed files: whether it can be written is then unknown."""


@dataclass(frozen=True)
class OutputFile:
    """A file that a report is written to."""

    name: str
    """Path as the user wrote it."""
    index: int
    path: Path
    """Absolute path."""
    resolved: Path
    """The same without links."""
    is_given: bool
    """Whether the caller named it, not the task file. Then it may be outside of the task's folder."""

    @cached_property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the file, or None if there is no such file."""
        return _identity(self.path)


class OutputFiles(tuple[OutputFile, ...]):
    """All files that a report is written to."""

    __slots__ = ()

    def same_as(self, path: Path) -> OutputFile | None:
        """Return the output that is the same file as a path, or None."""
        if not self:
            return None
        resolved, identity = _resolved(path), _identity(path)
        for output in self:
            if output.resolved == resolved or (identity is not None and output.identity == identity):
                return output
        return None


def read_outputs(task: Task, *, source: str = "", given: Iterable[str | Path] | None = None) -> OutputFiles:
    """Return the outputs of a task. Raise TaskError with all that cannot be written, or must not be.

    `source` is the path of the task file. `given` are paths of the caller, relative to the current
    folder; they replace those of the task. Nothing is written.
    """
    is_option = given is not None
    problems: list[tuple[int, str]] = []
    outputs: list[OutputFile] = []
    for index, name in enumerate(_named(task, given)):
        wrong = (wrong_ending(name) if is_option else None) or _wrong_name(name)
        if wrong is None:
            output = _output(index, name, task, is_option=is_option)
            wrong = _wrong(output, task, source, outputs)
            outputs.append(output)
        if wrong is not None:
            problems.append((index, wrong))
    if problems:
        raise TaskError(*(_problem(task, index, message, is_option=is_option) for index, message in problems))
    return OutputFiles(outputs)


def _named(task: Task, given: Iterable[str | Path] | None) -> tuple[str, ...]:
    if given is not None:
        return tuple(map(str, given))
    return task.output if isinstance(task.output, tuple) else (task.output,)


def _output(index: int, name: str, task: Task, *, is_option: bool) -> OutputFile:
    path = (Path.cwd() if is_option else task.folder.absolute()) / name
    is_from_python = not isinstance(task.origin, Document)
    is_given = is_option or (is_from_python and Path(name).is_absolute())
    return OutputFile(name, index, path, _resolved(path), is_given)


def _wrong(output: OutputFile, task: Task, source: str, others: Iterable[OutputFile]) -> str | None:
    """Return why a file cannot be an output, or None."""
    wrong = (
        _wrong_place(output, task)
        or _same_as_source(output, task, source)
        or _unwritable(output)
        or _repeated(output, others)
    )
    return None if wrong is None else f"`{clip(output.name)}` {wrong}"


def _problem(task: Task, index: int, message: str, *, is_option: bool) -> Problem:
    if is_option:
        return Problem(message, key="--output")
    where = task.origin.place(("output", index)) if isinstance(task.origin, Document) else ""
    return Problem(message, where=where, key="output")


# Names and places


def _wrong_name(name: str) -> str | None:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        return f"`{clip(name)}` has a control character in its name\nhint: choose another name"
    if name.startswith("~"):
        return f"`{clip(name)}` begins with `~`, which is not expanded\nhint: write the whole path"
    if any(len(os.fsencode(part)) > MOST_NAME for part in Path(name).parts):
        return f"`{clip(name)}` has a name of more than {MOST_NAME} bytes, the maximum\nhint: choose a shorter name"
    return None


def _wrong_place(output: OutputFile, task: Task) -> str | None:
    folder = _resolved(task.folder.absolute())
    if any(output.resolved.is_relative_to(place) for place in NO_FILES):
        return "is in a folder of the operating system\nhint: choose a path in the folder of the task"
    is_inside = output.resolved.is_relative_to(folder)
    if PRIVATE in (output.resolved.relative_to(folder) if is_inside else output.resolved).parts:
        return f"is in `{PRIVATE}`, the folder of runs\nhint: choose another folder"
    if not output.is_given and not is_inside:
        return (
            f"leads out of the task's folder, to {clip(str(output.resolved), 200)}\n"
            f"hint: write it in the task's folder, or allow it for this run: --output {clip(str(output.resolved), 200)}"
        )
    return None


def _same_as_source(output: OutputFile, task: Task, source: str) -> str | None:
    sources = [(source, "the task file"), (_plan_file(task), "the plan file")]
    for file, words in sources:
        if file and OutputFiles((output,)).same_as(Path(file)) is not None:
            return f"is {words}; the report would replace it\nhint: choose another name"
    if task.agents is not None:
        agents = _resolved(task.folder / task.agents)
        if output.resolved.parent == agents or any(_is_same(output, file) for file in _files(agents)):
            return "is in the folder of the task's agents, and would be read as one\nhint: choose another folder"
    return None


def _plan_file(task: Task) -> str:
    return task.plan_origin.source if isinstance(task.plan_origin, Document) else ""


def _is_same(output: OutputFile, file: Path) -> bool:
    return OutputFiles((output,)).same_as(file) is not None


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob("*.md"))
    except OSError:
        return


def _repeated(output: OutputFile, others: Iterable[OutputFile]) -> str | None:
    for other in others:
        if _spelled(output.resolved) == _spelled(other.resolved) or (
            output.identity is not None and output.identity == other.identity
        ):
            return f"is the same file as `{clip(other.name)}`\nhint: remove one of them"
    return None


def _spelled(path: Path) -> str:
    """Return a path as a file system without upper and lower case sees it."""
    return unicodedata.normalize("NFC", str(path)).casefold()


# Whether it can be written


def _unwritable(output: OutputFile) -> str | None:
    """Return why a file could not be written now. Nothing is written to find out."""
    try:
        mode = output.path.stat().st_mode
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return f"cannot be written: {error.strerror}\nhint: choose another path"
    else:
        if stat.S_ISDIR(mode):
            return "is a folder\nhint: name a file in it"
        if not stat.S_ISREG(mode):
            return "is not a regular file\nhint: choose another name"
    folder = _existing(output.resolved.parent)
    if not folder.is_dir():
        return f"cannot be written: {clip(str(folder), 200)} is not a folder\nhint: choose another path"
    because = _refusal(folder)
    if because is None:
        return None
    return f"cannot be written into {clip(str(folder), 200)}: {because}\nhint: choose a folder that you may write to"


def _existing(folder: Path) -> Path:
    """Return the nearest folder above that exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _refusal(folder: Path) -> str | None:
    """Return why no file can be made in a folder, or None. An unnamed file is made, which nobody can see."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return "permission denied, or a read-only file system"
    unnamed = getattr(os, "O_TMPFILE", None)
    if unnamed is None:
        return None
    try:
        os.close(os.open(folder, unnamed | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return None if error.errno in _UNKNOWN else str(error.strerror)
    return None


# Paths


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name that is not one
        return path.absolute()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
