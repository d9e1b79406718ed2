"""Whether siblings should wait for the first one's first token (`warm: true`): time and price with it against without.

    python bench/prefix.py [--siblings 32] [--workers 16] [--seeds 9] [--local FILE.gguf] [--rounds 3]

First a model of a server, in virtual time: a prompt is read at so many tokens a second, its beginning is in the cache
from the first token on, and what is cached is read at once. `hosted` reads prompts in parallel; `own` is one machine
that reads them one after the other. Times to the first token vary (log-normal, sigma 0.5), alike with and without.
Cached input costs a tenth or a quarter, as with the providers that publish it. Then, with `--local`, llama.cpp with a
real model, four slots: the rounds alternate, each with a beginning of its own. Printed are medians, and the ratio with
to without, of the time until all have answered, of the price of the input, and of the tokens that were cached. It pays
where the price falls by more than the time grows; the aim is a price ratio below 0.5 at a time ratio below 1.1.
"""

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path
from random import Random

import anyio

from swarm.endpoints import Endpoint
from swarm.endpoints.offline import Offline
from swarm.endpoints.prefix_cache import Leads, PrefixFirst
from swarm.endpoints.route import routes_of
from swarm.endpoints.router import connect
from swarm.endpoints.wiring import Wiring
from swarm.local_models.serve import SLOTS
from swarm.spec.chat import Data, Message, Reply, Request, Text, Usage, says
from swarm.spec.task import Model
from swarm.testing import reply, virtual_time

READ = {"hosted": 8_000, "own": 3_000}
"""Tokens of a prompt that are read in a second: what hosted models and a card of one's own show at 8k tokens."""
WRITE = 60
"""Tokens of an answer written in a second."""
ANSWER = 300
SHARED = 1_300
"""Tokens that siblings share in the measurement with a real model."""
OWN = 300
"""Tokens of a prompt that are a sibling's own."""


def sibling(number: int, shared: int, own_tokens: int = OWN, name: str = "") -> Request:
    """Write a step's request: what siblings share, then its own."""
    start = Data(of="input", name=f"notes{name}", text=f"{name} " + "The wiki has five disks. " * (shared // 6))
    own = Text(text=f"Question {number}. " + "Look at it. " * (own_tokens // 4))
    return Request(model="default", messages=(says("system", "You work."), Message(role="user", parts=(start, own))))


class Server:
    """An endpoint with a prefix cache, in virtual time."""

    def __init__(self, kind: str, shared: int, rng: Random, *, streams: bool) -> None:
        self.cached = 0
        self.first: Callable[[Request], None] = lambda _: None
        self._kind = kind
        self._shared = shared
        self._rng = rng
        self._streams = streams
        self._read = False
        self._turn = anyio.Lock()

    async def complete(self, request: Request) -> Reply:
        """Read what is not cached, then write."""
        if self._kind == "own":
            async with self._turn:
                known = await self._look()
        else:
            known = await self._look()
        self._read = True
        self.cached += known
        if self._streams:
            self.first(request)
        await anyio.sleep(ANSWER / WRITE)
        return reply("So.", usage=Usage(calls=1, input_tokens=self._shared + OWN, output_tokens=ANSWER))

    async def _look(self) -> int:
        known = self._shared if self._read else 0
        seconds = 0.2 + (self._shared + OWN - known) / READ[self._kind]
        await anyio.sleep(seconds * self._rng.lognormvariate(0.0, 0.5))
        return known


async def together(ask: Callable[[Request], Awaitable[Reply]], requests: list[Request], workers: int) -> list[Reply]:
    """Have all of them answered, so many at once."""
    replies: list[Reply] = []
    free = anyio.CapacityLimiter(workers)

    async def one(request: Request) -> None:
        async with free:
            replies.append(await ask(request))

    async with anyio.create_task_group() as group:
        for request in requests:
            group.start_soon(one, request)
    return replies


async def modelled(server: Server, shared: int, options: argparse.Namespace, *, warm: bool) -> tuple[float, int]:
    """Run all siblings against the model of a server: seconds, and tokens that were cached."""
    endpoint: Endpoint = server
    if warm:
        leads = Leads()
        server.first, endpoint = leads.begun, PrefixFirst(server, leads)
    began = anyio.current_time()
    await together(endpoint.complete, [sibling(n, shared) for n in range(options.siblings)], options.workers)
    return anyio.current_time() - began, server.cached


def measured(kind: str, shared: int, options: argparse.Namespace, *, streams: bool, warm: bool) -> tuple[float, float]:
    """Give the medians over all seeds."""
    runs: list[tuple[float, int]] = []

    async def once(seed: int) -> None:
        server = Server(kind, shared, Random(seed), streams=streams)
        runs.append(await modelled(server, shared, options, warm=warm))

    for seed in range(options.seeds):
        backend, settings = virtual_time()
        anyio.run(once, seed, backend=backend, backend_options=settings)
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)


def model(options: argparse.Namespace) -> None:
    """Print what the model of a server says."""
    about = f"{options.siblings} siblings, {options.workers} at once, medians of {options.seeds} seeds"
    print(f"model of a server, {about}")
    print("                                seconds          time  input price, cached at 1/10, 1/4")
    for kind, shared, streams in product(READ, (2_000, 8_000, 32_000), (True, False)):
        plain, none = measured(kind, shared, options, streams=streams, warm=False)
        waited, some = measured(kind, shared, options, streams=streams, warm=True)
        whole = options.siblings * (shared + OWN)
        prices = [(whole - (1 - part) * some) / (whole - (1 - part) * none) for part in (0.1, 0.25)]
        how = "streamed" if streams else "whole"
        print(
            f"{kind:7} {shared:6,} shared, {how:8} {plain:6.1f} to {waited:5.1f}"
            f"   {waited / plain:5.2f}  {prices[0]:5.2f} {prices[1]:5.2f}"
        )


async def local(options: argparse.Namespace) -> None:
    """Print what a real model in a file says."""
    one = Model(endpoint=f"local:{options.local}", max_tokens=16, stream=True, params={"temperature": 0, "seed": 1})
    models = {"without": one, "with": one.model_copy(update={"warm": True})}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    cached: dict[str, list[int]] = {name: [] for name in models}
    async with connect(routes_of(models), Wiring(offline=Offline, rng=Random(1))) as router:
        for number, name in product(range(options.rounds), models):
            requests = [sibling(n, SHARED, 20, f"{name}{number}") for n in range(SLOTS)]
            requests = [each.model_copy(update={"model": name}) for each in requests]
            began = time.perf_counter()
            replies = await together(router.complete, requests, SLOTS)
            seconds[name].append(time.perf_counter() - began)
            cached[name].append(sum(each.usage.cached_tokens for each in replies))
    about = f"{SLOTS} siblings in {SLOTS} slots that share {SHARED:,} tokens, medians of {options.rounds} rounds"
    print(f"llama.cpp, {about}")
    for name, values in seconds.items():
        some = statistics.median(cached[name])
        span = f"{min(values):.2f}-{max(values):.2f}"
        print(f"{name:8} {statistics.median(values):6.2f} s  ({span})  {some:6,.0f} tokens cached")
    print(f"ratio, time: {statistics.median(seconds['with']) / statistics.median(seconds['without']):.2f}")


def main() -> None:
    """Run it and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--siblings", type=int, default=32)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--local", type=Path, help="a GGUF file; `swarm models get smollm2` fetches one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model(options)
    if options.local is not None:
        anyio.run(local, options)


if __name__ == "__main__":
    main()
