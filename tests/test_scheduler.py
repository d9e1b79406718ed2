"""The decisions of a run: ranks, pauses, room for instances, and which reason to stop counts."""

import anyio
import pytest

from swarm.base.errors import LimitError
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.steps import Status
from swarm.results.result import EXIT_CODES
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.scheduler import LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, Rules, Scheduler
from swarm.spec.agent import Agent
from swarm.spec.plan import Step
from swarm.spec.task import Limits
from tests.swarms import Sleeper, run_steps, steps, workers
from tests.test_machine import Recorded

virtual = [pytest.mark.anyio, pytest.mark.virtual]
MAY_HELP = e.Failure(kind="empty", message="no", may_help=True)


def scheduler_of(*graph: Step, rules: Rules | None = None) -> Scheduler:
    log = Recorded()
    log(e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=()))
    log(e.StepsAdded(by="task", steps=graph))
    return Scheduler(log.state, log, rules or Rules(), lambda s: s.outcome.output)


def work_off(scheduler: Scheduler) -> None:
    """Take and finish steps until none is ready."""
    while (s := scheduler.take()) is not None:
        scheduler.state.apply(e.StepStarted(step=s.id, attempt=1, span="", model=""))
        scheduler.finished(s.id, 1, Outcome(output="Done."))


def pauses(failures: int, seed: int) -> list[float]:
    """Fail a step so many times; return the pauses before its next attempts."""
    scheduler = scheduler_of(Step(id="a", retries=failures), rules=Rules(seed=seed))
    found: list[float] = []
    for _ in range(failures):
        s = scheduler.take()
        assert s is not None
        scheduler.state.apply(e.StepStarted(step="a", attempt=s.failures + 1, span="", model=""))
        pause = scheduler.failed("a", s.failures + 1, MAY_HELP)
        assert pause is not None
        found.append(pause)
        scheduler.wake("a")
        assert scheduler.pausing == 0
    return found


def test_the_longest_pause_doubles_with_each_failure_up_to_a_limit() -> None:
    longest = [max(drawn) for drawn in zip(*(pauses(8, seed) for seed in range(100)), strict=True)]
    for failures, found in enumerate(longest):
        limit = min(PAUSE_SECONDS * 2**failures, LONGEST_PAUSE_SECONDS)
        assert limit * 0.75 < found <= limit, f"after {failures + 1} failures"


class TestRank:
    pytestmark = virtual
    GRAPH = (
        Step(id="small"),
        Step(id="large"),
        Step(id="after-small", needs=("small",), seconds=3),
        Step(id="after-large", needs=("large",), seconds=30),
    )

    async def test_the_planner_with_more_work_behind_it_starts_first(self) -> None:
        ran = await run_steps(self.GRAPH, Sleeper(), workers(1))
        assert [name for name, _ in ran.sleeper.log][:2] == ["large", "after-large"]

    async def test_a_wave_ranks_by_the_work_behind_its_planner(self) -> None:
        gives = {name: Outcome(output="", spawned=(Step(id=f"wave-{name}"),)) for name in ("small", "large")}
        graph = (*self.GRAPH, Step(id="single", seconds=20))
        ran = await run_steps(graph, Sleeper(gives=gives), workers(1))
        order = [name for name, _ in ran.sleeper.log]
        large, small = ["large", "wave-large", "after-large"], ["small", "wave-small", "after-small"]
        assert order == [*large, "single", *small]


class TestExpectedSeconds:
    """Of a wave whose steps give no seconds, the one expected to take longest starts first."""

    pytestmark = virtual

    async def order(self, wave: str, **gives: Outcome) -> list[str]:
        """Run a slow and a quick step, then a wave of these roles; return the order of the wave."""
        first = (Step(id="s", agent="slow"), Step(id="q", agent="quick"), *steps("next:s,q"))
        spawned = tuple(Step(id=f"wave-{name}", agent=name) for name in wave.split())
        table = {**gives, "next": Outcome(output="", spawned=spawned)}
        ran = await run_steps(first, Sleeper({"s": 9.0, "q": 0.5}, table), workers(1))
        return [name for name, _ in ran.sleeper.log if name.startswith("wave")]

    async def test_they_are_learnt_from_similar_steps(self) -> None:
        assert await self.order("quick slow") == ["wave-slow", "wave-quick"]

    async def test_they_are_the_mean_of_the_similar_steps(self) -> None:
        """Seconds of a plan compare with them: a mean of 5 s is between 4 and 6."""
        for expected, order in ((4.0, ["wave-0", "wave-1"]), (6.0, ["wave-1", "wave-0"])):
            wave = (Step(id="wave-0", agent="slow"), Step(id="wave-1", agent="other", seconds=expected))
            first = (Step(id="s", agent="slow"), Step(id="t", agent="slow"), *steps("next:s,t"))
            ran = await run_steps(
                first, Sleeper({"s": 3.0, "t": 7.0}, {"next": Outcome(output="", spawned=wave)}), workers(1)
            )
            assert [name for name, _ in ran.sleeper.log if name.startswith("wave")] == order

    async def test_they_are_not_learnt_from_cached_steps(self) -> None:
        hit = Outcome(output="", cached=True)
        assert await self.order("quick slow", s=hit, q=hit) == ["wave-quick", "wave-slow"]


