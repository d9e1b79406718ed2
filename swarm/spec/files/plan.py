"""A plan read from a file or a text: a mapping with `steps`, or a bare list of steps."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from swarm.base.errors import PlanError, Problem
from swarm.spec.files.check import step_flaws
from swarm.spec.files.references import mapping
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits
from swarm.spec.yaml.notation import Path as ValuePath
from swarm.spec.yaml.strict import Document, parse, read_file, validate


@dataclass(frozen=True)
class PlanFile:
    """A plan, and where everything in it is."""

    plan: Plan
    document: Document

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Give problems that name a key of the plan (`steps.2.needs`) their place in the file."""
        return located(self.document, problems)


def read_plan(source: str | Path, *, text: str | None = None, steps: int = Limits().steps) -> PlanFile:
    """Read a plan of at most `steps` steps; more are refused while parsing. Raises `PlanError` with all problems.

    `source` is the file, or what messages call it where `text` is given.
    """
    text = read_file(Path(source), error=PlanError) if text is None else text
    caps: dict[ValuePath, int] = {(): steps, ("steps",): steps}
    document = parse(text, source=str(source), caps=caps, error=PlanError)
    flaws = tuple(step_flaws(document.value, ()))
    if isinstance(document.value, list):
        bare = validate(TypeAdapter(tuple[Step, ...]), document, error=PlanError, flaws=flaws)
        return PlanFile(Plan(steps=bare), document)
    return PlanFile(validate(Plan, document, error=PlanError, flaws=flaws), document)


def load_plan(source: str | Path, *, text: str | None = None, steps: int = Limits().steps) -> Plan:
    """Read a plan, as `read_plan` does, where nothing will be asked about places."""
    return read_plan(source, text=text, steps=steps).plan


def located(document: Document, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Give problems with a plan their place in a plan file, a bare list of steps, or a task with a plan in it."""
    value: Any = document.value
    inside = "plan" in mapping(value)
    plan: Any = value["plan"] if inside else value
    prefix = "plan." if inside else ""
    bare = isinstance(plan, list)
    made: list[Problem] = []
    for problem in problems:
        key = prefix + (problem.key.removeprefix("steps.") if bare else problem.key)
        where = problem.where or document.located([Problem("", key=key)])[0].where
        made.append(Problem(problem.message, where=where, key=problem.key))
    return tuple(made)
