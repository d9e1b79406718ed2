"""An endpoint that fails sometimes, in the same way in every run."""

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
        "server_error": lambda: EndpointBusy("faulty: server error", kind="server_error", status=500),
        "disconnected": lambda: EndpointBusy("faulty: the connection was lost", kind="disconnected"),
        "timeout": lambda: EndpointBusy("faulty: no answer in time", kind="timeout"),
        "malformed": lambda: EndpointBusy("faulty: not a chat completion", kind="malformed", status=200),
        "truncated_stream": lambda: EndpointBusy("faulty: truncated stream", kind="truncated_stream", status=200),
        "bad_request": lambda: EndpointRefused("faulty: bad request", kind="bad_request", status=400),
        "context_length": lambda: EndpointRefused("faulty: the prompt is too long", kind="context_length", status=400),
        "quota": lambda: EndpointRefused("faulty: the quota is exhausted", kind="quota", status=429, stops=True),
        "auth": lambda: EndpointRefused("faulty: the key was rejected", kind="auth", status=401, stops=True),
        "empty_answer": lambda: AnswerError("faulty: an empty answer", kind="empty"),
    }
)
"""The available faults: a name, and a function that returns the error to raise."""


class Faulty:
    """An endpoint around another one that fails at the given rates.

    Whether a call fails depends on the seed, on the request and on the number of equal requests
    before it. It does not depend on the order of concurrent requests, so a run with faults is
    reproducible.
    """

    def __init__(self, endpoint: Endpoint, *, seed: int, rates: Mapping[str, float]) -> None:
        """`rates` are probabilities by fault, a key of `FAULTS`. Their sum is at most 1."""
        unknown = rates.keys() - FAULTS.keys()
        assert not unknown, f"unknown faults {sorted(unknown)}: expected {sorted(FAULTS)}"
        assert sum(rates.values()) <= 1, "the sum of the rates exceeds 1"
        self.failed: list[str] = []
        """Names of the raised faults, in order."""
        self.calls = 0
        """Number of requests."""
        self._endpoint = endpoint
        self._seed = seed
        self._rates = dict(rates)
        self._seen: dict[str, int] = {}

    async def complete(self, request: Request) -> Reply:
        """Raise a fault, or return the answer of the inner endpoint."""
        self.calls += 1
        name = digest(request)
        count = self._seen[name] = self._seen.get(name, 0) + 1
        draw = Random(f"{self._seed}/{name}/{count}").random()  # noqa: S311 - not a secret
        for fault, rate in self._rates.items():
            draw -= rate
            if draw < 0:
                self.failed.append(fault)
                raise FAULTS[fault]()
        return await self._endpoint.complete(request)
