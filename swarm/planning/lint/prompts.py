"""Checks of prompts: outputs that they use without a need, unused needs, and equal steps.

Ids are often ordinary words (`list`, `check`, `next`), and a prompt is not code. So a need is added
only for unambiguous words, such as `{list}`, "the output of step list" or "the results of `list`".
Words that are only likely to mean a step get a hint. All patterns are bounded: they take linear
time in any prompt.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from swarm.planning import graph
from swarm.planning.lint.context import Row, Sheet
from swarm.planning.lint.findings import quoted
from swarm.spec.plan import PLANNER, REDUCER, Step, before_of

_ID = r"[a-z0-9][a-z0-9_.-]{0,63}"
_MARK = r"[`'\"“‘\[]?"
_OUTPUT = r"(?:output|result|answer|finding|report|response)s?"
_BRACES = re.compile(rf"\{{\{{?\s{{0,3}}({_ID})\s{{0,3}}\}}", re.IGNORECASE)
_OUTPUT_OF = re.compile(
    rf"\b{_OUTPUT}\s{{1,3}}(?:of|from)\s{{1,3}}((?:the\s{{1,3}})?steps?\s{{1,3}})?({_MARK})({_ID})",
    re.IGNORECASE,
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
"""Words that may refer to the outputs of other steps."""
_STEM = 5
"""Letters at the start that two words must share to be equal: `assess` and `assessment`."""


def check_mentions(sheet: Sheet) -> None:
    """Add the needs that prompts state, and a hint for each that they may state."""
    ids = frozenset(row.step.id for row in sheet.rows) | (sheet.known - sheet.barred)
    sure: dict[int, list[str]] = {}
    likely: dict[int, list[str]] = {}
    for at, row in enumerate(sheet.rows):
        if not row.step.prompt:
            continue
        has = {row.step.id, *before_of(row.step)}
        stated = dict.fromkeys(_stated(row.step.prompt, ids))
        sure[at] = [name for name in stated if name not in has]
        maybe = dict.fromkeys(_likely(row.step.prompt, ids))
        likely[at] = [name for name in maybe if name not in has and name not in stated]
    _add_needs(sheet, sure)
    _hint_at_needs(sheet, likely)


def _add_needs(sheet: Sheet, mentions: Mapping[int, list[str]]) -> None:
    """Add the mentioned steps to `needs`, except those that would make a cycle."""
    tangle = _tangles(sheet, mentions)
    for at, names in mentions.items():
        row = sheet.rows[at]
        added: list[str] = []
        for name in names:
            message = f"the prompt uses the output of {quoted(name)}"
            if _tangled(tangle, row.step.id, name):
                message += ", which waits for this step"
                advice = "Remove that from the prompt, or reverse the need."
                sheet.found.hint("race", row.key("prompt"), message, advice=advice, step=row.step.id)
            else:
                added.append(name)
                message += "; it was added to `needs`"
                sheet.found.repaired("race", row.key("needs"), message, step=row.step.id)
        if added:
            row.change(needs=(*row.step.needs, *added))


def _hint_at_needs(sheet: Sheet, mentions: Mapping[int, list[str]]) -> None:
    tangle = _tangles(sheet, mentions)
    for at, names in mentions.items():
        row = sheet.rows[at]
        for name in names:
            if _tangled(tangle, row.step.id, name):
                continue
            message = f"the prompt seems to mention {quoted(name)}, but the step does not need it"
            advice = "Add it to `needs` if the step must read its output."
            sheet.found.hint("race", row.key("prompt"), message, advice=advice, step=row.step.id)


def _tangles(sheet: Sheet, more: Mapping[int, list[str]]) -> dict[str, int]:
    """Return the number of the tangle of each step that is in one, if steps had these needs in addition."""
    if not any(more.values()):
        return {}
    steps: list[Step] = []
    for at, row in enumerate(sheet.rows):
        needs = (*row.step.needs, *more.get(at, ()))
        steps.append(row.step.model_copy(update={"needs": needs}))
    found: dict[str, int] = {}
    for number, names in enumerate(graph.tangles(steps)):
        found.update(dict.fromkeys(names, number))
    return found


def _tangled(tangle: dict[str, int], one: str, other: str) -> bool:
    return one in tangle and tangle.get(other) == tangle[one]


def _stated(prompt: str, ids: frozenset[str]) -> Iterator[str]:
    """Return the steps whose output a prompt uses beyond doubt."""
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
    """Return the steps of `… of step a, b and c`, as far as they are beyond doubt."""
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
    """Return the step that a word names, without a full stop after it or a field of its output."""
    word = token.lower()
    if word in ids:
        return word
    word = word.rstrip("._-")
    while word and word not in ids:
        word = word.rpartition(".")[0]
    return word or None


def check_use(sheet: Sheet) -> None:
    """Add a hint for each need that a prompt does not seem to use: it costs time, and its output costs tokens."""
    known_stems = {
        row.step.id: _stems(f"{row.step.id} {row.step.prompt}") for row in sheet.rows if row.step.prompt.isascii()
    }
    for row in sheet.rows:
        step = row.step
        stems = _stems(step.prompt)
        if not step.needs or not _can_be_judged(step, stems):
            continue
        stated = frozenset(_stated(step.prompt, frozenset(step.needs)))
        for name in step.needs:
            if name in stated or name == step.each:
                continue
            if name not in known_stems or stems & known_stems[name]:
                continue
            message = f"the prompt does not use {quoted(name)}, which the step needs"
            advice = "Remove the need, so that both can run in parallel, or write what to do with its output."
            sheet.found.hint("unused_need", row.key("needs"), message, advice=advice, step=step.id)


def _can_be_judged(step: Step, stems: Collection[str]) -> bool:
    """Return True if a prompt is English, has enough words, and none that may refer to any output."""
    if step.agent in (PLANNER, REDUCER) or not step.prompt.isascii():
        return False
    return len(stems) >= 3 and _POINTS_BACK.search(step.prompt.lower()) is None


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in _WORD.findall(text.lower()))


def check_duplicates(sheet: Sheet) -> None:
    """Find steps with the same prompt and inputs. Those of a planner are merged, in the order of the plan."""
    first: dict[tuple[object, ...], Row] = {}
    merged: dict[str, str] = {}
    kept: list[Row] = []
    for row in sheet.rows:
        if merged:
            _rename(row, merged)
        same = first.setdefault(_work_of(row.step), row)
        if same is row or not row.step.prompt.strip():
            kept.append(row)
            continue
        message = f"{quoted(row.step.id)} has the same prompt and inputs as {quoted(same.step.id)}"
        if sheet.by_planner:
            merged[row.step.id] = same.step.id
            sheet.found.repaired("duplicate_step", row.key(), f"{message}; they were merged", step=row.step.id)
        else:
            advice = "Remove one, unless you want two answers."
            sheet.found.hint("duplicate_step", row.key(), message, advice=advice, step=row.step.id)
            kept.append(row)
    sheet.rows[:] = kept
    for row in kept:
        if merged:
            _rename(row, merged)


def _work_of(step: Step) -> tuple[object, ...]:
    rest = step.model_dump(mode="json", exclude={"id", "prompt", "needs", "after", "seconds", "tokens"})
    prompt = " ".join(step.prompt.split())
    return prompt, frozenset(step.needs), frozenset(step.after), repr(sorted(rest.items()))


def _rename(row: Row, merged: dict[str, str]) -> None:
    """Replace merged steps in the needs of a step."""
    step = row.step
    if merged.keys().isdisjoint(before_of(step)):
        return
    row.change(
        needs=tuple(dict.fromkeys(merged.get(name, name) for name in step.needs)),
        after=tuple(dict.fromkeys(merged.get(name, name) for name in step.after)),
        each=merged.get(step.each, step.each) if isinstance(step.each, str) else step.each,
    )
