"""Progress of a run in plain lines that a terminal, a pipe and a log can show.

A small run gets a line for each change. A big run gets a line every few seconds, and its failures.

    [12/40 done, 8 running] 1:05 34k tokens  study.3 done in 4.1 s, 1,204 tokens

It reads a state and no clock: the times are those of the run.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from swarm.record.state import State
from swarm.record.steps import Kind, Status, StepState
from swarm.results.measure import Parallelism
from swarm.spec.chat import Usage
from swarm.spec.plan import role_of
from swarm.views.board import Board
from swarm.views.facts import FactFinder
from swarm.views.heartbeat import heartbeat
from swarm.views.paint import Tone, tinted
from swarm.views.parallel import calls, flags, path, speed, width
from swarm.views.steps import ended_alike
from swarm.views.words import (
    LINE_CHARACTERS,
    absences,
    clock,
    counted,
    dollars,
    one_line,
    seconds,
    short,
    some,
    wrapped,
)

BIG = 60
"""Minimum steps of a big run: with two lines per step it would fill several screens."""
ABSENCE_SECONDS = 60.0
"""Seconds between two lines about an endpoint that is gone."""
QUIET_SECONDS = 10.0
"""Maximum seconds of the run's clock without a line."""
EVERY_SECONDS = 5.0
"""Seconds of the run's clock between two lines of a big run."""
MOST_FAILURES = 20
"""Maximum failures of a big run that get a line each; the others are counted."""
HEARTBEAT_CHARACTERS = 400
"""Maximum characters of a line about everything that runs."""

MOST_BAD, NAMED_BAD = 5, 3
"""Maximum reasons for failed or skipped steps in a summary, and steps that it names for each."""

_TONES: dict[str, Tone] = {"done": "good", "failed": "bad"}
"""Tones by the status of a step or of a run; another status is a warning."""


@dataclass(slots=True)
class _Seen:
    """What was printed of a step that has not finished."""

    status: Status = Status.WAITING
    attempt: int = 0
    failures: int = 0
    kind: Kind = "plain"


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    tone: Tone = "plain"
    failure: bool = False


