"""The folder of a run: `.swarm/runs/<run id>/`, mode 0700, with one owner at a time.

journal.jsonl        the events of the run: everything else can be made from it and the artifacts
origin               where the run was started: see `swarm.record.origin`
lock                 held by the process that runs it; names its host and process id
stop                 a request to end the run; its owner removes it
task.yaml            the task as resolved, without secrets
plan.yaml            the plan, if there is one
report.md            the report
steps/003-study.md   prompt and answer of a step, for people
scratch/<step>/      files of a running step's tools; what is left becomes artifacts when it ends
artifacts/<sha256>   outputs over 64 KiB, media of answers, files of tools: written before the event that names them
"""

import errno
import fcntl
import hashlib
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import from_json, to_json

from swarm.base.errors import JournalError, Problem, RunInUseError, RunNotFoundError, TaskError
from swarm.base.files import make_folders
from swarm.base.private import (
    ForeignFileError,
    is_plain_file,
    is_plain_folder,
    open_file,
    read_private,
    write_private,
)
from swarm.base.values import Json
from swarm.record.origin import ORIGIN, origin_of, write_mark

JOURNAL = "journal.jsonl"
LOCK = "lock"
TASK = "task.yaml"
STOP = "stop"
"""File with which another process asks the owner of a run to end it."""
ARTIFACTS = "artifacts"
SCRATCH = "scratch"
_HELD = frozenset({errno.EWOULDBLOCK, errno.EAGAIN})
"""Errors of a lock that another process holds."""
ARTIFACT_BYTES = 64 * 1024
"""Maximum bytes of an output in the journal. Larger ones are files, so that reading a journal stays cheap."""

UNMEASURED = "bug-measuring.txt"
"""File for the traceback of an internal error that a run survived: it lost figures or progress, no work.
Every test fails that leaves one."""


