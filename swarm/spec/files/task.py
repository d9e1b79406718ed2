"""The reader of task files, and the writer of resolved tasks. Other modules of this package read plans and inputs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic_core import to_json

from swarm.base.errors import PlanError, Problem, TaskError
from swarm.base.redaction import MASK, Redactor
from swarm.base.text import clip
from swarm.base.values import Json
from swarm.spec.files.check import BRACES, ITEM, task_problems
from swarm.spec.files.overrides import COMMAND_NAMES, OverrideNames, Overrides, override, typed_values
from swarm.spec.files.plan import PlanFile, located, read_plan
from swarm.spec.files.references import SECTIONS, as_referenced, mapping, masked_url, resolve, secrets_of, warnings
from swarm.spec.plan import Plan
from swarm.spec.task import FORMAT, Limits, Model, Task
from swarm.spec.yaml.notation import Path as ValuePath
from swarm.spec.yaml.notation import at
from swarm.spec.yaml.strict import Document, dump, is_file, parse, read_file, validate

_STEPS = re.compile(r"""\bsteps["']?\s*:\s*["']?(\d[\d_]*)""")


def load_task(
    source: str | Path,
    *,
    environ: Mapping[str, str],
    text: str | None = None,
    folder: Path | None = None,
    parameters: Mapping[str, Json] | None = None,
    limits: Mapping[str, Json] | None = None,
    names: OverrideNames = COMMAND_NAMES,
) -> Task:
    """Return the task of a file. Raise TaskError, or PlanError for its plan file, with all problems.

    `environ` has the values of `${NAME}`. With `text`, `source` is only its name in messages.
    Relative paths are relative to `folder` [default: the file's]. `parameters` and `limits`
    override the file's; those of the command are YAML scalars. A plan file is read, and a list of
    steps becomes a `Plan`. `Task.warnings` has the warnings.
    """
    if text is None:
        folder = folder or Path(source).resolve().parent
        text = read_file(Path(source))
    overrides = Overrides(dict(parameters or {}), dict(limits or {}), names)
    if names is COMMAND_NAMES:
        overrides = Overrides(typed_values(parameters), typed_values(limits), names)
    document = parse(text, source=str(source), caps=_caps(text, overrides.limits.get("steps")))
    return _assembled(document, environ, (folder or Path()).resolve(), overrides)


def task_of_value(value: Mapping[str, Json], *, environ: Mapping[str, str], overrides: Overrides) -> Task:
    """Return the task that a mapping of a Python program describes, with the keys of a task file.

    Paths are relative to the current folder. Raise TaskError or PlanError with all problems.
    """
    document = Document("task", to_json(value).decode(), dict(value), is_placed=False)
    return _assembled(document, environ, Path().resolve(), overrides)


def with_overrides(task: Task, overrides: Overrides) -> Task:
    """Return a task of a Python program with its overrides, checked like a task file. Raise TaskError."""
    value = dump(task)
    for alias, model in task.models.items():
        if model.use is not None:
            written = value["models"][alias]
            value["models"][alias] = {name: written[name] for name in written if name in model.model_fields_set}
    raw, problems = override(value, overrides)
    document = Document("task", "", raw, is_placed=False)
    problems += document.located(task_problems(raw, mapping(raw.get("parameters"))))
    if problems:
        raise TaskError(*problems)
    changed = {"parameters": raw.get("parameters", {}), "limits": Limits.model_validate(raw["limits"])}
    return task.model_copy(update={**changed, "output": _listed(task.output)})


def recall_task(value: Mapping[str, Json], *, source: str, environ: Mapping[str, str], folder: Path) -> Task:
    """Return the task that `public` wrote, of any size.

    Secrets come from the current environment.
    """
    document = Document(source, to_json(value).decode(), dict(value))
    return _assembled(document, environ, folder, Overrides())


def _assembled(document: Document, environ: Mapping[str, str], folder: Path, overrides: Overrides) -> Task:
    raw = mapping(document.value)
    _check_version(document, raw)
    warned = document.in_order(warnings(raw)) if any(section in raw for section in SECTIONS) else ()
    overridden, override_problems = override(raw, overrides)
    resolved = resolve(overridden, lambda path: path in document.reading().plain, environ)
    plan_file, plan_problems = _named_plan(document, resolved.value, folder)
    problems = (*resolved.problems, *_raw_problems(resolved.value))
    task = _checked(document, resolved.value, problems, override_problems, plan_problems)
    plan = Plan(steps=task.plan) if isinstance(task.plan, tuple) else task.plan
    update: dict[str, Any] = {
        "folder": folder,
        "warnings": tuple(map(str, warned)),
        "references": resolved.references,
        "origin": document,
        "plan_origin": plan_file.document if plan_file else None,
        "plan": plan_file.plan if plan_file else plan,
        "output": _listed(task.output),
    }
    return task.model_copy(update=update)


def _listed(output: str | tuple[str, ...]) -> tuple[str, ...]:
    return (output,) if isinstance(output, str) else output


def _caps(text: str, override: Json) -> dict[ValuePath, int]:
    """Return the maximum number of steps while parsing: the default, or the largest number after a `steps:`."""
    written = [int(digits.replace("_", "")[:9]) for digits in _STEPS.findall(text)]
    most = max([Limits().steps, *written, override if isinstance(override, int) else 0])
    return {("plan",): most, ("plan", "steps"): most}


def _check_version(document: Document, raw: dict[str, Any]) -> None:
    version: Any = raw.get("version", FORMAT)
    if type(version) is int and version == FORMAT:
        return
    newer = type(version) is int and version > FORMAT
    advice = "upgrade swarm" if newer else f"write `version: {FORMAT}` or remove it"
    message = f"unsupported task format {clip(str(version), 20)}; this release reads format {FORMAT}: {advice}"
    raise TaskError(Problem(message, where=document.place(("version",)), key="version"))


def _steps_limit(raw: dict[str, Any]) -> int:
    limit = mapping(raw.get("limits")).get("steps")
    return limit if isinstance(limit, int) and limit > 0 else Limits().steps


def _named_plan(document: Document, raw: dict[str, Any], folder: Path) -> tuple[PlanFile | None, tuple[Problem, ...]]:
    name = raw.get("plan")
    if not isinstance(name, str):
        return None, ()
    if not is_file(folder / name):
        message = f"there is no plan file `{clip(name)}` in {folder}"
        return None, (Problem(message, where=document.place(("plan",)), key="plan"),)
    try:
        return read_plan(folder / name, steps=_steps_limit(raw)), ()
    except PlanError as error:
        return None, error.problems


def _raw_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    """Yield the errors of a task that are found in its raw value."""
    yield from task_problems(raw, mapping(raw.get("parameters")))
    path: ValuePath = ("plan",) if isinstance(raw.get("plan"), list) else ("plan", "steps")
    steps = at(raw, path)
    count = len(cast("list[Any]", steps)) if isinstance(steps, list) else 0
    most = _steps_limit(raw)
    if count > most:
        yield Problem(f"has {count} steps; `limits.steps` allows {most}", path=path)


def _checked(
    document: Document,
    value: dict[str, Any],
    problems: Iterable[Problem],
    override_problems: Iterable[Problem],
    plan_problems: tuple[Problem, ...],
) -> Task:
    """Return the task. Raise TaskError or PlanError with the errors of the task, its overrides and its plan file."""
    found = list(override_problems)
    task: Task | None = None
    try:
        whole = value if isinstance(document.value, dict) else document.value
        task = validate(Task, document.with_value(whole), problems=problems)
    except TaskError as error:
        found = [*error.problems, *found]
    if found:
        raise TaskError(*found, *plan_problems)
    if plan_problems:
        raise PlanError(*plan_problems)
    return cast("Task", task)


def locate(task: Task, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems of a task's plan with `where` set to the place of their key, if the plan came from a file."""
    document = task.plan_origin or task.origin
    return located(document, problems) if isinstance(document, Document) else tuple(problems)


def fill(text: str, parameters: Mapping[str, Json], item: Json = ...) -> str:
    """Return a text with `{name}` replaced for each parameter, and `{item}` if an item is given.

    Other braces are unchanged. This is the only templating: one pass, without attributes and
    indices, so inserted text is never expanded. A value that is not text is written as compact
    JSON.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name == ITEM and item is not ...:
            return _written(item)
        return _written(parameters[name]) if name in parameters else found[0]

    return BRACES.sub(value, text)


def _written(value: Json) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


def public(task: Task) -> dict[str, Json]:
    """Return the resolved task as JSON for a journal or a file, without secrets.

    Keys from the environment, and texts from it in `params`, `extra` and `mcp:`, become their
    references again. Other keys and the passwords in URLs become `***`. If all keys are references,
    `recall_task` returns the same task.
    """
    value = dump(task)
    for alias, model in task.models.items():
        written = value["models"][alias] = _without_defaults(model, value["models"][alias])
        if model.use is not None:
            value["models"][alias] = {"use": list(model.use)}
        if isinstance(model.key, tuple):
            written["key"] = [MASK] * len(model.key)
        if model.endpoint and masked_url(model.endpoint) != model.endpoint:
            written["endpoint"] = masked_url(model.endpoint)
    clean = Redactor(secrets_of(task)).clean
    value = {key: _cleaned(inner, clean, escape=key != "models") for key, inner in value.items()}
    for reference in task.references:
        if as_referenced(task, reference) and _becomes_reference(reference.path, at(value, reference.path)):
            holder: Any = at(value, reference.path[:-1])
            holder[reference.path[-1]] = reference.text
    return value


def _without_defaults(model: Model, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a model that are set, or are no defaults.

    A default that nobody set stays unset when the task is recalled: the built-in endpoint, for one, has no limit of
    its answers unless one is set.
    """
    usual = Model().model_dump(mode="json")
    return {
        name: value for name, value in written.items() if name in model.model_fields_set or value != usual.get(name)
    }


def _becomes_reference(path: ValuePath, written: Json) -> bool:
    """Check whether a value from the environment is written as its reference: a key, or text that may be a secret."""
    if path[0] != "models":
        return True
    match path[2]:
        case "key":
            return True
        case "params" | "extra":
            return isinstance(written, str)
        case _:
            return isinstance(written, str) and MASK in written


def _cleaned(value: Json, clean: Callable[[str], str], *, escape: bool) -> Json:
    """Return a value with all texts redacted, keys included.

    With `escape`, `${` is written as `$${`.
    """
    if isinstance(value, str):
        text = clean(value)
        return text.replace("${", "$${") if escape else text
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {clean(key): _cleaned(inner, clean, escape=escape) for key, inner in entries}
    if isinstance(value, list):
        return [_cleaned(inner, clean, escape=escape) for inner in cast("list[Any]", value)]
    return value
