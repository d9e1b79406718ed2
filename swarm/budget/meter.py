"""The budget at the endpoints: the cost of a try is reserved before the try and settled after it.

A reservation is for one *try*, not for one request: a try that failed may have been billed, and the
number of tries is not known in advance. It is made outside of the try's slot and deadline, so that
a call that waits for the budget blocks no slot and loses no time of its deadline.

    reserve ──> slot, call ──> settled: the usage that the endpoint reports
       │             └───────> charged in full: it may have been billed, and its usage is unknown
       └── waits while calls in flight hold what it needs; `LimitError` if it never fits
"""

from collections import OrderedDict
from collections.abc import Callable

from swarm.base.error_kinds import FAULTS
from swarm.base.errors import EndpointBusy, EndpointError
from swarm.budget.ledger import (
    LONGEST_TOKEN,
    Amount,
    LimitName,
    Weight,
    output_cap,
    visible_output,
    weigh,
)
from swarm.budget.queue import BudgetQueue
from swarm.endpoints import Endpoint
from swarm.endpoints.account import Account, ChargedEndpoint
from swarm.endpoints.route import Routes, single
from swarm.endpoints.traffic.tries import Around, Try
from swarm.endpoints.wire.connecting import Leaving, leaving
from swarm.spec.chat import BYTES_PER_TOKEN, Reply, Request, Usage, request_tokens
from swarm.spec.labels import DEFAULT
from swarm.spec.tariff import Tariff, usd_of
from swarm.spec.task import Model

UNBILLED = frozenset(kind for kind, fault in FAULTS.items() if not fault.may_be_billed)
"""Kinds of fault with which an endpoint reports that it did no work."""

KNOWN = 4_096
"""Maximum number of prefixes whose input tokens are remembered. A conversation has two, so this
covers all attempts in flight."""


