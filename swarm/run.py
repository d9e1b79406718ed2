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

import swarm
from swarm import events as e
from swarm.agenda import Agenda, Rules
from swarm.assign import Assigner
from swarm.endpoints.offline import Offline
from swarm.endpoints.router import connect
from swarm.errors import PlanError, SwarmError, TaskError
from swarm.executor import Executor
from swarm.executors.local import Local
from swarm.executors.pages import Pages
from swarm.folder import RunFolder, create, find
from swarm.journal import Clock, Journal, RunClock, mend, read
from swarm.plan import PLAN_STEP, Plan
from swarm.prepare import Options, Prepared, prepare
from swarm.reopening import reopening
from swarm.result import Result, write_outputs
from swarm.scheduler import GRACE_SECONDS, Scheduler
from swarm.state import State
from swarm.task import Task
from swarm.taskfile import load_task, public, write_yaml


class Recorder:
    """The one road of an event: stamped, into the journal, into the state, with nothing in between."""

    def __init__(self, journal: Journal, state: State, clock: Clock, folder: RunFolder) -> None:
        self._journal = journal
        self._state = state
        self._clock = clock
        self._folder = folder
        self.changed = anyio.Event()
        """Set at the next event; then replaced."""

    def __call__(self, event: e.Stamped) -> None:
        """Record a fact."""
        update: dict[str, Any] = {"seq": self._state.seq + 1, "at": self._clock.wall(), "t": self._clock.t()}
        if isinstance(event, e.StepFinished) and (artifact := self._folder.store(event.output)) is not None:
            update |= {"output": None, "artifact": artifact}
        self._state.apply(self._journal.append(event.model_copy(update=update)))
        self.changed.set()


