"""The tools of `swarm mcp`: their arguments, checked in our words, and their results."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import anyio
from pydantic import Field, ValidationError

from swarm.base.errors import InputError, Problem, RunInUseError, SwarmError, TaskError
from swarm.base.values import Frozen
from swarm.cli.mcp_past import PastRun
from swarm.cli.mcp_results import (
    CheckAnswer,
    Output,
    PlanAnswer,
    Running,
    Seen,
    Stopped,
    checked,
    plan_of,
    running,
    sentence_of,
    step_page,
)
from swarm.cli.reading import is_owned
from swarm.lifecycle.served import Asked, Going, ServedRuns
from swarm.record.recorded import recorded
from swarm.spec.plan import PLAN_STEP

if TYPE_CHECKING:
    from swarm.base.values import Json
    from swarm.record.folder import RunFolder

WAIT_SECONDS = 45.0
"""Default seconds that a request waits: clients give up after 60."""
TICK_SECONDS = 1.0
"""Minimum seconds between two progress notifications."""
QUIET_SECONDS = 15.0
"""Maximum seconds between two progress notifications."""
STOP_SECONDS = 30.0
"""Maximum seconds that `stop` waits for the end of a run."""

Progress = Callable[[float, float | None, str], Awaitable[None]]
"""Tells the client how far a run is: done, total, words."""
Wait = Annotated[float, Field(ge=0, le=300)]


class Asking(Frozen):
    """Arguments of `check` and `plan`."""

    goal: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None
    """Question to answer or work to do. Default: the goal of the server's task."""
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Values for `{name}` in the goal and in prompts, by name."""
    inputs: tuple[str, ...] | None = None
    """Names of inputs of the server's task to read; `check` lists them. Default: all."""
    limits: dict[str, Any] = Field(default_factory=dict)
    """Lower limits than the server's: tokens, usd, seconds, steps, depth, rounds, turns, workers."""

    @property
    def asked(self) -> Asked:
        """What the caller asks for."""
        return Asked(goal=self.goal, parameters=self.parameters, inputs=self.inputs, limits=self.limits)


class RunAsking(Asking):
    """Arguments of `run`."""

    plan: Annotated[str, Field(min_length=1)] | None = None
    """Id of a plan that the tool `plan` made, instead of a goal."""
    resume: Annotated[str, Field(min_length=1)] | None = None
    """Id of a run that was interrupted, failed or reached a limit, instead of a goal."""
    wait: Wait = WAIT_SECONDS
    """Maximum seconds to wait for the end. Then the run continues, and `show` waits for it."""


class Showing(Frozen):
    """Arguments of `show`."""

    run: str
    """Id of a run of this server."""
    step: str | None = None
    """Id of a step whose output to read, or `report`."""
    from_line: int = Field(default=1, ge=1)
    """First line of the page."""
    wait: Wait = 0.0
    """Maximum seconds to wait for the end of the run."""


class Stopping(Frozen):
    """Arguments of `stop`."""

    run: str
    """Id of a run of this server."""


@dataclass(frozen=True)
class ServedTool:
    """A tool of the server."""

    name: str
    about: str
    arguments: type[Frozen]
    result: type[Frozen]
    handle: "Callable[[ServedRuns, Any, Progress], Awaitable[Frozen]]"
    is_read_only: bool = False


async def answered(served: ServedRuns, tool: ServedTool, given: "Json", progress: Progress) -> Frozen:
    """Call a tool. Raise `SwarmError` for wrong arguments and for what cannot be done."""
    try:
        arguments = tool.arguments.model_validate_json(json.dumps(given or {}), strict=True)
    except ValidationError as invalid:
        from swarm.spec.yaml.explain import explain

        problems = explain(invalid, given or {}, tool.arguments.model_json_schema)
        named = [Problem(each.message, key=".".join(map(str, each.path))) for each in problems]
        raise TaskError(*named) from None
    return await tool.handle(served, arguments, progress)


def sentence(error: SwarmError) -> str:
    """Return an error in one line: its first problem, without hints for a person at a terminal, and how many more."""
    problems = error.problems if isinstance(error, InputError) else ()
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return sentence_of(str(problems[0] if problems else error)) + more


# Tools


async def _check(served: ServedRuns, given: Asking, progress: Progress) -> CheckAnswer:
    del progress
    return checked(served, await served.prepared(given.asked))


async def _plan(served: ServedRuns, given: Asking, progress: Progress) -> PlanAnswer:
    going = await served.start(given.asked, is_plan=True)
    await _awaited(going, None, progress, interrupts=True)
    if going.error:
        raise TaskError(going.error)
    return plan_of(served, going)


async def _run(served: ServedRuns, given: RunAsking, progress: Progress) -> Running:
    going = await _started(served, given)
    await _awaited(going, given.wait, progress, interrupts=True)
    return running(served, going)


