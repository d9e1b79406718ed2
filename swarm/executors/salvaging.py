"""The last answer of the report, kept if a limit forbids a better one."""

from swarm.attempt.judge import Correction, judge
from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.errors import AnswerError, LimitError
from swarm.base.text import listing
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.spec.chat import Message, Text


class Salvaging:
    """Executor around another: a report that has an answer is not lost to a limit.

    It is outside of the cache, because what it keeps is good enough for this run only.
    """

    def __init__(self, inner: Executor, state: State) -> None:
        self._inner = inner
        self._state = state

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Run an attempt. If it makes the report and reaches a limit, return its last answer.

        Not of a section: what it would have read is in the report if it has no answer.
        """
        is_section = attempt.step.partial_of is not None and attempt.on_cut in ("split", "drop")
        if is_section or not self._state.is_report(attempt.step.id):
            return await self._inner.execute(attempt, note)
        messages: list[Message] = list(attempt.transcript)

        def noted(event: e.Stamped) -> None:
            note(event)
            if isinstance(event, e.TurnTaken):
                messages.extend(event.messages)

        # Only these two errors are caught: a cancelled attempt ends here, and resumes from its turns.
        try:
            return await self._inner.execute(attempt, noted)
        except LimitError as error:
            outcome = _last_answer(attempt, messages)
            if outcome is None:
                raise
            if error.limit not in self._state.limits_reached:
                note(e.LimitReached(limit=error.limit, value=error.value))
        except AnswerError as error:
            # A truncated answer is worth another try, unless a limit truncated it.
            if error.kind != "truncated" or not self._state.limits_reached:
                raise
            outcome = _last_answer(attempt, messages)
            if outcome is None:
                raise
        return self._with_note(outcome)

    def _with_note(self, outcome: Outcome) -> Outcome:
        limits = listing(f"limits.{limit}" for limit in self._state.limits_reached)
        words = f"the last answer was kept: {limits} left no budget for a better one"
        return outcome.model_copy(update={"notes": (*outcome.notes, words)})


def _last_answer(attempt: Attempt, messages: list[Message]) -> Outcome | None:
    """Return the last answer as an outcome, or None if its form is wrong.

    It may be truncated, and its citations may be missing.
    """
    for message in reversed(messages):
        text = "".join(part.text for part in message.parts if isinstance(part, Text))
        if message.role == "assistant" and text.strip():
            judged = judge(attempt, text)
            outcome = judged.accepted if isinstance(judged, Correction) else judged
            return None if outcome is None else outcome.model_copy(update={"media": message.made})
    return None
