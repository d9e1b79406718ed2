"""What writers of reports are told of the outputs that they read: which of them contradict each other.

Outputs are compared when an attempt is made, not when a step is sized: a report over thousands of
outputs is sized several times, and most of them are never in one prompt. So the contradictions get
the space that a prompt has left.
"""

from swarm.attempt.prompt import phrase, reading_of
from swarm.attempt.support import conflict_lines
from swarm.attempt.types import Attempt
from swarm.spec.chat import estimate_tokens

FRAME_TOKENS = 64
"""Tokens of the marks around contradictions, as an upper estimate."""


def told(attempt: Attempt) -> Attempt:
    """Return an attempt with the contradictions between the outputs that it reads, if it writes a report.

    If everything that it reads fits its prompt, they are as many as fit, too: `report.conflicts` has all of them.
    """
    if attempt.agent.output != "report" or len(attempt.given) < 2:
        return attempt
    lines = conflict_lines(attempt.given)
    if not lines:
        return attempt
    reading = reading_of(attempt)
    if reading.fits:
        announced = estimate_tokens(phrase(attempt.wording, "conflicts"))
        lines = _within(lines, reading.room - reading.total - announced - FRAME_TOKENS)
    return attempt.model_copy(update={"conflicts": lines})


def _within(lines: tuple[str, ...], tokens: int) -> tuple[str, ...]:
    """Return the first lines that take at most so many tokens."""
    kept: list[str] = []
    for line in lines:
        tokens -= estimate_tokens(line) + 1
        if tokens < 0:
            break
        kept.append(line)
    return tuple(kept)
