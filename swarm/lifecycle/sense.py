"""Runs that would end without an error and do nothing useful: refused before they start."""

from collections.abc import Mapping

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip
from swarm.endpoints.route import OFFLINE
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import Prepared


def check_offline(prepared: Prepared, options: Options) -> None:
    """Raise `TaskError` if only the built-in endpoint would run the task, and it cannot.

    It extracts sentences from inputs, so it needs inputs. A model name needs an endpoint that has it.
    """
    models = [model for model in prepared.choice.models.values() if model.use is None]
    if prepared.endpoint is not None or any(model.endpoint != OFFLINE for model in models):
        return
    names = _option_names(options)
    wanted = options.model or options.environ.get("SWARM_MODEL")
    is_named = options.endpoint is not None or prepared.opened.task.models
    if wanted and not is_named:
        key = names["model"] if options.model else "SWARM_MODEL"
        because = "no endpoint, API key or local server was found"
        hint = f"hint: set {names['endpoint']}, an API key, or `models:` in the task"
        raise TaskError(Problem(f"model `{clip(wanted)}` needs an endpoint; {because}\n{hint}", key=key))
    if not prepared.resources.inputs:
        because = "the offline endpoint only extracts sentences from inputs, and this task has no inputs"
        hint = f"hint: add `inputs:` to the task, or set a model with {names['endpoint']} or `models:`"
        raise TaskError(Problem(f"{because}\n{hint}", key="inputs"))


def _option_names(options: Options) -> Mapping[str, str]:
    """Return the names of two options, as the caller writes them."""
    if options.from_python:
        return {"endpoint": "`endpoint=`", "model": "model"}
    return {"endpoint": "`--endpoint`", "model": "--model"}
