"""From an alias to what serves it, and what is found out before any call."""

from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused, TaskError
from swarm.base.network import is_loopback
from swarm.endpoints import Endpoint
from swarm.endpoints.pool import Pool
from swarm.endpoints.route import check_models, route_of, routes_of
from swarm.endpoints.router import Router, connect
from swarm.endpoints.wiring import Wiring
from swarm.spec.chat import Request, says
from swarm.spec.providers import PROVIDERS
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer, Function, Received, Scripted

ASK = Request(model="default", messages=(says("user", "hi"),))


def busy() -> EndpointBusy:
    return EndpointBusy("busy", kind="server_error")


@pytest.mark.anyio
async def test_a_request_goes_where_its_alias_says() -> None:
    router = Router({"default": Scripted("one"), "strong": Scripted("two")})
    assert (await router.complete(ASK.model_copy(update={"model": "strong"}))).text == "two"
    with pytest.raises(EndpointRefused, match="default and strong"):
        await router.complete(ASK.model_copy(update={"model": "other"}))


def refusing(kind: str, *, stops: bool = False) -> Function:
    return Function(lambda _: EndpointRefused(kind, kind=kind, stops=stops))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("first", "calls"),
    [(refusing("quota", stops=True), 1), (refusing("context_length"), 2), (Function(lambda _: busy()), 2)],
)
async def test_a_pool_takes_the_next_when_one_cannot(first: Function, calls: int) -> None:
    pool = Pool([first, Scripted("spare", "spare")])
    assert [(await pool.complete(ASK)).text for _ in range(2)] == ["spare", "spare"]
    assert len(first.requests) == calls, "one that refused for good is not asked again"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("endpoints", "kind", "stops"),
    [
        ((refusing("quota", stops=True), refusing("auth", stops=True)), "quota", True),
        ((refusing("quota", stops=True), refusing("bad_request")), "bad_request", False),
        ((refusing("quota", stops=True), Function(lambda _: busy())), "server_error", False),
    ],
)
async def test_a_pool_stops_the_run_only_if_nobody_is_left(endpoints: list[Endpoint], kind: str, stops: bool) -> None:
    with pytest.raises(EndpointError) as caught:
        await Pool(endpoints).complete(ASK)
    assert (caught.value.kind, caught.value.stops) == (kind, stops)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"endpoint": "opnai", "name": "m"}, "expected a base URL"),
        ({"endpoint": "127.0.0.1:8000", "name": "m"}, "expected a base URL"),
        ({"endpoint": "openai", "name": "m"}, "set OPENAI_API_KEY, or write `key: ${OPENAI_API_KEY}`"),
        ({"endpoint": "openai", "name": "m", "key": ""}, "OPENAI_API_KEY"),
        ({"endpoint": "http://127.0.0.1:8000/v1"}, "needs a `name` (`--model NAME`)"),
        ({"endpoint": "http://127.0.0.1:8000/v1", "name": "m", "key": "sk-1\n"}, "line break"),
        ({"name": "m"}, "needs an `endpoint`"),
        ({"use": ("default",)}, "cannot use itself"),
        ({"use": ("gone",)}, "no model has the alias `gone`"),
    ],
)
def test_a_model_that_cannot_work_is_found_before_any_call(model: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError) as caught:
        check_models({"default": Model.model_validate(model)})
    assert said in str(caught.value)
    assert str(caught.value).startswith("models.default")


def test_all_problems_come_at_once() -> None:
    with pytest.raises(TaskError) as caught:
        check_models({"a": Model(endpoint="x"), "b": Model(), "c": Model(use=("a", "d"))})
    assert len(caught.value.problems) == 3


def test_with_a_custom_endpoint_only_pools_are_checked() -> None:
    check_models({"a": Model(), "b": Model(use=("a",))}, custom_endpoint=True)
    with pytest.raises(TaskError, match=r"^models\.c\.use: a pool cannot use itself"):
        check_models({"a": Model(), "c": Model(use=("a", "c"))}, custom_endpoint=True)


def test_a_provider_s_name_stands_for_its_address() -> None:
    route = route_of("default", Model(endpoint="kimi", key=SecretStr("k")))
    assert (route.address, route.model_name) == ("https://api.moonshot.ai/v1", "kimi-k2.5")
    assert len({provider.name for provider in PROVIDERS}) == len(PROVIDERS)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost/v1", "http://[::1]:8/v1", "http://127.1.2.3/"])
