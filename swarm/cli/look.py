"""`swarm runs` and `swarm show`: what ran."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.cli.reading import Recorded, recorded, row_of, run_object
from swarm.cli.streams import answer, answer_json, say
from swarm.errors import Problem, RunNotFoundError

if TYPE_CHECKING:
    from swarm.folder import RunFolder

NEWEST = 30
"""Runs that are listed where nothing else is said: a screenful."""

StepName = Annotated[str | None, typer.Argument(metavar="STEP", help="A step's id: shows its turns.")]
Newest = Annotated[int, typer.Option("--newest", "-n", metavar="N", min=1, help="How many to list, newest first.")]
All = Annotated[bool, typer.Option("--all", help="List all of them.")]


def runs(
    folder: o.Runs = None,
    newest: Newest = NEWEST,
    everything: All = False,
    as_json: o.AsJson = False,
) -> int:
    """List runs, the newest first.

    A run without an end is `running` if its process is there, else `stopped`: `swarm resume` goes on with it.
    """
    from swarm.folder import listed

    where = o.runs_folder(folder)
    found = listed(where)[::-1]
    rows = [row_of(each) for each in (found if everything else found[:newest])]
    for row in rows:
        if row.problem:
            say(f"warning: {row.problem}")
    if as_json:
        answer_json([asdict(row) for row in rows])
        return 0
    if not rows:
        say(f"there are no runs in {where}; --runs DIR looks elsewhere")
        return 0
    from swarm.views.tables import runs_table

    answer(runs_table(rows))
    if len(rows) < len(found):
        say(f"{len(found) - len(rows)} older ones: --all")
    return 0


def show(run: o.Run = "last", step: StepName = None, folder: o.Runs = None, as_json: o.AsJson = False) -> int:
    """Show a run, or the turns of one step.

    Of a run: its steps, what they used, how parallel it was. RUN is an id, the beginning of one, a run's folder, or
    `last`. A run that is still going on can be looked at too.
    """
    from swarm.folder import find

    where = find(run, o.runs_folder(folder))
    found = recorded(where)
    if step is not None:
        return _show_step(found, step, as_json=as_json)
    return _show_run(found, where, as_json=as_json)


def _show_run(found: Recorded, where: "RunFolder", *, as_json: bool) -> int:
    if as_json:
        answer_json(run_object(where, found.state))
        return 0
    from swarm.measure import measure
    from swarm.views.tables import run_table

    answer(run_table(found.state, measure(found.state, found.events)))
    return 0


def _show_step(found: Recorded, step: str, *, as_json: bool) -> int:
    from swarm.reading.explain import meant

    if step not in found.state.steps:
        wrong = f"run {found.state.run} has no step `{step[:80]}`{meant(step, found.state.steps)}"
        raise RunNotFoundError(Problem(wrong))
    events = [event for event in found.events if getattr(event, "step", None) == step]
    if as_json:
        answer_json({"step": step, "events": [event.model_dump(mode="json", by_alias=True) for event in events]})
        return 0
    from swarm.views.tables import step_page

    answer(step_page(found.state, step, events))
    return 0
