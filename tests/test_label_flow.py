"""The labels of what a step is told, by each of the roads that words take."""

import pytest

from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.scheduling.label_flow import LabelFlow
from swarm.spec.agent import Agent
from swarm.spec.plan import Step
from tests.swarms import WORKER, steps

PLANNER = Agent(name="planner", instructions="Plan.", output="plan")


class Told:
    """A run that is told by its events; `own` gives the labels of what steps read themselves."""

    def __init__(self, graph: tuple[Step, ...], **own: str) -> None:
        self.state = State()
        self.own = own
        self.asked: list[str] = []
        self._t = 0.0
        self.say(e.RunStarted(run="r", trace="", versions={}, task={}, agents=(WORKER, PLANNER)))
        self.say(e.StepsAdded(by="task", steps=graph))
        self.carried = LabelFlow(self.state, self._own, {"red", "blue", "odd"})

    def _own(self, s: StepState) -> list[str]:
        self.asked.append(s.id)
        return self.own.get(s.id, "").split()

    def say(self, event: e.Stamped) -> None:
        self._t += 1
        self.state.apply(event.model_copy(update={"t": self._t}))

    def start(self, *names: str) -> None:
        for name in names:
            self.say(e.StepStarted(step=name, attempt=1, span="", model="default"))

    def end(self, name: str, *spawned: Step, agents: tuple[Agent, ...] = ()) -> None:
        self.say(e.StepFinished(step=name, attempt=1, outcome=Outcome(output="x", spawned=spawned, agents=agents)))

    def over(self, name: str, *spawned: Step, agents: tuple[Agent, ...] = ()) -> None:
        self.start(name)
        self.end(name, *spawned, agents=agents)

    def of(self, name: str) -> str:
        return " ".join(self.carried.of(self.state.steps[name]))


def planner(name: str, *needs: str) -> Step:
    return Step(id=name, agent="planner", needs=needs)


def test_outputs_carry_what_they_were_made_from() -> None:
    told = Told(steps("a b c:a d:c e:c+b f"), a="red", b="blue")
    assert [told.of(name) for name in "abcdef"] == ["red", "blue", "red", "red", "blue red", ""]


def test_what_a_failed_step_would_have_read_and_why_it_failed_is_labelled() -> None:
    told = Told(steps("a b:a c:+b"), a="red")
    told.over("a")
    told.start("b")
    told.say(e.StepFailed(step="b", attempt=1, error=e.Failure(kind="form", message="no")))
    assert told.of("c") == "red"


def test_what_a_planner_spawns_carries_what_it_read_and_its_waiters_read_it() -> None:
    told = Told((*steps("a"), planner("p", "a"), Step(id="z", needs=("p",)), Step(id="y")), a="red")
    told.over("a")
    told.over("p", Step(id="w"), Step(id="v"))
    assert (told.of("w"), told.of("v"), told.of("z"), told.of("y")) == ("red", "red", "red", "")


def test_a_waiter_reads_what_was_spawned_and_siblings_do_not() -> None:
    told = Told((Step(id="s", each=("x", "y")), Step(id="z", needs=("s",))))
    told.own |= {"s.1": "red", "s.2": "blue"}
    items = tuple(Step(id=f"s.{n}", instance_of="s", item=n) for n in (1, 2))
    told.say(e.StepsAdded(by="s", steps=items))
    assert (told.of("s.1"), told.of("s.2"), told.of("s")) == ("red", "blue", "")
    assert told.of("z") == "blue red"
    assert told.carried.output_of(told.state.steps["s"]) == ("blue", "red")


def test_who_reads_a_step_that_spawned_others_carries_its_labels_and_theirs() -> None:
    """It reads that step's own output only; to carry more than was read is safe, to carry less is not."""
    told = Told(steps("a d:a z:d y:+z"), a="red")
    told.own |= {"p": "blue"}
    told.over("a")
    told.over("d", *steps("p"))
    assert (told.of("d"), told.of("p")) == ("red", "blue red")
    assert told.of("z") == told.of("y") == "blue red"
    assert told.carried.output_of(told.state.steps["d"]) == ("blue", "red")


def test_a_role_carries_what_its_planner_read() -> None:
    """Its instructions are that planner's words, whoever uses it."""
    auditor = Agent(name="auditor", instructions="Audit.")
    told = Told((*steps("a"), planner("p", "a"), Step(id="u", agent="auditor"), Step(id="o")), a="red")
    told.over("a")
    told.over("p", Step(id="w", agent="auditor"), agents=(auditor,))
    assert (told.of("u"), told.of("o")) == ("red", "")


def test_a_role_whose_planner_is_gone_carries_every_label() -> None:
    told = Told((Step(id="u", agent="ghost"),))
    assert told.of("u") == "blue odd red"


def test_a_planner_is_told_the_names_that_planners_before_it_chose() -> None:
    told = Told((*steps("a"), planner("p", "a"), planner("q"), planner("r")), a="red")
    told.over("q", Step(id="early"))
    told.over("a")
    told.over("p", Step(id="w"))
    assert told.of("r") == "red"
    assert (told.of("q"), told.of("early")) == ("", ""), "what was over before was told nothing of it"


def test_the_next_attempt_of_a_planner_has_the_labels_of_the_names_that_exist_by_then() -> None:
    told = Told((*steps("a"), planner("p", "a"), planner("r")), a="red")
    assert told.of("r") == ""
    told.over("a")
    told.over("p", Step(id="w"))
    assert told.of("r") == "red"


@pytest.mark.parametrize("count", [200])
def test_a_step_s_labels_are_worked_out_once(count: int) -> None:
    graph = steps(" ".join(["s0", *(f"s{n}:s{n - 1}" for n in range(1, count))]))
    told = Told(graph, s0="red")
    for step in graph:
        assert told.of(step.id) == "red"
    assert len(told.asked) == count


def test_where_nothing_is_labelled_nothing_is_looked_at() -> None:
    told = Told(steps("a b:a"))
    told.carried = LabelFlow(told.state, told._own, ())  # pyright: ignore[reportPrivateUsage]
    assert told.of("b") == ""
    assert told.asked == []


def test_before_the_run_has_started_a_role_has_no_known_writer() -> None:
    told = Told(())
    told.state = State()
    told.say(e.StepsAdded(by="task", steps=steps("a")))
    flow = LabelFlow(told.state, told._own, {"red", "blue"})  # pyright: ignore[reportPrivateUsage]
    assert flow.of(told.state.steps["a"]) == ("blue", "red")


def test_once_every_label_is_found_no_further_step_is_asked() -> None:
    told = Told(steps("a b c:a,b"), c="red blue odd")
    assert told.of("c") == "blue odd red"
    assert told.asked == ["c"]
