"""Sizes of requests: the output cap that is sent, and what a refusal of a too long one teaches, said or silent."""

from collections.abc import Sequence

from swarm.attempt.reading import ASSUMED_CONTEXT, ASSUMED_OUTPUT
from swarm.attempt.types import Attempt
from swarm.base.errors import EndpointRefused
from swarm.record.densities import MOST
from swarm.spec.chat import Message, Reply, Request, request_tokens

DENSER = 1.25
"""How many times as dense as assumed a text is of which a part was refused that should have fitted."""
LEAST_CONTEXT = 512
"""Minimum tokens of a context that is worth another try: rules and instructions alone take half."""


def output_cap(attempt: Attempt, *, was_cut: bool) -> int | None:
    """Return an output cap that differs from the model's own, else None.

    It is the `length` of a step that has one: its prompt takes the rest of the context. It is
    higher after a truncated answer. It is half of a context that is too small for both a prompt
    and the model's own cap, which many endpoints refuse.
    """
    cap, length = attempt.settings.get("max_tokens"), attempt.step.length
    if length is not None:
        return min(length, cap) if isinstance(cap, int) else length
    if not isinstance(cap, int):
        return None
    half_of_context = (attempt.context or ASSUMED_CONTEXT) // 2
    if was_cut:
        return min(2 * cap, half_of_context)
    return half_of_context if cap > half_of_context else None


def smaller_context(attempt: Attempt, error: EndpointRefused, request: Request) -> int | None:
    """Return the context size to assume from now on, or None if the refusal teaches nothing.

    1. The size that the refusal states, if the attempt had assumed more.
    2. Three quarters of what it had assumed, if the refusal states as much: the text has more
       tokens than estimated.
    3. Half of what the request needed, if the refusal states nothing and no search found more (`swarm.attempt.sizing`).
    """
    if error.kind != "context_length":
        return None
    assumed = attempt.context or ASSUMED_CONTEXT
    if error.context is None:  # 3
        cap = request.max_tokens or attempt.settings.get("max_tokens") or ASSUMED_OUTPUT
        needed = request_tokens(request) + (cap if isinstance(cap, int) else ASSUMED_OUTPUT)
        smaller = min(assumed, needed) // 2
    elif error.context < assumed:  # 1
        smaller = error.context
    else:  # 2
        smaller = assumed * 3 // 4
    return smaller if smaller >= LEAST_CONTEXT else None


def teach(attempt: Attempt, error: EndpointRefused, request: Request) -> None:
    """Set what a refusal teaches: that a context is smaller, or that the text of a part is denser than assumed.

    If it states the size for which the part was cut, the estimate was wrong. Other texts are read as before.
    """
    assumed = attempt.context or ASSUMED_CONTEXT
    is_known = error.kind == "context_length" and error.context is not None and error.context >= assumed
    if is_known and attempt.step.part is not None:
        error.context, density = None, attempt.density * DENSER
        error.density = density if density <= MOST else None
    else:
        error.context = smaller_context(attempt, error, request)


def estimate_of(attempt: Attempt, said: Sequence[Message]) -> int | None:
    """Return the estimated tokens of the first request for a part of a text; None for any other."""
    is_plain = attempt.step.part is not None and not attempt.tools
    return request_tokens(Request(model="", messages=tuple(said))) if is_plain else None


def refuse_cut_prompt(attempt: Attempt, reply: Reply, request: Request) -> None:
    """Raise `EndpointRefused` if the endpoint truncated the prompt silently: a shorter one may be read whole.

    Nothing is raised if no smaller context is worth a try: the answer keeps its doubt.
    """
    if reply.prompt_cut is None:
        return
    doubt = reply.message.doubts[-1] if reply.message.doubts else f"it read {reply.prompt_cut:,} tokens of the prompt"
    error = EndpointRefused(doubt, kind="context_length", endpoint=reply.endpoint)
    error.context = reply.prompt_cut
    error.context = smaller_context(attempt, error, request)
    if error.context is not None:
        raise error
