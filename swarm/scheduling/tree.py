"""The expansion of a step that would read or write too much: partial steps read its items in groups, each whole.

A step is one of these cases:

A. A report in sections. Each partial writes one section, and must be able to repeat what it reads: a group is at most
   `SECTION_OF_ROOM` of its room and `SECTION_OF_ANSWER` of its answer. A text that is longer than that is cut, and each
   piece is a group. The last step writes a summary. The output is `sections`.
B. A text whose answer reached its output cap, or a section that does not fit any more: smaller groups, and their
   answers in a row, as `text`.
C. A list (by its JSON Schema): partial lists, joined without a model as `table`.
D. An object that has lists, or whose answer reached its output cap: partial objects. The `last` step is filled from
   them, and a model is asked only for what they disagree about.
E. Anything else: partials write short answers, and the step itself reads these instead. The output is that of the
   `last` step. If their answers are still too much, that step is expanded again when it becomes ready, and so on.

Groups are neighbours in plan order. Where one ends is decided by hashes of the items near its end,
so an item that is added or removed moves few other ends. An expansion depends only on what the step
reads, never on the order in which other steps finished.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Literal

from swarm.attempt.reading import Reading
from swarm.base.values import Json
from swarm.spec.plan import Part, Step

SECTION_OF_ROOM = 0.8
"""Part of the room that the group of a section takes at most: sizes are estimates."""
SECTION_OF_ANSWER = 0.9
"""Part of one answer that the group of a section takes at most: citations make an answer longer than its sources."""
REPEATED = 0.8
"""Part of one answer that the group of a step takes at most whose answer was cut: it has words of its own, too."""
SHARE_OF_ROOM = 0.9
"""Part of the room that any other group takes at most."""
ANSWERS_PER_READER = 4
"""Number of partial answers that the step which reads them has room for."""
LEAST_LENGTH = 64
"""Minimum tokens of a partial answer: a shorter one is not worth its call."""
SUMMARY_LENGTH = 1024
"""Maximum tokens of the summary above sections, about a page; at most a quarter of the model's answers."""
SHARE_OF_SUMMARY = 2
"""A share of a summary is at most this many times as long as the summary: its sections have everything else."""
MOST_LEVELS = 12
"""Maximum levels of partials below one step. Each level makes what is read at least three times smaller."""
MOST_ID = 64
"""Maximum characters of the id of a step."""
GROUP_TAIL = 0.4
"""Part of a group in which its end is chosen by hashes: a quarter more groups, but few ends move after a change."""

Case = Literal["sections", "smaller", "rows", "fields", "last"]


@dataclass(frozen=True)
class Read:
    """One of the things that a step reads, as a member of a group."""

    kind: Literal["input", "output", "missing"]
    name: str
    size: int
    """Its tokens in a prompt, with its marks and with what is said about it."""
    identity: str
    """What it is, whatever its place: the item of an instance, the name of a file, else the id of the step."""
    part: Part | None = None
    """The piece of its text that is read, if it is only one."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a step and of its partials, in tokens."""

    group: int
    """Maximum size of a group."""
    length: int
    """Maximum size of the answer of a partial."""


def group(reads: Sequence[Read], most: int) -> list[tuple[Read, ...]]:
    """Return the items in groups of neighbours, each of at most `most` tokens unless it is a single item.

    A step reads one piece of one text, so a piece is a group of its own.
    """
    groups: list[tuple[Read, ...]] = []
    for is_piece, run in groupby(reads, key=lambda read: read.part is not None):
        members = tuple(run)
        start = 0
        while start < len(members):
            end = start + 1 if is_piece else _end(members, start, most)
            groups.append(members[start:end])
            start = end
    return groups


