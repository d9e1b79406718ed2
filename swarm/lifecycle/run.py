"""The composition root: a task becomes a run, a folder, a report.

result = await swarm.run("task.yaml")

async with swarm.Run("task.yaml") as run:
    async for state in run.progress():
        ...
print(run.result.report.text)
"""

import platform
import secrets
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import anyio

from swarm.attempt.types import Attempt
from swarm.base.clock import GRACE_SECONDS, RunClock
from swarm.base.errors import JournalError, PlanError, SwarmError
from swarm.base.version import __version__
from swarm.budget.prices import described
from swarm.budget.setup import open_meters
from swarm.endpoints.offline import Offline
from swarm.endpoints.preflight import Preflight, already_served
from swarm.endpoints.router import connect
from swarm.endpoints.wire.learnt import Memory
from swarm.endpoints.wiring import Wiring
from swarm.executors.budgeted import Budgeted
from swarm.executors.cached import known_outcomes
from swarm.lifecycle.prepare import Options, Prepared, prepare, unusable
from swarm.lifecycle.replay import replay
from swarm.lifecycle.resume import Differences, as_said, differences, facts_of, present_task, said, with_agents
from swarm.lifecycle.wiring import ExecutorWiring, assemble
from swarm.record import events as e
from swarm.record.folder import RunFolder, create, find
from swarm.record.journal import Journal, mend, read
from swarm.record.outcome import Outcome
from swarm.record.recorder import Recorder
from swarm.record.state import State, StepState
from swarm.results.result import Result, plan_of, write_outputs
from swarm.scheduling.assign import Assigner
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.files import public, write_yaml
from swarm.spec.plan import PLAN_STEP, Plan
from swarm.spec.task import Task


def versions() -> dict[str, str]:
    """Name what runs: this package and Python."""
    return {"swarm": __version__, "python": platform.python_version()}


