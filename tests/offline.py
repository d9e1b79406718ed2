"""Requests like those of attempts to the offline endpoint, and parts of its reports."""

from collections.abc import Mapping
from typing import Literal

from swarm.attempt.prompt import phrase
from swarm.endpoints.offline import respond
from swarm.endpoints.offline.outputs import READING
from swarm.spec.chat import Data, Form, Message, Part, Request, Text, says
from swarm.spec.files.agent import load_wording
from swarm.spec.task import Task

WORDING = load_wording(Task(goal="x"))
GOAL = "How much memory does each library need?"

NOTES = {
    "notes/tantivy.md": "# Tantivy\n\nA library in Rust, begun in 2016.\n\nTantivy needs 210 MB of memory for the index"
    " of a million products. Its API is close to that of Lucene.\n",
    "notes/lunr.md": "# Notes\n\n## Background\n\nSmall, for the browser.\n\n## Memory\n\n- It needs 40 MB\n- It has no"
    " server\n",
    "notes/meilisearch.md": "| aspect | value |\n|---|---|\n| language | Rust |\n| memory | 1.2 GB |\n| of | 2018 |\n",
    "notes/note-4.md": "# Xapian\n\nXapian has been around since 2001. For the product index, 95 MB were enough.\n",
    "notes/sqlite.txt": "SQLite FTS5\n\nThe extension is part of most builds, e.g. of Python. Memory: 18 MB.\n",
    "notes/elastic.md": "It runs on the JVM. The heap takes at least\n2 GB; on our machines 2,300 MB in practice. It"
    " scales to many nodes.\n",
}
FIGURES = {
    "Tantivy": "210 MB",
    "lunr": "40 MB",
    "meilisearch": "1.2 GB",
    "Xapian": "95 MB",
    "SQLite FTS5": "18 MB",
    "elastic": "2,300 MB",
}


Purpose = Literal["text", "plan", "report", "json"]


def request(
    purpose: Purpose = "text",
    *data: Part,
    goal: str = GOAL,
    prompt: str = "",
    schema: Mapping[str, object] | None = None,
    most: int | None = None,
) -> Request:
    """Return a request like that of an attempt: the goal, the data, then the step's prompt."""
    parts: list[Part] = [Text(text=phrase(WORDING, "goal", goal=goal)), Text(text=WORDING["inputs"]), *data]
    return Request(
        model="default",
        messages=(
            says("system", "You are told much that an endpoint without a model does not read."),
            Message(role="user", parts=(*parts, Text(text=WORDING["step"]), Text(text=prompt or goal))),
        ),
        purpose=purpose,
        form=None if schema is None else Form(name="answer", json_schema=dict(schema)),
        max_tokens=most,
    )


def read_and_merge(files: Mapping[str, str], goal: str = GOAL) -> str:
    """Answer like a run: one step per file, and a reducer."""
    outputs = [
        respond(request("text", Data(of="input", name=name, text=text), goal=goal, prompt=f"From {name}: {goal}"))
        for name, text in files.items()
    ]
    given = [Data(of="output", name=f"read.{n}", text=text) for n, text in enumerate(outputs, 1)]
    return respond(request("report", *given, goal=goal))


def claims(report: str) -> list[str]:
    """Return the bullets of a report, without those about what was read."""
    before, _, rest = report.partition(f"## {READING}")
    lines = (before + rest.partition("\n## ")[2]).splitlines()
    return [line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")]


def rows(report: str) -> dict[str, str]:
    """Return the table of a report: the answer of each source by its name."""
    found = (line.strip("| ").split(" | ", 1) for line in report.splitlines() if line.startswith("| "))
    return {name: answer for name, answer in found if name != "source"}


def section(report: str, title: str) -> str:
    """Return the text below a heading that begins with a title, up to the next one."""
    return report.partition(f"## {title}")[2].partition("\n## ")[0]
