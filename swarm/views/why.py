"""What most of a run's time and cost was spent on, and what would change it, as plain text."""

from collections.abc import Iterable, Iterator

from swarm.results.why import Reason
from swarm.views.words import dollars, one_line, seconds, short, wrapped

TITLES = {"time": "most time", "cost": "most cost"}


def amount(reason: Reason) -> str:
    """Return the seconds of a reason, or its cost: in dollars, without a price in tokens."""
    if reason.of == "time":
        return seconds(reason.seconds)
    return dollars(reason.usd) if reason.usd else f"{short(reason.tokens)} tokens"


def why_lines(reasons: Iterable[Reason]) -> Iterator[str]:
    """Yield the reasons for the time of a run, then those for its cost, each with what would
    change it.
    """
    found = list(reasons)
    for of, title in TITLES.items():
        some = [reason for reason in found if reason.of == of]
        if some:
            yield title
        for reason in some:
            yield wrapped(f"{amount(reason)}, {reason.share:.0%}: {one_line(reason.what)}", "  ")
            yield wrapped(f"→ {one_line(reason.advice)}", "      ")
