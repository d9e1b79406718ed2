"""The kit `files`: what a step was given and a scratch folder of its own, and nothing else of the machine."""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import EndpointRefused, ToolError
from swarm.base.values import canonical
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Input, Model, Task
from swarm.testing import Function, reply
from swarm.tools import Place, Toolbox, ToolContext, files, query
from swarm.tools.files import FilesKit
from swarm.tools.query import run_query, table_name
from swarm.tools.scratch import checked_name, collected, names_in, read_scratch, write_scratch
from tests.models import events_of, own_prompt, resume_with, run_with

pytestmark = pytest.mark.anyio


class Ground:
    """Storage for tests: a folder that is not a run's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def content(self, artifact: str) -> bytes:
        raise AssertionError(artifact)

    def clean(self, text: str) -> str:
        return text

    def scratch(self, step: str) -> Path:
        (self.folder / step).mkdir()
        return self.folder / step

    def clear(self, step: str) -> None:
        """Keep it, to look at."""


def text_input(name: str, text: str) -> Input:
    return Input(name=name, text=text, size=len(text.encode()))


class Desk:
    """A place with the tools of the kit."""

    def __init__(self, folder: Path, **place: Any) -> None:
        kit = FilesKit()
        self.box = Toolbox(kits=[kit])
        self.place = Place(step="s", storage=Ground(folder), **place)

    async def call(self, tool: str, /, **arguments: Any) -> str:
        context = ToolContext("s", place=self.place)
        return (await self.box.call(tool, canonical(arguments).decode(), self.box.names, context)).text

    async def error(self, tool: str, /, **arguments: Any) -> str:
        with pytest.raises(ToolError) as caught:
            await self.call(tool, **arguments)
        return str(caught.value)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    inputs = (
        text_input("notes/a.md", "one\ntwo Tea\nthree"),
        text_input("sales.csv", "region,amount\nnorth,10\nsouth,32.5\n"),
        text_input("people.json", '[{"name": "Ann", "born": 1815}, {"name": "Bo", "tags": ["x"]}]'),
        Input(name="p.png", medium="image", mime="image/png", base64="aa", size=1),
    )
    return Desk(tmp_path, inputs=inputs, given={"read.1": "Tea is hot.\nYes."})


async def test_a_step_lists_reads_and_searches_what_it_was_given(desk: Desk) -> None:
    listed = await desk.call("list_files")
    assert [line.split()[-1] for line in listed.splitlines()] == [
        "notes/a.md", "sales.csv", "people.json", "p.png", "step/read.1",
    ]  # fmt: skip
    assert (await desk.call("list_files", glob="*.csv")).split() == ["34", "sales.csv"]
    assert await desk.call("read_file", name="notes/a.md", from_line=2) == "lines 2 to 3 of 3:\ntwo Tea\nthree"
    assert await desk.call("read_file", name="step/read.1") == "lines 1 to 2 of 2:\nTea is hot.\nYes."
    assert await desk.call("grep_files", text="tea") == "notes/a.md:2: two Tea\nstep/read.1:1: Tea is hot."
    assert await desk.call("grep_files", text="(a+)+$") == "no file has '(a+)+$'"


async def test_what_it_writes_can_be_read_and_replaced(desk: Desk) -> None:
    assert await desk.call("write_file", name="out/n.md", text="x\n") == "wrote 2 bytes to out/n.md"
    await desk.call("write_file", name="out/n.md", text="tea\n")
    assert "out/n.md:1: tea" in await desk.call("grep_files", text="tea")
    assert collected(desk.place.scratch) == {"out/n.md": b"tea\n"}


@pytest.mark.parametrize("name", ["sales.csv", "step/read.1", "step/x/y"])
async def test_it_may_not_write_over_what_it_was_given(desk: Desk, name: str) -> None:
    assert "is the name of something that you were given" in await desk.error("write_file", name=name, text="x")


async def test_what_is_not_there_is_said_with_what_is(desk: Desk) -> None:
    words = await desk.error("read_file", name="sals.csv")
    assert words.startswith("there is no file 'sals.csv'; there are notes/a.md, sales.csv,")
    assert await desk.error("read_file", name="p.png") == "p.png is an image file: it has no text"
    assert "there is no file 'step/other'" in await desk.error("read_file", name="step/other")


# S5: paths

PAYLOADS = [
    "../x", "/etc/passwd", "a/../../x", "..", ".", "", "a//b", "./../x", "a/./b", "~/../x\0", "x\0.md", "a\\..\\b",
    "a" * 256, "/".join("a" * 20), "\x1b]52;c;eA==\x07", "a/", "..\u2215x/..", "\u202ex",
]  # fmt: skip


@pytest.mark.parametrize("name", PAYLOADS)
async def test_s5_no_name_leads_out_of_the_folder(desk: Desk, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    await desk.call("write_file", name="ok", text="x")
    for tool, more in (("read_file", {}), ("write_file", {"text": "x"})):
        words = await desk.error(tool, name=name, **more)
        assert str(tmp_path) not in words
        assert "\x1b" not in words
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [tmp_path / "s", tmp_path / "s" / "ok"]


def test_s5_links_pipes_and_folders_are_not_followed_read_or_collected(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("zq1zq")
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "dir").symlink_to(tmp_path)
    (folder / "within").symlink_to(folder / "plain")
    (folder / "plain").write_text("ok")
    os.mkfifo(folder / "pipe")
    assert names_in(folder) == ["plain"]
    assert collected(folder) == {"plain": b"ok"}
    for name in ("link", "dir/secret", "within", "pipe", "dir"):
        with pytest.raises(ToolError):
            read_scratch(folder, name)
    with pytest.raises(ToolError):
        write_scratch(folder, "dir/new", b"x")
    write_scratch(folder, "link", b"mine")
    assert (tmp_path / "secret").read_text() == "zq1zq"
    assert not (folder / "link").is_symlink(), "a link in the place of a file is replaced, not followed"


def test_s5_a_link_that_is_swapped_in_between_leads_nowhere(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "s"
    for each in (outside, folder, folder / "real"):
        each.mkdir()
    (outside / "f").write_text("zq1zq")
    (folder / "real" / "f").write_text("ok")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            with suppress(OSError):
                (folder / "d").symlink_to(outside)
            with suppress(OSError):
                (folder / "d").unlink()
            with suppress(OSError):
                (folder / "real").rename(folder / "d")
            with suppress(OSError):
                (folder / "d").rename(folder / "real")

    thread = threading.Thread(target=swap)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # more swaps between two steps, and no waiting for the other thread
    thread.start()
    seen: set[bytes] = set()
    try:
        for _ in range(400):
            for name in ("d/f", "real/f"):
                try:
                    seen.add(read_scratch(folder, name))
                    write_scratch(folder, name, b"new")
                except ToolError:
                    continue
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert seen <= {b"ok", b"new"}
    assert (outside / "f").read_text() == "zq1zq"
    assert [path.name for path in outside.iterdir()] == ["f"]


def test_plain_names_stay_as_they_are() -> None:
    assert [checked_name(name) for name in ("a.md", "./a/b", "ä ö.txt", ".x", "a..b")] == [
        "a.md", "a/b", "ä ö.txt", ".x", "a..b",
    ]  # fmt: skip


async def test_a_folder_of_many_odd_files_is_searched_once_and_says_what_was_not(desk: Desk) -> None:
    await desk.call("write_file", name="d/one.md", text="Tea here\n")
    folder = desk.place.scratch
    for n in range(1_500):
        (folder / f"f{n}.txt").write_text("milk")
    (folder / "binary.bin").write_bytes(b"\0\1\2Tea")
    with (folder / "sparse.txt").open("wb") as file:
        file.truncate(1_000_000_000)
    (folder / ".hidden").write_text("Tea")
    (folder / "link").symlink_to("/etc/passwd")
    looks = 0

    def counted(path: Path) -> list[str]:
        nonlocal looks
        looks += 1
        return names_in(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "names_in", counted)
        found = await desk.call("grep_files", text="tea", glob="*")
    assert looks <= 2
    assert "d/one.md:1: Tea here" in found
    assert found.endswith("(not searched, because they are no text or too large: binary.bin and sparse.txt)")
    assert "no file has 'x'" in await desk.call("grep_files", text="x", glob="*.bin")
    for name in (".hidden", "link", "d", "d/none.md", "sparse.txt", "binary.bin"):
        assert "passwd" not in await desk.error("read_file", name=name)


async def test_a_glob_of_many_stars_takes_no_time(desk: Desk) -> None:
    await desk.call("write_file", name="a" * 200, text="x")
    for glob in ("*a" * 60 + "b", "*" * 200 + "b", "?*" * 150 + "b", "[a-z]*" * 80 + "b"):
        assert "no file matches" in await desk.call("list_files", glob=glob)


# Queries


async def test_files_of_almost_one_name_are_two_tables(tmp_path: Path) -> None:
    names = ("a-b.csv", "a_b.csv", "d/Sales.CSV", "d_sales.csv", "a_b_2.csv")
    desk = Desk(tmp_path, inputs=tuple(text_input(name, f"n\n{number}\n") for number, name in enumerate(names)))
    tables = ("a_b", "a_b_2", "d_sales", "d_sales_2", "a_b_2_2")
    for number, table in enumerate(tables):
        assert await desk.call("query_files", sql=f"select n from {table}") == f"n\n{number}\n", table
    assert "the tables are a_b, a_b_2" in await desk.error("query_files", sql="select * from none")


async def test_a_query_reads_tables(desk: Desk) -> None:
    asked = "select region, amount * 2 from sales order by amount desc"
    assert await desk.call("query_files", sql=asked) == "region,amount * 2\nsouth,65.0\nnorth,20\n"
    assert await desk.call("query_files", sql="select name, born, tags from people") == (
        'name,born,tags\nAnn,1815,\nBo,,"[""x""]"\n'
    )
    joined = "select count(*) from sales, people"
    assert await desk.call("query_files", sql=joined) == "count(*)\n4\n"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select * from sals", "no such table: sals; the tables are people and sales"),
        ("delete from sales", "only one SELECT"),
        ("attach '/etc/passwd' as p", "only one SELECT"),
        ("pragma database_list", "only one SELECT"),
        ("create table x(y)", "only one SELECT"),
        ("select load_extension('x') from sales", "only one SELECT"),
        ("select 1; select 2", "execute one statement"),
        ("select zeroblob(1000000000) from sales", "too big"),
        ("", "this is no query; the tables are"),
    ],
)
async def test_a_query_can_only_read_and_is_bounded(desk: Desk, sql: str, words: str) -> None:
    assert words in await desk.error("query_files", sql=sql)


def test_a_query_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "SECONDS", 0.05)
    endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"
    with pytest.raises(ToolError, match="took longer than"):
        run_query(endless, {"a.csv": "x\n1\n"})


@pytest.mark.parametrize(
    ("name", "table"),
    [("sales.csv", "sales"), ("2026 Q1-a.csv", "t_2026_q1_a"), ("d/Ä.json", "d_ä"), ("--.csv", "table")],
)
def test_tables_have_plain_names(name: str, table: str) -> None:
    assert table_name(name) == table
    head = 'a,a,,"q"""\n1,2,3,4\n01,x\n'
    assert run_query(f'select * from "{table}"', {name: head} if name.endswith("csv") else {name: '[{"a": 1}]'})


