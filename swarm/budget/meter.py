"""The budget at the endpoints: what a try may cost is reserved before it is made, and settled after it.

Reservation goes around each *try*, not around a request: a try that failed may have been billed, and nobody says how
often a request will be tried. It is made outside of the try's slot and deadline, so that waiting for money is neither
waiting for a server nor held against it.

    reserve ──> slot, call ──> settled: what the endpoint says was used
       │             └───────> charged in full: it may have been billed, and nobody said how much
       └── waits while calls in flight hold what it needs; `LimitError` once it could not fit without them

Nobody waits for ever: those who hold a reservation are on the wire or in the queue for a slot, those who hold a slot
hold a reservation already, and a call ends by its deadline. Whoever waits is served in order, so that a large call is
not overtaken by small ones for ever.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from swarm.base.error_kinds import FAULTS
from swarm.base.errors import EndpointBusy, EndpointError, LimitError
from swarm.budget.ledger import (
    LONGEST_TOKEN,
    Amount,
    Ledger,
    LimitName,
    Reservation,
    Weight,
    output_cap,
    visible_output,
    weigh,
)
from swarm.endpoints import Endpoint
from swarm.endpoints.account import Account, ChargedEndpoint
from swarm.endpoints.route import Routes, single
from swarm.endpoints.traffic.retry import Around, Try
from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.labels import DEFAULT
from swarm.spec.tariff import Tariff, usd_of
from swarm.spec.task import Model

UNBILLED = frozenset(kind for kind, fault in FAULTS.items() if not fault.may_be_billed)
"""Kinds of fault by which an endpoint says that it did no work."""

KNOWN = 4_096
"""Beginnings of requests whose counts are kept: two a conversation, so those of all attempts in flight and more."""


@dataclass(eq=False)
class _Waiter:
    worst: Amount
    report: bool
    served: anyio.Event = field(default_factory=anyio.Event)
    reservation: Reservation | None = None


class BudgetQueue:
    """A ledger, and those who wait for room in it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._waiters: deque[_Waiter] = deque()

    async def reserve(self, worst: Amount, *, report: bool = False) -> Reservation:
        """Reserve, waiting for calls in flight to be settled where that may help. Raises `LimitError`."""
        if not self._waiters:
            reservation = self.ledger.reserve(worst, report=report)
            if reservation is not None:
                return reservation
        waiter = _Waiter(worst, report)
        self._waiters.append(waiter)
        self._serve()
        try:
            await waiter.served.wait()
        except BaseException:
            self._leave(waiter)
            raise
        if waiter.reservation is None:
            raise self._refusal(worst, report=report)
        return waiter.reservation

    def settle(self, reservation: Reservation, used: Amount) -> None:
        """Charge what a call used, and let in who waits for the rest."""
        reservation.settle(used)
        self._serve()

    def _serve(self) -> None:
        """Let in who waits, in order; turn away who could not fit even if nothing was in flight."""
        while self._waiters:
            first = self._waiters[0]
            if self.ledger.exceeded(first.worst, report=first.report) is None:
                first.reservation = self.ledger.reserve(first.worst, report=first.report)
                if first.reservation is None:
                    return
            self._waiters.popleft()
            first.served.set()

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.reservation is not None:
            self.settle(waiter.reservation, Amount())
        elif waiter in self._waiters:
            self._waiters.remove(waiter)
            self._serve()

    def _refusal(self, worst: Amount, *, report: bool) -> LimitError:
        limit = self.ledger.exceeded(worst, report=report) or next(iter(self.ledger.pots))
        pot = self.ledger.pots[limit]
        kept = "" if report or not pot.kept else f" and {_written(limit, pot.kept)} kept for the report"
        message = (
            f"limits.{limit}: of {_written(limit, pot.limit)}, {_written(limit, pot.spent)} are spent{kept}; the next "
            f"call may take up to {_written(limit, worst.of(limit))}. `swarm resume` goes on with a higher limit"
        )
        return LimitError(message, limit=limit, value=usd_of(pot.limit) if limit == "usd" else pot.limit)


