"""Messages of a conversation: results of calls, ids of calls, texts."""

from collections.abc import Iterable

from swarm.spec.chat import Message, Part, Text, ToolCall


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


def text_of(message: Message) -> str:
    """Return the text of a message, without data and media."""
    return "".join(part.text for part in message.parts if isinstance(part, Text))
