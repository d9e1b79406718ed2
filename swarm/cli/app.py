"""All commands together, and the first page of `--help`."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import Annotated, Any

import typer

from swarm.base.columns import fit
from swarm.base.errors import Problem, TaskError
from swarm.base.version import __version__
from swarm.cli.bundles import with_bundles
from swarm.cli.cache import cache, clear, why
from swarm.cli.check import check
from swarm.cli.completion import (
    INSTALL,
    SHOW,
    install_completion,
    prepare_completion,
    show_completion,
    with_shell,
)
from swarm.cli.diff import diff
from swarm.cli.doctor import doctor
from swarm.cli.export import export
from swarm.cli.failures import OK, WRONG, explain, say_error
from swarm.cli.getting import get
from swarm.cli.init import init
from swarm.cli.interrupts import Interrupts
from swarm.cli.layout import Command, Commands
from swarm.cli.look import runs, show
from swarm.cli.mcp import mcp
from swarm.cli.models import models
from swarm.cli.plan import plan
from swarm.cli.remove import rm
from swarm.cli.report import report
from swarm.cli.run import resume, run
from swarm.cli.simulate import simulate
from swarm.cli.start import agents, schema
from swarm.cli.stop import stop
from swarm.cli.streams import answer, is_terminal, say
from swarm.cli.tools import tools

EPILOG = """\
Exit codes:
  0    done: report made, every step done
  1    failed: no report
  2    invalid task, plan, agent file or arguments; nothing was paid for
  3    partial: report made, but some steps failed or were skipped, or something was left unread
  4    limit: a limit was reached; report made from the finished steps
  5    approval required, but stdin is not a terminal; see `swarm resume`
  70   internal error; the traceback file is shown
  75   another process uses the run
  130  cancelled: interrupted by SIGINT; continue with `swarm resume`
  143  cancelled: interrupted by SIGTERM; continue with `swarm resume`

Environment:
  SWARM_ENDPOINT, SWARM_MODEL  model, if neither options nor task name one
  HF_ENDPOINT, HF_TOKEN        mirror and token for `swarm models get`
  VISUAL, EDITOR               editor for plans of tasks with `approve: ask`
  NO_COLOR                     no colour (a pipe never gets any)

