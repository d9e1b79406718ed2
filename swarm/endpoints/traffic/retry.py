"""Retries: the one place where a call is repeated, and where it waits for its turn.

A try goes through these steps, in this order:

1. stop if the endpoint was refused for good, or is cooling down for longer than the deadline allows
2. wait while it cools down, and while its server is gone (`gate.py`)
3. take a part of the quota, of the pace, and a slot
4. send the call, unless one of these has changed while it waited
5. return all of them

| # | result of a try | effect |
| --- | --- | --- |
| 1 | a reply, or for the second time one that may be incomplete | returned |
| 2 | `None`: it was not sent | the next try, without backoff |
| 3 | `EndpointBusy` | backoff, then the next try; raised after the last one or at the deadline |
| 4 | `EndpointRefused` | raised; if it stops the endpoint, later requests raise it, too |

After a rate limit or an overload, backoff holds for the whole endpoint (`cooldown.py`). A slot is
held while a call is on the wire, and never while a caller waits.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from random import Random

import anyio

from swarm.base.error_kinds import WAITS
from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused
from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.backoff import BACKOFFS, USUAL, Backoff, doubled
from swarm.endpoints.traffic.bucket import Permit, Quota
from swarm.endpoints.traffic.clock import WIRE, clock_of
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.flights import Flight, Flights
from swarm.endpoints.traffic.gate import NO_SERVER, Gate
from swarm.endpoints.traffic.hedge import Hedge
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.tries import Around, Begin, Fault, Result, SentCall, Tally, Try, again, both, counted
from swarm.spec.chat import Reply, Request

FORGIVEN = 4
"""How often a request may time out because too much was in flight, before that is a failed try."""
LONE_WAIT = (0.5, 2.0)
"""Seconds, at random, that a call waits which was refused although as many others are not."""
ANSWERED = 200
"""Status of an answer: the endpoint did the work, even if the answer cannot be used."""


async def _free(request: Request, attempt: Try) -> Result:
    """Make a try that costs nothing."""
    del request
    return await attempt(lambda: None)


class Retrying:
    """Another endpoint, with retries."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        rng: Random,
        deadline: float = 300.0,
        slots: anyio.CapacityLimiter | None = None,
        cooldown: Cooldown | None = None,
        limit: Limit | None = None,
        gate: Gate | None = None,
        quota: Quota | None = None,
        hedge: Hedge | None = None,
        backoffs: Mapping[str, Backoff] = BACKOFFS,
        usual: Backoff = USUAL,
        around: Around = _free,
    ) -> None:
        """Wrap an endpoint.

        `rng` draws the jitter. `deadline` is the maximum seconds of one request, with its retries
        and waits, but without the queues for slots and quotas. `slots` limits the parallel calls of
        a model. `cooldown` and `limit` are shared by all callers of one endpoint with one key,
        `gate` by all of its keys; `quota` and `hedge` belong to a model. `around` belongs to the budget.
        """
        self._endpoint = endpoint
        self._rng = rng
        self._deadline = deadline
        self._slots = slots
        self._cooldown = cooldown or Cooldown()
        self._limit = limit
        self._gate = gate or Gate()
        self._gate.add(self._cooldown)
        self._quota = quota
        self._hedge = hedge
        self._backoffs = backoffs
        self._usual = usual
        self._around = around
        self._flights = Flights()
        """Calls on the wire, if there is no limit that counts them."""
        self._stopped: EndpointRefused | None = None
        """The error that every later request raises."""

    @property
    def cooling(self) -> float:
        """Seconds for which callers wait until the endpoint has cooled down."""
        return self._cooldown.seconds

    # One request

    async def complete(self, request: Request) -> Reply:
        """Return the reply of the first try that succeeds, or raise the error of the last one.

        An endpoint that refused for good (a bad key, an exhausted quota) is not called again. An
        endpoint that is unreachable, and never answered, is refused for good, too.
        """
        began = anyio.current_time()
        tally = Tally(left=self._deadline, clock=clock_of(request))
        while True:  # ends: each failure uses up tries and seconds, and what is not sent waits
            self._check(tally)
            await self._cool_down(tally)
            result = await self._at_the_gate(request, tally)
            if isinstance(result, Reply):  # 1
                return counted(result, tally, seconds=anyio.current_time() - began)
            if isinstance(result, EndpointBusy):  # 3
                await self._back_off(result, tally)
            # 2: nothing was sent. The endpoint started to cool down, or was stopped: check again.

    def _check(self, tally: Tally) -> None:
        """Raise if another call cannot help."""
        if self._stopped is not None:
            raise again(self._stopped)
        wait = self._cooldown.seconds
        if wait > tally.left:
            raise EndpointBusy(
                f"the endpoint asks to wait {wait:.0f} s, longer than the deadline of the call; "
                "run `swarm resume` later",
                kind="rate_limited",
                retry_after=wait,
            )

    async def _cool_down(self, tally: Tally) -> None:
        """Wait while the endpoint cools down. That time counts against the deadline."""
        waited = anyio.current_time()
        with tally.clock.spent("rate_limit"):
            await self._cooldown.passed()
        tally.left -= anyio.current_time() - waited

    async def _at_the_gate(self, request: Request, tally: Tally) -> Result:
        """Make one try once the server is there, or as a probe. What is waited here counts for nothing."""
        gate = self._gate
        if not gate.closed:
            return await self._try(request, tally)
        if gate.waits and not request.waits:
            raise gate.busy()
        with tally.clock.spent("retry"):
            tally.probes = await gate.passed()
        if not tally.probes:
            return None
        try:
            return await self._try(request, tally)
        finally:
            tally.probes = False
            gate.probed()

    async def _back_off(self, error: EndpointBusy, tally: Tally) -> None:
        """Wait before the next try, or raise the error if there is none."""
        if tally.pardoned:
            tally.pardoned = False
            return
        kind = error.kind
        failed = tally.failed[kind] = tally.failed.get(kind, 0) + 1
        backoff = self._backoffs.get(kind, self._usual)
        if tally.lone:
            wait = self._rng.uniform(*LONE_WAIT)
        elif kind in WAITS:
            wait = self._cooldown.seconds
        elif error.retry_after is None:
            # A server that answered may have restarted: if it cannot be reached, that closes the gate.
            at_once = kind == "disconnected" and failed == 1 and self._gate.served
            wait = 0.0 if at_once else backoff.seconds(failed, self._rng)
        else:
            wait = error.retry_after
            self._cooldown.shut(wait)
        if failed >= backoff.tries or wait >= tally.left:
            raise self._given_up(error, tally)
        tally.clock.teller.repeated(kind, wait)
        with tally.clock.spent("rate_limit" if kind in WAITS else "retry"):
            await anyio.sleep(wait)
        tally.left -= wait

    def _given_up(self, error: EndpointBusy, tally: Tally) -> EndpointError:
        """Return the error of a request that is not tried again."""
        if tally.calls > 1:
            error = again(error, f"{error} (tried {tally.calls} times)")
            error.calls = tally.calls
        if error.kind != "unreachable" or self._gate.served:
            return error
        self._stopped = EndpointRefused(
            str(error),
            kind="unreachable",
            endpoint=error.endpoint,
            stops=True,
        )
        return again(self._stopped)

    # One try

    async def _try(self, request: Request, tally: Tally) -> Result:
        """Make one call, and a second one if it straggles. Each is charged by itself."""
        if self._hedge is None or request.tools:
            return await self._around(request, lambda begin: self._in_slot(request, tally, begin))
        # The second call has a tally of its own: only its calls count, not its time or its faults.
        spare = Tally(left=tally.left, clock=tally.clock)
        result = await self._hedge.race(
            lambda sent: self._around(
                request,
                lambda begin: self._in_slot(request, tally, both(begin, sent)),
            ),
            lambda sent: self._around(
                request,
                lambda begin: self._in_spare(request, tally, spare, both(begin, sent)),
            ),
        )
        tally.calls += spare.calls
        return result

    async def _in_slot(self, request: Request, tally: Tally, begin: Begin) -> Result:
        """Make one call in a slot. Return None if it may not be sent any more."""
        clock = tally.clock
        with clock.spent("rate_limit"):
            permit = Permit() if self._quota is None else await self._quota.take(request)
        # Each wait below may be cancelled. `close` then gives back what no call has used.
        try:
            with clock.spent("rate_limit"):
                if self._limit is not None:
                    await self._limit.join(permit)
                if not await self._cooldown.turn():
                    return None
            if self._limit is not None:
                self._limit.begin()
            # While the call is on the wire, the clock counts that, and not the wait for its slot.
            with clock.spent("slots"):
                limit = nullcontext() if self._limit is None else self._limit.slot(first=tally.first or tally.probes)
                async with self._slots or nullcontext(), limit:
                    return await self._call(request, tally, both(begin, permit.begin), permit)
        finally:
            permit.close()

    async def _in_spare(self, request: Request, late: Tally, tally: Tally, begin: Begin) -> Result:
        """Make one call if no other caller has to wait for that, and `late` takes long by itself; else return None."""
        if not self._straggles(late):
            return None
        permit = Permit() if self._quota is None else self._quota.take_now(request)
        if permit is None:
            return None
        # Nothing here waits but the call itself. If it loses the race it is cancelled, and the
        # `finally`s give its slots and its permit back.
        borrower, slots = object(), self._slots
        try:
            if not self._cooldown.open:
                return None
            if self._limit is not None and not self._limit.join_now(permit):
                return None
            if slots is not None:
                slots.acquire_on_behalf_of_nowait(borrower)
            try:
                with nullcontext() if self._limit is None else self._limit.spare():
                    return await self._call(request, tally, both(begin, permit.begin), permit)
            finally:
                if slots is not None:
                    slots.release_on_behalf_of(borrower)
        except anyio.WouldBlock:
            return None
        finally:
            permit.close()

    def _straggles(self, late: Tally) -> bool:
        """Return whether a call takes long by itself, and not because of those that were sent before it."""
        flights = self._flights if self._limit is None else self._limit.flights
        trying = self._limit is not None and self._limit.trying
        return late.flight is not None and not trying and flights.is_passed(late.flight)

    def _may_send(self) -> bool:
        """Return whether a call with a slot may be sent: while it queued, all may have changed."""
        if self._cooldown.seconds > 0 or self._stopped is not None:
            return False
        return self._limit is None or not self._limit.full

    async def _call(self, request: Request, tally: Tally, begin: Begin, permit: Permit) -> Result:
        """Send a call, and note what its result says about the endpoint."""
        if not self._may_send() or (self._gate.closed and not tally.probes):
            return None
        begin()
        sent = SentCall(self._flight(tally), permit)
        flight = tally.flight = sent.flight
        reply: Reply | None = None
        try:
            # The deadline cancels the call and becomes a fault. A cancellation from outside (a lost
            # race, the end of the run) passes through: the call has no result, so nothing is noted,
            # and its estimate stays charged to the quota.
            with flight.scope, tally.clock.spent(WIRE):
                reply = await self._endpoint.complete(request)
        except EndpointBusy as error:
            if not tally.doubted or not isinstance(error.reply, Reply):
                tally.doubted = tally.doubted or error.reply is not None
                return self._failed(error, sent, tally)
            reply = error.reply
        except EndpointRefused as error:
            self._failed(error, sent, tally)
            raise
        except BaseException:
            self._left(flight)
            raise
        if reply is None:
            return self._failed(EndpointBusy(self._too_late(flight), kind="timeout"), sent, tally)
        permit.settle(reply)
        self._gate.answered()
        self._cooldown.answered(flight.at)
        if self._limit is not None:
            self._limit.answered(flight, reply.usage.output_tokens)
        else:
            self._flights.end(flight, answered=True)
        return reply.model_copy(update={"wire_seconds": anyio.current_time() - flight.at})

    def _flight(self, tally: Tally) -> Flight:
        """Note that a call is being sent."""
        if self._limit is not None:
            return self._limit.sent(self._deadline, tally.left)
        return self._flights.begin(self._deadline, tally.left)

    def _left(self, flight: Flight) -> None:
        """Note a call that ended without an answer."""
        if self._limit is not None:
            self._limit.left(flight)
        else:
            self._flights.end(flight, answered=False)

    def _too_late(self, flight: Flight) -> str:
        """Return the message of a call whose deadline passed."""
        if anyio.current_time() - flight.at <= self._deadline:
            return f"no answer within {self._deadline:g} s, retries included"
        return f"no answer within {self._deadline:g} s after the calls that were sent before it"

    # Faults

    def _failed(self, error: Fault, sent: SentCall, tally: Tally) -> Fault:
        """Note that a call failed: what it cost, and what that says about the endpoint."""
        flight = sent.flight
        if self._gate.failed(error.kind, str(error)):
            # It is the server's state: the call waits for it, and has used no try and no time.
            self._left(flight)
            sent.permit.failed(error.kind)
            tally.calls += error.kind not in NO_SERVER
            error.calls, tally.pardoned, tally.first = tally.calls, True, True
            return error
        tally.calls += 1
        error.calls = tally.calls
        sent.permit.failed(error.kind)
        if error.kind not in WAITS:
            # The endpoint admitted the call, so the cool-down ends even if the call fails later.
            self._cooldown.answered(flight.at)
        self._landed(error, flight, tally)
        now = anyio.current_time()
        tally.left = flight.turn + self._deadline - now if flight.turn > flight.at else tally.left - (now - flight.at)
        if error.kind == "timeout" and flight.is_late and tally.forgiven < FORGIVEN:
            tally.forgiven += 1
            tally.first, tally.pardoned, tally.left = True, True, self._deadline
        if isinstance(error, EndpointRefused) and error.stops:
            self._stopped = error
        return error

    def _landed(self, error: Fault, flight: Flight, tally: Tally) -> None:
        """Note what a fault says about how much the endpoint can do."""
        wait = error.retry_after if isinstance(error, EndpointBusy) else None
        limit = self._limit
        tally.lone = limit is not None and error.kind == "rate_limited" and limit.is_lone(flight, wait)
        if tally.lone:
            self._left(flight)
            return
        if isinstance(error, EndpointBusy) and error.kind in WAITS:
            self._cool(error, flight.at)
        if limit is None:
            self._flights.end(flight, answered=error.status == ANSWERED)
        elif error.kind == "rate_limited":
            limit.refused(flight, wait)
        elif error.kind == "overloaded":
            limit.strained(flight, wait)
        elif error.kind == "timeout":
            flight.is_late = limit.timed_out(flight)
        elif error.status == ANSWERED:
            limit.answered(flight)
        else:
            limit.left(flight)

    def _cool(self, error: EndpointBusy, began: float) -> None:
        """Shut the endpoint for all callers; for longer with each refusal in a row."""
        strikes = self._cooldown.refused(began)
        backoff = self._backoffs.get(error.kind, self._usual)
        asked = error.retry_after
        if asked is not None:  # also in the same burst: the endpoint may ask for longer than before
            self._cooldown.shut(max(asked, doubled(asked, strikes, backoff.most)))
        elif strikes:
            self._cooldown.shut(backoff.seconds(strikes, self._rng))
