"""Quotas per minute, in virtual time."""

from itertools import pairwise
from random import Random

import anyio
import pytest

from swarm.base.errors import EndpointBusy
from swarm.endpoints.traffic.bucket import Bucket, Quota
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.headers import pause_in
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Reply, Request, Usage, request_tokens, says
from swarm.testing import Function, reply

ASK = Request(model="default", messages=(says("user", "hi"),), max_tokens=100)
WORST = request_tokens(ASK) + 100

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


def most_in_a_minute(used: list[tuple[float, int]]) -> int:
    """Return the sum of the fullest minute, whenever it begins."""
    return max(sum(n for at, n in used if began <= at < began + 60) for began, _ in used)


async def calls(quota: Quota, count: int, *, tokens: int = 0, seconds: float = 1.0) -> list[tuple[float, int]]:
    """Make calls of so many tokens as fast as the quota allows. Return when each was sent, and its tokens."""
    began = anyio.current_time()
    sent: list[tuple[float, int]] = []

    async def complete(request: Request) -> Reply:
        sent.append((anyio.current_time() - began, tokens))
        await anyio.sleep(seconds)
        return reply("ok", usage=Usage(calls=1, input_tokens=tokens // 2, output_tokens=tokens - tokens // 2))

    endpoint = Retrying(Function(complete), rng=Random(1), quota=quota)
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(endpoint.complete, ASK)
    return sent


async def test_no_minute_has_more_calls_than_the_quota_and_none_is_wasted() -> None:
    sent = await calls(Quota(rpm=20, tpm=None, max_tokens=100), 100)
    assert most_in_a_minute([(at, 1) for at, _ in sent]) == 20
    assert sent[-1][0] == pytest.approx(240)
    assert sorted(sent) == sent


async def test_tokens_are_estimated_before_and_settled_after() -> None:
    """A call reserves its worst case and returns the rest: 10 per minute are sent, not 7 worst cases."""
    quota = Quota(rpm=None, tpm=1000, max_tokens=4096)
    assert 1000 // WORST < 10
    sent = await calls(quota, 40, tokens=100)
    assert most_in_a_minute(sent) <= 1000
    assert len([at for at, _ in sent if at < 60]) >= 9
    assert sent[-1][0] < 60 * 5


async def test_a_call_larger_than_the_whole_quota_goes_alone() -> None:
    quota = Quota(rpm=None, tpm=50, max_tokens=4096)
    sent = await calls(quota, 3, tokens=50)
    assert [later - earlier for (earlier, _), (later, _) in pairwise(sent)] == pytest.approx([60, 60])


async def test_what_an_endpoint_did_not_read_takes_no_tokens_and_what_it_read_does() -> None:
    quota = Quota(rpm=None, tpm=1000, max_tokens=100)
    bucket = Bucket(1000)
    for kind, left in (("rate_limited", 1000), ("truncated_stream", 1000 - request_tokens(ASK))):
        permit = await quota.take(ASK)
        permit.begin()
        permit.failed(kind)
        assert permit.tokens is not None
        assert permit.tokens[0].left == left, kind
    assert bucket.left == 1000


async def test_what_never_began_is_given_back() -> None:
    bucket = Bucket(10)
    first = await bucket.take(10)
    waiting: list[float] = []

    async def wait() -> None:
        await bucket.take(5)
        waiting.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(7)
        assert waiting == []
        assert bucket.take_now(1) is None, "nobody overtakes who waits"
        bucket.close(first)
    assert len(waiting) == 1
    assert bucket.left == 5


async def test_a_cancelled_wait_takes_nothing_and_lets_the_next_in() -> None:
    bucket = Bucket(10)
    bucket.begin(await bucket.take(6))
    with anyio.move_on_after(5):
        await bucket.take(8)
    assert bucket.left == 4
    began = anyio.current_time()
    await bucket.take(4)
    assert anyio.current_time() == pytest.approx(began)
    await bucket.take(6)
    assert anyio.current_time() == pytest.approx(began - 5 + 60)


async def test_a_minute_begins_when_the_call_does_and_not_while_it_queues() -> None:
    bucket = Bucket(1)
    taken = await bucket.take(1)
    await anyio.sleep(100)
    bucket.begin(taken)
    sent = anyio.current_time()
    await bucket.take(1)
    assert anyio.current_time() - sent == pytest.approx(60)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "1s"}, 0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0m30.5s"}, 30.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "7"}, 7),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "7"}, 7),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "6h"}, 60),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1764000000000"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "-5"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "nan"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, 0),
        ({"x-ratelimit-remaining": "0"}, 0),
        ({"x-ratelimit-remaining": "none", "x-ratelimit-reset": "9"}, 0),
    ],
)
async def test_what_headers_ask_for(headers: dict[str, str], seconds: float) -> None:
    assert pause_in(headers) == pytest.approx(seconds)


async def test_headers_keep_every_caller_out() -> None:
    cooldown = Cooldown()
    times: list[float] = []

    async def complete(request: Request) -> Reply:
        times.append(anyio.current_time() - began)
        cooldown.heed({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"})
        return reply("ok")

    began = anyio.current_time()
    endpoint = Retrying(Function(complete), rng=Random(1), cooldown=cooldown)
    for _ in range(3):
        await endpoint.complete(ASK)
    assert times == pytest.approx([0, 12, 24])


async def test_a_failed_call_was_a_call() -> None:
    times: list[float] = []

    async def complete(request: Request) -> Reply | Exception:
        times.append(anyio.current_time() - began)
        return EndpointBusy("no", kind="server_error") if len(times) % 2 else reply("ok")

    began = anyio.current_time()
    endpoint = Retrying(Function(complete), rng=Random(1), quota=Quota(rpm=2, tpm=None, max_tokens=1))
    for _ in range(2):
        await endpoint.complete(ASK)
    assert times[1] < 60 <= times[2]


async def test_a_rate_limit_leaves_the_tokens_for_the_next_try() -> None:
    answers: list[Reply | Exception] = [EndpointBusy("no", kind="rate_limited"), reply("ok")]
    began = anyio.current_time()
    endpoint = Retrying(
        Function(lambda _: answers.pop(0)), rng=Random(1), quota=Quota(rpm=None, tpm=WORST, max_tokens=1)
    )
    await endpoint.complete(ASK)
    assert anyio.current_time() - began < 60
