"""The inputs of a run, read by what its caller and its models allow."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import cast

from anyio import to_thread

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip
from swarm.endpoints.route import Routes, single
from swarm.exports.outputs import wrote
from swarm.lifecycle.fetched import fetch_of
from swarm.lifecycle.opened import OpenedTask
from swarm.lifecycle.options import Options
from swarm.readers.texts import Texts
from swarm.record.events import KeptFact, RunResumed, RunStarted
from swarm.record.folder import RunFolder, listed
from swarm.spec.files import SCHEMA_FILE, InputOptions, LoadedInputs, MatchedInputs, OutputFiles
from swarm.spec.files.contents import PENDING, STDIN
from swarm.spec.files.inputs import Fetch
from swarm.spec.plan import Plan
from swarm.spec.task import Input, Task, UnreadInput
from swarm.spec.yaml.strict import Document

TEXTS = ".swarm/cache/texts"
"""Folder of the texts of documents, next to the task."""
NAMED = 20
"""Unread files that get a warning each. More of them are counted in one."""


async def load_inputs(opened: OpenedTask, outputs: OutputFiles, routes: Routes, options: Options) -> LoadedInputs:
    """Return the inputs of a run. Raise TaskError.

    Documents are read in a thread, so that a caller's other work continues. Nothing is written.
    """
    accepted = set(chain.from_iterable(route.takes for route in single(routes).values()))
    fetch = await fetch_of(opened.task, options)
    how = input_options(opened, options, pictures="image" in accepted, fetch=fetch)
    matched = MatchedInputs(opened.task, outputs, how)
    found = await _in_thread(matched.read) if matched.may_take_long else matched.read()
    if pending := sum(each.kind == PENDING for each in found.inputs):
        found = replace(found, notes=(*found.notes, _pending_note(pending)))
    return without_media(found, opened.task, accepted, strict=options.strict)


def _pending_note(count: int) -> str:
    counted = "1 address is" if count == 1 else f"{count:,} addresses are"
    return f"{counted} fetched when the run starts, and empty until then"


async def _in_thread(read: Callable[[Callable[[], bool]], LoadedInputs]) -> LoadedInputs:
    """Run a reading in a thread. If this is cancelled, the reading stops."""
    stop = threading.Event()
    try:
        return await to_thread.run_sync(read, stop.is_set, abandon_on_cancel=True)
    finally:
        stop.set()


def input_options(
    opened: OpenedTask, options: Options, *, pictures: bool = False, fetch: Fetch | None = None
) -> InputOptions:
    """Return what a caller says about inputs."""
    task = opened.task
    own = [opened.source, str(task.folder / SCHEMA_FILE)]
    own += [task.plan_origin.source] if isinstance(task.plan_origin, Document) else []
    own += [str(task.folder / task.agents)] if task.agents is not None else []
    return InputOptions(
        strict=options.strict,
        given=tuple(map(str, options.inputs)),
        given_folder=Path(options.inputs_folder),
        stdin=options.stdin,
        fetch=fetch,
        pictures=pictures,
        texts=Texts(texts_folder(task, options)),
        is_written=lambda path: options.may_replace or _is_written(path, opened.task, options),
        own_files=tuple(Path(path) for path in own if path),
    )


def _is_written(path: Path, task: Task, options: Options) -> bool:
    """Return whether a run of the folder of runs has written a file."""
    runs = task.folder / ".swarm" / "runs" if options.runs is None else Path(options.runs)
    return any(wrote(folder.path, path) for folder in reversed(listed(runs)))


def texts_folder(task: Task, options: Options) -> Path | None:
    """Return the folder of the texts of documents, or None without a cache."""
    if not options.uses_cache:
        return None
    return task.folder / TEXTS if options.cache_folder is None else options.cache_folder / "texts"


def keep_inputs(task: Task, loaded: LoadedInputs, folder: RunFolder, options: Options) -> None:
    """Store the texts of documents that were read for this run, and what nobody can read again: standard input, and
    what addresses gave.

    Raise `JournalError` if that cannot be written.
    """
    texts = Texts(texts_folder(task, options))
    for sha256, version, found in loaded.made:
        texts.put(sha256, version, found)
    for content in (loaded.stdin, *(each.content for each in loaded.fetched if not each.because)):
        if content is not None:
            folder.keep(content)


def kept_facts(loaded: LoadedInputs) -> tuple[KeptFact, ...]:
    """Return what `keep_inputs` stores as facts."""
    facts = [KeptFact(path=each.url, because=each.because) for each in loaded.fetched if each.because]
    facts += [
        KeptFact(path=each.url, sha256=_digest(each.content), name=each.name)
        for each in loaded.fetched
        if not each.because
    ]
    return tuple(facts) if loaded.stdin is None else (KeptFact(path=STDIN, sha256=_digest(loaded.stdin)), *facts)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def with_kept(options: Options, started: RunStarted | RunResumed, folder: RunFolder) -> Options:
    """Return options with what a recorded run read once: standard input and addresses are not read again."""
    kept = {fact.path: fact for fact in started.kept}
    # A run of an earlier version knows standard input only as an input.
    found = next((fact.sha256 for fact in started.inputs if fact.path == STDIN), None)
    found = kept[STDIN].sha256 if STDIN in kept else found
    options = replace(options, kept=kept, kept_content=folder.content)
    return options if found is None else replace(options, stdin=lambda: folder.content(found))


# Media that no model accepts


def without_media(found: LoadedInputs, task: Task, accepted: set[str], *, strict: bool) -> LoadedInputs:
    """Return the inputs without media that no model accepts; those that a step of the task's plan names are kept.

    Raise TaskError for them if the caller is strict, or if nothing else is left.
    """
    named = _named_by_plan(task)
    refused = [each for each in found.inputs if each.medium not in ("text", *accepted) and each.name not in named]
    if not refused:
        return found
    kept = tuple(each for each in found.inputs if each not in refused)
    unread = tuple(_refusal(each) for each in refused)
    if strict or not kept:
        raise _unreadable(task, unread)
    return replace(found, inputs=kept, unread=(*found.unread, *unread))


def _unreadable(task: Task, unread: Iterable[UnreadInput]) -> TaskError:
    where = task.origin.place(("inputs",)) if isinstance(task.origin, Document) else ""
    messages = [f"no step can read `{clip(each.name)}`: it {each.because}" for each in unread]
    return TaskError(*(Problem(message, where=where, key="inputs") for message in messages))


def _named_by_plan(task: Task) -> set[str]:
    """Return the inputs that the steps of the task's plan name; all if one of them reads all."""
    plan = cast("Plan | None", task.plan)
    if plan is None:
        return set()
    names: set[str] = set()
    for step in plan.steps:
        names.update(step.inputs or ())
    return names


