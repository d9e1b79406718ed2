"""The pieces of a streamed answer as signals for whoever watches."""

from collections.abc import Callable

from swarm.endpoints.wire.shapes import WireMessage
from swarm.record.signals import Teller

_THOUGHTS = ("reasoning_content", "reasoning")
"""Fields with what a model thinks before it answers."""


def hearing(teller: Teller) -> Callable[[WireMessage], None]:
    """Return a function that tells of the pieces of an answer, if anybody listens."""

    def hear(piece: WireMessage) -> None:
        if not teller:
            return
        for name in _THOUGHTS:
            thought = getattr(piece, name, None)
            if isinstance(thought, str):
                teller.heard(thought, "thought")
        teller.heard(piece.text)
        for call in piece.tool_calls or ():
            words = (call.function.name, call.function.arguments)
            teller.heard("".join(each for each in words if isinstance(each, str)), "call")

    return hear