def _written(limit: LimitName, count: int) -> str:
    return f"{usd_of(count):,.4f} USD" if limit == "usd" else f"{count:,}"


class Meter:
    """Reserves and settles the tries of one model."""

    def __init__(self, queue: BudgetQueue, model: Model, tariff: Tariff | None, *, exact: bool = False) -> None:
        """Meter a model. `tariff` is None where its price is not known. `exact`: its counts are beyond doubt."""
        self.model = model
        self._queue = queue
        self._tariff = tariff
        self._exact = exact
        self._overrun = 1.0
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._consistent = True

    def worst(self, request: Request, weight: Weight | None = None) -> Usage:
        """Say what one try may use at most.

        What the endpoint counted before bounds what begins alike: agents share their first message, turns all but the
        last. An endpoint that once went beyond its cap is taken at its word: its answers may be as long again.
        """
        taken = (weight or weigh(request)).bounded(self._known)
        return self._priced(self._grown(taken, output_cap(self.model, request.max_tokens)), worst=True)

    def most(self, taken: int, given: int) -> Amount:
        """Give the amount of a call that uses at most so many tokens of input and output."""
        return self.amount(self._grown(taken, given), worst=True)

    def _grown(self, taken: int, given: int) -> Usage:
        return Usage(calls=1, input_tokens=taken, output_tokens=round(given * self._overrun), estimated=True)

    def amount(self, usage: Usage, *, worst: bool = False) -> Amount:
        """Write a usage as an amount of the ledger."""
        if self._tariff is None:
            return Amount(usage.tokens)
        if worst:
            return Amount(usage.tokens, self._tariff.worst(usage.input_tokens, usage.output_tokens))
        return Amount(usage.tokens, self._tariff.picos(usage))

    async def around(self, request: Request, attempt: Try) -> Reply | EndpointBusy | None:
        """Make one try of a request within the budget: an `Around`. Raises `LimitError` before the call."""
        account = request.account if isinstance(request.account, Account) else Account()
        weight = weigh(request)
        worst = self.worst(request, weight)
        most = self.amount(worst, worst=True)
        reservation = await self._queue.reserve(most, report=account.report)
        sent: list[bool] = []
        used: Usage | None = None
        try:
            result = await attempt(lambda: sent.append(True))
            if isinstance(result, Reply):
                used = self._settled(result, weight, worst)
                result = result.model_copy(update={"usage": used + account.lost})
                account.lost = Usage()
            elif result is None or not _may_be_billed(result):
                used = Usage()
        except EndpointError as error:
            used = None if _may_be_billed(error) else Usage()
            raise
        finally:
            account.tries += bool(sent)
            if used is None and sent:  # nobody said what it used: cancelled, cut off, timed out
                account.lost += worst.model_copy(update={"calls": 0})
                self._queue.settle(reservation, most)
            else:
                self._queue.settle(reservation, self.amount(used or Usage()))
        return result

    def _settled(self, reply: Reply, weight: Weight, worst: Usage) -> Usage:
        """Read what a call used. Where a part of it is missing, or less than is possible, all of it is the worst case,
        and what can be seen of the answer where that is more; a part that is more than is possible is the worst case.
        """
        told = reply.usage
        taken, given = told.input_tokens, told.output_tokens
        if self._exact:
            return self._priced(told)
        if told.estimated or _too_little(told, reply, weight):
            seen = min(given, visible_output(reply.message))  # beyond its cap an answer is billed all the same
            given = max(worst.output_tokens, seen)
            self._overrun *= given / max(1, worst.output_tokens)
            update = {"calls": max(1, told.calls), "output_tokens": given}
            return self._priced(worst.model_copy(update=update), worst=True)
        if taken > worst.input_tokens:
            self._consistent = False  # it counts the same text now so and now otherwise
            self._known.clear()
        elif self._consistent:
            self._learn(weight, taken)
        taken = min(taken, worst.input_tokens)
        if given > worst.output_tokens:
            self._overrun *= given / max(1, worst.output_tokens)
            given = min(given, max(worst.output_tokens, visible_output(reply.message)))
        update = {"calls": max(1, told.calls), "cached_tokens": min(told.cached_tokens, taken)}
        sound = (taken, given) == (told.input_tokens, told.output_tokens)
        return self._priced(
            told.model_copy(update={**update, "input_tokens": taken, "output_tokens": given, "estimated": not sound})
        )

    def _learn(self, weight: Weight, taken: int) -> None:
        """Keep what was counted of a request, for those that begin with its first message, or with all of it."""
        for mark, _ in (*weight.marks[:1], *weight.marks[-1:]):
            self._known[mark] = min(taken, self._known.get(mark, taken))
            self._known.move_to_end(mark)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def _priced(self, usage: Usage, *, worst: bool = False) -> Usage:
        if self._tariff is None:
            return usage.model_copy(update={"usd": None})
        return usage.model_copy(update={"usd": usd_of(self.amount(usage, worst=worst).picos)})


