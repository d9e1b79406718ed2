"""What earlier runs learnt about the endpoints of a run, and what it leaves for later ones."""

from swarm.endpoints.route import single
from swarm.endpoints.wire.learnt import Memory
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import Prepared
from swarm.record.state import State


def memory_of(prepared: Prepared, options: Options) -> Memory:
    """Return what earlier runs learnt. A run without a cache knows of none, and leaves nothing."""
    return Memory(prepared.learnt if options.uses_cache else None)


def learnt_contexts(prepared: Prepared, memory: Memory) -> dict[str, int]:
    """Return the context sizes that refusals taught earlier runs, by alias; of a pool, the least.

    A size holds as long as the same size is stated, in the task or by the server.
    """
    served, found = _kept(prepared), dict[str, int]()
    for alias, route in prepared.routes.items():
        models = [prepared.routes[member].settings for member in route.members if member in served]
        sizes = [memory.of(model).context_if(model.context) for model in models]
        if least := min(filter(None, sizes), default=None):
            found[alias] = least
    return found


def keep_contexts(prepared: Prepared, memory: Memory, state: State) -> None:
    """Note the context sizes that refusals taught. Of a pool it is unknown which model refused."""
    for alias in _kept(prepared):
        if alias in state.contexts:
            settings = prepared.routes[alias].settings
            learnt = memory.of(settings)
            learnt.context, learnt.stated = state.contexts[alias], settings.context


def _kept(prepared: Prepared) -> tuple[str, ...]:
    """Return the aliases of models at an address: no object and no file is remembered."""
    if prepared.endpoint is not None:
        return ()
    routes = single(prepared.routes)
    is_kept = {name: not (each.is_offline or each.is_local_file) for name, each in routes.items()}
    return tuple(name for name, kept in is_kept.items() if kept)
