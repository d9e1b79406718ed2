"""Reading in parts: a step whose input or output is larger than its space becomes several steps.

Of `study` with a file that is too long, `study.1` … `study.k` have the same prompt, and each reads
one piece of the file (`swarm.base.cutting`). What else the step reads goes to each of them if it is
small, otherwise to `study.0`, which comes after them and makes one answer of theirs. Lists of a
JSON Schema are joined without a step for that.

Texts are read in parts for one of two reasons:

1. A text is larger than the space of its step. A part may be a part of a part: its context turned out to be smaller.
2. The answer reached its output cap, so it has less than was asked for. The text is read again in pieces that an answer
   can repeat, and their answers are put in a row. Once is enough: what reads such a piece is not split again.

The place of a piece is in `Step.part`, not in the prompt: so a piece that did not change has the
key that it had, and is not read again. Pictures, sounds and videos are never cut.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.attempt.answers import fit
from swarm.attempt.part_schemas import VALUE, Filled, filled, part_schema
from swarm.attempt.prompt import part_words, reading_of, written
from swarm.attempt.reading import ASSUMED_CONTEXT, OWN_FRAME, Item, Reading, room_to_answer, room_to_read
from swarm.attempt.types import Attempt, Given
from swarm.base.cutting import LEAST, cut_text, shown
from swarm.base.values import Json, canonical, text_digest
from swarm.record.densities import UNKNOWN
from swarm.spec.agent import is_function
from swarm.spec.chat import BYTES_PER_TOKEN, estimate_tokens
from swarm.spec.plan import Part, Step
from swarm.spec.task import Input

LENGTH = 4
"""The answer of a part may have one part in this many of the context: half of a small context would be
kept for answers of a few words."""
SMALL = 4
"""Other data goes with every part if all of it takes at most one part in this many of the space."""
REPEATED = 0.8
"""Part of an answer that the texts which a model merges may have: with its own words it needs more."""
TO_ANSWER = 8
"""A piece has at most this many times the tokens of its answer: in a large context, answers to larger pieces would
often reach their cap, and all would be read twice. Rules and instructions are still only 2 % of such a call."""
LEAST_LENGTH = 64
"""Minimum tokens of the answer of a part: two sentences."""
LEAST_PIECE = 128
"""Minimum tokens of a piece. A smaller one costs several times its size in rules and instructions."""
MOST_ID = 64
"""Maximum characters of an id."""


@dataclass(frozen=True)
class Parts:
    """The steps that read a step's data in parts, and how their outputs are combined."""

    steps: tuple[Step, ...]
    combine: Literal["last", "array", "text"]


def parts_of(step: Step, attempt: Attempt, *, was_cut: bool = False) -> Parts | None:
    """Return the parts of a step, or None if each thing that it reads fits alone, or parts cannot help.

    `attempt` is the attempt at the step as it would be made. `was_cut`: the answer to the last one reached its cap.
    """
    if attempt.agent.output == "plan":
        return None
    reading = reading_of(attempt)
    long = _long(reading, step.part, was_cut=was_cut)
    shared, left = _others(reading, long, step.part)
    readers = _Readers(step, attempt, reading, shared, was_cut=was_cut)
    if not all(map(readers.has_space, long)) or (was_cut and left):
        return None  # if something is left after a cut answer, each text is worth a group of its own
    steps: list[Step] = []
    for item in long:
        steps += readers.of(item, len(steps))
    if len(steps) < 2 or len(steps[-1].id) > MOST_ID:
        return None
    combine = _combined(step, is_in_a_row=was_cut or step.part is not None)
    if combine == "last" or left:
        return Parts((*steps, _whole(step, steps, left)), "last")
    return Parts(tuple(steps), combine)


def _combined(step: Step, *, is_in_a_row: bool) -> Literal["last", "array", "text"]:
    """Return how the answers of parts are combined: without a model if they are lists, or texts in a row."""
    if _is_list(step.output):
        return "array"
    return "text" if is_in_a_row and step.output is None else "last"


def _long(reading: Reading, part: Part | None, *, was_cut: bool) -> list[Item]:
    """Return the texts that are larger than the space of their step, or of which an answer was cut."""
    candidates = [item for item in reading.items if item.splittable and _may_be_cut(item, part)]
    if was_cut:
        return [item for item in candidates if _is_dominant(item, reading)]
    return [item for item in candidates if item.total > reading.left]


def _may_be_cut(item: Item, part: Part | None) -> bool:
    """Whether a text may be cut: of a step that reads a part, only that one."""
    return part is None or (part.kind, part.name) == (item.kind, item.name)


def _is_dominant(item: Item, reading: Reading) -> bool:
    """Whether a text has half or more of what is read, and more than an answer can repeat."""
    total = sum(each.total for each in reading.items)
    return 2 * item.total > total and item.total > REPEATED * reading.answer


