"""The reader of plans: a file or a text with `steps` and `agents`, or with a list of steps only."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from swarm.base.errors import PlanError, Problem
from swarm.base.values import Json
from swarm.spec.files.check import step_problems
from swarm.spec.files.references import mapping
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits
from swarm.spec.yaml.notation import Path as ValuePath
from swarm.spec.yaml.strict import Document, parse, read_file, validate


@dataclass(frozen=True)
class PlanFile:
    """A plan and the document that it was read from."""

    plan: Plan
    document: Document

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems with `where` set to the place of their key (`steps.2.needs`) in the file."""
        return located(self.document, problems)


def read_plan(source: str | Path, *, text: str | None = None, steps: int = Limits().steps) -> PlanFile:
    """Return the plan of a file, or of `text`, with `source` as its name in messages.

    Raise PlanError with all problems, or while parsing if there are more than `steps` steps.
    """
    text = read_file(Path(source), error=PlanError) if text is None else text
    caps: dict[ValuePath, int] = {(): steps, ("steps",): steps}
    return _plan_of(parse(text, source=str(source), caps=caps, error=PlanError))


def plan_of_value(value: Json) -> PlanFile:
    """Return the plan that a mapping or a list of a Python program describes, with the keys of a plan file.

    Raise PlanError with all problems.
    """
    return _plan_of(Document("plan", to_json(value).decode(), value, is_placed=False))


def _plan_of(document: Document) -> PlanFile:
    problems = tuple(step_problems(document.value, ()))
    if isinstance(document.value, list):
        bare = validate(TypeAdapter(tuple[Step, ...]), document, error=PlanError, problems=problems)
        return PlanFile(Plan(steps=bare), document)
    return PlanFile(validate(Plan, document, error=PlanError, problems=problems), document)


def load_plan(source: str | Path, *, text: str | None = None, steps: int = Limits().steps) -> Plan:
    """Return the plan that `read_plan` reads, without its document."""
    return read_plan(source, text=text, steps=steps).plan


def located(document: Document, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems of a plan with `where` set.

    The document is a plan, a list of steps, or a task with either.
    """
    value: Any = document.value
    in_task = "plan" in mapping(value)
    plan: Any = value["plan"] if in_task else value
    prefix = "plan." if in_task else ""
    is_list = isinstance(plan, list)
    placed: list[Problem] = []
    for problem in problems:
        key = prefix + (problem.key.removeprefix("steps.") if is_list else problem.key)
        (found,) = document.located([replace(problem, key=key)])
        placed.append(replace(found, key=problem.key))
    return tuple(placed)
