"""The endpoint inside the package: no network, no key, equal bytes for equal requests.

It is not a language model. It plans from the shape of the inputs (`plan`), answers with the most
relevant sentences of its input (`answer`), merges such answers into a report with citations
(`report`) and fills a JSON Schema (`form`). It compares words and never follows them, so no text
can make it do anything else. With it, a fresh install is useful, and examples and tests are
deterministic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from swarm.base.values import canonical
from swarm.endpoints.offline.answer import SourceOutput, answer
from swarm.endpoints.offline.form import fill
from swarm.endpoints.offline.formats import read
from swarm.endpoints.offline.plan import asked, plan, shape
from swarm.endpoints.offline.rank import question
from swarm.endpoints.offline.report import report
from swarm.spec.chat import (
    Data,
    Media,
    Message,
    Part,
    Reply,
    Request,
    Text,
    Usage,
    estimate_tokens,
    request_tokens,
    split_data,
)

NAME = "offline"
"""Its name in tasks, on the command line and in replies."""

_GOAL_WEIGHT = 0.5  # weight of the goal's words; those of the step's prompt have 1
_ITEM = "item"
_SOURCES = ("input", "output", "tool")


class Offline:
    """The endpoint. It raises `EndpointRefused` only for a JSON Schema that it cannot fill."""

    async def complete(self, request: Request) -> Reply:
        """Return a plan, a text, a report or a JSON value, as the request asks."""
        text = respond(request)
        usage = Usage(
            calls=1,
            input_tokens=request_tokens(request),
            output_tokens=estimate_tokens(text),
            estimated=True,
        )
        message = Message(role="assistant", parts=(Text(text=text),))
        form = "json_schema" if request.form is not None else ""
        return Reply(message=message, usage=usage, endpoint=NAME, model=NAME, form=form)


def respond(request: Request) -> str:
    """Return the answer to a request. Instructions and tools are ignored."""
    main = _main(request.messages)
    goal, prompt = _goal(main), _prompt(main)
    data = _data(request)
    texts = [part for part in data if isinstance(part, Data)]
    if request.purpose == "plan":
        return _planned(goal or prompt, request, main, texts)
    media = tuple(part.name for part in data if isinstance(part, Media))
    given = _given(request, _Asked(goal, prompt), texts, media)
    if request.form is not None:
        return fill(request.form.json_schema, given)
    has_outputs = any(part.of == "output" for part in texts)
    if request.purpose == "report" and (has_outputs or given.missing):
        return report(given)
    return answer(given)


def _data(request: Request) -> list[Part]:
    """Return the parts of all messages except the instructions."""
    found: list[Part] = []
    for message in request.messages:
        if message.role != "system":
            found += split_data(message.parts)
    return found


def _planned(goal: str, request: Request, main: Sequence[Part], texts: Sequence[Data]) -> str:
    """Return a plan for the last brief of the request."""
    briefs = [part.text for part in texts if part.of == "brief" and part.name == "brief"]
    outputs = [part.name for part in texts if part.of == "output"]
    brief = briefs[-1] if briefs else ""
    return plan(goal, shape(brief, _below_brief(request, main)), outputs)


@dataclass(frozen=True)
class _Asked:
    """The words that a request contains in addition to its data."""

    goal: str
    prompt: str


def _given(
    request: Request,
    asked: _Asked,
    texts: Sequence[Data],
    unread: tuple[str, ...],
) -> SourceOutput:
    """Return the material of an answer.

    An item of a list belongs to the question, not to the sources.
    """
    sources = [part for part in texts if part.of in _SOURCES]
    items: list[Data] = []
    if len(sources) > 1:
        items = [part for part in sources if part.of == "input" and part.name == _ITEM]
    goal_weight = 1.0 if request.purpose == "report" else _GOAL_WEIGHT
    weights = [(asked.prompt, 1.0), (asked.goal, goal_weight)]
    weights += [(part.text, 1.0) for part in items]
    return SourceOutput(
        question=question(*weights),
        goal=asked.goal or asked.prompt,
        sources=tuple(read(part) for part in sources if part not in items),
        unread=unread,
        missing=_missing(texts),
        most=request.max_tokens,
    )


def _missing(texts: Sequence[Data]) -> tuple[str, ...]:
    """Return the lines that say what is missing."""
    lines: list[str] = []
    for part in texts:
        if part.of == "missing":
            lines += [line for line in part.text.splitlines() if line.strip()]
    return tuple(lines)


def _main(messages: Sequence[Message]) -> tuple[Part, ...]:
    """Return the parts of the user's last message with data, else of the user's last message."""
    users = [message.parts for message in messages if message.role == "user"]
    full = [parts for parts in users if any(isinstance(part, Data | Media) for part in parts)]
    return (full or users or [()])[-1]


def _prompt(parts: Sequence[Part]) -> str:
    """Return the prompt of the step: the last text, without the words of our own plans."""
    texts = [part.text for part in parts if isinstance(part, Text)]
    return asked(texts[-1].strip(), _goal(parts)) if texts else ""


def _below_brief(request: Request, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the text directly below the brief, which counts omitted inputs, if there is one.

    Figures anywhere else, in the goal or in the JSON Schema of a plan, do not count inputs.
    """
    for above, part in pairwise(parts):
        if isinstance(above, Data) and above.of == "brief" and isinstance(part, Text):
            form = request.form is not None and canonical(request.form.json_schema).decode() in part.text
            return () if form else (part.text,)
    return ()


def _goal(parts: Sequence[Part]) -> str:
    """Return the first text without its heading, unless it is the prompt or introduces data."""
    texts = [n for n, part in enumerate(parts) if isinstance(part, Text)]
    if len(texts) < 2 or not isinstance(parts[0], Text):
        return ""
    text = parts[0].text.strip()
    head, _, body = text.partition("\n")
    titled = head.startswith("#") or head.rstrip().endswith(":")
    if titled and isinstance(parts[1], Data):  # it introduces the data below it
        return ""
    return body.strip() if titled and body.strip() else text
