"""Messages without a system role: its text goes in front of the first user's. Pure."""

from collections.abc import Iterable

from swarm.spec.chat import Message


def without_system(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return messages without the role `system`. Neighbours of one role become one message.

    The templates of some models know no such role, and require users and assistants in turn.
    """
    merged: list[Message] = []
    for message in messages:
        if message.role == "system":
            message = message.model_copy(update={"role": "user"})
        last = merged[-1] if merged else None
        if last is not None and _can_join(last, message):
            merged[-1] = last.model_copy(update={"parts": (*last.parts, *message.parts)})
        else:
            merged.append(message)
    return tuple(merged)


def _can_join(one: Message, other: Message) -> bool:
    return one.role == other.role != "tool" and not (one.tool_calls or other.tool_calls)
