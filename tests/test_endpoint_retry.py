"""Retries, and waits that callers share, in virtual time."""

from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.endpoints.traffic.backoff import Backoff
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Reply, Request, says
from swarm.testing import Function, Scripted, reply
from tests.limits import Paced

ASK = Request(model="default", messages=(says("user", "hi"),))


def busy(kind: str = "server_error", wait: float | None = None) -> EndpointBusy:
    return EndpointBusy("busy", kind=kind, retry_after=wait)


def retrying(*answers: str | Exception, **settings: Any) -> tuple[Retrying, list[float]]:
    """An endpoint with given answers; it records when it was called."""
    times: list[float] = []
    scripted = Scripted(*(reply(a) if isinstance(a, str) else a for a in answers))

    async def complete(request: Request) -> Reply | Exception:
        times.append(anyio.current_time() - start)
        return await scripted.complete(request)

    start = anyio.current_time()
    return Retrying(Function(complete), rng=Random(1), **settings), times


def gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in pairwise(times)]


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_call_is_tried_again_and_every_try_counts() -> None:
    endpoint, times = retrying(busy(), busy(), busy(), "done")
    answer = await endpoint.complete(ASK)
    assert (answer.text, answer.usage.calls, answer.seconds) == ("done", 4, times[-1])
    assert all(0 < gap <= most for gap, most in zip(gaps(times), (0.5, 1.0, 2.0), strict=True))


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize(("kind", "tries"), [("server_error", 4), ("malformed", 2), ("rate_limited", 16), ("empty", 2)])
async def test_tries_are_bounded_by_kind(kind: str, tries: int) -> None:
    endpoint, times = retrying(*[busy(kind)] * 50)
    with pytest.raises(EndpointBusy, match=rf"tried {tries} times") as caught:
        await endpoint.complete(ASK)
    assert (len(times), caught.value.kind) == (tries, kind)


@pytest.mark.anyio
@pytest.mark.virtual
async def test_the_same_seed_waits_the_same() -> None:
    runs: list[list[float]] = []
    for _ in range(2):
        endpoint, times = retrying(*[busy()] * 3, "done")
        await endpoint.complete(ASK)
        runs.append(gaps(times))
    assert runs[0] == pytest.approx(runs[1])


@given(st.integers(1, 100), st.integers())
def test_backoff_doubles_up_to_its_most(failed: int, seed: int) -> None:
    wait = Backoff(base=0.5, most=8.0).seconds(failed, Random(seed))
    assert 0 <= wait <= min(8.0, 0.5 * 2 ** (failed - 1))


@pytest.mark.anyio
@pytest.mark.virtual
async def test_what_the_endpoint_asks_for_is_waited() -> None:
    endpoint, times = retrying(busy("rate_limited", 1.0), busy("server_error", 0.15), "done")
    await endpoint.complete(ASK)
    assert gaps(times) == pytest.approx([1.0, 0.15])


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_wait_past_the_deadline_is_not_begun_by_anybody() -> None:
    endpoint, times = retrying(busy("rate_limited", 86_400), "done", deadline=300)
    for _ in range(3):
        with pytest.raises(EndpointBusy) as caught:
            await endpoint.complete(ASK)
        assert (caught.value.kind, caught.value.retry_after) == ("rate_limited", pytest.approx(86_400))
    assert times == [0]


@pytest.mark.anyio
@pytest.mark.virtual
async def test_nothing_lasts_past_the_deadline() -> None:
    async def slow(request: Request) -> Exception:
        await anyio.sleep(4)
        return busy()

    began = anyio.current_time()
    with pytest.raises(EndpointBusy) as caught:
        await Retrying(Function(slow), rng=Random(1), deadline=10).complete(ASK)
    assert caught.value.kind in {"timeout", "server_error"}
    assert 4 < anyio.current_time() - began <= 10


@pytest.mark.anyio
@pytest.mark.virtual
async def test_after_a_wait_a_call_has_what_is_left_of_the_deadline() -> None:
    async def ask(seconds: float) -> Reply:
        results = [busy(wait=2.0), reply("done")]

        async def complete(request: Request) -> Reply | Exception:
            await anyio.sleep(0 if len(results) == 2 else seconds)
            return results.pop(0)

        return await Retrying(Function(complete), rng=Random(1), deadline=10, usual=Backoff(tries=2)).complete(ASK)

    assert (await ask(7)).seconds == pytest.approx(9)
    with pytest.raises(EndpointBusy) as caught:
        await ask(9)
    assert caught.value.kind == "timeout"


@pytest.mark.anyio
@pytest.mark.virtual
async def test_time_in_a_cooldown_counts_against_the_deadline_of_a_call() -> None:
    async def complete(request: Request) -> Reply:
        await anyio.sleep(5)
        return reply("done")

    cooldown, began = Cooldown(), anyio.current_time()
    cooldown.shut(6)
    endpoint = Retrying(Function(complete), rng=Random(1), cooldown=cooldown, deadline=10)
    with pytest.raises(EndpointBusy, match="no answer within 10 s, retries included") as caught:
        await endpoint.complete(ASK)
    assert caught.value.kind == "timeout"
    assert anyio.current_time() - began == pytest.approx(10)


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_call_that_queued_for_a_slot_while_a_pace_was_learnt_keeps_to_it() -> None:
    limit, slots = Paced("here"), anyio.CapacityLimiter(1)
    endpoint, times = retrying(*["done"] * 9, limit=limit, slots=slots)
    async with anyio.create_task_group() as group:
        for _ in range(8):  # the minute's calls, one a second
            await endpoint.complete(ASK)
            await anyio.sleep(1)
        slots.acquire_on_behalf_of_nowait(group)
        group.start_soon(endpoint.complete, ASK)
        await anyio.sleep(1)
        limit.learn(8)
        slots.release_on_behalf_of(group)
    assert times == pytest.approx([0, 1, 2, 3, 4, 5, 6, 7, 60])


