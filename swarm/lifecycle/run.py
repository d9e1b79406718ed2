"""A run from start to end: a task becomes a folder, events and a report.

result = await swarm.run("task.yaml")

async with swarm.Run("task.yaml") as run:
    async for state in run.progress():
        ...
print(run.result.report.text)
"""

import traceback
import warnings
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from swarm.base.clock import GRACE_SECONDS, RunClock
from swarm.base.errors import ApprovalNeededError, PlanError, Problem, SwarmError, TaskError
from swarm.exports.outputs import write_outputs
from swarm.lifecycle.arguments import RunArguments, run_options, task_source
from swarm.lifecycle.inputs import keep_inputs
from swarm.lifecycle.learnt import learnt_contexts, memory_of
from swarm.lifecycle.levels import close_levels, levels_of
from swarm.lifecycle.opened import OpenedTask, unusable
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import Prepared, prepare
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.resume import Reopened, reopened, run_resumed, run_started
from swarm.lifecycle.sense import check_offline, heavy_tools, nothing_fits, tight_limit
from swarm.lifecycle.spans import RunSpans, destination_of
from swarm.lifecycle.stretch import Stretch
from swarm.lifecycle.watching import WatchedRun
from swarm.lifecycle.wiring import open_tools
from swarm.record import events as e
from swarm.record.folder import TASK, UNMEASURED, RunFolder, create
from swarm.record.journal import Journal, cut_tail
from swarm.record.outcome import Outcome
from swarm.record.recorded import recorded
from swarm.record.recorder import Recorder
from swarm.record.signals import Signals
from swarm.record.state import State
from swarm.results.result import Result, plan_of
from swarm.scheduling.assign import Assigner
from swarm.spec.files import public, write_yaml
from swarm.spec.plan import PLAN_STEP
from swarm.spec.task import TaskSource

QUICK_TOKENS = 5_000
"""Output tokens of a run up to which its result is made at once: to check its claims takes some 0.1 seconds."""


