"""Writers of reports are told of the contradictions between what they read; these are looked for once, if at all."""

import pytest
from attempts import attempt

from swarm.attempt.prompt import reading_of
from swarm.attempt.reading import room_to_read
from swarm.attempt.types import Attempt, Given
from swarm.scheduling.told import MOST_TOKENS, Told

LINES = ("Lunr memory: 40 MB [read.1]; 45 MB [read.2]",)
GIVEN = (
    Given(step="read.1", about="", output="Lunr needs 40 MB of memory."),
    Given(step="read.2", about="", output="Lunr took 45 MB of memory."),
)


def with_room_for(more: int) -> Attempt:
    """Return a report whose prompt is `more` tokens longer than what its context has room for."""
    needs = reading_of(attempt("reducer", given=GIVEN)).total - more
    context = next(size for size in range(256, 100_000) if room_to_read(size, {}) >= needs)
    return attempt("reducer", given=GIVEN, context=context)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        pytest.param(60, (), id="it is expanded anyway"),
        pytest.param(-60, LINES, id="it may be expanded because of them"),
        pytest.param(-MOST_TOKENS - 60, (), id="it fits, whatever is found"),
    ],
)
def test_contradictions_are_looked_for_if_they_decide_whether_a_report_fits(more: int, found: tuple[str, ...]) -> None:
    told, tried = Told(), with_room_for(more)
    sized, made = told.sized(tried).conflicts, told.of(tried).conflicts
    assert (sized, made) == (found, LINES)
    assert made is sized or not found, "they were not looked for twice"


def test_only_reports_are_told() -> None:
    told, tried = Told(), attempt("worker", given=GIVEN)
    assert told.sized(tried) is tried
    assert told.of(tried) is tried