def _others(reading: Reading, long: Sequence[Item], part: Part | None) -> tuple[list[Item], list[Item]]:
    """Return what goes with every part, and what is left for the step after them: all other data is one or the other.

    Lines about missing outputs go with every part, and what went with a part goes with its parts.
    """
    chosen = set(map(id, long))  # of the same list: equality would compare thousands of texts with each other
    others = [item for item in reading.items if id(item) not in chosen]
    if part is not None or sum(item.total for item in others) <= reading.room // SMALL:
        return others, []
    missing = [item for item in others if item.kind == "missing"]
    return missing, [item for item in others if item not in missing]


class _Readers:
    """Maker of the steps that read the pieces of a step's texts."""

    def __init__(
        self, step: Step, attempt: Attempt, reading: Reading, shared: Sequence[Item], *, was_cut: bool
    ) -> None:
        self._step = step
        self._attempt = attempt
        self._shared = shared
        self._context = attempt.context or ASSUMED_CONTEXT
        self._repeats = was_cut or attempt.agent.output == "report"
        self._shares = _combined(step, is_in_a_row=was_cut or step.part is not None) != "text"
        self._taken = reading.fixed + sum(item.total for item in shared)
        # The step that reads all answers has space for two of them. Answers in a row have no such step.
        short = min(self._context // LENGTH, reading.left // 2, reading.answer)
        self.length = max(reading.answer, self._longest()) if was_cut else short
        """Maximum tokens of the answer of a part."""

    def _longest(self) -> int:
        """Return the length of an answer for which a piece that it can repeat is as large as possible.

        Both share the context: the larger they are, the fewer calls pay for rules and instructions.
        """
        attempt = self._attempt
        tools, density = bool(attempt.tools), attempt.density
        free = room_to_read(self._context, attempt.settings, tools=tools, length=1, density=density)
        space = (free - self._taken - OWN_FRAME) * density
        return min(room_to_answer(self._context, attempt.settings), int(space / (1 + REPEATED)))

    def has_space(self, item: Item) -> bool:
        """Whether a piece of a text and an answer have a size that is worth a call."""
        return self.length >= LEAST_LENGTH and self.space(item) >= LEAST_PIECE

    def space(self, item: Item) -> int:
        """Return the tokens that a piece of a text may have."""
        attempt, tools, density = self._attempt, bool(self._attempt.tools), self._attempt.density
        room = room_to_read(self._context, attempt.settings, tools=tools, length=self.length, density=density)
        space = room - self._taken - frame_of_part(attempt, item.name)
        times = REPEATED if self._repeats else TO_ANSWER
        return min(space, int(times * self.length / density))

    def of(self, item: Item, first: int) -> list[Step]:
        """Return the steps for one text, numbered after `first`."""
        parts = pieces_of(self._attempt, item, self.space(item), shares=self._shares)
        return [self._reader(item, part, n) for n, part in enumerate(parts, first + 1)]

    def _reader(self, item: Item, part: Part, number: int) -> Step:
        read = [*self._shared, item]
        step, schema = self._step, self._step.output
        fields = {
            "id": f"{step.id}.{number}",
            "part": part,
            "length": self.length,
            "density": stated(self._attempt),
            "output": None if schema is None else part_schema(schema),
        }
        return _share_of(step, read).model_copy(update=fields)


def stated(attempt: Attempt) -> float | None:
    """Return the density for which the shares of a step are cut, if it is not the estimate."""
    return None if attempt.density == UNKNOWN else attempt.density


def frame_of_part(attempt: Attempt, name: str) -> int:
    """Return the tokens of the marks around a part of a text, and of the note below it."""
    words = estimate_tokens(part_words(attempt.wording, name, is_shared=True)) + 1
    return words + OWN_FRAME + estimate_tokens(name)


def pieces_of(attempt: Attempt, item: Item, most: int, *, shares: bool = True) -> list[Part]:
    """Return the pieces of a text that an attempt reads, each of at most so many tokens.

    If the attempt reads a part of a text, they are parts of that one. Without `shares`, neighbours share nothing where
    a statement ends: their readers repeat what they read.
    """
    assert item.kind != "missing"
    kind, name, text = item.kind, item.name, _text_of(attempt, item)
    size = max(LEAST, most * BYTES_PER_TOKEN)
    within = attempt.step.part
    if within is not None and (within.kind, within.name) == (kind, name):
        return _pieces_within(within, text, size, shares=shares)
    whole = text_digest(text)
    pieces = cut_text(text, size, name=name if kind == "input" else "", shares=shares)
    return [Part(kind=kind, name=name, whole=whole, **vars(piece)) for piece in pieces]


def _pieces_within(part: Part, text: str, size: int, *, shares: bool) -> list[Part]:
    """Return the pieces of a part of a text. `text` is what is shown of it, below its repeated head.

    It is cut as it is shown, so that the head of a table is above each piece of the first part, too.
    """
    has_head = part.head > 0 or part.start == 0
    name = part.name if part.kind == "input" and has_head else ""
    pieces = cut_text(text, size, name=name, shares=shares)
    data = text.encode("utf-8", "replace")
    above = data.count(b"\n", 0, part.head)
    first_line = part.lines[0] - data.count(b"\n", part.head, part.head + part.own - part.start) - above

    def in_whole(offset: int) -> int:
        return part.start + max(0, offset - part.head)

    return [
        part.model_copy(
            update={
                "start": in_whole(piece.start),
                "own": max(part.own, in_whole(piece.own)),
                "end": in_whole(piece.end),
                "head": piece.head if piece.start else part.head,
                "sha256": piece.sha256,
                "lines": (max(part.lines[0], first_line + piece.lines[0] - 1), first_line + piece.lines[1] - 1),
            }
        )
        for piece in pieces
    ]


def _share_of(step: Step, items: Iterable[Item]) -> Step:
    """Return a step for a share of another one's work, that reads some of its data.

    It comes `after` the outputs, which exist or are missing by now: it never fails because of them.
    """
    read = list(items)
    fields = {
        "needs": (),
        "after": tuple(item.name for item in read if item.kind != "input"),
        "inputs": tuple(item.name for item in read if item.kind == "input"),
        "each": None,
        "part": None,
        "partial_of": step.id,
        "optional": False,
        "seconds": None,
        "tokens": None,
    }
    return step.model_copy(update=fields)


def _whole(step: Step, parts: Sequence[Step], left: Sequence[Item]) -> Step:
    """Return the step that makes one answer of those of all parts, and of the data that no part has read."""
    rest = _share_of(step, left)
    after = (*(part.id for part in parts), *rest.after)
    return rest.model_copy(update={"id": f"{step.id}.0", "after": after})


def _text_of(attempt: Attempt, item: Item) -> str:
    if item.kind == "input":
        return next(each.text for each in attempt.inputs if each.name == item.name)
    return next(written(given.output) for given in attempt.given if given.step == item.name)


def _is_list(schema: dict[str, Json] | None) -> bool:
    return schema is not None and schema.get("type") == "array"


# The answers of all parts


def joined_answers(step: Step, attempt: Attempt) -> Parts | None:
    """Return the step that puts the answers of all parts in a row, without a model, or None if a model can merge them.

    A model that merges texts must be able to repeat what it reads: else what does not fit its answer is lost.
    """
    if attempt.agent.output != "text" or step.output is not None or not _reads_parts_only(attempt):
        return None
    reading = reading_of(attempt)
    answers = sum(item.tokens for item in reading.items if item.kind == "output")
    if reading.fits and answers <= REPEATED * reading.answer:
        return None
    fields = {"id": f"{step.id}.1", "partial_of": step.id, "merge": "text", "length": None}
    return Parts((step.model_copy(update=fields),), "last")


def needs_no_call(attempt: Attempt) -> bool:
    """Whether no model reads it: a function checks, or the parts of a text agree on its value."""
    if is_function(attempt.agent):
        return True
    found = filled_by_parts(attempt)
    return found is not None and not found.open


def filled_by_parts(attempt: Attempt) -> Filled | None:
    """Return the value that the parts of a text make, with the fields to ask for.

    None if the attempt is not about the parts of one text alone, or if their values do not make one
    that its schema allows.
    """
    schema = attempt.step.output
    if schema is None or not _reads_parts_only(attempt):
        return None
    found = filled(each.output for each in attempt.given)
    value: Json = found.value
    required: list[str] = schema.get("required") or []
    missing = [name for name in required if name not in value] if isinstance(value, dict) else []
    found = Filled(value, tuple(dict.fromkeys((*found.open, *missing))))
    if found.open == (VALUE,):
        return None
    return found if found.open or fit(canonical(value).decode(), schema).ok else None


def _reads_parts_only(attempt: Attempt) -> bool:
    """Whether an attempt is to make one answer of those of all parts, and reads nothing else."""
    parent = attempt.step.partial_of
    is_last = attempt.step.id == f"{parent}.0"
    return is_last and not attempt.inputs and all(each.step.startswith(f"{parent}.") for each in attempt.given)


# One part


def narrowed(
    step: Step, inputs: tuple[Input, ...], given: tuple[Given, ...]
) -> tuple[tuple[Input, ...], tuple[Given, ...]]:
    """Return the inputs and the outputs that a step reads: of the text that it reads in part, its piece."""
    part = step.part
    if part is None:
        return inputs, given
    if part.kind == "input":
        return tuple(_piece(part, each) if each.name == part.name else each for each in inputs), given
    pieces = (_piece_of_output(part, each) if each.step == part.name else each for each in given)
    return inputs, tuple(pieces)


def _piece(part: Part, whole: Input) -> Input:
    text = shown(whole.text, part.start, part.end, part.head)
    size = part.head + part.end - part.start
    return whole.model_copy(update={"text": text, "sha256": text_digest(text), "size": size, "text_sha256": ""})


def _piece_of_output(part: Part, whole: Given) -> Given:
    return whole.model_copy(update={"output": shown(written(whole.output), part.start, part.end, part.head)})
