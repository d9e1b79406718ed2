"""Options that several commands share: their help texts, and how their values are read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.clock import GRACE_SECONDS
from swarm.base.errors import Problem, TaskError

if TYPE_CHECKING:
    from swarm.cli.source import TaskSource
    from swarm.lifecycle.prepare import Options

RUNS = ".swarm/runs"
"""Folder of the runs if neither `--runs` nor a task names one."""


def at_least(minimum: float) -> Callable[[float | None], float | None]:
    """Return a check of an option's value: typer's own writes its range into the help as `x>=0`."""

    def check(value: float | None) -> float | None:
        if value is not None and not value >= minimum:
            raise typer.BadParameter(f"{value:g} is below the minimum of {minimum:g}")
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
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Maximum number of steps running in parallel. [default: from the task, else 16]",
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
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Approve the plan of a task with `approve: ask`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
AsJsonLines = Annotated[bool, typer.Option("--jsonl", help="Print each event as a line of JSON when it happens.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also show each event as a log line on stderr.")]
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

    def __post_init__(self) -> None:
        if self.json and self.jsonl:
            raise TaskError("--json and --jsonl are not allowed together: choose one")
        if self.quiet and self.verbose:
            raise TaskError("--quiet and --verbose are not allowed together: choose one")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A run as the command line describes it. The first eight fields are options of run, plan and check."""

    tasks: Tasks = None
    goal: Goal = None
    endpoint: Endpoint = None
    model: Model = None
    workers: Workers = None
    limits: Limit = None
    parameters: Set = None
    plan: PlanFile = None
    runs: str | None = None
    cache: bool = True

    def with_task(self, *, quiet: bool) -> "Asked":
        """Return the same with `./task.yaml` as the task, and a note on stderr, if none is named and it exists."""
        from swarm.cli.source import TASK_FILE
        from swarm.cli.streams import say

        is_named = self.tasks or self.goal is not None or self.plan is not None
        if is_named or not Path(TASK_FILE).is_file():
            return self
        if not quiet:
            say(f"note: no TASK given; using ./{TASK_FILE}")
        return replace(self, tasks=[TASK_FILE])

    @property
    def source(self) -> "TaskSource":
        """The task that is meant; stdin is read."""
        from swarm.cli.source import source_of

        names = pairs("--set", self.parameters)
        return source_of(self.tasks or (), goal=self.goal, names=names, plan=self.plan)

    def options(self, source: "TaskSource | None" = None) -> "Options":
        """Return the same for `swarm.lifecycle.prepare`. Raise `TaskError` if a value is not a pair."""
        from swarm.lifecycle.prepare import Options

        if self.runs is not None and Path(self.runs).exists() and not Path(self.runs).is_dir():
            raise TaskError(Problem("is not a folder", where=self.runs, key="--runs"))
        return Options(
            endpoint=self.endpoint,
            model=self.model,
            workers=self.workers,
            limits=pairs("--limit", self.limits),
            parameters=pairs("--set", self.parameters),
            plan=self.plan,
            runs=self.runs,
            cache=self.cache,
            text=None if source is None else source.text,
        )


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


EXAMPLES = {"--limit": "tokens=100_000", "--set": "audience=managers"}
"""A valid pair for each option that takes them."""


def runs_folder(runs: str | None) -> Path:
    """Return the folder of the runs if no task names one."""
    return Path(RUNS if runs is None else runs)
