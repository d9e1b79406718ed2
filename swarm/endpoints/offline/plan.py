"""Plans from the shape of the inputs: steps that read in parallel, then one report."""

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

from pydantic import ValidationError

from swarm.endpoints.offline.columns import UNNAMED, columns_of, with_rows
from swarm.planning.brief import Brief, InputBrief
from swarm.spec.plan import ANSWER_STEP, REDUCE_STEP, REDUCER

READ = "From {item}:"
READ_SEVERAL = "From these inputs:"
ALONE = "From all inputs:"
REPORT = "From the results of the steps:"
"""Beginning of a step's prompt, before the words of the goal."""

WIDEST = 100
"""Maximum steps that read in parallel, as in Kimi K2.5. More inputs are read in groups."""


def asked(prompt: str, goal: str) -> str:
    """Return a prompt without the words that this module puts before the goal."""
    before = prompt.removesuffix(goal).rstrip()
    is_ours = before in (READ_SEVERAL, ALONE, REPORT) or (before.startswith("From ") and before.endswith(":"))
    return goal if is_ours and goal and prompt.endswith(goal) else prompt


def is_alone(prompt: str) -> bool:
    """Return whether a prompt is that of the only step of a plan of this module."""
    return prompt.startswith(f"{ALONE} ")


def brief_of(text: str) -> Brief:
    """Return a brief from its JSON, or an empty one."""
    try:
        return Brief.model_validate_json(text)
    except ValidationError:
        return Brief(roles=())


def plan(goal: str, brief: Brief, given: Sequence[str] = (), total: int = 0) -> str:
    """Return a plan for a goal as JSON.

    `given` are the steps on whose outputs a later plan builds. `total` is the number of inputs of the run, if a
    long brief lists only the first of them.
    """
    words = goal.replace("{item}", "(item)")
    steps = _reading(words, brief, max(total, len(brief.inputs)))
    columns = columns_of(goal) if brief.table else ()
    if not brief.first:
        steps = [_again(words, brief, given)]
    elif columns or brief.table == "file":
        steps = with_rows(steps, columns or UNNAMED)
    elif brief.limits.depth > 1 and (len(steps) > 1 or "each" in steps[0]):
        after = [step["id"] for step in steps]
        steps.append(_step(REDUCE_STEP, f"{REPORT} {words}", agent=REDUCER, after=after))
    return json.dumps({"steps": steps}, indent=1)


def _again(words: str, brief: Brief, given: Sequence[str]) -> dict[str, Any]:
    number = next(n for n in count(1) if f"again-{n}" not in brief.known)
    return _step(f"again-{number}", words, needs=[name for name in given if name in brief.known])


def _reading(words: str, brief: Brief, total: int) -> list[dict[str, Any]]:
    """Return the steps that read the inputs, or one step that answers.

    Each input has a step, or each group if there are too many. Inputs that cannot be read share a
    step that says so.
    """
    texts = [each for each in brief.inputs if each.medium == "text"]
    others = [each.name for each in brief.inputs if each.medium != "text"]
    may_split = brief.limits.depth > 1 and total > 1 and brief.steps_left >= 4
    steps = _readers(words, brief, total, texts) if texts and may_split else []
    if not steps:
        return [_step(ANSWER_STEP, f"{ALONE} {words}")]
    has_media = bool(others) and len(brief.inputs) >= total
    return [*steps, *[_step("media", f"{READ_SEVERAL} {words}", inputs=others)] * has_media]


def _readers(words: str, brief: Brief, total: int, texts: Sequence[InputBrief]) -> list[dict[str, Any]]:
    """Return the steps that read texts; none if the brief does not list all inputs of too many."""
    names = [each.name for each in texts]
    has_others = len(texts) < len(brief.inputs)
    is_complete = len(brief.inputs) >= total
    room = brief.steps_left - 2 - has_others  # the list itself and the report are steps too
    if len(texts) == 1:
        return [_step("read", f"{READ.replace('{item}', names[0])} {words}", inputs=names)]
    if total <= room and (total <= WIDEST or not is_complete):
        only = {"inputs": names} if has_others and is_complete else {}
        return [_step("read", f"{READ} {words}", each="inputs", **only)]
    groups = enumerate(_groups(texts, min(WIDEST, room)) if is_complete else [], 1)
    return [_step(f"read-{n}", f"{READ_SEVERAL} {words}", inputs=group) for n, group in groups]


def _step(name: str, prompt: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "prompt": prompt, **fields}


def _groups(inputs: Sequence[InputBrief], most: int) -> list[list[str]]:
    """Return groups of inputs with about the same size, in the order of the inputs.

    The largest input comes first, and each goes to the smallest group. This is list scheduling by longest processing
    time (Graham 1969). Different labels are in different groups if there are enough, so that a label restricts no
    more steps than necessary: the first input of each label opens a group.
    """
    labels = {each.label: n for n, each in reversed(list(enumerate(inputs)))}
    is_apart = len(labels) <= most
    order = sorted(range(len(inputs)), key=lambda n: (is_apart and labels[inputs[n].label] != n, -inputs[n].size, n))
    groups: list[list[int]] = [[] for _ in range(most)]
    loads = [0] * most
    for n in order:
        fit = (g for g in range(most) if not (is_apart and groups[g]) or inputs[groups[g][0]].label == inputs[n].label)
        smallest = min(fit, key=loads.__getitem__)
        groups[smallest].append(n)
        loads[smallest] += inputs[n].size + 1
    return [[inputs[n].name for n in sorted(group)] for group in sorted(filter(None, groups))]
