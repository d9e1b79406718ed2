"""A page per finished step, for people: its answer and its prompt."""

import json
from collections.abc import Callable

from swarm.attempt.prompt import messages
from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.values import Json
from swarm.record.outcome import Outcome


class Pages:
    """Executor around another: writes `steps/<nnn>-<id>.md` for each outcome."""

    def __init__(self, inner: Executor, write: Callable[[str, str], object], order: Callable[[str], int]) -> None:
        self._inner = inner
        self._write = write
        self._order = order

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Run an attempt and write its page."""
        outcome = await self._inner.execute(attempt, note)
        name = f"steps/{self._order(attempt.step.id):03}-{attempt.step.id}.md"
        self._write(name, page(attempt, outcome))
        return outcome


def page(attempt: Attempt, outcome: Outcome) -> str:
    """Return the page of one step."""
    answer = outcome.output if isinstance(outcome.output, str) else _json(outcome.output)
    if attempt.step.merge is not None:
        read = ", ".join(each.step for each in attempt.given)
        return f"# {attempt.step.id}\n\nmerge: {attempt.step.merge}\n\n## Answer\n\n{answer}\n\n## Merged\n\n{read}\n"
    prompt = [f"### {message.role}\n\n{message.text}" for message in messages(attempt).messages]
    about = f"agent {attempt.agent.name}, model {attempt.model}, attempt {attempt.attempt}"
    asked = "\n\n".join(prompt)
    media = [f"\n\n[{m.mime}, {m.size:,} bytes](../artifacts/{m.sha256})" for m in outcome.media]
    files = "".join(media)
    return f"# {attempt.step.id}\n\n{about}\n\n## Answer\n\n{answer}{files}\n\n## Asked\n\n{asked}\n"


def _json(value: Json) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"
