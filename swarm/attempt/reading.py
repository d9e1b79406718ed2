"""What a prompt has space for: the size of everything that a step would read, before anything is sent.

A `Reading` is the only measure of this. By it a step is expanded into several if it would read too
much, and by it texts are truncated if a step cannot be expanded. All sizes are upper estimates in
tokens, see `estimate_tokens`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from swarm.base.long_text import LongText, long_text
from swarm.base.values import Json
from swarm.spec.chat import BYTES_PER_TOKEN, Data, estimate_tokens, shared_data

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
SMALL_TOKENS = 200
"""Outputs of fewer tokens share one pair of marks: marks of their own have about 40 tokens."""
OWN_FRAME = 48
"""Tokens of a pair of marks of 32 digits, with the name of the text, as an upper estimate."""
LINE_FRAME = 6
"""Tokens of the brackets and the line break around the id of an output that shares its marks."""


HEAD_BYTES = 2 * 1024
"""Maximum bytes of the start of a text that a step opens, and of its outline."""
HEADS = 2
"""The starts and outlines of all of them take at most one part in this many of the space."""


def head_bytes(room: int, count: int) -> int:
    """Return the maximum bytes of a start, and of an outline, of each of `count` texts."""
    return min(HEAD_BYTES, room * BYTES_PER_TOKEN // HEADS // (2 * count))


def room_to_read(
    context: int,
    settings: Mapping[str, Json],
    *,
    tools: bool = False,
    length: int | None = None,
    density: float = 1.0,
) -> int:
    """Return the maximum estimated tokens of a first prompt: the context without answer and spare part.

    `density` is how many times as many tokens as estimated the prompt has.
    """
    spare = context // (SPARE_WITH_TOOLS if tools else SPARE)
    return int((context - spare - room_to_answer(context, settings, length)) / density)


def room_to_answer(context: int, settings: Mapping[str, Json], length: int | None = None) -> int:
    """Return the tokens reserved for the answer: the `length` of the step, else the model's cap, half a context at
    most.
    """
    cap = settings.get("max_tokens")
    output = cap if isinstance(cap, int) else ASSUMED_OUTPUT
    return min(output, context // 2, length or output)


@dataclass(frozen=True)
class Item:
    """One of the things that a step reads."""

    kind: Literal["input", "output", "missing"]
    name: str
    """Name of the input, or id of the step."""
    tokens: int
    """Size of the text, or of the image, sound or video."""
    frame: int = 0
    """Size of the marks around it."""
    splittable: bool = True
    """Whether a part of it can be read: not of an image, a sound or a video, nor of a text that is
    opened."""

    @property
    def total(self) -> int:
        """Size with its marks."""
        return self.tokens + self.frame


@dataclass(frozen=True)
class Reading:
    """Everything that a step would read."""

    fixed: int
    """Size of rules, role, goal, prompt and output format."""
    items: tuple[Item, ...]
    """Inputs, outputs and missing outputs, in plan order."""
    room: int
    """Maximum size of the prompt, on the model that will serve it."""
    answer: int
    """Maximum size of one answer."""

    @property
    def total(self) -> int:
        """Size of the prompt."""
        return self.fixed + sum(item.total for item in self.items)

    @property
    def left(self) -> int:
        """What the items may take together; never negative."""
        return max(0, self.room - self.fixed)

    @property
    def fits(self) -> bool:
        """Whether all items fit the prompt as they are."""
        return self.total <= self.room

    def cut(self) -> tuple[int, bool]:
        """Return the size to which larger texts are truncated so that all fit, and whether they share one note.

        All truncated texts get the same size, the largest that fits. So small texts stay complete.
        """
        texts = sorted(item.tokens for item in self.items if item.splittable)
        left = self.room - (self.total - sum(texts))
        if len(texts) > SAID_EACH:
            return _level(texts, left - CUT_TOKENS, 0), True
        return _level(texts, left, CUT_TOKENS), False


def _level(sizes: Sequence[int], left: int, note: int) -> int:
    """Return the highest level at which sizes, truncated to it, fit together with their notes."""
    for n, size in enumerate(sizes):
        above = len(sizes) - n
        if (size + note) * above > left:
            return max(0, left // above - note)
        left -= size
    return sizes[-1] if sizes else 0


@dataclass(frozen=True)
class Shown:
    """A text as a prompt shows it."""

    of: Literal["input", "output"]
    name: str
    text: str
    total: int = -1
    """Bytes of the complete text if this is only its start, else -1."""
    pages: int = 0
    """Number of pages of a text that its step opens: this is its start. 0 for any other text."""
    whole: int = 0
    """Bytes of all of them."""
    outline: str = ""
    """What they are about."""

    @property
    def is_cut(self) -> bool:
        """Whether only the start of the text is shown."""
        return self.total >= 0

    @property
    def key(self) -> tuple[str, str]:
        """Its name among the texts of a prompt."""
        return self.of, self.name

    @property
    def size(self) -> int:
        """Bytes that are shown."""
        return size_of(self.text)

    @property
    def item(self) -> Item:
        """The text as something that a step reads."""
        tokens = estimate_tokens(self.text)
        frame = frame_of(self.of, self.name, tokens)
        return Item(self.of, self.name, tokens, frame, splittable=not self.pages)

    def up_to(self, tokens: int) -> "Shown":
        """Return the start of the text that fits so many tokens; itself if it is smaller."""
        if self.pages or estimate_tokens(self.text) <= tokens:
            return self
        return replace(self, text=_head(self.text, tokens * BYTES_PER_TOKEN), total=size_of(self.text))

    @property
    def by_pages(self) -> LongText:
        """The text by its pages, if it is the whole one."""
        return long_text(self.name, self.text, self.name if self.of == "input" else "")

    def opened(self, most: int) -> "Shown":
        """Return what a step that opens it sees: start and outline of `most` bytes each."""
        text, head = self.by_pages, _head(self.text, most)
        return replace(self, text=head, pages=len(text.pages), whole=text.size, outline=text.outline(most))

    @property
    def left_out(self) -> str:
        """What is not shown, in words for people."""
        return f"{self.of} {self.name}: {self.size} of {self.total} bytes were shown"


def frame_of(of: str, name: str, tokens: int) -> int:
    """Return the size of the marks around a text of so many tokens."""
    is_small = of == "output" and tokens < SMALL_TOKENS
    return (LINE_FRAME if is_small else OWN_FRAME) + estimate_tokens(name)


def size_of(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text.encode("utf-8", "replace"))


def _head(text: str, most: int) -> str:
    """Return the first lines that fit `most` bytes; its first words if a line is too long."""
    head = text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
    for end in (head.rfind("\n"), head.rfind(" ")):
        if end >= len(head) // 2:
            return head[:end]
    return head


def framed(texts: Iterable[Shown], *, shares_a_note: bool = True) -> list[tuple[Data, Shown]]:
    """Return outputs as data, each with the last text in it. Small neighbours share one pair of marks, a line each.

    If each truncated text has a note of its own, it has marks of its own, too.
    """

    def is_small(text: Shown) -> bool:
        return estimate_tokens(text.text) < SMALL_TOKENS and not text.pages and (shares_a_note or not text.is_cut)

    found: list[tuple[Data, Shown]] = []
    for small, run in groupby(texts, key=is_small):
        alike = list(run)
        if small and len(alike) > 1:
            found.append((shared_data([(each.name, each.text) for each in alike]), alike[-1]))
            continue
        found += [(Data(of=each.of, name=each.name, text=each.text), each) for each in alike]
    return found