class Run(WatchedRun):
    """One run of a task: an async context manager that starts it, and on exit waits for its end."""

    def __init__(
        self,
        task: TaskSource | OpenedTask = "",
        *,
        options: Options | None = None,
        plan_only: bool = False,
        resume: RunFolder | Reopened | None = None,
        failed: bool = False,
        replay: RunFolder | Replay | None = None,
        prepared: Prepared | None = None,
        **arguments: Unpack[RunArguments],
    ) -> None:
        """Take a task and the keyword arguments of `run`, or all of them as `options`.

        With `plan_only`, stop when the plan is made. With `resume`, continue a recorded run;
        `failed` also retries its failed steps. With `replay`, repeat a recorded run without a call.
        With `prepared`, read no task.
        """
        self.state = State()
        self.prepared: Prepared
        self.folder: RunFolder
        self.warnings: list[str] = []
        """Warnings about the task, its models and its journal. More may follow during the run."""
        self.signals = Signals()
        """What happens, for listeners: each event as it is recorded, and what is never recorded."""
        self.offset = 0
        """Bytes of the journal before this stretch of the run."""
        self._task = task if isinstance(task, OpenedTask) else task_source(task)
        self._options = options or run_options(arguments)
        self._plan_only = plan_only
        self._resume = resume
        self._failed = failed
        self._replay = replay
        self._given = prepared
        self._idle = False
        """True if a resumed run has nothing left to do: then its journal is not changed."""
        self._known: Mapping[str, Outcome] = {}
        self._served: frozenset[str] = frozenset()
        """Aliases of models that have answered before this stretch."""
        self._entered = False
        self._interrupted: tuple[str, float] | None = None
        """An interrupt that came before the stretch was there."""
        self._untold: list[str] = []
        """Why the caller's `on_event` was not called any more, and what of the run was not sent."""
        self._stack = AsyncExitStack()
        self._over = anyio.Event()
        self._error: SwarmError | None = None
        self._stretch: Stretch | None = None
        self._result: Result | None = None

    async def __aenter__(self) -> Self:
        """Check everything, create or open the folder of the run, and start."""
        if self._entered:
            raise SwarmError("this run has already been started\nhint: make a new `swarm.Run` for each run")
        self._entered = True
        # An error or a cancellation here closes what was opened: the journal, then the lock.
        try:
            if self._resume is None:
                journal = await self._begin()
            else:
                journal = await self._begin_again(self._resume)
            tasks = await self._stack.enter_async_context(anyio.create_task_group())
            self._follow_with_spans(tasks)
            tasks.start_soon(self._go, journal)
            if self._options.on_event is not None:
                tasks.start_soon(self._tell, self._options.on_event)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the end. If the body raised, cancel the run immediately, and let that error pass as it is."""
        try:
            await self._stack.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:  # the task group of the run is no business of who catches a `KeyError`
            if error is None or group.exceptions != (error,):
                raise
        for problem in self._untold:
            warnings.warn(problem, RuntimeWarning, stacklevel=2)

    def interrupt(self, because: str = "interrupted", grace: float = GRACE_SECONDS) -> None:
        """Start nothing new, give running attempts `grace` seconds, then end. `resume` continues from there."""
        if self._stretch is None:
            self._interrupted = (because, grace)
        else:
            self._stretch.interrupt(because, grace)

    @property
    def in_flight(self) -> int:
        """Number of running attempts."""
        return 0 if self._stretch is None else self._stretch.in_flight

    @property
    def result(self) -> Result:
        """The result of the run. Raise the error that ended it, such as `PlanError` or `JournalError`."""
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise SwarmError("the run has not ended: leave its `async with` block first")
        return self._result

    # Start

    async def _begin(self) -> Journal:
        """Create the folder of a new run and record its first events."""
        prepared = self.prepared = self._given or await prepare(self._task, self._options)
        makes_calls = self._replay is None and not (self._plan_only and prepared.linted is not None)
        if makes_calls:
            check_offline(prepared, self._options)
        self.warnings += (*prepared.warnings, *filter(None, [tight_limit(prepared)]))
        runs = self._options.runs
        close_levels(levels_of(prepared.task.folder))
        # What a replay copies is as trustworthy as the folder that it comes from.
        marked = self._replay is None or self._replay.is_from_here
        folder = create(Path(runs) if runs is not None else prepared.runs, marked=marked)
        try:
            self._own(folder)
            if makes_calls:
                await open_tools(prepared, self.folder, self._stack, self.warnings.append)
                self.warnings += heavy_tools(prepared)
            keep_inputs(prepared.task, prepared.files.loaded, folder, self._options)
            journal = self._record()
            if self._replay is None:
                self._emit(self._started())
                self._emit(e.StepsAdded(by=self._first_by, steps=prepared.steps))
        except SwarmError:
            folder.remove_new()
            raise
        return journal

    async def _begin_again(self, run: RunFolder | Reopened) -> Journal:
        """Open the folder of a recorded run and record what it resumes with."""
        # Owned since the read: nobody can have appended what is cut off below.
        assert isinstance(run, RunFolder) or run.folder.is_owned
        again = run if isinstance(run, Reopened) else await self._reopened(run)
        self._resume = None  # The events that were read are not needed any more.
        self._own(again.folder)
        prepared, differs = again.prepared, again.differences
        self.state, self.prepared, self._options = again.recorded.state, prepared, again.options
        self._known, self._served, self.offset = again.known, again.served, again.recorded.length
        self.warnings += prepared.warnings
        self.warnings += [f"changed since: {words}" for words in differs.words]
        torn = cut_tail(again.folder.journal, self.offset)
        self.warnings += [torn] if torn is not None else []
        self._idle = self.state.finished is not None and self.state.over and differs.nothing
        if self._idle:
            return self._record()
        await open_tools(prepared, self.folder, self._stack, self.warnings.append)
        keep_inputs(prepared.task, prepared.files.loaded, again.folder, self._options)
        journal = self._record()
        self._emit(run_resumed(prepared, differs))
        if differs.replanned:
            self._emit(e.StepsAdded(by=self._first_by, steps=prepared.steps))
        return journal

    async def _reopened(self, folder: RunFolder) -> Reopened:
        """Read the journal of a recorded run and prepare its task."""
        self._own(folder)
        found = recorded(folder)
        self.state = found.state
        return await reopened(found, folder, self._options, failed=self._failed, prepared=self._given)

    def _own(self, folder: RunFolder) -> None:
        folder.acquire()
        self._stack.callback(folder.release)
        self.folder = folder

    def _record(self) -> Journal:
        """Open the journal, and make the recorder of events and the assigner of attempts."""
        prepared, folder = self.prepared, self.folder
        journal = Journal(folder.journal, prepared.redactor.clean, opened=folder.open_journal())
        self._stack.callback(journal.close)
        self._clock = RunClock(self.state.t)
        self._emit = Recorder(journal, self.state, self._clock, folder, self.signals)
        self._assigner = Assigner(self.state, prepared.resources, folder.load)
        folder.write_page(TASK, write_yaml(public(prepared.task)))
        return journal

    @property
    def _first_by(self) -> str:
        return "run" if self.prepared.linted is None else "task"

    def _started(self) -> e.RunStarted:
        prepared, memory = self.prepared, memory_of(self.prepared, self._options)
        return run_started(self.folder.run, prepared, self._options, learnt_contexts(prepared, memory))

    # Work

    def _follow_with_spans(self, tasks: TaskGroup) -> None:
        """Send the spans of this stretch while it works, if the task or the caller names a collector."""
        to = None if self._idle else destination_of(self.prepared.task, self._options)
        if to is None:
            return
        spans = RunSpans(to, self.folder, self.offset, self.state)

        async def follow() -> None:
            await spans.follow(self.signals, self._over.is_set)
            if spans.problem:
                self.warnings.append(spans.problem)
                self._untold += [spans.problem] if self._options.from_python else []

        tasks.start_soon(follow)

    async def _go(self, journal: Journal) -> None:
        """Run to the end, then make the report."""
        # Whatever ends the run, cancellation included, `progress` must end, too.
        try:
            if self._replay is not None:
                self._repeat(self._replay)
            elif not self._idle:
                await self._schedule(journal)
            await self._finish()
        except SwarmError as error:
            self._error = error
        finally:
            self._over.set()
            self.signals.wake()

    def _repeat(self, run: RunFolder | Replay) -> None:
        """Emit the events of a recorded run, as far as the present task leads to them."""
        replay = Replay(run) if isinstance(run, RunFolder) else run
        started, steps = self._started(), self.prepared.steps
        recall = self.prepared.toolbox.recall
        replay.run(started, steps, self.state, self._assigner, self._emit.again, self.folder, recall)

    async def _schedule(self, journal: Journal) -> None:
        """Run every attempt of this stretch."""
        self._stretch = Stretch(
            prepared=self.prepared,
            options=self._options,
            state=self.state,
            folder=self.folder,
            emit=self._emit,
            assigner=self._assigner,
            bug=self._bug,
            known=self._known,
            served=self._served,
            warnings=self.warnings,
            signals=self.signals,
            plan_only=self._plan_only,
        )
        if self._interrupted is not None:
            self._stretch.interrupt(*self._interrupted)
        await self._stretch.run(journal.keep_synced)

    async def _finish(self) -> None:
        """Make the result; if it is of much, in a thread: others use the same event loop."""
        if self.state.usage.output_tokens <= QUICK_TOKENS:
            self._conclude()
            return
        with anyio.CancelScope(shield=True):  # as little as without a thread, a cancellation loses what was paid for
            await anyio.to_thread.run_sync(self._conclude)

    def _conclude(self) -> None:
        """Make the result, and write the report and the files of `output:`."""
        state = self.state
        self._error = self._spoiled()
        self._result = Result.of(state, self.folder, self._assigner, note=self._unmeasured)
        plan = plan_of(state)
        if plan is not None:
            self.folder.write_page("plan.yaml", write_yaml(plan.model_dump(mode="json", exclude_defaults=True)))
        written = write_outputs(self._result, [each.path for each in self.prepared.files.outputs])
        self._result = written.result
        self.warnings += written.notes

    def _spoiled(self) -> SwarmError | None:
        """Return the error that ended the run instead of a result, or None."""
        planner = self.state.steps.get(PLAN_STEP)
        if planner is not None and planner.error is not None and planner.error.kind == "plan":
            return PlanError(planner.error.message, spent=True)
        problems, misuse = ((), "") if self._stretch is None else (self._stretch.problems, self._stretch.misuse)
        if problems and not self.state.usage.charged_tokens:
            return unusable(self.prepared.task, problems, self.state.run)
        if self._stretch is not None and self._stretch.unanswered:
            return self._unapproved(self._stretch.unanswered)
        if misuse:
            return TaskError(Problem(misuse, key="endpoint"))
        return None if self._plan_only else nothing_fits(self.state)

    def _unapproved(self, because: str) -> ApprovalNeededError:
        """Return the error of a run that ended because nobody could allow a call."""
        how = f"swarm resume {self.folder.run}"
        if self._options.from_python:
            how = f"swarm.resume({str(self.folder.path)!r}, approve=…)"
        every = "approve=True" if self._options.from_python else "--yes"
        hint = f"hint: answer with `{how}`, or allow every call with `{every}`"
        return ApprovalNeededError(f"Approval required, but nobody can answer: {because}\n{hint}")

    def _unmeasured(self, error: Exception) -> None:
        """Warn about an internal error that lost the figures of a run, and nothing else."""
        self.warnings.append(f"the parallelism of this run is not shown: {self._bug(error, UNMEASURED)}")

    def _bug(self, error: Exception, name: str = "") -> str:
        """Save the traceback of an internal error and return the message that names its file."""
        trace = "".join(traceback.format_exception(error))
        path = self.folder.write_page(name or f"bug-{self.state.seq}.txt", self.prepared.redactor.clean(trace))
        saved = "could not be saved" if path is None else f"is in {path}\nhint: report it with that file"
        return f"internal error ({type(error).__name__}); the traceback {saved}"


def reopen(
    folder: RunFolder, *, options: Options | None = None, failed: bool = False, prepared: Prepared | None = None
) -> Run:
    """Return the run that continues in a folder. With `prepared`, its task is not read again."""
    return Run(options=options, resume=folder, failed=failed, prepared=prepared)
