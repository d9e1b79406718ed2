"""The claims of a report, and what is behind one of them, as plain text."""

from collections.abc import Iterable, Iterator

from swarm.results.claims import CheckedClaim
from swarm.results.provenance import ClaimStep, Provenance
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
        if place.at:
            yield f"  {place.input}: {place.at}"
            yield block(one_line(place.text), indent="    ")
            continue
        lines = (
            f"{place.first_line}" if place.first_line == place.last_line else f"{place.first_line}-{place.last_line}"
        )
        page = "" if place.page is None else f", page {place.page}"
        yield f"  {place.input}:{lines}{page}"
        yield block(one_line(place.text), indent="    ")
    if not step.places:
        yield "  no place in an input found"
