"""Attempts for tests: a scripted endpoint, tools that record calls, and everything that was noted."""

from typing import Any

import pytest

from swarm.attempt.loop import carry_out
from swarm.attempt.types import Attempt, Given
from swarm.base.errors import AttemptError
from swarm.planning.brief import Brief, RoleBrief
from swarm.record.events import Stamped, TurnTaken
from swarm.record.outcome import Outcome
from swarm.spec.agent import Agent
from swarm.spec.chat import Data, Message, Reply, Request, Text
from swarm.spec.files.agent import load_agents, load_wording
from swarm.spec.plan import Step
from swarm.spec.task import Task
from swarm.testing import Scripted, reply
from swarm.tools import Toolbox
from swarm.tools.functions import tool

WORDING = load_wording(Task(goal="x"))
AGENTS = load_agents(Task(goal="x"))
FIGURE: dict[str, Any] = {"type": "object", "properties": {"mb": {"type": "number"}}, "required": ["mb"]}
NAMES: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
GIVEN = (Given(step="read.1", about="", output="A needs 5"), Given(step="read.2", about="", output="B needs 6"))
CUT = Reply(message=Message(role="assistant", parts=(Text(text="A nee"),)), finish="length")


class Library:
    """Tools that record their calls."""

    def __init__(self) -> None:
        self.asked: list[str] = []

        @tool
        def look_up(word: str) -> str:
            """Look a word up."""
            self.asked.append(word)
            if word == "fail":
                raise KeyError("no such word")
            return word.upper() * (70_000 if word == "long" else 1)

        @tool
        def wipe() -> str:
            """Wipe all."""
            self.asked.append("wiped")
            return "gone"

        self.box = Toolbox([look_up, wipe])


class Tried:
    """An attempt with scripted answers, and everything that it noted."""

    def __init__(self, attempt: Attempt, *answers: str | Reply | Exception) -> None:
        self.attempt = attempt
        self.endpoint = Scripted(*answers)
        self.library = Library()
        self.turns: list[TurnTaken] = []

    def note(self, fact: Stamped) -> None:
        assert isinstance(fact, TurnTaken)
        self.turns.append(fact)

    async def outcome(self) -> Outcome:
        return await carry_out(self.attempt, endpoint=self.endpoint, tools=self.library.box, note=self.note)

    async def error(self) -> AttemptError:
        with pytest.raises(AttemptError) as caught:
            await self.outcome()
        return caught.value

    @property
    def requests(self) -> list[Request]:
        return self.endpoint.requests

    @property
    def said(self) -> list[Message]:
        """Everything noted, in order."""
        return [message for turn in self.turns for message in turn.messages]

    @property
    def words(self) -> list[str]:
        """Words of the corrections."""
        return [message.text for message in self.said if message.role == "user"]

    @property
    def results(self) -> list[str]:
        """Results of tools, without marks."""
        found = [part for message in self.said if message.role == "tool" for part in message.parts]
        return [part.text for part in found if isinstance(part, Text | Data)]


def attempt(agent: str | Agent = "worker", **fields: Any) -> Attempt:
    role = AGENTS[agent] if isinstance(agent, str) else agent
    step = fields.pop("step", None) or Step(id="s", prompt="Find it.", output=fields.pop("output", None))
    common: dict[str, Any] = {"run": "r", "step": step, "agent": role, "goal": "Why?", "wording": WORDING}
    return Attempt(**(common | fields))


def planning(**fields: Any) -> Attempt:
    brief = Brief(roles=(RoleBrief(name="worker", description=""), RoleBrief(name="reducer", description="")), **fields)
    return attempt("planner", step=Step(id="plan", agent="planner"), brief=brief)


def looks(*words: str) -> Reply:
    return reply(calls=[("look_up", {"word": word}) for word in words])
