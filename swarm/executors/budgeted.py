"""Attempts within a budget: what each call may cost is reserved, and the report is made with what is kept for it.

The report is the one step that must not end with nothing. So its prompt is cut to what is kept for it, in the open as
any prompt that does not fit; its output cap is lowered where that is what it takes; and once it has said something, a
better answer that cannot be paid for is done without.
"""

from dataclasses import dataclass

from swarm.attempt.judge import Correction, judge
from swarm.attempt.loop import carry_out
from swarm.attempt.prompt import ASSUMED_CONTEXT, messages, wanted
from swarm.attempt.types import Attempt, Executor, Note
from swarm.base.errors import AnswerError, LimitError
from swarm.base.text import listing
from swarm.budget.ledger import LimitName, worst_input
from swarm.budget.meter import Meters
from swarm.endpoints import Endpoint
from swarm.endpoints.account import Account
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.spec.chat import Message, Reply, Request, Text
from swarm.spec.tariff import usd_of
from swarm.tools import Toolbox

LEAST_ANSWER = 64
"""Tokens below which no answer is worth its call."""
LEAST_CONTEXT = 256


def is_report(state: State, step: str) -> bool:
    """Whether a step makes the report, or is a part of its making: what it spawned, what is merged in it."""
    while step in state.steps:
        if step == state.report_step:
            return True
        step = state.steps[step].by
    return False


class Local:
    """Carries attempts out here, against an endpoint, each call charged to the run's budget."""

    def __init__(self, endpoint: Endpoint, tools: Toolbox, meters: Meters, state: State) -> None:
        self._endpoint = endpoint
        self._tools = tools
        self._meters = meters
        self._state = state

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Carry an attempt out turn by turn. Raises `LimitError` where its next call cannot be reserved."""
        report = is_report(self._state, attempt.step.id)
        endpoint = ChargedCalls(self._endpoint, self._meters, self._state, attempt, note, report=report)
        return await carry_out(attempt, endpoint=endpoint, tools=self._tools, note=note)

    def fitted(self, attempt: Attempt) -> Attempt:
        """Cut what the report reads to what is left for it, by a smaller context; any other attempt stays as it is."""
        if not is_report(self._state, attempt.step.id):
            return attempt
        whole = self._first(attempt)
        cap = self._meters.cap(whole)
        if self._fits(whole, cap):
            return attempt
        while cap // 2 >= LEAST_ANSWER and self._meters.exceeded(attempt.model, 2 * cap, cap, report=True):
            cap //= 2
        low, high = LEAST_CONTEXT, attempt.context or ASSUMED_CONTEXT
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(self._first(attempt.model_copy(update={"context": middle})), cap):
                low = middle
            else:
                high = middle - 1
        return attempt.model_copy(update={"context": low})

    def _first(self, attempt: Attempt) -> Request:
        tools = self._tools.specs(attempt.tools)
        return Request(
            model=attempt.model,
            messages=(*messages(attempt).messages, *attempt.transcript),
            tools=tools,
            form=None if tools else wanted(attempt).form,
        )

    def _fits(self, request: Request, cap: int) -> bool:
        return self._meters.exceeded(request.model, worst_input(request), cap, report=True) is None


@dataclass(frozen=True)
class _Lowered:
    cap: int
    limit: LimitName
    """What it was lowered for."""


class ChargedCalls:
    """An endpoint, for one attempt: its calls are charged, and what was lost with a failed one is told."""

    def __init__(
        self, endpoint: Endpoint, meters: Meters, state: State, attempt: Attempt, note: Note, *, report: bool
    ) -> None:
        self._endpoint = endpoint
        self._meters = meters
        self._state = state
        self._attempt = attempt
        self._note = note
        self._report = report

    async def complete(self, request: Request) -> Reply:
        """Give the endpoint's answer. Raises what it raises, and `LimitError`."""
        account = Account(self._attempt.step.id, self._attempt.attempt, report=self._report)
        lowered = self._lowered(request) if self._report else None
        update = {"account": account, **({} if lowered is None else {"max_tokens": lowered.cap})}
        try:
            reply = await self._endpoint.complete(request.model_copy(update=update))
            account.tries = max(0, account.tries - reply.usage.calls)  # the reply tells of these
        finally:
            if account.lost.tokens:
                self._tell(account)
            self._see(self._meters.queue.ledger.overdrawn)
        if lowered is not None and reply.finish == "length":
            self._see(lowered.limit)
        return reply

    def _lowered(self, request: Request) -> "_Lowered | None":
        """Lower the output cap of the report to what is left for it, where that is enough for an answer."""
        taken, most = worst_input(request), self._meters.cap(request)
        limit = self._meters.exceeded(request.model, taken, most, report=True)
        if limit is None:
            return None
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if self._meters.exceeded(request.model, taken, middle, report=True):
                high = middle - 1
            else:
                low = middle
        return _Lowered(low, limit) if low >= LEAST_ANSWER else None

    def _tell(self, account: Account) -> None:
        """Note what calls may have cost that gave no answer: money is spent whether or not a turn came of it."""
        self._note(
            e.TurnTaken(
                step=self._attempt.step.id,
                attempt=self._attempt.attempt,
                messages=(),
                usage=account.lost.model_copy(update={"calls": account.tries}),
                seconds=0.0,
                model=str(self._attempt.settings.get("name") or self._attempt.model),
                endpoint=self._state.steps[self._attempt.step.id].endpoint,
                finish="lost",
            )
        )

    def _see(self, limit: LimitName | None) -> None:
        """Note a limit that cut an answer short, or that an endpoint has passed by using more than it was asked to."""
        if limit is not None and limit not in self._state.limits_reached:
            value = self._meters.queue.ledger.pots[limit].limit
            self._note(e.LimitReached(limit=limit, value=usd_of(value) if limit == "usd" else value))


class Salvaging:
    """Another executor, around one: a report that has said something is not lost to a limit.

    It is outside of every cache: what it saves is good for this run only.
    """

    def __init__(self, inner: Executor, state: State) -> None:
        self._inner = inner
        self._state = state

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Carry out an attempt; of a report that hits a limit, take the last answer, and note the limit."""
        if not is_report(self._state, attempt.step.id):
            return await self._inner.execute(attempt, note)
        said: list[Message] = list(attempt.transcript)

        def hear(event: e.Stamped) -> None:
            note(event)
            if isinstance(event, e.TurnTaken):
                said.extend(event.messages)

        try:
            return await self._inner.execute(attempt, hear)
        except LimitError as error:
            outcome = _last_words(attempt, said)
            if outcome is None:
                raise
            if error.limit not in self._state.limits_reached:
                note(e.LimitReached(limit=error.limit, value=error.value))
        except AnswerError as error:
            outcome = _last_words(attempt, said) if error.kind == "truncated" and self._state.limits_reached else None
            if outcome is None:
                raise
        limits = listing(f"limits.{limit}" for limit in self._state.limits_reached)
        words = f"taken as it was: {limits} left no room to ask for a better one"
        return outcome.model_copy(update={"notes": (*outcome.notes, words)})


def _last_words(attempt: Attempt, said: list[Message]) -> Outcome | None:
    """Make the last answer an outcome, if it can be one: cut off or without its citations, but of the right form."""
    for message in reversed(said):
        text = "".join(part.text for part in message.parts if isinstance(part, Text))
        if message.role == "assistant" and text.strip():
            verdict = judge(attempt, text)
            outcome = verdict.accepted if isinstance(verdict, Correction) else verdict
            return None if outcome is None else outcome.model_copy(update={"media": message.made})
    return None
