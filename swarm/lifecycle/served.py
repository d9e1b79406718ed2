"""Runs for a caller that is a program, such as a model behind `swarm mcp`: what it says is data.

Models, tools, labels, inputs and agents come from the task of a person. The caller gives a goal and
parameters, chooses among the inputs by name, and lowers limits. All runs share one total. They live
in a task group of their own: who asked for a run may leave, and the run ends well.
"""

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc

from swarm.base.clock import GRACE_SECONDS
from swarm.base.errors import ApprovalNeededError, BugError, Problem, RunNotFoundError, SwarmError, TaskError
from swarm.base.text import clip, listing
from swarm.base.values import Json
from swarm.budget.ledger import Amount
from swarm.lifecycle.opened import OpenedTask, open_task
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import Prepared, prepare
from swarm.lifecycle.run import Run
from swarm.lifecycle.served_total import Total, spent_by
from swarm.lifecycle.trust import check_trust
from swarm.record.folder import RunFolder, find
from swarm.record.recorded import recorded
from swarm.record.state import State
from swarm.results.result import Result
from swarm.spec.files.inputs import is_address
from swarm.spec.plan import PLAN_STEP
from swarm.spec.task import MOST_WORKERS, Limits, Task
from swarm.spec.yaml.explain import meant

CALLER = "caller"
"""The place in `labels` that the host of a server is."""
MOST_RUNS = 2
"""Maximum runs at once."""
LEAVING_SECONDS = 10.0
"""Maximum seconds from the end of a server's input to the end of its process."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a caller asks for."""

    goal: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: tuple[str, ...] | None = None
    """Names of inputs of the task; None for all."""
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(eq=False)
class Going:
    """A run of a server: going, or ended."""

    run: Run
    asked: Asked | None
    """What it was started with; None for a run of another process that was resumed."""
    is_plan: bool = False
    """Whether it ends when its plan is made."""
    error: str = ""
    """Why it ended without a result."""
    needs_person: bool = False
    """Whether it ended because a person must allow a call, and nobody can answer here."""
    started: anyio.Event = field(default_factory=anyio.Event)
    """Set when its folder is there, or it could not start."""
    over: anyio.Event = field(default_factory=anyio.Event)

    @property
    def id(self) -> str:
        """Its id. It has one once it has started."""
        return self.run.folder.run

    @property
    def folder(self) -> RunFolder:
        """Its folder. It has one once it has started."""
        return self.run.folder

    @property
    def state(self) -> State:
        """The fold of its events."""
        return self.run.state

    @property
    def status(self) -> str:
        """`running`, or how it ended."""
        if not self.over.is_set():
            return "running"
        if self.needs_person:
            return "cancelled"
        return "failed" if self.error else self.run.result.status

    def output_of(self, step: str) -> Json:
        """Return the output of a step; null if it has none."""
        return self.run.output_of(step)

    @property
    def result(self) -> Result | None:
        """Its result, if it has ended with one."""
        return self.run.result if self.over.is_set() and not self.error else None

    def barred(self, step: str, *, spawned: bool = True) -> tuple[str, ...]:
        """Return the labels of what a step wrote that may not reach the caller."""
        return self._closed(self.run.labels_of(step, spawned=spawned))

    @property
    def report_barred(self) -> tuple[str, ...]:
        """The labels of the report that may not reach the caller: those of everything that the run wrote."""
        found: set[str] = set()
        for step in self.run.state.steps:
            found.update(self.run.labels_of(step))
        return self._closed(sorted(found))

    @property
    def plan_barred(self) -> tuple[str, ...]:
        """The labels of the plan that may not reach the caller: those of what its planner read."""
        return self.barred(PLAN_STEP, spawned=False) if PLAN_STEP in self.run.state.steps else ()

    def _closed(self, labels: tuple[str, ...] | list[str]) -> tuple[str, ...]:
        places = self.run.prepared.task.labels
        return tuple(label for label in labels if CALLER not in places.get(label, ()))


