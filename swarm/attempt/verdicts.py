"""Verdicts of critics, and one verdict made of several by rule.

A critic that cannot read a long work with its sources in one prompt becomes several. Each judges a
piece of the work, or the work against some of its sources:

- A contradiction wins, whoever found it. Otherwise, if a verdict is missing, the work is unchecked.
- One piece that several critics compared with different sources is what any of them could tell:
  what is not in the sources of one may be in those of another.
- Of different pieces, the weakest verdict counts: `cannot tell`, `qualified`, then `supported`.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any, Literal, cast

from swarm.attempt.types import Given, Missing
from swarm.base.values import Json

Verdict = Literal["supported", "contradicted", "qualified", "cannot tell", "unchecked"]

REASONS = 20
"""Maximum reasons of a verdict."""
REASON_CHARACTERS = 1000
"""Maximum characters of a reason."""
VERDICT: dict[str, Json] = {
    "type": "object",
    "properties": {
        "verdict": {"enum": ["supported", "contradicted", "qualified", "cannot tell"]},
        "reasons": {
            "type": "array",
            "items": {"type": "string", "maxLength": REASON_CHARACTERS},
            "maxItems": REASONS,
        },
    },
    "required": ["verdict", "reasons"],
    "additionalProperties": False,
}
"""Schema of a critic's answer."""

_OF_ONE_PIECE: tuple[Verdict, ...] = ("contradicted", "qualified", "supported", "cannot tell")
_OF_PIECES: tuple[Verdict, ...] = ("contradicted", "unchecked", "cannot tell", "qualified", "supported")


def verdict_in(output: Json) -> Verdict:
    """Return the verdict that an output states, `unchecked` if it states none."""
    stated = cast("dict[str, Any]", output).get("verdict") if isinstance(output, dict) else None
    return stated if stated in _OF_PIECES else "unchecked"


def reasons_in(output: Json) -> list[str]:
    """Return the reasons of a verdict."""
    stated = cast("dict[str, Any]", output).get("reasons") if isinstance(output, dict) else None
    return [str(reason) for reason in cast("list[object]", stated)] if isinstance(stated, list) else []


def merged_verdict(given: Sequence[Given], missing: Sequence[Missing] = ()) -> dict[str, Json]:
    """Return the verdict on a whole work from those of its critics, which are `about` the pieces that they judged."""
    pieces: dict[str, list[Given]] = {}
    for each in given:
        pieces.setdefault(each.about, []).append(each)
    found = [_on_piece(judged) for judged in pieces.values()]
    whole: set[Verdict] = {verdict for verdict, _ in found}
    if missing or not found:
        whole.add("unchecked")
    verdict = _first_of(_OF_PIECES, whole)
    if verdict == "unchecked":
        reasons = [f"{each.step}: {each.because}"[:REASON_CHARACTERS] for each in missing]
    else:
        judged = chain.from_iterable(judged for stated, judged in found if stated == verdict)
        reasons = _reasons(list(judged), len(pieces))
    return {"verdict": verdict, "reasons": list[Json](_first(reasons))}


def _on_piece(given: Sequence[Given]) -> tuple[Verdict, list[Given]]:
    """Return the verdict on one piece, with those who gave it."""
    verdicts: set[Verdict] = {verdict_in(each.output) for each in given}
    verdict = _first_of(_OF_ONE_PIECE, verdicts)
    return verdict, [each for each in given if verdict_in(each.output) == verdict]


def _first_of(order: tuple[Verdict, ...], verdicts: set[Verdict]) -> Verdict:
    for verdict in order:
        if verdict in verdicts:
            return verdict
    return "unchecked"


def _reasons(given: Sequence[Given], pieces: int) -> list[str]:
    """Return the reasons of verdicts, each once: first the first of each.

    They name one of several pieces.
    """
    listed = ([_named(each, reason, pieces) for reason in reasons_in(each.output)] for each in given)
    in_turn = chain.from_iterable(zip_longest(*listed))
    return [reason for reason in dict.fromkeys(in_turn) if reason is not None]


def _named(given: Given, reason: str, pieces: int) -> str:
    return (f"[{given.about.partition(' ')[0]}] {reason}" if pieces > 1 else reason)[:REASON_CHARACTERS]


def _first(reasons: list[str]) -> list[str]:
    if len(reasons) <= REASONS:
        return reasons
    return [*reasons[: REASONS - 1], f"and {len(reasons) - REASONS + 1:,} more"]
