"""Dialects: a request as one endpoint accepts it, with a memory of what the endpoint rejected.

A dialect starts with the quirks of its provider. When the endpoint rejects a field, the dialect
learns to write the request without it. One rejection teaches one of these, the first that applies:

| the rejection names | learned |
| --- | --- |
| a system role, or roles that do not take turns | the system text goes in front of the first user's |
| reasoning that was sent back | it is not sent back |
| a largest output cap, or a context that leaves less | the cap is lowered to it |
| that answers are streamed only | answers are streamed |
| the answer form, on a rung that has fields for it | the form goes one rung down |
| `stream_options` | the usage of a stream is not requested |
| `max_tokens`, and that the other name is right | the cap is called `max_completion_tokens` |
| `max_completion_tokens`, as an unknown field | the cap is called `max_tokens` |
| parameters of the task | they are omitted |

The form also goes one rung down after an answer that is not JSON although JSON was requested.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic_core import from_json

from swarm.base.values import Json
from swarm.endpoints.wire.caps import largest_cap
from swarm.endpoints.wire.learnt import Learnt, mark
from swarm.endpoints.wire.messages import NO_ADDRESSES, REPLAYED, encode, write_message
from swarm.endpoints.wire.roles import without_system
from swarm.spec.chat import Form, Media, Message, Part, Reply, Request, Text, ToolSpec
from swarm.spec.providers import CapField, Quirks, Rung
from swarm.spec.task import Model

_FORM_REJECTED = re.compile(
    r"(response|output)[_ ]?(format|schema)|json[_ ]?(schema|object|mode)|structured[_ -]?outputs?|guided|grammar"
    r"|\bschema\b|too many states"
)
_TOOL_REJECTED = re.compile(r"tool|function")
_TOOL_NAMED = re.compile(r"tool_choice|tool (use|call)|tools?\b.{0,40}support|function.?call")
_REJECTED_RUNG: Mapping[str, re.Pattern[str]] = {
    "json_schema": _FORM_REJECTED,
    "tool": _TOOL_REJECTED,
    "json_object": _FORM_REJECTED,
}
"""Words by which a rung is rejected. The rung `prompt` has no field that could be rejected."""
_SYSTEM_REJECTED = re.compile(
    r"system (role|message|prompt|instruction)s?\b.{0,40}(not |un)(supported|allowed|enabled|available)"
    r"|(developer|system) instruction is not enabled|only user,? (and )?assistant|must alternate"
    r"|not support (the )?(system|developer)|(unexpected|unknown|invalid|unsupported) role"
    r"|system message must be at the beginning|system (message|instruction|prompt)s? (is|are) (disabled|not permitted)"
    r"|\brole '?\"?system'?\"? (is )?(not|in)|'system' is not a valid|does not support '?\"?system"
    r"|\brole\b.{0,20} (must|should) be (in|one of)\b.{0,3}['\"]?user['\"]?,? ?['\"]?assistant|'user' or 'assistant'"
    r"|first message must be (from )?(the |a )?user|不支持.{0,4}(system|系统)|system.{0,8}(不支持|无效)"
)
_REPLAY_REJECTED = re.compile(r"reasoning(_content|_details)?\b|extra_content|thought_signature")
_REPLAY_REQUIRED = re.compile(r"missing|must be (passed|sent|provided)|required|passed back")
_STREAM_REQUIRED = re.compile(
    r"non-?stream\w{0,4}\b.{0,30}not (supported|allowed)|stream must be (set to )?true|only streaming|[仅只]支持流式"
    r"|(only|must) (support|use|be)s? (the )?stream|stream(ing)? (mode )?(is )?(only|required)|non-?streaming call"
    r"|(?<!when )(?<!with )(?<!if )`?stream`? ?[=:] ?true|set `?stream`? to true"
)
_BAD_GENERATION = frozenset({"json_validate_failed", "tool_use_failed", "output_parse_failed"})
"""Codes of an answer of the model that the endpoint did not accept."""
_BAD_GENERATIONS = 2
"""Number of such answers on one rung after which the next rung is used."""
_CAP_REJECTED = re.compile(r"max_completion_tokens|max_tokens")
_USAGE_REJECTED = re.compile(r"stream_options|include_usage")
_UNKNOWN_FIELD = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|extra|not (supported|permitted|allowed)",
)
_WORDS_READ = 4096
"""Characters of a rejection that are read: a long body must cost no time."""
_LONG_NAME = 5
"""Characters from which a parameter's name counts without quotes: shorter ones are common words."""
_NEVER_OMITTED = frozenset({"max_tokens", "max_completion_tokens", "modalities", "audio"})
"""Parameters that are sent even if they are rejected.

A cap bounds the cost. Without the others the answer would not have the requested audio."""