class ServedRuns:
    """The runs of one server."""

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        base: OpenedTask | None,
        options: Options,
        totals: Mapping[str, float],
        *,
        every: bool = False,
    ) -> None:
        """Take a task group that outlives each request, and the task of the person, read and checked.

        `totals` bound what all runs spend together; without one, what one run may spend does. With `every`, runs of
        other processes are shown, too.
        """
        self._tasks = tasks
        self._base = base
        self._options = options
        self._every = every
        limits = Limits(**options.limits) if base is None else base.task.limits
        tokens, usd = totals.get("tokens", limits.tokens), totals.get("usd", limits.usd)
        self.total = Total(None if tokens is None else int(tokens), usd)
        self._limits = limits if usd is None or limits.usd is not None else limits.model_copy(update={"usd": usd})
        self._runs: list[Going] = []

    @property
    def needs_approval(self) -> bool:
        """Whether a person must approve each plan."""
        return self._base is not None and self._base.task.asks_about_plan

    @property
    def runs_folder(self) -> Path:
        """The folder of the runs."""
        given = self._options.runs
        folder = Path() if self._base is None else self._base.task.folder
        return folder / ".swarm" / "runs" if given is None else Path(given)

    async def prepared(self, asked: Asked, limits: Limits | None = None) -> Prepared:
        """Check what a caller asks for and prepare it. With `limits`, the run has these. Raise `InputError`."""
        task = self._task(asked)
        options = replace(self._options, parameters=asked.parameters, limits=asked.limits, from_python=True)
        opened = open_task(task, options)
        self._check_limits(opened.task.limits, asked.limits)
        chosen = opened.task if asked.inputs is None else await self._choosing(opened, options, asked.inputs)
        update = {} if limits is None else {"limits": limits}
        source = "" if self._base is None else self._base.source
        found = await prepare(OpenedTask(chosen.model_copy(update=update), source), options)
        # A resumed run takes its goal from its journal: in the file there is another one.
        return replace(found, opened=replace(found.opened, source=""))

    def _task(self, asked: Asked) -> Task | dict[str, Any]:
        """Return the task with the caller's goal. Raise `TaskError` if there is none, or no place for it."""
        if self._base is None:
            if asked.goal is None:
                raise TaskError(Problem("is required: this server has no task", key="goal"))
            return Task(goal=asked.goal, folder=Path().resolve(), limits=self._limits)
        task = self._base.task
        if asked.goal is None:
            return task
        if task.plan is not None:
            raise TaskError(Problem("the task of this server has its own plan; give parameters only", key="goal"))
        return task.model_copy(update={"goal": asked.goal})

    def _check_limits(self, limits: Limits, given: Mapping[str, Any]) -> None:
        """Raise `TaskError` for limits that a caller raises."""
        problems: list[Problem] = []
        for name in given:
            now, most = getattr(limits, name), getattr(self._limits, name)
            if _number(now) > _number(most):
                shown = "no limit" if now is None else f"{now}"
                problems.append(Problem(f"{shown} is above {most}, the maximum of this server", key=f"limits.{name}"))
        if problems:
            raise TaskError(*problems)

    async def _choosing(self, opened: OpenedTask, options: Options, names: tuple[str, ...]) -> Task:
        """Return the task with only the inputs of these names. Raise `TaskError` for other names."""
        found = await prepare(opened, replace(options, sends=False))
        known = {each.name: each for each in found.files.inputs}
        problems = [
            Problem(
                f"there is no input {clip(name)!r}; there are {listing(list(known))}{meant(name, known)}", key="inputs"
            )
            for name in names
            if name not in known
        ]
        if problems:
            raise TaskError(*problems)
        specs: list[dict[str, Any]] = []
        for name in dict.fromkeys(names):
            each = known[name]
            medium = None if each.medium == "text" else each.medium
            path = each.path if is_address(each.path) else glob.escape(each.path or name)
            specs.append({"path": path, "name": name, "label": each.label, "as": medium})
        inputs = Task.model_validate({"goal": "-", "inputs": specs}).inputs
        return opened.task.model_copy(update={"inputs": inputs})

    # Runs

    async def start(self, asked: Asked, *, is_plan: bool = False) -> Going:
        """Start a run, or the making of a plan. Raise `SwarmError` if it cannot start."""
        first = await self.prepared(asked)
        limits = self.total.lowered(first.task.limits, Amount())
        prepared = first if limits == first.task.limits else await self.prepared(asked, limits)
        options = replace(self._options, parameters=asked.parameters, limits=asked.limits)
        run = Run(options=options, plan_only=is_plan, prepared=prepared)
        return await self._begin(Going(run, asked, is_plan), prepared.task.limits, Amount())

    async def resume(self, name: str, limits: Mapping[str, Any]) -> Going:
        """Continue a run. Raise `SwarmError` if it cannot continue."""
        known = self.known(name)
        if known is not None and not known.over.is_set():
            return known
        folder = known.run.folder if known is not None else self.folder(name)
        check_trust(folder, trusted=False)
        if known is not None and known.asked is not None:
            state, asked = known.run.state, known.asked
            asked = replace(asked, limits={**asked.limits, **limits})
            own = (await self.prepared(asked)).task.limits
        else:
            state, asked = recorded(folder).state, None
            own = Limits.model_validate({**state.task.get("limits", {}), **limits})
            self._check_limits(own, Limits.model_fields)
        lowered = self.total.lowered(own, spent_by(state))
        kept = replace(self._options, limits=lowered.model_dump(), parameters={})
        prepared = None if asked is None else await self.prepared(asked, lowered)
        run = Run(options=kept, resume=RunFolder(folder.path), prepared=prepared)
        return await self._begin(Going(run, asked), lowered, spent_by(state))

    async def _begin(self, going: Going, limits: Limits, before: Amount) -> Going:
        if sum(not each.over.is_set() for each in self._runs) >= MOST_RUNS:
            raise TaskError(
                f"{MOST_RUNS} runs are going, the maximum: wait for one with `show`, or end one with `stop`"
            )
        self._runs.append(going)
        try:
            held = self.total.hold(limits, before)
        except TaskError:
            self._runs.remove(going)
            raise

        async def go() -> None:
            try:
                async with going.run as run:
                    going.started.set()
                    async for _ in run.progress(LEAVING_SECONDS):
                        pass
                _ = run.result
            except SwarmError as error:
                going.error = str(error)
                going.needs_person = isinstance(error, ApprovalNeededError)
            except Exception as error:  # noqa: BLE001 - one run must not end the server and the others
                going.error = _words(error)
            finally:
                now = spent_by(going.run.state)
                spent = Amount(max(0, now.tokens - before.tokens), max(0, now.picos - before.picos))
                held.settle(spent)
                going.over.set()
                going.started.set()

        self._tasks.start_soon(go)
        try:
            await going.started.wait()
        except anyio.get_cancelled_exc_class():
            going.run.interrupt()
            raise
        if not hasattr(going.run, "folder") or (going.error and not going.run.state.run):
            self._runs.remove(going)
            raise TaskError(going.error)
        return going

    def find(self, name: str) -> Going:
        """Return the last stretch of a run of this server. Raise `RunNotFoundError`."""
        known = self.known(name)
        if known is None:
            names = dict.fromkeys(each.id for each in self._runs)
            there = f"there are {listing(list(names))}" if names else "there is none yet"
            raise RunNotFoundError(Problem(f"this server has no run {clip(name)!r}; {there}", key="run"))
        return known

    def folder(self, name: str) -> RunFolder:
        """Return the folder of a run of this server, or with `every` of any in its folder. Raise `RunNotFoundError`."""
        known = self.known(name)
        if known is not None or not self._every or "/" in name or name.startswith("."):
            return self.find(name).folder
        return find(Path(name).name, self.runs_folder)

    def known(self, name: str) -> Going | None:
        """Return the last stretch of a run of this server, or None."""
        return next((each for each in reversed(self._runs) if each.id == name), None)

    async def leave(self, grace: float = LEAVING_SECONDS) -> None:
        """End every run: running steps get most of `grace` seconds, then all is cancelled."""
        going = [each for each in self._runs if not each.over.is_set()]
        for each in going:
            each.run.interrupt("its server ended", min(GRACE_SECONDS, grace * 0.8))
        with anyio.move_on_after(grace):
            for each in going:
                await each.over.wait()
        self._tasks.cancel_scope.cancel()


def _words(error: BaseException) -> str:
    """Return the words about an error that ended a run, taken out of the groups of its task groups."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    is_ours = isinstance(error, SwarmError) and not isinstance(error, BugError)
    return str(error) if is_ours else f"internal error ({type(error).__name__})"


def _number(limit: object) -> float:
    """Return a limit as a number: none is without end, and `auto` the most that it may become."""
    if limit is None:
        return float("inf")
    return float(MOST_WORKERS) if limit == "auto" else float(str(limit))
