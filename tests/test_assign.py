"""What a step passes to its readers: its own output, unless it is a planner or an `each` step."""

import pytest

from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.report import make_report
from swarm.scheduling.assign import Assigner, RunResources
from swarm.spec.agent import Agent
from swarm.spec.plan import Step
from swarm.spec.task import Input, Task
from tests.swarms import WORKER, steps

SCOUT = Agent(name="scout", instructions="Plan.", output="plan")
"""A planner by its output; its name says nothing."""


class Wave:
    """A run of `d`, which spawns, and of `z`, which waits for it."""

    def __init__(self, d: Step, *more: Step) -> None:
        self.state = State()
        agents = (WORKER, SCOUT)
        self.state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=agents))
        graph = (d, *more, Step(id="z", after=(d.id,)))
        self.state.apply(e.StepsAdded(by="task", steps=graph))
        self.assigner = Assigner(self.state, RunResources(Task(goal="Why?")), str)

    def over(self, name: str, *spawned: Step, output: Json | None = None) -> None:
        self.state.apply(e.StepStarted(step=name, attempt=1, span="", model=""))
        given = f"output of {name}" if output is None else output
        self.state.apply(e.StepFinished(step=name, attempt=1, outcome=Outcome(output=given, spawned=spawned)))

    def fail(self, name: str) -> None:
        self.state.apply(e.StepStarted(step=name, attempt=1, span="", model=""))
        error = e.Failure(kind="refused", message="no")
        self.state.apply(e.StepFailed(step=name, attempt=1, error=error))

    def expand(self, name: str, count: int) -> None:
        made = (Step(id=f"{name}.{n}", instance_of=name, item=n) for n in range(1, count + 1))
        self.state.apply(e.StepsAdded(by=name, steps=tuple(made)))

    @property
    def read(self) -> dict[str, Json]:
        """What `z` reads, by the step that it is the output of."""
        given, _ = self.assigner.given_to(self.state.steps["z"])
        return {each.step: each.output for each in given}

    @property
    def missing(self) -> list[str]:
        _, missing = self.assigner.given_to(self.state.steps["z"])
        return [each.step for each in missing]


def outputs(*names: str) -> dict[str, Json]:
    return {name: f"output of {name}" for name in names}


def test_a_step_that_spawned_others_passes_its_own_output() -> None:
    wave = Wave(Step(id="d"))
    wave.over("d", *steps("p q:p r"))
    for name in "pqr":
        wave.over(name)
    assert wave.read == outputs("d")


@pytest.mark.parametrize("output", [0, "", [], {"answer": None}])
def test_an_output_that_is_empty_is_an_output(output: Json) -> None:
    wave = Wave(Step(id="d"))
    wave.over("d", *steps("p"), output=output)
    wave.over("p")
    assert wave.read == {"d": output}


def test_a_failure_of_what_it_spawned_takes_nothing_from_its_output() -> None:
    wave = Wave(Step(id="d"))
    wave.over("d", *steps("p q"))
    wave.over("p")
    wave.fail("q")
    assert (wave.read, wave.missing) == (outputs("d"), [])


def test_a_planner_passes_the_outputs_that_end_its_plan() -> None:
    wave = Wave(Step(id="d", agent="scout"))
    wave.over("d", *steps("p q:p r s"), output={"steps": []})
    for name in "pqr":
        wave.over(name)
    wave.fail("s")
    assert (wave.read, wave.missing) == (outputs("q", "r"), ["s"])


def test_an_each_step_passes_the_outputs_of_its_instances() -> None:
    wave = Wave(Step(id="d", each=(1, 2)))
    wave.expand("d", 2)
    wave.over("d.1")
    wave.over("d.2")
    assert wave.read == outputs("d.1", "d.2")


def test_the_rule_holds_for_each_step_on_the_way_down() -> None:
    """A planner's plan ends in an `each` step; one of its instances spawned a step."""
    wave = Wave(Step(id="d", agent="scout"))
    wave.over("d", Step(id="e", each=(1, 2)))
    wave.expand("e", 2)
    wave.over("e.1", Step(id="helper"))
    wave.over("helper")
    wave.over("e.2")
    assert wave.read == outputs("e.1", "e.2")


def test_what_a_reader_sees_is_what_a_list_is_made_of() -> None:
    """`output_of` follows the same rule: `each` runs over it, and it becomes the report."""
    wave = Wave(Step(id="d"))
    wave.over("d", *steps("p"), output=["x", "y"])
    wave.over("p")
    assert wave.read == {"d": wave.assigner.output_of(wave.state.steps["d"])} == {"d": ["x", "y"]}


def test_a_report_step_that_spawned_others_gives_the_report_itself() -> None:
    wave = Wave(Step(id="d"))
    wave.over("d")
    wave.over("z", *steps("p"))
    wave.over("p")
    report = make_report(wave.state, wave.assigner.output_of, wave.assigner.about)
    assert report is not None
    assert report.value == "output of z"


def test_the_brief_of_the_first_plan_has_no_role_that_a_plan_brought() -> None:
    """Its key must stay the same on a resume; a later planner may use the role."""
    state = State()
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=(WORKER, SCOUT)))
    state.apply(e.StepsAdded(by="run", steps=(Step(id="plan", agent="scout"),)))
    inputs = (Input(name="pay.csv", label="private", text="1", size=1),)
    resources = RunResources(Task(goal="Why?"), inputs=inputs, settings={"default": {}, "strong": {}})
    assigner = Assigner(state, resources, str)
    plan = state.steps["plan"]
    before = assigner.brief_for(plan)
    expert = Agent(name="expert", instructions="Judge.", model="strong")
    wave = (Step(id="a", agent="expert"), Step(id="next", agent="scout"))
    state.apply(e.StepStarted(step="plan", attempt=1, span="", model=""))
    state.apply(e.StepFinished(step="plan", attempt=1, outcome=Outcome(spawned=wave, agents=(expert,))))
    assert "expert" in state.agents
    after = assigner.brief_for(plan)
    assert (after.roles, after.access) == (before.roles, before.access)
    later = assigner.brief_for(state.steps["next"])
    assert [role.name for role in later.roles] == ["worker", "scout", "expert"]
    assert later.access is not None
    assert later.access.roles == {"expert": "strong"}
