"""Reading in parts: a step whose input or output is larger than its space becomes several steps.

Of `study` with a file that is too long, `study.1` … `study.k` have the same prompt, and each reads one
piece of the file (`swarm.base.cutting`). What else the step reads goes to each of them if it is small,
otherwise to `study.0`, which comes after them and makes one answer of theirs. Lists of a JSON Schema are
joined without a step for that.

The place of a piece is in `Step.part`, not in the prompt: so a piece that did not change has the key that
it had, and is not read again. Pictures, sounds and videos are never cut.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.attempt.answers import fit
from swarm.attempt.part_schemas import VALUE, Filled, filled, part_schema
from swarm.attempt.prompt import part_words, reading_of, written
from swarm.attempt.reading import ASSUMED_CONTEXT, OWN_FRAME, Item, Reading, room_to_read
from swarm.attempt.types import Attempt, Given
from swarm.base.cutting import LEAST, Piece, cut_text, shown
from swarm.base.values import Json, canonical, text_digest
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
    combine: Literal["last", "array"]


def parts_of(step: Step, attempt: Attempt) -> Parts | None:
    """Return the parts of a step, or None if each thing that it reads fits alone, or parts cannot help.

    `attempt` is the attempt at the step as it would be made.
    """
    if attempt.agent.output == "plan" or step.part is not None:
        return None
    reading = reading_of(attempt)
    long = [item for item in reading.items if item.splittable and item.total > reading.left]
    shared, left = _others(reading, long)
    readers = _Readers(step, attempt, reading, shared)
    steps: list[Step] = []
    for item in long:
        if not readers.has_space(item):
            return None
        steps += readers.of(item, len(steps))
    if not steps or len(steps[-1].id) > MOST_ID:
        return None
    if not left and _is_list(step.output):
        return Parts(tuple(steps), "array")
    return Parts((*steps, _whole(step, steps, left)), "last")


def _others(reading: Reading, long: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Return what goes with every part, and what is left for the step after them: all other data is one or the other.

    Lines about missing outputs go with every part.
    """
    others = [item for item in reading.items if item not in long]
    if sum(item.total for item in others) <= reading.room // SMALL:
        return others, []
    missing = [item for item in others if item.kind == "missing"]
    return missing, [item for item in others if item not in missing]


class _Readers:
    """Maker of the steps that read the pieces of a step's texts."""

    def __init__(self, step: Step, attempt: Attempt, reading: Reading, shared: Sequence[Item]) -> None:
        self._step = step
        self._attempt = attempt
        self._shared = shared
        self._context = attempt.context or ASSUMED_CONTEXT
        # The step that reads all answers has space for two of them.
        self.length = min(self._context // LENGTH, reading.left // 2, reading.answer)
        """Maximum tokens of the answer of a part."""
        self._taken = reading.fixed + sum(item.total for item in shared)

    def has_space(self, item: Item) -> bool:
        """Whether a piece of a text and an answer have a size that is worth a call."""
        return self.length >= LEAST_LENGTH and self.space(item) >= LEAST_PIECE

    def space(self, item: Item) -> int:
        """Return the tokens that a piece of a text may have."""
        attempt, tools = self._attempt, bool(self._attempt.tools)
        room = room_to_read(self._context, attempt.settings, tools=tools, length=self.length)
        words = estimate_tokens(part_words(attempt.wording, item.name, is_shared=True)) + 1
        space = room - self._taken - words - OWN_FRAME - estimate_tokens(item.name)
        if attempt.agent.output == "report":  # who merges texts must be able to repeat them
            return min(space, int(REPEATED * self.length))
        return space

    def of(self, item: Item, first: int) -> list[Step]:
        """Return the steps for one text, numbered after `first`."""
        text = _text_of(self._attempt, item)
        most = max(LEAST, self.space(item) * BYTES_PER_TOKEN)
        whole = text_digest(text)
        pieces = cut_text(text, most, name=item.name if item.kind == "input" else "")
        return [self._reader(item, piece, whole, n) for n, piece in enumerate(pieces, first + 1)]

    def _reader(self, item: Item, piece: Piece, whole: str, number: int) -> Step:
        assert item.kind != "missing"
        read = [*self._shared, item]
        step, schema = self._step, self._step.output
        part = Part(
            kind=item.kind,
            name=item.name,
            start=piece.start,
            end=piece.end,
            sha256=piece.sha256,
            whole=whole,
            own=piece.own,
            head=piece.head,
            lines=piece.lines,
        )
        fields = {
            "id": f"{step.id}.{number}",
            "part": part,
            "length": self.length,
            "output": None if schema is None else part_schema(schema),
        }
        return _share_of(step, read).model_copy(update=fields)


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
    """Whether the parts of a text agree on its value: then the size of their answers does not matter."""
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
