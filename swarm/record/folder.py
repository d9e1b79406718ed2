"""The folder of a run: `.swarm/runs/<run id>/`, mode 0700, with one owner at a time.

journal.jsonl        the events of the run: everything else can be made from it and the artifacts
lock                 held by the process that runs it; names its host and process id
task.yaml            the task as resolved, without secrets
plan.yaml            the plan, if there is one
report.md            the report
steps/003-study.md   prompt and answer of a step, for people
artifacts/<sha256>   outputs over 64 KiB and media of answers, written before the event that names them
"""

import fcntl
import hashlib
import os
import platform
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import from_json, to_json

from swarm.base.errors import JournalError, Problem, RunInUseError, RunNotFoundError
from swarm.base.files import write_file
from swarm.base.values import Json

JOURNAL = "journal.jsonl"
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
    def is_owned(self) -> bool:
        """Whether this object owns the run."""
        return self._lock is not None

    def acquire(self) -> None:
        """Own the run until `release` or the end of the process. Do nothing if this object owns it already.

        Raise `RunInUseError`, which names the owner, if another process owns it.
        """
        if self._lock is not None:
            return
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 1000).decode("utf-8", "replace").strip()
            os.close(fd)
            raise RunInUseError(
                f"run {self.run} is in use by {owner or 'another process'}\nhint: wait for it, or stop it first"
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"process {os.getpid()} on {platform.node()}\n".encode())
        self._lock = fd

    def release(self) -> None:
        """Unlock the run."""
        if self._lock is not None:
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
        path = self.path / "artifacts" / name
        if not (path.is_file() and path.stat().st_size == len(content)):
            write_file(path, content, durable=True)
        return name

    def load(self, artifact: str) -> Json:
        """Return the output in an artifact. Raise `JournalError` as `content` does."""
        return from_json(self.content(artifact))

    def content(self, artifact: str) -> bytes:
        """Return the bytes of an artifact. Raise `JournalError` if it is missing, or its hash is not its name."""
        if not re.fullmatch(r"[0-9a-f]{64}", artifact):
            raise JournalError(f"run {self.run}: {artifact[:80]!r} is not the name of an artifact")
        path = self.path / "artifacts" / artifact
        try:
            content = path.read_bytes()
        except OSError as error:
            raise JournalError(f"{path}: cannot read the artifact: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != artifact:
            raise JournalError(f"{path}: the artifact was changed after it was written")
        return content

    def write(self, name: str, text: str) -> Path:
        """Write a file for people into the folder, completely or not at all."""
        path = self.path / name
        write_file(path, text.encode("utf-8", "replace"))
        return path


def create(runs: Path, run: str | None = None) -> RunFolder:
    """Create the folder of a new run in `runs`."""
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC)  # noqa: TID251 - a name for people; nothing is computed from it
    path = runs / (run or f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")
    path.mkdir(mode=0o700)
    return RunFolder(path)


def listed(runs: Path) -> list[RunFolder]:
    """Return every run in `runs`, oldest first."""
    if not runs.is_dir():
        return []
    return [RunFolder(path) for path in sorted(runs.iterdir()) if (path / JOURNAL).is_file()]


def find(name: str, runs: Path) -> RunFolder:
    """Return a run by id, unique prefix, folder, or `last`. Raise `RunNotFoundError` with the known runs."""
    if ("/" in name or Path(name).is_dir()) and (Path(name) / JOURNAL).is_file():
        return RunFolder(Path(name))
    known = listed(runs)
    if name == "last" and known:
        return max(known, key=lambda folder: (folder.journal.stat().st_mtime_ns, folder.run))
    exact = [folder for folder in known if folder.run == name]
    matches = exact or [folder for folder in known if folder.run.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    raise RunNotFoundError(Problem(_not_found(name, matches, known), where=str(runs)))


def _not_found(name: str, matches: Iterable[RunFolder], known: list[RunFolder]) -> str:
    several = [folder.run for folder in matches]
    if several and name != "last":
        return f"{name!r} is the start of {len(several)} run ids: {', '.join(several[:5])}\nhint: write more of the id"
    if not known:
        return f"no run {name!r}: there are no runs here yet\nhint: name another folder with `--runs DIR`"
    newest = ", ".join(folder.run for folder in known[-3:])
    return f"no run {name!r}; the newest are {newest}\nhint: list all with `swarm runs`"