async def _started(served: ServedRuns, given: RunAsking) -> Going:
    """Start or continue what the arguments of `run` mean."""
    name = given.resume or given.plan
    if name is not None:
        if given.goal is not None or given.inputs is not None or given.parameters or (given.plan and given.resume):
            raise TaskError("give a goal, a plan id, or the id of a run to resume: only one of them")
        if served.needs_approval:
            _check_approved(served.folder(name))
        return await served.resume(name, given.limits)
    if served.needs_approval:
        raise TaskError("a person approves each plan of this server: make one with `plan`, then give its id as `plan`")
    return await served.start(given.asked)


def _check_approved(folder: "RunFolder") -> None:
    """Raise `SwarmError` for a plan that no person has run, and while they run it."""
    state = recorded(folder).state
    if state.finished is None and is_owned(folder):
        raise RunInUseError(f"run {folder.run} is running: ask again later")
    if not any(s.over for s in state.real_steps() if s.id != PLAN_STEP):
        command = f"swarm resume {folder.path}"
        raise TaskError(f"plan {folder.run} is not approved: a person approves and runs it with `{command}`")


async def _show(served: ServedRuns, given: Showing, progress: Progress) -> Running | Output:
    seen: Seen
    known = served.known(given.run)
    if known is None:
        folder = served.folder(given.run)
        seen = PastRun(folder, recorded(folder).state)
    else:
        seen = known
        if given.wait:
            await _awaited(known, given.wait, progress, interrupts=False)
    if given.step is None:
        return running(served, seen)
    return step_page(served, seen, given.step, given.from_line)


async def _stop(served: ServedRuns, given: Stopping, progress: Progress) -> Stopped:
    del progress
    going = served.find(given.run)
    going.run.interrupt("stopped by its caller")
    with anyio.move_on_after(STOP_SECONDS):
        await going.over.wait()
    return Stopped(run=going.id, status=going.status)


TOOLS = (
    ServedTool(
        "check",
        "Check a goal without calling a model: what would run, with which inputs, tools and limits. Free.",
        Asking,
        CheckAnswer,
        _check,
    ),
    ServedTool(
        "plan",
        "Plan a goal: split it into steps, and estimate them. Calls the planner only. Returns a plan id for `run`.",
        Asking,
        PlanAnswer,
        _plan,
    ),
    ServedTool(
        "run",
        "Answer a goal by several agents in parallel, or run a plan, or resume a run. Returns the report with its "
        "sources; if it takes longer than `wait` seconds, the id of the run, for `show`.",
        RunAsking,
        Running,
        _run,
    ),
    ServedTool(
        "show",
        "Show a run of this server: its status and report, or with `step` the output of a step in pages.",
        Showing,
        Output,
        _show,
        is_read_only=True,
    ),
    ServedTool(
        "stop",
        "Interrupt a run of this server. What is done is kept: `run` with `resume` continues.",
        Stopping,
        Stopped,
        _stop,
    ),
)


async def _awaited(going: Going, wait: float | None, progress: Progress, *, interrupts: bool) -> None:
    """Wait for the end of a run and tell its progress. If the request is cancelled, the run is interrupted."""
    try:
        with anyio.move_on_after(wait):
            await _followed(going, progress)
    except anyio.get_cancelled_exc_class():
        if interrupts:
            going.run.interrupt("cancelled by its caller")
        raise


async def _followed(going: Going, progress: Progress) -> None:
    """Tell the progress of a run until its end: when it changes, and now and then."""
    told, words_told, at = -1.0, "", -QUIET_SECONDS
    while not going.over.is_set():
        done, total, words = _progress(going)
        now = anyio.current_time()
        if words != words_told or now - at >= QUIET_SECONDS:
            told = done if done > told else told + 0.001  # it must grow with each notification
            await progress(told, total, words)
            words_told, at = words, now
        with anyio.move_on_after(TICK_SECONDS):
            await going.over.wait()


def _progress(going: Going) -> tuple[float, float, str]:
    """Return steps done and in total, and the progress in words. A name that labels hide is not in them."""
    from swarm.record.steps import Status
    from swarm.views.words import counted

    state = going.run.state
    real = list(state.real_steps())
    done = sum(s.over for s in real)
    now = [s.id for s in real if s.status is Status.RUNNING and not going.barred(s.id)]
    cost = state.usage.charged_cost
    words = [f"{done:,} of {counted(len(real), 'step')} done", f"{state.usage.charged_tokens:,} tokens"]
    words += [f"${cost:,.4f}"] if cost else []
    words += [f"running: {', '.join(now[:3])}"] if now else []
    return float(done), float(len(real)), "; ".join(words)
