"""Trust in run folders: one that was not started here is shown before it is resumed.

A journal says which task file, endpoints, key variables, inputs and outputs a resumed run would
use. From a folder of unknown origin these are proposals of a stranger.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from swarm.base.errors import Problem, UntrustedRunError
from swarm.base.text import clip, listing
from swarm.base.values import Json
from swarm.record.folder import RunFolder
from swarm.record.origin import origin_of, write_mark
from swarm.record.recorded import Recorded, recorded
from swarm.spec.files.references import masked_url

MOST_NAMES = 20
"""Maximum names in a line of the proposal."""
_WORDS = {
    "elsewhere": "was moved or copied from where it was started",
    "unknown": "was not started by this user at this place, or by an earlier version",
}


def check_trust(folder: RunFolder, *, trusted: bool) -> None:
    """Let a run be resumed that was started here, or that a person trusts; then it is marked as theirs.

    Raise `UntrustedRunError` for other runs, with all that the run would use. Raise `JournalError`
    if the journal cannot be read.
    """
    origin = origin_of(folder.path)
    if origin == "here":
        return
    if trusted:
        write_mark(folder.path)
        return
    message = (
        f"this run folder {_WORDS[origin]}, so it is not resumed\n"
        "hint: if you know where it comes from and agree to all of the above, add `--trust`"
    )
    raise UntrustedRunError(Problem(message, where=str(folder.path)), proposal=proposal(folder))


def proposal(folder: RunFolder) -> tuple[str, ...]:
    """Return the lines that show what a resumed run would use: endpoints, key variables, files."""
    found = recorded(folder)
    first, task = found.first, found.state.task
    source = f"{first.source}, if it exists; else as recorded" if first.source else "as recorded"
    lines = [
        f"goal: {clip(str(task.get('goal') or 'none'), 200)}",
        f"task file: {clip(source, 300)}",
        f"folder: {clip(first.folder, 300)}",
        *(f"model {clip(alias)}: {_model(model)}" for alias, model in _items(task.get("models"))),
        f"inputs: {_listed(_path(each) for each in _list(task.get('inputs')))}",
        f"outputs: {_listed((*_list(task.get('output')), *_list(first.said.get('outputs'))))}",
        f"tools: {_listed(_list(task.get('tools')))}",
        f"spans go to: {_collector(task.get('otel'))}",
        f"calls that nobody is asked about: {_allowed(found)}",
    ]
    return tuple(lines)


def _allowed(found: Recorded) -> str:
    """Return the tools of which the journal says that a person allowed every call."""
    if found.first.said.get("yes"):
        return "all, by `--yes`"
    return _listed(dict.fromkeys(event.tool for event in found.state.allowed))


def _model(model: Json) -> str:
    settings = _mapping(model)
    if settings.get("use"):
        return f"pool of {_listed(_list(settings['use']))}"
    keys = _list(settings.get("key"))
    return f"{clip(masked_url(str(settings.get('endpoint'))), 200)}, key: {_listed(keys)}"


def _collector(otel: Json) -> str:
    settings = _mapping(otel)
    if not settings:
        return "none"
    headers = [f"{name}: {value}" for name, value in _items(settings.get("headers"))]
    return f"{clip(masked_url(str(settings.get('url'))), 200)}, headers: {_listed(headers)}"


def _path(entry: Json) -> Json:
    return _mapping(entry).get("path", entry)


def _listed(values: Iterable[Json]) -> str:
    return listing([clip(str(value), 200) for value in values], MOST_NAMES)


def _list(value: Json) -> list[Json]:
    if value is None:
        return []
    return cast("list[Json]", value) if isinstance(value, list) else [value]


def _mapping(value: Json) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _items(value: Json) -> Iterable[tuple[str, Json]]:
    return _mapping(value).items()