def _end(reads: Sequence[Read], start: int, most: int) -> int:
    """Return the end of the group that starts there: before the item with the smallest hash near the limit."""
    size, end = 0, start
    candidates: list[int] = []
    while end < len(reads) and (end == start or size + reads[end].size <= most):
        size += reads[end].size
        end += 1
        if size >= (1 - GROUP_TAIL) * most and end < len(reads):
            candidates.append(end)
    if end == len(reads) or not candidates:
        return end
    return min(candidates, key=lambda at: sha256(reads[at].identity.encode("utf-8", "replace")).digest())


def section_sizes(context_left: int, answer: int, summary_left: int) -> Sizes | None:
    """Return the sizes of sections, or None if there is no space for them.

    `context_left` is what prompt data and answer of a section may take together, `summary_left` what the summary may
    read. A section is at most half of that, so that the summary can always be written from two of them.
    """
    length = min(answer, summary_left // 2)
    # Reading and writing the same text: as much of each as fits.
    length = min(length, int(context_left * SECTION_OF_ROOM / (SECTION_OF_ROOM + SECTION_OF_ANSWER)))
    size = min(int(SECTION_OF_ROOM * (context_left - length)), int(SECTION_OF_ANSWER * length))
    return Sizes(size, length) if length >= LEAST_LENGTH and size > 0 else None


def share_sizes(context_left: int, answer: int, reader_left: int) -> Sizes | None:
    """Return the sizes of partials whose answers are read instead of the items, or None without space for them."""
    length = min(answer, reader_left // ANSWERS_PER_READER)
    size = int(SHARE_OF_ROOM * (context_left - length))
    return Sizes(size, length) if length >= LEAST_LENGTH and size >= 2 * length else None


def again_sizes(context_left: int, length: int) -> Sizes | None:
    """Return the sizes of partials that read again what an answer of `length` tokens could not hold, if there is space
    for them.
    """
    size = min(context_left - length, int(REPEATED * length))
    return Sizes(size, length) if size > 0 else None


def partials(step: Step, groups: Iterable[tuple[Read, ...]], *, prompt: str, length: int | None) -> list[Step]:
    """Return a partial step for each group. It calls no tool: those are for the step itself."""
    output: dict[str, Json] | None = step.output
    return [
        Step(
            id=f"{step.id}.{n}",
            agent=step.agent,
            prompt=prompt,
            after=tuple(read.name for read in members if read.kind != "input"),
            inputs=tuple(read.name for read in members if read.kind == "input"),
            output=output,
            model=step.model,
            tools=(),
            retries=step.retries,
            item=step.item,
            part=members[0].part if members else None,
            partial_of=step.id,
            length=length,
            density=step.density,
            ballot=step.ballot,
            redoes=step.redoes,
        )
        for n, members in enumerate(groups, 1)
    ]


def last(step: Step, parts: Sequence[Step], *, prompt: str | None = None, length: int | None = None) -> Step:
    """Return the step that reads the partials: the step itself, or one with another prompt."""
    update: dict[str, object] = {
        "id": f"{step.id}.0",
        "needs": (),
        "after": tuple(part.id for part in parts),
        "inputs": (),
        "part": None,
        "each": None,
        "instance_of": None,
        "partial_of": step.id,
        "optional": False,
        "length": step.length if length is None else length,
    }
    if prompt is not None:
        update |= {"prompt": prompt, "tools": ()}
    return step.model_copy(update=update)


def is_deep(step: Step, levels: int, count: int) -> bool:
    """Return whether no more partials may be made: too many levels, or ids that would be too long."""
    return levels >= MOST_LEVELS or len(f"{step.id}.{count}") > MOST_ID


def shortened(sizes: Sizes, reading: Reading, reads: Sequence[Read]) -> Sizes | None:
    """Return sizes whose answers, of all groups together, are clearly shorter than what they read; None if none are.

    A token of an answer may be one and a half estimated ones when it is read.
    """
    items = sum(item.total for item in reading.items)
    count = len(group(reads, sizes.group))
    length = min(sizes.length, int(0.8 * items / (1.5 * count)))
    return Sizes(sizes.group, length) if count > 1 and length >= LEAST_LENGTH else None
