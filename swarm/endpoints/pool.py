"""Several endpoints as one: the next if one fails, the least busy among equals, a pause for sick ones.

The models of a pool are in order of preference; the keys of one model are equals.

| event | the member |
| --- | --- |
| it refuses for good (an exhausted quota, an invalid key) | is left out from then on |
| three requests in a row fail, each after its own retries | is sick: rests for 30 s, unless all are sick |
| its rest ends | is probed: it gets the next request, and no other until that is answered |
| the probe fails | rests twice as long, maximum 5 min |
| it answers | is healthy |
| its server is gone | is passed over while another member is there; one call at a time asks whether it is back |

This is a circuit breaker (Nygard 2007, "Release It!") that never refuses by itself: if all members
of a pool are sick, they are called.
"""

from collections.abc import Sequence
from math import inf

import anyio

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused
from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.gate import Gate
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Reply, Request

SICK = 3
"""Failed requests in a row that make a member sick: one or two may be bad luck."""
REST_SECONDS = 30.0
"""Seconds of the first rest, time for a server to restart; each failed probe doubles it."""
MOST_REST_SECONDS = 300.0
"""Maximum seconds of a rest, so that a member that recovered is used again within five minutes."""


class Member:
    """One endpoint of a pool, and its health."""

    def __init__(self, endpoint: Endpoint, place: int, gate: Gate | None = None) -> None:
        self.endpoint = endpoint
        self._gate = gate
        self.place = place
        """Its index in the pool, from 0."""
        self.in_flight = 0
        """Requests of the pool that it has not answered yet."""
        self.stopped: EndpointRefused | None = None
        """The refusal for which it is left out."""
        self._failures = 0
        self._rest = REST_SECONDS
        self._until = -inf
        self._probing = False

    @property
    def resting(self) -> bool:
        """Whether it is sick, and its rest has not ended or another request probes it."""
        return self._failures >= SICK and (self._probing or anyio.current_time() < self._until)

    @property
    def gone(self) -> bool:
        """Whether its callers would wait until its server is back."""
        return self._gate is not None and self._gate.waits

    @property
    def cooling(self) -> bool:
        """Whether its callers wait because of a rate limit."""
        return isinstance(self.endpoint, Retrying) and self.endpoint.cooling > 0

    async def ask(self, request: Request) -> Reply | EndpointBusy | EndpointRefused:
        """Return its answer or its error, and record its health."""
        probe = self._failures >= SICK and not self.resting
        self._probing = self._probing or probe
        self.in_flight += 1
        try:
            reply = await self.endpoint.complete(request)
        except EndpointBusy as error:
            if self._gate is None or not self._gate.closed:  # its own gate says when a server that is gone is back
                self._failed()
            return error
        except EndpointRefused as error:
            if error.stops:
                self.stopped = error
            return error
        finally:
            # A cancelled request proves nothing: it ends the probe, and the next request is a new one.
            self.in_flight -= 1
            if probe:
                self._probing = False
        self._failures = 0
        self._rest = REST_SECONDS
        return reply

    def _failed(self) -> None:
        now = anyio.current_time()
        self._failures += 1
        if self._failures >= SICK and now >= self._until:
            self._until = now + self._rest
            self._rest = min(2 * self._rest, MOST_REST_SECONDS)


class Pool:
    """Completes a request with the first of several endpoints that can."""

    def __init__(
        self, endpoints: Sequence[Endpoint], *, equal: bool = False, gates: Sequence[Gate | None] | None = None
    ) -> None:
        """Take endpoints in order of preference; with `equal`, the least busy one comes first.

        `gates` are those of their servers: while one is gone, the next member is asked.
        """
        self._members = [
            Member(endpoint, place, None if gates is None else gates[place]) for place, endpoint in enumerate(endpoints)
        ]
        self._equal = equal

    async def complete(self, request: Request) -> Reply:
        """Return the first answer. If every member fails, raise the error that leaves most hope."""
        errors: dict[int, EndpointError] = {each.place: each.stopped for each in self._members if each.stopped}
        calls = 0
        while left := [each for each in self._members if each.place not in errors]:
            member = min(left, key=self._rank)
            waits = request.waits and all(each is member or each.gone for each in left)
            asked = request if waits == request.waits else request.model_copy(update={"waits": waits})
            result = await member.ask(asked)
            if isinstance(result, Reply):
                return self._signed(result, member, calls)
            calls += result.calls
            errors[member.place] = result
        raise _worth_raising([errors[place] for place in sorted(errors)], calls)

    def _rank(self, member: Member) -> tuple[bool, bool, int, int]:
        away = member.resting or member.gone
        if not self._equal:
            return away, False, 0, member.place
        return away, member.cooling, member.in_flight, member.place

    def _signed(self, reply: Reply, member: Member, calls: int) -> Reply:
        """Add the failed calls of other members, and the number of the key if there are several."""
        usage = reply.usage.model_copy(update={"calls": calls + reply.usage.calls})
        endpoint = f"{reply.endpoint} (key {member.place + 1})" if self._equal else reply.endpoint
        return reply.model_copy(update={"usage": usage, "endpoint": endpoint})


def _worth_raising(errors: Sequence[EndpointError], calls: int) -> EndpointError:
    """Return the error to raise: one that stops the run only if no member may still answer."""
    chosen = min(errors, key=lambda error: (not error.may_help, error.stops))
    words = "; then ".join(dict.fromkeys(str(error) for error in errors))
    made: EndpointBusy | EndpointRefused
    if isinstance(chosen, EndpointBusy):
        made = EndpointBusy(
            words,
            kind=chosen.kind,
            endpoint=chosen.endpoint,
            status=chosen.status,
            retry_after=chosen.retry_after,
        )
    else:
        made = EndpointRefused(
            words,
            kind=chosen.kind,
            endpoint=chosen.endpoint,
            status=chosen.status,
        )
        made.stops, made.goes_on = chosen.stops, chosen.goes_on
        # A request that fits the largest context of the pool is served by that member.
        sizes = [error.context for error in errors if isinstance(error, EndpointRefused) and error.context]
        made.context = max(sizes, default=None)
    made.calls = calls
    return made