class Run:
    """One run of a task, from its first event to its last. An async context manager: leaving it waits for the end."""

    def __init__(
        self,
        task: str | Path | Task = "",
        *,
        options: Options | None = None,
        plan_only: bool = False,
        resume: RunFolder | None = None,
        failed: bool = False,
        replay: RunFolder | None = None,
        **more: Any,
    ) -> None:
        """Take a task and what is said beside it: the keywords of `run`, or all of it as `options`."""
        self.state = State()
        self.prepared: Prepared
        self.folder: RunFolder
        self.warnings: list[str] = []
        """What people should know before it starts: about the task, about a journal that was mended."""
        self._task = task
        self._options = options or Options(**more)
        self._plan_only = plan_only
        self._resume = resume
        self._failed = failed
        self._replay = replay
        self._idle = False
        """Whether a run that is resumed has nothing left to do: its journal stays as it is."""
        self._known: dict[str, Outcome] = {}
        self._served: set[str] = set()
        """Aliases that gave an answer before this stretch."""
        self._preflight: Preflight | None = None
        self._stack = AsyncExitStack()
        self._over = anyio.Event()
        self._error: SwarmError | None = None
        self._dispatcher: Dispatcher | None = None
        self._result: Result | None = None

    async def __aenter__(self) -> Self:
        """Check everything, make or open the run's folder, and start."""
        try:
            journal = await (self._begin() if self._resume is None else self._begin_again(self._resume))
            tasks = await self._stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self._go, journal)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the end; stop at once where the body failed."""
        await self._stack.__aexit__(kind, error, trace)

    async def progress(self, every: float = 0.25) -> AsyncIterator[State]:
        """Give the state now, then whenever it has changed, at most once in `every` seconds, until the run is over."""
        while not self._over.is_set():
            yield self.state
            with anyio.move_on_after(every):
                await self._over.wait()
        yield self.state

    def interrupt(self, because: str = "interrupted", grace: float = GRACE_SECONDS) -> None:
        """Start nothing new, give attempts in flight `grace` seconds, then end; `resume` goes on from there."""
        if self._dispatcher is not None:
            self._dispatcher.interrupt(because, grace)

    @property
    def in_flight(self) -> int:
        """Attempts that are running."""
        return 0 if self._dispatcher is None else self._dispatcher.in_flight

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self._over.is_set()

    @property
    def result(self) -> Result:
        """What the run gave. Raises what ended it, where that was no ordinary end (`PlanError`, `JournalError`)."""
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise SwarmError("the run is not over yet: leave its `async with` block first")
        return self._result

    # How it begins

    async def _begin(self) -> Journal:
        """Make the folder of a new run and write what it begins with."""
        prepared = self.prepared = await prepare(self._task, self._options)
        self.warnings += prepared.warnings
        runs = self._options.runs
        self._own(create(Path(runs) if runs is not None else prepared.runs))
        journal = self._record()
        if self._replay is None:
            self._emit(self._started())
            self._emit(e.StepsAdded(by=self._first_by, steps=prepared.steps))
        return journal

    async def _begin_again(self, folder: RunFolder) -> Journal:
        """Open the folder of a run that is there, and write what it goes on with."""
        self._own(folder)
        for event in read(folder.journal):
            self.state.apply(event)
        if self.state.first is None:
            raise JournalError(f"{folder.journal}: the journal is empty: nothing was done or spent; run the task again")
        options = self._options = as_said(self.state.first, self._options)
        prepared = self.prepared = await prepare(present_task(self.state, folder, options), options)
        self.warnings += prepared.warnings
        self._known = known_outcomes(read(folder.journal), folder.load)
        self._served = already_served(read(folder.journal), public(prepared.task).get("models", {}))
        now = with_agents(read(folder.journal), prepared.roles)
        differs = differences(now, prepared, Assigner(now, prepared.resources, folder.load), failed=self._failed)
        self.warnings += [f"changed since: {words}" for words in differs.words]
        torn = mend(folder.journal)
        self.warnings += [torn] if torn is not None else []
        journal = self._record()
        self._idle = self.state.finished is not None and self.state.over and differs.nothing
        if self._idle:
            return journal
        self._emit(self._resumed(differs))
        if differs.replanned:
            self._emit(e.StepsAdded(by=self._first_by, steps=prepared.steps))
        return journal

    def _own(self, folder: RunFolder) -> None:
        folder.acquire()
        self._stack.callback(folder.release)
        self.folder = folder

    def _record(self) -> Journal:
        """Open the journal, the one road of events, and what makes attempts."""
        prepared, folder = self.prepared, self.folder
        journal = Journal(folder.journal, prepared.redactor.clean)
        self._stack.callback(journal.close)
        self._emit = Recorder(journal, self.state, RunClock(self.state.t), folder)
        self._assigner = Assigner(self.state, prepared.resources, folder.load)
        folder.write("task.yaml", write_yaml(public(prepared.task)))
        return journal

    @property
    def _first_by(self) -> str:
        return "run" if self.prepared.linted is None else "task"

    def _started(self) -> e.RunStarted:
        prepared = self.prepared
        return e.RunStarted(
            run=self.folder.run,
            trace=secrets.token_hex(16),
            versions=versions(),
            prices=described(prepared.routes),
            task=public(prepared.task),
            agents=prepared.roles,
            wording=dict(prepared.resources.wording),
            inputs=facts_of(prepared),
            folder=str(prepared.task.folder),
            source=prepared.source,
            said=said(self._options),
        )

    def _resumed(self, differs: Differences) -> e.RunResumed:
        prepared = self.prepared
        return e.RunResumed(
            task=public(prepared.task),
            agents=prepared.roles,
            wording=dict(prepared.resources.wording),
            inputs=facts_of(prepared),
            versions=versions(),
            prices=described(prepared.routes),
            changed=differs.words,
            reopened=differs.reopening.reopened,
            voided=differs.reopening.voided,
        )

    # How it goes

    async def _go(self, journal: Journal) -> None:
        """Run to the end, then make the report."""
        try:
            if self._replay is not None:
                started, steps = self._started(), self.prepared.steps
                replay(self._replay, started, steps, self.state, self._assigner, self._emit.again, self.folder)
            elif not self._idle:
                await self._schedule(journal)
            self._finish()
        except SwarmError as error:
            self._error = error
        finally:
            self._over.set()

    async def _schedule(self, journal: Journal) -> None:
        """Run every attempt of this stretch: open the endpoints, assemble the executors, dispatch."""
        prepared, state = self.prepared, self.state
        rng, clean = Random(state.run), prepared.redactor.clean  # noqa: S311 - jitter
        routes, own = prepared.routes, prepared.endpoint
        keep = not self._plan_only
        meters = open_meters(prepared.task.limits, routes, state, custom_endpoint=own is not None, keep=keep)
        memory = Memory(prepared.learnt if self._options.cache else None)
        self.warnings += filter(None, [memory.warning])
        wiring = Wiring(
            rng=rng,
            offline=Offline,
            clean=clean,
            memory=memory,
            emit=self._emit,
            around=meters.around,
            labels=prepared.resources.access.labels,
            workers=prepared.task.limits.workers,
        )
        async with connect(routes, wiring) as router:
            looked = Preflight(router, routes, wiring, ahead=self._ahead(), warn=self.warnings.append)
            self._preflight = looked
            endpoint = looked if own is None else meters.alone(own)
            budgeted = Budgeted(endpoint, prepared.toolbox, meters, state)
            self._dispatcher = self._dispatcher_of(budgeted)
            await self._dispatcher.run(journal.keep_synced)

    def _dispatcher_of(self, budgeted: Budgeted) -> Dispatcher:
        prepared, state = self.prepared, self.state
        wiring = ExecutorWiring(
            budgeted=budgeted,
            tools=prepared.toolbox,
            state=state,
            folder=self.folder,
            clean=prepared.redactor.clean,
            known=self._known,
            cache=prepared.cache if self._options.cache else None,
            advised_goal=(prepared.task.goal or "") if prepared.task.swarm == "auto" else None,
        )

        def attempt_of(s: StepState) -> Attempt:
            return budgeted.fitted(self._assigner.attempt_of(s))

        scheduler = Scheduler(state, self._emit, self._rules(), self._assigner.output_of)
        return Dispatcher(scheduler, assemble(wiring), attempt_of, self._emit, self._bug)

    def _ahead(self) -> list[str]:
        """Name the aliases that are looked at before anything is paid for."""
        if not self._options.preflight:
            return []
        return [alias for alias in self._assigner.aliases_ahead() if alias not in self._served]

    def _rules(self) -> Rules:
        task = self.prepared.task
        return Rules(
            limits=task.limits,
            on_failure=task.on_failure,
            inputs=tuple(each.name for each in self.prepared.resources.inputs),
            seed=int(self.state.first.trace[:8], 16) if self.state.first is not None else 0,
            plan_only=self._plan_only,
        )

    def _finish(self) -> None:
        """Make the result; write the report and what the task's `output:` asks for."""
        state = self.state
        planner = state.steps.get(PLAN_STEP)
        if planner is not None and planner.error is not None and planner.error.kind == "plan":
            self._error = PlanError(planner.error.message, spent=True)
        elif self._preflight is not None and self._preflight.problems and not state.usage.tokens:
            self._error = unusable(self.prepared.task, self._preflight.problems, state.run)
        self._result = Result.of(state, self.folder, self._assigner)
        plan = plan_of(state)
        if plan is not None:
            self.folder.write("plan.yaml", write_yaml(plan.model_dump(mode="json", exclude_defaults=True)))
        write_outputs(self._result, self.prepared.task)

    def _bug(self, error: Exception) -> str:
        """Keep the trace of a bug of ours in the run's folder, and say where."""
        trace = "".join(traceback.format_exception(error))
        path = self.folder.write(f"bug-{self.state.seq}.txt", self.prepared.redactor.clean(trace))
        return f"a bug of local-agent-swarm ({type(error).__name__}); its trace is in {path}"


