"""The report of a run: its sources, and what is missing from it."""

from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.report import REASON_CHARACTERS, Report, make_report
from swarm.spec.plan import Step

GRAPH = (
    Step(id="read", prompt="Read it.", each=("x",)),
    Step(id="weigh", prompt="Weigh it.", inputs=("a.md", "b.md", "c.md", "d.md")),
    Step(id="bad", prompt="Fail."),
    Step(id="late", prompt="Wait.", needs=("bad",)),
    Step(id="reduce", prompt="Report.", after=("read", "weigh", "bad", "late")),
)


def start(state: State, step: str) -> None:
    state.apply(e.StepStarted(step=step, attempt=1, span="", model=""))


def report(text: str, reason: str = "no") -> Report:
    """Return the report of a run in which `bad` failed and `late` was skipped."""
    state = State()
    state.apply(e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=()))
    state.apply(e.StepsAdded(by="task", steps=GRAPH))
    instance = Step(id="read.1", prompt="Read it.", instance_of="read", inputs=("x.md",))
    state.apply(e.StepsAdded(by="read", steps=(instance,)))
    start(state, "bad")
    state.apply(e.StepFailed(step="bad", attempt=1, error=e.Failure(kind="form", message=reason)))
    state.apply(e.StepSkipped(step="late", because="bad failed"))
    outcomes = {
        "read.1": Outcome(output="X."),
        "weigh": Outcome(output="Y.", left_out=("input a.md: 5 of 9 bytes were shown",)),
        "reduce": Outcome(output=text),
    }
    for name, outcome in outcomes.items():
        start(state, name)
        state.apply(e.StepFinished(step=name, attempt=1, outcome=outcome))
    state.report_step = "reduce"
    found = make_report(state, lambda s: s.outcome.output, lambda step: step.prompt)
    assert found is not None
    return found


def test_it_lists_the_sources_it_cites_what_is_missing_and_what_was_left_out() -> None:
    found = report("All is well [read.1]. More [weigh].")
    assert found.sources == {"c1": ("read.1",), "c2": ("weigh",)}
    assert found.text == (
        "All is well [read.1]. More [weigh].\n\n"
        "## Sources\n\n- [weigh] a.md, b.md, c.md and 1 more: Weigh it.\n- [read.1] x.md\n\n"
        "## Missing\n\n- [bad] failed: no\n- [late] skipped: bad failed\n\n"
        "## Left out\n\n- [weigh] input a.md: 5 of 9 bytes were shown\n"
    )


def test_it_lists_no_source_that_it_does_not_cite() -> None:
    assert "[read.1]" not in report("All is well [weigh].").text
    assert "## Sources" not in report("All is well.").text


def test_a_long_reason_is_truncated_and_in_one_line() -> None:
    text = report("All is well.", "no\n" * 1000).text
    line = next(line for line in text.splitlines() if line.startswith("- [bad]"))
    assert line == "- [bad] failed: " + ("no " * 1000)[:REASON_CHARACTERS].strip()
