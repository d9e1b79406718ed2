"""What prompts tell of a plan: outputs they speak of without needing them, and needs they make no use of.

Ids are often ordinary words (`list`, `check`, `next`), and a prompt is not code. So a need is only added for what
cannot be read otherwise, such as `{list}`, "the output of step list" or "the results of `list`"; what is merely
likely is a hint. All patterns are bounded: linear in the prompt, whatever it holds.
"""

import re
from collections.abc import Iterator

from swarm.planning import graph
from swarm.planning.lint.context import Row, Sheet
from swarm.planning.lint.findings import quoted
from swarm.spec.plan import PLANNER, REDUCER, Step, before_of

_ID = r"[a-z0-9][a-z0-9_.-]{0,63}"
_MARK = r"[`'\"“‘\[]?"
_OUTPUT = r"(?:output|result|answer|finding|report|response)s?"
_BRACES = re.compile(rf"\{{\{{?\s{{0,3}}({_ID})\s{{0,3}}\}}", re.IGNORECASE)
_OUTPUT_OF = re.compile(
    rf"\b{_OUTPUT}\s{{1,3}}(?:of|from)\s{{1,3}}((?:the\s{{1,3}})?steps?\s{{1,3}})?({_MARK})({_ID})", re.IGNORECASE
)
_FROM_STEP = re.compile(
    rf"\b(?:from|based on|using|use|given|combine|merge)\s{{1,3}}((?:the\s{{1,3}})?steps?\s{{1,3}})({_MARK})({_ID})",
    re.IGNORECASE,
)
_MORE = re.compile(rf"[`'\"”’\]]?\s{{0,3}}(?:,\s{{0,3}}and\b|,|and\b|&|\+)\s{{0,3}}({_MARK})({_ID})", re.IGNORECASE)
_ITS_OUTPUT = re.compile(rf"({_MARK})\b({_ID})[`\"”\]]?['’]s\s{{1,3}}{_OUTPUT}\b", re.IGNORECASE)
_LIKELY = re.compile(rf"`({_ID})`|\[({_ID})\]|\bstep\s{{1,3}}{_MARK}({_ID})", re.IGNORECASE)
_TELLING = re.compile(r"[0-9_.-]")
_WORD = re.compile(r"[a-z]{3,40}")

_POINTS_BACK = re.compile(
    r"\b(?:"
    r"above|all|and|answer|answers|any|anything|assess|based|both|check|choose|combine|"
    r"combined|compare|conclude|data|decide|draft|each|earlier|either|every|everything|final|"
    r"finding|findings|former|gaps|given|information|input|inputs|item|items|its|known|list|"
    r"listed|merge|missing|none|other|others|output|outputs|overall|pick|previous|prior|rank|"
    r"reduce|report|rest|result|results|review|select|summarise|summarize|summary|synthesise|"
    r"synthesize|table|that|their|them|then|these|they|this|those|together|verify|what|which"
    r")\b"
)
"""Words that may well speak of what was handed on."""
_STEM = 5
"""Letters that two words must share to count as the same: `assess` and `assessment`."""


def check_mentions(sheet: Sheet) -> None:
    """Add the needs that prompts state; hint at those they may state."""
    ids = frozenset(row.step.id for row in sheet.rows) | (sheet.known - sheet.barred)
    sure: dict[int, list[str]] = {}
    likely: dict[int, list[str]] = {}
    for at, row in enumerate(sheet.rows):
        if not row.step.prompt:
            continue
        has = {row.step.id, *before_of(row.step)}
        named = dict.fromkeys(_stated(row.step.prompt, ids))
        sure[at] = [name for name in named if name not in has]
        maybe = dict.fromkeys(_likely(row.step.prompt, ids))
        likely[at] = [name for name in maybe if name not in has and name not in named]
    tangle = _tangles(sheet, sure)
    for at, names in sure.items():
        row = sheet.rows[at]
        added = [name for name in names if not _tangled(tangle, row.step.id, name)]
        for name in names:
            _note_race(sheet, row, name, added=name in added)
        if added:
            row.change(needs=(*row.step.needs, *added))
    tangle = _tangles(sheet, likely)
    for at, names in likely.items():
        row = sheet.rows[at]
        for name in names:
            if not _tangled(tangle, row.step.id, name):
                message = f"the prompt seems to speak of {quoted(name)}, which the step does not need"
                advice = "Add it to `needs` if its output is to be read; else leave it."
                sheet.found.hint("race", row.key("prompt"), message, advice=advice, step=row.step.id)


def _note_race(sheet: Sheet, row: Row, name: str, *, added: bool) -> None:
    if added:
        message = f"the prompt speaks of the output of {quoted(name)}, which was added to `needs`"
        sheet.found.repaired("race", row.key("needs"), message, step=row.step.id)
    else:
        message = f"the prompt speaks of the output of {quoted(name)}, which waits for this step"
        advice = "Leave it out, or turn the need round."
        sheet.found.hint("race", row.key("prompt"), message, advice=advice, step=row.step.id)


def _tangles(sheet: Sheet, more: dict[int, list[str]]) -> dict[str, int]:
    """Say which steps would wait for one another if they needed these too: the number of their tangle, by id."""
    if not any(more.values()):
        return {}
    steps = [
        row.step.model_copy(update={"needs": (*row.step.needs, *more.get(at, ()))}) for at, row in enumerate(sheet.rows)
    ]
    return {name: number for number, names in enumerate(graph.tangles(steps)) for name in names}