async def run(
    task: str | Path | Task,
    *,
    endpoint: Any = None,
    model: str | None = None,
    workers: int | None = None,
    limits: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    plan: str | Path | Plan | None = None,
    tools: tuple[Callable[..., Any], ...] | list[Callable[..., Any]] = (),
    runs: str | Path | None = None,
) -> Result:
    """Run a task to its end: plan, dispatch, reduce.

    `endpoint` is a base URL, a provider's name, `offline`, or an object with the verb `complete`; `model` its model's
    name. `limits` and `parameters` override the task's; `plan` skips the planner; `tools` are Python functions.
    Raises `InputError`s before anything is spent, and `PlanError` where a planner could not make a plan. Everything
    else that goes wrong is in the result: its `status`, its `errors`.
    """
    options = Options(
        endpoint=endpoint,
        model=model,
        workers=workers,
        limits=limits or {},
        parameters=parameters or {},
        plan=plan,
        tools=tuple(tools),
        runs=runs,
    )
    async with Run(task, options=options) as this:
        pass
    return this.result


async def resume(
    run: str | Path,
    *,
    runs: str | Path | None = None,
    endpoint: Any = None,
    model: str | None = None,
    workers: int | None = None,
    limits: dict[str, Any] | None = None,
    tools: tuple[Callable[..., Any], ...] | list[Callable[..., Any]] = (),
    failed: bool = False,
) -> Result:
    """Go on with a run where it stopped. What is done stays done; with `failed`, failed steps are tried again.

    `run` is an id, a unique prefix, a folder or `last`; `limits` may be raised. Raises `RunNotFoundError`,
    `RunInUseError`, `JournalError`.
    """
    folder = find(str(run), Path(runs) if runs is not None else Path(".swarm/runs"))
    options = Options(
        endpoint=endpoint, model=model, workers=workers, limits=limits or {}, tools=tuple(tools), runs=runs
    )
    async with reopen(folder, options=options, failed=failed) as this:
        pass
    return this.result


def reopen(folder: RunFolder, *, options: Options | None = None, failed: bool = False) -> Run:
    """Make the run that goes on in a folder."""
    return Run(options=options, resume=folder, failed=failed)