class Wording(NamedTuple):
    """What a dialect decides about a request, at one moment."""

    rung: int
    """Index of the rung by which answer forms are requested."""
    cap: CapField
    """Name of the output cap."""
    usage: bool
    """True if the usage of a stream is requested."""
    dropped: frozenset[str]
    """Parameters of the task that are omitted."""
    system: bool = True
    """True if messages may have the role `system`."""
    replay: bool = True
    """True if reasoning is sent back."""
    most: int | None = None
    """The largest output cap; None if it is unknown."""
    stream: bool = False
    """True if the answer is streamed."""


@dataclass(frozen=True)
class WireRequest:
    """A request as it is sent."""

    body: bytes
    form: Rung | Literal[""]
    """How the answer form is requested; empty if none is."""
    wording: Wording
    """The dialect's decisions when it wrote the body."""
    cap: int = 0
    """The output cap in it; 0 if the task sets it in `params`."""


class Dialect:
    """How one endpoint accepts the requests of one model."""

    def __init__(
        self,
        model: Model,
        *,
        name: str,
        quirks: Quirks,
        learnt: Learnt | None = None,
    ) -> None:
        """Start with what is `learnt` of the model; new rejections are added to it."""
        self._model = model
        self._name = name
        self._quirks = quirks
        self._forms = quirks.forms
        self._learnt = learnt or Learnt()
        self._given: Mapping[str, Json] = {**model.params, **model.extra}
        self._marks = {param: mark(param, value) for param, value in self._given.items()}
        self._reported: frozenset[str] = frozenset()
        self._bad: dict[int, int] = {}
        """Answers of the model that the endpoint did not accept, by rung."""
        self._audio = "data:;base64," if quirks.audio_uri else ""
        one_medium = quirks.one_medium
        self._one_medium = bool(one_medium and re.match(one_medium, name.lower()))

    @property
    def dropped(self) -> frozenset[str]:
        """Parameters of the task that the endpoint rejected."""
        refused = self._learnt.refused
        return frozenset(name for name, marked in self._marks.items() if marked in refused)

    def unreported(self, written: WireRequest) -> tuple[str, ...]:
        """Return the omitted parameters of a request that no earlier reply of this run reported."""
        fresh = written.wording.dropped - self._reported
        self._reported |= fresh
        return tuple(sorted(fresh))

    @property
    def _rung(self) -> int:
        form = self._learnt.form
        return self._forms.index(form) if form in self._forms else 0

    @property
    def _wording(self) -> Wording:
        return Wording(
            rung=self._rung,
            cap=self._learnt.cap or self._quirks.cap,
            usage=self._streams and self._learnt.usage,
            dropped=self.dropped,
            system=self._learnt.system,
            replay=self._learnt.replay,
            most=self._learnt.most,
            stream=self._streams,
        )

    @property
    def _streams(self) -> bool:
        return self._model.stream or self._learnt.stream

    # Writing

    def write(
        self,
        request: Request,
        addresses: Mapping[str, str] = NO_ADDRESSES,
    ) -> WireRequest:
        """Return a request as JSON in UTF-8. `addresses` has those of uploaded media."""
        wording = self._wording
        dropped = wording.dropped
        body = {name: value for name, value in self._given.items() if name not in dropped}
        body["model"] = self._name
        body["messages"] = [
            write_message(each, self._audio, addresses, replay=wording.replay) for each in self._split(request)
        ]
        cap = self._cap(request, body)
        if cap:
            body[wording.cap] = cap
        form: Rung | Literal[""] = ""
        if request.tools:
            body["tools"] = [_function(tool) for tool in request.tools]
        elif request.form is not None:
            form = self._forms[wording.rung]
            body |= _form_fields(form, request.form)
        if wording.stream:
            body["stream"] = True
        if wording.usage:
            body["stream_options"] = {"include_usage": True}
        return WireRequest(encode(body), form, wording, cap)

    def _cap(self, request: Request, body: Mapping[str, Json]) -> int:
        """Return the output cap that is sent; 0 if the task sets it in `params`."""
        if "max_tokens" in body or "max_completion_tokens" in body:
            return 0
        cap, most = request.max_tokens or self._model.max_tokens, self._learnt.most
        return cap if most is None else min(cap, most)

    def _split(self, request: Request) -> Iterable[Message]:
        """Yield the messages; with one kind of media each, if the endpoint requires it."""
        messages = request.messages if self._learnt.system else without_system(request.messages)
        for message in messages:
            if self._one_medium and len(_media_of(message)) > 1:
                yield from _by_medium(message)
            else:
                yield message

    # Learning

    def learn(self, written: WireRequest, said: str, *, status: int = 400, code: str = "") -> bool:
        """Learn from the words of a rejection. Return True if the request would now differ.

        `code` is that of the error. With a `status` that is not about a field (404, 500, 501), only
        words about what was sent count.
        """
        said = said[:_WORDS_READ].lower()
        if code.lower() in _BAD_GENERATION:
            self._note_bad_generation(written)
        elif not self._learn_messages(written, said):
            self._learn_fields(written, said, parameters=status in {400, 422})
        # A parallel call may have learned the same before: then this request is different, too.
        return self._wording != written.wording

    def learn_to_stream(self) -> None:
        """Learn that a gateway gives up on answers that are not streamed."""
        self._learnt.stream = True

    def _note_bad_generation(self, written: WireRequest) -> None:
        if written.form in {"", "prompt"}:
            return
        rung = written.wording.rung
        self._bad[rung] = self._bad.get(rung, 0) + 1
        if self._bad[rung] >= _BAD_GENERATIONS:
            self._go_down(written)

    def _learn_messages(self, written: WireRequest, said: str) -> bool:
        """Learn what messages may not have, and how large and how an answer may be. Return True if that was it."""
        learnt, before = self._learnt, written.wording
        most = largest_cap(said, written.cap) if written.cap else None
        if before.system and _SYSTEM_REJECTED.search(said):
            learnt.system = False
        elif before.replay and _rejects_replay(written, said):
            learnt.replay = False
        elif most is not None:
            learnt.most = most if learnt.most is None else min(most, learnt.most)
        elif not before.stream and _STREAM_REQUIRED.search(said):
            learnt.stream = True
        else:
            return False
        return True

    def _learn_fields(self, written: WireRequest, said: str, *, parameters: bool) -> None:
        cap = _other_cap(written, said)
        if _rejects_form(written, said, sure=not parameters):
            self._go_down(written)
        elif written.wording.usage and _USAGE_REJECTED.search(said):
            self._learnt.usage = False
        elif cap is not None:
            self._learnt.cap = cap
        elif parameters:
            self._learnt.refused |= self._marks_named(said)

    def _marks_named(self, said: str) -> frozenset[str]:
        """Return the marks of the task's parameters that a text names."""
        return frozenset(
            marked
            for name, marked in self._marks.items()
            if name not in _NEVER_OMITTED and _is_named(name.lower(), said)
        )

    def see(self, written: WireRequest, reply: Reply) -> Reply:
        """Return a reply in its form. If it is not JSON, later requests use the next rung."""
        if written.form == "tool":
            reply = _without_call(reply)
        complete = reply.finish == "stop" and reply.text.strip() != ""
        if complete and written.form not in {"", "prompt"} and not _is_json(reply.text):
            self._go_down(written)
        return reply

    def _go_down(self, written: WireRequest) -> None:
        """Use the rung below that of a request. Never go up: a parallel call may be lower."""
        below = min(written.wording.rung + 1, len(self._forms) - 1)
        self._learnt.form = self._forms[max(self._rung, below)]


