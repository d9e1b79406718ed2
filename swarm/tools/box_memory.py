"""Memory of all processes of a box together. The kernel bounds each process, and without a cgroup nothing bounds their
sum: it is measured while a call runs.
"""

import os
from pathlib import Path

MOST_PROCESSES = 20_000
"""Maximum processes that are looked at: a box has fewer, unless something is very wrong."""
_PROC = Path("/proc")


def memory_of(process: int) -> int:
    """Return the bytes of memory that a process and all that it started hold; what they share counts once.

    0 on a machine without `/proc`, and for processes that have ended.
    """
    seen: set[int] = set()
    left = [process]
    total = 0
    while left and len(seen) < MOST_PROCESSES:
        number = left.pop()
        if number in seen:
            continue
        seen.add(number)
        total += _own(number)
        left += _children(number)
    return total


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
