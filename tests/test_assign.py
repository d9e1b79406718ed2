"""What a step passes to its readers: its own output, unless it is a planner or an `each` step."""

import re

import pytest

from swarm.attempt.prompt import room_to_read
from swarm.base.errors import LimitError
from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.report import make_report
from swarm.scheduling.assign import LEAST_READ_TOKENS, Assigner
from swarm.scheduling.resources import RunResources
from swarm.spec.agent import Agent
from swarm.spec.chat import estimate_tokens
from swarm.spec.plan import Step
from swarm.spec.task import Input, Limits, Model, Task
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


def test_a_later_planner_may_not_wait_for_the_steps_that_wait_for_it() -> None:
    """Its new steps may need any other step; to need one of these would be a cycle."""
    wave = Wave(Step(id="d", agent="scout"), *steps("free y:z"))
    wave.over("d", Step(id="next", agent="scout"), *steps("w end:w,next"))
    brief = wave.assigner.brief_for(wave.state.steps["next"])
    assert brief.known == ("d", "free", "y", "z", "next", "w", "end")
    assert sorted(brief.barred) == ["d", "end", "next", "y", "z"]


class TestReads:
    """The tokens of inputs for which a plan is made: the largest context, less what every prompt holds."""

    CONTEXT = 100_000
    FRAME = 200

    def reads(self, *agents: Agent, goal: str = "", contexts: dict[str, int] | None = None) -> int | None:
        state = State()
        state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=(SCOUT, *agents)))
        state.apply(e.StepsAdded(by="run", steps=(Step(id="plan", agent="scout"),)))
        known = {"small": 4_000, "default": self.CONTEXT} if contexts is None else contexts
        assigner = Assigner(state, RunResources(Task(goal=goal or None), contexts=known), str)
        return assigner.brief_for(state.steps["plan"]).reads

    def test_without_a_role_for_workers_only_the_frame_is_taken(self) -> None:
        assert self.reads() == room_to_read(self.CONTEXT, {}) - self.FRAME

    def test_the_instructions_and_the_goal_are_taken_too(self) -> None:
        bare = self.reads()
        assert bare is not None
        role, goal = "Work. " * 300, "Why? " * 200
        worker = Agent(name="worker", instructions=role)
        assert self.reads(worker, goal=goal) == bare - estimate_tokens(role) - estimate_tokens(goal)

    def test_a_context_that_is_too_small_is_given_as_the_least(self) -> None:
        assert self.reads(contexts={"default": 300}) == LEAST_READ_TOKENS
        assert self.reads(contexts={}) is None


class TestAttempt:
    def test_a_planner_past_the_rounds_of_the_run_gets_no_attempt(self) -> None:
        wave = Wave(Step(id="d", agent="scout"))
        resources = RunResources(Task(goal="Why?", limits=Limits(rounds=1)))
        assigner = Assigner(wave.state, resources, str)
        with pytest.raises(LimitError, match=r"limits\.rounds: the run has made 1 plans, the maximum") as caught:
            assigner.attempt_of(wave.state.steps["d"])
        assert (caught.value.limit, caught.value.value) == ("rounds", 1)

    def test_without_a_start_there_is_no_trace(self) -> None:
        """An attempt without a trace sends no `traceparent`."""
        state = State()
        state.replace_agents({"worker": WORKER})
        state.apply(e.StepsAdded(by="task", steps=steps("a")))
        assert Assigner(state, RunResources(Task(goal="Why?")), str).attempt_of(state.steps["a"]).trace == ""

    def test_its_span_is_an_id_of_w3c_trace_context(self) -> None:
        wave = Wave(Step(id="d"))
        span = wave.assigner.attempt_of(wave.state.steps["d"]).span
        assert re.fullmatch("[0-9a-f]{16}", span)

    def test_without_labels_it_has_the_settings_of_its_model(self) -> None:
        wave = Wave(Step(id="d"))
        settings: dict[str, dict[str, Json]] = {"default": {"name": "m"}}
        assigner = Assigner(wave.state, RunResources(Task(goal="Why?"), settings=settings), str)
        assert assigner.attempt_of(wave.state.steps["d"]).settings == {"name": "m"}


def test_a_planner_sees_the_tools_that_a_role_has_and_the_run_grants() -> None:
    searcher = Agent(name="searcher", instructions="Search.", tools=("look", "wipe"))
    wave = Wave(Step(id="d", agent="scout"))
    wave.state.replace_agents({"searcher": searcher})
    assigner = Assigner(wave.state, RunResources(Task(goal="Why?"), tools=("look", "read")), str)
    roles = {role.name: role.tools for role in assigner.brief_for(wave.state.steps["d"]).roles}
    assert roles["searcher"] == ("look",)


def test_before_a_plan_the_models_of_all_roles_may_be_needed() -> None:
    expert = Agent(name="expert", instructions="Judge.", model="strong")
    other = Agent(name="other", instructions="Judge.", model="unknown")
    models = {name: Model(endpoint="http://127.0.0.1:9/v1", name=name) for name in ("default", "strong")}
    settings: dict[str, dict[str, Json]] = {name: {} for name in models}
    for step, needed in ((Step(id="d", agent="scout"), ["default", "strong"]), (Step(id="d"), ["default"])):
        wave = Wave(step)
        wave.state.replace_agents({"expert": expert, "other": other})
        assigner = Assigner(wave.state, RunResources(Task(goal="Why?", models=models), settings=settings), str)
        assert sorted(assigner.aliases_ahead()) == needed


@pytest.mark.parametrize(("tools", "offered"), [((), {"worker"}), (("read_file",), {"worker", "researcher"})])
def test_a_role_that_needs_tools_is_offered_only_with_tools(tools: tuple[str, ...], offered: set[str]) -> None:
    worker = Agent(name="worker", instructions="Work.", tools=("*",))
    researcher = Agent(name="researcher", instructions="Find.", tools=("*",), needs_tools=True)
    planner = Agent(name="planner", instructions="Plan.", output="plan")
    state = State()
    state.apply(e.RunStarted(run="r", trace="", versions={}, task={}, agents=(planner, worker, researcher)))
    state.apply(e.StepsAdded(by="run", steps=(Step(id="plan", agent="planner"),)))
    brief = Assigner(state, RunResources(Task(goal="x"), tools=tools), str).brief_for(state.steps["plan"])
    assert {role.name for role in brief.roles} - {"planner"} == offered