def _refusal(each: Input) -> UnreadInput:
    words = f"is {'a video' if each.medium == 'video' else f'an {each.medium}'}, and no model accepts {each.medium}"
    advice = f"remove it, or add `takes: [{each.medium}]` to a model that accepts it"
    return UnreadInput(name=each.name, because=f"{words}\nhint: {advice}", size=each.size)


def explained(problems: Iterable[Problem], unread: Iterable[UnreadInput]) -> tuple[Problem, ...]:
    """Return problems of a plan; one that names an input that cannot be read says so."""
    known = list(unread)
    found: list[Problem] = []
    for problem in problems:
        named = next((each for each in known if f"'{each.name}'" in problem.message), None)
        if named is not None:
            because = named.because.partition("\n")[0]
            problem = replace(problem, message=f"{problem.message}\nhint: `{clip(named.name)}` {because}")
        found.append(problem)
    return tuple(found)


def unread_notes(unread: Iterable[UnreadInput]) -> tuple[str, ...]:
    """Return a warning for each input that is left out; above a number, one counts the rest."""
    notes = [f"not read: `{clip(each.name)}` {each.because}" for each in unread]
    if len(notes) <= NAMED:
        return tuple(notes)
    return (*notes[:NAMED], f"not read: {len(notes) - NAMED:,} more files\nhint: `swarm check` lists them")
