"""Messages of a conversation: results of calls, ids of calls, answers."""

from collections.abc import Iterable, Sequence

from swarm.record.outcome import CUT
from swarm.spec.chat import Message, Part, Reply, ToolCall


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