@pytest.mark.anyio
@pytest.mark.virtual
async def test_one_rate_limit_makes_every_caller_wait() -> None:
    times: list[float] = []

    async def complete(request: Request) -> Reply | Exception:
        times.append(anyio.current_time() - start)
        await anyio.sleep(1)
        return busy("rate_limited", 20) if len(times) == 1 else reply("done")

    start = anyio.current_time()
    cooldown = Cooldown()
    aliases = [Retrying(Function(complete), rng=Random(n), cooldown=cooldown) for n in range(2)]
    async with anyio.create_task_group() as group:
        group.start_soon(aliases[0].complete, ASK)
        await anyio.sleep(5)
        for alias in aliases * 5:
            group.start_soon(alias.complete, ASK)
    assert times[0] == 0
    assert times[1] == pytest.approx(21.0)
    assert len(times) == 12
    assert times[2] > 21.5, "one goes first; what follows is in test_cooldown.py"


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_server_error_is_one_call_s_bad_luck() -> None:
    endpoint, times = retrying(busy("server_error"), "done", "done", usual=Backoff(base=100, most=100))
    async with anyio.create_task_group() as group:
        group.start_soon(endpoint.complete, ASK)
        await anyio.sleep(0.01)
        await endpoint.complete(ASK)
        assert len(times) == 2
        assert times[1] == pytest.approx(0.01)


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_slot_is_held_on_the_wire_and_never_while_waiting() -> None:
    slots = anyio.CapacityLimiter(2)
    peak = 0

    async def complete(request: Request) -> Reply | Exception:
        nonlocal peak
        peak = max(peak, int(slots.borrowed_tokens))
        await anyio.sleep(1)
        return busy() if request.purpose == "plan" else reply("done")

    endpoint = Retrying(Function(complete), rng=Random(1), slots=slots, usual=Backoff(tries=3, base=1000, most=1000))
    async with anyio.create_task_group() as group:
        for _ in range(2):

            async def fails() -> None:
                with pytest.raises(EndpointBusy):
                    await endpoint.complete(ASK.model_copy(update={"purpose": "plan"}))

            group.start_soon(fails)
        await anyio.sleep(1.5)
        began = anyio.current_time()
        for _ in range(6):
            group.start_soon(endpoint.complete, ASK)
        await anyio.sleep(3.1)
        assert anyio.current_time() - began == pytest.approx(3.1)
        assert slots.borrowed_tokens == 0, "those that back off hold nothing"
        group.cancel_scope.cancel()
    assert peak == 2


@pytest.mark.anyio
@pytest.mark.virtual
async def test_the_queue_for_a_slot_does_not_count_against_the_deadline() -> None:
    async def complete(request: Request) -> Reply:
        await anyio.sleep(9)
        return reply("done")

    endpoint = Retrying(Function(complete), rng=Random(1), slots=anyio.CapacityLimiter(1), deadline=10)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(endpoint.complete, ASK)


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_bad_key_costs_one_call_however_many_ask() -> None:
    bad = EndpointRefused("bad key", kind="auth", stops=True)
    endpoint, times = retrying(*[bad] * 20, slots=anyio.CapacityLimiter(1))
    seen: list[EndpointRefused] = []

    async def one() -> None:
        with pytest.raises(EndpointRefused) as caught:
            await endpoint.complete(ASK)
        seen.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(one)
    assert len(times) == 1
    assert [(error.kind, error.stops) for error in seen] == [("auth", True)] * 20


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_refusal_of_one_request_is_raised_at_once_and_stops_nothing() -> None:
    endpoint, times = retrying(EndpointRefused("no", kind="bad_request"), "done")
    with pytest.raises(EndpointRefused):
        await endpoint.complete(ASK)
    assert (await endpoint.complete(ASK)).text == "done"
    assert gaps(times) == [0]


@pytest.mark.anyio
@pytest.mark.virtual
async def test_an_endpoint_that_was_never_reached_stops_the_run_and_one_that_was_does_not() -> None:
    never, times = retrying(*[busy("unreachable")] * 50)
    for _ in range(2):
        with pytest.raises(EndpointRefused) as caught:
            await never.complete(ASK)
        assert (caught.value.kind, caught.value.stops) == ("unreachable", True)
        assert str(caught.value) == "busy (tried 4 times)"
    assert len(times) == 4
    once, _ = retrying("done", *[busy("unreachable")] * 400)  # it is waited for, with a call every few seconds
    await once.complete(ASK)
    with pytest.raises(EndpointRefused, match="has been gone for 10:00") as gone:
        await once.complete(ASK)
    assert not gone.value.stops