class Progress:
    """Writer of the changes of a run.

    `show` may be called at any time; its cost grows with the number of unfinished steps. `write` receives complete
    lines with their line ends. `board` knows what each agent does. Colours are used only if `color` is true. With
    `failures_only`, only failures, reached limits and the end are written: something else shows the rest.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        board: Board | None = None,
        *,
        color: bool = False,
        failures_only: bool = False,
    ) -> None:
        self._write = write
        self._finder = FactFinder(Board(lambda: self._now) if board is None else board)
        self._failures_only = failures_only
        self._now = 0.0
        self._color = color
        self._begun = False
        self._joined = 0
        self._resumed = 0
        self._open: dict[str, _Seen] = {}
        self._stand_ins: list[str] = []
        self._slots: dict[str, int] = {}
        self._absences: dict[str, int] = {}
        """Minutes for which endpoints have been gone, as far as they were told."""
        self._limits: set[str] = set()
        self._big = False
        self._failures = 0
        self._told_at = 0.0
        self._stale = False

    def show(self, state: State, now: float | None = None) -> None:
        """Write the changes since the last call, at the time `now` of the run's clock [default: its last event]."""
        self._now = state.t if now is None else max(now, state.t)
        self._begin(state)
        lines = [*self._about_run(state), *self._about_steps(state)]
        if not self._is_brief and state.step_count > BIG:
            self._big = True
            size = counted(state.step_count, "step")
            self._line(state, _Line(f"{size}: from now on a line every {EVERY_SECONDS:.0f} s, and failures"))
        for line in lines:
            if self._is_brief and line.failure:
                self._failure(state, line)
            elif not self._is_brief:
                self._line(state, line)
        self._stale = self._stale or bool(lines)
        if not self._failures_only and state.finished is None:
            self._beat(state)

    @property
    def _is_brief(self) -> bool:
        """Whether failures are the only changes that get a line each."""
        return self._big or self._failures_only

    def _beat(self, state: State) -> None:
        """Write a line about everything that runs, if the last line is too old."""
        wait = EVERY_SECONDS if self._big and self._stale else QUIET_SECONDS
        if self._now >= self._told_at + wait:
            self._line(state, _Line(heartbeat(self._finder.facts(state, self._now))), most=HEARTBEAT_CHARACTERS)

    def pause(self, state: State, now: float | None = None) -> None:
        """Write the last changes of a run that is not shown any more."""
        self.show(state, now)

    def end(self, state: State, now: float | None = None) -> None:
        """Write the last changes, and how the run ended."""
        self.show(state, now)
        if self._failures > MOST_FAILURES:
            more = self._failures - MOST_FAILURES
            self._line(state, _Line(f"{counted(more, 'more failure')}", "bad"))
        finished = state.finished
        if finished is None:
            self._line(state, _Line("stopped before the end", "warning"))
            return
        why = f": {finished.because}" if finished.because else ""
        self._line(state, _Line(f"{finished.status}{why}", _TONES.get(finished.status, "warning")))

    # Changes

    def _begin(self, state: State) -> None:
        if self._begun or state.first is None:
            return
        self._told_at = state.t
        self._begun = True
        if state.goal.strip() and not self._failures_only:
            self._write(f"goal: {one_line(state.goal)}\n")

    def _about_run(self, state: State) -> Iterator[_Line]:
        if state.resumed > self._resumed:
            self._resumed = state.resumed
            self._joined = len(state.steps)
            self._open = {
                s.id: _Seen(s.status, s.attempt, s.failures, s.kind) for s in state.steps.values() if not s.over
            }
            self._stand_ins = [s.id for s in state.steps.values() if s.kind == "stand_in"]
            done, total, *_ = self._counts(state)
            yield _Line(f"resumed: {done:,} of {counted(total, 'step')} already done")
        for name, slots in state.slots.items():
            before = self._slots.get(name)
            if before != slots:
                self._slots[name] = slots
                change = f"{slots}" if before is None else f"{before} → {slots}"
                yield _Line(f"{name}: parallel calls {change}", "dim")
        yield from self._about_absences(state)
        for name, value in state.limits_reached.items():
            if name not in self._limits:
                self._limits.add(name)
                text = f"limit {name} reached ({value:,g}): only the report can still start"
                yield _Line(text, "warning", failure=True)

    def _about_absences(self, state: State) -> Iterator[_Line]:
        """Yield when an endpoint is gone, after each minute, and when it is back."""
        for name, away in state.away.items():
            if away.since is not None:
                minutes = int((self._now - away.since) // ABSENCE_SECONDS)
                if self._absences.get(name, -1) < minutes:
                    self._absences[name] = minutes
                    gone = f" for {clock(self._now - away.since)}" if minutes else ""
                    yield _Line(f"{name}: gone{gone}, its steps wait: {away.why}", "warning")
            elif self._absences.pop(name, None) is not None:
                yield _Line(f"{name}: back, {absences(away)} in all", "good")

    def _about_steps(self, state: State) -> Iterator[_Line]:
        for name in islice(state.steps, self._joined, None):
            self._open[name] = _Seen()
        self._joined = len(state.steps)
        for name, seen in list(self._open.items()):
            s = state.steps.get(name)
            if s is not None and s.status is seen.status and s.attempt == seen.attempt:
                continue
            if s is None or s.over:
                del self._open[name]
            if s is not None:
                yield from self._about_step(s, seen)
                seen.status = s.status

    def _about_step(self, s: StepState, seen: _Seen) -> Iterator[_Line]:
        if s.kind == "stand_in":
            if seen.kind != "stand_in":
                seen.kind = "stand_in"
                self._stand_ins.append(s.id)
                yield _Line(f"{s.id}: {counted(len(s.children), 'instance')}")
            return
        again = s.failures > seen.failures and s.status in (Status.READY, Status.RUNNING)
        if again:
            why = f": {s.error.message}" if s.error is not None else ""
            yield _Line(f"{s.id} failed, retrying{why}", "warning")
        if s.status is Status.RUNNING and s.attempt > seen.attempt:
            number = f", attempt {s.attempt}" if s.attempt > 1 else ""
            who = ", ".join(filter(None, (role_of(s.step), s.model)))
            yield _Line(f"{s.id} started ({who}{number})", "dim")
        seen.attempt, seen.failures = s.attempt, s.failures
        if s.over:
            tone = _TONES.get(s.status.value, "warning")
            yield _Line(f"{s.id} {outcome(s)}", tone, failure=s.status is Status.FAILED)

    # Output

    def _failure(self, state: State, line: _Line) -> None:
        self._failures += 1
        if self._failures <= MOST_FAILURES:
            self._line(state, line)
        if self._failures == MOST_FAILURES:
            self._line(state, _Line("more failures are counted, not shown", "warning"))

    def _line(self, state: State, line: _Line, most: int = LINE_CHARACTERS) -> None:
        self._told_at, self._stale = self._now, False
        done, total, running, failed = self._counts(state)
        counts = [f"{done}/{total} done"]
        counts += [f"{running} running"] if running else []
        counts += [f"{failed} failed"] if failed else []
        paid = f" {dollars(state.usage.cost)}" if state.usage.cost else ""
        used = f"{clock(self._now)} {short(state.usage.tokens)} tokens{paid}"
        head = self._painted(f"[{', '.join(counts)}] {used}", "dim")
        self._write(f"{head}  {self._painted(one_line(line.text, most), line.tone)}\n")

    def _painted(self, text: str, tone: Tone) -> str:
        return tinted(text, tone, color=self._color)

    def _counts(self, state: State) -> tuple[int, int, int, int]:
        """Return the numbers of real steps: done, all, running, failed."""
        real = dict(state.counts)
        for name in self._stand_ins:
            if name in state.steps:
                real[state.steps[name].status] -= 1
        failed = real[Status.FAILED] + real[Status.LIMITED] + real[Status.CANCELLED]
        return real[Status.DONE], sum(real.values()), real[Status.RUNNING], failed


def outcome(s: StepState) -> str:
    """Return how a step ended, in one line: `done in 4.1 s, 1,204 tokens`."""
    if s.kind == "stand_in":
        return f"{s.status}: {counted(len(s.children), 'instance')}"
    if s.status is Status.DONE:
        more = f", {counted(len(s.children), 'step')} planned" if s.children else ""
        if s.outcome.cached:
            return f"done: taken from the cache{more}"
        took = sum((span.end or span.start) - span.start for span in s.spans)
        return f"done in {seconds(took)}, {counted(s.usage.tokens, 'token')}{more}"
    why = s.because if s.status is Status.SKIPPED else _message(s)
    return f"{s.status}: {why}" if why else str(s.status)


def _message(s: StepState) -> str:
    return "" if s.error is None else s.error.message


def summary(state: State, parallelism: Parallelism) -> str:
    """Return in a few lines how a run ended, what it used and how parallel it was."""
    real = list(state.real_steps())
    lines = [_totals(state, real)]
    if state.finished is not None and state.finished.because:
        lines.append(f"Reason: {one_line(state.finished.because)}")
    if len(real) > 1 and parallelism.work_seconds > 0:  # a run from the cache has no speed-up
        about = [speed(parallelism), calls(parallelism), width(parallelism), path(parallelism)]
        lines += [wrapped(line) for line in about if line]
    lines += [wrapped(f"! {flag}") for flag in flags(parallelism)]
    return "\n".join([*lines, *_not_done(real), *_doubted(real), *_learnt(state), *_media(real)])


def _totals(state: State, real: Sequence[StepState]) -> str:
    """Return the status, and what was done and used."""
    done = sum(s.status is Status.DONE for s in real)
    cached = sum(s.outcome.cached for s in real)
    status = "stopped before the end" if state.finished is None else state.finished.status
    parts = [
        f"{status}: {done:,} of {counted(len(real), 'step')} done"
        + (f" ({cached:,} from the cache)" if cached else ""),
        counted(state.usage.calls, "call"),
        counted(state.usage.tokens, "token") + (" (partly estimated)" if state.usage.estimated else ""),
        *([dollars(state.usage.cost)] if state.usage.tokens else []),
        *_unanswered(state.usage),
        seconds(state.t),
    ]
    return ", ".join(parts)


def _unanswered(usage: Usage) -> Iterator[str]:
    """Return what may have been billed in addition, for calls without an answer."""
    if usage.unanswered_tokens:
        paid = f", {dollars(usage.unanswered_cost)}" if usage.unanswered_cost else ""
        yield f"up to {counted(usage.unanswered_tokens, 'token')}{paid} more for failed calls"


def _not_done(real: Sequence[StepState]) -> Iterator[str]:
    """Return the first steps that failed or were skipped, and the number of the others."""
    groups = ended_alike(real)
    for group in groups[:MOST_BAD]:
        yield one_line(f"{some([s.id for s in group], NAMED_BAD)} {outcome(group[0])}")
    more = sum(map(len, groups[MOST_BAD:]))
    if more:
        yield f"and {more:,} more steps that are not done"


def _doubted(real: Sequence[StepState]) -> Iterator[str]:
    """Return the doubts about the first outputs that may be incomplete, and the number of the others."""
    found = [s for s in real if s.outcome.doubts]
    for s in found[:MOST_BAD]:
        yield one_line(f"warning: {s.id}: {'; '.join(s.outcome.doubts)}")
    if len(found) > MOST_BAD:
        yield f"warning: and {len(found) - MOST_BAD:,} more outputs that may be incomplete"


def _learnt(state: State) -> Iterator[str]:
    """Return the contexts that refusals taught, and what would have helped: longer texts were read in parts."""
    for alias, why in state.context_errors.items():
        size = state.contexts[alias]
        yield one_line(f"warning: {alias} reads {size:,} tokens at once, longer texts in parts: {why}")


def _media(real: Sequence[StepState]) -> Iterator[str]:
    """Return how many files the steps left, by kind: what a model spoke, and what tools wrote or showed."""
    made = [made.mime for made in chain.from_iterable(s.outcome.media for s in real)]
    spoken = sum(mime.startswith("audio/") for mime in made)
    for files, kind in ((spoken, "audio file"), (len(made) - spoken, "file")):
        if files:
            yield f"{counted(files, kind)} in the folder of the run"
