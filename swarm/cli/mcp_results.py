"""What the tools of `swarm mcp` give: small values without what labels keep from the caller."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field
from pydantic_core import to_json

from swarm.base.errors import RunNotFoundError, TaskError
from swarm.base.values import Frozen, Json
from swarm.lifecycle.served import Going, ServedRuns

if TYPE_CHECKING:
    from swarm.lifecycle.prepare import Prepared
    from swarm.record.folder import RunFolder
    from swarm.record.state import State
    from swarm.results.result import Result

PAGE_BYTES = 16_384
"""Maximum bytes of a report or of a page of an output."""
MOST_ERRORS = 20
"""Maximum errors of steps in an answer."""
REPORT = "report"
"""What the report is called where a step is named."""
NEXT = {
    "running": "call `show` with this run and a `wait`, or `stop`",
    "cancelled": "call `run` with this id as `resume` to continue",
    "limit": "call `run` with this id as `resume` to continue",
}
"""What a caller may do next, by status."""


class CheckAnswer(Frozen):
    """What would run."""

    goal: str | None
    inputs: tuple[str, ...]
    tools: tuple[str, ...]
    limits: dict[str, Any]
    warnings: tuple[str, ...] = ()
    left: dict[str, int | float] = Field(default_factory=dict)
    """What is left of the server's total."""


class PlannedStep(Frozen):
    """A step of a plan."""

    id: str
    prompt: str
    needs: tuple[str, ...] = ()


class PlanAnswer(Frozen):
    """A plan with its estimate."""

    plan: str
    """Id for `run`."""
    steps: tuple[PlannedStep, ...]
    width: int
    """Steps that can run at the same time."""
    worst_tokens: int
    worst_usd: float | None
    """None if a price is unknown."""
    advice: str
    withheld: str = ""
    """Why the steps are not here."""
    next: str = ""


class RunUsage(Frozen):
    """What a run spent."""

    calls: int
    tokens: int
    usd: float | None


class Running(Frozen):
    """A run, or its end."""

    run: str
    status: str
    """`running`, `done`, `partial`, `failed`, `limit`, `cancelled`, or `stopped` if its process ended before it."""
    report: str | None = None
    sources: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    withheld: str = ""
    """Why the report is not here, and the file that has it."""
    errors: tuple[str, ...] = ()
    steps: dict[str, int] = Field(default_factory=dict)
    usage: RunUsage
    left: dict[str, int | float] = Field(default_factory=dict)
    """What is left of the server's total."""
    next: str = ""


class Output(Running):
    """A run, and with `step` a page of the output of that step."""

    step: str | None = None
    text: str | None = None
    from_line: int | None = None
    next_line: int | None = None
    """First line of the next page; None if this is the last one."""


class Stopped(Frozen):
    """A run that was asked to end."""

    run: str
    status: str


