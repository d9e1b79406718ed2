"""Several endpoints as one: the next where one cannot, the least busy among equals, a rest for the sick.

Aliases of a pool are in order, because people put what they like best first; keys of one model are
equals.

| a member | is |
| --- | --- |
| refused for good (a spent quota, a bad key) | left out from then on |
| failed three requests in a row, each after its own retries | sick: it rests for 30 s, asked only if nobody else is |
| rested | probed: the next request goes to it, and no other until that is answered |
| failed its probe | rests twice as long, 5 min at most |
| answered | well |

This is a circuit breaker (Nygard 2007, "Release It!") that does not latch: a pool whose members are
all sick asks them.
"""

from collections.abc import Sequence
from math import inf

import anyio

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused
from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Reply, Request

SICK = 3
"""Failures in a row that open the circuit."""
REST_SECONDS = 30.0
"""The first rest; each failed probe doubles it."""
MOST_REST_SECONDS = 300.0


class Member:
    """One endpoint of a pool, and how it fares."""

    def __init__(self, endpoint: Endpoint, place: int) -> None:
        self.endpoint = endpoint
        self.place = place
        """Its place in the pool, from 0."""
        self.in_flight = 0
        """Requests that the pool has given to it."""
        self.stopped: EndpointRefused | None = None
        """Why it is left out."""
        self._failures = 0
        self._rest = REST_SECONDS
        self._until = -inf
        self._probing = False

    @property
    def resting(self) -> bool:
        """Whether it is sick: its rest is not over, or somebody else probes it."""
        return self._failures >= SICK and (self._probing or anyio.current_time() < self._until)

    @property
    def cooling(self) -> bool:
        """Whether a rate limit keeps its callers waiting."""
        return isinstance(self.endpoint, Retrying) and self.endpoint.cooling > 0

    async def ask(self, request: Request) -> Reply | EndpointBusy | EndpointRefused:
        """Give its answer, or its error, and remember how it went."""
        probe = self._failures >= SICK and not self.resting
        self._probing = self._probing or probe
        self.in_flight += 1
        try:
            reply = await self.endpoint.complete(request)
        except EndpointBusy as error:
            self._failed()
            return error
        except EndpointRefused as error:
            if error.stops:
                self.stopped = error
            return error
        finally:
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
    """Completes a request with the first of several endpoints that does."""

    def __init__(self, endpoints: Sequence[Endpoint], *, equal: bool = False) -> None:
        """Take endpoints in order; with `equal`, the one with the fewest requests in flight comes first."""
        self._members = [Member(endpoint, place) for place, endpoint in enumerate(endpoints)]
        self._equal = equal

    async def complete(self, request: Request) -> Reply:
        """Give the first answer; the first error that leaves hope, else the first of all, where there is none."""
        errors: dict[int, EndpointError] = {each.place: each.stopped for each in self._members if each.stopped}
        calls = 0
        while left := [each for each in self._members if each.place not in errors]:
            member = min(left, key=self._rank)
            result = await member.ask(request)
            if isinstance(result, Reply):
                return self._signed(result, member, calls)
            calls += result.calls
            errors[member.place] = result
        raise _worth_raising([errors[place] for place in sorted(errors)], calls)

    def _rank(self, member: Member) -> tuple[bool, bool, int, int]:
        if not self._equal:
            return member.resting, False, 0, member.place
        return member.resting, member.cooling, member.in_flight, member.place

    def _signed(self, reply: Reply, member: Member, calls: int) -> Reply:
        """Count the calls that others made in vain, and say which of several keys served."""
        usage = reply.usage.model_copy(update={"calls": calls + reply.usage.calls})
        endpoint = f"{reply.endpoint} (key {member.place + 1})" if self._equal else reply.endpoint
        return reply.model_copy(update={"usage": usage, "endpoint": endpoint})


def _worth_raising(errors: Sequence[EndpointError], calls: int) -> EndpointError:
    """Choose what the caller hears: while any of them may still answer, nothing that stops the run."""
    chosen = min(errors, key=lambda error: (not error.may_help, error.stops))
    words = "; then ".join(dict.fromkeys(str(error) for error in errors))
    if isinstance(chosen, EndpointBusy):
        wait = chosen.retry_after
        made = EndpointBusy(words, kind=chosen.kind, endpoint=chosen.endpoint, status=chosen.status, retry_after=wait)
    else:
        made = EndpointRefused(words, kind=chosen.kind, endpoint=chosen.endpoint, status=chosen.status)
        made.stops, made.goes_on = chosen.stops, chosen.goes_on
    made.calls = calls
    return made
