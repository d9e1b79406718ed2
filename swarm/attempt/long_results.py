"""Long results of tools: a model sees the start, the whole is an artifact, and `read_more` shows the rest by pages.

A result of 64 KiB in each turn fills any context in a few turns, and what is cut off a result is
lost. So the words of a result beyond `SHOWN_BYTES` are a file of the run, which its message names.
A name is valid only in the attempt whose conversation holds it: otherwise a model could read what
other steps were given, past grants and labels.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import cast

from pydantic_core import from_json

from swarm.attempt.prompt import phrase
from swarm.attempt.reading import ASSUMED_CONTEXT, room_to_answer
from swarm.attempt.types import Attempt
from swarm.base.errors import JournalError, ToolError
from swarm.base.text import clip, listing
from swarm.base.values import Json
from swarm.spec.chat import (
    BYTES_PER_TOKEN,
    Data,
    Media,
    MediaFile,
    Message,
    Part,
    Request,
    Text,
    ToolSpec,
    request_tokens,
)
from swarm.spec.labels import INLINE_BYTES
from swarm.tools import Place, ToolResult, made_file
from swarm.tools.pages import find_lines, page_of, written_page

SHOWN_BYTES = 8 * 1024
"""Maximum bytes of a result's words that a model sees at once."""
LEAST_BYTES = 1024
"""What it sees of them in any case, also if its context is nearly full."""
PAGE_BYTES = 16 * 1024
"""Maximum bytes of a page."""
SHARE = 4
"""A result may take one part in this many of what is left of the context."""
NAME = "read_more"
READ_MORE = ToolSpec(
    name=NAME,
    description="Read more of a long result of a tool, by lines, or find a text in it.",
    parameters={
        "type": "object",
        "properties": {
            "ref": {"type": "string", "description": "name of the result, as the note below it says"},
            "from_line": {"type": "integer", "minimum": 1, "default": 1},
            "lines": {"type": "integer", "minimum": 1, "default": 400},
            "find": {"type": "string", "description": "show only lines with this text; case does not matter"},
        },
        "required": ["ref"],
        "additionalProperties": False,
    },
)


