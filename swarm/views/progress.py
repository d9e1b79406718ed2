"""Progress in plain lines: what is new since the last look, each line whole, so that a pipe, a log and a person can
read it. A small run gets a line for each thing that happens; a big one a line every few seconds, and its failures.

    [12/40 done, 8 running] 1:05 34k tokens  study.3 done in 4.1 s, 1,204 tokens

It reads a state and no clock: times are the run's own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from swarm.measure import Parallelism
from swarm.state import State, Status, StepState
from swarm.views.parallel import flags, path, speed, width
from swarm.views.words import clock, counted, dollars, one_line, seconds, short, some, wrapped

BIG = 60
"""Steps from which a run is big: two lines each would run past any screen."""
EVERY_SECONDS = 5.0
"""Of the run's clock, between two lines of a big run."""
MOST_FAILURES = 20
"""Failures of a big run that get a line each; the rest are in the counts."""
NAMED = 2
"""Running steps that a line of a big run names."""

MOST_BAD = 5
"""Steps that did not succeed that a summary names."""

Tone = Literal["plain", "good", "warning", "bad", "dim"]
_CODES: tuple[tuple[Tone, str], ...] = (("good", "32"), ("warning", "33"), ("bad", "31"), ("dim", "2"))


@dataclass(slots=True)
class _Seen:
    """What was told of a step that is not over yet."""

    status: Status = Status.WAITING
    attempt: int = 0
    failures: int = 0
    expanded: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    tone: Tone = "plain"
    failure: bool = False


class Progress:
    """Writes what is new in a run. Look at the state as often as you like; what a look costs grows with the steps that
    are not over. `write` gets whole lines with their line end; colours are used only if `color` is set.
    """

    def __init__(self, write: Callable[[str], object], *, color: bool = False) -> None:
        self._write = write
        self._color = color
        self._begun = False
        self._joined = 0
        self._resumed = 0
        self._open: dict[str, _Seen] = {}
        self._stand_ins: list[str] = []
        self._slots: dict[str, int] = {}
        self._limits: set[str] = set()
        self._big = False
        self._failures = 0
        self._told_at = 0.0
        self._stale = False

    def show(self, state: State) -> None:
        """Write what is new."""
        self._begin(state)
        lines = [*self._about_run(state), *self._about_steps(state)]
        if not self._big and len(state.steps) - state.stand_ins > BIG:
            self._big = True
            size = counted(len(state.steps) - state.stand_ins, "step")
            self._line(state, _Line(f"{size}: a line every {EVERY_SECONDS:.0f} s from here on, and failures"))
        for line in lines:
            if not self._big:
                self._line(state, line)
            elif line.failure:
                self._failure(state, line)
        self._stale = self._stale or bool(lines)
        if self._big and self._stale and state.t >= self._told_at + EVERY_SECONDS:
            self._line(state, _Line(_at_work(state)))

    def end(self, state: State) -> None:
        """Write what is new, and how the run ended."""
        self.show(state)
        if self._big and self._failures > MOST_FAILURES:
            more = self._failures - MOST_FAILURES
            self._line(state, _Line(f"{counted(more, 'further failure')} in all", "bad"))
        finished = state.finished
        if finished is None:
            self._line(state, _Line("stopped before its end", "warning"))
            return
        why = f": {finished.because}" if finished.because else ""
        tone: Tone = "good" if finished.status == "done" else "bad" if finished.status == "failed" else "warning"
        self._line(state, _Line(f"{finished.status}{why}", tone))

    # What is new

    def _begin(self, state: State) -> None:
        if self._begun or state.first is None:
            return
        self._begun = True
        goal = state.task.get("goal")
        if isinstance(goal, str) and goal.strip():
            self._write(f"goal: {one_line(goal)}\n")

    def _about_run(self, state: State) -> Iterator[_Line]:
        if state.resumed > self._resumed:
            self._resumed = state.resumed
            self._joined = len(state.steps)
            self._open = {
                s.id: _Seen(s.status, s.attempt, s.failures, s.expanded) for s in state.steps.values() if not s.over
            }
            self._stand_ins = [s.id for s in state.steps.values() if s.expanded]
            done, total, *_ = self._counts(state)
            yield _Line(f"resumed: {done:,} of {counted(total, 'step')} done before")
        for name, slots in state.slots.items():
            if self._slots.get(name) != slots:
                self._slots[name] = slots
                yield _Line(f"{name} takes {counted(slots, 'call')} at once", "dim")
        for name, value in state.limits_reached.items():
            if name not in self._limits:
                self._limits.add(name)
                yield _Line(f"limit {name} reached ({value:,g}): only the report still starts", "warning", failure=True)

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
        if s.expanded:
            if not seen.expanded:
                seen.expanded = True
                self._stand_ins.append(s.id)
                yield _Line(f"{s.id}: {counted(len(s.children), 'instance')}")
            return
        again = s.failures > seen.failures and s.status in (Status.READY, Status.RUNNING)
        if again:
            why = f": {s.error.message}" if s.error is not None else ""
            yield _Line(f"{s.id} failed and is tried again{why}", "warning")
        if s.status is Status.RUNNING and s.attempt > seen.attempt:
            number = f", attempt {s.attempt}" if s.attempt > 1 else ""
            yield _Line(f"{s.id} started ({s.step.agent}, {s.model}{number})", "dim")
        seen.attempt, seen.failures = s.attempt, s.failures
        if s.over:
            yield _Line(f"{s.id} {outcome(s)}", _tone(s.status), failure=s.status is Status.FAILED)

    # How it is written

    def _failure(self, state: State, line: _Line) -> None:
        self._failures += 1
        if self._failures <= MOST_FAILURES:
            self._line(state, line)
        if self._failures == MOST_FAILURES:
            self._line(state, _Line("further failures are only counted", "warning"))

    def _line(self, state: State, line: _Line) -> None:
        self._told_at, self._stale = state.t, False
        done, total, running, failed = self._counts(state)
        counts = [f"{done}/{total} done", f"{running} running" if running else "", f"{failed} failed" if failed else ""]
        head = f"[{', '.join(filter(None, counts))}] {clock(state.t)} {short(state.usage.tokens)} tokens{_paid(state)}"
        self._write(f"{self._painted(head, 'dim')}  {self._painted(one_line(line.text), line.tone)}\n")

    def _painted(self, text: str, tone: Tone) -> str:
        code = next((code for known, code in _CODES if known == tone), "") if self._color else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text

    def _counts(self, state: State) -> tuple[int, int, int, int]:
        """Count real steps: done, all, running, failed."""
        real = dict(state.counts)
        for name in self._stand_ins:
            if name in state.steps:
                real[state.steps[name].status] -= 1
        failed = real[Status.FAILED] + real[Status.LIMITED] + real[Status.CANCELLED]
        return real[Status.DONE], sum(real.values()), real[Status.RUNNING], failed