def test_a_code_with_a_leading_zero_stays_a_text() -> None:
    assert run_query("select typeof(a), a from x", {"x.csv": "a\n007\n7\n7.5\n1e5\n"}) == (
        "typeof(a),a\ntext,007\ninteger,7\nreal,7.5\ntext,1e5\n"
    )


# A run


def task(folder: Path, *steps: Step, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "goal": "Tell all.",
        "models": {"default": Model(endpoint="offline")},
        "tools": ("files",),
        "plan": Plan(steps=steps),
        "folder": folder,
    }
    return Task(**(fields | more))


def scripted(by_prompt: dict[str, list[Any]]) -> Callable[[Request], Any]:
    """Answer each step by the turns of its own list."""

    def answer(request: Request) -> Any:
        turns = sum(message.role == "assistant" for message in request.messages)
        said = by_prompt[own_prompt(request)][turns]
        return said(request) if callable(said) else said

    return answer


def last(request: Request) -> str:
    return request.messages[-1].text


def calls(tool: str, **arguments: Any) -> Any:
    return reply(calls=[(tool, arguments)])


def cites(request: Request) -> str:
    return f"{last(request)} [make]"


MAKE = Step(id="make", prompt="Make.")
USE = Step(id="use", prompt="Use.", needs=("make",))
MAKING = [calls("write_file", name="a/list.txt", text="tea 1\nmilk 2\n"), "Made."]


