"""The download of one model from a hub: complete, checked, resumable, and only once.

A partial file is named after its SHA-256 (`.b179c952….part`). So a later call continues with
exactly the same bytes, even if the repository has changed since. The file gets its own name when
its hash is right. Next to it, `FILE.sha256` has the format of `sha256sum --check`. While that is
not older than the file, the hash is not computed again.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from swarm.base.errors import SwarmError
from swarm.local_models.hub import Body, Hub, HubName, LostError
from swarm.local_models.weights import HubFile, Weights, chosen, label_of, not_chosen, weights_in

BREAKS = 20
"""Maximum broken connections per file. A connection without a single byte ends the download."""
SPARE_BYTES = 200_000_000
"""Bytes that stay free on the disk, because a machine with a full disk fails in other ways."""
LARGEST = 50_000_000_000
"""Maximum bytes of a file. Hugging Face sends larger ones only with its own protocol
(huggingface_hub 2.4, `MAX_HTTP_DOWNLOAD_SIZE`)."""

Say = Callable[[str], None]
Progress = Callable[[int, int], None]
"""A function that receives the bytes so far and the bytes of the whole model."""


class Found(NamedTuple):
    """A downloaded model."""

    name: HubName
    """A name that means only this model of its repository."""
    path: Path
    """The file to serve: the first part."""
    size: int
    """Bytes of all parts."""


def fetch_from(hub: Hub, name: HubName, folder: Path, *, say: Say, progress: Progress) -> Found:
    """Download a model into a folder, unless it is there.

    If the hub is not reachable, use an earlier download.

    Raise `TaskError` if the name does not mean exactly one model, and `SwarmError` if the download
    fails.
    """
    try:
        all_ = weights_in(hub.files(name))
    except LostError as error:
        found = kept(name, folder)
        if found is None:
            raise
        say(f"{error}; the earlier download is used")
        return found
    weights = chosen(all_, name.choice)
    if weights is None:
        raise not_chosen(all_, name.repo, name.choice)
    exact = HubName(name.repo, label_of(weights, all_), name.revision)
    place = folder / name.folder
    missing = [file for file in weights.files if not is_kept(place / file.path, file)]
    if missing:
        say(f"downloading {exact} from {hub.endpoint} ({weights.size / 1e6:,.0f} MB)")
        _check_room(missing, place)
    else:
        say(f"{place / weights.path} is already downloaded")
    done = weights.size - sum(file.size for file in missing)
    for file in missing:
        shifted = _shifted(progress, done, weights.size)
        _fetch(hub, name, file, place / file.path, say=say, progress=shifted)
        done += file.size
    return Found(exact, place / weights.path, weights.size)


def kept(name: HubName, folder: Path) -> Found | None:
    """Return a model of an earlier download, or None."""
    place = folder / name.folder
    all_ = fetched_in(place)
    found = chosen(all_, name.choice)
    if found is None:
        return None
    exact = HubName(name.repo, label_of(found, all_), name.revision)
    return Found(exact, place / found.path, found.size)


def fetched_in(place: Path) -> tuple[Weights, ...]:
    """Return the models in the folder of a repository."""
    if not place.is_dir():
        return ()
    paths = [path for path in place.rglob("*") if path.is_file()]
    return weights_in(HubFile(path.relative_to(place).as_posix(), path.stat().st_size) for path in paths)


def is_kept(path: Path, file: HubFile) -> bool:
    """Return whether a file is there with the right hash.

    It is read only if its `FILE.sha256` is missing or older.
    """
    checksum = _checksum(path)
    try:
        there = path.stat()
        if there.st_size != file.size:
            return False
        if checksum.is_file() and checksum.stat().st_mtime_ns >= there.st_mtime_ns:
            recorded = checksum.read_text(encoding="ascii", errors="replace").split(" ")[0]
            return recorded == file.sha256
        if _digest(path) != file.sha256:
            return False
        _write_checksum(path, file)
    except FileNotFoundError:
        return False
    return True


def _checksum(path: Path) -> Path:
    """Return the path of the checksum file of a file."""
    return path.with_name(f"{path.name}.sha256")


def _write_checksum(path: Path, file: HubFile) -> None:
    _checksum(path).write_text(f"{file.sha256}  {path.name}\n", encoding="ascii")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part(path: Path, file: HubFile) -> Path:
    return path.with_name(f".{file.sha256}.part")


def _check_room(missing: list[HubFile], place: Path) -> None:
    """Raise `SwarmError` if the disk has no space, or if a file is too large for HTTP."""
    large = next((file for file in missing if file.size > LARGEST), None)
    if large is not None:
        raise SwarmError(
            f"{large.path} has {large.size / 1e9:,.0f} GB, but the hub sends files over {LARGEST / 1e9:.0f} GB "
            "only to its own program\nhint: download it with `hf download`, then use `local:/path/to/file`"
        )
    place.mkdir(parents=True, exist_ok=True)
    parts = [_part(place / file.path, file) for file in missing]
    begun = sum(part.stat().st_size for part in parts if part.is_file())
    needed = sum(file.size for file in missing) - begun
    free = shutil.disk_usage(place).free
    if needed + SPARE_BYTES > free:
        raise SwarmError(
            f"not enough disk space: the download needs {needed / 1e6:,.0f} MB, but {place} has "
            f"{free / 1e6:,.0f} MB free, of which {SPARE_BYTES / 1e6:.0f} MB must stay free\n"
            "hint: free disk space, choose a smaller quantization, or use another disk with --to DIR"
        )


def _shifted(progress: Progress, done: int, total: int) -> Progress:
    return lambda there, _: progress(done + there, total)


def _fetch(
    hub: Hub,
    name: HubName,
    file: HubFile,
    path: Path,
    *,
    say: Say,
    progress: Progress,
) -> None:
    """Download one file, and give it its name if its hash is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path, file)
    with _held(part) as out:
        begun = out.seek(0, os.SEEK_END)
        if begun:
            say(f"{file.path}: continuing at {begun / 1e6:,.0f} MB")
        _fill(hub, name, file, out, progress)
        digest = _digest(part)
        if begun and digest != file.sha256:
            say(f"{file.path}: the partial file is not its beginning; downloading it again")
            out.truncate(0)
            _fill(hub, name, file, out, progress)
            digest = _digest(part)
        os.fsync(out.fileno())  # the name must not survive a power failure without the bytes
        if digest != file.sha256:
            part.unlink()
            raise SwarmError(
                f"wrong SHA-256 of {file.path}: expected {file.sha256}, found {digest}; the file was removed"
            )
        part.replace(path)
    _write_checksum(path, file)
    say(f"{file.path}: checksum verified")


