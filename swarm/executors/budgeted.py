"""Attempts within a budget: every call is charged, and the report is made within what is reserved for it.

The report is the one step that must not end with nothing. If its share is too small, its prompt is
cut, with a note as for any prompt that does not fit, and its output cap is lowered.
"""

from dataclasses import dataclass

from swarm.attempt.permits import Permits
from swarm.attempt.prompt import ASSUMED_CONTEXT, messages, wanted
from swarm.attempt.types import Attempt, Note
from swarm.base.errors import LimitError
from swarm.budget.caps import Caps, largest
from swarm.budget.ledger import LimitName, worst_input
from swarm.budget.meter import Meters
from swarm.endpoints import Endpoint
from swarm.endpoints.account import Account
from swarm.executors.approvals import Approvals
from swarm.executors.permits import CallPermits
from swarm.record import events as e
from swarm.record.signals import Signals, Teller
from swarm.record.state import State
from swarm.spec.chat import Reply, Request
from swarm.spec.tariff import usd_of
from swarm.tools import Toolbox

LEAST_ANSWER = 64
"""Minimum output cap of the report in tokens: a shorter answer is not worth its call."""
LEAST_WAITED = 0.001
"""Minimum seconds of waiting that are noted for a request without an answer."""
LEAST_CONTEXT = 256
"""Minimum context in tokens to which the report's prompt is cut: a smaller one holds no input."""


class Budgeted:
    """The budget of a run as its attempts see it: charged calls, and a report that fits its share."""

    def __init__(
        self, endpoint: Endpoint, tools: Toolbox, meters: Meters, state: State, signals: Signals | None = None
    ) -> None:
        self._endpoint = endpoint
        self._tools = tools
        self._meters = meters
        self._state = state
        self._caps = Caps(meters)
        self._signals = signals

    def endpoint_for(self, attempt: Attempt, note: Note) -> Endpoint:
        """Return the endpoint of one attempt, which charges its calls."""
        report = self._state.is_report(attempt.step.id)
        teller = Teller(self._signals, attempt.step.id, attempt.attempt)
        return ChargedCalls(self._endpoint, self._caps, self._state, attempt, note, report=report, teller=teller)

    def permits_for(self, attempt: Attempt, note: Note, approvals: Approvals) -> Permits:
        """Return the permits of the tool calls of one attempt."""
        report = self._state.is_report(attempt.step.id)
        return CallPermits(attempt, note, approvals, self._meters.queue, report)

    def fitted(self, attempt: Attempt) -> Attempt:
        """Return an attempt at the report with a context that fits its share; others unchanged.

        A step that does a share of the report is never cut: without it, its reader has what it would have read.
        """
        if not self._state.is_report(attempt.step.id) or attempt.step.length is not None:
            return attempt
        request = self._first_request(attempt)
        cap = self._meters.cap(request)
        if self._fits(request, cap):
            return attempt
        # First shorten the answer, until a prompt of its length fits; then the prompt.
        while cap // 2 >= LEAST_ANSWER and self._meters.exceeded(attempt.model, 2 * cap, cap, report=True):
            cap //= 2

        def fits(context: int) -> bool:
            return self._fits(self._first_request(attempt.model_copy(update={"context": context})), cap)

        context = largest(LEAST_CONTEXT, attempt.context or ASSUMED_CONTEXT, fits)
        return attempt.model_copy(update={"context": context})

    def _first_request(self, attempt: Attempt) -> Request:
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
    """A lower output cap."""

    cap: int
    limit: LimitName
    """The limit for which it was lowered."""


