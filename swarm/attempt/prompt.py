"""What a model is told at the start of an attempt.

Messages are laid out for prefix caches. First comes the system message: the rules all agents share, then the role's
instructions, the same bytes for every step of a role. Then one user message whose parts go from what most siblings
share to what is this step's own: goal, brief, inputs, outputs of other steps, what is missing, the form of the answer,
and last, as a `Text` of its own, the step's prompt. What somebody else wrote is `Data`, whose marks are made of its
content; so the same attempt gives the same bytes at every run.

No phrase is written here: they are `Attempt.wording`, from `agents/wording.md`.
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
from swarm.spec.chat import Data, Form, Media, Message, Part, Request, Text, estimate_tokens, request_tokens, says

ASSUMED_CONTEXT = 128_000
"""Tokens of context where nothing is known: what most models served in 2025 and 2026 have at least."""
ASSUMED_OUTPUT = 4096
"""Output cap where the settings name none: the default of a task's models."""
SPARE = 8
"""A part in so many of the context stays free: schemas of tools, words that ask again, errors of the estimate."""
SPARE_WITH_TOOLS = 3
"""Likewise where tools are granted: their results come into the same conversation."""
CUT_TOKENS = 96
"""What the phrase below a cut text takes, about."""
SAID_EACH = 4
"""Texts up to which each that is cut has that phrase; of more, one tells: else phrases take the room of the texts."""
BRIEF_PART = 2
"""A brief may take a part in so many of the room; the goal and what other steps gave need the rest."""

_PLACE = re.compile(r"\{([a-z_]{1,40})\}")

Kind = Literal["text", "plan", "report", "json"]


@dataclass(frozen=True)
class Prompt:
    """The first messages of an attempt."""

    messages: tuple[Message, ...]
    left_out: tuple[str, ...] = ()
    """What did not fit the model's context, in words for people."""


@dataclass(frozen=True)
class AnswerForm:
    """What kind of answer an attempt is for."""

    kind: Kind
    schema: dict[str, Json] | None = None
    """For `json`: what the value must fit."""
    form: Form | None = None
    """For `json` and `plan`: what an endpoint is asked for."""
    wrapped: bool = False
    """Whether the form is an object around the value, under the key `answer`: endpoints that enforce a form want an
    object at its root."""


def messages(attempt: Attempt) -> Prompt:
    """Write the first messages of an attempt: what it is told before its first turn."""
    wording = attempt.wording
    system = says("system", "\n\n".join(t for t in (phrase(wording, "rules"), attempt.agent.instructions) if t))
    shared, left_out = _brief_parts(attempt)
    parts = [*_goal_parts(attempt), *shared, *_data_parts(attempt), *_step_parts(attempt)]
    fitted, cut = _fit(parts, _room(attempt, system), wording)
    user = Message(role="user", parts=tuple(fitted))
    return Prompt((system, user), (*left_out, *cut))


def phrase(wording: Mapping[str, str], name: str, /, **values: object) -> str:
    """Fill a phrase of `agents/wording.md`. A phrase that is not there leaves its values, a line each."""
    template = wording.get(name)
    if template is None:
        return "\n".join(str(value) for value in values.values())
    return _PLACE.sub(lambda match: str(values.get(match[1], match[0])), template)


def wanted(attempt: Attempt) -> AnswerForm:
    """Say what kind of answer an attempt is for. A step's own `output` wins over its role's, but for a planner."""
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


# Parts, from the most shared to the least


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
    """Write a brief in at most so many tokens: whole; without first lines; with the first inputs only."""
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
        parts += [*_announced(attempt, "missing"), Data(of="missing", name="missing", text="\n".join(lines))]
    return parts


