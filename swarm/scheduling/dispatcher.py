"""The shell around the decisions: the task group of a run, its deadlines and its interrupts."""

from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

import anyio
import anyio.abc

from swarm.attempt.types import Attempt, Executor
from swarm.base.clock import GRACE_SECONDS
from swarm.base.errors import AttemptError, BugError, JournalError, LimitError, NoRoomError, SwarmError, TooLargeError
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.steps import StepState
from swarm.scheduling.scheduler import Emit, Scheduler

REPORT_SHARE = 0.15
"""Part of `limits.seconds` that is reserved for the report: a reduction is one call of many."""


class People(Protocol):
    """The questions to people in a run."""

    changed: Callable[[], None]
    """Called when a step begins to wait for an answer, and when nobody can answer."""

    @property
    def waiting(self) -> Collection[str]:
        """Steps that wait for an answer."""
        ...

    @property
    def because(self) -> str:
        """Why the run ends, if nobody can answer; empty if somebody can."""
        ...


class Dispatcher:
    """Shell of a `Scheduler`: it starts attempts, and waits for them, for pauses and for deadlines."""

    def __init__(
        self,
        scheduler: Scheduler,
        executor: Executor,
        attempt_of: Callable[[StepState], Attempt],
        emit: Emit,
        bug: Callable[[Exception], str] = repr,
        workers: Callable[[], int] | None = None,
        people: People | None = None,
    ) -> None:
        """`workers` returns how many attempts may run now [default: the limit, or the usual number]. `people` knows
        which of them wait for a person.
        """
        self._scheduler = scheduler
        self._executor = executor
        self._attempt_of = attempt_of
        self._emit = emit
        self._bug = bug
        self._over = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._cut = e.Failure(kind="cancelled", goes_on=True, message="the run was interrupted")
        self._allowed = workers or (lambda: scheduler.rules.limits.usual_workers)
        self._workers = 0
        self._people = people
        if people is not None:
            people.changed = self.widened
        self._error: SwarmError | None = None

    async def run(self, *background: Callable[[], Coroutine[Any, Any, None]]) -> e.RunFinished:
        """Run until the end, with `background` in parallel. Write and return the terminal event.

        Raise `BugError` if nothing can run but steps are left, and `JournalError` if the journal cannot be written.
        """
        try:
            async with anyio.create_task_group() as self._tasks:
                for each in background:
                    self._tasks.start_soon(each)
                self._watch_the_clock()
                self._guarded(self._go)
                await self._over.wait()
                # Cancels `background`, pauses and deadlines; after an error of the journal, also attempts.
                self._tasks.cancel_scope.cancel()
        finally:
            # Also if the caller cancels the run: the attempts have ended, and the terminal event is written without an
            # await. After an error of the journal nothing can be written.
            if self._error is None:
                if not self._scheduler.over:
                    self._scheduler.ask_to_stop("interrupt", "cancelled by its caller")
                self._emit(self._scheduler.finish())
        if self._error is not None:
            raise self._error
        assert self._scheduler.state.finished is not None
        return self._scheduler.state.finished

    def interrupt(self, because: str, grace: float = GRACE_SECONDS) -> None:
        """Start nothing new. Let running attempts continue for `grace` seconds, then cancel them."""
        self._scheduler.ask_to_stop("interrupt", because)
        self._cut = e.Failure(kind="cancelled", goes_on=True, message=because)
        if self._tasks is None:
            return  # Nothing has started yet, and nothing will: `run` ends at once.
        if not self._over.is_set():
            self._tasks.start_soon(self._cut_off_after, grace)
        self._guarded(self._go)

    def widened(self) -> None:
        """Start what may start, now that more attempts may run in parallel."""
        if self._tasks is not None and not self._over.is_set():
            self._guarded(self._go)

    @property
    def in_flight(self) -> int:
        """Number of running attempts."""
        return len(self._scopes)

    def _go(self) -> None:
        """Start what may start now, and end the run if it is over."""
        scheduler = self._scheduler
        scheduler.settle()
        assert self._tasks is not None
        if scheduler.stop == "failure":
            self._cut = e.Failure(kind="cancelled", goes_on=True, message=scheduler.because)
            self._cut_off()
        for _ in range(min(self._allowed() - self._workers, scheduler.queued)):
            self._workers += 1
            self._tasks.start_soon(self._work)
        self._stop_waiting()
        if scheduler.over:
            self._over.set()

    def _stop_waiting(self) -> None:
        """Cut off the attempts that wait for a person, if nothing else runs and nobody will answer."""
        waiting, scheduler = set(self._people.waiting if self._people is not None else ()), self._scheduler
        if self._people is None or not waiting or self._workers > len(waiting):
            return
        if scheduler.stop != "interrupt":
            if not self._people.because or scheduler.pausing:
                return
            scheduler.ask_to_stop("interrupt", self._people.because)
            self._cut = e.Failure(kind="cancelled", goes_on=True, message=self._people.because)
        self._cut_off()

    def _guarded(self, act: Callable[[], None]) -> None:
        """Call `act`, and end the run on an error of the journal or an internal one."""
        try:
            act()
        except (JournalError, BugError) as error:
            self._error = self._error or error
            self._over.set()

    async def _work(self) -> None:
        """Run one attempt after another until none may start."""
        try:
            while not self._over.is_set() and self._workers <= self._allowed():
                if (s := self._scheduler.take()) is None:
                    break
                await self._run_attempt(s)
                self._go()
        except (JournalError, BugError) as error:
            self._error = self._error or error
            self._over.set()
        finally:
            self._workers -= 1
        if not self._over.is_set():
            self._guarded(self._go)

    async def _run_attempt(self, s: StepState) -> None:
        number = s.attempt + 1
        failure: e.Failure | None = None
        outcome: Outcome | None = None
        scope = self._scopes[s.id] = anyio.CancelScope()
        try:
            attempt = self._attempt_of(s)
            self._emit(
                e.StepStarted(
                    step=s.id,
                    attempt=number,
                    span=attempt.span,
                    model=attempt.model,
                    key=attempt.key,
                    parts=attempt.parts,
                )
            )
            # Only this await can be cancelled: by the scope (interrupt, deadline, `on_failure: stop`), which ends this
            # attempt and is recorded below, or from outside, which ends the run.
            with scope:
                outcome = await self._executor.execute(attempt, self._emit)
            if scope.cancelled_caught:
                failure = self._cut
        except LimitError as error:
            failure = e.Failure.of(error)
            self._limited(error, s, failure)
        except AttemptError as error:
            failure = e.Failure.of(error)
        except (JournalError, BugError):
            raise
        except anyio.get_cancelled_exc_class():
            # The caller cancelled the run: record the attempt without an await, and pass the cancellation on.
            self._scheduler.ask_to_stop("interrupt", "cancelled by its caller")
            cancelled = e.Failure(kind="cancelled", goes_on=True, message="cancelled by its caller")
            self._scheduler.failed(s.id, number, cancelled)
            raise
        except Exception as error:  # noqa: BLE001 - one broken attempt must not lose the work of the others
            failure = e.Failure(kind="bug", message=self._bug(error))
        finally:
            del self._scopes[s.id]
        if outcome is not None:
            self._scheduler.finished(s.id, number, outcome)
        elif failure is not None:
            pause = self._scheduler.failed(s.id, number, failure)
            if pause is not None and self._tasks is not None:
                self._tasks.start_soon(self._wake_after, pause, s.id)

    def _limited(self, error: LimitError, s: StepState, failure: e.Failure) -> None:
        """Decide what a call that exceeds a limit means for the other steps."""
        if isinstance(error, NoRoomError):
            self._scheduler.fall_short(error.limit, error.value)
            self._scheduler.shortfalls.note(s, failure)
        elif not isinstance(error, TooLargeError):
            self._scheduler.reach(error.limit, error.value)

    async def _wake_after(self, seconds: float, name: str) -> None:
        await anyio.sleep(seconds)
        self._scheduler.wake(name)
        self._guarded(self._go)

    async def _cut_off_after(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._cut_off()

    def _cut_off(self, *, but_report: bool = False) -> None:
        """Cancel the running attempts; with `but_report`, not the report and what reads for it."""
        for name, scope in self._scopes.items():
            if not (but_report and self._scheduler.state.is_report(name)):
                scope.cancel()

    def _watch_the_clock(self) -> None:
        limit = self._scheduler.rules.limits.seconds
        if limit is not None and self._tasks is not None:
            left = limit - self._scheduler.state.t
            self._tasks.start_soon(self._deadline, max(0.0, left - REPORT_SHARE * limit), limit)
            self._tasks.start_soon(self._last_deadline, max(0.0, left), limit)

    async def _deadline(self, seconds: float, limit: float) -> None:
        await anyio.sleep(seconds)
        self._cut = e.Failure(
            kind="limit",
            goes_on=True,
            message=f"limits.seconds: {limit:g} s, less the share of the report, have passed",
        )
        self._guarded(lambda: self._scheduler.reach("seconds", limit))
        self._cut_off(but_report=True)
        self._guarded(self._go)

    async def _last_deadline(self, seconds: float, limit: float) -> None:
        await anyio.sleep(seconds)
        self._cut = e.Failure(kind="limit", goes_on=True, message=f"limits.seconds: {limit:g} s have passed")
        self._cut_off()
