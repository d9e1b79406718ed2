"""Before anything is paid for: models that will be needed later are looked at, once, where nothing has told yet."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused
from swarm.budget.meter import Meters
from swarm.budget.setup import open_meters
from swarm.endpoints.account import Account
from swarm.endpoints.offline import Offline
from swarm.endpoints.preflight import FINISH, SECONDS, Preflight, Wire, already_served
from swarm.endpoints.route import routes_of
from swarm.endpoints.wiring import Told, Wiring
from swarm.record import events as e
from swarm.record.state import State
from swarm.spec.chat import Reply, Request, Usage, says
from swarm.spec.tariff import FREE
from swarm.spec.task import Limits, Model
from swarm.testing import Scripted, reply

virtual = [pytest.mark.anyio, pytest.mark.virtual]


class Fake:
    """An endpoint that lists, or not, and answers, or not, after a while."""

    label = "there"

    def __init__(self, lists: Any = (), answer: Any = "ok", seconds: float = 0.0) -> None:
        self.lists = lists
        self.answer = answer
        self.seconds = seconds
        self.listed_times = 0
        self.requests: list[Request] = []

    async def listed(self, *, seconds: float) -> tuple[dict[str, Any], ...]:
        self.listed_times += 1
        with anyio.move_on_after(seconds) as scope:
            await anyio.sleep(self.seconds)
        if scope.cancelled_caught:
            raise EndpointBusy("no list in time", kind="timeout")
        if isinstance(self.lists, EndpointError):
            raise self.lists
        return tuple({"id": name} for name in self.lists)

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        await anyio.sleep(self.seconds)
        if isinstance(self.answer, EndpointError):
            raise self.answer
        return reply(self.answer, usage=Usage(calls=1, input_tokens=8, output_tokens=1))


def refused(kind: str) -> EndpointRefused:
    stops = kind in {"model_not_found", "wrong_path", "auth", "quota", "tls"}
    return EndpointRefused(f"because of {kind}", kind=kind, stops=stops)


def busy(kind: str) -> EndpointBusy:
    return EndpointBusy(f"because of {kind}", kind=kind)


def at(name: str, **more: Any) -> Model:
    return Model.model_validate({"endpoint": f"https://{name}.example/v1", "name": "m", **more})


class Bench:
    """A preflight over doubles: what it told, warned of, and let through."""

    def __init__(
        self, models: dict[str, Model], fakes: dict[str, Fake], ahead: tuple[str, ...] = (), tokens: int = 100_000
    ) -> None:
        self.told: list[e.TurnTaken] = []
        self.warned: list[str] = []
        self.opened: list[tuple[str, Model]] = []
        self.inner = Scripted(*["fine"] * 9)
        self.fakes = fakes
        routes = {alias: replace(route, tariff=FREE) for alias, route in routes_of(models).items()}
        self.meters: Meters = open_meters(Limits(tokens=tokens), routes, State(), keep=False)
        wiring = Wiring(rng=Random(1), offline=Offline, around=self.meters.around, emit=self.tell)
        self.preflight = Preflight(
            self.inner,
            routes,
            wiring,
            ahead=ahead or models,
            warn=self.warned.append,
            open_=self.open,
        )

    def tell(self, event: Told) -> None:
        assert isinstance(event, e.TurnTaken)
        self.told.append(event)

    def open(self, model: Model, key: str) -> AbstractAsyncContextManager[Wire]:
        @asynccontextmanager
        async def opened() -> AsyncGenerator[Wire]:
            host = (model.endpoint or "").removeprefix("https://").partition(".")[0]
            self.opened.append((key, model))
            yield self.fakes[f"{host} {key}".strip()]

        return opened()

    async def ask(self, alias: str = "default") -> Reply:
        account = Account("plan", 1)
        return await self.preflight.complete(Request(model=alias, messages=(says("user", "hi"),), account=account))

    @property
    def spent(self) -> int:
        return self.meters.queue.ledger.pots["tokens"].spent


class TestOneLook:
    pytestmark = virtual

    @pytest.mark.parametrize(
        ("lists", "answer", "asked", "stops"),
        [
            (("m",), refused("model_not_found"), 0, False),
            (("n",), "ok", 1, False),
            ((), "ok", 1, False),
            (refused("wrong_path"), "ok", 1, False),
            (refused("auth"), "ok", 1, False),
            (busy("malformed"), "ok", 1, False),
            (busy("server_error"), "ok", 1, False),
            *(((), refused(kind), 1, True) for kind in ("model_not_found", "wrong_path", "auth", "quota")),
            *(((), refused(kind), 1, False) for kind in ("bad_request", "tls", "content_filter", "too_large")),
            *(((), busy(kind), 1, False) for kind in ("rate_limited", "overloaded", "server_error", "disconnected")),
            *((busy(kind), refused("auth"), 0, False) for kind in ("unreachable", "timeout", "rate_limited")),
        ],
    )
    async def test_what_it_lists_or_answers_decides(self, lists: Any, answer: Any, asked: int, stops: bool) -> None:
        fake = Fake(lists, answer)
        bench = Bench({"default": at("a"), "strong": at("b")}, {"b": fake})
        if stops:
            with pytest.raises(EndpointRefused, match=r"models.strong: https://b.example/v1: because of") as caught:
                await bench.ask()
            assert (caught.value.kind, caught.value.stops) == (answer.kind, True)
            assert bench.inner.requests == []
        else:
            assert (await bench.ask()).text == "fine"
        assert (fake.listed_times, len(fake.requests)) == (1, asked)
        assert [problem.key for problem in bench.preflight.problems] == (["models.strong"] if stops else [])
        told = [(event.usage.charged_tokens, event.usage.calls, event.finish, event.step) for event in bench.told]
        billed = asked and (answer == "ok" or answer.kind in {"server_error", "disconnected"})
        assert told == ([(bench.spent, 1, FINISH, "plan")] if billed else [])
        assert bench.spent == (9 if answer == "ok" and asked else bench.spent if billed else 0)

    async def test_what_is_sent_is_a_word_a_cap_of_one_and_nothing_of_the_task(self) -> None:
        fake = Fake()
        strong = at("b", params={"temperature": 0.3, "max_tokens": 900}, extra={"top_k": 20})
        bench = Bench({"default": at("a"), "strong": strong}, {"b": fake})
        await bench.ask()
        (sent,) = fake.requests
        assert ([m.text for m in sent.messages], sent.max_tokens, sent.labels, sent.tools) == (["1"], 1, (), ())
        assert [(model.params, model.extra) for _, model in bench.opened][-1] == ({}, {})

    async def test_a_slow_endpoint_holds_nobody_up_for_longer_than_said_and_what_was_cut_off_is_charged(self) -> None:
        slow, slower = Fake(busy("server_error"), seconds=2.9), Fake(seconds=60)
        slow.answer = "late"
        models = {"default": at("a"), "b": at("b"), "c": at("c")}
        bench = Bench(models, {"b": slow, "c": slower})
        slow.seconds = 2.9
        began = anyio.current_time()

        async def hang(request: Request) -> Reply:
            slow.requests.append(request)
            await anyio.sleep(1000)
            return reply("never")

        slow.complete = hang
        assert (await bench.ask()).text == "fine"
        assert anyio.current_time() - began == pytest.approx(SECONDS)
        assert (len(slow.requests), len(slower.requests)) == (1, 0)
        (event,) = bench.told
        assert (event.usage.calls, event.usage.tokens, event.usage.unanswered_tokens) == (1, 0, bench.spent)

    async def test_all_are_looked_at_side_by_side_and_once(self) -> None:
        fakes = {name: Fake(seconds=2.0) for name in "bcd"}
        bench = Bench({name: at(name) for name in "abcd"}, fakes)
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(bench.ask, "a")
        assert anyio.current_time() - began == pytest.approx(4.0)
        assert [(fake.listed_times, len(fake.requests)) for fake in fakes.values()] == [(1, 1)] * 3
        assert len(bench.inner.requests) == 5

    async def test_who_is_stopped_while_looking_leaves_the_others_free(self) -> None:
        bench = Bench({"default": at("a"), "strong": at("b")}, {"b": Fake(seconds=2.0)})
        with anyio.move_on_after(1):
            await bench.ask()
        assert (await bench.ask()).text == "fine"

    async def test_the_same_model_under_two_names_is_one_and_so_is_that_of_the_first_call(self) -> None:
        fake = Fake()
        bench = Bench({"default": at("a"), "x": at("b"), "y": at("b", calls=3), "z": at("a")}, {"b": fake})
        await bench.ask()
        assert (fake.listed_times, len(fake.requests), len(bench.opened)) == (1, 1, 2)

    async def test_what_is_in_the_package_or_in_a_file_is_there(self) -> None:
        models = {"default": at("a"), "off": Model(endpoint="offline"), "file": Model(endpoint="local:/x/y.gguf")}
        bench = Bench(models, {})
        await bench.ask()
        assert bench.opened == []

    async def test_a_budget_without_room_is_no_verdict(self) -> None:
        fake = Fake()
        bench = Bench({"default": at("a"), "strong": at("b")}, {"b": fake}, tokens=10)
        assert (await bench.ask()).text == "fine"
        assert (fake.requests, bench.spent) == ([], 0)


class TestPools:
    pytestmark = virtual

    async def test_one_bad_member_is_a_warning(self) -> None:
        models = {"default": at("a"), "b": at("b"), "c": at("c"), "pool": Model(use=("b", "c"))}
        bench = Bench(models, {"b": Fake((), refused("auth")), "c": Fake(("m",))}, ahead=("default", "pool"))
        assert (await bench.ask()).text == "fine"
        assert bench.warned == ["models.b: https://b.example/v1: because of auth; the run continues without it"]

    async def test_a_pool_of_bad_members_stops_and_both_are_named(self) -> None:
        models = {"default": at("a"), "b": at("b"), "c": at("c"), "pool": Model(use=("b", "c"))}
        fakes = {"b": Fake((), refused("auth")), "c": Fake((), refused("quota"))}
        bench = Bench(models, fakes, ahead=("default", "pool"))
        with pytest.raises(EndpointRefused, match=r"^models.pool: .*b\.example.*because of auth; .*c\.example.*quota"):
            await bench.ask()
        assert bench.warned == []

    async def test_a_pool_that_the_first_call_goes_to_is_never_wholly_bad(self) -> None:
        models = {"b": at("b"), "c": at("c"), "default": Model(use=("b", "c"))}
        bench = Bench(models, {"c": Fake((), refused("auth"))}, ahead=("default",))
        assert (await bench.ask()).text == "fine"
        assert [line[:8] for line in bench.warned] == ["models.c"]

    async def test_one_key_of_two_is_a_warning_and_no_key_is_told(self) -> None:
        keys = (SecretStr("k1"), SecretStr("k2"))
        models = {"default": at("a"), "strong": at("b", key=keys)}
        fakes = {"b k1": Fake((), refused("auth")), "b k2": Fake((), "ok")}
        bench = Bench(models, fakes)
        assert (await bench.ask()).text == "fine"
        assert len(bench.warned) == 1
        fakes["b k2"].answer = refused("auth")
        again = Bench(models, fakes)
        with pytest.raises(EndpointRefused) as caught:
            await again.ask()
        assert "k1" not in str(caught.value)


def test_who_answered_before_and_is_still_written_so_has_served() -> None:
    def task(**models: str) -> dict[str, Any]:
        return {"models": {alias: {"endpoint": url} for alias, url in models.items()}}

    usage = Usage(calls=1, input_tokens=1, output_tokens=1)
    turn = {"attempt": 1, "usage": usage, "seconds": 0.0, "model": "m", "endpoint": "e"}
    start = {"attempt": 1, "span": "0" * 16}
    said = (says("assistant", "yes"),)
    events: list[e.Stamped] = [
        e.RunStarted(run="r", trace="", versions={}, task=task(a="1", b="1", c="1"), agents=()),
        *(e.StepStarted.model_validate({"step": name, "model": name, **start}) for name in "abc"),
        e.TurnTaken.model_validate({"step": "a", "messages": said, **turn}),
        e.TurnTaken.model_validate({"step": "b", "messages": said, **turn}),
        e.TurnTaken.model_validate({"step": "c", "messages": (), "finish": FINISH, **turn}),
    ]
    assert already_served(events, task(a="1", b="2", c="1")["models"]) == {"a"}
    assert already_served([], {}) == set()
