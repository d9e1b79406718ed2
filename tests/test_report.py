"""The report of a run: its sources, and what is missing from it."""

from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.claims import LISTED
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


def report(text: str, reason: str = "no", read: str = "X.", weigh: str = "Y.") -> Report:
    """Return the report of a run in which `bad` failed and `late` was skipped; two steps wrote these texts."""
    state = State()
    state.apply(e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=()))
    state.apply(e.StepsAdded(by="task", steps=GRAPH))
    instance = Step(id="read.1", prompt="Read it.", instance_of="read", inputs=("x.md",))
    state.apply(e.StepsAdded(by="read", steps=(instance,)))
    start(state, "bad")
    state.apply(e.StepFailed(step="bad", attempt=1, error=e.Failure(kind="form", message=reason)))
    state.apply(e.StepSkipped(step="late", because="bad failed"))
    outcomes = {
        "read.1": Outcome(output=read),
        "weigh": Outcome(output=weigh, left_out=("input a.md: 5 of 9 bytes were shown",)),
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


def test_it_marks_the_claims_that_are_not_in_their_sources() -> None:
    text = "Lunr needs 40 MB, that is 40,000 KB [read.1]. Fuse needs 12 MB [read.1]. Both are small. Both need 41 MB."
    found = report(text, read="Lunr needs 40 MB. Fuse is small.")
    assert [(each.id, each.evidence, each.steps, each.missing) for each in found.claims] == [
        ("c1", "derived", ("read.1",), ()),
        ("c2", "unsupported", ("read.1",), ("12 MB",)),
        ("u1", "uncited", (), ()),
        ("u2", "uncited", (), ("41 MB",)),
    ]
    assert set(found.sources) == {"c1", "c2"}
    assert found.not_found == "2 of 3 claims not found in their sources"
    foot = found.text.split("## Not found in sources\n\n")[1].split("\n\n")[0]
    assert foot == "- c2: 12 MB, in: Fuse needs 12 MB. [read.1]\n- u2: 41 MB, in: Both need 41 MB."


def test_a_report_whose_claims_are_all_there_has_no_such_list() -> None:
    found = report("Lunr needs 40 MB [read.1].", read="Lunr needs 40 MB.")
    assert found.not_found == ""
    assert "Not found" not in found.text


def test_a_long_list_of_claims_ends_with_a_count() -> None:
    text = "\n".join(f"- It needs {n} MB [read.1]." for n in range(100, 100 + LISTED + 3))
    found = report(text)
    foot = found.text.split("## Not found in sources\n\n")[1].split("\n\n")[0].split("\n")
    assert foot[-1] == "- and 3 more"
    assert len(foot) == LISTED + 1


def test_an_error_in_the_check_of_claims_does_not_lose_the_report() -> None:
    noted: list[Exception] = []
    state = State()
    state.apply(e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=()))
    state.apply(e.StepsAdded(by="task", steps=(Step(id="a", prompt="x"), Step(id="b", prompt="x", needs=("a",)))))
    for name, output in (("a", "5"), ("b", "It is 5 [a].")):
        start(state, name)
        state.apply(e.StepFinished(step=name, attempt=1, outcome=Outcome(output=output)))

    def about(step: Step) -> str:
        if noted or step.id == "b":
            return step.prompt
        raise ValueError("a bug")

    found = make_report(state, lambda s: s.outcome.output, about, note=noted.append)
    assert found is not None
    assert (found.claims, found.value) == ((), "It is 5 [a].")
    assert [str(error) for error in noted] == ["a bug"]


ONE, OTHER = "Lunr needs 40 MB of memory.", "In our test, Lunr took 45 MB of memory."


def test_conflicts_between_outputs_are_listed_if_the_report_does_not_mention_them() -> None:
    found = report("Lunr needs 40 MB of memory [read.1].", read=ONE, weigh=OTHER)
    (conflict,) = found.conflicts
    assert conflict.about == "Lunr memory"
    assert [(side.steps, side.figure, side.text) for side in conflict.sides] == [
        (("weigh",), "45 MB", OTHER),
        (("read.1",), "40 MB", ONE),
    ]
    foot = found.text.split("## Conflicts between sources\n\n")[1].split("\n\n")[0]
    assert foot == "- Lunr memory: 45 MB [weigh]; 40 MB [read.1]"


def test_a_conflict_that_the_report_mentions_is_only_data() -> None:
    found = report("Lunr needs 40 MB [read.1] or 45 MB [weigh] of memory.", read=ONE, weigh=OTHER)
    assert len(found.conflicts) == 1
    assert "Conflicts" not in found.text


def test_steps_that_miss_for_one_reason_share_a_line() -> None:
    state = State()
    state.apply(e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=()))
    steps = [Step(id=f"read.{n}", prompt="Read.") for n in range(1, 10)]
    reduce = Step(id="reduce", prompt="Report.", after=tuple(step.id for step in steps))
    state.apply(e.StepsAdded(by="task", steps=(*steps, reduce)))
    for n, step in enumerate(steps):
        start(state, step.id)
        failure = e.Failure(kind="form", message="another" if n == 3 else "no")
        state.apply(e.StepFailed(step=step.id, attempt=1, error=failure))
    start(state, "reduce")
    state.apply(e.StepFinished(step="reduce", attempt=1, outcome=Outcome(output="Nothing.")))
    state.report_step = "reduce"
    found = make_report(state, lambda s: s.outcome.output, lambda step: step.prompt)
    assert found is not None
    first = "- [read.1, read.2, read.3, read.5, read.6] and 3 more failed: no"
    assert found.text.endswith(f"## Missing\n\n{first}\n- [read.4] failed: another\n")
