"""Plans from the shape of the inputs: steps that read in parallel, then one report."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from swarm.endpoints.offline.columns import UNNAMED, columns_of, with_rows
from swarm.spec.plan import ANSWER_STEP, REDUCE_STEP, REDUCER

READ = "From {item}:"
READ_SEVERAL = "From these inputs:"
ALONE = "From all inputs:"
REPORT = "From the results of the steps:"
"""Beginning of a step's prompt, before the words of the goal."""

WIDEST = 100
"""Maximum steps that read in parallel, as in Kimi K2.5. More inputs are read in groups."""


@dataclass(frozen=True)
class Shape:
    """The content of a brief that a plan depends on."""

    texts: tuple[Mapping[str, Any], ...]
    others: tuple[Mapping[str, Any], ...]
    """Images, audio and videos, which this endpoint cannot read."""
    total: int
    """Number of inputs of the run. A long brief lists only the first of them."""
    steps_left: int
    depth: int
    known: tuple[str, ...]
    first: bool
    table: str = ""
    """`asked` if the goal asks for a table, `file` if a file needs one."""


def asked(prompt: str, goal: str) -> str:
    """Return a prompt without the words that this module puts before the goal."""
    before = prompt.removesuffix(goal).rstrip()
    is_ours = before in (READ_SEVERAL, ALONE, REPORT) or (before.startswith("From ") and before.endswith(":"))
    return goal if is_ours and goal and prompt.endswith(goal) else prompt


def is_alone(prompt: str) -> bool:
    """Return whether a prompt is that of the only step of a plan of this module."""
    return prompt.startswith(f"{ALONE} ")


def shape(brief: str, said: Iterable[str] = ()) -> Shape:
    """Return the shape of a brief, a JSON object in the form of `swarm.planning.brief.Brief`.

    Missing and invalid fields count as empty. `said` are the texts around the brief: a note such as
    "lists only 90 of 400 inputs" contains the number of inputs.
    """
    try:
        value = json.loads(brief)
    except (ValueError, RecursionError):
        value = None
    found = _object(value)
    every = [_object(each) for each in _list(found.get("inputs"))]
    inputs = [each for each in every if each.get("name")]
    return Shape(
        texts=tuple(each for each in inputs if _is_text(each)),
        others=tuple(each for each in inputs if not _is_text(each)),
        total=max([len(inputs), *_totals(len(inputs), said)]),
        steps_left=_number(found.get("steps_left"), 256),
        depth=_number(_object(found.get("limits")).get("depth"), 32),
        known=tuple(str(each) for each in _list(found.get("known"))),
        first=found.get("first") is not False,
        table=str(found.get("table") or ""),
    )


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _is_text(each: Mapping[str, Any]) -> bool:
    return each.get("medium", "text") == "text"


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default


def _totals(listed: int, said: Iterable[str]) -> list[int]:
    """Return the larger numbers in texts that also contain the number of listed inputs."""
    found: list[int] = []
    for text in said:
        numbers = [int(digits) for digits in re.findall(r"\b\d{1,9}\b", text[:600])]
        if listed and listed in numbers:
            found += [number for number in numbers if number > listed]
    return found


def plan(goal: str, seen: Shape, given: Sequence[str] = ()) -> str:
    """Return a plan for a goal as JSON. `given` are the steps on whose outputs a later plan builds."""
    words = goal.replace("{item}", "(item)")
    if not seen.first:
        steps = [_again(words, seen, given)]
    else:
        steps = _reading(words, seen)
        columns = columns_of(goal) if seen.table else ()
        if columns or seen.table == "file":
            return json.dumps({"steps": with_rows(steps, columns or UNNAMED)}, indent=1)
        sources = len(steps) > 1 or "each" in steps[0]
        if sources and seen.depth > 1:
            after = [step["id"] for step in steps]
            steps.append(_step(REDUCE_STEP, f"{REPORT} {words}", agent=REDUCER, after=after))
    return json.dumps({"steps": steps}, indent=1)


def _again(words: str, seen: Shape, given: Sequence[str]) -> dict[str, Any]:
    number = 1
    while f"again-{number}" in seen.known:
        number += 1
    return _step(f"again-{number}", words, needs=[name for name in given if name in seen.known])


def _reading(words: str, seen: Shape) -> list[dict[str, Any]]:
    """Return the steps that read the inputs, or one step that answers.

    Each input has a step, or each group if there are too many. Inputs that cannot be read share a
    step that says so.
    """
    texts = [str(each["name"]) for each in seen.texts]
    others = [str(each["name"]) for each in seen.others]
    may_split = seen.depth > 1 and seen.total > 1 and seen.steps_left >= 4
    is_complete = len(texts) + len(others) >= seen.total
    steps = _readers(words, seen, texts, is_complete=is_complete) if texts and may_split else []
    if not steps:
        return [_step(ANSWER_STEP, f"{ALONE} {words}")]
    if others and is_complete:
        steps.append(_step("media", f"{READ_SEVERAL} {words}", inputs=others))
    return steps


def _readers(
    words: str,
    seen: Shape,
    texts: list[str],
    *,
    is_complete: bool,
) -> list[dict[str, Any]]:
    """Return the steps that read texts; none if the brief does not list all inputs of too many."""
    if len(texts) == 1:
        return [_step("read", f"{READ.replace('{item}', texts[0])} {words}", inputs=texts)]
    room = seen.steps_left - 2 - bool(seen.others)  # the list itself and the report are steps too
    is_narrow = seen.total <= WIDEST or not is_complete
    if is_narrow and seen.total <= room:
        only = {"inputs": texts} if seen.others and is_complete else {}
        return [_step("read", f"{READ} {words}", each="inputs", **only)]
    if not is_complete:
        return []
    groups = _groups(seen.texts, min(WIDEST, room))
    prompt = f"{READ_SEVERAL} {words}"
    return [_step(f"read-{n}", prompt, inputs=names) for n, names in enumerate(groups, 1)]


def _step(name: str, prompt: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "prompt": prompt, **fields}


def _groups(inputs: Sequence[Mapping[str, Any]], count: int) -> list[list[str]]:
    """Return groups of inputs with about the same size, in the order of the inputs.

    Inputs of different labels are in different groups if there are enough groups, so that a label
    restricts no more steps than necessary.
    """
    by_label: dict[str, list[int]] = {}
    for i, each in enumerate(inputs):
        by_label.setdefault(str(each.get("label") or ""), []).append(i)
    if len(by_label) > count:
        by_label = {"": list(range(len(inputs)))}
    spare = count - len(by_label)
    shares: list[list[int]] = []
    for members in by_label.values():
        bins = 1 + spare * len(members) // len(inputs)
        sizes = {i: _number(inputs[i].get("size"), 0) for i in members}
        shares += _balanced(sizes, min(bins, len(members)))
    return [[str(inputs[i]["name"]) for i in sorted(share)] for share in sorted(shares, key=min)]


def _balanced(sizes: Mapping[int, int], count: int) -> list[list[int]]:
    """Return `count` groups of about the same size.

    The largest input comes first, and each goes to the smallest group. This is list scheduling by
    longest processing time (Graham 1969), at most 4/3 of the optimum.
    """
    groups: list[list[int]] = [[] for _ in range(count)]
    totals = [0] * count
    for i in sorted(sizes, key=lambda i: (-sizes[i], i)):
        smallest = totals.index(min(totals))
        groups[smallest].append(i)
        totals[smallest] += sizes[i] + 1
    return groups
