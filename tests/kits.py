"""A kit for tests: it notes when it opens and closes, and which calls it got."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import Problem, TaskError
from swarm.base.values import Json
from swarm.spec.chat import Request, ToolSpec
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.testing import Function, reply
from swarm.tools import Kit, Offer, Opening, Tool, ToolContext, offered
from tests.models import own_prompt

WORD: dict[str, Any] = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}


class Shelf(Kit):
    """A kit like that of a server: known by names before it opens; models call its tools by other names."""

    def __init__(self, name: str = "shelf", *, effect: Any = "read", place: str = "", label: str | None = None) -> None:
        self.name = f"mcp.{name}"
        self.prefix = name
        self.goes_to = place
        self.label = label
        self.effect = effect
        self.offers = tuple(Offer(f"{name}.{tool}", place, label) for tool in ("find", "put"))
        self.about = "Finds a word. It is slow."
        self.lacks = ""
        self.events: list[str] = []
        self.opened_in: list[Any] = []
        self.breaks = False

    async def open(self, opening: Opening) -> None:
        self.events.append("open")
        self.opened_in.append(opening)
        if self.breaks:
            raise TaskError(Problem("does not start", key=self.name))
        self.tools = tuple(self._tool(offer) for offer in self.offers if offer.name != self.lacks)

    async def close(self) -> None:
        self.events.append("close")
        self.tools = ()

    def _tool(self, offer: Offer) -> Tool:
        async def run(text: str, context: ToolContext) -> Json:
            self.events.append(f"{offer.name} {text} for {context.step}")
            return f"found {text}"

        spec = ToolSpec(name=offer.name.replace(".", "__"), description=self.about, parameters=WORD)
        return Tool(
            spec,
            run,
            effect=self.effect,
            label=self.label,
            goes_to=self.goes_to,
            called=offer.name,
            kit=self.name,
        )


def shelved(monkeypatch: pytest.MonkeyPatch, *kits: Kit) -> Any:
    def source(kit: Kit) -> Callable[[Task], tuple[Kit, ...]]:
        return lambda _: (kit,)

    monkeypatch.setattr(offered, "NAMED", {kit.prefix: source(kit) for kit in kits})
    return kits[0]


def asking(name: str = "shelf__find", arguments: Json = None) -> Function:
    """Make a model that calls a tool once in each step that has it, then says what it got."""
    return Function(saying(name, arguments))


def saying(name: str = "shelf__find", arguments: Json = None) -> Callable[[Request], Any]:
    def answer(request: Request) -> Any:
        names = [spec.name for spec in request.tools if spec.name != "read_more"]
        if len(request.messages) == 2 and name in names:
            return reply(calls=[(name, arguments or {"word": "tea"})])
        return f"{own_prompt(request)} {' '.join(names)}: {request.messages[-1].text} [ask]"

    return answer


def task(folder: Path, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "goal": "Tell all.",
        "models": {"default": Model(endpoint="offline")},
        "tools": ("shelf",),
        "plan": Plan(steps=(Step(id="ask", prompt="Ask."),)),
        "folder": folder,
    }
    return Task(**(fields | more))
