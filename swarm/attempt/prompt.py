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
from swarm.attempt.types import Attempt, Given
from swarm.base.values import Json, canonical
from swarm.planning.brief import Brief
from swarm.spec.chat import (
    BYTES_PER_TOKEN,
    Data,
    Form,
    Media,
    Message,
    Part,
    Request,
    Text,
    estimate_tokens,
    request_tokens,
    says,
)

ASSUMED_CONTEXT = 128_000
"""Context size in tokens if it is unknown: the minimum of most models served in 2025 and 2026."""
ASSUMED_OUTPUT = 4096
"""Output cap in tokens if the settings have none: the default of a task's models."""
SPARE = 8
"""One part in this many of the context stays free: for schemas of tools, corrections and errors
of the token estimate."""
SPARE_WITH_TOOLS = 3
"""The same if tools are granted: their results join the same conversation."""
CUT_TOKENS = 96
"""Approximate tokens of the note below a truncated text."""
SAID_EACH = 4
"""Up to this many truncated texts get a note each. Above it, one note covers all."""
BRIEF_PART = 2
"""A brief may take one part in this many of the room: goal and outputs need the rest."""
FRAME_TOKENS = 16
"""Approximate tokens of the frames of the first two messages."""

_PLACE = re.compile(r"\{([a-z_]{1,40})\}")

Kind = Literal["text", "plan", "report", "json"]


@dataclass(frozen=True)
class Prompt:
    """The first messages of an attempt."""

    messages: tuple[Message, ...]
    left_out: tuple[str, ...] = ()
    """Parts that the model's context has no room for, in words for people."""


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
    wording = attempt.wording
    rules = (phrase(wording, "rules"), attempt.agent.instructions)
    system = says("system", "\n\n".join(text for text in rules if text))
    shared, left_out = _brief_parts(attempt)
    parts = [*_goal_parts(attempt), *shared, *_data_parts(attempt), *_step_parts(attempt)]
    fitted, cut = _fit(parts, _room(attempt, system), wording)
    user = Message(role="user", parts=tuple(fitted))
    return Prompt((system, user), (*left_out, *cut))


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
        room = _room_to_answer(attempt.context or ASSUMED_CONTEXT, attempt.settings)
        return AnswerForm("plan", form=Form(name="plan", json_schema=plan_form(attempt.brief, room=room)))
    if attempt.step.output is not None:
        output = attempt.step.output
    if isinstance(output, str):
        return AnswerForm(output)
    form, wrapped = as_object(output)
    return AnswerForm("json", schema=output, form=Form(name=ANSWER, json_schema=form), wrapped=wrapped)


# Parts, the most shared first


def _goal_parts(attempt: Attempt) -> list[Part]:
    return [Text(text=phrase(attempt.wording, "goal", goal=attempt.goal))] if attempt.goal else []


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
    bare = tuple(each.model_copy(update={"first_line": ""}) for each in brief.inputs)
    left = most - estimate_tokens(canonical(brief.model_copy(update={"inputs": ()})).decode())
    shown = 0
    for each in bare:
        left -= estimate_tokens(canonical(each).decode()) + 1
        if left < 0:
            break
        shown += 1
    return canonical(brief.model_copy(update={"inputs": bare[:shown]})).decode(), shown


def _data_parts(attempt: Attempt) -> list[Part]:
    parts: list[Part] = []
    if attempt.inputs:
        parts += _announced(attempt, "inputs")
        parts += [
            Data(of="input", name=each.name, text=each.text)
            if each.medium == "text"
            else Media(medium=each.medium, name=each.name, mime=each.mime, base64=each.base64)
            for each in attempt.inputs
        ]
    if attempt.given:
        parts += _announced(attempt, "outputs")
        about = _abouts(attempt.given)
        if about:
            parts.append(Data(of="brief", name="steps", text=about))
        parts += [Data(of="output", name=given.step, text=written(given.output)) for given in attempt.given]
    if attempt.missing:
        lines = (
            phrase(attempt.wording, "missing_line", step=missing.step, because=missing.because)
            for missing in attempt.missing
        )
        parts += _announced(attempt, "missing")
        parts.append(Data(of="missing", name="missing", text="\n".join(lines)))
    return parts


def _abouts(given: Iterable[Given]) -> str:
    """Return the prompts of steps, a line each. Neighbours with the same prompt share a line."""
    lines: list[str] = []
    for about, group in groupby(given, key=lambda each: each.about):
        names = [each.step for each in group]
        if about:
            who = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            lines.append(f"{who}: {about}")
    return "\n".join(lines)


