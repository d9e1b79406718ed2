"""A model for whole runs, by rules: what a test tells it to say to a prompt, else something that shows what it read."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import swarm
from swarm.base.values import Json, canonical
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.journal import read
from swarm.spec.chat import Data, Reply, Request, Text, split_data
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Task
from swarm.testing import Function, reply

Said = str | Reply | Exception


def own_prompt(request: Request) -> str:
    """Give the step's own prompt: the last words of the task's in the first message from a user."""
    first = next(message for message in request.messages if message.role == "user")
    return [part.text for part in first.parts if isinstance(part, Text)][-1]


def data_in(request: Request, of: str) -> dict[str, str]:
    """Give what a request hands on, by name."""
    parts = split_data(part for message in request.messages for part in message.parts)
    return {part.name: part.text for part in parts if isinstance(part, Data) and part.of == of}


FIGURES = {"Tantivy": 210, "Lucene": 480, "Meili": 95, "Typesense": 150, "Xapian": 60, "Sonic": 30}
WIDE: dict[str, Json] = {"steps": [{"id": "read", "each": "inputs", "prompt": "Read {item}."}]}


class Model(Function):
    """Answers by the first rule whose words are in the step's own prompt; `plan` answers planners."""

    def __init__(
        self, rules: Mapping[str, Said | Callable[[Request], Said]] | None = None, *, plan: Any = None
    ) -> None:
        super().__init__(self._answer, identity="a model of tests")
        self.rules: dict[str, Said | Callable[[Request], Said]] = dict(rules or {})
        self.plan = plan

    def _answer(self, request: Request) -> Said:
        prompt = own_prompt(request)
        for words, said in self.rules.items():
            if words in prompt:
                return said if isinstance(said, str | Reply | Exception) else said(request)
        if request.purpose == "plan":
            return reply(canonical(self.plan).decode())
        if request.purpose == "report":
            outputs = data_in(request, "output")
            return "\n".join(f"- {text} [{name}]" for name, text in outputs.items())
        return f"{prompt.splitlines()[-1]}: {hashlib.sha256(repr(request.messages).encode()).hexdigest()[:8]}"

    @property
    def prompts(self) -> list[str]:
        """The last line of the own prompt of every request, in order."""
        return [own_prompt(request).splitlines()[-1] for request in self.requests]


def write_notes(folder: Path) -> Path:
    """Write six notes that each state a figure."""
    notes = folder / "notes"
    notes.mkdir()
    for name, figure in FIGURES.items():
        text = f"# {name}\n\n{name} is liked by many.\n\nIn our tests {name} needs {figure} MB for the index.\n"
        (notes / f"{name.lower()}.md").write_text(text, encoding="utf-8")
    return folder


def task(folder: Path, **more: Any) -> Task:
    """Ask how much each of the six needs."""
    fields: dict[str, Any] = {"goal": "How much does each need?", "inputs": ("notes/*.md",), "folder": folder}
    return Task(**(fields | more))


def four(folder: Path, **more: Any) -> Task:
    """A, B and C beside one another, and D that needs all."""
    steps = (
        *(Step(id=name, prompt=f"Do {name}.") for name in "abc"),
        Step(id="d", prompt="Do d.", needs=("a", "b", "c")),
    )
    return Task(goal="Four.", plan=Plan(steps=steps), folder=folder, **more)


async def run_with(model: Any, this: Task, **more: Any) -> swarm.Result:
    """Run a task against an endpoint."""
    async with Run(this, options=Options(endpoint=model, **more)) as run:
        pass
    return run.result


async def resume_with(model: Any, folder: Path, **more: Any) -> swarm.Result:
    """Go on with a run against an endpoint."""
    failed = more.pop("failed", False)
    async with Run(options=Options(endpoint=model, **more), resume=RunFolder(folder), failed=failed) as run:
        pass
    return run.result


def events_of(folder: Path) -> list[e.Stamped]:
    """Read a run's journal."""
    return list(read(RunFolder(folder).journal))