class Seen(Protocol):
    """A run of this server or of another process."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def folder(self) -> "RunFolder":
        """Its folder."""
        ...

    @property
    def state(self) -> "State":
        """The fold of its events."""
        ...

    @property
    def status(self) -> str:
        """`running`, `stopped`, or how it ended."""
        ...

    @property
    def error(self) -> str:
        """Why it ended without a result."""
        ...

    @property
    def needs_person(self) -> bool:
        """Whether it ended because a person must allow a call."""
        ...

    @property
    def result(self) -> "Result | None":
        """Its result, if it has ended with one."""
        ...

    @property
    def report_barred(self) -> tuple[str, ...]:
        """The labels of the report that may not reach the caller."""
        ...

    def barred(self, step: str) -> tuple[str, ...]:
        """Return the labels of what a step wrote that may not reach the caller."""
        ...

    def output_of(self, step: str) -> Json:
        """Return the output of a step; null if it has none."""
        ...


def checked(served: ServedRuns, prepared: "Prepared") -> CheckAnswer:
    """Return what would run."""
    return CheckAnswer(
        goal=prepared.task.goal,
        inputs=tuple(each.name for each in prepared.resources.inputs),
        tools=prepared.toolbox.names,
        limits=prepared.task.limits.model_dump(mode="json"),
        warnings=tuple(each.partition("\n")[0] for each in prepared.warnings),
        left=served.total.left,
    )


def plan_of(served: ServedRuns, going: Going) -> PlanAnswer:
    """Return the plan that a run made, with its estimate. Raise `TaskError` if it made none."""
    from swarm.forecast.expect import experience_of
    from swarm.forecast.plan import forecast_plan, scene_of
    from swarm.planning.graph import stages
    from swarm.results.result import plan_of as made

    plan, prepared = made(going.run.state), going.run.prepared
    if plan is None:
        result = going.result
        first = result.errors[0].message if result is not None and result.errors else "the run was interrupted"
        raise TaskError(f"no plan was made: {first}")
    agents = {**prepared.agents, **{agent.name: agent for agent in plan.agents}}
    scene = scene_of(prepared.resources, agents.values(), experience_of(prepared.runs), prepared.cache)
    found = forecast_plan(plan.steps, scene)
    path = going.run.folder.path
    barred = going.plan_barred
    steps = tuple(PlannedStep(id=s.id, prompt=s.prompt, needs=tuple(s.needs)) for s in plan.steps)
    by_person = f"a person approves and runs it with `swarm resume {path}`; then call `run` with this plan id"
    return PlanAnswer(
        plan=going.id,
        steps=() if barred else steps,
        width=max(map(len, stages(plan.steps))),
        worst_tokens=found.worst_tokens,
        worst_usd=found.worst_usd,
        advice=f"{found.advice.verdict}: {found.advice.reason}",
        withheld=_withheld(barred, path / "plan.yaml"),
        next=by_person if served.needs_approval else "call `run` with this plan id as `plan`",
    )


def running(served: ServedRuns, seen: Seen) -> Running:
    """Return the status of a run, and its report if that may reach the caller."""
    from swarm.results.result import counts

    state, status, result = seen.state, seen.status, seen.result
    usage = RunUsage(calls=state.usage.calls, tokens=state.usage.charged_tokens, usd=state.usage.charged_cost)
    now = Running(
        run=seen.id, status=status, steps=counts(state), usage=usage, left=served.total.left, next=NEXT.get(status, "")
    )
    barred = seen.report_barred
    if seen.error or result is None:
        words = sentence_of(_withheld(barred, seen.folder.path) or seen.error)
        by_person = f"a person decides on the calls with `swarm resume {seen.folder.path}`, and gets the report there"
        update = {"errors": (words,) if seen.error else (), "next": by_person if seen.needs_person else now.next}
        return now.model_copy(update=update)
    if barred:
        words = (f"{len(result.errors)} steps failed",) if result.errors else ()
        withheld = "" if result.report is None else _withheld(barred, result.folder / "report.md")
        return now.model_copy(update={"errors": words, "withheld": withheld})
    found: dict[str, Any] = {
        "errors": tuple(sentence_of(f"{each.step}: {each.message}") for each in result.errors[:MOST_ERRORS])
    }
    if result.report is not None:
        text, rest = page(result.report.text, 1)
        found |= {"report": text, "sources": result.report.sources}
        if rest is not None:
            found["next"] = f"call `show` with step `{REPORT}` and from_line {rest} for the rest"
    return now.model_copy(update=found)


def step_page(served: ServedRuns, seen: Seen, step: str, from_line: int) -> Output:
    """Return a page of the output of a step, or of the report. Raise `RunNotFoundError` for another name."""
    barred, text, file = _text_of(seen, step)
    if barred:
        raise TaskError(_withheld(barred, seen.folder.path / file))
    shown, rest = page(text, from_line)
    now = running(served, seen).model_dump(include={"run", "status", "steps", "usage", "left"})
    return Output(**now, step=step, text=shown, from_line=from_line, next_line=rest)


def _text_of(seen: Seen, step: str) -> tuple[tuple[str, ...], str, str]:
    """Return the labels that keep an output from the caller, its text, and its file in the folder of the run."""
    from swarm.spec.yaml.explain import meant

    state, result = seen.state, seen.result
    if step in state.steps:
        barred = seen.barred(step)
        return barred, "" if barred else _text(seen.output_of(step)), "steps"
    if step == REPORT:
        return seen.report_barred, "" if result is None else result.text, "report.md"
    near = meant(step, [each for each in state.steps if not seen.barred(each)])
    raise RunNotFoundError(f"run {seen.id} has no step `{step[:80]}`{near}")


def _text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value, indent=2).decode()


def sentence_of(words: str) -> str:
    """Return words in one line, without hints for a person at a terminal."""
    return " ".join(words.partition("\nhint:")[0].split())[:1_000]


def page(text: str, from_line: int) -> tuple[str, int | None]:
    """Return the lines from one on that fit a page, and the number of the next line; None if there is none.

    A line that is longer than a page is cut.
    """
    lines = text.splitlines(keepends=True)[from_line - 1 :]
    size, shown = 0, 0
    for line in lines:
        size += len(line.encode("utf-8", "replace"))
        if size > PAGE_BYTES and shown:
            break
        shown += 1
    cut = "".join(lines[:shown]).encode("utf-8", "replace")[:PAGE_BYTES].decode("utf-8", "ignore")
    return cut, from_line + shown if shown < len(lines) else None


def _withheld(labels: tuple[str, ...], file: Path) -> str:
    """Return why something is not given, and where a person finds it. Empty without labels."""
    if not labels:
        return ""
    named = ", ".join(f"`{label}`" for label in labels)
    return f"withheld: it carries {named}, and `labels` does not list `caller` there; a person finds it in {file}"
