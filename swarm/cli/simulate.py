"""`swarm simulate`: the run time of a plan with different worker counts, without a model."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.base.errors import Problem, RunNotFoundError, TaskError
from swarm.base.redaction import safe_text
from swarm.cli import options as o
from swarm.cli.reading import state_of
from swarm.cli.source import source_of
from swarm.cli.streams import answer, answer_json

if TYPE_CHECKING:
    from swarm.cli.source import TaskSource
    from swarm.forecast.simulate import Course
    from swarm.forecast.simulate import Latency as LatencyOf
    from swarm.lifecycle.prepare import Prepared

SEEDS = 100
"""Number of random trials: the tenth and the ninetieth percentile then rest on ten trials each."""
UNLIMITED = ("unlimited", "inf")
MOST_WORKERS = 1_000_000
MOST_SECONDS = 1e10
_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s?(ms|s|min|m|h|)")

What = Annotated[
    str,
    typer.Argument(
        metavar="PLAN|RUN", help="Plan or task file, - for stdin, or a run: id, folder or `last`.", show_default=False
    ),
]
Workers = Annotated[str, typer.Option("--workers", metavar="N,N,…", help="Worker counts to simulate, or `unlimited`.")]
Latency = Annotated[
    str | None,
    typer.Option(
        "--latency",
        metavar="MODEL",
        help="Duration of every attempt: lognormal:MEDIAN,SIGMA or fixed:SECONDS. [default: from the plan or run]",
    ),
]
Failures = Annotated[
    float,
    typer.Option(
        "--failures",
        metavar="P",
        help="Probability that an attempt fails, from 0 to 1. [default: 0]",
        show_default=False,
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", help="Number of random trials.")]
Items = Annotated[
    int | None, typer.Option("--items", metavar="N", help="Length of lists that are not known yet. [default: 10]")
]


def simulate(
    what: What,
    workers: Workers = "1,8,64",
    latency: Latency = None,
    failures: Failures = 0.0,
    seeds: Seeds = SEEDS,
    items: Items = None,
    folder: o.Runs = None,
    as_json: o.AsJson = False,
) -> int:
    """Estimate a plan's run time for different worker counts.

    Simulates scheduling only; calls no model. Prints the run time, Graham's bound, speed-up and cost
    for each worker count. A step takes its recorded time, else its `seconds` in the plan, else the
    time of similar steps in earlier runs, else 10 s.
    """
    from swarm.forecast.simulate import ITEMS, MOST_STEPS
    from swarm.forecast.widths import simulate_widths

    items = ITEMS if items is None else items
    widths = _widths(workers)
    _check_range("--failures", failures, 0.0, 1.0)
    _check_range("--seeds", seeds, 1, 100_000)
    _check_range("--items", items, 0, MOST_STEPS)
    model = None if latency is None else _latency(latency)
    course = _course(what, o.runs_folder(folder), items)
    course = course if model is None else replace(course, latency=model[0], is_drawn=model[1])
    found = simulate_widths(course, widths, failures=failures, seeds=seeds)
    if as_json:
        answer_json(found.model_dump(mode="json"))
        return 0
    from swarm.views.simulation import widths_table

    answer(widths_table(found))
    return 0


def _widths(text: str) -> list[int | None]:
    """Read `1,8,unlimited`."""
    found: list[int | None] = []
    for word in (part.strip().lower().replace("_", "") for part in text.split(",")):
        if word in UNLIMITED:
            found.append(None)
        elif word.isascii() and word.isdigit() and len(word) < 10 and 1 <= int(word) <= MOST_WORKERS:
            found.append(int(word))
        else:
            message = f"invalid worker count `{word[:40]}`: expected 1 to {MOST_WORKERS:,}, or `unlimited`"
            raise TaskError(Problem(message, key="--workers"))
    return list(dict.fromkeys(found))


def _latency(text: str) -> "tuple[LatencyOf, bool]":
    """Read `lognormal:8s,0.8` or `fixed:3s`, and return whether it is random."""
    from swarm.forecast.simulate import fixed, lognormal

    kind, _, rest = text.strip().partition(":")
    first, _, second = rest.partition(",")
    found = _DURATION.fullmatch(first.strip())
    seconds = None if found is None else float(found[1]) * _UNITS[found[2]]
    if seconds is not None and seconds <= MOST_SECONDS:
        if kind == "fixed" and not second:
            return fixed(seconds), False
        if kind == "lognormal" and re.fullmatch(r"[0-9](\.[0-9]{1,9})?", second.strip()):
            return lognormal(seconds, float(second)), True
    message = f"invalid value `{text[:80]}`: expected `fixed:3s`, or `lognormal:8s,0.8` (median and sigma from 0 to 9)"
    raise TaskError(Problem(message, key="--latency"))


def _check_range(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise TaskError(Problem(f"invalid value {value:g}: expected {least:g} to {most:,g}", key=option))


def _course(what: str, runs: Path, items: int) -> "Course":
    """Read what to simulate: a file, stdin, or a run."""
    if what == "-" or Path(what).is_file():
        return _of_file(what, runs, items)
    from swarm.forecast.simulate import course_of
    from swarm.record.folder import find

    try:
        return course_of(state_of(find(what, runs)))
    except RunNotFoundError as error:
        raise RunNotFoundError(Problem(f"no such file, and {error}", where=safe_text(what[:80]))) from None


def _of_file(what: str, runs: Path, items: int) -> "Course":
    """Read a plan file as it is, or the plan of a task as it would run."""
    from swarm.forecast.expect import experience_of
    from swarm.forecast.plan import planned_course
    from swarm.forecast.simulate import MOST_STEPS
    from swarm.spec.files.plan import read_plan
    from swarm.spec.yaml.strict import parse, read_file

    source = source_of([what])
    text = read_file(Path(what)) if source.text is None else source.text
    value: Any = parse(text, source=source.name).value
    if isinstance(value, list) or (isinstance(value, dict) and "steps" in value):
        steps = read_plan(source.name, text=text, steps=MOST_STEPS).plan.steps
        return planned_course(steps, experience_of(runs), items=items)
    return _of_task(source, runs, items)


def _of_task(source: "TaskSource", runs: Path, items: int) -> "Course":
    """Rehearse the plan of a task: what a step reads decides how many steps it becomes."""
    from swarm.forecast.expect import experience_of
    from swarm.forecast.plan import DEFAULT_MODEL, price_of, rehearsed_course, scene_of

    prepared = _prepared(source)
    scene = scene_of(prepared.resources, prepared.agents.values(), experience_of(runs))
    price = price_of(prepared.task.models.get(DEFAULT_MODEL))
    return rehearsed_course(prepared.steps, replace(scene, items=items), price=price)


def _prepared(source: "TaskSource") -> "Prepared":
    import anyio

    from swarm.cli.check import read_leniently
    from swarm.lifecycle.options import Options
    from swarm.lifecycle.prepare import prepare

    options = Options(text=source.text, stdin=source.read_input, needs_keys=False, sends=False)
    lenient = read_leniently(source.name, options)
    if lenient.opened.task.plan is None:
        name = "TASK" if source.text is not None else source.name
        message = f"the task has no plan\nhint: make one with `swarm plan {name} -o plan.yaml`, then simulate it"
        raise TaskError(Problem(message, where=source.name))
    return anyio.run(prepare, lenient.opened, replace(options, environ=lenient.environ))
