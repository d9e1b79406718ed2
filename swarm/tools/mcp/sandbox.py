"""The box around a server that is a command: bubblewrap, with the network and the files that the task names.

The box starts with the server's own environment and no other. Inside are the system's programs, the
command's own folders, an empty home and an empty `/tmp`; `reads` and `writes` are at their own
paths.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from swarm.spec.servers import Server

PROGRAM = "bwrap"
_SEARCHED = "/usr/bin:/bin:/usr/local/bin:/usr/sbin"
_FLAGS = (
    *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
    *("--new-session", "--cap-drop", "ALL"),
)
_TEMPORARY = "/tmp"  # noqa: S108 - inside of the box
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/nsswitch.conf")
_FOR_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl", "/etc/ca-certificates", "/etc/pki")


def program() -> str | None:
    """Return the path of bubblewrap; None if it is not installed."""
    return shutil.which(PROGRAM, path=_SEARCHED)


def boxed(command: Sequence[str], server: Server, folder: Path, home: str) -> list[str]:
    """Return a command in a box. Its first word is an absolute path. Whether the box works, its start shows.

    `folder` is where the command is started. A path that does not exist is left out.
    """
    bwrap = program()
    assert bwrap is not None, "the caller has asked"
    flags = [bwrap, *_FLAGS, *(["--share-net"] if server.network else [])]
    # Later mounts hide earlier ones: empty folders first, then what lies in them.
    flags += ["--tmpfs", _TEMPORARY, "--tmpfs", home, "--dir", str(folder), "--ro-bind", "/usr", "/usr"]
    for path in map(Path, _LINKED):
        if path.is_symlink():
            flags += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            flags += ["--ro-bind", str(path), str(path)]
    seen = (*_SYSTEM, *(_FOR_NETWORK if server.network else ()), *_own(command, folder))
    for path in dict.fromkeys(seen):
        flags += ["--ro-bind-try", path, path]
    flags += ["--proc", "/proc", "--dev", "/dev"]
    for bind, names in (("--ro-bind", server.reads), ("--bind", server.writes)):
        for name in names:
            path = str(folder / name)
            flags += [bind, path, path]
    return [*flags, "--chdir", str(folder), "--", *command]


def _own(command: Sequence[str], folder: Path) -> Iterator[str]:
    """Yield what a command needs to start: its program, with the environment around it, and files in its arguments."""
    for path in _hops(Path(command[0])):
        yield from _around(path)
    for word in command[1:]:
        path = folder / word
        if path.is_file():
            root = _package_root(path)
            yield str(path if root is None else root)


def _hops(path: Path) -> Iterator[Path]:
    """Yield a path and every path that it links to."""
    for _ in range(40):
        yield path
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))


def _around(path: Path) -> Iterator[str]:
    """Yield the folder of the environment that a program belongs to; if it belongs to none, the program."""
    prefix = path.parent.parent
    is_environment = path.parent.name == "bin" and (prefix / "lib").is_dir()
    if not is_environment or _is_wide(prefix):
        yield str(path)
        return
    yield str(prefix)
    settings = prefix / "pyvenv.cfg"
    if settings.is_file():
        for line in settings.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition("=")
            base = Path(value.strip()).parent
            if name.strip() == "home" and not _is_wide(base):
                yield str(base)


def _is_wide(folder: Path) -> bool:
    """Return whether a folder has more than one environment in it: the root, the system, the home, above the home."""
    home = Path.home()
    return folder in (Path("/"), Path("/usr"), home / ".local") or folder == home or folder in home.parents


def _package_root(path: Path) -> Path | None:
    """Return the outermost `node_modules` or `site-packages` around a file, or None."""
    found = [each for each in path.parents if each.name in ("node_modules", "site-packages")]
    return found[-1] if found else None