def outcome(s: StepState) -> str:
    """Say how a step ended, in one line: `done in 4.1 s, 1,204 tokens`."""
    if s.expanded:
        return f"{s.status}: {counted(len(s.children), 'instance')}"
    if s.status is Status.DONE:
        more = f", {counted(len(s.children), 'step')} planned" if s.children else ""
        if s.cached:
            return f"done: taken from the cache{more}"
        took = sum((span.end or span.start) - span.start for span in s.spans)
        return f"done in {seconds(took)}, {counted(s.usage.tokens, 'token')}{more}"
    why = s.because if s.status is Status.SKIPPED else s.error.message if s.error is not None else ""
    return f"{s.status}: {why}" if why else str(s.status)


def summary(state: State, parallelism: Parallelism) -> str:
    """Say in a few lines how a run ended, what it used and how parallel it was."""
    real = list(state.real_steps())
    good = sum(s.status is Status.DONE for s in real)
    cached = sum(s.cached for s in real)
    status = "stopped before its end" if state.finished is None else state.finished.status
    parts = [
        f"{status}: {good:,} of {counted(len(real), 'step')} done"
        + (f" ({cached:,} from the cache)" if cached else ""),
        counted(state.usage.calls, "call"),
        f"{counted(state.usage.tokens, 'token')}{' (in part estimated)' if state.usage.estimated else ''}",
        *([dollars(state.usage.cost)] if state.usage.tokens else []),
        seconds(state.t),
    ]
    lines = [", ".join(parts)]
    if state.finished is not None and state.finished.because:
        lines.append(f"because: {one_line(state.finished.because)}")
    if len(real) > 1:
        about = [speed(parallelism), width(parallelism), path(parallelism)]
        lines += [wrapped(line) for line in about if line]
    lines += [wrapped(f"! {flag}") for flag in flags(parallelism)]
    bad = [s for s in real if s.over and s.status is not Status.DONE]
    lines += [one_line(f"{s.id} {outcome(s)}") for s in bad[:MOST_BAD]]
    if len(bad) > MOST_BAD:
        lines.append(f"and {len(bad) - MOST_BAD:,} more steps that are not done")
    files = sum(len(s.media) for s in real)
    lines += [f"{counted(files, 'sound')} in the run's folder: swarm show last"] if files else []
    return "\n".join(lines)


def _paid(state: State) -> str:
    """Say what a run has cost so far, where that is known and not nothing: it would be in every line."""
    return f" {dollars(state.usage.cost)}" if state.usage.cost else ""


def _tone(status: Status) -> Tone:
    return "good" if status is Status.DONE else "bad" if status is Status.FAILED else "warning"


def _at_work(state: State) -> str:
    running = [s.id for s in state.steps.values() if s.status is Status.RUNNING and not s.expanded]
    waiting = state.counts[Status.WAITING] + state.counts[Status.READY]
    return f"{some(running, NAMED) or 'nothing'} at work, {waiting:,} to go"
