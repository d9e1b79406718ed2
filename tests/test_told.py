"""Writers of reports are told of the contradictions between what they read, as far as their prompts have space."""

import pytest
from attempts import attempt

from swarm.attempt.prompt import messages, reading_of
from swarm.attempt.reading import room_to_read
from swarm.attempt.types import Attempt, Given
from swarm.scheduling.told import told

LINES = ("Lunr memory: 40 MB [read.1]; 45 MB [read.2]", "Solr memory: 70 MB [read.1]; 80 MB [read.2]")
GIVEN = (
    Given(step="read.1", about="", output="Lunr needs 40 MB of memory. Solr needs 70 MB of memory."),
    Given(step="read.2", about="", output="Lunr took 45 MB of memory. Solr took 80 MB of memory."),
)


def with_space(left: int) -> Attempt:
    """Return a report whose prompt leaves so many tokens of the space that its context has; it is too long below 0."""
    needs = reading_of(attempt("reducer", given=GIVEN)).total + left
    context = next(size for size in range(256, 100_000) if room_to_read(size, {}) >= needs)
    return attempt("reducer", given=GIVEN, context=context)


@pytest.mark.parametrize(
    ("left", "lines"),
    [
        pytest.param(1_000, LINES, id="space for all"),
        pytest.param(130, LINES[:1], id="space for the first"),
        pytest.param(20, (), id="no space"),
        pytest.param(-20, LINES, id="what it reads is cut anyway"),
    ],
)
def test_a_report_is_told_as_many_contradictions_as_have_space(left: int, lines: tuple[str, ...]) -> None:
    made = told(with_space(left))
    assert made.conflicts == lines
    assert bool(messages(made).left_out) == (left < 0), "no output is cut for a contradiction"


def test_only_reports_are_told() -> None:
    tried = attempt("worker", given=GIVEN)
    assert told(tried) is tried
