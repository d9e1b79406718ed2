"""Completion of commands and options in a shell: `--install-completion` and `--show-completion`.

typer has the scripts, and answers the shell. It asks the process tree which shell runs, and a
container or an editor has none there; here `$SHELL` decides, and the shell can always be named.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm.base.errors import TaskError
from swarm.cli.streams import answer, answer_escaped, say

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
INSTALL, SHOW = "--install-completion", "--show-completion"
VARIABLE = "_SWARM_COMPLETE"
"""What a completion script sets when it asks for completions."""
_PROGRAM = "swarm"


def prepare_completion(environ: Mapping[str, str]) -> None:
    """Register typer's answers to a shell, but only if a shell asks: loading them takes time."""
    if VARIABLE in environ:
        from typer.completion import completion_init  # pyright: ignore[reportPrivateImportUsage]

        completion_init()


def with_shell(arguments: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Add the shell to a completion option that names none. Raise `TaskError` if it is unknown."""
    found = list(arguments)
    for option in (INSTALL, SHOW):
        if option in found:
            at = found.index(option) + 1
            if found[at:] == [] or found[at].startswith("-"):
                found.insert(at, _shell_of(option, environ))
    return found


def _shell_of(option: str, environ: Mapping[str, str]) -> str:
    shell = Path(environ.get("SHELL", "")).name
    if shell in SHELLS:
        return shell
    name = f"$SHELL is `{shell}`" if shell else "$SHELL is not set"
    raise TaskError(f"cannot tell which shell this is: {name}\nhint: name it: `swarm {option} bash` ({_named()})")


def install_completion(shell: str | None) -> None:
    """Write the completion script where the shell reads it. Raise `TaskError` for another shell."""
    from typer.completion import install  # pyright: ignore[reportPrivateImportUsage]

    if shell is not None:
        _check(shell)
        _, path = install(shell=shell, prog_name=_PROGRAM, complete_var=VARIABLE)
        answer(str(path))
        say(f"{shell} completion is installed; open a new shell to use it")


def show_completion(shell: str | None) -> None:
    """Print the completion script. Raise `TaskError` for another shell."""
    from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage]

    if shell is not None:
        _check(shell)
        script = get_completion_script(prog_name=_PROGRAM, complete_var=VARIABLE, shell=shell)
        answer_escaped(f"{script}\n")


def _check(shell: str) -> None:
    if shell not in SHELLS:
        raise TaskError(f"`{shell[:40]}` is not a supported shell: expected {_named()}")


def _named() -> str:
    return f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
