"""One model fetched from a hub: whole, checked, and once; what breaks off is gone on with.

A file grows under a name made of its SHA-256 (`.b179c952….part`), so that a later call goes on with the very same bytes
or not at all, whatever became of the repository meanwhile. It gets its own name when its hash is right. Beside it then
stands `FILE.sha256`, as `sha256sum --check` reads it: while that is no older than the file, the hash is not made anew.
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
"""How often a connection may break in one file; where one brought no byte at all, that ends it at once."""
SPARE_BYTES = 200_000_000
"""What is left free on the disk: a machine without any room does worse things than not to fetch a model."""
LARGEST = 50_000_000_000
"""Bytes. Hugging Face gives larger files by its own protocol only (huggingface_hub 2.4, `MAX_HTTP_DOWNLOAD_SIZE`)."""

Say = Callable[[str], None]
Progress = Callable[[int, int], None]
"""Is told how many bytes are there, and how many there will be."""


class Found(NamedTuple):
    """A model that is there."""

    name: HubName
    """What means this one, and no other of its repository."""
    path: Path
    """The file that it is served by."""
    size: int
    """Bytes of all its parts."""


def fetch_from(hub: Hub, name: HubName, folder: Path, *, say: Say, progress: Progress) -> Found:
    """Fetch what a name means into a folder.

    Raises `TaskError` where the name means no one model, and `SwarmError` where it cannot be had. Where the hub is not
    reached, what was fetched before is taken.
    """
    try:
        all_ = weights_in(hub.files(name))
    except LostError as error:
        found = kept(name, folder)
        if found is None:
            raise
        say(f"{error}; what was fetched before is taken")
        return found
    weights = chosen(all_, name.choice)
    if weights is None:
        raise not_chosen(all_, name.repo, name.choice)
    exact = HubName(name.repo, label_of(weights, all_), name.revision)
    place = folder / name.folder
    missing = [file for file in weights.files if not is_kept(place / file.path, file)]
    if missing:
        say(f"fetching {exact} from {hub.endpoint} ({weights.size / 1e6:,.0f} MB)")
        _check_room(missing, place)
    else:
        say(f"{place / weights.path} is there already")
    done = weights.size - sum(file.size for file in missing)
    for file in missing:
        _fetch(hub, name, file, place / file.path, say=say, progress=_shifted(progress, done, weights.size))
        done += file.size
    return Found(exact, place / weights.path, weights.size)


def kept(name: HubName, folder: Path) -> Found | None:
    """Find a model that was fetched before."""
    place = folder / name.folder
    all_ = fetched_in(place)
    found = chosen(all_, name.choice)
    if found is None:
        return None
    return Found(HubName(name.repo, label_of(found, all_), name.revision), place / found.path, found.size)


def fetched_in(place: Path) -> tuple[Weights, ...]:
    """List the models in a repository's folder."""
    paths = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else []
    return weights_in(HubFile(path.relative_to(place).as_posix(), path.stat().st_size) for path in paths)


def is_kept(path: Path, file: HubFile) -> bool:
    """Tell whether a file is there, and is the one that is meant. It is read only where nothing vouches for it."""
    beside = _beside(path)
    try:
        there = path.stat()
        if there.st_size != file.size:
            return False
        if beside.is_file() and beside.stat().st_mtime_ns >= there.st_mtime_ns:
            return beside.read_text(encoding="ascii", errors="replace").split(" ")[0] == file.sha256
        if _digest(path) != file.sha256:
            return False
        _vouch(path, file)
    except FileNotFoundError:
        return False
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _vouch(path: Path, file: HubFile) -> None:
    _beside(path).write_text(f"{file.sha256}  {path.name}\n", encoding="ascii")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part(path: Path, file: HubFile) -> Path:
    return path.with_name(f".{file.sha256}.part")


