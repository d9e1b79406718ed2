"""Where the time of a request goes: by cause, without a second counted twice."""

from random import Random
from typing import Any

import anyio
import pytest

from swarm.base.errors import EndpointBusy
from swarm.budget.ledger import Amount, Ledger
from swarm.budget.meter import Meter
from swarm.budget.queue import BudgetQueue
from swarm.endpoints.account import Account, ChargedEndpoint
from swarm.endpoints.traffic.clock import WIRE, RequestClock, clock_of
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Reply, Request, Usage, says
from swarm.spec.task import Model
from swarm.testing import Function, reply

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

ASK = Request(model="default", messages=(says("user", "hello"),))


def paid() -> tuple[Request, RequestClock]:
    account = Account()
    return ASK.model_copy(update={"account": account}), account.clock


def answering(*faults: EndpointBusy, after: float = 2.0) -> Function:
    """An endpoint that fails in these ways first, each after `after` seconds, and then answers."""
    left = list(faults)

    async def answer(_: Request) -> Any:
        await anyio.sleep(after)
        return left.pop(0) if left else reply("done", usage=Usage(calls=1, input_tokens=30, output_tokens=5))

    return Function(answer)


async def test_a_call_on_the_wire_is_no_wait_whatever_else_is_open() -> None:
    clock = RequestClock()
    with clock.spent("slots"):
        await anyio.sleep(3)
        with clock.spent(WIRE):
            await anyio.sleep(5)
            with clock.spent("budget"):  # a second call, which joins a race
                await anyio.sleep(7)
    with clock.spent("retry"):
        pass
    assert clock.waited == {"slots": 3}


async def test_each_wait_of_a_request_has_its_cause_and_all_seconds_are_counted_once() -> None:
    faults = (EndpointBusy("wait", kind="rate_limited", retry_after=10), EndpointBusy("gone", kind="disconnected"))
    wire = Retrying(answering(*faults), rng=Random(1), limit=Limit("x", start=1, most=1))
    first, clock = paid()
    second, queued = paid()
    replies: list[Reply] = []
    began = anyio.current_time()
    took: dict[str, float] = {}

    async def ask(name: str, request: Request) -> None:
        replies.append(await wire.complete(request))
        took[name] = anyio.current_time() - began

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "first", first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, "second", second)
    assert replies[0].wire_seconds == replies[1].wire_seconds == 2
    assert set(clock.waited) | set(queued.waited) == {"slots", "rate_limit", "retry"}
    waits = sum(clock.waited.values()) + sum(queued.waited.values())
    assert waits + 2 * 4 == pytest.approx(took["first"] + took["second"]), "four calls of two seconds, the rest waits"
    assert [each.waited for each in replies] in ([clock.waited, queued.waited], [queued.waited, clock.waited])


async def test_a_wait_for_the_budget_is_one() -> None:
    queue = BudgetQueue(Ledger({"tokens": 10_000}))
    held = await queue.reserve(Amount(9_990))
    meter = Meter(queue, Model(endpoint="http://127.0.0.1:1/v1", name="m", max_tokens=100), None)
    request, clock = paid()

    async def settle() -> None:
        await anyio.sleep(40)
        queue.settle(held, Amount())

    replies: list[Reply] = []

    async def ask() -> None:
        replies.append(await ChargedEndpoint(answering(after=3), meter.around).complete(request))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(settle)
        tasks.start_soon(ask)
    (got,) = replies
    assert (got.waited, got.wire_seconds) == ({"budget": 40}, 3)
    assert clock_of(request) is clock
    assert clock_of(ASK).waited == {}
