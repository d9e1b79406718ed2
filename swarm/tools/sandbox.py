"""Boxes for programs that a model wrote: bubblewrap, else sandlock; else there is none, and the reason.

Never in our own process, and never without a box. What a box is given: the interpreter and its
packages, the step's inputs, all read-only; a folder in memory with a bound; no network, no
environment, no user and no file of this machine.

- bubblewrap is process 1 in its box, and code in it can read that process: so it starts with an
  environment that holds nothing but a path. `--clearenv` clears what bubblewrap starts, not itself.
- As root the limit of processes binds nobody. So an outer box that root makes starts an inner one as
  the user nobody.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from shutil import which

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
"""The whole environment of the program that makes a box."""
PROBE_SECONDS = 10.0
NOBODY = "65534"
SHARED_BYTES = 16_000_000
"""Bytes of memory that processes of a box may share as files."""


@dataclass(frozen=True)
class BoxBounds:
    """What a box may use."""

    memory: int = 1_000_000_000
    """Bytes of address space of each process."""
    processes: int = 32
    """Processes and threads."""
    disk: int = 256_000_000
    """Bytes of files in its folder; and once more of temporary files."""
    network: bool = False


@dataclass(frozen=True)
class Interpreter:
    """The Python of a box: that of this program, or of a venv."""

    venv: Path
    base: Path
    more: tuple[Path, ...]
    """Folders of packages elsewhere that it reads: those of a distribution, or that a `.pth` file names."""
    packages: str
    """Names and versions of its packages: a change of them may change results."""

    @property
    def program(self) -> str:
        """Its path, which is the same inside."""
        return str(self.venv / "bin" / "python3")


@dataclass(frozen=True)
class BoxFinding:
    """What this machine offers."""

    name: str = ""
    """`bubblewrap` or `sandlock`; empty if there is none."""
    why: str = ""
    """Why there is none, or why the better one is not used."""
    tried: tuple[str, ...] = field(default=())


def interpreter(venv: Path | None = None) -> Interpreter:
    """Return the Python of a venv; by default, the one that runs this program."""
    root = Path(sys.prefix) if venv is None else venv
    program = root / "bin" / "python3"
    base = Path(os.path.realpath(program)).parent.parent if program.exists() else root
    more = () if venv is not None else tuple(_elsewhere(root, base))
    own = root.glob("lib/python3*/site-packages")
    found = chain.from_iterable(each.glob("*.dist-info") for each in (*own, *more))
    names = sorted(path.name.removesuffix(".dist-info") for path in found)
    return Interpreter(root, base, more, " ".join(names))


def _elsewhere(root: Path, base: Path) -> Iterator[Path]:
    """Yield folders of packages outside of a venv. A project that is only linked in is none: it may hold anything."""
    for entry in dict.fromkeys(sys.path):
        path = Path(entry)
        is_packages = path.name in ("site-packages", "dist-packages") and path.is_dir()
        if is_packages and not path.is_relative_to(root) and not path.is_relative_to(base):
            yield path


def command(python: Interpreter, inputs: Path | None, bounds: BoxBounds, driver: str) -> list[str]:
    """Return the command line that starts a driver in a box of bubblewrap."""
    limits = [
        "/usr/bin/prlimit",
        f"--as={bounds.memory}",
        f"--nproc={bounds.processes}",
        f"--fsize={bounds.disk}",
        "--nofile=256",
        "--core=0",
    ]
    inside = [*limits, python.program, "-I", "-c", driver]
    made = [*_outside(bounds), *_mounts(python, inputs, bounds)]
    if os.geteuid() != 0:
        return ["bwrap", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", *made, "--", *inside]
    nobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"]
    inner = ["bwrap", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent"]
    inner += ["--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--chdir", "/work"]
    kept = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    return ["bwrap", *kept, *made, "--", *nobody, *inner, "--", *inside]


def _outside(bounds: BoxBounds) -> list[str]:
    """Return the flags that part the box from this machine."""
    apart = ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    if not bounds.network:
        apart.append("--unshare-net")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/work",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": "/tmp",  # noqa: S108 - inside of the box
    }
    apart += ["--die-with-parent", "--new-session", "--clearenv"]
    for name, value in environment.items():
        apart += ["--setenv", name, value]
    return apart


def _mounts(python: Interpreter, inputs: Path | None, bounds: BoxBounds) -> list[str]:
    """Return the flags of what the box sees. The order counts: a later mount hides an earlier one below it."""
    size = str(bounds.disk)
    flags = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]
    flags += ["--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"]
    flags += ["--size", str(SHARED_BYTES), "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108 - inside of the box
    flags += ["--size", size, "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - inside of the box
    flags += ["--size", size, "--perms", "0777", "--tmpfs", "/work"]
    made = {"/", "/usr", "/tmp", "/work", "/dev", "/proc"}  # noqa: S108 - inside of the box
    for folder in dict.fromkeys((python.base, python.venv, *python.more)):
        for above in reversed(folder.parents):
            if str(above) not in made and not str(above).startswith("/usr"):
                flags += ["--perms", "0755", "--dir", str(above)]
                made.add(str(above))
        if not str(folder).startswith("/usr/"):
            flags += ["--ro-bind", str(folder), str(folder)]
    if bounds.network:
        for name in ("/etc/resolv.conf", "/etc/ssl", "/etc/ca-certificates", "/etc/hosts", "/etc/nsswitch.conf"):
            flags += ["--ro-bind-try", name, name]
    if inputs is not None:
        flags += ["--ro-bind", str(inputs), "/inputs"]
    return [*flags, "--remount-ro", "/", "--chdir", "/work"]


@lru_cache(maxsize=8)
def found(python: Interpreter, bounds: BoxBounds) -> BoxFinding:
    """Find a box that works here, by running a program in it. The answer is kept."""
    missing = [name for name in _needed() if which(name, path=ENVIRON["PATH"]) is None]
    if missing:
        return BoxFinding(why=f"bubblewrap: {' and '.join(missing)} not found; install bubblewrap and util-linux")
    probe = "import os; open('x', 'w').write('x'); print('it works')"
    try:
        ran = subprocess.run(  # noqa: S603 - a command of our own
            command(python, None, bounds, probe),
            env=ENVIRON,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return BoxFinding(why=f"bubblewrap: {error}")
    if b"it works" in ran.stdout:
        return BoxFinding("bubblewrap")
    words = _last_line(ran.stderr) or f"it ended with {ran.returncode}"
    return BoxFinding(why=f"bubblewrap: {words}")


def _needed() -> Sequence[str]:
    return ("bwrap", "prlimit", "setpriv") if os.geteuid() == 0 else ("bwrap", "prlimit")


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""
