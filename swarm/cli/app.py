"""All commands together, and what `--help` says."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer

import swarm
from swarm.cli.cache import cache
from swarm.cli.check import check
from swarm.cli.diff import diff
from swarm.cli.failures import OK, WRONG, explain
from swarm.cli.interrupts import Interrupts
from swarm.cli.look import runs, show
from swarm.cli.models import models
from swarm.cli.plan import plan
from swarm.cli.run import resume, run
from swarm.cli.simulate import simulate
from swarm.cli.start import agents, init, schema
from swarm.cli.streams import answer, say

EPILOG = """\
\b
Exit codes:
  0   report made, every step done
  1   no report
  2   the task, plan, agent file or arguments are wrong; nothing was spent
  3   report made, but some steps failed or were skipped
  4   a limit was reached; report made from what there was
  5   approval was needed and there was nobody to ask; the plan is saved
  70  a bug of ours; its trace is in a file that is named
  75  the run is in use by another process
  130, 143  interrupted (SIGINT, SIGTERM); `swarm resume` goes on

\b
Environment:
  SWARM_ENDPOINT, SWARM_MODEL   the model, where neither options nor the task name one
  HF_ENDPOINT, HF_TOKEN         where `swarm models get` fetches from, and for models that are gated
  VISUAL, EDITOR                what a plan is edited with, where a task says `approve: ask`
  NO_COLOR                      no colour; there is none in a pipe either
"""

Command = Callable[..., int]
COMMANDS: tuple[tuple[Command, tuple[str, ...]], ...] = (
    (
        run,
        (
            "swarm run task.yaml",
            'swarm run --goal "How much memory does each service need?" notes/*.md',
            "swarm run task.yaml --endpoint http://127.0.0.1:8000/v1 --workers 32 --limit tokens=200_000",
            "swarm run task.yaml --json > result.json",
            "generate-task | swarm run -",
        ),
    ),
    (plan, ("swarm plan task.yaml -o plan.yaml", "swarm run task.yaml --plan plan.yaml")),
    (check, ("swarm check task.yaml", "swarm check task.yaml --plan plan.yaml")),
    (resume, ("swarm resume last", "swarm resume 20260730-1412 --limit tokens=400_000 --failed")),
    (runs, ("swarm runs", "swarm runs --json --all")),
    (show, ("swarm show last", "swarm show last study.3", "swarm show last --json")),
    (
        simulate,
        (
            "swarm simulate plan.yaml --workers 1,8,64",
            "swarm simulate last --workers 300,unlimited",
            "swarm simulate plan.yaml --latency lognormal:8s,0.8 --failures 0.05 --seeds 100 --json",
        ),
    ),
    (diff, ("swarm diff 20260730-1412 last",)),
    (cache, ("swarm cache", "swarm cache why last study.3", "swarm cache clear")),
    (
        models,
        (
            "swarm models",
            "swarm models task.yaml --probe",
            "swarm models get",
            "swarm models get smollm2",
            "swarm models get bartowski/SmolLM2-360M-Instruct-GGUF:Q4_K_M",
        ),
    ),
    (agents, ("swarm agents", "swarm agents task.yaml")),
    (schema, ("swarm schema > task.schema.json",)),
    (init, ("swarm init", "swarm init my-question")),
)
"""Each command, with examples."""


def carry_out(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    """Carry out a command line and give what to exit with; whatever goes wrong is said on stderr."""
    command = typer.main.get_command(make_app())
    try:
        code = command.main(
            None if arguments is None else list(arguments), "swarm", standalone_mode=False, obj=interrupts
        )
    except typer.Abort:
        return 130
    except SystemExit:  # typer ends a help text that nobody reads so
        return OK
    except Exception as error:  # noqa: BLE001 - this is where every error ends
        return _explained(error)
    return code if isinstance(code, int) else OK


def make_app() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(
        name="swarm",
        help="Plan a task as a graph of steps, run them side by side on any chat endpoint, and merge the results into "
        "one report that names its sources.",
        epilog=EPILOG,
        rich_markup_mode=None,
        add_completion=False,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_common)
    for command, examples in COMMANDS:
        app.command(epilog=_shown(examples))(command)
    return app


def _common(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    """Answer what is asked of the command itself."""
    if version:
        answer(f"swarm {swarm.__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())
        raise typer.Exit(WRONG)


def _shown(examples: Iterable[str]) -> str:
    return "\n".join(("\b", "Examples:", *(f"  {example}" for example in examples)))


def _explained(error: Exception) -> int:
    """Say what is wrong with a command line in one line; leave everything else to `explain`."""
    message = getattr(error, "format_message", None)
    if message is None:
        return explain(error)
    context = getattr(error, "ctx", None)
    path = "swarm" if context is None else context.command_path
    say(f"error: {' '.join(str(message()).split())}")
    say(f"`{path} --help` tells more")
    return WRONG