class Run:
    """One run of a task, from its first event to its last. An async context manager: leaving it waits for the end."""

    def __init__(
        self,
        task: str | Path | Task,
        *,
        options: Options | None = None,
        plan_only: bool = False,
        resume: RunFolder | None = None,
        reopen_failed: bool = False,
    ) -> None:
        self.state = State()
        self.prepared: Prepared
        self.folder: RunFolder
        self._task = task
        self._options = options or Options()
        self._plan_only = plan_only
        self._resume = resume
        self._reopen_failed = reopen_failed
        self._stack = AsyncExitStack()
        self._over = anyio.Event()
        self._error: SwarmError | None = None
        self._scheduler: Scheduler | None = None
        self._result: Result | None = None

    async def __aenter__(self) -> Self:
        """Check everything, make or open the run's folder, and start."""
        self.prepared = await prepare(self._task, self._options)
        runs = self._options.runs
        folder = self._resume or create(Path(runs) if runs is not None else self.prepared.runs)
        self.folder = folder
        folder.acquire()
        self._stack.callback(folder.release)
        try:
            journal = self._open(folder)
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
        if self._scheduler is not None:
            self._scheduler.interrupt(because, grace)

    @property
    def in_flight(self) -> int:
        """Attempts that are running."""
        return 0 if self._scheduler is None else self._scheduler.in_flight

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

    # How it is put together

    def _open(self, folder: RunFolder) -> Journal:
        """Open the journal and write what the run begins with."""
        prepared, state = self.prepared, self.state
        if self._resume is not None:
            self.warning = mend(folder.journal)
            for event in read(folder.journal):
                state.apply(event)
        journal = Journal(folder.journal, prepared.redactor.clean)
        self._stack.callback(journal.close)
        self._emit = Recorder(journal, state, RunClock(state.t), folder)
        self._assigner = Assigner(state, prepared.means, folder.load)
        if self._resume is not None:
            self._emit(self._resumed())
        else:
            self._emit(self._started(folder.run))
            by = "run" if prepared.linted is None else "task"
            self._emit(e.StepsAdded(by=by, steps=prepared.steps))
        folder.write("task.yaml", write_yaml(public(prepared.task)))
        return journal

    def _started(self, run: str) -> e.RunStarted:
        extra = () if self.prepared.linted is None else self.prepared.linted.agents
        return e.RunStarted(
            run=run,
            trace=secrets.token_hex(16),
            versions=versions(),
            task=public(self.prepared.task),
            agents=(*self.prepared.agents.values(), *extra),
            wording=dict(self.prepared.means.wording),
            inputs=self._input_facts(),
            folder=str(self.prepared.task.folder),
        )

    def _resumed(self) -> e.RunResumed:
        again = reopening(self.state, failed=self._reopen_failed)
        return e.RunResumed(
            task=public(self.prepared.task),
            agents=tuple(self.prepared.agents.values()),
            wording=dict(self.prepared.means.wording),
            inputs=self._input_facts(),
            versions=versions(),
            reopened=again.reopened,
            voided=again.voided,
        )

    def _input_facts(self) -> tuple[e.InputFact, ...]:
        return tuple(
            e.InputFact(name=i.name, medium=i.medium, sha256=i.sha256, size=i.size, label=i.label)
            for i in self.prepared.means.inputs
        )

    async def _go(self, journal: Journal) -> None:
        """Run to the end, then make the report."""
        prepared = self.prepared
        try:
            models = prepared.choice.models
            rng = Random(self.state.run)  # noqa: S311 - jitter
            clean = prepared.redactor.clean
            async with connect(models, offline=Offline, rng=rng, clean=clean) as router:
                agenda = Agenda(self.state, self._emit, self._rules(), self._assigner.output_of)
                executor: Executor = Local(prepared.endpoint or router, prepared.toolbox)
                executor = Pages(executor, self._write_page, lambda name: self.state.steps[name].order)
                self._scheduler = Scheduler(agenda, executor, self._assigner.attempt_of, self._emit, self._bug)
                await self._scheduler.run(journal.keep_synced)
            self._finish()
        except SwarmError as error:
            self._error = error
        finally:
            self._over.set()

    def _rules(self) -> Rules:
        task = self.prepared.task
        return Rules(
            limits=task.limits,
            on_failure=task.on_failure,
            inputs=tuple(each.name for each in self.prepared.means.inputs),
            seed=int(self.state.first.trace[:8], 16) if self.state.first is not None else 0,
            plan_only=self._plan_only,
        )

    def _finish(self) -> None:
        """Make the result; write the report and what the task's `output:` asks for."""
        state = self.state
        planner = state.steps.get(PLAN_STEP)
        if planner is not None and planner.error is not None and planner.error.kind == "plan":
            self._error = PlanError(planner.error.message, spent=True)
        self._result = Result.of(state, self.folder, self._assigner)
        steps = tuple(s.step for s in state.steps.values() if s.id != PLAN_STEP and s.step.instance_of is None)
        if steps:
            made = Plan(steps=steps).model_dump(mode="json", exclude_defaults=True)
            self.folder.write("plan.yaml", write_yaml(made))
        write_outputs(self._result, self.prepared.task)

    def _write_page(self, name: str, text: str) -> None:
        self.folder.write(name, self.prepared.redactor.clean(text))

    def _bug(self, error: Exception) -> str:
        """Keep the trace of a bug of ours in the run's folder, and say where."""
        trace = "".join(traceback.format_exception(error))
        path = self.folder.write(f"bug-{self.state.seq}.txt", self.prepared.redactor.clean(trace))
        return f"a bug of local-agent-swarm ({type(error).__name__}); its trace is in {path}"


def versions() -> dict[str, str]:
    """Name what runs: this package and Python."""
    return {"swarm": swarm.__version__, "python": platform.python_version()}


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


def reopen(folder: RunFolder, *, options: Options, failed: bool = False) -> Run:
    """Make the run that goes on in a folder, with the task as the journal tells it."""
    state = State()
    for event in read(folder.journal):
        state.apply(event)
        if state.first is not None:
            break
    task = recorded_task(state, folder, options)
    return Run(task, options=options, resume=folder, reopen_failed=failed)


def recorded_task(state: State, folder: RunFolder, options: Options) -> Task:
    """Read the task that a journal holds; keys come from the present environment."""
    if state.first is None:
        raise TaskError(f"{folder.journal}: the journal is empty, so there is nothing to resume")
    text: str = write_yaml(state.task)
    return load_task(
        str(folder.path / "task.yaml"), environ=options.environ, text=text, folder=Path(state.first.folder)
    )
