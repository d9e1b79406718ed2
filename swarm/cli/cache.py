"""`swarm cache`, `swarm cache clear` and `swarm cache why`: the outputs of finished steps, kept for later runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.errors import Problem, TaskError
from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json, say

if TYPE_CHECKING:
    from swarm.endpoints.wire.learnt import Memory
    from swarm.readers.texts import Texts
    from swarm.record.cache import Cache, Nearest

StepName = Annotated[str, typer.Argument(metavar="STEP", help="Id of a step.", show_default=False)]


def cache(folder: o.Runs = None, as_json: o.AsJson = False) -> int:
    """Show or clear the cache, or explain a cache miss.

    Prints the size of the cache, which is next to the runs, in .swarm/cache. A step is taken from
    it if nothing that its output depends on has changed: instructions, prompt, model and settings,
    tools, output format, files, and the outputs of other steps. The cache also stores the texts of
    documents, and for seven days which request parameters an endpoint rejects.
    """
    where, memory = _opened(folder)
    size = where.size()
    texts, text_bytes = _texts(where).size()
    if as_json:
        about = {"entries": size.entries, "bytes": size.bytes, "endpoints": memory.known}
        about |= {"texts": texts, "text_bytes": text_bytes}
        answer_json({"folder": str(where.folder), **about})
    else:
        known = f"; models with stored facts: {memory.known}" if memory.known else ""
        documents = f"; {texts} texts of documents, {text_bytes:,} bytes" if texts else ""
        answer(f"{size.entries} finished steps, {size.bytes:,} bytes in {where.folder}{documents}{known}")
    return 0


def clear(folder: o.Runs = None) -> int:
    """Remove everything from the cache.

    Runs keep their own outputs; only later runs lose the chance to reuse them.
    """
    where, memory = _opened(folder)
    removed = where.clear()
    _texts(where).clear()
    memory.clear()
    facts = ", and the stored facts about endpoints" if memory.known else ""
    say(f"removed {removed} finished steps from {where.folder}{facts}")
    return 0


def why(run: o.Run, step: StepName, folder: o.Runs = None, as_json: o.AsJson = False) -> int:
    """Explain why a step was not taken from the cache.

    Compares the step with the most similar entry of another run, and prints which inputs differ.
    """
    from swarm.cli.reading import state_of
    from swarm.record.folder import find

    where, _ = _opened(folder)
    state = state_of(find(run, o.runs_folder(folder)))
    s = state.steps.get(step)
    if s is None or not s.parts:
        message = f"run {state.run} started no step {step!r}\nhint: list the steps with `swarm show {state.run}`"
        raise TaskError(Problem(message))
    nearest = where.nearest(s.parts, s.step.agent, but=state.run)
    if as_json:
        found = {"step": nearest.entry.step, "run": nearest.entry.run} if nearest is not None else None
        differs = list(nearest.differs) if nearest is not None else []
        answer_json({"cached": s.outcome.cached, "nearest": found, "differs": differs})
    elif s.outcome.cached:
        answer(f"{step} was taken from the cache")
    else:
        answer(f"{step} was a cache miss: {_reason(nearest)}")
    return 0


def _texts(cache: "Cache") -> "Texts":
    """Return the texts of documents that are stored next to the finished steps."""
    from swarm.readers.texts import Texts

    return Texts(cache.folder / "texts")


def _reason(nearest: "Nearest | None") -> str:
    if nearest is None:
        return "no other run has stored an entry"
    parts = ", ".join(nearest.differs) or "nothing (the entry is newer, or the run used --no-cache)"
    return f"the most similar entry is {nearest.entry.step} of run {nearest.entry.run}; it differs in: {parts}"


def _opened(runs: str | None) -> "tuple[Cache, Memory]":
    """Open the cache next to the runs, and what it stores about endpoints."""
    from swarm.endpoints.wire.learnt import FILE, Memory
    from swarm.record.cache import Cache

    where = Cache(o.runs_folder(runs).parent / "cache")
    return where, Memory(where.folder / FILE)