def _too_little(told: Usage, reply: Reply, weight: Weight) -> bool:
    said = bool(reply.message.parts or reply.message.tool_calls)
    none = told.input_tokens <= 0 or told.output_tokens < 0 or (said and told.output_tokens == 0)
    words = reply.message.model_copy(update={"raw": None})  # signatures are long, and no tokens of the answer
    few = told.output_tokens * LONGEST_TOKEN < visible_output(words)
    return none or few or told.input_tokens * LONGEST_TOKEN < weight.visible


def _may_be_billed(error: EndpointError) -> bool:
    """Whether a try that failed may have been billed all the same: all but what was refused before any work."""
    if error.kind in UNBILLED:
        return False
    if error.status is None:
        return isinstance(error, EndpointBusy)
    return error.status in {200, 408} or error.status >= 500


class Meters:
    """The meters of all models of a run, over one budget queue."""

    def __init__(self, queue: BudgetQueue, routes: Routes, *, custom_endpoint: bool) -> None:
        """Take the routes, with their prices. With `custom_endpoint`, the caller's own object serves all of them."""
        self.queue = queue
        self._routes = routes
        self._meters = {
            alias: Meter(queue, route.settings, route.tariff, exact=route.is_offline and not custom_endpoint)
            for alias, route in single(routes).items()
        }

    def around(self, alias: str) -> Around:
        """Return what goes around each try of a model."""
        return self._meters[alias].around

    def alone(self, endpoint: Endpoint) -> Endpoint:
        """Wrap an endpoint that serves every model: each request is charged to the first model of its alias."""
        return ChargedByAlias(endpoint, lambda alias: self._of(alias)[0])

    def cap(self, request: Request) -> int:
        """Return the maximum number of output tokens of an answer, whichever model behind the alias writes it."""
        return max(output_cap(meter.model, request.max_tokens) for meter in self._of(request.model))

    def exceeded(self, alias: str, taken: int, given: int, *, report: bool) -> LimitName | None:
        """Return a limit that a call with so much input and output exceeds even with no call in flight, or None."""
        ledger = self.queue.ledger
        for meter in self._of(alias):
            limit = ledger.exceeded(meter.most(taken, given), report=report)
            if limit is not None:
                return limit
        return None

    def _of(self, alias: str) -> list[Meter]:
        """Return the meters of the models behind an alias; those of `default` if no model has the alias."""
        route = self._routes.get(alias) or self._routes.get(DEFAULT)
        found = [] if route is None else [self._meters[name] for name in route.members if name in self._meters]
        return found or list(self._meters.values())


class ChargedByAlias:
    """Another endpoint, around one that serves every model: each request is charged by the alias that it names."""

    def __init__(self, endpoint: Endpoint, meter: Callable[[str], Meter]) -> None:
        self._endpoint = endpoint
        self._meter = meter

    async def complete(self, request: Request) -> Reply:
        """Return the answer, charged to the model of the request's alias. Raise `LimitError` if it does not fit."""
        return await ChargedEndpoint(self._endpoint, self._meter(request.model).around).complete(request)
