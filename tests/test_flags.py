"""Flags of a run: each one is raised for its reason, and not without it."""

import pytest

from swarm.base.errors import AnswerError
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.measure import measure
from swarm.spec.agent import Agent
from swarm.spec.plan import Step
from tests.swarms import Ran, Sleeper, run_virtually, steps, workers
from tests.test_measure import measured

SCOUT = Agent(name="scout", instructions="Plan.", output="plan")


def kinds(ran: Ran, count: int = 16) -> tuple[str, ...]:
    return measured(ran, count).flags


def evidence(ran: Ran, kind: str, count: int = 16) -> str:
    return "; ".join(flag.message for flag in measured(ran, count).evidence if flag.kind == kind)


def test_serial_collapse() -> None:
    ran = run_virtually(steps("a b:a c:b d:c end:d"), Sleeper({"a": 2, "b": 2, "c": 2, "d": 2}))
    assert "serial_collapse" in kinds(ran)
    assert "4 of 4 steps waited for one another" in evidence(ran, "serial_collapse")
    assert "serial_collapse" not in kinds(ran, 1), "with one worker nothing else could be done"


def test_no_collapse_if_half_of_the_steps_run_in_parallel() -> None:
    ran = run_virtually(steps("a b:a c d:c end:b,d"), Sleeper())
    assert kinds(ran) == ()


def test_two_steps_are_not_a_collapse() -> None:
    assert kinds(run_virtually(steps("a b:a end:b"), Sleeper())) == ()


def test_spurious_parallelism_by_work() -> None:
    ran = run_virtually(steps("big s1 s2 s3 end:big,s1,s2,s3"), Sleeper({"big": 60, "s1": 1, "s2": 1, "s3": 1}))
    assert "spurious_parallelism" in kinds(ran)
    assert "big had 95% of the work" in evidence(ran, "spurious_parallelism")


def test_spurious_parallelism_by_what_the_report_cites() -> None:
    graph = steps("s1 s2 s3 s4 end:s1,s2,s3,s4")
    ran = run_virtually(graph, Sleeper(gives={"end": "All is well [s2]."}))
    assert kinds(ran) == ("spurious_parallelism",)
    assert "cites 1 of the 4 steps" in evidence(ran, "spurious_parallelism")
    used = run_virtually(graph, Sleeper(gives={"end": "All [s1, s2] is [s3] well."}))
    silent = run_virtually(graph, Sleeper(gives={"end": "All is well."}))
    assert kinds(used) == kinds(silent) == ()


def test_a_report_is_not_based_on_steps_that_failed() -> None:
    graph = (*steps("s1 s2 s3"), Step(id="s4", retries=0), Step(id="s5", retries=0), *steps("end:+s1,s2,s3,s4,s5"))
    failed = AnswerError("no", kind="refused", may_help=False)
    ran = run_virtually(graph, Sleeper(gives={"s4": failed, "s5": failed, "end": "All is well [s1, s2]."}))
    assert ran.statuses["s4"] == ran.statuses["s5"] == "failed"
    assert kinds(ran) == (), "it cites 2 of 3 outputs"


def test_a_report_may_cite_the_step_of_its_instances() -> None:
    graph = (Step(id="study", each=tuple(range(4))), Step(id="end", after=("study",)))
    assert kinds(run_virtually(graph, Sleeper(gives={"end": "All is well [study]."}))) == ()
    named = run_virtually(graph, Sleeper(gives={"end": "All is well [study.1]."}))
    assert kinds(named) == ("spurious_parallelism",)


def test_a_straggler() -> None:
    graph = (Step(id="study", each=tuple(range(8))), Step(id="end", after=("study",)))
    slow = {f"study.{n}": 4.0 for n in range(1, 9)} | {"study.3": 14.0}
    ran = run_virtually(graph, Sleeper(slow))
    assert "straggler" in kinds(ran)
    assert "study.3 took 14.0 s, the median of 7 similar steps is 4.0 s" in evidence(ran, "straggler")
    assert "the run waited 10.0 s" in evidence(ran, "straggler")
    slow["study.3"] = 6.0
    assert kinds(run_virtually(graph, Sleeper(slow))) == ()


def test_a_slow_step_that_the_run_did_not_wait_for_is_not_a_straggler() -> None:
    graph = (Step(id="study", each=tuple(range(8))), Step(id="long"), Step(id="end", after=("study", "long")))
    slow = {f"study.{n}": 4.0 for n in range(1, 9)} | {"study.3": 14.0, "long": 15.0}
    assert "straggler" not in kinds(run_virtually(graph, Sleeper(slow)))


def test_a_step_that_was_cut_off_and_then_came_from_the_cache_is_not_a_straggler() -> None:
    """It is on the critical path, but not among the steps that it could be compared with."""
    graph = (Step(id="study", each=tuple(range(8))), Step(id="end", after=("study",)))
    slow = {f"study.{n}": 4.0 for n in range(1, 9)} | {"study.3": 14.0}
    ran = run_virtually(graph, Sleeper(slow))
    cut_off = [each for each in ran.events if not isinstance(each, e.RunFinished)]
    place = next(n for n, each in enumerate(cut_off) if isinstance(each, e.StepFinished) and each.step == "study.3")
    finished = cut_off[place]
    assert isinstance(finished, e.StepFinished)
    state = State()
    for event in cut_off[:place]:
        state.apply(event)
    state.apply(e.RunResumed(task={}, agents=(), versions={}, t=14.0))
    state.apply(e.StepStarted(step="study.3", attempt=2, span="", model="", t=14.0))
    state.apply(finished.model_copy(update={"attempt": 2, "outcome": Outcome(output="x", cached=True)}))
    found = measure(state)
    assert "study.3" in found.critical_path
    assert "straggler" not in found.flags


