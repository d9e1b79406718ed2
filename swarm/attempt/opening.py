"""Opening: a step looks things up in its long texts with `read` and `find`, instead of reading all.

It is for a step that needs little of much: its plan or its agent says so (`open: true`). Of each
long text its prompt has the start and an outline; the tools show pages of it and the places of
words in it, in its other texts, too. They show nothing that the step was not given, so they need no
grant, and the step has the labels already.

Everything is read in parts as before (`swarm.attempt.parts`) if

- the model makes no call of a tool, or its endpoint refuses requests with tools (`unopened`),
- not even the starts and outlines fit its context, or no page would have space,
- the step has to know all that it reads: it plans, reports, merges, or does a share of other work.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain

import anyio.to_thread

from swarm.attempt.long_results import arguments_of
from swarm.attempt.prompt import phrase, reading_of, texts_of
from swarm.attempt.reading import (
    ASSUMED_CONTEXT,
    SPARE_WITH_TOOLS,
    Shown,
    head_bytes,
    room_to_answer,
    room_to_read,
    size_of,
)
from swarm.attempt.types import Attempt
from swarm.base.errors import AnswerError, EndpointRefused, ToolError
from swarm.base.long_text import PAGE_BYTES, LongText, found_words
from swarm.base.text import clip, listing
from swarm.record.outcome import UNOPENED, Opened
from swarm.spec.chat import (
    BYTES_PER_TOKEN,
    Data,
    Message,
    Part,
    Request,
    Text,
    ToolSpec,
    estimate_tokens,
    request_tokens,
)
from swarm.tools.place import STEP

OPENED_BYTES = 8 * 1024
"""Outputs of more bytes are opened by steps that may open; inputs only if they do not fit the
prompt as they are."""
LEAST_HEAD_BYTES = 256
"""Minimum bytes of a start and of an outline. With less space, texts are read in parts."""
MOST_BYTES = 16 * 1024
"""Maximum bytes of the pages, or of the places, that one call shows."""
SHARE = 2
"""They take at most one part in this many of what a prompt leaves of the context, but at least a
page. That depends on nothing else, so the same call shows the same."""
FREED = 4
"""If the conversation is too long, one part in this many of its space is made free at a time."""
MOST_PLACES = 100
"""Maximum places that one call shows."""
_TOOLS_REFUSED = re.compile(r"\b(?:tools?|functions?|tool[_ -](?:choice|use|call\w*))\b", re.IGNORECASE)
_PAGE = re.compile(r"(?P<name>.+), page (?P<page>\d+) of \d+, lines? [\d,]+(?: to [\d,]+)?", re.DOTALL)
"""The name of a page in a result."""

_NAME = {"type": "string", "description": "name of an input, or id of the step whose output it is"}
READ = ToolSpec(
    name="read",
    description="Read pages of a text that you were given: of a long one you see only the start.",
    parameters={
        "type": "object",
        "properties": {
            "name": _NAME,
            "page": {"type": "integer", "minimum": 1, "default": 1},
            "pages": {
                "type": "integer",
                "minimum": 1,
                "default": 1,
                "description": "number of pages, from that one on",
            },
        },
        "required": ["name"],
        "additionalProperties": False,
    },
)
FIND = ToolSpec(
    name="find",
    description="Find words in the texts that you were given: each line, its page and number.",
    parameters={
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "words, as written there; in any case"},
            "name": {**_NAME, "description": f"{_NAME['description']}; without it, all texts are searched"},
            "from_line": {"type": "integer", "minimum": 1, "default": 1},
        },
        "required": ["text"],
        "additionalProperties": False,
    },
)
NAMES = frozenset({READ.name, FIND.name})


# What is opened


def opening(attempt: Attempt, whole: Container[str] = ()) -> Attempt:
    """Return an attempt that opens its long texts; the same one if none is, or they do not fit even so.

    Outputs are opened if they are long, inputs only if the prompt has no space for them otherwise.
    The outputs of the steps in `whole` are never opened.
    """
    if NAMES.intersection(attempt.tools):
        return attempt  # tools of the task have these names
    long = [text for text in texts_of(attempt) if size_of(text.text) > OPENED_BYTES]
    inputs = tuple(text.key for text in long if text.of == "input")
    outputs = tuple(text.key for text in long if text.of == "output" and text.name not in whole)
    for opens in dict.fromkeys((outputs, (*inputs, *outputs))):
        found = attempt.model_copy(update={"opens": opens})
        if _has_space(found) and reading_of(found).fits:
            return found
    return attempt


def with_calls(attempt: Attempt) -> bool:
    """Return whether an attempt may call anything."""
    return bool(attempt.tools or attempt.opens)


def _has_space(attempt: Attempt) -> bool:
    """Return whether starts and outlines are worth reading, and a page fits the context, too."""
    if not attempt.opens:
        return True
    context, length = attempt.context or ASSUMED_CONTEXT, attempt.step.length
    room = room_to_read(context, attempt.settings, tools=True, length=length)
    has_page = context // SPARE_WITH_TOOLS * BYTES_PER_TOKEN >= PAGE_BYTES
    return has_page and head_bytes(room, len(attempt.opens)) >= LEAST_HEAD_BYTES


def with_opening(specs: tuple[ToolSpec, ...], attempt: Attempt) -> tuple[ToolSpec, ...]:
    """Return the tools of an attempt with those that open texts. Raise `AnswerError`."""
    if not attempt.opens:
        return specs
    if NAMES.intersection(spec.name for spec in specs):
        raise AnswerError("other tools have the names `read` or `find`", kind=UNOPENED)
    return (*specs, READ, FIND)


def refuse_unopened(attempt: Attempt, said: Iterable[Message]) -> None:
    """Raise `AnswerError` if a model answers about texts that it could open, and called nothing."""
    if attempt.opens and not _has_calls(said):
        names = listing((name for _, name in attempt.opens), 3)
        raise AnswerError(f"the model opened nothing of {names}, so it is read in parts", kind=UNOPENED)


def refuse_without_tools(attempt: Attempt, error: EndpointRefused, said: Iterable[Message]) -> None:
    """Raise `AnswerError` if an endpoint refuses a request because of tools that open texts."""
    if not attempt.opens or attempt.tools or _has_calls(said):
        return
    if error.kind != "context_length" and not error.stops and _TOOLS_REFUSED.search(str(error)):
        message = f"the endpoint takes no tools, so long texts are read in parts: {error}"
        raise AnswerError(message, kind=UNOPENED) from error


def _has_calls(said: Iterable[Message]) -> bool:
    return any(message.tool_calls for message in said)


# The calls


class Openable:
    """The texts that an attempt was given, and the calls that open them."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        free = (attempt.context or ASSUMED_CONTEXT) // SPARE_WITH_TOOLS * BYTES_PER_TOKEN
        self._most = max(PAGE_BYTES, min(MOST_BYTES, free // SHARE))

    @cached_property
    def _texts(self) -> Mapping[str, Shown]:
        """Everything that it was given as text, by name; an output also as `step/ID`."""
        whole = texts_of(_whole(self._attempt))
        found = {f"{STEP}{text.name}" if text.of == "output" else text.name: text for text in whole}
        for text in whole:
            found.setdefault(text.name, text)
        return found

    def takes(self, name: str) -> bool:
        """Return whether a call is one of these."""
        return bool(self._attempt.opens) and name in NAMES and name not in self._attempt.tools

    async def call(self, name: str, arguments: str) -> tuple[Part, ...]:
        """Return what a call shows. Raise `ToolError`, worded for the model."""
        # Cancellation point: a search in a text of megabytes takes a second.
        show = self._read if name == READ.name else self._find
        return await anyio.to_thread.run_sync(show, arguments)

    def _read(self, arguments: str) -> tuple[Part, ...]:
        asked = arguments_of(arguments, {"name": str, "page": int, "pages": int}, required="name")
        text = self._by_pages(str(asked["name"]))
        first, count = int(asked.get("page", 1)), int(asked.get("pages", 1))
        total = len(text.pages)
        if not 1 <= first <= total:
            raise ToolError(f"{clip(text.name)} has {total:,} pages; there is no page {first:,}")
        shown: list[Part] = []
        size = 0
        for page in text.pages[first - 1 : first - 1 + max(1, count)]:
            size += size_of(page.text)
            if shown and size > self._most:
                break
            place = f"{text.name}, page {page.number} of {total}, {page.lines}"
            shown.append(Data(of="tool", name=place, text=page.text))
        following = first + len(shown)
        if following <= total:
            shown.append(Text(text=f"(go on with page={following})"))
        return tuple(shown)

    def _find(self, arguments: str) -> tuple[Part, ...]:
        asked = arguments_of(arguments, {"text": str, "name": str, "from_line": int}, required="text")
        sought, first = str(asked["text"]), max(1, int(asked.get("from_line", 1)))
        texts = self._searched(str(asked.get("name", "")))
        lines: list[str] = []
        most = self._most
        try:
            for text, line, words in _found(texts, sought, first):
                most -= size_of(words) + 1
                if lines and (most < 0 or len(lines) >= MOST_PLACES):
                    more = f'go on with name="{text}" and from_line={line}, or find more words'
                    found = Data(of="tool", name=FIND.name, text="\n".join(lines))
                    return (found, Text(text=f"(more lines match: {more})"))
                lines.append(words)
        except ValueError as error:
            raise ToolError(f"text: {error}", kind="arguments") from error
        if lines:
            return (Data(of="tool", name=FIND.name, text="\n".join(lines)),)
        where = listing((clip(text.name) for text in texts), 12)
        advice = "Try fewer words, or another word for the same."
        return (Text(text=f"{clip(sought)!r} is nowhere in {where}. {advice}"),)

    def _searched(self, name: str) -> list[LongText]:
        """Return the text of this name; without one, all texts."""
        if name:
            return [self._by_pages(name)]
        return [each.by_pages for each in dict.fromkeys(self._texts.values())]

    def _by_pages(self, name: str) -> LongText:
        if name not in self._texts:
            known = listing((clip(each) for each in self._texts if not each.startswith(STEP)), 12)
            raise ToolError(f"you were given no text {clip(name)!r}; there are: {known}")
        return self._texts[name].by_pages


def _found(texts: Iterable[LongText], sought: str, first: int) -> Iterator[tuple[str, int, str]]:
    """Yield the places of a text: the name of what it is in, its line, and a line of words."""
    for text in texts:
        for hit in text.find(sought, first):
            yield text.name, hit.line, found_words(text, hit)


# What was opened


def opened_bytes(attempt: Attempt) -> int:
    """Return the bytes of the texts that an attempt opens."""
    return sum(text.whole for text in texts_of(attempt)) if attempt.opens else 0


def opened(attempt: Attempt, said: Sequence[Message]) -> tuple[Opened, ...]:
    """Return how much of each text an attempt saw: its start, and the pages that it read."""
    if not attempt.opens:
        return ()
    pages: dict[str, set[int]] = {}
    for name, number in _pages_read(said):
        pages.setdefault(name, set()).add(number)
    starts = {text.key: text.size for text in texts_of(attempt)}
    found: list[Opened] = []
    for text in texts_of(_whole(attempt)):
        if text.key in attempt.opens:
            numbers = pages.get(text.name, set())
            read = _seen(text.by_pages, starts[text.key], numbers)
            seen = tuple(sorted(numbers))
            found.append(Opened(of=text.of, name=text.name, pages=seen, read=read, total=text.size))
    return tuple(found)


def _whole(attempt: Attempt) -> Attempt:
    return attempt.model_copy(update={"opens": ()})


def _seen(text: LongText, start: int, pages: Container[int]) -> int:
    """Return the bytes of a text that were shown: so many of its start, and these pages."""
    total = before = 0
    for page in text.pages:
        size = size_of(page.text)
        total += size if page.number in pages else max(0, min(size, start - before))
        before += size
    return total


def _pages_read(said: Iterable[Message]) -> Iterator[tuple[str, int]]:
    """Yield name and number of each page in a result."""
    names = _names_of_calls(said)
    for message in said:
        if message.role != "tool" or names.get(message.tool_call_id or "") != READ.name:
            continue
        for part in message.parts:
            if isinstance(part, Data) and (match := _PAGE.fullmatch(part.name)):
                yield match["name"], int(match["page"])


def _names_of_calls(said: Iterable[Message]) -> dict[str, str]:
    calls = chain.from_iterable(message.tool_calls for message in said)
    return {call.id: call.name for call in calls}


# A conversation that grows beyond the context


def without_old_pages(attempt: Attempt, said: Sequence[Message], specs: tuple[ToolSpec, ...]) -> Sequence[Message]:
    """Return a conversation without its oldest pages, if it is too long: they can be read again.

    A quarter of the space becomes free at once: each page that is left out changes the start of the
    conversation, and endpoints read that from their cache only if it is what it was.
    """
    if not attempt.opens:
        return said
    context = attempt.context or ASSUMED_CONTEXT
    room = context - room_to_answer(context, attempt.settings, attempt.step.length)
    over = request_tokens(Request(model="", messages=tuple(said), tools=specs)) - room
    if over <= 0:
        return said
    share = max(1, room // FREED)
    over = -(-over // share) * share
    names = _names_of_calls(said)
    *old, last = [n for n, each in enumerate(said) if names.get(each.tool_call_id or "") in NAMES] or [-1]
    del last  # the newest result stays: it was asked for just now
    kept = list(said)
    words = Text(text=phrase(attempt.wording, "page_left_out"))
    for n in old:
        if over <= 0:
            break
        over -= estimate_tokens(said[n].text) - estimate_tokens(words.text)
        kept[n] = said[n].model_copy(update={"parts": (words,)})
    return kept