Examples:
  swarm init
  swarm run --goal "Which service needs the most memory?" notes/*.md
  swarm help run

Learn more: docs/command-line.md"""
RUN, INSPECT, SET_UP = "Run", "Inspect", "Set up"


@dataclass(frozen=True)
class Listed:
    """A command in the list of commands."""

    command: Callable[..., int]
    group: str
    page: str
    """The page of `docs/` to read next."""
    examples: tuple[str, ...]
    name: str | None = None
    """Its name if it is not that of its function."""


COMMANDS = (
    Listed(
        run,
        RUN,
        "getting-started",
        (
            "swarm run task.yaml",
            'swarm run --goal "Which service needs the most memory?" notes/*.md',
            "swarm run task.yaml --endpoint http://127.0.0.1:8000/v1 --workers 32",
            "swarm run task.yaml --limit tokens=200_000 --json > result.json",
        ),
    ),
    Listed(
        plan,
        RUN,
        "plan",
        ("swarm plan task.yaml", "swarm plan task.yaml -o plan.yaml", "swarm run task.yaml --plan plan.yaml"),
    ),
    Listed(
        resume,
        RUN,
        "troubleshooting",
        ("swarm resume last", "swarm resume 20260730-1412 --limit tokens=400_000 --failed"),
    ),
    Listed(stop, RUN, "runs", ("swarm stop last", "swarm stop 20260730-1412 --wait 300")),
    Listed(check, RUN, "task", ("swarm check task.yaml", "swarm check task.yaml --plan plan.yaml")),
    Listed(
        show,
        INSPECT,
        "troubleshooting",
        (
            "swarm show last",
            "swarm show last --follow",
            "swarm show last study.3",
            "swarm show last --claim 7",
            "swarm show last --json",
        ),
    ),
    Listed(runs, INSPECT, "command-line", ("swarm runs", "swarm runs --follow", "swarm runs --json --all")),
    Listed(report, INSPECT, "runs", ("swarm report last --open", "swarm report last -o report.html")),
    Listed(
        export,
        INSPECT,
        "runs",
        (
            "swarm export last -o rows.csv",
            "swarm export last --step study.3 --format md",
            "swarm export last --format chrome -o trace.json",
        ),
    ),
    Listed(rm, INSPECT, "runs", ("swarm rm 20260730-1412", "swarm rm --older 30d --keep 10")),
    Listed(diff, INSPECT, "command-line", ("swarm diff 20260730-1412 last", "swarm diff 20260730-1412 last --json")),
    Listed(
        simulate,
        INSPECT,
        "plan",
        (
            "swarm simulate plan.yaml",
            "swarm simulate last --workers 300,unlimited",
            "swarm simulate plan.yaml --latency lognormal:8s,0.8 --failures 0.05",
        ),
    ),
    Listed(cache, INSPECT, "cost-and-limits", ("swarm cache", "swarm cache clear", "swarm cache why last study.3")),
    Listed(clear, INSPECT, "cost-and-limits", ("swarm cache clear",), "cache clear"),
    Listed(why, INSPECT, "cost-and-limits", ("swarm cache why last study.3",), "cache why"),
    Listed(init, SET_UP, "getting-started", ("swarm init", "swarm init my-question", "swarm init --template table")),
    Listed(doctor, SET_UP, "troubleshooting", ("swarm doctor", "swarm doctor --json")),
    Listed(
        models,
        SET_UP,
        "providers",
        ("swarm models", "swarm models task.yaml --probe", "swarm models get smollm2"),
    ),
    Listed(
        get,
        SET_UP,
        "providers",
        (
            "swarm models get",
            "swarm models get smollm2",
            "swarm models get bartowski/SmolLM2-360M-Instruct-GGUF:Q4_K_M",
        ),
        "models get",
    ),
    Listed(tools, SET_UP, "tools", ("swarm tools task.yaml", "swarm tools task.yaml --pin")),
    Listed(mcp, SET_UP, "tools", ("swarm mcp --task task.yaml", "swarm mcp --task task.yaml --total tokens=2_000_000")),
    Listed(agents, SET_UP, "task", ("swarm agents", "swarm agents task.yaml")),
    Listed(schema, SET_UP, "task", ("swarm schema > task.schema.json",)),
)
"""The commands in the order of `--help`."""

Version = Annotated[bool, typer.Option("--version", "-V", is_eager=True, help="Print the version.")]
Install = Annotated[
    str | None,
    typer.Option(
        INSTALL,
        metavar="[SHELL]",
        help="Install completion for bash, zsh, fish, powershell or pwsh. [default: $SHELL]",
    ),
]
Show = Annotated[
    str | None,
    typer.Option(SHOW, metavar="[SHELL]", help="Print the completion script. [default: $SHELL]"),
]
Words = Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help="Command to explain.", show_default=False)]


def carry_out(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    """Run a command line and return the exit code. Print errors on stderr; never raise."""
    prepare_completion(os.environ)
    if is_terminal(sys.stdout):
        fit(get_terminal_size().columns)
    command = typer.main.get_command(make_app())
    given = sys.argv[1:] if arguments is None else arguments
    try:
        words = with_shell(given, os.environ)
        code = command.main(words, "swarm", standalone_mode=False, obj=interrupts)
    except typer.Abort:
        return 130
    except SystemExit:  # typer ends so after completions, and if nobody reads a help page
        return OK
    except Exception as error:  # noqa: BLE001 - every error ends here
        return _explained(error)
    return code if isinstance(code, int) else OK


def make_app() -> typer.Typer:
    """Build the app from the commands."""
    app = typer.Typer(
        name="swarm",
        cls=Commands,
        help="Split a question into steps, run them in parallel on any chat endpoint, and merge the "
        "results into one report that names its sources.",
        epilog=EPILOG,
        rich_markup_mode=None,
        add_completion=False,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_common)
    for entry in COMMANDS:
        examples = "\n".join(f"  {example}" for example in entry.examples)
        app.command(
            entry.name,
            cls=Command,
            epilog=f"Examples:\n{examples}\n\nLearn more: docs/{entry.page}.md",
            rich_help_panel=entry.group,
        )(with_bundles(entry.command))
    app.command(
        "help", cls=Command, hidden=True, epilog="Examples:\n  swarm help run\n\nLearn more: docs/command-line.md"
    )(_help)
    return app


def _common(
    ctx: typer.Context,
    version: Version = False,
    install: Install = None,
    show_script: Show = None,
) -> None:
    """Handle the options of the command itself."""
    if version:
        answer(f"swarm {__version__}")
        raise typer.Exit
    if install is not None or show_script is not None:
        install_completion(install)
        show_completion(show_script)
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())
        raise typer.Exit(WRONG)


def _help(ctx: typer.Context, words: Words = None) -> int:
    """Show the help of a command, or the list of commands."""
    parent: Any = ctx.parent
    if not words:
        answer(parent.get_help())
        return OK
    name = " ".join(words)
    command = parent.command.commands.get(name)
    if command is None:
        raise TaskError(Problem(f"no command `{name[:80]}`\nhint: list the commands with `swarm help`"))
    answer(command.get_help(typer.Context(command, info_name=name, parent=parent)))
    return OK


def _explained(error: Exception) -> int:
    """Print an invalid command line in one line, with the command that helps; else use `explain`."""
    message = getattr(error, "format_message", None)
    if message is None:
        return explain(error)
    context = getattr(error, "ctx", None)
    path = "swarm" if context is None else context.command_path
    what = "commands" if path == "swarm" else "options"
    say_error(f"{' '.join(str(message()).split())}\nhint: list the {what} with `{path} --help`")
    return WRONG
