"""The box around the process that reads documents: bubblewrap, where it is installed and works.

Inside are Python, the readers and their libraries, all read-only: no home, no project, no network,
no key. A library that a document took over could change the text of documents, and nothing else.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from swarm.readers.kinds import NEEDS

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
_FLAGS = ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL")
PACKAGES = tuple(dict.fromkeys((*NEEDS.values(), "pypdfium2_raw", "pypdfium2_cfg")))


def boxed(command: Iterable[str]) -> list[str] | None:
    """Return a command in a box, or None where there is no bubblewrap. Whether it works, its start shows."""
    bwrap = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin")
    if bwrap is None:
        return None
    binds: list[str] = []
    for path in _visible():
        binds += ["--ro-bind-try", path, path]
    places = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"]  # noqa: S108 - inside of the box
    return [bwrap, *_FLAGS, *binds, *places, "--", *command]


def _visible() -> Iterator[str]:
    """Yield what the process needs to see: Python, this package, and the libraries of the readers."""
    paths = [*_SYSTEM, sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["platstdlib"]]
    paths += [sys.base_prefix, str(Path(sys.executable).parent), str(Path(sys.prefix) / "pyvenv.cfg")]
    paths += [str(Path(os.path.realpath(sys.executable)).parent), str(Path(__file__).parent.parent)]
    paths += map(str, chain.from_iterable(map(_folders, PACKAGES)))
    seen: dict[str, None] = {}
    for path in paths:
        if path not in ("/", "") and path not in seen:
            seen[path] = None
            yield path


def _folders(name: str) -> Iterator[Path]:
    """Yield the folder of a package, and that of its metadata, which has its version."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent
    yield folder
    yield from folder.parent.glob(f"{name}-*.dist-info")
    yield from folder.parent.glob(f"{name}.libs")


def search_path() -> list[str]:
    """Return the folders in which the process finds this package and the libraries."""
    folders = [Path(__file__).parent.parent.parent]
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            folders.append(Path(spec.origin).parent.parent)
    return list(dict.fromkeys(map(str, folders)))