# Rejections


def _rejects_replay(written: WireRequest, said: str) -> bool:
    if _REPLAY_REJECTED.search(said) is None or _REPLAY_REQUIRED.search(said) is not None:
        return False
    return any(b'"%s":' % name.encode() in written.body for name in REPLAYED)


def _rejects_form(written: WireRequest, said: str, *, sure: bool) -> bool:
    """Return whether a rejection names the form; with `sure`, a word that may be about anything does not count."""
    pattern = _TOOL_NAMED if sure and written.form == "tool" else _REJECTED_RUNG.get(written.form)
    return pattern is not None and pattern.search(said) is not None


def _other_cap(written: WireRequest, said: str) -> CapField | None:
    """Return the other name of the output cap if a rejection requires it."""
    if not _CAP_REJECTED.search(said):
        return None
    if written.wording.cap == "max_tokens" and "max_completion_tokens" in said:
        return "max_completion_tokens"
    if written.wording.cap == "max_completion_tokens" and _UNKNOWN_FIELD.search(said):
        return "max_tokens"
    return None


def _is_named(name: str, said: str) -> bool:
    """Return whether a text names a parameter: as a word or, if the name is short, in quotes."""
    name, is_long = re.escape(name), len(name) >= _LONG_NAME
    pattern = rf"(?<!\w){name}(?!\w)" if is_long else rf"[`'\"]{name}[`'\"]"
    return re.search(pattern, said) is not None


