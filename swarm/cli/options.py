"""What is said on the command line: options that several commands share, and what they mean."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.errors import Problem, TaskError

if TYPE_CHECKING:
    from swarm.cli.source import Source
    from swarm.prepare import Options

GRACE_SECONDS = 10.0
"""How long attempts in flight may go on after the first interrupt, where nothing is said: most calls take less."""

Tasks = Annotated[
    list[str] | None,
    typer.Argument(metavar="TASK", help="A task file, or - for stdin. With --goal: the inputs.", show_default=False),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, its folder, or `last`.")]
Goal = Annotated[str | None, typer.Option("--goal", metavar="TEXT", help="The question, in place of a task file.")]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Attempts in flight at once, at most.", show_default=False)
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=VALUE",
        help="A limit over the task's: tokens=100_000, usd=2, seconds=600, steps, depth, rounds, turns. Repeatable.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter over the task's: audience=managers. Repeatable."),
]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="URL", help="A base URL, a provider's name, or `offline`, over the task's."),
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="The model's name at that endpoint.")]
PlanFile = Annotated[
    str | None, typer.Option("--plan", metavar="FILE", help="A plan file: runs exactly that, without a planner.")
]
Runs = Annotated[
    str | None,
    typer.Option("--runs", metavar="DIR", help="Where run folders are; .swarm/runs by default.", show_default=False),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Take nothing from the cache of earlier runs, and keep nothing there.")
]
Replay = Annotated[
    str | None,
    typer.Option("--replay", metavar="RUN", help="The same run from RUN's journal: no call, no key, nothing spent."),
]
Failed = Annotated[bool, typer.Option("--failed", help="Try again what failed, too.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Say yes to the plan of a task with `approve: ask`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsJsonLines = Annotated[bool, typer.Option("--jsonl", help="Print one event a line, as they happen.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but what is wrong.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr: each event as a log line, too.")]
Grace = Annotated[
    float,
    typer.Option("--grace", metavar="SECONDS", min=0.0, help="How long calls may go on after the first Ctrl-C."),
]


@dataclass(frozen=True, kw_only=True)
class Display:
    """How a command shows what it does."""

    json: bool = False
    jsonl: bool = False
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.json and self.jsonl:
            raise TaskError("--json and --jsonl are two forms of the same answer: choose one")
        if self.quiet and self.verbose:
            raise TaskError("--quiet and --verbose contradict each other: choose one")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command line asks of a run."""

    tasks: tuple[str, ...] = ()
    goal: str | None = None
    workers: int | None = None
    limits: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    endpoint: str | None = None
    model: str | None = None
    plan: str | None = None
    runs: str | None = None
    cache: bool = True

    @property
    def source(self) -> "Source":
        """The task that is meant; stdin is read."""
        from swarm.cli.source import source_of

        return source_of(self.tasks, goal=self.goal, names=pairs("--set", self.parameters), plan=self.plan)

    def options(self, source: "Source | None" = None) -> "Options":
        """Write it for `swarm.prepare`. Raises `TaskError` where a pair is none."""
        from swarm.prepare import Options

        if self.runs is not None and Path(self.runs).exists() and not Path(self.runs).is_dir():
            raise TaskError(Problem("is no folder", where=self.runs, key="--runs"))
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


def pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """Take `NAME=VALUE`s apart. Raises `TaskError` for what is none, and for a name that is given twice."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            problems.append(Problem(f"`{text[:80]}` is no NAME=VALUE", key=option))
        elif name in found:
            problems.append(Problem(f"`{name[:80]}` is given twice", key=option))
        found[name] = value
    if problems:
        raise TaskError(*problems)
    return found


def runs_folder(runs: str | None) -> Path:
    """Give the folder of runs where no task says where it is."""
    return Path(runs) if runs is not None else Path(".swarm/runs")
