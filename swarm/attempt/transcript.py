"""Messages of a conversation: results of calls, ids of calls, answers."""

from collections.abc import Iterable

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


KEPT_CALLS = 512
"""Maximum tool calls of an answer that are recorded, each with its result. Answers from the wire have fewer."""


def usable(reply: Reply, *, has_tools: bool) -> Message:
    """Return the message of a reply as it is recorded and sent back.

    Without tools it has no calls: the results of those would be refused, too. A truncated one says
    so, because a resumed attempt judges it again.
    """
    message = reply.message
    if len(message.tool_calls) > KEPT_CALLS:
        message = message.model_copy(update={"tool_calls": message.tool_calls[:KEPT_CALLS]})
    if message.tool_calls and not has_tools:
        raw = {name: value for name, value in (message.raw or {}).items() if name != "tool_calls"}
        message = message.model_copy(update={"tool_calls": (), "raw": raw or None})
    if reply.finish == "length":
        message = message.model_copy(update={"doubts": (*message.doubts, CUT)})
    return message
