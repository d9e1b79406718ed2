"""`swarm cache`: what finished steps earlier runs of a project left for later ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json, say
from swarm.errors import Problem, TaskError

if TYPE_CHECKING:
    from swarm.cache import Cache

Action = Annotated[
    str | None,
    typer.Argument(metavar="[clear|why]", help="`clear` empties it; `why RUN STEP` tells why a step was no hit."),
]
Name = Annotated[str | None, typer.Argument(metavar="RUN", help="Of `why`: the run.")]
StepName = Annotated[str | None, typer.Argument(metavar="STEP", help="Of `why`: the step's id.")]


def cache(
    action: Action = None,
    run: Name = None,
    step: StepName = None,
    folder: o.Runs = None,
    as_json: o.AsJson = False,
) -> int:
    """Show, empty or question the cache of finished steps.

    A step is taken from there when all that determines its output is the same as it was: instructions, prompt, model
    and settings, tools, form, inputs, the outputs it was given. `why` compares a step of a run with the nearest entry
    of another run and names the parts that differ. The cache stands beside the runs, in .swarm/cache. Beside the
    steps it remembers for seven days what endpoints would not have: a form of answers, a parameter.
    """
    from swarm.cache import Cache
    from swarm.endpoints.wire.learnt import FILE, Memory

    where = Cache(o.runs_folder(folder).parent / "cache")
    memory = Memory(where.folder / FILE)
    if action is None:
        return _size(where, memory.known, as_json=as_json)
    if action == "clear" and run is None:
        removed = where.clear()
        memory.clear()
        forgotten = "; what endpoints would not have is forgotten" if memory.known else ""
        say(f"{removed} finished steps removed from {where.folder}{forgotten}")
        return 0
    if action == "why" and run is not None and step is not None:
        return _why(where, run, step, o.runs_folder(folder), as_json=as_json)
    raise TaskError(Problem("write `swarm cache`, `swarm cache clear` or `swarm cache why RUN STEP`", key="cache"))


def _size(where: "Cache", endpoints: int, *, as_json: bool) -> int:
    size = where.size()
    if as_json:
        about = {"entries": size.entries, "bytes": size.bytes, "endpoints": endpoints}
        answer_json({"folder": str(where.folder), **about})
    else:
        known = f"; models of which a refusal is remembered: {endpoints}" if endpoints else ""
        answer(f"{size.entries} finished steps, {size.bytes:,} bytes in {where.folder}{known}")
    return 0


def _why(where: "Cache", name: str, step: str, runs: Path, *, as_json: bool) -> int:
    from swarm.cli.reading import state_of
    from swarm.folder import find

    state = state_of(find(name, runs))
    s = state.steps.get(step)
    if s is None or not s.parts:
        raise TaskError(Problem(f"run {state.run} started no step {step!r}; `swarm show {state.run}` lists them"))
    nearest = where.nearest(s.parts, s.step.agent, but=state.run)
    if as_json:
        found = {"step": nearest.entry.step, "run": nearest.entry.run} if nearest is not None else None
        differs = list(nearest.differs) if nearest is not None else []
        answer_json({"cached": s.cached, "nearest": found, "differs": differs})
    elif s.cached:
        answer(f"{step} was taken from the cache")
    elif nearest is None:
        answer(f"{step} was no hit: no other run has left an entry")
    else:
        parts = ", ".join(nearest.differs) or "nothing: the entry was made later, or the run was told --no-cache"
        answer(
            f"{step} was no hit; the nearest is {nearest.entry.step} of run {nearest.entry.run}; it differs in: {parts}"
        )
    return 0
