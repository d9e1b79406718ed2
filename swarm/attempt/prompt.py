"""The prompt: the first messages of an attempt.

The layout is made for prefix caches. The system message has the rules that all agents share, then
the instructions of the role: the same bytes for every step of a role. The user message has parts,
from those that most siblings share to those of this step alone: goal, brief, inputs, outputs of
other steps, missing outputs, the output format, and last, as a `Text` of its own, the prompt of
the step. Text that somebody else wrote is `Data`. Its marks are made of its content, so the same
attempt has the same bytes in every run.

This module contains no phrases: they are in `Attempt.wording`, from `agents/wording.md`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, cast

from swarm.attempt.answer_schemas import ANSWER, as_object, plan_form
from swarm.attempt.reading import (
    ASSUMED_CONTEXT,
    Item,
    Reading,
    Shown,
    framed,
    head_bytes,
    room_to_answer,
    room_to_read,
)
from swarm.attempt.types import Attempt, Given, Missing
from swarm.base.values import Json, canonical
from swarm.planning.brief import Brief
from swarm.record.outcome import Unread
from swarm.spec.chat import (
    Data,
    Form,
    Media,
    Message,
    Part,
    Request,
    Text,
    estimate_tokens,
    media_tokens,
    request_tokens,
    says,
)

BRIEF_PART = 2
"""A brief may take one part in this many of the room: goal and outputs need the rest."""
UNIT_ENDS = (b"\n", b",", b", ")
"""Ends of a line or record that a part shares completely with the one before it, not only the end of a long one."""
_PLACE = re.compile(r"\{([a-z_]{1,40})\}")

Kind = Literal["text", "plan", "report", "json"]
Notes = Mapping[tuple[str, str], Text]
"""Notes about truncated texts, by `Shown.key`."""


@dataclass(frozen=True)
class Prompt:
    """The first messages of an attempt."""

    messages: tuple[Message, ...]
    left_out: tuple[str, ...] = ()
    """Parts that the model's context has no room for, in words for people."""
    unread: tuple[Unread, ...] = ()
    """The inputs and outputs among them, as data."""


@dataclass(frozen=True)
class AnswerForm:
    """The kind of answer that an attempt is for."""

    kind: Kind
    schema: dict[str, Json] | None = None
    """For `json`: the schema of the value."""
    form: Form | None = None
    """For `json` and `plan`: the form that the endpoint is asked for."""
    wrapped: bool = False
    """Whether the form is an object with the value under the key `answer`: endpoints that enforce
    a form require an object at its root."""


def messages(attempt: Attempt) -> Prompt:
    """Return the messages before the first turn of an attempt."""
    texts = texts_of(attempt)
    layout = _layout(attempt, texts)
    reading = _reading(attempt, texts, layout)
    if not reading.fits:
        level, shares_a_note = reading.cut()
        texts = tuple(text.up_to(level) for text in texts)
        layout = _layout(attempt, texts, shares_a_note=shares_a_note)
    user = Message(role="user", parts=layout.parts)
    cut = [text for text in texts if text.is_cut]
    unread = tuple(Unread(of=text.of, name=text.name, read=text.size, total=text.total) for text in cut)
    return Prompt((layout.system, user), (*layout.left_out, *(text.left_out for text in cut)), unread)


def reading_of(attempt: Attempt) -> Reading:
    """Return the size of everything that an attempt would read, if nothing was truncated."""
    texts = texts_of(attempt)
    return _reading(attempt, texts, _layout(attempt, texts))


def _reading(attempt: Attempt, texts: Sequence[Shown], layout: "_Layout") -> Reading:
    items = [text.item for text in texts]
    media = (each for each in attempt.inputs if each.medium != "text")
    items += [Item("input", each.name, media_tokens(each.base64), splittable=False) for each in media]
    for missing in attempt.missing:
        line = _missing_line(attempt, missing)
        items.append(Item("missing", missing.step, estimate_tokens(line), splittable=False))
    user = Message(role="user", parts=layout.parts)
    needed = request_tokens(Request(model="", messages=(layout.system, user)))
    return Reading(
        fixed=needed - sum(item.total for item in items),
        items=tuple(items),
        room=_share(attempt),
        answer=room_to_answer(attempt.context or ASSUMED_CONTEXT, attempt.settings, attempt.step.length),
    )


