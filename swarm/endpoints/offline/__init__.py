"""The endpoint that is always there: no network, no key, no clock, no chance; the same bytes for the same request.

It is not a language model. It plans from the shape of the inputs (`plan`), answers with sentences ranked out of
what it is given (`answer`), merges such answers into a cited report (`report`) and fills a JSON Schema
with what it finds (`form`). It obeys nobody: words are compared, never followed, so no text can make it do
anything else. It makes a fresh install useful, and every example and test deterministic.
"""

from collections.abc import Sequence
from itertools import pairwise

from swarm.base.values import canonical
from swarm.endpoints.offline.answer import SourceOutput, answer
from swarm.endpoints.offline.form import fill
from swarm.endpoints.offline.formats import read
from swarm.endpoints.offline.plan import asked, plan, shape
from swarm.endpoints.offline.rank import question
from swarm.endpoints.offline.report import report
from swarm.spec.chat import Data, Media, Message, Part, Reply, Request, Text, Usage, estimate_tokens, request_tokens

NAME = "offline"
"""What it is called in tasks, on the command line and in replies."""

_GOAL_WEIGHT = 0.5  # of the goal's words beside those of the step's own prompt
_ITEM = "item"


class Offline:
    """Answers every request by itself. Raises `EndpointRefused` only for a form it cannot fill."""

    async def complete(self, request: Request) -> Reply:
        """Give a plan, a text, a report or a JSON value, by the request's purpose and form."""
        text = respond(request)
        usage = Usage(
            calls=1, input_tokens=request_tokens(request), output_tokens=estimate_tokens(text), estimated=True
        )
        message = Message(role="assistant", parts=(Text(text=text),))
        form = "json_schema" if request.form is not None else ""
        return Reply(message=message, usage=usage, endpoint=NAME, model=NAME, form=form)


def respond(request: Request) -> str:
    """Write the answer to a request. Instructions and tools are not looked at."""
    main = _main(request.messages)
    goal, prompt = _goal(main), _prompt(main)
    data = [part for message in request.messages if message.role != "system" for part in message.parts]
    texts = [part for part in data if isinstance(part, Data)]
    if request.purpose == "plan":
        briefs = [part.text for part in texts if part.of == "brief" and part.name == "brief"]
        outputs = [part.name for part in texts if part.of == "output"]
        return plan(goal or prompt, shape(briefs[-1] if briefs else "", _below_brief(request, main)), outputs)
    given = _given(request, goal, prompt, texts, tuple(part.name for part in data if isinstance(part, Media)))
    if request.form is not None:
        return fill(request.form.json_schema, given)
    outputs = any(part.of == "output" for part in texts)
    return report(given) if request.purpose == "report" and (outputs or given.missing) else answer(given)


def _given(request: Request, goal: str, prompt: str, texts: Sequence[Data], unread: tuple[str, ...]) -> SourceOutput:
    sources = [part for part in texts if part.of in ("input", "output", "tool")]
    items = [part for part in sources if part.of == "input" and part.name == _ITEM] if len(sources) > 1 else []
    weights = [(prompt, 1.0), (goal, 1.0 if request.purpose == "report" else _GOAL_WEIGHT)]
    return SourceOutput(
        question=question(*weights, *((part.text, 1.0) for part in items)),
        goal=goal or prompt,
        sources=tuple(read(part) for part in sources if part not in items),
        unread=unread,
        missing=tuple(
            line for part in texts if part.of == "missing" for line in part.text.splitlines() if line.strip()
        ),
        most=request.max_tokens,
    )


def _main(messages: Sequence[Message]) -> tuple[Part, ...]:
    """Find the message that says what to do: the last of the user's with something to read in it, else the last."""
    users = [message.parts for message in messages if message.role == "user"]
    full = [parts for parts in users if any(isinstance(part, Data | Media) for part in parts)]
    return (full or users or [()])[-1]


def _prompt(parts: Sequence[Part]) -> str:
    texts = [part.text for part in parts if isinstance(part, Text)]
    return asked(texts[-1].strip(), _goal(parts)) if texts else ""


def _below_brief(request: Request, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the text directly below the brief, which states how many inputs a truncated brief omits, if there is one.

    Figures anywhere else, in the goal or in the JSON Schema of a plan, do not count inputs.
    """
    for above, part in pairwise(parts):
        if isinstance(above, Data) and above.of == "brief" and isinstance(part, Text):
            form = request.form is not None and canonical(request.form.json_schema).decode() in part.text
            return () if form else (part.text,)
    return ()


def _goal(parts: Sequence[Part]) -> str:
    """Find the goal: the first text, if it is not the prompt itself nor only says what follows; without a heading."""
    texts = [n for n, part in enumerate(parts) if isinstance(part, Text)]
    if len(texts) < 2 or not isinstance(parts[0], Text):
        return ""
    text = parts[0].text.strip()
    head, _, body = text.partition("\n")
    titled = head.startswith("#") or head.rstrip().endswith(":")
    if titled and isinstance(parts[1], Data):  # says what the data below it is
        return ""
    return body.strip() if titled and body.strip() else text
