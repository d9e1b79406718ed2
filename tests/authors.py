"""A double that reads and writes as much as a model would, for tests and measurements of forecasts."""

from hashlib import sha256
from pathlib import Path

from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import reply

BYTES = 4.0
"""Bytes of English prose per token, with the tokenizers of 2025."""
LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""A figure in a report that no source has would be asked about."""
PROSE = "The service keeps its index on disk and needs a few gigabytes of memory while it answers queries. "


class Author:
    """An endpoint that counts tokens like a tokenizer, and whose answers have a usual length."""

    def __init__(self, *, answer: int = 220, report: int = 500, identity: str | None = "an author") -> None:
        self.identity = identity
        self.calls = 0
        self._answer = answer
        self._report = report

    async def complete(self, request: Request) -> Reply:
        """Answer in prose; a report cites the first step that it is given."""
        self.calls += 1
        taken = sum(len(message.text.encode()) for message in request.messages) / BYTES
        given = self._report if request.purpose == "report" else self._answer
        given = min(given, request.max_tokens or given)
        asked = sha256(repr(request.messages).encode()).hexdigest()
        word = asked[:8].translate(LETTERS)
        text = f"About {word}. " + PROSE * (1 + int(given * BYTES / len(PROSE)))
        text = text[: int(given * BYTES)]
        if request.purpose == "report":
            text = f"All of it is known [read.1].\n\n{text}"
        return reply(text, usage=Usage(calls=1, input_tokens=round(taken), output_tokens=given))


def written_files(folder: Path, count: int, size: int = 2_000) -> None:
    """Write text files of this size in bytes."""
    (folder / "notes").mkdir(exist_ok=True)
    for n in range(1, count + 1):
        text = f"Note {n}. " + PROSE * (1 + size // len(PROSE))
        (folder / "notes" / f"n{n:03}.md").write_text(text[:size], encoding="utf-8")


READ = Step(id="read", each="inputs", prompt="What does {item} say of memory?")
REPORT = Step(id="report", agent="reducer", needs=("read",), prompt="Which service needs most memory?")


def over_files(folder: Path, *, context: int | None = None, workers: int = 16, alone: bool = False) -> Task:
    """Return a task that reads each file and reports; `alone`, the same for one agent."""
    model = Model(endpoint="offline", context=context, max_tokens=1024)
    return Task(
        goal="Which service needs most memory?",
        report="summary",
        inputs=("notes/*.md",),
        models={"default": model},
        limits=Limits(workers=workers, tokens=None, steps=2_000),
        plan=None if alone else Plan(steps=(READ, REPORT)),
        swarm="never" if alone else "auto",
        folder=folder,
    )
