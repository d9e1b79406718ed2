"""Every error as lines on stderr and an exit code. The trace of a bug of ours goes to a file, never to the screen."""

import os
import re
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import cast

from swarm.cli.streams import say
from swarm.errors import BugError, InputError, SwarmError
from swarm.safe import Redactor

OK, NO_REPORT, WRONG, PARTIAL, LIMIT, UNASKED, BUG, IN_USE = 0, 1, 2, 3, 4, 5, 70, 75
"""What the command exits with; `swarm --help` lists them."""

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.I)


class ReportedError(BugError):
    """A bug of ours whose trace has been saved."""


def explain(error: Exception) -> int:
    """Say what went wrong, a problem a line, and give the exit code."""
    inner = ours(error)
    if isinstance(inner, SwarmError) and (isinstance(inner, ReportedError) or not isinstance(inner, BugError)):
        for line in lines_of(inner):
            say(f"error: {line}")
        return inner.exit_code
    say(f"error: {keep_trace(inner, save_anywhere)}")
    return BUG


def lines_of(error: SwarmError) -> list[str]:
    """Write an error as lines, one for each problem."""
    problems = error.problems if isinstance(error, InputError) else (error,)
    return [" ".join(str(problem).split()) or type(error).__name__ for problem in problems]


def ours(error: BaseException) -> BaseException:
    """Take an error out of its groups; what the system refused is no bug of ours, and becomes a `SwarmError`."""
    inner = unwrapped(error)
    if isinstance(inner, OSError) and inner.strerror:
        where = f"{inner.filename}: " if isinstance(inner.filename, str) else ""
        return SwarmError(f"{where}{inner.strerror}")
    return inner


def unwrapped(error: BaseException) -> BaseException:
    """Take an error out of the groups that a task group wraps it in."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return unwrapped(group.exceptions[0]) if len(group.exceptions) == 1 else group


def keep_trace(error: BaseException, save: Callable[[str], Path | None]) -> str:
    """Keep the trace of a bug of ours, and say where it is."""
    trace = "".join(traceback.format_exception(error))
    path = save(trace)
    where = f"its trace is in {path}" if path is not None else "its trace could not be saved"
    return f"a bug of local-agent-swarm ({type(error).__name__}: {' '.join(str(error).split())[:300]}); {where}"


def save_anywhere(trace: str) -> Path | None:
    """Save a trace in the folder for temporary files, without what the environment says is secret."""
    secrets = [value for name, value in os.environ.items() if _SECRET.search(name)]
    try:
        fd, name = tempfile.mkstemp(prefix="swarm-bug-", suffix=".txt")
        with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(Redactor(secrets).clean(trace))
    except OSError:
        return None
    return Path(name)
