"""Tasks read from files, and written down again. What else a task names is read by the modules beside this one."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from swarm.base.errors import PlanError, Problem, TaskError
from swarm.base.redaction import MASK, Redactor
from swarm.base.text import clip, listing
from swarm.base.values import Json
from swarm.spec.files.check import BRACES, ITEM, task_flaws
from swarm.spec.files.plan import PlanFile, located, read_plan
from swarm.spec.files.references import as_referenced, mapping, masked_url, resolve, secrets_of, warnings
from swarm.spec.plan import Plan
from swarm.spec.task import FORMAT, Limits, Task
from swarm.spec.yaml.explain import explain, meant
from swarm.spec.yaml.notation import Flaw, at, scalar
from swarm.spec.yaml.notation import Path as ValuePath
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
) -> Task:
    """Read a task file. Raises `TaskError`, or `PlanError` for its plan file, with every problem found.

    `environ` is what `${NAME}` reads. With `text`, `source` is only what messages call it. Relative paths are relative
    to `folder`, by default that of the file. `parameters` and `limits` override the file's; texts are YAML scalars. A
    plan that is named is read, and a bare list of steps becomes a `Plan`. What is allowed and better changed is in
    `Task.warnings`.
    """
    if text is None:
        folder = folder or Path(source).resolve().parent
        text = read_file(Path(source))
    parameters, limits = _typed(parameters), _typed(limits)
    document = parse(text, source=str(source), caps=_caps(text, limits.get("steps")))
    return _assembled(document, environ, (folder or Path()).resolve(), parameters, limits)


def recall_task(value: Mapping[str, Json], *, source: str, environ: Mapping[str, str], folder: Path) -> Task:
    """Make the task again that `public` wrote, of whatever size; secrets come from the present environment."""
    document = Document(source, to_json(value).decode(), dict(value))
    return _assembled(document, environ, folder, {}, {})


def _assembled(
    document: Document,
    environ: Mapping[str, str],
    folder: Path,
    parameters: Mapping[str, Json],
    limits: Mapping[str, Json],
) -> Task:
    raw = mapping(document.value)
    _check_version(document, raw)
    warned = document.problems(warnings(raw)) if "models" in raw else ()
    overridden, problems = _override(raw, parameters, limits)
    resolved = resolve(overridden, lambda path: path in document.reading().plain, environ)
    plan, plan_problems = _named_plan(document, resolved.value, folder)
    flaws = (*resolved.flaws, *_all_flaws(resolved.value))
    task = _checked(document, resolved.value, flaws, problems, plan_problems)
    update: dict[str, Any] = {
        "folder": folder,
        "warnings": tuple(str(problem) for problem in warned),
        "references": resolved.references,
        "origin": document,
        "plan_origin": plan.document if plan else None,
        "plan": plan.plan if plan else Plan(steps=task.plan) if isinstance(task.plan, tuple) else task.plan,
        "output": (task.output,) if isinstance(task.output, str) else task.output,
    }
    return task.model_copy(update=update)


def _caps(text: str, override: Json) -> dict[ValuePath, int]:
    """Bound the steps before anything is parsed: by the default, or by the largest number a `steps:` is given."""
    written = [int(digits.replace("_", "")[:9]) for digits in _STEPS.findall(text)]
    most = max([Limits().steps, *written, override if isinstance(override, int) else 0])
    return {("plan",): most, ("plan", "steps"): most}


def _check_version(document: Document, raw: dict[str, Any]) -> None:
    version: Any = raw.get("version", FORMAT)
    if type(version) is int and version == FORMAT:
        return
    newer = type(version) is int and version > FORMAT
    advice = "a later release of this package may read it" if newer else f"write `version: {FORMAT}` or leave it out"
    shown = clip(str(version), 20)
    message = f"this task is of format {shown}; this release reads format {FORMAT}: {advice}"
    raise TaskError(Problem(message, where=document.place(("version",)), key="version"))


def _override(
    raw: dict[str, Any], parameters: Mapping[str, Json], limits: Mapping[str, Json]
) -> tuple[dict[str, Any], list[Problem]]:
    """Put values of the command line in place of the file's: the value, and what is wrong with them."""
    made = dict(raw)
    known = mapping(raw.get("parameters"))
    problems = _unknown(parameters, known, "--set", "the task's `parameters:` has")
    if parameters and known:
        given = {name: value for name, value in parameters.items() if name in known}
        made["parameters"] = known | {name: "" if value is None else value for name, value in given.items()}
    problems += _unknown(limits, Limits.model_fields, "--limit", "limits are")
    given = {name: value for name, value in limits.items() if name in Limits.model_fields}
    wrong = _limit_problems(given)
    bad = {problem.key.removeprefix("--limit ") for problem in wrong}
    good = {name: value for name, value in given.items() if name not in bad}
    if good and isinstance(raw.get("limits", {}), dict):
        made["limits"] = mapping(raw.get("limits")) | good
    return made, [*problems, *wrong]


def _unknown(given: Iterable[str], known: Iterable[str], option: str, there_are: str) -> list[Problem]:
    names = sorted(known)
    return [
        Problem(f"unknown; {there_are} {listing(names)}{meant(name, names)}", key=f"{option} {clip(name)}")
        for name in given
        if name not in names
    ]