class RunFolder:
    """The existing folder of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def run(self) -> str:
        """The run's id: the folder's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Path of the journal."""
        return self.path / JOURNAL

    @property
    def is_from_here(self) -> bool:
        """Whether the run was started at this place, by this user. Only then it is resumed without a question."""
        return origin_of(self.path) == "here"

    @property
    def is_owned(self) -> bool:
        """Whether this object owns the run."""
        return self._lock is not None

    def acquire(self) -> None:
        """Own the run until `release` or the end of the process. Do nothing if this object owns it already.

        Raise `RunInUseError`, which names the owner, if another process owns it, and `JournalError` if
        it cannot be locked.
        """
        if self._lock is not None:
            return
        path = self.path / LOCK
        try:
            fd = open_file(self.path, LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise JournalError(_unlockable(path, error)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(fd, 1000).decode("utf-8", "replace").strip()
            os.close(fd)
            if error.errno not in _HELD:
                raise JournalError(_unlockable(path, error)) from error
            raise RunInUseError(
                f"run {self.run} is in use by {owner or 'another process'}\nhint: wait for it, or stop it first"
            ) from None
        self._lock = fd
        self.take_stop()  # a request to a former owner
        with suppress(OSError):  # the owner's name is for people: the lock itself is what counts
            os.ftruncate(fd, 0)
            os.write(fd, f"process {os.getpid()} on {platform.node()}\n".encode())

    def open_journal(self) -> int:
        """Open the journal to append to it, and return its descriptor. Raise `JournalError`."""
        try:
            return open_file(self.path, JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        except OSError as error:
            raise JournalError(f"{self.journal}: cannot open the journal: {error.strerror}") from error

    def size(self) -> int:
        """Return the bytes of all files in the folder."""
        return sum(size for _, size in _files(self.path))

    def remove(self) -> int:
        """Remove the folder with everything in it, and return its bytes. The journal goes last.

        The caller owns the run. Links are removed, not followed. Raise OSError if something cannot be removed.
        """
        if not is_plain_folder(self.path):
            raise ForeignFileError(self.path, "it is not a folder, but a link or a file")
        size = self.size()
        for entry in sorted(self.path.iterdir()):
            if is_plain_folder(entry):
                shutil.rmtree(entry)
            elif entry.name != JOURNAL:
                entry.unlink()
        self.journal.unlink(missing_ok=True)
        self.path.rmdir()
        return size

    def remove_new(self) -> None:
        """Remove the folder of a run that could not begin, if its journal has no event. Never raise."""
        with suppress(OSError):
            if os.path.lexists(self.journal) and self.journal.lstat().st_size:
                return
            for path in (*(self.path / name for name in (LOCK, ORIGIN, JOURNAL, TASK)), *self.path.glob("mcp-*.log")):
                path.unlink(missing_ok=True)
            self.path.rmdir()

    def ask_to_stop(self) -> None:
        """Ask the owner of the run to end it. Raise OSError if the folder is not as a run leaves it."""
        os.close(open_file(self.path, STOP, os.O_WRONLY | os.O_CREAT))

    def take_stop(self) -> bool:
        """Return whether another process asked the owner to end the run, and forget the request."""
        if not os.path.lexists(self.path / STOP):
            return False
        is_request = is_plain_file(self.path, STOP)
        with suppress(OSError):
            (self.path / STOP).unlink()
        return is_request

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether a request to end the run is not taken yet."""
        return os.path.lexists(self.path / STOP)

    def release(self) -> None:
        """Unlock the run."""
        if self._lock is not None:
            self.take_stop()
            os.close(self._lock)
            self._lock = None

    def store(self, output: Json, clean: Callable[[str], str] = str) -> str | None:
        """Write a large output to an artifact, durably, and return its hash. Return None if it is small.

        `clean` removes secrets from its JSON.
        """
        content = to_json(output)
        if len(content) <= ARTIFACT_BYTES:
            return None
        return self.keep(clean(content.decode()).encode("utf-8", "replace"))

    def keep(self, content: bytes) -> str:
        """Write bytes to an artifact, durably, and return their hash."""
        name = hashlib.sha256(content).hexdigest()
        inner = f"{ARTIFACTS}/{name}"
        path = self.path / inner
        try:
            if not (is_plain_file(self.path, inner) and path.lstat().st_size == len(content)):
                write_private(self.path, inner, content, durable=True)
        except OSError as error:
            raise JournalError(unwritten(path, "cannot write the artifact", error)) from error
        return name

    def load(self, artifact: str) -> Json:
        """Return the output in an artifact. Raise `JournalError` as `content` does."""
        return from_json(self.content(artifact))

    def content(self, artifact: str) -> bytes:
        """Return the bytes of an artifact. Raise `JournalError` if it is missing, or its hash is not its name."""
        if not re.fullmatch(r"[0-9a-f]{64}", artifact):
            raise JournalError(f"run {self.run}: {artifact[:80]!r} is not the name of an artifact")
        path = self.path / ARTIFACTS / artifact
        try:
            content = read_private(self.path, f"{ARTIFACTS}/{artifact}")
        except OSError as error:
            raise JournalError(f"{path}: cannot read the artifact: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != artifact:
            raise JournalError(f"{path}: the artifact was changed after it was written")
        return content

    def scratch(self, step: str) -> Path:
        """Return the scratch folder of a step, empty: what an earlier attempt left in it is removed. Raise OSError."""
        self.clear(step)
        path = self.path / SCRATCH / step
        for each in (path.parent, path):
            if not is_plain_folder(each):
                each.mkdir(mode=0o700)
        return path

    def clear(self, step: str) -> None:
        """Remove the scratch folder of a step, and the folder of all of them if it is empty. Never raise."""
        folder = self.path / SCRATCH
        if is_plain_folder(folder):
            shutil.rmtree(folder / step, ignore_errors=True)  # it follows no link
            with suppress(OSError):
                folder.rmdir()

    def write(self, name: str, text: str) -> Path:
        """Write a file for people into the folder, completely or not at all. Raise OSError."""
        write_private(self.path, name, text.encode("utf-8", "replace"))
        return self.path / name

    def write_page(self, name: str, text: str) -> Path | None:
        """Write a file that a run can do without. Return None if it cannot be written."""
        try:
            return self.write(name, text)
        except OSError:
            return None


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield every file below a folder with its bytes. A link counts as itself; what cannot be read is left out."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            with suppress(OSError):
                yield Path(entry.path), entry.stat(follow_symlinks=False).st_size


def unwritten(path: Path, words: str, error: OSError) -> str:
    """Return the message about a file of a run that cannot be written."""
    return (
        f"{path}: {words}: {error.strerror or error}; all lines written so far are valid\n"
        "hint: fix that, for example free disk space, then run `swarm resume`"
    )


def _unlockable(path: Path, error: OSError) -> str:
    words = f"{path}: cannot lock the run: {error.strerror or error}"
    if isinstance(error, ForeignFileError):
        return f"{words}\nhint: this folder is not as a run leaves it; do not use it"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{words}\nhint: raise the limit of open files: `ulimit -n 4096`"
    return f"{words}\nhint: choose a folder on a file system with locks and space: `--runs DIR`"


_WRONG_PLACE = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST}
)
"""Errors of a place that a user must change."""