def _step_parts(attempt: Attempt) -> list[Part]:
    parts: list[Part] = []
    want = wanted(attempt)
    if want.form is not None:
        schema = canonical(want.form.json_schema).decode()
        name = "form_plan" if want.kind == "plan" else "form"
        parts.append(Text(text=phrase(attempt.wording, name, schema=schema)))
    prompt = attempt.step.prompt
    parts += _item_parts(attempt, prompt)
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


# Room in the context


def room_to_read(context: int, settings: Mapping[str, Json], *, tools: bool = False) -> int:
    """Return the maximum tokens of a first prompt: the context without answer and spare part."""
    spare = context // (SPARE_WITH_TOOLS if tools else SPARE)
    return context - spare - _room_to_answer(context, settings)


def _room_to_answer(context: int, settings: Mapping[str, Json]) -> int:
    cap = settings.get("max_tokens")
    output = cap if isinstance(cap, int) else ASSUMED_OUTPUT
    return min(output, context // 2)


def _share(attempt: Attempt) -> int:
    return room_to_read(attempt.context or ASSUMED_CONTEXT, attempt.settings, tools=bool(attempt.tools))


def _room(attempt: Attempt, system: Message) -> int:
    return _share(attempt) - estimate_tokens(system.text) - FRAME_TOKENS


def _fit(parts: Sequence[Part], room: int, wording: Mapping[str, str]) -> tuple[list[Part], tuple[str, ...]]:
    """Truncate the largest data until all parts fit the room, with notes below truncated texts.

    All truncated texts get the same size, the largest that fits. So small texts stay complete.
    """
    bodies = {n: part for n, part in enumerate(parts) if isinstance(part, Data) and part.of in ("input", "output")}
    sizes = {n: estimate_tokens(data.text) for n, data in bodies.items()}
    needed = request_tokens(Request(model="", messages=(Message(role="user", parts=tuple(parts)),)))
    left = room - (needed - sum(sizes.values()))
    if sum(sizes.values()) <= left:
        return list(parts), ()
    share_a_note = len(bodies) > SAID_EACH
    if share_a_note:
        level = _level(sorted(sizes.values()), left - CUT_TOKENS, 0)
    else:
        level = _level(sorted(sizes.values()), left, CUT_TOKENS)
    fitted: list[Part] = []
    left_out: list[str] = []
    behind_last = 0
    for n, part in enumerate(parts):
        data = bodies.get(n)
        if data is None or sizes[n] <= level:
            fitted.append(part)
            continue
        head = _head(data.text, level * BYTES_PER_TOKEN)
        shown, total = _bytes(head), _bytes(data.text)
        fitted.append(data.model_copy(update={"text": head}))
        if not share_a_note:
            fitted.append(Text(text=phrase(wording, "cut", name=data.name, shown=shown, total=total)))
        left_out.append(f"{data.of} {data.name}: {shown} of {total} bytes were shown")
        behind_last = len(fitted)
    if share_a_note:
        fitted.insert(behind_last, Text(text=phrase(wording, "cut_many", shown=level * BYTES_PER_TOKEN)))
    return fitted, tuple(left_out)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _level(sizes: Sequence[int], left: int, note: int) -> int:
    """Return the highest level at which sizes, truncated to it, fit together with their notes."""
    for n, size in enumerate(sizes):
        above = len(sizes) - n
        if (size + note) * above > left:
            return max(0, left // above - note)
        left -= size
    return sizes[-1] if sizes else 0


def _head(text: str, most: int) -> str:
    """Return the first lines that fit `most` bytes; its first words if a line is too long."""
    head = text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
    for end in (head.rfind("\n"), head.rfind(" ")):
        if end >= len(head) // 2:
            return head[:end]
    return head


def known_steps(attempt: Attempt) -> tuple[str, ...]:
    """Return the steps that an attempt may cite: given ones, entries of given lists, missing ones."""
    names: dict[str, None] = {}
    for given in attempt.given:
        names[given.step] = None
        output: object = given.output
        if isinstance(output, list):
            count = len(cast("list[Json]", output))
            names.update(dict.fromkeys(f"{given.step}.{n}" for n in range(1, count + 1)))
        parent, _, number = given.step.rpartition(".")
        if parent and number.isdigit():
            names[parent] = None
    names.update(dict.fromkeys(missing.step for missing in attempt.missing))
    return tuple(names)