class Meter:
    """Reserves and settles the tries of one model."""

    def __init__(
        self,
        queue: BudgetQueue,
        model: Model,
        tariff: Tariff | None,
        *,
        exact: bool = False,
    ) -> None:
        """Take a model and its tariff, None if it is unknown. With `exact`, trust its reports."""
        self.model = model
        self._queue = queue
        self._tariff = tariff
        self._exact = exact
        self._overrun = 1.0
        """Factor by which the endpoint has exceeded its output caps; future worst cases grow by
        it."""
        self._known: OrderedDict[bytes, int] = OrderedDict()
        """Input tokens that the endpoint reported, by prefix of the request."""
        self._consistent = True
        """Whether its reports agree with each other, so that they bound other requests."""

    def worst(self, request: Request, weight: Weight | None = None) -> Usage:
        """Return the most that one try of a request may use.

        What the endpoint reported before bounds the input of requests with the same prefix: agents
        share their first message, and a turn has all messages of the turn before it. If the
        endpoint has exceeded its output cap, its next answers may do so again.
        """
        taken = (weight or weigh(request)).bounded(self._known)
        grown = self._grown(taken, output_cap(self.model, request.max_tokens))
        return self._priced(grown, worst=True)

    def most(self, taken: int, given: int) -> Amount:
        """Return the amount of a call with at most so many input and output tokens."""
        return self.amount(self._grown(taken, given), worst=True)

    def _grown(self, taken: int, given: int) -> Usage:
        output_tokens = round(given * self._overrun)
        return Usage(calls=1, input_tokens=taken, output_tokens=output_tokens, estimated=True)

    def amount(self, usage: Usage, *, worst: bool = False) -> Amount:
        """Return a usage as an amount of the ledger; with `worst`, at its highest possible price."""
        if self._tariff is None:
            return Amount(usage.tokens)
        if worst:
            return Amount(usage.tokens, self._tariff.worst(usage.input_tokens, usage.output_tokens))
        return Amount(usage.tokens, self._tariff.picos(usage))

    async def around(self, request: Request, attempt: Try) -> Reply | EndpointBusy | None:
        """Make one try of a request within the budget. Raise `LimitError` before the call."""
        account = request.account if isinstance(request.account, Account) else Account()
        weight = weigh(request)
        worst = self.worst(request, weight)
        most = self.amount(worst, worst=True)
        with account.clock.spent("budget"):
            reservation = self._queue.take_over(account, most)
            reservation = reservation or await self._queue.reserve(most, report=account.report)
        sent: list[bool] = []
        used: Usage | None = None
        call = Leaving()
        token = leaving.set(call)
        try:
            result = await attempt(lambda: sent.append(True))
            if isinstance(result, Reply):
                used = self._settled(result, request, weight, worst)
                result = result.model_copy(update={"usage": used + account.lost})
                account.lost = Usage()
            elif result is None or not _may_be_billed(result):
                used = Usage()
        except EndpointError as error:
            used = None if _may_be_billed(error) else Usage()
            raise
        finally:
            # Reached by a cancelled try, too. A try that was sent and whose usage is unknown (cancelled,
            # interrupted, timed out) may have been billed: it is charged in full, unless it never had a connection.
            leaving.reset(token)
            account.tries += bool(sent)
            if used is None and sent and not call.connects:
                account.lost += worst.unanswered()
                self._queue.settle(reservation, most)
            else:
                self._queue.settle(reservation, self.amount(used or Usage()))
        return result

    def _settled(self, reply: Reply, request: Request, weight: Weight, worst: Usage) -> Usage:
        """Return the usage to charge for an answer.

        | | the report of the endpoint | charged |
        | --- | --- | --- |
        | 1 | is exact: the built-in endpoint | the report |
        | 2 | is missing, the answer is whole and has no reasoning | an upper estimate of the words, see `_of_words` |
        | 3 | is missing otherwise, or less than is possible | the worst case, or more output if visible |
        | 4 | has more input than the worst case | the input of the worst case |
        | 5 | has more output than the worst case | its output, but not more than is visible |
        | 6 | is plausible | the report |

        Cases 4 and 5 can come together, also with 2. In cases 3 and 5 later worst cases grow by the
        excess; in case 4 the reports of this endpoint bound no other request any more.
        """
        reported = reply.usage
        if self._exact:  # 1
            return self._priced(reported)
        if _is_missing(reported) and _is_all_seen(reply):  # 2
            reported = _of_words(reply, request)
        if _too_little(reported, reply, weight) or (reported.estimated and not _is_all_seen(reply)):  # 3
            return self._without_report(reply, worst)
        if not reported.estimated:
            self._compare_input(reported.input_tokens, weight, worst)
        taken = min(reported.input_tokens, worst.input_tokens)  # 4
        given = self._plausible_output(reported.output_tokens, reply, worst)  # 5
        update = {
            "calls": max(1, reported.calls),
            "input_tokens": taken,
            "output_tokens": given,
            "cached_tokens": min(reported.cached_tokens, taken),
            "estimated": reported.estimated or (taken, given) != (reported.input_tokens, reported.output_tokens),
        }
        return self._priced(reported.model_copy(update=update))

    def _without_report(self, reply: Reply, worst: Usage) -> Usage:
        """Return the worst case, or more output if more is visible: it is billed beyond the cap."""
        visible = min(reply.usage.output_tokens, visible_output(reply.message))
        given = max(worst.output_tokens, visible)
        self._overrun *= given / max(1, worst.output_tokens)
        update = {"calls": max(1, reply.usage.calls), "output_tokens": given}
        return self._priced(worst.model_copy(update=update), worst=True)

    def _plausible_output(self, given: int, reply: Reply, worst: Usage) -> int:
        if given <= worst.output_tokens:
            return given
        self._overrun *= given / max(1, worst.output_tokens)
        return min(given, max(worst.output_tokens, visible_output(reply.message)))

    def _compare_input(self, taken: int, weight: Weight, worst: Usage) -> None:
        """Remember reported input, unless reports contradict each other: then forget all of it."""
        if taken > worst.input_tokens:
            self._consistent = False
            self._known.clear()
        elif self._consistent:
            self._learn(weight, taken)

    def _learn(self, weight: Weight, taken: int) -> None:
        """Remember the input of a request by two prefixes: its first message, and all of it."""
        for mark, _ in (*weight.marks[:1], *weight.marks[-1:]):
            self._known[mark] = min(taken, self._known.get(mark, taken))
            self._known.move_to_end(mark)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def _priced(self, usage: Usage, *, worst: bool = False) -> Usage:
        if self._tariff is None:
            return usage.model_copy(update={"usd": None})
        return usage.model_copy(update={"usd": usd_of(self.amount(usage, worst=worst).picos)})


