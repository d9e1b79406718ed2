"""From a claim of a report down to the lines of an input."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from swarm.base.errors import RunNotFoundError
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.journal import encode
from swarm.record.outcome import Outcome
from swarm.results.provenance import place_in, provenance_of
from swarm.spec.plan import Step
from swarm.texts.figures import figures
from swarm.views.claims import provenance_page

NOTES = "# Lunr\n\nIt is old.\n\n- Memory: 40 MB\n- Start: 30 ms\n"
TEXTS = {"lunr.md": NOTES, "fuse.md": "# Fuse\n\nFuse needs 12 MB\nof memory.\n", "gone.md": "Lunr needs 40 MB."}
PARTIAL = {"agent": "reducer", "partial_of": "reduce"}
STEPS = (
    Step(id="read", prompt="Read.", each="inputs"),
    Step(id="reduce", prompt="Report.", after=("read",)),
)
READS = tuple(
    Step(id=f"read.{n}", prompt="Read.", instance_of="read", inputs=(name,)) for n, name in enumerate(TEXTS, 1)
)
PARTIALS = (
    Step(id="reduce.1", prompt="Report.", partial_of="reduce", after=("read.1", "read.2")),
    Step(id="reduce.2", prompt="Report.", partial_of="reduce", after=("read.3",)),
    Step(id="reduce.0", prompt="Report.", partial_of="reduce", after=("reduce.1", "reduce.2")),
)
OUTPUTS = {
    "read.1": "Lunr takes 40 MB.",
    "read.2": "Fuse takes 12 MB of memory.",
    "read.3": "Lunr takes 40 MB.",
    "reduce.1": "Lunr takes 40 MB [read.1]. Fuse takes 12 MB [read.2].",
    "reduce.2": "Lunr takes 40 MB [read.3].",
    "reduce.0": "Fuse takes 12 MB [read.2]. Lunr takes 40 MB [reduce.1, read.3]. Both are small.",
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return a run with partial reports; `gone.md` has changed since."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    facts = tuple(e.InputFact(name=n, medium="text", sha256=_hash(t), size=len(t)) for n, t in TEXTS.items())
    (tmp_path / "gone.md").write_text("Changed: 40 MB.", encoding="utf-8")
    started = e.RunStarted(run="r", trace="0" * 32, versions={}, task={}, agents=(), inputs=facts, folder=str(tmp_path))
    events: list[e.Stamped] = [
        started,
        e.StepsAdded(by="task", steps=STEPS),
        e.StepsAdded(by="read", steps=READS),
    ]
    events += _finished("read.1", "read.2", "read.3")
    events.append(e.StepsAdded(by="reduce", steps=PARTIALS, combine="last"))
    events += [*_finished("reduce.1", "reduce.2", "reduce.0"), e.RunFinished(status="done", report="reduce")]
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    lines = [encode(event.model_copy(update={"seq": n})) for n, event in enumerate(events, 1)]
    folder.journal.write_bytes(b"".join(lines))
    return folder


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _finished(*names: str) -> list[e.Stamped]:
    found: list[e.Stamped] = []
    for name in names:
        found.append(e.StepStarted(step=name, attempt=1, span="0" * 16, model="default"))
        found.append(e.StepFinished(step=name, attempt=1, outcome=Outcome(output=OUTPUTS[name])))
    return found


def places(run: RunFolder, claim: str) -> Mapping[str, list[str]]:
    found = provenance_of(run, claim)
    return {
        step.step: [f"{place.input}:{place.first_line}-{place.last_line}" for place in step.places]
        for step in found.steps
    }


def test_a_claim_leads_through_partial_reports_to_the_lines_of_inputs(run: RunFolder) -> None:
    assert places(run, "1") == {"read.2": ["fuse.md:3-4"]}
    found = provenance_of(run, "c1")
    (step,) = found.steps
    assert (step.text, step.through, step.turns) == (OUTPUTS["read.2"], ("reduce.1", "reduce.0"), 0)
    assert step.places[0].text == "Fuse needs 12 MB\nof memory."


def test_a_cited_partial_report_stands_for_the_steps_that_it_cites(run: RunFolder) -> None:
    assert places(run, "c2") == {"read.1": ["lunr.md:5-5"], "read.2": [], "read.3": []}
    assert provenance_of(run, "u1").steps == ()


def test_an_unknown_claim_is_an_error_with_a_hint(run: RunFolder) -> None:
    with pytest.raises(RunNotFoundError) as caught:
        provenance_of(run, "c9")
    assert "has no claim `c9`" in str(caught.value)
    assert "--claims" in str(caught.value)


def test_the_page_names_file_and_lines(run: RunFolder) -> None:
    page = provenance_page(provenance_of(run, "c1"))
    assert page.splitlines() == [
        "c1 supported: Fuse takes 12 MB.",
        "",
        "read.2: done, 0 turns, model default, through reduce.1, reduce.0",
        "  Fuse takes 12 MB of memory.",
        "  fuse.md:3-4",
        "    Fuse needs 12 MB of memory.",
    ]
    assert "It cites no step." in provenance_page(provenance_of(run, "u1"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Lunr takes 40 MB.", "Memory: 40 MB"),
        ("It starts in 30 ms.", "Start: 30 ms"),
        ("Lunr is old.", "It is old."),
        ("It takes 41 MB.", None),
        ("Its documentation is excellent.", None),
    ],
)
def test_a_place_has_the_figures_of_a_sentence_else_most_of_its_words(said: str, expected: str | None) -> None:
    found = place_in(NOTES, said, figures(said))
    assert (found and found.text) == expected
