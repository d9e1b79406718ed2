"""`swarm diff`: compare two runs."""

from typing import Annotated

import typer

from swarm.cli import options as o
from swarm.cli.reading import state_of
from swarm.cli.streams import answer, answer_json

Other = Annotated[str, typer.Argument(metavar="RUN", help="Run to compare it with.", show_default=False)]


def diff(run: o.Run, other: Other, folder: o.Runs = None, as_json: o.AsJson = False) -> int:
    """Compare two runs.

    Lists the steps that were added, removed, or had changed inputs (and which: prompt, model, files,
    outputs of other steps), and the time, tokens and cost of both runs.
    """
    from swarm.record.folder import find
    from swarm.results.compare import compare

    where = o.runs_folder(folder)
    pair = compare(state_of(find(run, where)), state_of(find(other, where)))
    if as_json:
        answer_json({**pair.model_dump(mode="json"), "counts": pair.counts})
        return 0
    from swarm.views.simulation import comparison

    answer(comparison(pair))
    return 0