def _abouts(given: Iterable[Given]) -> str:
    """Tell what steps were asked, a line for each, but one for neighbours that were asked the same: instances are."""
    lines: list[str] = []
    for about, group in groupby(given, key=lambda each: each.about):
        names = [each.step for each in group]
        if about:
            lines.append(f"{names[0]}: {about}" if len(names) == 1 else f"{names[0]} to {names[-1]}: {about}")
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
    return [*parts, Text(text=prompt.strip() or phrase(attempt.wording, f"step_{want.kind}") or want.kind)]


def _item_parts(attempt: Attempt, prompt: str) -> list[Part]:
    """Show an instance its item where neither its prompt nor its inputs do."""
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
    """Write an output for a prompt: text as it is, all else as canonical JSON."""
    return value if isinstance(value, str) else canonical(value).decode()


# What fits


def room_to_read(context: int, settings: Mapping[str, Json], *, tools: bool = False) -> int:
    """Give the tokens a first prompt may take: the context less the answer and what is kept free."""
    return context - context // (SPARE_WITH_TOOLS if tools else SPARE) - _room_to_answer(context, settings)


def _room_to_answer(context: int, settings: Mapping[str, Json]) -> int:
    cap = settings.get("max_tokens")
    return min(cap if isinstance(cap, int) else ASSUMED_OUTPUT, context // 2)


def _share(attempt: Attempt) -> int:
    return room_to_read(attempt.context or ASSUMED_CONTEXT, attempt.settings, tools=bool(attempt.tools))


def _room(attempt: Attempt, system: Message) -> int:
    return _share(attempt) - estimate_tokens(system.text) - 16


def _fit(parts: Sequence[Part], room: int, wording: Mapping[str, str]) -> tuple[list[Part], tuple[str, ...]]:
    """Cut the largest data until all parts fit the room, and say so below each that was cut.

    All that is cut is cut to one level, the highest that fits, so that small texts stay whole.
    """
    bodies = {n: part for n, part in enumerate(parts) if isinstance(part, Data) and part.of in ("input", "output")}
    sizes = {n: estimate_tokens(data.text) for n, data in bodies.items()}
    fixed = request_tokens(Request(model="", messages=(Message(role="user", parts=tuple(parts)),)))
    left = room - (fixed - sum(sizes.values()))
    if sum(sizes.values()) <= left:
        return list(parts), ()
    many = len(bodies) > SAID_EACH
    level = _level(sorted(sizes.values()), left - many * CUT_TOKENS, 0 if many else CUT_TOKENS)
    fitted: list[Part] = []
    left_out: list[str] = []
    last = 0
    for n, part in enumerate(parts):
        data = bodies.get(n)
        if data is None or sizes[n] <= level:
            fitted.append(part)
            continue
        head = _head(data.text, level * 3)
        shown, total = len(head.encode("utf-8", "replace")), len(data.text.encode("utf-8", "replace"))
        fitted.append(data.model_copy(update={"text": head}))
        if not many:
            fitted.append(Text(text=phrase(wording, "cut", name=data.name, shown=shown, total=total)))
        left_out.append(f"{data.of} {data.name}: {shown} of {total} bytes were shown")
        last = len(fitted)
    if many:
        fitted.insert(last, Text(text=phrase(wording, "cut_many", shown=level * 3)))
    return fitted, tuple(left_out)


def _level(sizes: Sequence[int], left: int, note: int) -> int:
    """Find the highest level so that sizes, none counted above it, add up to what is left; what is cut takes a note."""
    for n, size in enumerate(sizes):
        above = len(sizes) - n
        if (size + note) * above > left:
            return max(0, left // above - note)
        left -= size
    return sizes[-1] if sizes else 0


def _head(text: str, most: int) -> str:
    """Give the first lines that fit so many bytes; of a line longer than half of that, its first words."""
    head = text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
    for end in (head.rfind("\n"), head.rfind(" ")):
        if end >= len(head) // 2:
            return head[:end]
    return head


def known_steps(attempt: Attempt) -> tuple[str, ...]:
    """Name the steps an attempt may cite: those it was given, each entry of a list it was given, and missing ones."""
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
