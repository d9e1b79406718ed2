"""`swarm diff`: two runs side by side."""

from typing import Annotated

import typer

from swarm.cli import options as o
from swarm.cli.reading import state_of
from swarm.cli.streams import answer, answer_json

Other = Annotated[str, typer.Argument(metavar="RUN", help="The run it is compared with.")]


def diff(run: o.Run, other: Other, folder: o.Runs = None, as_json: o.AsJson = False) -> int:
    """Put two runs side by side.

    Which steps were added, are gone, or were determined by something else (and by what: prompt, model, what was given
    to it …); seconds, tokens and price of both.
    """
    from swarm.compare import compare
    from swarm.folder import find

    where = o.runs_folder(folder)
    pair = compare(state_of(find(run, where)), state_of(find(other, where)))
    if as_json:
        answer_json({**pair.model_dump(mode="json"), "counts": pair.counts})
        return 0
    from swarm.views.simulation import comparison

    answer(comparison(pair))
    return 0