@dataclass(frozen=True)
class _Layout:
    """The parts of a prompt in their order."""

    system: Message
    parts: tuple[Part, ...]
    left_out: tuple[str, ...]
    """What its brief does not list."""


def _layout(attempt: Attempt, texts: Sequence[Shown], *, shares_a_note: bool = False) -> _Layout:
    """Put the parts in order, the most shared ones first. `texts` are the inputs and outputs as they are shown."""
    wording = attempt.wording
    rules = (phrase(wording, "rules"), attempt.agent.instructions)
    system = says("system", "\n\n".join(text for text in rules if text))
    brief, left_out = _brief_parts(attempt)
    data = _data_parts(attempt, texts, _notes(texts, wording, shares_a_note=shares_a_note))
    return _Layout(system, (*_goal_parts(attempt), *brief, *data, *_step_parts(attempt)), left_out)


def _notes(texts: Sequence[Shown], wording: Mapping[str, str], *, shares_a_note: bool) -> Notes:
    """Return the notes about truncated texts, each by the text above it."""
    cut = [text for text in texts if text.is_cut]
    if shares_a_note and cut:
        level = max(text.size for text in cut)
        return {cut[-1].key: Text(text=phrase(wording, "cut_many", shown=level))}
    notes: dict[tuple[str, str], Text] = {}
    for text in cut:
        words = phrase(wording, "cut", name=text.name, shown=text.size, total=text.total)
        notes[text.key] = Text(text=words)
    return notes


def phrase(wording: Mapping[str, str], name: str, /, **values: object) -> str:
    """Return a phrase of `agents/wording.md` with its values; the values alone if it has no such phrase."""
    template = wording.get(name)
    if template is None:
        return "\n".join(str(value) for value in values.values())
    return _PLACE.sub(lambda match: str(values.get(match[1], match[0])), template)


def wanted(attempt: Attempt) -> AnswerForm:
    """Return the kind of answer that an attempt is for.

    It is the step's `output`, else its role's. A planner always plans.
    """
    output = attempt.agent.output
    if output == "plan":
        room = room_to_answer(attempt.context or ASSUMED_CONTEXT, attempt.settings)
        return AnswerForm("plan", form=Form(name="plan", json_schema=plan_form(attempt.brief, room=room)))
    if attempt.step.output is not None:
        output = attempt.step.output
    if isinstance(output, str):
        return AnswerForm(output)
    form, wrapped = as_object(output)
    return AnswerForm("json", schema=output, form=Form(name=ANSWER, json_schema=form), wrapped=wrapped)


# Parts, the most shared first


def _goal_parts(attempt: Attempt) -> list[Part]:
    words = phrase(attempt.wording, "goal", goal=attempt.goal) if attempt.goal else ""
    return [Text(text=words)] if words else []


