"""Messages of a conversation: results of calls, ids of calls, answers."""

from collections.abc import Iterable, Sequence
from typing import cast

from swarm.attempt.reading import ASSUMED_OUTPUT
from swarm.attempt.types import Attempt
from swarm.base.values import Json
from swarm.record.outcome import CUT
from swarm.spec.chat import BYTES_PER_TOKEN, Message, Part, Reply, Request, Text, ToolCall


def numbered(message: Message, earlier: Iterable[ToolCall], turn: int) -> Message:
    """Return a message whose calls have unique ids: some endpoints send none, or one for all."""
    taken = {call.id for call in earlier}
    calls: list[ToolCall] = []
    for n, call in enumerate(message.tool_calls, 1):
        name, own = call.id, f"call-{turn}-{n}"
        while not name or name in taken:
            name = f"{name}-again" if name == own else own
        taken.add(name)
        calls.append(call.model_copy(update={"id": name}))
    return message.model_copy(update={"tool_calls": tuple(calls)})


def result_of(call: ToolCall, *parts: Part) -> Message:
    """Return the message with the result of a call."""
    return Message(role="tool", parts=parts, tool_call_id=call.id)


def in_order(said: Sequence[Message]) -> list[Message]:
    """Return a conversation with the results of each turn in the order of its calls: they are noted as they end."""
    ordered: list[Message] = []
    place: dict[str, int] = {}
    results: list[Message] = []
    for message in said:
        if message.role == "tool":
            results.append(message)
            continue
        ordered += sorted(results, key=lambda result: place.get(result.tool_call_id or "", 0))
        results.clear()
        if message.tool_calls:
            place = {call.id: n for n, call in enumerate(message.tool_calls)}
        ordered.append(message)
    return ordered + sorted(results, key=lambda result: place.get(result.tool_call_id or "", 0))


KEPT_CALLS = 512
"""Maximum tool calls of an answer that are recorded, each with its result. Answers from the wire have fewer."""


BEYOND_CAP = 8
"""An answer is read up to this many times its output cap, in estimated tokens: 24 bytes per token of the cap. Real
tokenizers have two to ten. A longer answer comes from an endpoint that does not obey the cap."""
BEYOND_SHARE = 2
"""The same for a text by a step that does a share of another one's work. So all partial answers together are at most
about as long as what they read, at each of the few levels of a tree (`swarm.scheduling.tree`)."""


def within_cap(attempt: Attempt, request: Request, reply: Reply) -> Reply:
    """Return a reply whose text is not far beyond its output cap. One that is becomes a reply that reached the cap."""
    is_share = attempt.step.partial_of is not None and request.form is None
    most = (BEYOND_SHARE if is_share else BEYOND_CAP) * _cap(attempt, request) * BYTES_PER_TOKEN
    message = reply.message
    if _size(message.spoken) <= most and (message.spoken.strip() or _size(message.thought) <= most):
        return reply
    parts: list[Part] = []
    left = most
    for part in message.parts:
        if isinstance(part, Text):
            data = part.text.encode("utf-8", "replace")[:left]
            left -= len(data)
            part = Text(text=data.decode("utf-8", "ignore"))
        parts.append(part)
    raw = message.raw if message.spoken.strip() else None  # reasoning in place of an answer is one
    kept = message.model_copy(update={"parts": tuple(parts), "raw": raw})
    return reply.model_copy(update={"message": kept, "finish": "length"})


def _cap(attempt: Attempt, request: Request) -> int:
    """Return the output cap of a request in tokens. The model's own fields may set one, too."""
    fields: list[Json] = [request.max_tokens, attempt.settings.get("max_tokens")]
    caps = [next((cap for cap in fields if isinstance(cap, int)), ASSUMED_OUTPUT)]
    for name in ("params", "extra"):
        body = cast("dict[str, Json]", attempt.settings.get(name) or {})
        own = (body.get("max_tokens"), body.get("max_completion_tokens"))
        caps += [cap for cap in own if isinstance(cap, int)]
    return max(caps)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def usable(reply: Reply, *, has_tools: bool) -> Message:
    """Return the message of a reply as it is recorded and sent back.

    Without tools it has no calls: the results of those would be refused, too. A truncated one says
    so, because a resumed attempt judges it again.
    """
    message = reply.message
    if len(message.tool_calls) > KEPT_CALLS:
        more = message.more_calls + len(message.tool_calls) - KEPT_CALLS
        message = message.model_copy(update={"tool_calls": message.tool_calls[:KEPT_CALLS], "more_calls": more})
    if message.tool_calls and not has_tools:
        raw = {name: value for name, value in (message.raw or {}).items() if name != "tool_calls"}
        message = message.model_copy(update={"tool_calls": (), "raw": raw or None})
    if reply.finish == "length":
        message = message.model_copy(update={"doubts": (*message.doubts, CUT)})
    return message
