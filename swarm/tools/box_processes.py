"""What all processes of a box hold together: memory and files; and that they stand still between calls.

The kernel bounds each process, and without a cgroup nothing bounds their sum: it is measured while
a call runs. Between two calls of a step nothing runs in its box, whatever a call left behind.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_PROCESSES = 20_000
"""Maximum processes that are looked at: a box has fewer, unless something is very wrong."""
MOST_FILES = 100_000
"""Maximum files and folders in a box: empty ones take no space of its disk, and memory of the kernel."""
ROUNDS = 20
"""Maximum looks at processes that make others while they are halted."""
_PROC = Path("/proc")
_PLACES = ("work", "tmp", "dev/shm")


def memory_of(process: int) -> int:
    """Return the bytes of memory that a process and all that it started hold; what they share counts once.

    0 on a machine without `/proc`, and for processes that have ended.
    """
    return sum(map(_own, processes_of(process)))


def files_of(process: int) -> int:
    """Return the number of files and folders in the box that a process started; 0 if they cannot be counted."""
    here = _place(Path("/"))
    for number in processes_of(process):
        root = _PROC / str(number) / "root"
        with suppress(OSError):
            if here is None or _place(root) == here:
                continue  # what makes the box is not in it
            found = [os.statvfs(root / name) for name in _PLACES]
            return sum(each.f_files - each.f_ffree for each in found)
    return 0


def _place(folder: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        about = folder.stat()
        return about.st_dev, about.st_ino
    return None


def halt(process: int) -> None:
    """Stop everything that a process started: it does nothing until `wake`, and can still be killed."""
    sent = {process}
    for _ in range(ROUNDS):
        new = [number for number in processes_of(process) if number not in sent]
        if not new:
            return
        _send(new, signal.SIGSTOP)  # with this before it, a process makes no other
        sent.update(new)


def wake(process: int) -> None:
    """Let everything go on that `halt` stopped."""
    _send([number for number in processes_of(process) if number != process], signal.SIGCONT)


def _send(processes: list[int], number: signal.Signals) -> None:
    for each in processes:
        with suppress(OSError):
            os.kill(each, number)


def processes_of(process: int) -> Iterator[int]:
    """Yield a process and all that it started, directly or not."""
    seen: set[int] = set()
    left = [process]
    while left and len(seen) < MOST_PROCESSES:
        number = left.pop()
        if number in seen:
            continue
        seen.add(number)
        yield number
        left += _children(number)


def _children(process: int) -> list[int]:
    found: list[int] = []
    try:
        threads = list((_PROC / str(process) / "task").iterdir())
    except OSError:
        return found
    for thread in threads:
        try:
            found += map(int, (thread / "children").read_text().split())
        except (OSError, ValueError):
            continue
    return found


def _own(process: int) -> int:
    """Return the share of a process in the pages that it uses; if that may not be read, the pages of its own."""
    folder = _PROC / str(process)
    try:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        _, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
    except (OSError, ValueError):
        return 0
    return max(0, resident - shared) * os.sysconf("SC_PAGE_SIZE")