def _brief_parts(attempt: Attempt) -> tuple[list[Part], tuple[str, ...]]:
    if attempt.brief is None:
        return [], ()
    total = len(attempt.brief.inputs)
    text, shown = _brief_text(attempt.brief, _share(attempt) // BRIEF_PART)
    parts: list[Part] = [*_announced(attempt, "brief"), Data(of="brief", name="brief", text=text)]
    if shown == total:
        return parts, ()
    parts.append(Text(text=phrase(attempt.wording, "cut_brief", shown=shown, total=total)))
    return parts, (f"brief: {shown} of {total} inputs were listed",)


def _brief_text(brief: Brief, most: int) -> tuple[str, int]:
    """Return a brief of at most `most` tokens, and the number of inputs in it.

    If it does not fit as it is, it has no first lines of inputs; then only the first inputs.
    """
    text = canonical(brief).decode()
    if estimate_tokens(text) <= most:
        return text, len(brief.inputs)
    bare = tuple(each.model_copy(update={"first_line": "", "columns": ""}) for each in brief.inputs)
    left = most - estimate_tokens(canonical(brief.model_copy(update={"inputs": ()})).decode())
    shown = 0
    for each in bare:
        left -= estimate_tokens(canonical(each).decode()) + 1
        if left < 0:
            break
        shown += 1
    return canonical(brief.model_copy(update={"inputs": bare[:shown]})).decode(), shown


def texts_of(attempt: Attempt) -> tuple[Shown, ...]:
    """Return the texts that an attempt reads: inputs, then outputs; starts of those that it opens."""
    inputs = [Shown("input", each.name, each.text) for each in attempt.inputs if each.medium == "text"]
    texts = (*inputs, *(Shown("output", given.step, written(given.output)) for given in attempt.given))
    if not attempt.opens:
        return texts
    most = head_bytes(_share(attempt), len(attempt.opens))
    return tuple(text.opened(most) if text.key in attempt.opens else text for text in texts)


def _data_parts(attempt: Attempt, texts: Sequence[Shown], notes: Notes) -> list[Part]:
    parts: list[Part] = []
    if attempt.inputs:
        parts += _input_parts(attempt, texts, notes)
    if attempt.given:
        parts += _announced(attempt, "outputs")
        about = _abouts(attempt.given)
        if about:
            parts.append(Data(of="brief", name="steps", text=about))
        for data, last in framed((text for text in texts if text.of == "output"), shares_a_note=len(notes) < 2):
            parts += [data, *_noted(last, notes), *_part_noted(attempt, last), *_opened_noted(attempt, last)]
    if attempt.opens:
        parts += _announced(attempt, "opening")
    if attempt.conflicts:
        parts += _announced(attempt, "conflicts")
        parts.append(Data(of="brief", name="conflicts", text="\n".join(attempt.conflicts)))
    if attempt.unfounded:
        parts += _announced(attempt, "unfounded")
        parts.append(Data(of="brief", name="unfounded", text="\n".join(attempt.unfounded)))
    if attempt.missing:
        lines = (_missing_line(attempt, missing) for missing in attempt.missing)
        parts += _announced(attempt, "missing")
        parts.append(Data(of="missing", name="missing", text="\n".join(lines)))
    return parts


def _input_parts(attempt: Attempt, texts: Sequence[Shown], notes: Notes) -> list[Part]:
    parts = _announced(attempt, "inputs")
    if any(each.unit for each in attempt.inputs):
        parts += _announced(attempt, "places")
    shown = {text.name: text for text in texts if text.of == "input"}
    for each in attempt.inputs:
        if each.medium != "text":
            parts.append(Media(medium=each.medium, name=each.name, mime=each.mime, base64=each.base64))
            continue
        text = shown[each.name]
        data = Data(of="input", name=each.name, text=text.text)
        parts += [data, *_noted(text, notes), *_part_noted(attempt, text), *_opened_noted(attempt, text)]
    return parts


def _noted(text: Shown, notes: Notes) -> list[Part]:
    return [notes[text.key]] if text.key in notes else []


def _opened_noted(attempt: Attempt, text: Shown) -> list[Part]:
    """Return the size and the outline of a text of which only the start is above."""
    if not text.pages:
        return []
    words = phrase(
        attempt.wording,
        "opened",
        name=text.name,
        shown=text.size,
        total=text.whole,
        pages=text.pages,
    )
    return [Text(text=words), Data(of="brief", name=f"outline of {text.name}", text=text.outline)]


def _part_noted(attempt: Attempt, text: Shown) -> list[Part]:
    """Return the note below a text that is read in part. It states no place, so equal pieces have equal prompts."""
    part = attempt.step.part
    if part is None or (part.kind, part.name) != text.key:
        return []
    repeated = text.text.encode("utf-8", "replace")[part.head : part.head + part.own - part.start]
    return [Text(text=part_words(attempt.wording, text.name, is_shared=repeated.endswith(UNIT_ENDS)))]


def part_words(wording: Mapping[str, str], name: str, *, is_shared: bool) -> str:
    """Return the note below a part of a text; `is_shared` if its first line or record is in the part before, too."""
    if is_shared:
        return phrase(wording, "part_shared", name=name)
    return phrase(wording, "part", name=name)


def _missing_line(attempt: Attempt, missing: Missing) -> str:
    return phrase(attempt.wording, "missing_line", step=missing.step, because=missing.because)


def _abouts(given: Iterable[Given]) -> str:
    """Return the prompts of steps, a line each. Neighbours with one prompt share a line, and their items another."""
    lines: list[str] = []
    for about, group in groupby(given, key=lambda each: each.about):
        alike = list(group)
        if about:
            who = alike[0].step if len(alike) == 1 else f"{alike[0].step} to {alike[-1].step}"
            lines.append(f"{who}: {about}")
        if items := [f"{each.step} = {each.item}" for each in alike if each.item]:
            lines.append("; ".join(items))
        lines += [each.cited for each in alike if each.titles]
    return "\n".join(lines)


def _step_parts(attempt: Attempt) -> list[Part]:
    parts: list[Part] = []
    want = wanted(attempt)
    if want.form is not None:
        schema = canonical(want.form.json_schema).decode()
        name = "form_plan" if want.kind == "plan" else "form"
        parts.append(Text(text=phrase(attempt.wording, name, schema=schema)))
    prompt = attempt.step.prompt
    if attempt.step.id == f"{attempt.step.partial_of}.0" and want.kind != "report":
        parts += _announced(attempt, "parts")
    parts += _item_parts(attempt, prompt)
    if attempt.failed:
        parts.append(Text(text=phrase(attempt.wording, "repair", errors=f"- {attempt.failed}")))
    parts += _announced(attempt, "step")
    words = prompt.strip() or phrase(attempt.wording, f"step_{want.kind}") or want.kind
    return [*parts, Text(text=words)]


def _item_parts(attempt: Attempt, prompt: str) -> list[Part]:
    """Return the item of an instance, unless its prompt or its inputs contain it."""
    item = attempt.step.item
    if attempt.step.instance_of is None or item is None:
        return []
    text = written(item)
    if text in prompt or any(each.name == text for each in attempt.inputs):
        return []
    return [*_announced(attempt, "item"), Data(of="input", name="item", text=text)]


def _announced(attempt: Attempt, name: str) -> list[Part]:
    words = phrase(attempt.wording, name)
    return [Text(text=words)] if words else []


def written(value: Json) -> str:
    """Return an output as text for a prompt: a text as it is, any other value as canonical JSON."""
    return value if isinstance(value, str) else canonical(value).decode()


# Space in the context


def _share(attempt: Attempt) -> int:
    context, length = attempt.context or ASSUMED_CONTEXT, attempt.step.length
    tools = bool(attempt.tools or attempt.opens)
    return room_to_read(context, attempt.settings, tools=tools, length=length, density=attempt.density)


def known_steps(attempt: Attempt) -> tuple[str, ...]:
    """Return the steps that an attempt may cite: given ones, entries of given lists, missing ones."""
    names: dict[str, None] = {}
    for given in attempt.given:
        names[given.step] = None
        names.update(dict.fromkeys(given.below))
        output: object = given.output
        if isinstance(output, list):
            count = len(cast("list[Json]", output))
            names.update(dict.fromkeys(f"{given.step}.{n}" for n in range(1, count + 1)))
        parent, _, number = given.step.rpartition(".")
        if parent and number.isdigit():
            names[parent] = None
    names.update(dict.fromkeys(missing.step for missing in attempt.missing))
    return tuple(names)