def create(runs: Path, run: str | None = None, *, marked: bool = True) -> RunFolder:
    """Create the folder of a new run in `runs`, `marked` as started here.

    Raise `TaskError` if the place cannot have one, and `JournalError` if the system has no room.
    """
    now = datetime.now(UTC)  # noqa: TID251 - a name for people; nothing is computed from it
    path = runs / (run or f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")
    folder = RunFolder(path)
    try:
        make_folders(runs)
        path.mkdir(mode=0o700)
        if marked:
            write_mark(path)
    except OSError as error:
        folder.remove_new()
        message = f"cannot create the folder of the run: {error.strerror or error}"
        hint = "hint: choose another folder: `--runs DIR`"
        if error.errno in _WRONG_PLACE:
            raise TaskError(Problem(f"{message}\n{hint}", where=str(path))) from error
        raise JournalError(f"{path}: {message}\n{hint}") from error
    return folder


def listed(runs: Path) -> list[RunFolder]:
    """Return every run in `runs`, oldest first."""
    if not runs.is_dir():
        return []
    # A link is not a run: it may lead to one of another project.
    folders = (path for path in sorted(runs.iterdir()) if is_plain_folder(path))
    return [RunFolder(path) for path in folders if os.path.lexists(path / JOURNAL)]


def find(name: str, runs: Path) -> RunFolder:
    """Return a run by id, unique prefix, folder, or `last`. Raise `RunNotFoundError` with the known runs.

    An empty name is none: it may come from an unset variable of a shell.
    """
    if name and ("/" in name or Path(name).is_dir()) and os.path.lexists(Path(name) / JOURNAL):
        return RunFolder(Path(name))
    known = listed(runs)
    if name == "last" and known:
        return max(known, key=lambda folder: (folder.journal.lstat().st_mtime_ns, folder.run))
    matches = _matching(name, known)
    if len(matches) == 1:
        return matches[0]
    raise RunNotFoundError(Problem(_not_found(name, matches, known), where=str(runs)))


def _matching(name: str, known: Iterable[RunFolder]) -> list[RunFolder]:
    """Return the run with this id, else those whose id starts with it."""
    starting = [folder for folder in known if name and folder.run.startswith(name)]
    return [folder for folder in starting if folder.run == name] or starting


def _not_found(name: str, matches: Iterable[RunFolder], known: list[RunFolder]) -> str:
    several = [folder.run for folder in matches]
    if several and name != "last":
        return f"{name!r} is the start of {len(several)} run ids: {', '.join(several[:5])}\nhint: write more of the id"
    if not known:
        return f"no run {name!r}: there are no runs here yet\nhint: name another folder with `--runs DIR`"
    newest = ", ".join(folder.run for folder in known[-3:])
    return f"no run {name!r}; the newest are {newest}\nhint: list all with `swarm runs`"
