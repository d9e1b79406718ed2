"""Answers that go on where the one before reached the output cap.

A role with `truncated: continue`, and a step that does a share of the work of another one, is asked
for the rest of a text, at most `ALLOWED["continued"]` times, if no tools are offered. The model is
shown the end of what is kept: up to the last complete line or sentence, so that no figure consists
of two answers. The conversation has all that is needed, so an interrupted attempt is continued,
too.
"""

import re
from collections.abc import Sequence

from swarm.attempt.prompt import phrase, wanted, written
from swarm.attempt.types import Attempt
from swarm.base.errors import EndpointError, LimitError
from swarm.endpoints import Endpoint
from swarm.spec.chat import Message, Reply, Request, Text

KIND = "continued"
"""Kind of the correction that asks for the rest."""
TAIL = 160
"""Maximum characters of the end that a model is shown: one or two lines."""
LEAST_KEPT = 0.5
"""Minimum share of a text up to its last complete line or sentence. If it is less, the last word is the end."""
REPEATED = 600
"""Maximum characters of the end of a text that an answer is expected to repeat."""
BEGINNING = 40
"""Characters by which an answer that begins again is known."""
LEAST_REPEATED = 12
"""Minimum characters that count as repeated."""
LONGEST = 1.2
"""Length of an answer that repeats all that it reads, as a multiple of that: it has words of its own, too."""

_END = re.compile(r"\n|[.!?…](?:\s*\[[^\[\]\n]{1,200}\])*(?=\s)|[。！？]")
_WORD_END = re.compile(r"\s(?=\S*$)")


def may_continue(attempt: Attempt, text: str) -> bool:
    """Return whether the rest of a truncated answer may be requested: of a text, without tools.

    It is if the role says so, or if the step does a share of another one's text (`on_cut`) and the role says nothing.
    Such a step repeats what it reads: if its answer is longer than that, it talks without end.
    """
    is_share, choice = attempt.on_cut == "continue", attempt.agent.truncated
    if attempt.tools or wanted(attempt).kind != "text" or attempt.on_cut not in ("keep", "continue"):
        return False
    if is_share and len(text) > LONGEST * _read(attempt):
        return False
    return choice == "continue" or (is_share and choice is None)


def _read(attempt: Attempt) -> int:
    """Return the number of characters that an attempt reads."""
    return sum(len(each.text) for each in attempt.inputs) + sum(len(written(each.output)) for each in attempt.given)


async def rest_of(endpoint: Endpoint, request: Request) -> Reply | None:
    """Return the answer with the rest of a text, or None after any error: what is there is kept then."""
    try:
        return await endpoint.complete(request.model_copy(update={"optional": True}))
    except (EndpointError, LimitError):
        return None


def words(attempt: Attempt, text: str) -> str:
    """Return the words that ask for the rest of a text."""
    return phrase(attempt.wording, "continue", tail=kept(text).rstrip()[-TAIL:])


def kept(text: str) -> str:
    """Return a truncated text up to its last complete line or sentence, else up to its last complete word."""
    ends = [match.end() for match in _END.finditer(text)]
    if ends and ends[-1] >= LEAST_KEPT * len(text):
        return text[: ends[-1]]
    last = _WORD_END.search(text)
    return text if last is None else text[: last.start()]


def whole(attempt: Attempt, said: Sequence[Message]) -> Message:
    """Return the last answer of a conversation, with the text of the answers that it continues before its own."""
    answer, at = said[-1], len(said) - 1
    first = phrase(attempt.wording, "continue", tail="").split("\n", 1)[0]
    before: list[str] = []
    while at >= 2 and said[at - 1].role == "user" and said[at - 1].text.startswith(first):
        at -= 2
        before.insert(0, said[at].spoken)
    if not before or answer.tool_calls:
        return answer
    text = before[0]
    for more in (*before[1:], answer.spoken):
        text = joined(kept(text), more)
    return answer.model_copy(update={"parts": (Text(text=text),)})


def joined(text: str, more: str) -> str:
    """Return a text and its continuation, without what the continuation repeats of the end.

    A model that begins again wrote another version: the longer one is returned.
    """
    more = more.lstrip()
    end = text.rstrip()
    if more[:BEGINNING] == end.lstrip()[:BEGINNING]:
        return max(text, more, key=len)
    for size in range(min(len(end), len(more), REPEATED), LEAST_REPEATED - 1, -1):
        if end.endswith(more[:size]):
            more = more[size:].lstrip(" ")
            break
    between = text[len(end) :] or ("" if text[-1:] in "。！？" else " ")
    return f"{end}{between}{more}" if more else text
