"""The endpoint inside the package: no network, no key, equal bytes for equal requests.

It is not a language model. It plans from the shape of the inputs (`plan`), answers with the most
relevant sentences of its input (`answer`), merges such answers into a report with citations
(`report`) and fills a JSON Schema (`form`). It compares words and never follows them, so no text
can make it do anything else. With it, a fresh install is useful, and examples and tests are
deterministic.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Literal

import anyio.to_thread

from swarm.endpoints.offline.form import fill
from swarm.endpoints.offline.outputs import OutputTexts, items_of, outputs
from swarm.endpoints.offline.plan import asked, brief_of, is_alone, plan
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


class Offline:
    """The endpoint. It raises `EndpointRefused` only for a JSON Schema that it cannot fill."""

    async def complete(self, request: Request) -> Reply:
        """Return a plan, a text, a report or a JSON value, as the request asks."""
        tokens = request_tokens(request)
        text = await anyio.to_thread.run_sync(respond, request) if tokens > LARGE else respond(request)
        written = estimate_tokens(text)
        usage = Usage(calls=1, input_tokens=tokens, output_tokens=written, estimated=True)
        message = Message(role="assistant", parts=(Text(text=text),))
        form = "json_schema" if request.form is not None else ""
        return Reply(message=message, usage=usage, endpoint=NAME, model=NAME, form=form)


def respond(request: Request) -> str:
    """Return the answer to a request. Instructions and tools are ignored."""
    main = _main(request.messages)
    goal = _goal(main)
    prompt = _prompt(main, goal)
    parts = (split_data(message.parts) for message in request.messages if message.role != "system")
    data = list(chain.from_iterable(parts))
    if request.purpose == "plan":
        return _planned(goal or prompt, main, data)
    given = _material(request, goal, prompt, main, data)
    if request.form is not None:
        return fill(request.form.json_schema, given)
    is_whole = bool(given.sources) and isinstance(main[-1], Text) and is_alone(main[-1].text)
    is_report = request.purpose == "report" and (given.outputs != OutputTexts() or bool(given.notes))
    return report(given) if is_whole or is_report else answer(given)


def _material(request: Request, goal: str, prompt: str, main: Sequence[Part], data: Sequence[Part]) -> Material:
    """Return what an answer is made from. An item of a list belongs to the question, not to the sources."""
    is_report = request.purpose == "report" and request.form is None
    texts: dict[str, list[Data]] = defaultdict(list)
    for part in data:
        if isinstance(part, Data):
            texts[_use(part, is_report=is_report)].append(part)
    missing = "\n".join(part.text for part in texts["missing"]).splitlines()
    cut = _notes(main, "input", "output", "tool")
    return Material(
        goal=goal or prompt,
        facets=_facets([goal, prompt] if is_report else [prompt, goal], texts["item"] * bool(texts["source"])),
        asked=f"{prompt}\n{goal}",
        sources=tuple(read(part.name, part.text) for part in texts["source"] or texts["item"]),
        outputs=outputs(texts["output"], items_of(texts["steps"])),
        unread=tuple(part.name for part in data if isinstance(part, Media)),
        notes=(*filter(str.strip, missing), *(f"Cut: {sentences(note)[0]}" for note in cut)),
        most=request.max_tokens,
        part=_part(prompt),
    )


def _use(part: Data, *, is_report: bool) -> str:
    """Return what a text is used as. Outputs that no report is made of are sources."""
    if (part.of, part.name) in (("input", "item"), ("brief", "steps")):
        return part.name
    return "source" if part.of in ("input", "tool") or (part.of == "output" and not is_report) else part.of


def _planned(goal: str, main: Sequence[Part], data: Sequence[Part]) -> str:
    """Return a plan for the last brief of the request. The note below a long brief says how many inputs there are."""
    texts = [part for part in data if isinstance(part, Data)]
    briefs = [brief_of(part.text) for part in texts if (part.of, part.name) == ("brief", "brief")]
    brief = briefs[-1] if briefs else brief_of("")
    figures = [int(digits) for digits in re.findall(r"\b\d{1,9}\b", " ".join(_notes(main, "brief")))]
    total = max(figures) if len(brief.inputs) in figures else 0
    return plan(goal, brief, [part.name for part in texts if part.of == "output"], total)


def _notes(parts: Sequence[Part], *kinds: str) -> list[str]:
    """Return the notes in brackets below data of some kinds that say how much of it is shown."""
    below = [part for above, part in pairwise(parts) if isinstance(above, Data) and above.of in kinds]
    texts = [part.text.strip() for part in below if isinstance(part, Text)]
    return [text[1:] for text in texts if text.startswith("(") and any(map(str.isdigit, text))]


def _part(prompt: str) -> Literal["section", "summary", ""]:
    """Return the part of a report that a prompt is for, by the headings of `agents/wording.md`."""
    if "# Your section" in prompt:
        return "section"
    return "summary" if "# The summary of this report" in prompt else ""


def _facets(asked: Sequence[str], items: Sequence[Data]) -> tuple[Facet, ...]:
    """Return the questions of a text, or of another one if the first asks nothing in particular, about the items."""
    every = [facets(text) for text in asked]
    found = next((each for each in every if any(facet.terms for facet in each)), every[0])
    item = words(" ".join(part.text for part in items))
    return tuple(replace(facet, terms=tuple(dict.fromkeys((*facet.terms, *item)))) for facet in found)


def _main(messages: Sequence[Message]) -> tuple[Part, ...]:
    """Return the parts of the user's last message with data, else of the user's last message."""
    users = [message.parts for message in messages if message.role == "user"]
    full = [parts for parts in users if any(isinstance(part, Data | Media) for part in parts)]
    return (full or users or [()])[-1]


def _prompt(parts: Sequence[Part], goal: str) -> str:
    """Return the prompt of the step: the last text, without the words of our own plans."""
    texts = [part.text for part in parts if isinstance(part, Text)]
    return asked(texts[-1].strip(), goal) if texts else ""


def _goal(parts: Sequence[Part]) -> str:
    """Return the first text without its heading, unless it is the prompt or introduces data."""
    if sum(isinstance(part, Text) for part in parts) < 2 or not isinstance(parts[0], Text):
        return ""
    text = parts[0].text.strip()
    head, _, body = text.partition("\n")
    titled = head.startswith("#") or head.rstrip().endswith(":")
    if titled and isinstance(parts[1], Data):  # it introduces the data below it
        return ""
    return body.strip() if titled and body.strip() else text
