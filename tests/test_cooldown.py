"""Reopening of an endpoint after a cool-down, in virtual time."""

from random import Random

import anyio
import pytest

from swarm.base.errors import EndpointBusy
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Reply, Request, says
from swarm.testing import Function, reply

ASK = Request(model="default", messages=(says("user", "hi"),))

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


class Closed:
    """An endpoint that refuses until a time, and then answers after a delay."""

    def __init__(self, *, until: float, told: float | None = None, seconds: float = 100.0) -> None:
        self.sent: list[float] = []
        self._until = until
        self._told = told
        self._seconds = seconds
        self._began = anyio.current_time()

    async def complete(self, request: Request) -> Reply | Exception:
        now = anyio.current_time() - self._began
        self.sent.append(now)
        await anyio.sleep(0.05)
        if now < self._until:
            return EndpointBusy("429", kind="rate_limited", retry_after=self._told)
        await anyio.sleep(self._seconds)
        return reply("ok")


async def ask(closed: Closed, callers: int, seconds: float) -> None:
    endpoint = Retrying(Function(closed.complete), rng=Random(1), cooldown=Cooldown())
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for _ in range(callers):
                group.start_soon(endpoint.complete, ASK)


async def test_one_call_goes_first_then_two_in_a_second_then_four() -> None:
    closed = Closed(until=1.0, told=10.0)
    await ask(closed, 20, 30)
    assert closed.sent[:20] == [0.0] * 20, "nobody knew"
    later = [at - closed.sent[20] for at in closed.sent[20:]]
    assert [sum(n <= at < n + 1 for at in later) for n in range(4)] == [1, 2, 4, 8]


async def test_what_was_told_too_short_is_doubled_and_costs_one_call_each_time() -> None:
    closed = Closed(until=100.0, told=5.0)
    await ask(closed, 20, 99)
    gaps = [round(b - a) for a, b in zip(closed.sent[19:], closed.sent[20:], strict=False)]
    assert gaps == [5, 10, 20, 30, 30]


async def test_refusals_of_calls_that_were_sent_before_are_one_burst() -> None:
    cooldown = Cooldown()
    began = anyio.current_time()
    await anyio.sleep(1)
    assert [cooldown.refused(began) for _ in range(5)] == [1, 0, 0, 0, 0]
    await anyio.sleep(1)
    assert cooldown.refused(anyio.current_time()) == 2


async def test_an_answer_to_a_later_call_opens_it_and_forgets() -> None:
    closed = Closed(until=1.0, told=10.0, seconds=0.0)
    await ask(closed, 20, 30)
    assert closed.sent[-1] < 12, "fast answers are not waited for"
    cooldown = Cooldown()
    assert cooldown.refused(anyio.current_time()) == 1
    await anyio.sleep(1)
    cooldown.answered(anyio.current_time())
    await anyio.sleep(1)
    assert cooldown.refused(anyio.current_time()) == 1


async def test_while_it_is_half_open_nobody_makes_a_second_call() -> None:
    cooldown = Cooldown()
    assert cooldown.open
    cooldown.refused(anyio.current_time())
    assert not cooldown.open
    assert await cooldown.turn()
    assert not cooldown.open