class LongResults:
    """The long results of one attempt."""

    def __init__(
        self, place: Place, said: Sequence[Message], wording: Mapping[str, str], room: Callable[[], int]
    ) -> None:
        """`said` is the conversation; `room` returns the bytes that are left of the context."""
        self._place = place
        self._said = said
        self._wording = wording
        self._room = room
        self._lines: dict[str, list[str]] = {}
        self._new: dict[str, MediaFile] = {}
        """Files that are not in the conversation yet: parallel calls must not take one name."""

    def shown(self, result: ToolResult) -> tuple[Part, ...]:
        """Return the parts of a result for the model: all words, or their start and the whole as a file."""
        shown = tuple(chain.from_iterable(self._noted(made) for made in result.files))
        text = result.text
        most = self._most(SHOWN_BYTES)
        if result.shown <= most and result.total <= result.shown:
            return (*(part for part in result.parts if isinstance(part, Data)), *shown)
        name = next(part.name for part in result.parts if isinstance(part, Data))
        head = _head(text.encode("utf-8", "replace"), most)
        whole = self._kept(self._clean(text))
        note = phrase(self._wording, "tool_cut", shown=len(head.encode()), total=result.total, ref=whole.name)
        return (Data(of="tool", name=name, text=head), whole, Text(text=note), *shown)

    def _noted(self, made: MediaFile) -> tuple[Part, ...]:
        note = phrase(self._wording, "tool_made", name=clip(made.name or "?"), mime=made.mime, size=made.size)
        return (made, Text(text=note))

    def _clean(self, text: str) -> str:
        storage = self._place.storage
        return text if storage is None else storage.clean(text)

    def _kept(self, text: str) -> MediaFile:
        """Return a long result as a file with a name of its own."""
        known = {*self._files(), *self._new}
        number = next(n for n in range(1, len(known) + 2) if f"result-{n}" not in known)
        made = made_file(f"result-{number}", text.encode("utf-8", "replace"), "text/plain")
        self._new[made.name] = made
        return made

    def _most(self, bound: int) -> int:
        return max(LEAST_BYTES, min(bound, self._room() // SHARE))

    # The rest

    def read(self, arguments: str) -> Data:
        """Return what a call of `read_more` asks for. Raise `ToolError`, worded for the model."""
        asked = arguments_of(arguments, {"ref": str, "from_line": int, "lines": int, "find": str}, required="ref")
        lines = self._lines_of(str(asked["ref"]))
        most = self._most(PAGE_BYTES)
        found = asked.get("find")
        first = int(asked.get("from_line", 1))
        if found:
            page = find_lines(lines, str(found), first, most)
        else:
            page = page_of(lines, first, int(asked.get("lines", 400)), most)
        return Data(of="tool", name=NAME, text=written_page(page))

    def _files(self) -> dict[str, MediaFile]:
        made = chain.from_iterable(message.made for message in self._said if message.role == "tool")
        return {each.name: each for each in made}

    def _lines_of(self, ref: str) -> list[str]:
        files = {name: made for name, made in self._files().items() if made.medium == "file" and name}
        if ref not in files:
            known = listing(sorted(files)) if files else "none yet"
            raise ToolError(f"there is no result {clip(ref)!r} in this conversation; there are: {known}")
        if ref not in self._lines:
            try:
                content = self._new[ref].content if ref in self._new else self._place.content(files[ref])
            except JournalError as error:
                raise ToolError(f"{ref} cannot be read any more") from error
            self._lines[ref] = content.decode("utf-8", "replace").split("\n")
        return self._lines[ref]


def room_left(attempt: Attempt, request: Request) -> int:
    """Return about how many bytes a request leaves of the context of its model, the answer not counted."""
    context = attempt.context or ASSUMED_CONTEXT
    answer = room_to_answer(context, attempt.settings, attempt.step.length)
    return max(0, context - answer - request_tokens(request)) * BYTES_PER_TOKEN


def with_built_in(specs: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
    """Return the tools of an attempt with the one that reads long results, if there are any tools."""
    if not specs or any(spec.name == NAME for spec in specs):
        return specs
    return (*specs, READ_MORE)


def with_pictures(attempt: Attempt, said: Sequence[Message], place: Place) -> tuple[Message, ...]:
    """Return a conversation with the pictures of each turn's results in one message below them.

    The message of a result takes text only. A model that takes no pictures has read their type, size and name.
    """
    if "image" not in attempt.takes or not any(message.role == "tool" and message.made for message in said):
        return tuple(said)
    shown: list[Message] = []
    pictures: list[Part] = []
    for message in said:
        if message.role != "tool" and pictures:
            shown.append(Message(role="user", parts=tuple(pictures)))
            pictures = []
        shown.append(message)
        if message.role == "tool":
            for made in message.made:
                pictures += _picture(attempt, made, message.tool_call_id or "", place)
    if pictures:
        shown.append(Message(role="user", parts=tuple(pictures)))
    return tuple(shown)


def _picture(attempt: Attempt, made: MediaFile, call: str, place: Place) -> list[Part]:
    if made.medium != "image" or made.size > INLINE_BYTES:
        return []
    try:
        content = place.content(made)
    except JournalError:
        return []
    words = phrase(attempt.wording, "tool_picture", name=clip(made.name), call=call)
    picture = Media(medium="image", name=made.name, mime=made.mime, base64=b64encode(content).decode())
    return [Text(text=words), picture]


def arguments_of(text: str, kinds: Mapping[str, type], *, required: str) -> dict[str, Json]:
    """Return the arguments of a built-in tool. Raise `ToolError` for others than these `kinds`."""
    try:
        value: Json = from_json(text.strip() or "{}")
    except ValueError as error:
        raise ToolError(f"arguments: Invalid JSON: {error}", kind="arguments") from error
    if not isinstance(value, dict):
        raise ToolError("the arguments must be one JSON object", kind="arguments")
    given = cast("dict[str, Json]", value)
    for name, each in given.items():
        if name not in kinds:
            raise ToolError(f"{clip(name)}: unknown argument; there are {listing(kinds)}", kind="arguments")
        if each is not None and (not isinstance(each, kinds[name]) or isinstance(each, bool)):
            raise ToolError(f"{name}: must be a {_KINDS[kinds[name]]}", kind="arguments")
    if not given.get(required):
        raise ToolError(f"{required}: missing", kind="arguments")
    return {name: each for name, each in given.items() if each is not None}


_KINDS: Mapping[type, str] = {str: "text", int: "whole number"}


def _head(whole: bytes, most: int) -> str:
    """Return the start of a text, cut at the end of a line if one is near."""
    head = whole[:most]
    line = head.rfind(b"\n")
    if line >= most // 2:
        head = head[:line]
    return head.decode("utf-8", "ignore")
