"""Anything may happen to a run, in any order: a state machine over the decisions, against a small model of the rules.

The clock is a number. Every crash throws the memory away and goes on from the events alone, as a process would.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm.attempt.types import Attempt
from swarm.base.errors import AnswerError, AttemptError, EndpointBusy, EndpointRefused
from swarm.lifecycle.invalidate import invalidation
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.plan import Step, before_of
from swarm.spec.task import Limits
from tests.swarms import layered, simple_attempt
from tests.test_state import check

WORKERS = 3


class Recorded:
    """A journal in memory, and the state that is its fold."""

    def __init__(self, events: list[e.Stamped] | None = None) -> None:
        self.events = [] if events is None else events
        self.state = State()
        self.t = 0.0
        for event in self.events:
            self.state.apply(event)

    def __call__(self, event: e.Stamped) -> None:
        """Stamp, keep, apply."""
        self.t += 1
        stamped = event.model_copy(update={"seq": len(self.events) + 1, "t": self.t})
        self.events.append(stamped)
        self.state.apply(stamped)


class Runs(RuleBasedStateMachine):
    """One run: its steps start, finish, fail, spawn, are cancelled; its process dies and another goes on."""

    @initialize(seed=st.integers(0, 10**6), count=st.integers(1, 12), each=st.booleans())
    def begin(self, seed: int, count: int, each: bool) -> None:
        graph, _ = layered(seed, count, 4)
        if each:
            graph = (*graph, Step(id="each", each=("p", "q", "r")), Step(id="after", after=("each",)))
        self.log = Recorded()
        self.log(e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=()))
        self.log(e.StepsAdded(by="task", steps=graph))
        self.running: dict[str, Attempt] = {}
        self.pausing: list[str] = []
        self.done: dict[str, object] = {}
        self.answers: dict[str, int] = {}
        self.spawned = 0
        self.decide()

    def decide(self) -> None:
        rules = Rules(limits=Limits(workers=WORKERS))
        self.scheduler = Scheduler(self.log.state, self.log, rules, lambda s: s.outcome.output)
        self.scheduler.settle()

    @precondition(lambda self: len(self.running) < WORKERS)
    @rule()
    def start(self) -> None:
        s = self.scheduler.take()
        if s is None:
            return
        before = [self.log.state.steps[name] for name in before_of(s.step)]
        assert all(other.settled for other in before), "a step started before what it waits for was over"
        assert s.id not in self.running, "a step runs twice at once"
        assert s.id not in self.done, "a step that was done is paid for again"
        attempt = simple_attempt(s)
        self.log(e.StepStarted(step=s.id, attempt=attempt.attempt, span="", model="default"))
        self.running[s.id] = attempt

    def pick(self, data: st.DataObject) -> Attempt:
        return self.running.pop(data.draw(st.sampled_from(sorted(self.running))))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        attempt = self.pick(data)
        self.answers[attempt.step.id] = self.answers.get(attempt.step.id, 0) + 1
        self.done[attempt.step.id] = self.answers[attempt.step.id]
        self.scheduler.finished(attempt.step.id, attempt.attempt, Outcome(output=self.answers[attempt.step.id]))

    @precondition(lambda self: self.running and self.spawned < 4)
    @rule(data=st.data())
    def spawn(self, data: st.DataObject) -> None:
        attempt, self.spawned = self.pick(data), self.spawned + 1
        new = (Step(id=f"w{self.spawned}"), Step(id=f"x{self.spawned}", needs=(f"w{self.spawned}",)))
        self.done[attempt.step.id] = "spawned"
        self.scheduler.finished(attempt.step.id, attempt.attempt, Outcome(output="spawned", spawned=new))

    def fail(self, attempt: Attempt, error: AttemptError) -> None:
        if self.scheduler.failed(attempt.step.id, attempt.attempt, e.Failure.of(error)) is not None:
            self.pausing.append(attempt.step.id)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), kind=st.sampled_from(["answer", "refused", "rate_limited", "quota"]))
    def go_wrong(self, data: st.DataObject, kind: str) -> None:
        errors: dict[str, AttemptError] = {
            "answer": AnswerError("no"),
            "refused": EndpointRefused("no", kind="bad_request"),
            "rate_limited": EndpointBusy("slow down", kind="rate_limited"),
            "quota": EndpointRefused("spent", kind="quota", stops=True),
        }
        self.fail(self.pick(data), errors[kind])

    @precondition(lambda self: self.pausing)
    @rule()
    def wake(self) -> None:
        self.scheduler.wake(self.pausing.pop(0))

    @rule()
    def interrupt(self) -> None:
        self.scheduler.ask_to_stop("interrupt", "SIGINT")
        for attempt in list(self.running.values()):
            failure = e.Failure(kind="cancelled", message="SIGINT", goes_on=True)
            assert self.scheduler.failed(attempt.step.id, attempt.attempt, failure) is None
        self.running.clear()
        assert self.scheduler.take() is None, "something started after an interrupt"
        assert self.scheduler.over
        self.log(self.scheduler.finish())
        self.go_on(failed=False)

    @rule(torn=st.integers(0, 3), failed=st.booleans())
    def crash(self, torn: int, failed: bool) -> None:
        """Die; up to three last events were never written, and with them what acted on them."""
        keep = max(2, len(self.log.events) - torn)
        self.log = Recorded(self.log.events[:keep])
        self.done = {name: value for name, value in self.done.items() if self.is_done(name)}
        self.go_on(failed=failed)

    def is_done(self, name: str) -> bool:
        s = self.log.state.steps.get(name)
        return s is not None and s.status is Status.DONE

    def go_on(self, *, failed: bool) -> None:
        log = self.log = Recorded(list(self.log.events))
        log.t = log.state.t
        again = invalidation(log.state, failed=failed)
        log(e.RunResumed(task={}, agents=(), versions={}, reopened=again.reopened, voided=again.voided))
        for name in (*again.reopened, *again.voided):
            self.done.pop(name, None)
        self.running.clear()
        self.pausing.clear()
        self.decide()

    @invariant()
    def the_state_is_what_the_rules_say(self) -> None:
        if not hasattr(self, "log"):
            return
        check(self.log.state)
        for name, value in self.done.items():
            s = self.log.state.steps[name]
            assert s.status is Status.DONE, f"{name} was done, and is {s.status}"
            assert s.outcome.output == value, f"{name} gave {value}, and the state has {s.outcome.output}"

    def teardown(self) -> None:
        """Let whatever is left run to its end: every run ends."""
        if not hasattr(self, "log"):
            return
        for _ in range(500):
            for attempt in list(self.running.values()):
                self.running.pop(attempt.step.id)
                self.scheduler.finished(attempt.step.id, attempt.attempt, Outcome(output="end"))
            for name in self.pausing:
                self.scheduler.wake(name)
            self.pausing.clear()
            if self.scheduler.over:
                break
            while len(self.running) < WORKERS and (s := self.scheduler.take()) is not None:
                attempt = self.running[s.id] = simple_attempt(s)
                self.log(e.StepStarted(step=s.id, attempt=attempt.attempt, span="", model="default"))
        assert self.scheduler.over, "the run does not end"
        self.log(self.scheduler.finish())
        assert sum(isinstance(event, e.RunFinished) for event in self.log.events[-1:]) == 1


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