def _check_room(missing: list[HubFile], place: Path) -> None:
    """Check that there is room for what is still to come."""
    large = next((file for file in missing if file.size > LARGEST), None)
    if large is not None:
        raise SwarmError(
            f"{large.path} has {large.size / 1e9:,.0f} GB: the hub gives what is larger than {LARGEST / 1e9:.0f} GB "
            "to its own program only; fetch it with `hf download`, and use `local:/path/to/it`"
        )
    place.mkdir(parents=True, exist_ok=True)
    parts = [_part(place / file.path, file) for file in missing]
    needed = sum(file.size for file in missing) - sum(part.stat().st_size for part in parts if part.is_file())
    free = shutil.disk_usage(place).free
    if needed + SPARE_BYTES > free:
        raise SwarmError(
            f"{needed / 1e6:,.0f} MB are to come, and {place} has {free / 1e6:,.0f} MB free, of which "
            f"{SPARE_BYTES / 1e6:.0f} stay free; make room, take a smaller quantization, or name a disk with --to DIR"
        )


def _shifted(progress: Progress, done: int, total: int) -> Progress:
    return lambda there, _: progress(done + there, total)


def _fetch(hub: Hub, name: HubName, file: HubFile, path: Path, *, say: Say, progress: Progress) -> None:
    """Fetch one file, and put it in place when it is the one that is meant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path, file)
    with _held(part) as out:
        begun = out.seek(0, os.SEEK_END)
        if begun:
            say(f"{file.path}: going on at {begun / 1e6:,.0f} MB")
        _fill(hub, name, file, out, progress)
        digest = _digest(part)
        if begun and digest != file.sha256:
            say(f"{file.path}: what was there was not its beginning; it is fetched anew")
            out.truncate(0)
            _fill(hub, name, file, out, progress)
            digest = _digest(part)
        os.fsync(out.fileno())  # a name must not survive a power cut that its bytes did not
        if digest != file.sha256:
            part.unlink()
            raise SwarmError(f"{file.path} has the sha256 {digest}, and should have {file.sha256}; it was not kept")
        part.replace(path)
    _vouch(path, file)
    say(f"{file.path}: the checksum is right")


@contextmanager
def _held(part: Path) -> Generator[BinaryIO]:
    """Open a file that grows, for this process alone."""
    with part.open("ab") as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SwarmError(f"{part} is being fetched by another process; wait for it") from None
        yield out


def _fill(hub: Hub, name: HubName, file: HubFile, out: BinaryIO, progress: Progress) -> None:
    """Read until a file has its size, over as many connections as it takes."""
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
                raise LostError(
                    f"{error}: {file.path} broke off at {100 * there // file.size} %; "
                    "run the same command again, it goes on from there"
                ) from None
    raise LostError(f"{file.path} broke off {BREAKS} times; run the same command again, it goes on from there")


def _read(body: Body, file: HubFile, out: BinaryIO, start: int, progress: Progress) -> None:
    """Add a body to what is there already, if it is what follows."""
    if body.status == 416:
        out.truncate(0)
        raise LostError(f"{body.host} has no byte {start} of it")
    if body.status == 200:  # whole, though the rest was asked for
        start = out.truncate(0)
    elif not re.fullmatch(rf"bytes {start}-[0-9]+/{file.size}", body.headers.get("Content-Range", "")):
        raise SwarmError(f"{body.host} sent another piece of {file.path} than was asked for")
    if body.headers.get("Content-Length", str(file.size - start)) != str(file.size - start):
        raise SwarmError(f"{body.host} sends another size of {file.path} than the hub says; it was not fetched")
    for chunk in body.chunks:
        start += len(chunk)
        if start > file.size:
            out.truncate(0)
            raise SwarmError(f"{body.host} sends more of {file.path} than its {file.size} bytes; it was not kept")
        out.write(chunk)
        progress(start, file.size)
    out.flush()
    if start < file.size:
        raise LostError(f"{body.host} ended it early")