def test_width_wasted() -> None:
    graph = steps("s1 s2 s3 s4 s5 long next:long last:next end:last,s1,s2,s3,s4,s5")
    ran = run_virtually(graph, Sleeper({"long": 9, "next": 9, "last": 9}))
    assert "width_wasted" in kinds(ran)
    assert "up to 6 steps ran in parallel, but 1.2 on average: 80% of these 6 worker slots were idle" in evidence(
        ran, "width_wasted"
    )


GAVE = "The harbour of Ostend was deepened to 8.5 metres in the winter of 1932 by two dredgers."


@pytest.mark.parametrize(
    ("said", "false"),
    [
        ("Nothing at all is known about the coal that came from Antwerp by rail that summer.", True),
        ("As it was found before, two ships had done the work there, and did it in haste [a].", False),
        ("It is said that the harbour of Ostend was what they came for, and nothing else.", False),
        ("They came in 1932 and left again, as many had done before them and would again.", False),
        ("No.", False),
    ],
    ids=["nothing", "cited", "quoted", "figure", "too short to tell"],
)
def test_a_false_dependency(said: str, false: bool) -> None:
    gives = {"a": GAVE, "b": said}
    ran = run_virtually(steps("a b:a end:+b"), Sleeper({"a": 3}, gives))
    assert ("false_dependency" in kinds(ran)) is false
    assert ("b waited 3.0 s for a" in evidence(ran, "false_dependency")) is false


def test_what_the_prompt_says_already_is_no_quotation() -> None:
    said = "About the harbour of Ostend and the winter of 1932 there is nothing in these notes."
    graph = (Step(id="a"), Step(id="b", needs=("a",), prompt="The harbour of Ostend in the winter of 1932?"))
    ran = run_virtually((*graph, *steps("end:+b")), Sleeper(gives={"a": GAVE, "b": said}))
    assert "false_dependency" in kinds(ran)


def test_a_need_on_a_group_is_used_if_any_of_it_is() -> None:
    graph = (Step(id="study", each=(1, 2)), Step(id="b", needs=("study",)), Step(id="end", after=("b",)))
    gives = {"study.1": GAVE, "study.2": "Word after word after word that nobody will ever read."}
    gives["b"] = "Here is what I have to say: two dredgers, deepened harbour, all of it in 1932."
    ran = run_virtually(graph, Sleeper({"study.2": 5}, gives))
    assert measured(ran, 4).critical_path == ("study.2", "b", "end")
    assert "false_dependency" not in kinds(ran)
    gives["b"] = "Nothing at all is known about the coal that came from Antwerp by rail that summer."
    assert "false_dependency" in kinds(run_virtually(graph, Sleeper({"study.2": 5}, gives)))


def delegated(agent: str, cites: str) -> Ran:
    """Run a step that spawns four others and gives an output itself; return the run with a report on it."""
    gives = {
        "d": Outcome(output=GAVE, spawned=steps("p q r s"), agents=(SCOUT,)),
        "end": f"All is well [{cites}].",
    }
    return run_virtually((Step(id="d", agent=agent), *steps("end:+d")), Sleeper(gives=gives))


def test_a_report_is_not_made_of_what_a_step_spawned_that_gave_its_own_output() -> None:
    assert "spurious_parallelism" not in kinds(delegated("worker", "d"))
    assert "cites 1 of the 4 steps" in evidence(delegated("scout", "p"), "spurious_parallelism")


def test_a_need_on_a_step_that_spawned_others_is_used_if_its_own_output_is() -> None:
    said = "It is said that the harbour of Ostend was what they came for, and nothing else."
    other = "Nothing at all is known about the coal that came from Antwerp by rail that summer."
    for own, spawned, false in ((GAVE, other, False), (other, GAVE, True)):
        gives = {"d": Outcome(output=own, spawned=steps("p")), "p": spawned, "b": said}
        ran = run_virtually(steps("d b:d end:+b"), Sleeper({"p": 5}, gives))
        assert measured(ran, 4).critical_path == ("d", "p", "b", "end")
        assert ("false_dependency" in kinds(ran)) is false


def test_scripts_without_spaces_can_be_quoted() -> None:
    gives = {"a": "东京的港口在冬天被两艘船加深了八米", "b": "报告说东京的港口很重要而且很大很深"}
    assert "false_dependency" not in kinds(run_virtually(steps("a b:a end:+b"), Sleeper(gives=gives)))
    gives["b"] = "天气很好我们去山上走走看看花"
    assert "false_dependency" in kinds(run_virtually(steps("a b:a end:+b"), Sleeper(gives=gives)))


def test_a_good_swarm_has_no_flag() -> None:
    graph = (Step(id="study", each=tuple(range(12))), Step(id="end", agent="reducer", after=("study",)))
    seconds = {f"study.{n}": 4 + n % 3 for n in range(1, 13)}
    assert measured(run_virtually(graph[:1] + steps("end:+study"), Sleeper(seconds), workers(12)), 12).flags == ()
