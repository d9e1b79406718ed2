"""`swarm runs` and `swarm show`: inspect runs."""

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.errors import Problem, TaskError
from swarm.cli import options as o
from swarm.cli.reading import no_step, result_of, row_of, run_object, status_of
from swarm.cli.streams import answer, answer_json, message, say

if TYPE_CHECKING:
    from swarm.record.folder import RunFolder
    from swarm.record.recorded import Recorded

NEWEST = 30
"""Default number of runs to list: a screenful."""

StepName = Annotated[
    str | None, typer.Argument(metavar="STEP", help="Id of a step: shows its turns.", show_default=False)
]
Claim = Annotated[
    str | None,
    typer.Option("--claim", metavar="ID", help="Claim of the report, such as 7 or c7: shows its sources."),
]
Claims = Annotated[bool, typer.Option("--claims", help="List the claims of the report with their evidence.")]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="KEY", help="Order of the steps, the largest first: took, cost or tokens."),
]
Newest = Annotated[
    int,
    typer.Option(
        "--newest",
        "-n",
        metavar="N",
        callback=o.at_least(1),
        help=f"Number of runs to list, newest first. [default: {NEWEST}; minimum: 1]",
        show_default=False,
    ),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Watch until it ends. Ctrl-C ends the watching only.")]
All = Annotated[
    bool, typer.Option("--all", help="List everything: all runs, or each step of those that a row stands for.")
]


def runs(
    newest: Newest = NEWEST,
    everything: All = False,
    follow: Follow = False,
    folder: o.Runs = None,
    as_json: o.AsJson = False,
) -> int:
    """List runs, newest first.

    A run that has not ended is `running` if its process is alive, else `stopped`; `swarm resume`
    continues a stopped run.
    """
    from swarm.record.folder import listed

    where = o.runs_folder(folder)
    most = None if everything else newest
    if follow:
        from swarm.cli.follow import follow_runs

        follow_runs(lambda: listed(where)[::-1][:most])
    found = listed(where)[::-1]
    rows = [row_of(each) for each in found[:most]]
    for row in rows:
        if row.problem:
            say(message("warning", row.problem))
    if as_json:
        answer_json([asdict(row) for row in rows])
        return 0
    if not rows:
        say(message("note", f"no runs in {where}\nhint: choose another folder with --runs DIR"))
        return 0
    from swarm.views.tables import runs_table

    answer(runs_table(rows, {row.run: row.size for row in rows}))
    if len(rows) < len(found):
        say(f"note: {len(found) - len(rows)} older runs are not shown; list them with --all")
    return 0


def show(
    run: o.LastRun = "last",
    step: StepName = None,
    claim: Claim = None,
    claims: Claims = False,
    follow: Follow = False,
    web: o.Web = False,
    sort: Sort = None,
    everything: All = False,
    folder: o.Runs = None,
    as_json: o.AsJson = False,
) -> int:
    """Show a run, one step, or a claim's sources.

    For a run: what took most of its time and cost and what would change that, its steps, and how
    parallel it was. A run that is still running can be shown, too, and watched with --follow. For a
    claim of the report: the steps it cites and the lines of their inputs.
    """
    from swarm.record.folder import find

    if sort is not None:
        _check_sort(sort)
    where = find(run, o.runs_folder(folder))
    if web and not follow:
        raise TaskError("--web shows a run while it works\nhint: add --follow, or make a file with `swarm report`")
    if follow and (claim is not None or claims or step is not None):
        raise TaskError("--follow shows a whole run: it is not allowed with STEP, --claim or --claims")
    with ExitStack() as after:
        if follow:
            from swarm.cli.follow import follow_run

            follow_run(where, after if web else None)
        return _shown(where, step, claim, claims=claims, sort=sort or "", everything=everything, as_json=as_json)


def _shown(
    where: "RunFolder",
    step: str | None,
    claim: str | None,
    *,
    claims: bool,
    sort: str,
    everything: bool,
    as_json: bool,
) -> int:
    """Print a run, a step, or claims of its report."""
    from swarm.record.recorded import recorded

    if claim is not None:
        return _show_claim(where, claim, as_json=as_json)
    found = recorded(where)
    if claims:
        return _show_claims(found, where, as_json=as_json)
    if step is not None:
        return _show_step(found, step, as_json=as_json)
    return _show_run(found, where, sort, everything=everything, as_json=as_json)


def _check_sort(sort: str) -> None:
    from swarm.spec.yaml.explain import meant
    from swarm.views.steps import SORTS

    if sort not in SORTS:
        wrong = f"unknown key `{sort[:40]}`{meant(sort, SORTS)}\nhint: choose one of {', '.join(SORTS)}"
        raise TaskError(Problem(wrong, key="--sort"))


def _show_run(found: "Recorded", where: "RunFolder", sort: str, *, everything: bool, as_json: bool) -> int:
    if as_json:
        answer_json(run_object(where, found.state))
        return 0
    from swarm.results.measure import measure
    from swarm.views.tables import run_table

    status = status_of(found.state, where)
    answer(run_table(found.state, measure(found.state), sort=sort, everything=everything, status=status))
    return 0


def _show_claim(where: "RunFolder", claim: str, *, as_json: bool) -> int:
    from swarm.results.provenance import provenance_of
    from swarm.views.claims import provenance_page

    found = provenance_of(where, claim)
    if as_json:
        answer_json(found.model_dump(mode="json"))
    else:
        answer(provenance_page(found))
    return 0


def _show_claims(found: "Recorded", where: "RunFolder", *, as_json: bool) -> int:
    from swarm.views.claims import claims_table

    report = result_of(found.state, where).report
    claims = () if report is None else report.claims
    if as_json:
        answer_json([claim.model_dump(mode="json") for claim in claims])
    elif claims:
        answer(claims_table(claims))
    else:
        say(message("note", f"run {found.state.run} has no report with claims"))
    return 0


def _show_step(found: "Recorded", step: str, *, as_json: bool) -> int:
    if step not in found.state.steps:
        raise no_step(found.state, step)
    events = [event for event in found.events if getattr(event, "step", None) == step]
    if as_json:
        answer_json({"step": step, "events": [event.model_dump(mode="json", by_alias=True) for event in events]})
        return 0
    from swarm.views.tables import step_page

    answer(step_page(found.state, step, events))
    return 0
