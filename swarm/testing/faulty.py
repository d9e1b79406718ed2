"""An endpoint that fails now and then, the same way at every run."""

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from swarm.base.errors import AnswerError, AttemptError, EndpointBusy, EndpointRefused
from swarm.base.values import digest
from swarm.endpoints import Endpoint
from swarm.spec.chat import Reply, Request

FAULTS: Mapping[str, Callable[[], AttemptError]] = MappingProxyType(
    {
        "rate_limited": lambda: EndpointBusy("faulty: rate limit", kind="rate_limited", status=429),
        "overloaded": lambda: EndpointBusy("faulty: overloaded", kind="overloaded", status=529),
        "server_error": lambda: EndpointBusy("faulty: the server failed", kind="server_error", status=500),
        "disconnected": lambda: EndpointBusy("faulty: the connection was lost", kind="disconnected"),
        "timeout": lambda: EndpointBusy("faulty: no answer in time", kind="timeout"),
        "malformed": lambda: EndpointBusy("faulty: no chat completion", kind="malformed", status=200),
        "truncated_stream": lambda: EndpointBusy("faulty: a cut stream", kind="truncated_stream", status=200),
        "bad_request": lambda: EndpointRefused("faulty: bad request", kind="bad_request", status=400),
        "context_length": lambda: EndpointRefused("faulty: the prompt is too long", kind="context_length", status=400),
        "quota": lambda: EndpointRefused("faulty: the quota is spent", kind="quota", status=429, stops=True),
        "auth": lambda: EndpointRefused("faulty: the key was not accepted", kind="auth", status=401, stops=True),
        "empty_answer": lambda: AnswerError("faulty: an empty answer", kind="empty"),
    }
)
"""What can be asked for: a word, and the error it raises."""


class Faulty:
    """Completes requests with another endpoint, but fails at the given rates.

    Which call fails depends on the seed, on the request and on how often that request came, never on the order in which
    concurrent requests arrive: a run with faults can be repeated.
    """

    def __init__(self, endpoint: Endpoint, *, seed: int, rates: Mapping[str, float]) -> None:
        """Take the chance of each fault, a key of `FAULTS`; together at most 1."""
        unknown = rates.keys() - FAULTS.keys()
        assert not unknown, f"no such fault: {sorted(unknown)}; there are {sorted(FAULTS)}"
        assert sum(rates.values()) <= 1, "the rates add up to more than 1"
        self.failed: list[str] = []
        """The faults that happened, in order."""
        self.calls = 0
        """Requests it was given."""
        self._endpoint = endpoint
        self._seed = seed
        self._rates = dict(rates)
        self._seen: dict[str, int] = {}

    async def complete(self, request: Request) -> Reply:
        """Fail, or give the other endpoint's answer."""
        self.calls += 1
        name = digest(request)
        count = self._seen[name] = self._seen.get(name, 0) + 1
        draw = Random(f"{self._seed}/{name}/{count}").random()  # noqa: S311 - dice, not a secret
        for fault, rate in self._rates.items():
            draw -= rate
            if draw < 0:
                self.failed.append(fault)
                raise FAULTS[fault]()
        return await self._endpoint.complete(request)
