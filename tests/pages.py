"""Runs to draw: recorded in virtual time with a model that takes as long as models do, fails at times and cites."""

import hashlib
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import anyio

import swarm
from swarm.base.errors import EndpointRefused
from swarm.cli.reading import exported
from swarm.exports.formats import Export
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder
from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.task import Task
from swarm.testing import reply, virtual_time
from tests.models import data_in, own_prompt

LIBRARIES = (
    *("Tantivy", "Lucene", "Meili", "Typesense", "Xapian", "Sonic", "Bleve", "Sphinx", "Manticore", "Vespa"),
    *("Quickwit", "Zinc", "Whoosh", "Toshi", "Solr", "Riot", "Pagefind", "Lunr", "Orama", "FlexSearch"),
)
MODELS = {"default": {"endpoint": "http://127.0.0.1:9/v1", "name": "kimi-k2.5", "price": {"input": 0.6, "output": 2.5}}}
NEEDS = re.compile(r"[A-Z][A-Za-z]+ needs [0-9]+ MB for the index of one million products")
GOAL = "Which of the search libraries suits an offline product search, and how large is the index of each?"


def note(name: str, rng: Random) -> str:
    """Return what is known of a library."""
    return (
        f"{name} needs {rng.randint(40, 900)} MB for the index of one million products. It runs offline, builds the "
        f"index in {rng.randint(2, 40)} minutes, and answers a query in {rng.randint(1, 30)} ms at the median."
    )


class Analyst:
    """A model that answers after a log-normal time, and refuses one prompt in fifty."""

    identity = "an analyst of tests"

    def __init__(self, *, median: float = 6.0, fails: float = 0.02, calls: int = 24) -> None:
        self._median = median
        self._fails = fails
        self._slots = anyio.Semaphore(calls)

    async def complete(self, request: Request) -> Reply:
        """Answer a request."""
        text = own_prompt(request)
        rng = Random(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
        async with self._slots:
            await anyio.sleep(self._median * rng.lognormvariate(0, 0.6))
        if rng.random() < self._fails and request.purpose != "report":
            raise EndpointRefused("the answer was refused by a filter of the provider", kind="content_filter")
        said = self._report(request) if request.purpose == "report" else self._answer(request, text, rng)
        tokens = max(40, sum(len(repr(message)) for message in request.messages) // 5)
        usage = Usage(calls=1, input_tokens=tokens, output_tokens=len(said) // 3)
        return reply(said, usage=usage)

    def _answer(self, request: Request, text: str, rng: Random) -> str:
        """Repeat what was read; without inputs and outputs, invent it."""
        if read := data_in(request, "input"):
            return " ".join(said.strip() for said in read.values())
        found = [match[0] for said in data_in(request, "output").values() if (match := NEEDS.search(said))]
        if found and "Compare" in text:
            return ". ".join(found) + "."
        return note(next((name for name in LIBRARIES if name in text), "It"), rng)

    def _report(self, request: Request) -> str:
        given = list(data_in(request, "output").items())
        lines = ["# Offline product search", "", "These fit an offline search:", ""]
        found = [(step, match[0]) for step, said in given if (match := NEEDS.search(said))]
        for n, (step, needs) in enumerate(found[:12]):
            lines.append(f"- {needs.replace(' MB', '7 MB') if n == 4 else needs}. [{step}]")
        lines += ["", "## What to choose", "", "Choose by the size of the index first, then by the time of a query."]
        if len(found) > 12:
            lines += ["", "| library | source |", "| --- | --- |"]
            lines += [f"| {needs.split(' ')[0]} | [{step}] |" for step, needs in found[:6]]
        return "\n".join(lines)


def plan_of(count: int) -> list[dict[str, Any]]:
    """Return a plan of about so many steps."""
    if count <= 12:
        studies = [f"study-{name.lower()}" for name in LIBRARIES[: count - 4]]
        return [
            {"id": "criteria", "prompt": "List what an offline product search needs.", "inputs": ["notes/goal.md"]},
            *(
                {
                    "id": step,
                    "prompt": f"Assess {name} for offline use.",
                    "needs": ["criteria"],
                    "inputs": [f"notes/{name.lower()}.md"],
                }
                for step, name in zip(studies, LIBRARIES, strict=False)
            ),
            {"id": "sizes", "prompt": "Compare the sizes of Lucene and Tantivy.", "needs": studies[:2]},
            {"id": "speeds", "prompt": "Compare the speeds of Meili and Sonic.", "needs": studies[2:]},
            {"id": "report", "agent": "reducer", "prompt": "Write the report.", "needs": ["sizes", "speeds", *studies]},
        ]
    many = (count - 5) * 2 // 3
    after = {"after": ["read"]} if count <= 300 else {}  # every study would read thousands of outputs
    return [
        {"id": "criteria", "prompt": "List what an offline product search needs."},
        {"id": "read", "each": _items(many), "prompt": "Read about {item}."},
        {"id": "study", "each": _items(count - 5 - many), "prompt": "Study {item}.", "needs": ["criteria"], **after},
        {"id": "sizes", "prompt": "Compare the sizes of Lucene and Tantivy.", "needs": ["criteria"]},
        {"id": "check", "prompt": "Check the sizes.", "needs": ["sizes"]},
        {"id": "report", "agent": "reducer", "prompt": "Write the report.", "needs": ["read", "study", "check"]},
    ]


def _items(count: int) -> list[str]:
    return [f"{LIBRARIES[n % len(LIBRARIES)]} {n}" for n in range(count)]


def _notes(folder: Path) -> tuple[str, ...]:
    """Write a note about each library."""
    (folder / "notes").mkdir()
    (folder / "notes" / "goal.md").write_text("An offline product search needs a small index and quick answers.\n")
    for name in LIBRARIES:
        (folder / "notes" / f"{name.lower()}.md").write_text(f"{note(name, Random(name))}\n")
    return ("notes/*.md",)


def record(folder: Path, count: int, model: Any = None, **more: Any) -> RunFolder:
    """Record a run of about so many steps, and return its folder."""
    fields: dict[str, Any] = {"goal": GOAL, "plan": {"steps": plan_of(count)}, "folder": folder, "swarm": "never"}
    fields["models"] = MODELS
    fields["limits"] = {"workers": 16 if count < 1000 else 200, "steps": 3 * count, "seconds": 10**7, "tokens": 10**9}
    if count <= 12 and not more:
        fields["inputs"] = _notes(folder)
    made = swarm.Task(**(fields | more))
    analyst = model or Analyst(calls=12 if count < 1000 else 150)
    name, options = virtual_time()
    return anyio.run(_record, made, analyst, backend=name, backend_options=options)


async def _record(task: Task, model: Any) -> RunFolder:
    async with Run(task, endpoint=model, cache=False) as run:
        pass
    return run.folder


def opened(folder: RunFolder) -> Export:
    """Return a recorded run with its result."""
    return exported(folder)


def recorded_goal(folder: RunFolder) -> str:
    """Return the goal in the journal of a run."""
    return str(json.loads(folder.journal.read_text().splitlines()[0])["task"]["goal"])
