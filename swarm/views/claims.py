"""The claims of a report, and what is behind one of them, as plain text."""

from collections.abc import Iterable, Iterator

from swarm.results.claims import CheckedClaim
from swarm.results.provenance import ClaimStep, InputPlace, Provenance
from swarm.views.words import block, counted, one_line, table, wrapped

CLAIM_CHARACTERS = 60
"""Maximum characters of a claim in a table."""


def claims_table(claims: Iterable[CheckedClaim]) -> str:
    """Return a row for each claim: id, evidence, steps and text."""
    rows = [
        (each.id, each.evidence, ", ".join(each.steps) or "–", one_line(each.text)[:CLAIM_CHARACTERS])
        for each in claims
    ]
    return table(("claim", "evidence", "steps", "text"), rows)


def provenance_page(found: Provenance) -> str:
    """Return a claim, the steps behind it, and the places in their inputs."""
    claim = found.claim
    lines = [wrapped(f"{claim.id} {claim.evidence}: {one_line(claim.text)}")]
    if claim.missing:
        lines.append(wrapped(f"not found: {'; '.join(map(one_line, claim.missing))}"))
    for step in found.steps:
        lines += ["", *_step(step)]
    if not found.steps:
        lines += ["", "It cites no step."]
    return "\n".join(lines)


def _step(step: ClaimStep) -> Iterator[str]:
    through = f", through {', '.join(step.through)}" if step.through else ""
    yield wrapped(f"{step.step}: {step.status}, {counted(step.turns, 'turn')}, model {step.model or '–'}{through}")
    if step.text:
        yield block(one_line(step.text))
    for place in step.places:
        yield f"  {_where(place)}{_opened(place.opened_page)}"
        yield block(one_line(place.text), indent="    ")
    for output in step.outputs:
        yield f"  output of {output.step}{_opened(output.opened_page)}"
        yield block(one_line(output.text), indent="    ")
    for found in step.tools:
        yield f"  {found.tool}: {one_line(found.address or found.arguments)}"
        yield block(one_line(found.text), indent="    ")
    if not (step.places or step.outputs or step.tools):
        yield "  no place in an input found"


def _where(place: InputPlace) -> str:
    if place.at:
        return f"{place.input}: {place.at}"
    last = "" if place.first_line == place.last_line else f"-{place.last_line}"
    page = "" if place.page is None else f", page {place.page}"
    return f"{place.input}:{place.first_line}{last}{page}"


def _opened(page: int | None) -> str:
    return "" if page is None else f", opened at its page {page}"
