"""A model that never errs: it finds every fact that it is shown, repeats it with its source, and obeys its caps."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from swarm.base.errors import EndpointRefused
from swarm.spec.chat import (
    BYTES_PER_TOKEN,
    Data,
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

FACT = re.compile(r"\bF-\d+-\d+ is \d+\.")
"""A fact in a document: a name and a figure."""


@dataclass
class PerfectReader:
    """The model. It refuses what exceeds its context, and truncates what exceeds its output cap."""

    context: int
    cap: int = 1024
    fails: frozenset[int] = frozenset()
    """Numbers of the report requests that fail, from 0."""
    requests: list[Request] = field(default_factory=list[Request])
    reports: int = 0
    refused: int = 0

    async def complete(self, request: Request) -> Reply:
        """Return all facts of the request's data."""
        self.requests.append(request)
        cap = min(request.max_tokens or self.cap, self.cap)
        taken = request_tokens(request)
        if taken + cap > self.context:
            self.refused += 1
            raise EndpointRefused(f"{taken} + {cap} tokens exceed {self.context}", kind="context_length")
        if request.purpose == "report":
            self.reports += 1
            if self.reports - 1 in self.fails:
                raise EndpointRefused("no", kind="refused")
        text = self._answer(request)
        most = cap * BYTES_PER_TOKEN
        usage = Usage(calls=1, input_tokens=taken, output_tokens=min(cap, estimate_tokens(text)))
        message = Message(role="assistant", parts=(Text(text=text[:most]),))
        finish = "length" if len(text) > most else "stop"
        return Reply(message=message, finish=finish, usage=usage, endpoint="perfect", model="perfect")

    def _answer(self, request: Request) -> str:
        parts = [part for message in request.messages for part in message.parts if message.role == "user"]
        words = " ".join(part.text for part in parts if isinstance(part, Text))
        if "# The summary of this report" in words:
            names = [part.name for part in split_data(parts) if isinstance(part, Data) and part.of == "output"]
            return f"All is below [{names[0]}]."
        lines = list(facts_in(parts, cites=request.purpose == "report"))
        return "\n".join(lines) or "Nothing."


def facts_in(parts: Iterable[Part], *, cites: bool) -> Iterable[str]:
    """Yield the facts of data, each once and with its source if it `cites`."""
    seen: dict[str, None] = {}
    for part in split_data(parts):
        if not isinstance(part, Data) or part.of not in ("input", "output"):
            continue
        for match in FACT.finditer(part.text):
            source = re.match(r" (\[[^\]]+\])", part.text[match.end() :])
            cited = source[1] if source else f"[{part.name}]"
            seen[f"- {match[0]} {cited}" if cites else match[0]] = None
    return seen


def document(number: int, facts: int = 8, words: int = 40) -> str:
    """Return a document with facts between other words."""
    padding = "Nothing of interest is written here. " * words
    lines = [f"{padding}F-{number}-{n} is {number * 100 + n}." for n in range(facts)]
    return f"# Document {number}\n\n" + "\n\n".join(lines) + "\n"


def share_found(text: str, documents: int, facts: int = 8) -> float:
    """Return the share of the facts of all documents that a text has."""
    found = set(FACT.findall(text))
    wanted = {f"F-{number}-{n} is {number * 100 + n}." for number in range(documents) for n in range(facts)}
    return len(found & wanted) / len(wanted)