@contextmanager
def _held(part: Path) -> Generator[BinaryIO]:
    """Open a partial file and lock it. Raise `SwarmError` if another process has it."""
    with part.open("ab") as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SwarmError(f"another process is downloading {part}\nhint: wait for it to finish") from None
        yield out


def _fill(hub: Hub, name: HubName, file: HubFile, out: BinaryIO, progress: Progress) -> None:
    """Read until a file has its size. Broken connections are resumed, at most `BREAKS` times."""
    for _ in range(BREAKS):
        start = out.seek(0, os.SEEK_END)
        if start == file.size:
            return
        if start > file.size:
            start = out.truncate(0)
        try:
            with hub.opened(name, file, start=start) as body:
                _read(body, file, out, start, progress)
        except LostError as error:
            out.flush()
            there = out.seek(0, os.SEEK_END)
            if there <= start:
                share = f"{100 * there // file.size} %"
                raise LostError(f"{error}: download of {file.path} interrupted at {share}\n{_CONTINUE}") from None
    raise LostError(f"download of {file.path} interrupted {BREAKS} times\n{_CONTINUE}")


_CONTINUE = "hint: run the same command again to continue"


def _read(body: Body, file: HubFile, out: BinaryIO, start: int, progress: Progress) -> None:
    """Append a body to a partial file. Raise `SwarmError` if it is not the rest of the file."""
    if body.status == 416:
        out.truncate(0)
        raise LostError(f"{body.host} does not have byte {start} of it")
    if body.status == 200:  # the whole file, although only the rest was requested
        start = out.truncate(0)
    elif not re.fullmatch(rf"bytes {start}-[0-9]+/{file.size}", body.headers.get("Content-Range", "")):
        raise SwarmError(f"{body.host} sent another range of {file.path} than requested")
    expected = str(file.size - start)
    sent = body.headers.get("Content-Length", expected)
    if sent != expected:
        raise SwarmError(
            f"wrong size of {file.path}: {body.host} sends {sent} bytes, expected {expected}; nothing was downloaded"
        )
    for chunk in body.chunks:
        start += len(chunk)
        if start > file.size:
            out.truncate(0)
            raise SwarmError(f"{body.host} sends more of {file.path} than its {file.size} bytes; the file was removed")
        out.write(chunk)
        progress(start, file.size)
    out.flush()
    if start < file.size:
        raise LostError(f"{body.host} closed the connection early")