def test_this_machine_is_this_machine(url: str) -> None:
    assert is_loopback(url)
    assert not is_loopback(url.replace("127.", "10.").replace("localhost", "localhost.example").replace("::1", "::2"))


def test_a_name_that_begins_like_this_machine_is_another_one() -> None:
    assert not is_loopback("http://127.0.0.1.example.com/v1")
    assert not is_loopback("http://127.example.com/v1")


def offline() -> Callable[[], Endpoint]:
    return lambda: Function(lambda _: "offline answer")


@pytest.mark.anyio
async def test_connect_opens_every_alias_and_pools_in_pools() -> None:
    async with FakeServer("from the wire") as server:
        models = {
            "default": Model(endpoint=server.url, name="m", calls=2),
            "off": Model(endpoint="offline"),
            "spare": Model(use=("both",)),
            "both": Model(use=("off", "default")),
        }
        async with connect(routes_of(models), Wiring(offline=offline(), rng=Random(1))) as router:
            texts = [(await router.complete(ASK.model_copy(update={"model": alias}))).text for alias in models]
            async with anyio.create_task_group() as group:
                for _ in range(6):
                    group.start_soon(router.complete, ASK)
            assert server.peak <= 2
    assert texts == ["from the wire", "offline answer", "offline answer", "offline answer"]


@pytest.mark.anyio
async def test_a_second_key_takes_over_when_the_first_is_spent() -> None:
    from swarm.testing.fake import error

    def respond(received: Received) -> str | Answer:
        spent = received.headers["authorization"].endswith("one")
        return Answer(status=429, body=error("spent", code="insufficient_quota")) if spent else "ok"

    async with FakeServer(respond=respond) as server:
        model = Model(endpoint=server.url, name="m", key=(SecretStr("key-one"), SecretStr("key-two")))
        async with connect(routes_of({"default": model}), Wiring(offline=offline(), rng=Random(1))) as router:
            for _ in range(3):
                assert (await router.complete(ASK)).text == "ok"
        assert len(server.requests) == 4


@pytest.mark.anyio
@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_that_says_nothing_is_left_holds_back_the_next_call(status: int) -> None:
    none_left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"}
    times: list[float] = []

    def respond(_: Received) -> Answer:
        times.append(anyio.current_time())
        return Answer(headers=none_left, status=status if len(times) == 1 else 200)

    async with FakeServer(respond=respond) as server:
        models = {"default": Model(endpoint=server.url, name="m"), "same": Model(endpoint=server.url, name="n")}
        async with connect(routes_of(models), Wiring(offline=offline(), rng=Random(1))) as router:
            await router.complete(ASK)
            await router.complete(ASK.model_copy(update={"model": "same"}))
    assert times[1] - times[0] >= 0.3, "the other alias of the endpoint waits, too"


@pytest.mark.anyio
async def test_a_refusal_that_says_how_long_to_wait_is_believed_over_its_counters() -> None:
    counters = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}
    calls = 0

    def respond(_: Received) -> Answer:
        nonlocal calls
        calls += 1
        return Answer(headers={**counters, "retry-after-ms": "10"}, status=429) if calls == 1 else Answer()

    async with FakeServer(respond=respond) as server:
        models = {"default": Model(endpoint=server.url, name="m", deadline=30)}
        async with connect(routes_of(models), Wiring(offline=offline(), rng=Random(1))) as router:
            await router.complete(ASK)
    assert calls == 2, "a wait of minutes would be longer than the deadline"


@pytest.mark.anyio
@pytest.mark.parametrize(("quota", "sent"), [({"rpm": 1}, 1), ({"tpm": 10}, 1), ({}, 2)])
async def test_the_quota_of_a_model_holds_back_its_calls(quota: dict[str, int], sent: int) -> None:
    """No clock is asked: a call without a quota has gone there and back five times, and the other is not sent yet."""
    async with FakeServer() as server:
        models = {
            "default": Model.model_validate({"endpoint": server.url, "name": "limited", **quota}),
            "free": Model(endpoint=server.url, name="free"),
        }
        async with (
            connect(routes_of(models), Wiring(offline=offline(), rng=Random(1))) as router,
            anyio.create_task_group() as group,
        ):
            await router.complete(ASK)
            group.start_soon(router.complete, ASK)
            for _ in range(5):
                await router.complete(ASK.model_copy(update={"model": "free"}))
            group.cancel_scope.cancel()
    assert [received.body["model"] for received in server.requests].count("limited") == sent
