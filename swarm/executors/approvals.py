"""Decisions of a person on calls of tools: asked one at a time, recorded, and never asked twice.

A decision is a fact of the run. A resumed run takes it from the journal; it asks again only about a
call that may have taken place already and may not be repeated. A step that waits for an answer
holds up no other step. If nobody can answer, the run ends when nothing else is left to do, and can
be resumed.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

import anyio

from swarm.attempt.types import Attempt, Note
from swarm.base.text import clip
from swarm.base.values import text_digest
from swarm.record.events import CallDecided
from swarm.record.signals import ApprovalAwaited, Signals
from swarm.record.state import State
from swarm.spec.chat import ToolCall
from swarm.tools import Tool
from swarm.tools.approval import Approver, CallDecision, Question

REASON_CHARACTERS = 2000
"""Maximum characters of a reason that a model is told."""
_YES = CallDecision("yes")


class Approvals:
    """The open questions of a run, and the decisions that it has already."""

    def __init__(
        self,
        state: State,
        approver: Approver | bool | None = None,
        *,
        by_default: bool = False,
        clean: Callable[[str], str] = str,
        signals: Signals | None = None,
    ) -> None:
        """`approver` asks a person; True allows everything, with None nobody can answer. `by_default` says whether the
        task asks about calls that do more than read. `clean` removes secrets from a text. `signals` tell who waits.
        """
        self._state = state
        self._allows_all = approver is True
        self._approver = None if isinstance(approver, bool) else approver
        self._by_default = by_default
        self._clean = clean
        self._signals = Signals() if signals is None else signals
        self._turn = anyio.Lock()
        self._waiting: list[str] = []
        self.unanswered: Question | None = None
        """The first question that nobody could answer."""
        self.changed: Callable[[], None] = _nothing
        """Called when a step begins to wait for an answer, and when nobody can answer."""

    @property
    def waiting(self) -> Collection[str]:
        """Steps that wait for an answer."""
        return self._waiting

    @property
    def because(self) -> str:
        """Why the run ends, if nobody can answer; empty if somebody can."""
        asked = self.unanswered
        return "" if asked is None else f"step {asked.step} needs approval to call {asked.tool}"

    def asks(self, tool: Tool) -> bool:
        """Return whether a person must allow each call of a tool."""
        return not self._allows_all and tool.asks(by_default=self._by_default)

    def refused(self, step: str, call: ToolCall) -> bool:
        """Return whether a call of the present conversation of a step was not allowed."""
        found = self._state.steps[step].decided.get(call.id)
        return found is not None and found.answer == "no"

    async def decide(
        self, attempt: Attempt, call: ToolCall, tool: Tool, note: Note, *, may_have_run: bool
    ) -> CallDecision:
        """Return the decision on a call. Ask for it if it is not known, and note it before it is returned."""
        question = self._question(attempt, call, tool)
        may_repeat = not may_have_run or tool.is_repeatable
        known = self._known(call, tool, question)
        if known is not None and (may_repeat or not known.allows):
            return known
        again = known is not None  # without a decision the call did not begin

        def covered() -> CallDecision | None:
            return None if again else self._covers(tool, question)

        self._signals.send(ApprovalAwaited(attempt.step.id, attempt.attempt, waits=True))
        try:
            found = await self._asked(replace(question, again=again), covered)
        finally:
            self._signals.send(ApprovalAwaited(attempt.step.id, attempt.attempt, waits=False))
        if found is None:
            return _YES
        decision = replace(found, reason=clip(self._clean(found.reason), REASON_CHARACTERS))
        note(
            CallDecided(
                step=attempt.step.id,
                attempt=attempt.attempt,
                call=call.id,
                tool=tool.name,
                key=tool.key,
                arguments=text_digest(call.arguments),
                answer=decision.answer,
                reason=decision.reason,
                labels=attempt.labels,
            )
        )
        return decision

    def _question(self, attempt: Attempt, call: ToolCall, tool: Tool) -> Question:
        return Question(
            step=attempt.step.id,
            agent=attempt.agent.name,
            tool=tool.name,
            arguments=self._clean(call.arguments),
            effect=tool.effect,
            goes_to=tool.destination,
            labels=attempt.labels,
        )

    def _known(self, call: ToolCall, tool: Tool, question: Question) -> CallDecision | None:
        """Return a decision on this call, a `no` on an equal one of the same conversation, or one that covers it."""
        decided = self._state.steps[question.step].decided
        asked = tool.name, tool.key, text_digest(call.arguments)
        for event in decided.values():
            is_equal = (event.tool, event.key, event.arguments) == asked
            if is_equal and (event.call == call.id or event.answer == "no"):
                return CallDecision(event.answer, event.reason)
        return self._covers(tool, question)

    def _covers(self, tool: Tool, question: Question) -> CallDecision | None:
        """Return yes if an earlier `always` covers calls of this tool by a step with these labels."""
        labels = set(question.labels)
        for event in self._state.allowed:
            if (event.tool, event.key) == (tool.name, tool.key) and labels <= set(event.labels):
                return _YES
        return None

    async def _asked(self, question: Question, covered: Callable[[], CallDecision | None]) -> CallDecision | None:
        """Ask when all earlier questions are answered. None: one of those answers covers the call."""
        self._waiting.append(question.step)
        try:
            self.changed()
            async with self._turn:
                if covered() is not None:
                    return None
                # Cancellation point: a question that is withdrawn has no answer, and the call did not begin.
                found = await self._answer(replace(question, waiting=len(self._waiting) - 1))
                if found is not None:
                    return found
                self.unanswered = self.unanswered or question
            self.changed()
            await anyio.sleep_forever()
            raise AssertionError
        finally:
            self._waiting.remove(question.step)

    async def _answer(self, question: Question) -> CallDecision | None:
        if self._approver is None or self.unanswered is not None:
            return None
        return await self._approver(question)


def _nothing() -> None:
    pass