class ChargedCalls:
    """Endpoint of one attempt: its calls are charged, and the cost of its failed calls is noted."""

    def __init__(
        self,
        endpoint: Endpoint,
        caps: Caps,
        state: State,
        attempt: Attempt,
        note: Note,
        *,
        report: bool,
        teller: Teller | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._caps = caps
        self._meters = caps.meters
        self._state = state
        self._attempt = attempt
        self._note = note
        self._report = report
        self._teller = Teller() if teller is None else teller

    async def complete(self, request: Request) -> Reply:
        """Return the endpoint's answer. Raise what it raises, and `LimitError` if it does not fit."""
        is_report = self._report and not request.optional
        account = self._account(report=is_report)
        if is_report:
            return await self._report_part(request, account)
        if not self._meters.queue.ledger.pots:
            return await self._charged(request, account)
        shrunk = await self._shrunk(request, account)
        reply = await self._charged(shrunk, account)
        self._caps.learn(self._like, reply, self._meters.cap(shrunk))
        is_lowered = shrunk.max_tokens != request.max_tokens
        return await self._again(request, reply) if is_lowered and reply.finish == "length" else reply

    def _account(self, *, report: bool = False) -> Account:
        return Account(self._attempt.step.id, self._attempt.attempt, report=report, teller=self._teller)

    async def _again(self, request: Request, short: Reply) -> Reply:
        """Make a call again with its whole output cap; return the truncated answer if that does not fit."""
        try:
            reply = await self._charged(request, self._account())
        except LimitError:
            return short
        self._caps.learn(self._like, reply, self._meters.cap(request))
        return reply.model_copy(update={"usage": short.usage + reply.usage, "seconds": short.seconds + reply.seconds})

    async def _report_part(self, request: Request, account: Account) -> Reply:
        """Make a call of the report, with a lower output cap if what is left requires it."""
        lowered = self._lowered(request)
        if lowered is not None:
            request = request.model_copy(update={"max_tokens": lowered.cap})
        reply = await self._charged(request, account)
        if lowered is not None and reply.finish == "length":
            self._note_limit(lowered.limit)
        return reply

    async def _charged(self, request: Request, account: Account) -> Reply:
        answered = False
        try:
            reply = await self._endpoint.complete(request.model_copy(update={"account": account}))
            answered = True
            # The usage of the reply contains its own tries; the rest were lost.
            account.tries = max(0, account.tries - reply.usage.calls)
            return reply
        finally:
            # Also after a cancelled call: what it may have cost is noted, without another await.
            self._meters.queue.give_back(account)
            waited = {} if answered else account.clock.waited
            if account.lost.unanswered_tokens or sum(waited.values()) >= LEAST_WAITED:
                self._note_lost(account, waited)
            self._note_limit(self._meters.queue.ledger.overdrawn)

    async def _shrunk(self, request: Request, account: Account) -> Request:
        """Return a request with a smaller output cap if a limit leaves little space; wait while that is unknown."""
        with account.clock.spent("budget"):
            while (chosen := self._caps.choose(self._like, request)).waits:
                await self._meters.queue.settled()
        account.held = chosen.held
        return request if chosen.cap is None else request.model_copy(update={"max_tokens": chosen.cap})

    @property
    def _like(self) -> tuple[str, ...]:
        """What similar calls have in common: the step that they are instances of, else the agent; and the model."""
        step = self._attempt.step
        return (step.instance_of or f"agent {step.agent}", self._attempt.model)

    def _lowered(self, request: Request) -> _Lowered | None:
        """Return the output cap of the report that fits what is left.

        Return None if the cap fits as it is, or if what is left is not enough for an answer.
        """
        most_input, most_output = worst_input(request), self._meters.cap(request)
        limit = self._meters.exceeded(request.model, most_input, most_output, report=True)
        if limit is None:
            return None

        def fits(cap: int) -> bool:
            return self._meters.exceeded(request.model, most_input, cap, report=True) is None

        cap = largest(0, most_output, fits)
        return _Lowered(cap, limit) if cap >= LEAST_ANSWER else None

    def _note_lost(self, account: Account, waited: dict[str, float]) -> None:
        """Note what failed calls may have cost, and how long they waited, although there is no turn."""
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
                waited=waited,
            )
        )

    def _note_limit(self, limit: LimitName | None) -> None:
        """Note a limit that truncated an answer, or that an endpoint exceeded."""
        if limit is None or limit in self._state.limits_reached:
            return
        value = self._meters.queue.ledger.pots[limit].limit
        self._note(e.LimitReached(limit=limit, value=usd_of(value) if limit == "usd" else value))
