"""The command `swarm`: the only place that installs signal handlers, reads the environment, prints and exits.

streams         stdout for the answer, stderr for everything else
interrupts      the first signal asks a run to end, the second ends the process
failures        errors as messages and exit codes; the traceback of an internal error in a file
options         the options that commands share, and their help texts
bundles         options that several commands share, as one parameter
source          the task that a command line names
drive           one run from start to end, with progress on stderr
run, plan, …    the commands, one module per group
layout          the layout of `--help`
completion      completion in a shell
app             all commands together
"""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return the exit code. See `swarm --help`.

    Never raise, not even after an interrupt.
    """
    from swarm.base.machine import raise_file_limit
    from swarm.cli.interrupts import Interrupts
    from swarm.cli.streams import open_streams

    open_streams()
    raise_file_limit()
    with Interrupts() as interrupts:
        from swarm.cli.app import carry_out

        return carry_out(arguments, interrupts)
