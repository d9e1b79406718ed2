"""The adaptive limit: its rules one by one, and in virtual time against servers whose capacity nobody knows."""

from collections.abc import Callable
from functools import cache
from random import Random

import anyio
import pytest

from swarm.chat import Reply, Request, says
from swarm.endpoints.limit import COOL_SECONDS, HOLD_SECONDS, Limit
from swarm.endpoints.retry import Retrying
from swarm.errors import EndpointBusy, EndpointError
from swarm.events import SlotsChanged
from swarm.testing import Function, reply, virtual_time

ASK = Request(model="default", messages=(says("user", "hi"),))
CALLERS = 60


class Watched(Limit):
    """A limit whose changes are kept."""

    def __init__(self, start: int, most: int | None = None) -> None:
        self.changes: list[SlotsChanged] = []
        super().__init__("here", start=start, most=most, emit=self.changes.append)

    @property
    def sizes(self) -> list[int]:
        return [change.after for change in self.changes]

    async def round(self, share: float = 1.0) -> None:
        """Have as many calls answered as there are slots, at most that share of them at once."""
        left = self.size
        width = max(1, int(self.size * share))
        while left > 0:
            async with anyio.create_task_group() as group:
                for _ in range(min(width, left)):
                    group.start_soon(self._answered)
            left -= width

    async def _answered(self) -> None:
        async with self:
            await anyio.sleep(1)
            self.answered()


@pytest.mark.anyio
@pytest.mark.virtual
class TestRules:
    async def test_it_doubles_on_each_clean_round_until_the_first_429(self) -> None:
        limit = Watched(8)
        for _ in range(3):
            await limit.round()
        assert limit.sizes == [16, 32, 64]
        assert {change.why for change in limit.changes} == {"a clean round"}
        limit.refused(anyio.current_time())
        assert limit.size == 51

    async def test_then_it_grows_by_a_twentieth_up_to_what_was_too_much_and_after_a_while_beyond(self) -> None:
        limit = Watched(8)
        for _ in range(3):
            await limit.round()
        limit.refused(anyio.current_time())
        await anyio.sleep(COOL_SECONDS)
        del limit.changes[:]
        for _ in range(7):
            await limit.round()
        assert limit.sizes == [54, 57, 60, 63]
        await anyio.sleep(HOLD_SECONDS)
        await limit.round()
        assert limit.size == 67

    async def test_one_episode_is_one_cut_and_its_answers_do_not_count(self) -> None:
        limit = Watched(100)
        began = anyio.current_time()
        await anyio.sleep(1)
        for _ in range(5):
            limit.refused(began)
            await anyio.sleep(2)
        for _ in range(100):
            limit.answered()
        assert limit.sizes == [80]
        await anyio.sleep(COOL_SECONDS)
        limit.refused(began)
        assert limit.sizes == [80], "a call from before the cut"
        limit.refused(anyio.current_time())
        assert limit.sizes == [80, 64]

    async def test_the_endpoint_s_own_wait_is_kept_where_it_is_longer(self) -> None:
        limit = Watched(10)
        limit.refused(anyio.current_time(), 100.0)
        await anyio.sleep(90)
        await limit.round()
        assert limit.size == 8
        await anyio.sleep(10)
        await limit.round()
        assert limit.size == 9

    async def test_it_grows_only_where_it_was_used(self) -> None:
        limit = Watched(10)
        await limit.round(0.7)
        assert limit.sizes == []
        await limit.round(0.8)
        assert limit.sizes == [20]

    async def test_it_never_falls_below_one_nor_grows_above_its_most(self) -> None:
        limit = Watched(4, most=6)
        await limit.round()
        await limit.round()
        assert limit.sizes == [6]
        for _ in range(12):
            limit.refused(anyio.current_time())
            await anyio.sleep(COOL_SECONDS)
        assert limit.sizes == [6, 5, 4, 3, 2, 1]
        assert Watched(20, most=6).size == 6

    async def test_an_overload_pauses_growth_and_cuts_nothing(self) -> None:
        limit = Watched(8)
        limit.strained()
        await limit.round()
        assert limit.sizes == []
        limit.refused(anyio.current_time())
        assert limit.sizes == [6], "nor does it hide a rate limit"

    async def test_a_wrong_guess_is_taken_back_by_what_was_refused(self) -> None:
        limit = Watched(100)
        began = anyio.current_time()
        for _ in range(88):
            limit.refused(began)
        limit.begin()
        assert limit.sizes == [80, 12]
        assert limit.changes[-1].why == "88 of the first 100 calls at once were refused"
        for n in (100, 8):
            other = Watched(n)
            for _ in range(n):
                other.refused(began)
            other.begin()
            assert other.size == (8 if n == 100 else 6)

    async def test_what_fell_is_not_taken_for_a_guess_later(self) -> None:
        limit = Watched(20, most=20)
        await limit.round()
        for _ in range(15):
            limit.refused(anyio.current_time())
        limit.begin()
        assert limit.sizes == [16]


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("rate_limited", [8]), ("overloaded", []), ("server_error", []), ("disconnected", []), ("malformed", [])],
)
async def test_only_a_rate_limit_shrinks_it(kind: str, sizes: list[int]) -> None:
    limit = Watched(10)
    answers = [EndpointBusy("no", kind=kind), reply("ok")]
    await Retrying(Function(lambda _: answers.pop(0)), rng=Random(1), limit=limit).complete(ASK)
    assert limit.sizes == sizes
    assert limit.in_use == 0


