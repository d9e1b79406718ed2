"""Options that several commands share: their help texts, and how their values are read."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.base.clock import GRACE_SECONDS
from swarm.base.errors import Problem, TaskError
from swarm.cli.bundles import Option, OptionsOf
from swarm.lifecycle.options import Options

if TYPE_CHECKING:
    from swarm.cli.source import TaskSource
    from swarm.tools import Kit, Tool

RUNS = ".swarm/runs"
"""Folder of the runs if neither `--runs` nor a task names one."""


def at_least(minimum: float) -> Callable[[float | None], float | None]:
    """Return a check of an option's value: typer's own writes its range into the help as `x>=0`."""

    def check(value: float | None) -> float | None:
        if value is not None and not value >= minimum:
            raise typer.BadParameter(f"{value:,.10g} is below the minimum of {minimum:,.10g}")
        return value

    return check


Tasks = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TASK",
        help="Task file, or - for stdin. With --goal: input files. [default: ./task.yaml if it exists]",
        show_default=False,
    ),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Run: id, start of an id, folder, or `last`.", show_default=False),
]
LastRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Run: id, start of an id, folder, or `last`. [default: last]", show_default=False
    ),
]
Goal = Annotated[
    str | None,
    typer.Option("--goal", metavar="TEXT", help="Question to answer, instead of a task file."),
]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="URL", help="Base URL, provider name, or `offline`. Overrides the task."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="Name of the model at that endpoint. Overrides the task."),
]


def _workers(given: str) -> int | str:
    """Return a number, or `auto`. Raise `typer.BadParameter` for anything else."""
    if given == "auto":
        return given
    try:
        return int(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is neither a whole number nor `auto`") from None


Workers = Annotated[
    Any,
    typer.Option(
        "--workers",
        parser=_workers,
        metavar="N",
        help="Maximum number of steps running in parallel, or `auto`. [default: from the task, else auto]",
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help="Limit of the run, such as tokens=100_000. Repeatable. "
        "[names: tokens, usd, seconds, steps, depth, rounds, turns]",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Parameter of the task, such as audience=managers. Repeatable."),
]
PlanFile = Annotated[
    str | None,
    typer.Option("--plan", metavar="FILE", help="Plan file to run exactly, without a planner."),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="File to write the report to, instead of those of the task. Repeatable. "
        "[endings: .md, .html, .json, .csv, .jsonl, .xlsx]",
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="PATH", help="More input: file, folder, glob, address, or - for stdin. Repeatable."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop if an input cannot be read, instead of leaving it out.")]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Allow inputs that are addresses: fetch them when the run starts.")
]
ToolFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--tools", metavar="FILE", help="Python file whose `@swarm.tool` functions the run grants. Repeatable."
    ),
]
Runs = Annotated[
    str | None,
    typer.Option("--runs", metavar="DIR", help=f"Folder of the runs. [default: {RUNS}]"),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Do not read or write the cache.")]
Replay = Annotated[
    str | None,
    typer.Option("--replay", metavar="RUN", help="Repeat RUN from its journal: no calls, no keys, no cost."),
]
Failed = Annotated[bool, typer.Option("--failed", help="Also retry failed steps.")]
Trust = Annotated[bool, typer.Option("--trust", help="Resume a run that was started elsewhere, after viewing it.")]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask: approve the plan and all calls of tools, or remove the runs.")
]
STDOUT = "-"
"""Name of stdout as a file to write."""
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="File to write; `-` for stdout. [default: stdout; report: report.html in the run's folder]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
AsJsonLines = Annotated[bool, typer.Option("--jsonl", help="Print each event as a line of JSON when it happens.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also show each event as a log line on stderr.")]
Otlp = Annotated[
    str | None,
    typer.Option("--otlp", metavar="URL", help="Collector that gets the run as OpenTelemetry spans; no texts."),
]
Web = Annotated[
    bool,
    typer.Option("--web", help="Also show the run in a browser while it works: prints an address of this machine."),
]
Grace = Annotated[
    float,
    typer.Option(
        "--grace",
        metavar="SECONDS",
        callback=at_least(0),
        help=f"Seconds that running steps get after the first Ctrl-C. [default: {GRACE_SECONDS:g}; minimum: 0]",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Display:
    """How a command shows what it does."""

    json: AsJson = False
    jsonl: AsJsonLines = False
    quiet: Quiet = False
    verbose: Verbose = False
    otlp: Otlp = None
    web: Web = False

    def __post_init__(self) -> None:
        if self.json and self.jsonl:
            raise TaskError("--json and --jsonl are not allowed together: choose one")
        if self.quiet and self.verbose:
            raise TaskError("--quiet and --verbose are not allowed together: choose one")


@dataclass(frozen=True, kw_only=True)
class Named:
    """The task that a command line names."""

    tasks: Tasks = None
    goal: Goal = None

    def source(self, options: Options, *, quiet: bool) -> "TaskSource":
        """Return the source of the task; stdin is read. Raise `TaskError` if there is none.

        If no task is named and `./task.yaml` exists, it is the task, with a note on stderr.
        """
        from swarm.cli.source import TASK_FILE, source_of
        from swarm.cli.streams import say

        tasks = self.tasks or []
        is_named = tasks or self.goal is not None or options.plan is not None
        if not is_named and Path(TASK_FILE).is_file():
            tasks = [TASK_FILE]
            if not quiet:
                say(f"note: no TASK given; using ./{TASK_FILE}")
        plan = None if options.plan is None else str(options.plan)
        return source_of(tasks, goal=self.goal, names=options.parameters, plan=plan)


def _loaded(files: list[str] | None) -> "tuple[Tool | Kit, ...]":
    """Return the tools of Python files. Raise `TaskError`."""
    if not files:
        return ()
    from swarm.lifecycle.tool_files import load_tools

    return load_tools(files)


def in_folder(options: Options, runs: str | None) -> Options:
    """Return the options with the folder of the runs. Raise `TaskError` if it is not a folder."""
    if runs is not None and Path(runs).exists() and not Path(runs).is_dir():
        raise TaskError(Problem("is not a folder", where=runs, key="--runs"))
    return replace(options, runs=runs)


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Split `NAME=VALUE` texts. Raise `TaskError` for other texts, and if a name is given twice."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for text in given or ():
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            message = f"invalid value `{text[:80]}`: expected NAME=VALUE, for example {EXAMPLES[option]}"
            problems.append(Problem(message, key=option))
        elif name in found:
            problems.append(Problem(f"`{name[:80]}` is given twice", key=option))
        found[name] = value
    if problems:
        raise TaskError(*problems)
    return found


EXAMPLES = {"--limit": "tokens=100_000", "--total": "tokens=2_000_000", "--set": "audience=managers"}
"""A valid pair for each option that takes them."""


def runs_folder(runs: str | Path | None) -> Path:
    """Return the folder of the runs if no task names one: that of `--runs`, else the nearest one.

    It is looked for in the current folder and those above it, so that the commands that look at runs
    work in sub-folders of a project. Only a folder of this user counts.
    """
    if runs is not None:
        return Path(runs)
    here = Path.cwd()
    found = next((each for each in (here, *here.parents) if _is_own_folder(each / RUNS)), None)
    return Path(RUNS) if found is None or found == here else Path(os.path.relpath(found / RUNS))


def _is_own_folder(path: Path) -> bool:
    try:
        return path.is_dir() and path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


_RESUME = {
    "endpoint": Option(Endpoint),
    "model": Option(Model),
    "workers": Option(Workers),
    "limits": Option(Limit, partial(pairs, "--limit")),
    "tools": Option(ToolFiles, _loaded),
}
_RUN = {
    **_RESUME,
    "parameters": Option(Set, partial(pairs, "--set")),
    "plan": Option(PlanFile),
    "inputs": Option(Inputs, lambda given: tuple(given or ())),
    "strict": Option(Strict),
    "fetch": Option(Fetch),
    "outputs": Option(Outputs),
}
RunOptions = Annotated[Options, OptionsOf(_RUN)]
"""The fields of `Options` that are options of run, plan and check."""
ResumeOptions = Annotated[Options, OptionsOf(_RESUME)]
"""The fields of `Options` that are options of resume."""
