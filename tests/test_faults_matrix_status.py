"""Rows 1 to 23 of the fault matrix: what a status says. Where waiting matters, in virtual time."""

from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from random import Random

import anyio
import pytest
from faults import ASK, KEY, Case, ask_once, calls, model, of, seen_on_the_wire, told

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused, TaskError
from swarm.endpoints.offline import Offline
from swarm.endpoints.route import routes_of
from swarm.endpoints.router import connect
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.judge import judge
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wiring import Wiring
from swarm.lifecycle.run import Run
from swarm.record.events import SlotsChanged
from swarm.spec.chat import Reply, Request
from swarm.spec.task import Model, Task
from swarm.testing import Function, reply
from swarm.testing.fake import Answer, FakeServer, Received, error

pytestmark = pytest.mark.anyio

PASSES = "once: answered 'passed', 2 calls"
WORDINGS = {
    "code": error("too long", code="context_length_exceeded"),
    "OpenAI words": error("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens"),
    "vLLM words": {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
    "llama.cpp words": error("the request exceeds the available context size", kind="exceed_context_size_error"),
}


@of(
    Case(1, "429", f"retried: rate_limited, 16 calls; {PASSES}", Answer(status=429)),
    Case(6, "insufficient quota", "endpoint stopped: quota, 1 call",
         Answer(status=429, body=error("You exceeded your current quota", code="insufficient_quota"))),
    Case(6, "hard limit", "endpoint stopped: quota, 1 call",
         Answer(status=429, body=error("Billing hard limit has been reached", code="billing_hard_limit_reached"))),
    Case(7, "larger than the limit", "refused: too_large, 1 call",
         Answer(status=429, body=error("Request too large for m on tokens per min (TPM): Limit 10000, Requested 20000",
                                       code="rate_limit_exceeded", kind="tokens"))),
    Case(7, "the minute is used up", f"retried: rate_limited, 16 calls; {PASSES}",
         Answer(status=429, body=error("Rate limit reached for m on tokens per min (TPM): Limit 10000, Used 9000",
                                       code="rate_limit_exceeded", kind="tokens"))),
    *(Case(9, str(status), f"retried: server_error, 4 calls; {PASSES}", Answer(status=status))
      for status in (500, 502, 503, 504)),
    Case(10, "529", f"retried: overloaded, 8 calls; {PASSES}", Answer(status=529)),
    Case(10, "503 overloaded_error", f"retried: overloaded, 8 calls; {PASSES}",
         Answer(status=503, body=error("no", kind="overloaded_error"))),
    Case(11, "408", f"retried: timeout, 4 calls; {PASSES}", Answer(status=408)),
    Case(11, "409", f"retried: server_error, 4 calls; {PASSES}", Answer(status=409)),
    *(Case(12, str(status), "refused: bad_request, 1 call", Answer(status=status)) for status in (400, 418, 422)),
    *(Case(13, name, "refused: context_length, 1 call", Answer(status=400, body=body))
      for name, body in WORDINGS.items()),
    Case(15, "404", "endpoint stopped: model_not_found, 1 call",
         Answer(status=404, body=error("The model `m` does not exist", code="model_not_found"))),
    Case(17, "413", "refused: too_large, 1 call", Answer(status=413)),
    Case(18, "500", "refused: server_error, 1 call", Answer(status=500, headers={"x-should-retry": "false"})),
    Case(19, "400", f"retried: bad_request, 2 calls; {PASSES}",
         Answer(status=400, headers={"x-should-retry": "true"})),
)  # fmt: skip
async def test_a_status_is_retried_refused_or_stops(case: Case) -> None:
    assert await seen_on_the_wire(case.give) == case.seen
    assert await seen_on_the_wire(case.give, stream=True) == case.seen


# What is waited, in virtual time


class Wire:
    """An endpoint that meets faults as the wire would give them; it notes when it was called."""

    def __init__(self, *faults: Fault) -> None:
        self.times: list[float] = []
        self._faults = list(faults)
        self._began = anyio.current_time()

    async def complete(self, request: Request) -> Reply:
        self.times.append(round(anyio.current_time() - self._began, 6))
        if self._faults:
            raise judge(self._faults.pop(0))
        return reply("ok")


def limited(**headers: str) -> Fault:
    return Fault(status=429, headers={name.replace("_", "-"): value for name, value in headers.items()})


def gaps(times: list[float]) -> list[float]:
    return [round(b - a, 6) for a, b in pairwise(times)]


@of(Case(2, "five callers", "one gets the 429; all five wait 1 s", limited(retry_after="1")))
@pytest.mark.virtual
async def test_all_callers_wait(case: Case) -> None:
    wire = Wire(case.give)
    endpoint = Retrying(wire, rng=Random(1), slots=anyio.CapacityLimiter(1), cooldown=Cooldown())
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(endpoint.complete, ASK)
    assert wire.times == [0.0] + [1.0] * 5
    assert case.seen == "one gets the 429; all five wait 1 s"


@of(Case(1, "to five of ten parallel calls", "slots 10 to 5, once: rate limit: 5 in flight were accepted", limited()))
@pytest.mark.virtual
async def test_an_episode_cuts_the_limit_once(case: Case) -> None:
    changes: list[SlotsChanged] = []
    limit = Limit("e", start=10, most=10, emit=changes.append)
    limit.begin()

    async def slow(request: Request) -> Reply:
        await anyio.sleep(1)
        return await wire.complete(request)

    wire = Wire(*[case.give] * 5)
    endpoint = Retrying(Function(slow), rng=Random(1), limit=limit)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(endpoint.complete, ASK)
    (change,) = changes
    assert f"slots {change.before} to {change.after}, once: {change.why}" == case.seen


NOW = "Sun, 22 Nov 2026 10:00:00 GMT"
BACKS_OFF = "waits up to 0.5 s, by backoff"


@of(
    Case(3, "150 ms and 9 s", "waits 0.15 s", limited(retry_after_ms="150", retry_after="9")),
    Case(4, "a date in 30 s", "waits 30 s", limited(retry_after="Sun, 22 Nov 2026 10:00:30 GMT", date=NOW)),
    Case(4, "a past date", BACKS_OFF, limited(retry_after="Sun, 22 Nov 2026 09:00:00 GMT", date=NOW)),
    Case(4, "an invalid date", BACKS_OFF, limited(retry_after="Sun, 99 Nov 2026 10:00:30 GMT", date=NOW)),
    Case(4, "1.5", "waits 1.5 s", limited(retry_after="1.5")),
    *(Case(4, name, BACKS_OFF, limited(retry_after=value))
      for name, value in {"0": "0", "-5": "-5", "inf": "inf", "nan": "nan", "empty": "", "garbage": "soon"}.items()),
    Case(4, "35 digits", "raised immediately: rate_limited", limited(retry_after="9" * 35)),
    Case(5, "86400", "raised immediately: rate_limited", limited(retry_after="86400")),
)  # fmt: skip
@pytest.mark.virtual
async def test_what_the_endpoint_says_about_waiting(case: Case) -> None:
    wire = Wire(case.give)
    raised: list[EndpointError] = []
    try:
        await Retrying(wire, rng=Random(1)).complete(ASK)
    except EndpointError as error:
        raised.append(error)
    if raised:
        seen = f"raised immediately: {raised[0].kind}"
        wanted = float(case.give.headers["retry-after"])
        assert wire.times == [0.0]
        assert f"wait {wanted:,.0f} s" in str(raised[0]), "people are told how long it would take"
    else:
        (gap,) = gaps(wire.times)
        known = {0.15: "waits 0.15 s", 1.5: "waits 1.5 s", 30.0: "waits 30 s"}
        seen = known.get(gap, BACKS_OFF if 0 < gap <= 0.5 else f"waits {gap}")
    assert seen == case.seen


@of(Case(23, "every other call, at random", "1,000 calls: all answered or server_error, fewer than 2 tries per call"))
@pytest.mark.virtual
async def test_an_endpoint_that_flips(case: Case) -> None:
    coin = Random(23)

    def flip(request: Request) -> Reply | EndpointError:
        return reply("ok") if coin.random() < 0.5 else judge(Fault(status=500))

    wire = Function(flip)
    endpoint = Retrying(wire, rng=Random(1))
    kinds: list[str] = []

    async def one() -> None:
        try:
            kinds.append((await endpoint.complete(ASK)).text)
        except EndpointError as error:
            kinds.append(error.kind)

    async with anyio.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(one)
    assert (len(kinds), set(kinds)) == (1000, {"ok", "server_error"})
    assert kinds.count("server_error") < 100, "one call in sixteen meets four heads in a row"
    tries = len(wire.requests) / 1000
    assert (await endpoint.complete(ASK)).text == "ok", "no breaker latches"
    assert case.seen == f"1,000 calls: all answered or server_error, fewer than {tries + 0.5:.0f} tries per call"


class Strict:
    """An endpoint that lets one call in every ten seconds through, and answers 429 to all others."""

    def __init__(self, *, until: float) -> None:
        self.refused: list[float] = []
        self.served: list[float] = []
        self._until = until
        self._next = 0.0
        self._began = anyio.current_time()

    async def complete(self, request: Request) -> Reply:
        await anyio.sleep(0.1)
        now = anyio.current_time() - self._began
        if now < self._next and now < self._until:
            self.refused.append(now)
            raise judge(Fault(status=429))
        self._next = now + 10
        self.served.append(now)
        return reply("ok")


@of(
    Case(
        8,
        "one call per 10 s is accepted",
        "20 workers: an answer every minute; after the first, at most 4 429s per minute and worker",
    )
)
@pytest.mark.virtual
async def test_ten_minutes_of_429(case: Case) -> None:
    strict = Strict(until=600)
    endpoint = Retrying(strict, rng=Random(8), cooldown=Cooldown())

    async def work() -> None:
        while anyio.current_time() - began < 600:
            with suppress(EndpointBusy):  # anything else would be wrong
                await endpoint.complete(ASK)

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    served = [sum(60 * n <= t < 60 * n + 60 for t in strict.served) for n in range(10)]
    refused = [sum(60 * n <= t < 60 * n + 60 for t in strict.refused) for n in range(10)]
    assert min(served) >= 1
    assert max(refused[1:]) <= 4 * 20
    assert case.seen == "20 workers: an answer every minute; after the first, at most 4 429s per minute and worker"


# What is said


@of(
    Case(14, "401", "endpoint stopped: auth, 1 call of 20", Answer(status=401, body=error(f"Incorrect key: {KEY}"))),
    Case(14, "403", "endpoint stopped: auth, 1 call of 20", Answer(status=403, body=error(f"You sent {KEY}"))),
)
async def test_a_bad_key_costs_one_call_of_twenty(case: Case) -> None:
    seen: set[str] = set()

    async def one(endpoint: Retrying) -> None:
        with pytest.raises(EndpointRefused) as caught:
            await endpoint.complete(ASK)
        assert KEY not in str(caught.value)
        seen.add(told(caught.value, 1))

    async with FakeServer(case.give) as server:
        async with OpenAIEndpoint(model(server)) as wire:
            endpoint = Retrying(wire, rng=Random(1), slots=anyio.CapacityLimiter(1))
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(one, endpoint)
        assert [f"{line} of 20" for line in seen] == [case.seen]
        assert len(server.requests) == 1


@of(Case(13, "a larger model is configured", "the next model of `use:` answers"))
async def test_a_larger_model_takes_what_is_too_long(case: Case) -> None:
    async with FakeServer(Answer(status=400, body=WORDINGS["code"])) as small, FakeServer("read") as large:
        models = {"small": model(small), "large": model(large), "default": Model(use=("small", "large"))}
        async with connect(routes_of(models), Wiring(offline=Offline, rng=Random(1))) as router:
            assert (await router.complete(ASK)).text == "read"
        assert (len(small.requests), len(large.requests)) == (1, 1)
    assert case.seen == "the next model of `use:` answers"


@of(
    Case(12, "a long body", "stored, truncated to 2 kB", Answer(status=422, body=error("no " * 5000))),
    Case(16, "/v1/v1", "endpoint stopped: wrong_path, 1 call; the URL is shown",
         Answer(status=404, body={"detail": "Not Found"})),
    Case(20, "a page", "retried: server_error, 4 calls; no tags, no control characters",
         Answer(status=502, headers={"content-type": "text/html"},
                body=b"<html><h1>502 \x1b[31mBad\x07 Gateway</h1><script>alert(1)</script>" + b"<p>x</p>" * 9000)),
)  # fmt: skip
async def test_what_it_said_is_told_briefly(case: Case) -> None:
    async with FakeServer(case.give) as server:
        path = f"{server.url}/v1" if case.row == 16 else server.url
        result, number = await ask_once(path)
        message = str(result)
        if case.row == 16:
            assert f"{server.url}/v1/chat/completions" in message
            assert case.seen == f"{told(result, number)}; the URL is shown"
        elif case.row == 20:
            assert "502" in message
            assert "Bad" in message
            assert [mark for mark in ("<", "alert", "\x1b", "\x07") if mark in message] == []
            assert case.seen == f"{told(result, number)}; no tags, no control characters"
        else:
            assert "no no no" in message
            assert len(message.encode()) == pytest.approx(2048, abs=3)
            assert case.seen == "stored, truncated to 2 kB"


@of(
    Case(21, "another path", "refused: redirect, 1 call", "path"),
    Case(21, "another host", "refused: redirect, 1 call; nothing reaches it", "host"),
    Case(22, "to itself", "refused: redirect, 1 call", "loop"),
)
async def test_a_redirect_is_not_followed(case: Case) -> None:
    async with FakeServer() as other:
        places = {"path": "/v2/chat/completions", "host": f"{other.url}/chat/completions"}
        answer = Answer(status=307, headers={"location": places.get(case.give, "/v1/chat/completions")})
        async with FakeServer(answer) as server:
            result, number = await ask_once(server)
        line = told(result, number)
        assert other.connections == 0
        assert case.seen == (f"{line}; nothing reaches it" if case.give == "host" else line)
        assert calls(number) == "1 call"


NOT_THERE = Answer(status=404, body=error("The model `m` does not exist", code="model_not_found"))
LOOKED = "checked before the plan: {}, 1 call of one token; nothing was spent, exit code 1"


@of(
    Case(15, "of the workers", LOOKED.format("model_not_found"), NOT_THERE),
    Case(15, "of the workers, wrong path", LOOKED.format("wrong_path"), Answer(status=404, body={"detail": "no"})),
    Case(15, "of the workers, bad key", LOOKED.format("auth"), Answer(status=401)),
    Case(15, "of the workers, exhausted quota", LOOKED.format("quota"), Answer(status=402)),
    Case(15, "of the workers, only busy", "checked before the plan: no verdict, the run continues", Answer(status=429)),
    Case(15, "of one of a pool", "checked before the plan: a warning, the others are used", NOT_THERE),
)  # fmt: skip
async def test_what_will_be_needed_is_looked_at_before_the_plan_is_paid_for(case: Case, tmp_path: Path) -> None:
    plan = '{"steps": [{"id": "a", "prompt": "A."}, {"id": "b", "prompt": "B."}]}'

    def answers(received: Received) -> str | Answer:
        return plan if "response_format" in received.body else "It is. [a]"

    def once(received: Received) -> str | Answer:
        return case.give if received.body["max_tokens"] == 1 else "passed"

    async with FakeServer(respond=answers) as good, FakeServer(respond=once, models=Answer(status=404)) as bad:
        models = {"strong": model(good), "default": model(bad)}
        if "pool" in case.what:
            models = {"strong": model(good), "x": model(bad), "y": model(good), "default": Model(use=("x", "y"))}
        task = Task(goal="What?", models=models, folder=tmp_path, swarm="always")
        async with Run(task) as run:
            pass
    refused: list[TaskError] = []
    try:
        assert run.result.status == "done"
        assert [words[:9] for words in run.warnings] == (["models.x:"] if "pool" in case.what else [])
        seen = "a warning, the others are used" if run.warnings else "no verdict, the run continues"
        assert case.seen == f"checked before the plan: {seen}"
    except TaskError as wrong:
        refused.append(wrong)
    for words in refused:
        kind = next(s.error.kind for s in run.state.steps.values() if s.error is not None)
        assert (len(good.requests), run.state.usage.tokens, [r.body["max_tokens"] for r in bad.requests]) == (0, 0, [1])
        assert f"models.default: {bad.url}: " in str(words)
        assert (case.seen, words.exit_code) == (LOOKED.format(kind), 1)
