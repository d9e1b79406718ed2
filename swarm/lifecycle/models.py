"""The models of a run: chosen, checked, and placed in the task's file if they are wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from swarm.base.errors import Problem, TaskError
from swarm.base.proxy import certificate_problems, proxy_of
from swarm.endpoints import Endpoint
from swarm.endpoints.choose import Choice, choose
from swarm.endpoints.route import OFFLINE, Routes, check_models, is_small, routes_of
from swarm.lifecycle.opened import placed
from swarm.lifecycle.options import Options
from swarm.spec.labels import DEFAULT
from swarm.spec.providers import address_of
from swarm.spec.task import Model, Task

BUILT_IN_ALIASES = ("offline", "built-in", "built-in.offline")
"""Aliases for the built-in endpoint, if a task has none for it. The first free one is used."""
CUSTOM_ENDPOINT = "custom endpoint: an object of the calling program"
"""Line for people about the model of a run whose endpoint is an object."""


@dataclass(frozen=True)
class ChosenModels:
    """The models of a run."""

    choice: Choice
    routes: Routes
    """The models as they are served, without prices."""
    endpoint: Endpoint | None
    """The caller's endpoint object, which serves every model; None if there is none."""
    built_in: str = ""
    """Alias of the built-in endpoint, which plans and reports for a small `default`; empty if none is needed."""


async def choose_models(task: Task, options: Options) -> ChosenModels:
    """Choose the models of a run and check them. Raise `TaskError`."""
    if options.endpoint is not None and not isinstance(options.endpoint, str):
        models = _with_limits(task.models or {"default": Model(endpoint="offline", takes=("image", "audio", "video"))})
        check_models(models, custom_endpoint=True)
        return ChosenModels(Choice(models, CUSTOM_ENDPOINT), routes_of(models), options.endpoint)
    choice = await choose(
        task.models,
        endpoint=options.endpoint,
        model=options.model,
        environ=options.environ,
        probe=None if options.needs_keys else no_server,
        folder=task.folder,
    )
    choice = replace(choice, models=as_recorded(choice.models, options.models))
    choice, built_in = with_built_in(choice)
    try:
        check_models(choice.models)
    except TaskError as error:
        # The model of `--endpoint` replaces `default`, whose place in the file would mislead.
        written = [alias for alias in task.models if alias != DEFAULT or options.endpoint is None]
        raise TaskError(*placed(task, written, error.problems)) from None
    check_network(choice.models, options.environ)
    return ChosenModels(choice, routes_of(choice.models), None, built_in)


def _with_limits(models: Mapping[str, Model]) -> dict[str, Model]:
    """Set the output caps of models that an endpoint object serves in place of the built-in endpoint.

    That one has none unless it is set. A replay has no such object, and must find the same requests in the journal.
    """
    offline = {alias: model for alias, model in models.items() if model.endpoint == OFFLINE}
    caps = {alias: model.model_copy(update={"max_tokens": model.max_tokens}) for alias, model in offline.items()}
    return {**models, **caps}


def with_built_in(choice: Choice) -> tuple[Choice, str]:
    """Return the models with the built-in endpoint, and its alias, if `default` is a small model.

    A small model cannot plan, and loses most of what it should report. The built-in endpoint loses nothing, and what
    it reads stays on this machine.
    """
    default = choice.models.get(DEFAULT)
    if default is None or not is_small(default):
        return choice, ""
    found = next((alias for alias, model in choice.models.items() if model.endpoint == OFFLINE), "")
    if found:
        return choice, found
    alias = next(name for name in BUILT_IN_ALIASES if name not in choice.models)
    return replace(choice, models={**choice.models, alias: Model(endpoint=OFFLINE)}), alias


def check_network(models: Mapping[str, Model], environ: Mapping[str, str]) -> None:
    """Raise TaskError for proxies and certificates of the environment that no call to these models could use."""
    problems: dict[Problem, None] = {}
    for address in filter(None, map(address_of, models.values())):
        if address.startswith("https://"):
            problems |= dict.fromkeys(certificate_problems(environ))
        try:
            proxy_of(address, environ)
        except TaskError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise TaskError(*problems)


def as_recorded(models: Mapping[str, Model], earlier: Mapping[str, Model]) -> dict[str, Model]:
    """Return models with what a recorded run learnt of their endpoints: name, slots, context size.

    A value that is set, or that the endpoint has just reported, is kept. A model that now has
    another address or name learns nothing.
    """
    found: dict[str, Model] = {}
    for alias, model in models.items():
        known = earlier.get(alias)
        found[alias] = model
        if known is not None and known.endpoint == model.endpoint and model.name in (None, known.name):
            learnt = {"name": known.name, "calls": known.calls, "context": known.context}
            update = {name: value for name, value in learnt.items() if getattr(model, name) is None}
            found[alias] = model.model_copy(update=update)
    return found


async def no_server(base_url: str) -> None:
    """Answer the question for local servers without looking for one."""
    del base_url
