"""The endpoint inside the package: no network, no key, equal bytes for equal requests.

It is not a language model. It plans from the shape of the inputs (`plan`), answers with the most
relevant sentences of its input (`answer`), merges such answers into a report with citations
(`report`) and fills a JSON Schema (`form`). It compares words and never follows them, so no text
can make it do anything else. With it, a fresh install is useful, and examples and tests are
deterministic.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, NamedTuple

import anyio.to_thread

from swarm.base.values import canonical
from swarm.endpoints.offline.form import fill
from swarm.endpoints.offline.outputs import OutputTexts, items_of, outputs
from swarm.endpoints.offline.plan import asked, is_alone, plan, shape
from swarm.endpoints.offline.report import Material, answer, report
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
from swarm.texts.claims import sentences
from swarm.texts.sentences import read
from swarm.texts.words import Facet, facets, words

NAME = "offline"
"""Its name in tasks, on the command line and in replies."""

LARGE = 50_000
"""Tokens of a request from which it is answered in a thread: other steps and the view of the run go on."""

_SOURCES = ("input", "output", "tool")


class Offline:
    """The endpoint. It raises `EndpointRefused` only for a JSON Schema that it cannot fill."""

    async def complete(self, request: Request) -> Reply:
        """Return a plan, a text, a report or a JSON value, as the request asks."""
        tokens = request_tokens(request)
        text = await anyio.to_thread.run_sync(respond, request) if tokens > LARGE else respond(request)
        usage = Usage(
            calls=1,
            input_tokens=tokens,
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
    given = _material(request, goal, prompt, data)
    if request.form is not None:
        return fill(request.form.json_schema, given)
    is_whole = bool(given.sources) and isinstance(main[-1], Text) and is_alone(main[-1].text)
    is_report = request.purpose == "report" and (given.outputs != OutputTexts() or bool(given.notes))
    return report(given) if is_whole or is_report else answer(given)


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


class _Texts(NamedTuple):
    """The texts of a request."""

    sources: list[Data]
    outputs: list[Data]
    """Outputs that a report is made of. Those that another answer is made of are sources."""
    items: list[Data]
    steps: list[Data]
    """What is said about the steps behind the outputs."""
    missing: list[Data]

    @classmethod
    def of(cls, data: Sequence[Part], *, is_report: bool) -> "_Texts":
        """Return the texts among the parts of a request."""
        texts = [part for part in data if isinstance(part, Data)]
        outputs = _of(texts, "output") if is_report else []
        sources = _of(texts, "input", "tool") if is_report else _of(texts, *_SOURCES)
        items = _named(sources, "input", "item") if len(sources) > 1 else []
        sources = [part for part in sources if part not in items]
        return cls(sources, outputs, items, _named(texts, "brief", "steps"), _of(texts, "missing"))


def _material(request: Request, goal: str, prompt: str, data: Sequence[Part]) -> Material:
    """Return what an answer is made from. An item of a list belongs to the question, not to the sources."""
    is_report = request.purpose == "report" and request.form is None
    texts = _Texts.of(data, is_report=is_report)
    return Material(
        goal=goal or prompt,
        facets=_facets([goal, prompt] if is_report else [prompt, goal], [part.text for part in texts.items]),
        asked=f"{prompt}\n{goal}",
        sources=tuple(read(part.name, part.text) for part in texts.sources),
        outputs=outputs(texts.outputs, items_of("\n".join(part.text for part in texts.steps))),
        unread=_unread(data),
        notes=(*_missing(texts.missing), *_cut(_main(request.messages))),
        most=request.max_tokens,
        part=_part(prompt),
    )


def _unread(data: Sequence[Part]) -> tuple[str, ...]:
    return tuple(part.name for part in data if isinstance(part, Media))


def _part(prompt: str) -> Literal["section", "summary", ""]:
    """Return the part of a report that a prompt is for, by the headings of `agents/wording.md`."""
    if "# Your section" in prompt:
        return "section"
    return "summary" if "# The summary of this report" in prompt else ""


def _of(parts: Sequence[Data], *kinds: str) -> list[Data]:
    return [part for part in parts if part.of in kinds]


def _named(parts: Sequence[Data], of: str, name: str) -> list[Data]:
    return [part for part in parts if (part.of, part.name) == (of, name)]


def _facets(asked: Sequence[str], items: Sequence[str]) -> tuple[Facet, ...]:
    """Return the questions of a text, or of another one if the first asks nothing in particular, about the items."""
    found, others = map(facets, asked)
    if not any(facet.terms for facet in found) and any(facet.terms for facet in others):
        found = others
    item = words(" ".join(items))
    return tuple(replace(facet, terms=tuple(dict.fromkeys((*facet.terms, *item)))) for facet in found)


def _cut(parts: Sequence[Part]) -> list[str]:
    """Return a line for each note below a text that says how much of it is shown."""
    found: list[str] = []
    for above, part in pairwise(parts):
        if isinstance(above, Data) and above.of in _SOURCES and isinstance(part, Text):
            note = part.text.strip()
            found += [f"Cut: {sentences(note[1:])[0]}"] if note[:1] == "(" and any(c.isdigit() for c in note) else []
    return found


def _missing(texts: Sequence[Data]) -> tuple[str, ...]:
    """Return the lines that say what is missing."""
    lines: list[str] = []
    for part in texts:
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