class TestRoom:
    """Instances of an `each` step count against `limits.steps`; the step they replace does not."""

    LIMITS = Limits(steps=8)

    @pytest.mark.parametrize(("items", "status"), [(6, Status.RUNNING), (7, Status.LIMITED)])
    def test_exactly_as_many_instances_as_there_is_room_for(self, items: int, status: Status) -> None:
        study = Step(id="study", each=tuple(range(items)))
        scheduler = scheduler_of(study, *steps("a b"), rules=Rules(limits=self.LIMITS))
        scheduler.settle()
        assert scheduler.state.steps["study"].status is status
        assert len(list(scheduler.state.real_steps())) == (8 if status is Status.RUNNING else 3)
        assert scheduler.stop == "", "the other steps go on"
        work_off(scheduler)
        assert (scheduler.stop == "limit") is (status is Status.LIMITED)

    @pytest.mark.parametrize(("items", "status"), [(3, Status.RUNNING), (4, Status.LIMITED)])
    def test_an_earlier_stand_in_takes_no_room(self, items: int, status: Status) -> None:
        study = (Step(id="first", each=(1, 2, 3)), Step(id="study", each=tuple(range(items))))
        scheduler = scheduler_of(*study, *steps("a b"), rules=Rules(limits=self.LIMITS))
        scheduler.settle()
        assert scheduler.state.steps["study"].status is status

    def test_a_list_beyond_the_limit_costs_only_its_own_step(self) -> None:
        graph = (Step(id="long", each=tuple(range(9))), Step(id="short", each=(1,)), *steps("end:+long,short"))
        scheduler = scheduler_of(*graph, rules=Rules(limits=self.LIMITS))
        work_off(scheduler)
        statuses = {name: s.status for name, s in scheduler.state.steps.items()}
        done = Status.DONE
        assert statuses == {"long": Status.LIMITED, "short": done, "short.1": done, "end": done}
        assert scheduler.state.limits_reached == {"steps": 8}


class TestStop:
    @pytest.mark.anyio
    @pytest.mark.virtual
    async def test_a_limit_reached_after_an_interrupt_leaves_the_run_cancelled(self) -> None:
        async def interrupt(scheduler: Dispatcher) -> None:
            await anyio.sleep(2)
            scheduler.interrupt("SIGINT", grace=10)

        gives = {"a": LimitError("tokens are spent", limit="tokens", value=100)}
        sleeper = Sleeper({"a": 5, "b": 8}, gives)
        ran = await run_steps(steps("a b end:+a,b"), sleeper, workers(2), interrupt)
        assert ran.state.limits_reached == {"tokens": 100}
        finished = ran.state.finished
        assert finished is not None
        assert (finished.status, finished.because) == ("cancelled", "SIGINT")
        assert EXIT_CODES[finished.status] == 130
        assert ran.began("end") == []

    def test_an_interrupt_after_a_limit_replaces_it(self) -> None:
        scheduler = scheduler_of(*steps("a end:+a"))
        scheduler.reach("tokens", 100)
        scheduler.ask_to_stop("interrupt", "SIGINT")
        assert scheduler.take() is None
        assert scheduler.finish().status == "cancelled"


class TestRounds:
    def test_plans_made_before_a_resume_count(self) -> None:
        """`limits.rounds` is of the whole run."""
        planner = Agent(name="planner", instructions="Plan.", output="plan")
        log = Recorded()
        state = log.state
        log(e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=(planner,)))
        log(e.StepsAdded(by="run", steps=(Step(id="plan", agent="planner"),)))
        log(e.StepStarted(step="plan", attempt=1, span="", model=""))
        more = Step(id="more", agent="planner")
        wave = (Step(id="study", each=(1, 2)), more, *steps("end:study+more"))
        log(e.StepFinished(step="plan", attempt=1, outcome=Outcome(output={}, spawned=wave)))
        instances = tuple(Step(id=f"study.{n}", instance_of="study") for n in (1, 2))
        log(e.StepsAdded(by="study", steps=instances))
        assert state.plans == 1
        log(e.RunResumed(task={}, agents=(planner,), versions={}, reopened=(), voided=()))
        assert state.plans == 1
        scheduler = Scheduler(state, log, Rules(limits=Limits(rounds=1)), lambda s: s.outcome.output)
        scheduler.settle()
        taken = [scheduler.take() for _ in range(3)]
        assert state.steps["more"] in taken
        for s in filter(None, taken):
            log(e.StepStarted(step=s.id, attempt=1, span="", model=""))
        scheduler.finished("more", 1, Outcome(output={}, spawned=(Step(id="w"),)))
        assert state.steps["more"].status is Status.LIMITED
        assert state.limits_reached == {}, "the instances of `study` go on"
        for n in (1, 2):
            scheduler.finished(f"study.{n}", 1, Outcome(output="Found."))
        assert state.limits_reached == {"rounds": 1}
