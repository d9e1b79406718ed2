"""Plans from the shape of the inputs: read each, or groups of them, side by side; then one report."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from swarm.spec.plan import ANSWER_STEP, REDUCE_STEP, REDUCER

READ = "From {item}:"
READ_SEVERAL = "From these inputs:"
REPORT = "From what the steps found:"
"""What the steps of its plans are asked, before the words of the goal."""

WIDEST = 100
"""Most steps that read at once; more inputs than that are read in groups (the widest swarm of Kimi K2.5)."""


@dataclass(frozen=True)
class Shape:
    """What a brief says about the inputs."""

    texts: tuple[Mapping[str, Any], ...]
    others: tuple[Mapping[str, Any], ...]
    """Pictures, sounds and films: not readable here."""
    total: int
    """Inputs of the run, of which a long brief lists only the first."""
    steps_left: int
    depth: int
    known: tuple[str, ...]
    first: bool


def asked(prompt: str, goal: str) -> str:
    """Give a prompt without the words this module puts in front of a goal."""
    before = prompt.removesuffix(goal).rstrip()
    mine = before in (READ_SEVERAL, REPORT) or (before.startswith("From ") and before.endswith(":"))
    return goal if goal and prompt.endswith(goal) and mine else prompt


def shape(brief: str, said: Iterable[str] = ()) -> Shape:
    """Read a brief, a JSON object in the form of `swarm.planning.brief.Brief`; what is absent
    or odd counts as not there.

    `said` are the words around it: a note such as "lists only 90 of 400 inputs" tells how many there are.
    """
    try:
        value = json.loads(brief)
    except (ValueError, RecursionError):
        value = None
    found = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    raw = cast("list[Any]", found.get("inputs")) if isinstance(found.get("inputs"), list) else []
    every = [cast("dict[str, Any]", each) for each in raw if isinstance(each, dict)]
    inputs = [each for each in every if each.get("name")]
    limits = cast("dict[str, Any]", found["limits"]) if isinstance(found.get("limits"), dict) else {}
    known = cast("list[Any]", found["known"]) if isinstance(found.get("known"), list) else []
    return Shape(
        texts=tuple(each for each in inputs if each.get("medium", "text") == "text"),
        others=tuple(each for each in inputs if each.get("medium", "text") != "text"),
        total=max([len(inputs), *_totals(len(inputs), said)]),
        steps_left=_number(found.get("steps_left"), 256),
        depth=_number(limits.get("depth"), 32),
        known=tuple(str(each) for each in known),
        first=found.get("first") is not False,
    )


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default


def _totals(listed: int, said: Iterable[str]) -> list[int]:
    found: list[int] = []
    for text in said:
        numbers = [int(digits) for digits in re.findall(r"\b\d{1,9}\b", text[:600])]
        if listed and listed in numbers:
            found += [number for number in numbers if number > listed]
    return found


def plan(goal: str, seen: Shape, given: Sequence[str] = ()) -> str:
    """Write a plan, as JSON, for a goal; `given` are the steps whose outputs a later plan goes on from."""
    words = goal.replace("{item}", "(item)")
    if not seen.first:
        steps = [_again(words, seen, given)]
    else:
        steps = _reading(words, seen)
        sources = len(steps) > 1 or "each" in steps[0]
        if sources and seen.depth > 1:
            steps.append(_step(REDUCE_STEP, f"{REPORT} {words}", agent=REDUCER, after=[step["id"] for step in steps]))
    return json.dumps({"steps": steps}, indent=1)


def _again(words: str, seen: Shape, given: Sequence[str]) -> dict[str, Any]:
    number = 1
    while f"again-{number}" in seen.known:
        number += 1
    return _step(f"again-{number}", words, needs=[name for name in given if name in seen.known])


def _reading(words: str, seen: Shape) -> list[dict[str, Any]]:
    """Plan the steps that read: each input by itself, or groups of them; what cannot be read has a step to say so."""
    texts = [str(each["name"]) for each in seen.texts]
    apart = seen.depth > 1 and seen.total > 1
    if not texts or not apart or seen.steps_left < 4:
        return [_step(ANSWER_STEP, words)]
    steps: list[dict[str, Any]]
    room = seen.steps_left - 2 - bool(seen.others)  # the list itself and the report are steps too
    complete = len(texts) + len(seen.others) >= seen.total
    if len(texts) == 1:
        steps = [_step("read", f"{READ.replace('{item}', texts[0])} {words}", inputs=texts)]
    elif (seen.total <= WIDEST or not complete) and seen.total <= room:
        only = {"inputs": texts} if seen.others and complete else {}
        steps = [_step("read", f"{READ} {words}", each="inputs", **only)]
    elif not complete:
        return [_step(ANSWER_STEP, words)]
    else:
        groups = _groups(seen.texts, min(WIDEST, room))
        prompt = f"{READ_SEVERAL} {words}"
        steps = [_step(f"read-{n}", prompt, inputs=names) for n, names in enumerate(groups, 1)]
    if seen.others and complete:
        steps.append(_step("media", f"{READ_SEVERAL} {words}", inputs=[str(each["name"]) for each in seen.others]))
    return steps


def _step(name: str, prompt: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "prompt": prompt, **fields}


def _groups(inputs: Sequence[Mapping[str, Any]], count: int) -> list[list[str]]:
    """Share inputs out so that groups are about equally large: the largest first, each to the smallest group.

    This is list scheduling by longest processing time (Graham 1969), at most 4/3 of the best. Inputs of different
    labels are kept apart while there are groups enough, so that a label binds no more than it must.
    """
    labels = list(dict.fromkeys(str(each.get("label") or "") for each in inputs))
    if len(labels) > count:
        labels = []
    shares: list[list[int]] = []
    places = range(len(inputs))
    for wanted in labels or [None]:
        members = [i for i in places if wanted is None or str(inputs[i].get("label") or "") == wanted]
        spare = count - max(len(labels), 1)
        bins = 1 + spare * len(members) // max(len(inputs), 1)
        own: list[list[int]] = [[] for _ in range(min(bins, len(members)))]
        sizes = [0] * len(own)
        for i in sorted(members, key=lambda i: (-_number(inputs[i].get("size"), 0), i)):
            least = sizes.index(min(sizes))
            own[least].append(i)
            sizes[least] += _number(inputs[i].get("size"), 0) + 1
        shares += own
    return [[str(inputs[i]["name"]) for i in sorted(share)] for share in sorted(shares, key=min)]