def _is_missing(reported: Usage) -> bool:
    """Return whether an endpoint reported no usage, or only a part of it."""
    return reported.estimated or (reported.input_tokens, reported.output_tokens) == (0, 0)


def _is_all_seen(reply: Reply) -> bool:
    """Whether an answer is whole and without reasoning: then its words are all that was written."""
    return reply.finish == "stop" and not reply.message.raw


def _of_words(reply: Reply, request: Request) -> Usage:
    """Return a usage in which upper estimates of what was sent and received replace what is missing."""
    reported, seen = reply.usage, visible_output(reply.message)
    update = {
        "input_tokens": reported.input_tokens or request_tokens(request),
        "output_tokens": min(reported.output_tokens, seen) or -(-seen // BYTES_PER_TOKEN),
        "estimated": True,
    }
    return reported.model_copy(update=update)


def _too_little(reported: Usage, reply: Reply, weight: Weight) -> bool:
    """Whether a report has fewer tokens than any tokenizer makes of the text."""
    answered = bool(reply.message.parts or reply.message.tool_calls)
    if reported.input_tokens <= 0 or reported.output_tokens < 0:
        return True
    if answered and reported.output_tokens == 0:
        return True
    # Signatures in `raw` are long, and not tokens of the answer.
    visible = visible_output(reply.message.model_copy(update={"raw": None}))
    too_few_output = reported.output_tokens * LONGEST_TOKEN < visible
    too_few_input = reported.input_tokens * LONGEST_TOKEN < weight.visible
    return too_few_output or too_few_input


def _may_be_billed(error: EndpointError) -> bool:
    """Whether a failed try may have been billed: every fault except a refusal before any work."""
    if error.kind in UNBILLED:
        return False
    if error.status is None:
        return isinstance(error, EndpointBusy)
    return error.status in {200, 408} or error.status >= 500


class Meters:
    """The meters of all models of a run, over one budget queue."""

    def __init__(self, queue: BudgetQueue, routes: Routes, *, custom_endpoint: bool) -> None:
        """Take the routes with their prices. A custom endpoint serves all of them by itself."""
        self.queue = queue
        self._routes = routes
        self._meters = {
            alias: Meter(
                queue,
                route.settings,
                route.tariff,
                exact=route.is_offline and not custom_endpoint,
            )
            for alias, route in single(routes).items()
        }

    def around(self, alias: str) -> Around:
        """Return what goes around each try of a model."""
        return self._meters[alias].around

    def alone(self, endpoint: Endpoint) -> Endpoint:
        """Wrap an endpoint that serves every model; charge the first model of each request's alias."""
        return ChargedByAlias(endpoint, lambda alias: self._of(alias)[0])

    def cap(self, request: Request) -> int:
        """Return the maximum output tokens of an answer, from any model behind the alias."""
        return max(output_cap(meter.model, request.max_tokens) for meter in self._of(request.model))

    def exceeded(self, alias: str, taken: int, given: int, *, report: bool) -> LimitName | None:
        """Return a limit that such a call exceeds even with no call in flight, or None."""
        ledger = self.queue.ledger
        for meter in self._of(alias):
            limit = ledger.exceeded(meter.most(taken, given), report=report)
            if limit is not None:
                return limit
        return None

    def most(self, request: Request, weight: Weight) -> Amount:
        """Return the most that one try of a request may use, whichever model behind its alias serves it."""
        worst = [meter.amount(meter.worst(request, weight), worst=True) for meter in self._of(request.model)]
        return Amount(max(each.tokens for each in worst), max(each.picos for each in worst))

    def _of(self, alias: str) -> list[Meter]:
        """Return the meters of the models behind an alias, or behind `default` if it is unknown."""
        route = self._routes.get(alias) or self._routes.get(DEFAULT)
        members = () if route is None else route.members
        found = [self._meters[name] for name in members if name in self._meters]
        return found or list(self._meters.values())


class ChargedByAlias:
    """A wrapper around an endpoint that serves every model: charges each request by its alias."""

    def __init__(self, endpoint: Endpoint, meter: Callable[[str], Meter]) -> None:
        self._endpoint = endpoint
        self._meter = meter

    async def complete(self, request: Request) -> Reply:
        """Return the answer. Raise `LimitError` if its worst case cannot be reserved."""
        around = self._meter(request.model).around
        return await ChargedEndpoint(self._endpoint, around).complete(request)
