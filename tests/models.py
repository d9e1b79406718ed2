"""A model for whole runs, by rules: what a test tells it to say to a prompt, else something that shows what it read."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from swarm.chat import Data, Reply, Request, Text
from swarm.frozen import canonical
from swarm.testing import Function, reply

Said = str | Reply | Exception


def own_prompt(request: Request) -> str:
    """Give the step's own prompt: the last words of the task's in the first message from a user."""
    first = next(message for message in request.messages if message.role == "user")
    return [part.text for part in first.parts if isinstance(part, Text)][-1]


def data_in(request: Request, of: str) -> dict[str, str]:
    """Give what a request hands on, by name."""
    parts = [part for message in request.messages for part in message.parts]
    return {part.name: part.text for part in parts if isinstance(part, Data) and part.of == of}


class Model(Function):
    """Answers by the first rule whose words are in the step's own prompt; `plan` answers planners."""

    def __init__(
        self, rules: Mapping[str, Said | list[Said] | Callable[[Request], Said]] | None = None, *, plan: Any = None
    ) -> None:
        super().__init__(self._answer)
        self.rules = dict(rules or {})
        self.plan = plan

    def _answer(self, request: Request) -> Said:
        prompt = own_prompt(request)
        for words, said in self.rules.items():
            if words in prompt:
                if isinstance(said, list):
                    said = said.pop(0) if len(said) > 1 else said[0]
                return said(request) if callable(said) else said
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