@pytest.mark.anyio
@pytest.mark.virtual
async def test_aliases_of_one_endpoint_share_its_slots() -> None:
    limit, active, peak = Watched(3, most=3), 0, 0

    async def complete(request: Request) -> Reply:
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        await anyio.sleep(1)
        active -= 1
        return reply("ok")

    aliases = [Retrying(Function(complete), rng=Random(n), limit=limit) for n in range(2)]
    async with anyio.create_task_group() as group:
        for n in range(20):
            group.start_soon(aliases[n % 2].complete, ASK)
    assert peak == 3


class Server:
    """Answers as many calls at once as it has room for, or as many a minute, and says 429 to the rest."""

    def __init__(self, capacity: Callable[[float], int], rpm: int | None = None, latency: float = 20.0) -> None:
        self.capacity = capacity
        self.rpm = rpm
        self.latency = latency
        self.served = 0
        self.refused: list[float] = []
        self.began = 0.0
        self._active = 0
        self._admitted: list[float] = []
        self._rng = Random(5)

    async def complete(self, request: Request) -> Reply:
        now = anyio.current_time() - self.began
        self._admitted = [at for at in self._admitted if at > now - 60]
        if self._active >= self.capacity(now) or (self.rpm is not None and len(self._admitted) >= self.rpm):
            self.refused.append(now)
            await anyio.sleep(0.05)
            raise EndpointBusy("429", kind="rate_limited", status=429)
        self._active += 1
        self._admitted.append(now)
        await anyio.sleep(self.latency * self._rng.uniform(0.7, 1.3))
        self._active -= 1
        self.served += 1
        return reply("ok")


SECONDS = 2400


def drive(server: Server, *, limit: Limit | None = None, width: int | None = None) -> Server:
    """Call a server all the time, in virtual time, within a limit or a constant width."""

    async def main() -> None:
        server.began = anyio.current_time()
        slots = None if width is None else anyio.CapacityLimiter(width)
        endpoint = Retrying(server, rng=Random(1), slots=slots, limit=limit)

        async def work() -> None:
            while True:
                try:
                    await endpoint.complete(ASK)
                except EndpointError as error:
                    if not error.may_help:
                        raise

        with anyio.move_on_after(SECONDS):
            async with anyio.create_task_group() as group:
                for _ in range(CALLERS):
                    group.start_soon(work)

    backend, options = virtual_time()
    anyio.run(main, backend=backend, backend_options=options)
    return server


WEATHERS: dict[str, tuple[Callable[[], Server], tuple[int, ...]]] = {
    "fixed": (lambda: Server(lambda _: 20), (19, 20)),
    "falling": (lambda: Server(lambda t: 30 if t < SECONDS / 2 else 10), (10, 30)),
    "rising": (lambda: Server(lambda t: 10 if t < SECONDS / 2 else 30), (10, 30)),
    "quota": (lambda: Server(lambda _: 1000, rpm=100, latency=10), (16, 17)),
}
"""Each server, and the constant widths that may be the best: `bench/limit.py` tries fifteen."""


@cache
def best_constant(weather: str) -> int:
    """Count the calls of the best constant width, chosen with hindsight."""
    make, widths = WEATHERS[weather]
    return max(drive(make(), width=width).served for width in widths)


@pytest.mark.parametrize("start", [8, CALLERS], ids=["from eight", "from a guess"])
@pytest.mark.parametrize("weather", WEATHERS)
def test_it_comes_within_a_tenth_of_the_best_constant_width_without_a_storm(weather: str, start: int) -> None:
    server = drive(WEATHERS[weather][0](), limit=Limit(start=start, most=CALLERS))
    assert server.served >= 0.9 * best_constant(weather)
    refused = [sum(60 * n <= at < 60 * (n + 1) for at in server.refused) for n in range(SECONDS // 60)]
    assert sum(refused) <= 0.2 * server.served + 4 * CALLERS
    assert max(refused) <= 4 * CALLERS
