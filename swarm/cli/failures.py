"""Errors as messages on stderr and an exit code. The traceback of an internal error goes to a file."""

import os
import re
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

from swarm.base.errors import BugError, InputError, SwarmError
from swarm.base.redaction import Redactor
from swarm.cli.source import placed
from swarm.cli.streams import message, say

OK, NO_REPORT, WRONG, BUG = 0, 1, 2, 70
"""Exit codes that the command itself decides; `swarm --help` lists all, and errors and results bring their own."""

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.I)


class ReportedError(BugError):
    """An internal error whose traceback has been saved."""


def explain(error: Exception) -> int:
    """Print an error, one message per problem, and return the exit code."""
    inner = ours(error)
    if isinstance(inner, SwarmError) and (isinstance(inner, ReportedError) or not isinstance(inner, BugError)):
        say_error(*messages_of(inner))
        return inner.exit_code
    say_error(keep_trace(inner, save_anywhere))
    return BUG


def say_error(*texts: str) -> None:
    """Print errors with their hints; a repeated one once, with a count."""
    for text, count in Counter(texts).items():
        first, *hints = message("error", text).split("\n")
        say("\n".join((first if count == 1 else f"{first} ({count} times)", *hints)))


def messages_of(error: SwarmError) -> list[str]:
    """Return the messages of an error, one for each problem."""
    if isinstance(error, InputError):
        return [str(placed(problem)) for problem in error.problems]
    return [str(error) or type(error).__name__]


def ours(error: BaseException) -> BaseException:
    """Take an error out of its groups, and return what the operating system refused as a `SwarmError`."""
    inner = unwrapped(error)
    if isinstance(inner, OSError) and inner.strerror:
        where = f"{inner.filename}: " if isinstance(inner.filename, str) else ""
        return SwarmError(f"{where}{inner.strerror}")
    return inner


def unwrapped(error: BaseException) -> BaseException:
    """Take an error out of the groups in which a task group wraps it."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return unwrapped(group.exceptions[0]) if len(group.exceptions) == 1 else group


def keep_trace(error: BaseException, save: Callable[[str], Path | None]) -> str:
    """Save the traceback of an internal error and return the message that names its file."""
    path = save("".join(traceback.format_exception(error)))
    if path is not None:
        return f"internal error; the traceback is in {path}\nhint: report it with that file"
    about = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return f"internal error ({about}); the traceback could not be saved"


def save_anywhere(trace: str) -> Path | None:
    """Save a traceback in a temporary file, without the environment's secrets. Return None on failure."""
    secrets = [value for name, value in os.environ.items() if _SECRET.search(name)]
    try:
        fd, name = tempfile.mkstemp(prefix="swarm-bug-", suffix=".txt")
        with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(Redactor(secrets).clean(trace))
    except OSError:
        return None
    return Path(name)
