"""`swarm stop`: end a run of another process well.

A run of the command takes the request from a file in its folder, and ends as after Ctrl-C. A run of
a Python program does not look for one: its process gets SIGINT, but only if the system confirms
that it holds the lock of this very run. What a lock file says of itself is not enough: it may come
from anywhere, and name any process.
"""

import math
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.errors import Problem, RunInUseError, TaskError
from swarm.cli import options as o
from swarm.cli.reading import is_owned, run_object
from swarm.cli.streams import answer_json, say
from swarm.cli.words import resume_command, show_command

if TYPE_CHECKING:
    from swarm.record.folder import RunFolder
    from swarm.record.recorded import Recorded
    from swarm.record.state import State

LOOK_SECONDS = 0.1
"""Seconds between two looks at a run that is asked to stop."""
TAKEN_SECONDS = 3.0
"""Seconds in which a run of the command has taken the request: it looks eight times per second."""
WAIT_SECONDS = 60.0
"""Default maximum seconds until the run has ended."""
LOCKS = Path("/proc/locks")
"""The locks of this machine, on Linux."""
_LOCK = re.compile(r"\d+: FLOCK +ADVISORY +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")

Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        callback=o.at_least(0),
        help=f"Maximum seconds until the run has ended. [default: {WAIT_SECONDS:g}; minimum: 0]",
        show_default=False,
    ),
]


def stop(run: o.Run, wait: Wait = WAIT_SECONDS, folder: o.Runs = None, as_json: o.AsJson = False) -> int:
    """End a run of another process well, as Ctrl-C does.

    Nothing new starts, running steps get the grace period of the run, and finished steps are kept:
    `swarm resume` continues. Waits until the run has ended.
    """
    import anyio

    from swarm.record.folder import find
    from swarm.record.recorded import recorded

    where = find(run, o.runs_folder(folder))
    found = recorded(where)
    was_running = found.state.finished is None and is_owned(where)
    if was_running:
        anyio.run(_end, where, found, wait)
    state = found.state
    if as_json:
        answer_json(run_object(where, state))
    else:
        _report(where, state, was_running=was_running)
    return 0


def _report(where: "RunFolder", state: "State", *, was_running: bool) -> None:
    """Print how the run ended, and the next command."""
    from swarm.record.steps import Status
    from swarm.views.words import counted

    real = list(state.real_steps())
    done = f"{sum(s.status is Status.DONE for s in real):,} of {counted(len(real), 'step')} done"
    status = "stopped before the end" if state.finished is None else state.finished.status
    say(f"{'' if was_running else 'note: not running: '}run {where.run}: {status}, {done}")
    over = state.finished is not None and state.finished.status != "cancelled"
    say(f"next: {show_command(where.path) if over else resume_command(where.path)}")


async def _end(where: "RunFolder", found: "Recorded", wait: float) -> None:
    """Ask the owner of a run to end it, and read its events until it has. Raise `RunInUseError` if it does not."""
    import anyio

    from swarm.record.tail import Tail

    try:
        where.ask_to_stop()
    except OSError as error:
        words = f"cannot ask the run to stop: {error.strerror or error}"
        raise TaskError(Problem(words, where=str(where.path))) from None
    asked = anyio.current_time()
    signals_at = asked + TAKEN_SECONDS
    with Tail(where, found.length, found.state.seq) as tail:
        while True:
            is_alive = is_owned(where)  # asked before reading: what a process wrote before its end is read
            for event in tail.read():
                found.state.apply(event)
            if found.state.finished is not None or not is_alive:
                return
            now = anyio.current_time()
            if now >= signals_at and where.is_asked_to_stop:
                signals_at = math.inf
                _signal(where)
            if now >= asked + wait:
                words = f"run {where.run} has not ended after {wait:g} s"
                raise RunInUseError(f"{words}\nhint: wait longer, with --wait SECONDS")
            await anyio.sleep(LOOK_SECONDS)


def _signal(where: "RunFolder") -> None:
    """Send SIGINT to the process that holds the lock of a run. Raise `RunInUseError` if none can be confirmed."""
    holder = holder_of(where.path / "lock")
    if holder is None:
        where.take_stop()
        raise RunInUseError(
            f"run {where.run} does not take the request, and the process that holds its lock cannot be confirmed\n"
            "hint: send an interrupt to the program that runs it"
        )
    os.kill(holder, signal.SIGINT)


def holder_of(lock: Path, locks: Path = LOCKS) -> int | None:
    """Return the process of this user that holds a lock, according to the system; None if that is not known."""
    try:
        found = lock.lstat()
        held = locks.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in held.splitlines():
        match = _LOCK.match(line)
        if match is None:
            continue
        place = os.makedev(int(match[2], 16), int(match[3], 16)), int(match[4])
        if place == (found.st_dev, found.st_ino) and _is_ours(int(match[1])):
            return int(match[1])
    return None


def _is_ours(process: int) -> bool:
    """Return whether a process belongs to this user, and is not this one."""
    try:
        return process not in (0, os.getpid()) and Path(f"/proc/{process}").stat().st_uid == os.geteuid()
    except OSError:
        return False