def _tangled(tangle: dict[str, int], one: str, other: str) -> bool:
    return one in tangle and tangle.get(other) == tangle[one]


def _stated(prompt: str, ids: frozenset[str]) -> Iterator[str]:
    """Name the steps whose output a prompt states it reads."""
    for match in _BRACES.finditer(prompt):
        name = _meant(match[1], ids)
        if name is not None and match[1].lower() != "item":
            yield name
    for pattern in (_OUTPUT_OF, _FROM_STEP):
        for match in pattern.finditer(prompt):
            yield from _series(prompt, match, ids)
    if "'s" in prompt or "’s" in prompt:
        for match in _ITS_OUTPUT.finditer(prompt):
            name = _meant(match[2], ids)
            if name is not None and (match[1] or _TELLING.search(name)):
                yield name


def _series(prompt: str, match: re.Match[str], ids: frozenset[str]) -> Iterator[str]:
    """Follow `… of step a, b and c` as far as it names steps beyond doubt."""
    said_step = match[1] is not None
    mark, token = match[2], match[3]
    end = match.end()
    while True:
        name = _meant(token, ids)
        if name is None:
            return
        rest = prompt[end - (len(token) - len(token.rstrip("._-"))) : end + 1].lstrip("`'\"”’]")
        alone = not rest or rest[0] in ".,;:)!?\n"
        if not (said_step or mark or _TELLING.search(name) or alone):
            return
        yield name
        following = _MORE.match(prompt, end)
        if following is None:
            return
        mark, token, end = following[1], following[2], following.end()


def _likely(prompt: str, ids: frozenset[str]) -> Iterator[str]:
    for match in _LIKELY.finditer(prompt):
        name = _meant(match[1] or match[2] or match[3], ids)
        if name is not None:
            yield name


def _meant(token: str, ids: frozenset[str]) -> str | None:
    """Give the step a word of a prompt is the id of, without the full stop after it or a field of its output."""
    word = token.lower()
    if word in ids:
        return word
    word = word.rstrip("._-")
    while word and word not in ids:
        word = word.rpartition(".")[0]
    return word or None


def check_use(sheet: Sheet) -> None:
    """Hint at needs that a prompt makes no visible use of: they cost time, and what they hand on costs tokens."""
    steps = {row.step.id: row.step for row in sheet.rows}
    told = {name: _stems(f"{name} {step.prompt}") for name, step in steps.items()}
    for row in sheet.rows:
        step = row.step
        if not step.needs or step.agent in (PLANNER, REDUCER) or not step.prompt.isascii():
            continue
        stems = _stems(step.prompt)
        if len(stems) < 3 or _POINTS_BACK.search(step.prompt.lower()):
            continue
        used = {step.each if isinstance(step.each, str) else "", *_stated(step.prompt, frozenset(step.needs))}
        for name in step.needs:
            if name in used or name not in steps or not steps[name].prompt.isascii() or stems & told[name]:
                continue
            message = f"the prompt makes no use of {quoted(name)}, which the step needs"
            advice = "Drop the need, and both can run side by side; or say what to do with it."
            sheet.found.hint("unused_need", row.key("needs"), message, advice=advice, step=step.id)


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in _WORD.findall(text.lower()))


def check_duplicates(sheet: Sheet) -> None:
    """Find steps that are told the same about the same; a planner's are made one, in the order of the plan."""
    first: dict[tuple[object, ...], Row] = {}
    merged: dict[str, str] = {}
    kept: list[Row] = []
    for row in sheet.rows:
        if merged:
            _rename(row, merged)
        same = first.setdefault(_told(row.step), row)
        if same is row or not row.step.prompt.strip():
            kept.append(row)
            continue
        message = f"{quoted(row.step.id)} is told the same as {quoted(same.step.id)}, about the same"
        if sheet.by_planner:
            merged[row.step.id] = same.step.id
            sheet.found.repaired("duplicate_step", row.key(), f"{message}; they were made one", step=row.step.id)
        else:
            advice = "It is paid for twice; drop one, unless two answers are wanted."
            sheet.found.hint("duplicate_step", row.key(), message, advice=advice, step=row.step.id)
            kept.append(row)
    sheet.rows[:] = kept
    for row in kept:
        if merged:
            _rename(row, merged)


def _told(step: Step) -> tuple[object, ...]:
    rest = step.model_dump(mode="json", exclude={"id", "prompt", "needs", "after", "seconds", "tokens"})
    prompt = " ".join(step.prompt.split())
    return prompt, frozenset(step.needs), frozenset(step.after), repr(sorted(rest.items()))


def _rename(row: Row, merged: dict[str, str]) -> None:
    """Let a step wait for the steps that others were merged into."""
    step = row.step
    if merged.keys().isdisjoint(before_of(step)):
        return
    row.change(
        needs=tuple(dict.fromkeys(merged.get(name, name) for name in step.needs)),
        after=tuple(dict.fromkeys(merged.get(name, name) for name in step.after)),
        each=merged.get(step.each, step.each) if isinstance(step.each, str) else step.each,
    )