def _typed(values: Mapping[str, Json] | None) -> dict[str, Json]:
    return {name: typed(value) if isinstance(value, str) else value for name, value in (values or {}).items()}


def typed(value: str) -> Json:
    """Read a value of the command line as YAML 1.2 would: a number, a boolean, null, a text with or without quotes."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    try:
        found = scalar(text)
    except ValueError:
        return value
    return value if isinstance(found, str) else found


def _limit_problems(given: dict[str, Json]) -> list[Problem]:
    try:
        TypeAdapter(Limits).validate_json(to_json(given), strict=True)
    except ValidationError as invalid:
        flaws = explain(invalid, given, Limits.model_json_schema)
        return [Problem(flaw.message, key=f"--limit {flaw.path[0]}") for flaw in flaws]
    return []


def _steps_limit(raw: dict[str, Any]) -> int:
    limit = mapping(raw.get("limits")).get("steps")
    return limit if isinstance(limit, int) and limit > 0 else Limits().steps


def _named_plan(document: Document, raw: dict[str, Any], folder: Path) -> tuple[PlanFile | None, tuple[Problem, ...]]:
    name = raw.get("plan")
    if not isinstance(name, str):
        return None, ()
    if not is_file(folder / name):
        wrong = f"there is no plan file `{clip(name)}` in {folder}"
        return None, (Problem(wrong, where=document.place(("plan",)), key="plan"),)
    try:
        return read_plan(folder / name, steps=_steps_limit(raw)), ()
    except PlanError as error:
        return None, error.problems


def _all_flaws(raw: dict[str, Any]) -> Iterator[Flaw]:
    yield from task_flaws(raw, mapping(raw.get("parameters")))
    path: ValuePath = ("plan",) if isinstance(raw.get("plan"), list) else ("plan", "steps")
    steps: Any = at(raw, path)
    most = _steps_limit(raw)
    if isinstance(steps, list) and len(cast("list[Any]", steps)) > most:
        yield Flaw(path, f"has {len(cast('list[Any]', steps))} steps; `limits.steps` allows {most}")


def _checked(
    document: Document,
    value: dict[str, Any],
    flaws: Iterable[Flaw],
    problems: Iterable[Problem],
    plan_problems: tuple[Problem, ...],
) -> Task:
    """Make the task, or raise everything that is wrong with it, its overrides and its plan file."""
    found = list(problems)
    task: Task | None = None
    try:
        whole = value if isinstance(document.value, dict) else document.value
        task = validate(Task, document.with_value(whole), flaws=flaws)
    except TaskError as error:
        found = [*error.problems, *found]
    if found:
        raise TaskError(*found, *plan_problems)
    if plan_problems:
        raise PlanError(*plan_problems)
    return cast("Task", task)


def locate(task: Task, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Give problems with a task's plan that name a key (`steps.2.needs`) their place in its file, if it has one."""
    document = task.plan_origin or task.origin
    return located(document, problems) if isinstance(document, Document) else tuple(problems)


def fill(text: str, parameters: Mapping[str, Json], item: Json = ...) -> str:
    """Fill `{name}` for the parameters there are, and `{item}` if an item is given. All other braces stay.

    This is the only templating: one pass, no attributes, no indices, so what is filled in is never filled again.
    An item that is no text is written as compact JSON.
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
    """Write a task as resolved, for a journal or a file: JSON, and never a secret.

    What the environment gave as a key, or in `params` and `extra`, stands as its reference again; other keys and the
    passwords in URLs as `***`. Read with the same environment it gives the same task, if its keys are references.
    """
    made = dump(task)
    for alias, model in task.models.items():
        written = made["models"][alias]
        if model.use is not None:
            made["models"][alias] = {"use": list(model.use)}
        if isinstance(model.key, tuple):
            written["key"] = [MASK] * len(model.key)
        if model.endpoint and masked_url(model.endpoint) != model.endpoint:
            written["endpoint"] = masked_url(model.endpoint)
    clean = Redactor(secrets_of(task)).clean
    made = {key: _outside(inner, clean, escape=key != "models") for key, inner in made.items()}
    for reference in task.references:
        if as_referenced(task, reference) and _is_hidden(reference.path, at(made, reference.path)):
            holder: Any = at(made, reference.path[:-1])
            holder[reference.path[-1]] = reference.text
    return made


def _is_hidden(path: ValuePath, written: Json) -> bool:
    """Tell whether a value from the environment stands as its reference: a key, a text that may be one."""
    match path[2]:
        case "key":
            return True
        case "params" | "extra":
            return isinstance(written, str)
        case _:
            return isinstance(written, str) and MASK in written


def _outside(value: Json, clean: Callable[[str], str], *, escape: bool) -> Json:
    """Clean every text, keys of mappings too; `${` outside `models:` is written as it is read, `$${`."""

    def written(text: str) -> str:
        text = clean(text)
        return text.replace("${", "$${") if escape else text

    if isinstance(value, str):
        return written(value)
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {clean(key): _outside(inner, clean, escape=escape) for key, inner in entries}
    if isinstance(value, list):
        return [_outside(inner, clean, escape=escape) for inner in cast("list[Any]", value)]
    return value