# Functions and answer forms


def _function(tool: ToolSpec) -> Json:
    return {"type": "function", "function": tool.model_dump()}


def _form_fields(form: Rung, wanted: Form) -> dict[str, Json]:
    """Return the fields that request an answer form."""
    match form:
        case "json_schema":
            named = {"name": wanted.name, "schema": wanted.json_schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "tool":
            function = {"name": wanted.name, "parameters": wanted.json_schema}
            choice = {"type": "function", "function": {"name": wanted.name}}
            return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "prompt":
            return {}


def _without_call(reply: Reply) -> Reply:
    """Return a reply whose text is the arguments of the requested call."""
    calls = reply.message.tool_calls
    if not calls:
        return reply
    raw = {n: value for n, value in (reply.message.raw or {}).items() if n != "tool_calls"}
    parts = (Text(text=calls[0].arguments),)
    message = reply.message.model_copy(
        update={"parts": parts, "tool_calls": (), "raw": raw or None},
    )
    finish = "stop" if reply.finish == "tool_calls" else reply.finish
    return reply.model_copy(update={"message": message, "finish": finish})


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, with or without a code fence."""
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        from_json(bare)
    except ValueError:
        return False
    return True


# Media


def _media_of(message: Message) -> set[str]:
    return {part.medium for part in message.parts if isinstance(part, Media)}


def _by_medium(message: Message) -> Iterable[Message]:
    """Split a message where the kind of media changes. The order of parts stays."""
    groups: list[list[Part]] = [[]]
    medium = ""
    for part in message.parts:
        if isinstance(part, Media):
            if medium and part.medium != medium:
                groups.append([])
            medium = part.medium
        groups[-1].append(part)
    return [message.model_copy(update={"parts": tuple(group)}) for group in groups]