async def test_what_a_step_leaves_is_an_artifact_that_later_steps_are_given(tmp_path: Path) -> None:
    using = [
        calls("list_files"),
        calls("read_file", name="step/make/a/list.txt"),
        cites,
    ]
    model = Function(scripted({"Make.": MAKING, "Use.": using}))
    result = await run_with(model, task(tmp_path, MAKE, USE), cache=False)
    assert result.status == "done"
    assert result.report is not None
    assert "milk 2" in result.report.text
    finished = next(event for event in events_of(result.folder) if isinstance(event, e.StepFinished))
    [made] = finished.outcome.media
    assert (made.name, made.medium, made.size) == ("a/list.txt", "file", 13)
    assert RunFolder(result.folder).content(made.sha256) == b"tea 1\nmilk 2\n"
    assert not (result.folder / "scratch").exists(), "nothing else is left"


async def test_a_resumed_step_has_its_scratch_folder_again(tmp_path: Path) -> None:
    first = Function(scripted({"Make.": [MAKING[0], EndpointRefused("spent", kind="quota", stops=True)]}))
    stopped = await run_with(first, task(tmp_path, MAKE), cache=False)
    assert stopped.report is None
    again = Function(scripted({"Make.": [None, calls("read_file", name="a/list.txt"), last]}))
    result = await resume_with(again, stopped.folder, cache=False)
    assert result.report is not None
    assert "milk 2" in result.report.text
    assert len(again.requests) == 2, "the call that was noted is not asked for again"
