"""One call for all steps that ask the same, and calls that run one at a time over all steps."""

import random
from contextlib import suppress
from typing import Any

import anyio
import pytest

from swarm.base.errors import ToolError
from swarm.tools import Tool, Toolbox, ToolContext, ToolResult, sharing
from swarm.tools.functions import tool

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]


class Page:
    """A slow page; some of its answers fail."""

    def __init__(self, *, fails: int = 0, **traits: Any) -> None:
        self.asked: list[str] = []
        self.running = self.most = 0
        self.written = 0
        self.fails = fails

        async def get(word: str) -> str:
            """Get a page."""
            self.asked.append(word)
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                count = self.written
                await anyio.sleep(5)
                self.written = count + 1
            finally:
                self.running -= 1
            if len(self.asked) <= self.fails:
                raise ToolError(f"failed {len(self.asked)}")
            return f"{word} {len(self.asked)}"

        self.tool: Tool = tool(**traits)(get)
        self.box = Toolbox([self.tool])

    async def call(
        self, step: str, word: str = "a", labels: tuple[str, ...] = (), granted: tuple[str, ...] = ("get",)
    ) -> ToolResult:
        return await self.box.call("get", f'{{"word": "{word}"}}', granted, ToolContext(step, labels=labels))


async def all_of(page: Page, count: int, **more: Any) -> list[str]:
    """Let siblings call at the same time; return what each got: a text or an error."""
    got: list[str] = []

    async def one(n: int) -> None:
        try:
            got.append((await page.call(f"step.{n}", **more)).text)
        except ToolError as error:
            got.append(f"error: {error}")

    async with anyio.create_task_group() as tasks:
        for n in range(count):
            tasks.start_soon(one, n)
    return got


async def test_100_siblings_that_ask_for_one_slow_page_make_one_request() -> None:
    page = Page()
    assert await all_of(page, 100) == ["a 1"] * 100
    assert page.asked == ["a"]
    assert (await page.call("late")).text == "a 1", "also after it has ended"
    assert (await page.call("late", "b")).text == "b 2"


async def test_only_the_asker_that_made_the_call_pays() -> None:
    page = Page(price=0.25)
    assert (await page.call("one")).usd == 0.25
    assert (await page.call("two")).usd == 0.0


async def test_an_asker_that_asks_again_gets_a_new_result_and_so_do_those_after_it() -> None:
    page = Page()
    assert [(await page.call(step)).text for step in ("one", "two", "one", "three")] == ["a 1", "a 1", "a 2", "a 2"]


@pytest.mark.parametrize("traits", [{"effect": "write"}, {"effect": "network"}, {"shared": False}])
async def test_what_is_not_shared_is_called_by_each(traits: dict[str, Any]) -> None:
    page = Page(**traits)
    page.box = Toolbox([page.tool])
    await all_of(page, 5)
    assert len(page.asked) == 5


async def test_askers_with_other_labels_do_not_share() -> None:
    page = Page()
    await page.call("one", labels=("red",))
    await page.call("two", labels=("red",))
    await page.call("three")
    assert len(page.asked) == 2


async def test_arguments_are_compared_by_meaning() -> None:
    page = Page()
    for text in ('{"word":"a"}', ' {"word" : "a"} ', '{"word": "\\u0061"}'):
        await page.box.call("get", text, ["get"], ToolContext(text))
    assert len(page.asked) == 1
    with pytest.raises(ToolError, match="arguments: Invalid JSON"):
        await page.box.call("get", "{", ["get"], ToolContext("x"))


async def test_rights_are_checked_before_a_shared_result_is_given() -> None:
    page = Page()
    await page.call("one")
    with pytest.raises(ToolError, match="no tool called get may be used"):
        await page.call("two", granted=())
    labelled = Page(label="red")
    await labelled.call("one", labels=("red",))
    with pytest.raises(ToolError, match="which this step may not read"):
        await labelled.call("two")
    sending = Page(effect="network", shared=True)
    sending.box = Toolbox([sending.tool], places={"red": ("default",)})
    await sending.call("one")
    with pytest.raises(ToolError, match="would send data labelled red"):
        await sending.call("two", labels=("red",))


async def test_a_failure_is_not_kept_and_a_page_that_never_answers_is_not_tried_once_a_step() -> None:
    page = Page(fails=1)
    got = await all_of(page, 20)
    assert sorted(set(got)) == ["a 2", "error: failed 1"]
    assert (len(page.asked), got.count("a 2")) == (2, 19)
    never = Page(fails=1000)
    started = anyio.current_time()
    got = await all_of(never, 100)
    assert len(never.asked) == 2
    assert all(each.startswith("error: failed") for each in got)
    assert anyio.current_time() - started == pytest.approx(10)
    await all_of(never, 1)
    assert len(never.asked) == 3, "whoever asks later tries again"


async def test_a_cancelled_asker_hands_over() -> None:
    page = Page()
    scopes: dict[int, anyio.CancelScope] = {}
    got: dict[int, str] = {}

    async def one(n: int) -> None:
        with anyio.CancelScope() as scopes[n]:
            got[n] = (await page.call(f"step.{n}")).text

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, 0)
        await anyio.sleep(1)
        for n in range(1, 100):
            tasks.start_soon(one, n)
        await anyio.sleep(1)
        scopes[0].cancel()
    assert len(page.asked) == 2
    assert set(got) == set(range(1, 100))
    assert set(got.values()) == {"a 2"}


@pytest.mark.parametrize("seed", range(40))
async def test_nobody_hangs_whatever_is_cancelled_when(seed: int) -> None:
    """Askers come, fail and are cancelled at random; each of the others has a result or an error in bounded time."""
    rng = random.Random(seed)
    page = Page(fails=rng.randrange(4))
    ended: set[int] = set()
    cancelled: set[int] = set()

    async def one(n: int) -> None:
        await anyio.sleep(rng.uniform(0, 12))
        with anyio.move_on_after(rng.choice([0, 1, 4, 5, 6, 9, 1000])) as scope:
            with suppress(ToolError):
                await page.call(f"step.{n % 9}", rng.choice("ab"))
            ended.add(n)
        if scope.cancelled_caught:
            cancelled.add(n)

    with anyio.fail_after(500):
        async with anyio.create_task_group() as tasks:
            for n in range(30):
                tasks.start_soon(one, n)
    assert ended | cancelled == set(range(30))
    assert page.running == 0


async def test_results_that_are_kept_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_BYTES", 10)
    page = Page()
    for word in "abcdef":
        await page.call("one", word)
    assert (await page.call("two", "f")).text == "f 6"
    assert (await page.call("two", "a")).text == "a 7"


# One at a time, over all steps


async def test_s45_what_runs_alone_over_the_run_loses_no_write() -> None:
    """A server that reads, waits and writes loses parallel writes: 50 calls must leave 50."""
    lost = Page(effect="write", alone="no")
    await all_of(lost, 50)
    assert (lost.written, lost.most) == (1, 50), "that is what happens without it"
    safe = Page(effect="write", alone="run")
    await all_of(safe, 50)
    assert (safe.written, safe.most) == (50, 1)


async def test_the_lock_of_a_kit_is_given_back_after_an_error_and_a_cancellation() -> None:
    page = Page(effect="write", alone="run", fails=1)
    with pytest.raises(ToolError):
        await page.call("one")
    with anyio.move_on_after(2):
        await page.call("two")
    assert (await page.call("three")).text == "a 3"
