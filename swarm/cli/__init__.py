"""The command `swarm`: the only place that installs signal handlers, reads the environment, prints and exits.

streams       stdout for the answer, stderr for everything else, and neither may break a run
interrupts    the first SIGINT asks a run to end, the second ends the process
failures      every error as lines and an exit code; the trace of a bug in a file
options       what is said on the command line
source        which task is meant
drive         one run from its start to its end, with what people see of it
run, plan,    the commands, a module a group
look, start
app           all of them together, and `--help`
"""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, by default the process's own; give what to exit with. See `swarm --help`.

    Never raises, whatever happens: an interrupt included.
    """
    from swarm.cli.interrupts import Interrupts
    from swarm.cli.streams import open_streams

    open_streams()
    with Interrupts() as interrupts:
        from swarm.cli.app import carry_out

        return carry_out(arguments, interrupts)
