"""MCP servers that break the rules: what they say is theirs alone, and the run goes on or says which of them it was."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarm.base.errors import TaskError, ToolError
from swarm.spec.servers import Server
from swarm.tools import Toolbox
from swarm.tools.mcp import owner, pipes
from swarm.tools.mcp.kit import ServerKit
from swarm.tools.mcp.lease import leased
from tests.test_mcp import ask, opened

pytestmark = pytest.mark.anyio
PROGRAM = str(Path(__file__).resolve().parent / "hostile_server.py")


def hostile(folder: Path, *words: str, seconds: float = 10.0, **more: Any) -> ServerKit:
    """Describe a hostile server that opens within some seconds."""
    command = (sys.executable, "-S", PROGRAM, str(folder), *words)
    fields: dict[str, Any] = {"command": command, "box": False, "tools": {"find": "read"}}
    kit = ServerKit("notes", Server(**(fields | more)))
    kit.opening_seconds = seconds
    return kit


async def find(box: Toolbox, word: str) -> str:
    return await ask(box, "notes.find", json.dumps({"word": word}))


async def test_noise_and_answers_that_nobody_asked_for_change_nothing(tmp_path: Path) -> None:
    async with opened(hostile(tmp_path, "garbage", "unknown", "twice"), folder=tmp_path) as box:
        found: list[str] = []

        async def one(word: str) -> None:
            found.append(await find(box, word))

        async with anyio.create_task_group() as tasks:
            for n in range(8):
                tasks.start_soon(one, f"w{n}")
        assert sorted(found) == [f"w{n} found" for n in range(8)]
    log = (tmp_path / "mcp-notes.log").read_text()
    assert "not a message: Welcome to the notes server" in log
    assert "\x1b" not in log
    assert "\0" not in log
    assert len((tmp_path / "started").read_text().splitlines()) == 1


async def test_a_flood_on_standard_error_stops_nothing_and_fills_no_disk(tmp_path: Path) -> None:
    kit = hostile(tmp_path, "flood")
    async with opened(kit, folder=tmp_path) as box:
        assert await find(box, "tea") == "tea found"
    assert (tmp_path / "mcp-notes.log").stat().st_size <= pipes.LOG_BYTES


@pytest.mark.parametrize(
    ("words", "seconds", "said", "remedy"),
    [
        (["silent"], 0.3, r"mcp\.notes: no answer in 0\.3 s", "run the command by itself"),
        (["gone"], 10, "before it answered; its last words: cannot open /data/notes", "run the command by itself"),
        (["version=1999-01-01"], 10, "Unsupported protocol version from the server: 1999-01-01", "by itself"),
        (["none"], 10, 'tools: the server has no "find"', "it has none"),
        (["wide=17000000"], 10, "the answer has more than 16,777,216 bytes", "by itself"),
        (["deep=300"], 10, "the answer is no message of the protocol", "by itself"),
        (['schema={"type": "array"}'], 10, r"it broke the protocol: tools\.0\.inputSchema\.type", "leave it out"),
        (
            ['schema={"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}'],
            10,
            r"the arguments of find have a schema that no endpoint takes: properties\.a\.\$ref: points outside",
            "leave it out",
        ),
        (
            ['schema={"type": "object", "properties": {"a": {"type": "strin"}}}'],
            10,
            "`strin` is not a type",
            "leave it out",
        ),
    ],
)
async def test_a_server_that_cannot_be_used_is_named_with_a_remedy(
    tmp_path: Path, words: list[str], seconds: float, said: str, remedy: str
) -> None:
    with pytest.raises(TaskError, match=said) as caught:
        async with opened(hostile(tmp_path, *words, seconds=seconds), folder=tmp_path):
            pass
    [problem] = caught.value.problems
    assert problem.key == "mcp.notes"
    assert remedy in problem.message.partition("\nhint: ")[2]
    assert "pydantic" not in problem.message


@pytest.mark.parametrize(
    ("command", "seconds", "said"),
    [(("yes",), 10, "what it writes is no protocol; its last words: .*y"), (("cat", "/dev/zero"), 0.5, "no answer in")],
)
async def test_a_program_that_is_no_server_is_given_up(
    tmp_path: Path, command: tuple[str, ...], seconds: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "ENDING_SECONDS", 0.1)  # neither ends by itself
    monkeypatch.setattr(pipes, "MOST_NOISE", 100)
    with pytest.raises(TaskError, match=said):
        async with opened(hostile(tmp_path, command=command, seconds=seconds), folder=tmp_path):
            pass


async def test_long_lists_and_pages_without_an_end_are_read_to_a_bound(tmp_path: Path) -> None:
    async with opened(hostile(tmp_path, "tools=1500"), folder=tmp_path) as box:
        assert await find(box, "tea") == "tea found"
        [kit] = box.kits
        assert isinstance(kit, ServerKit)
        assert len(kit.listed) == 1500
    async with opened(hostile(tmp_path, "again", seconds=5), folder=tmp_path) as box:  # the same page for ever
        assert await find(box, "tea") == "tea found"
    async with opened(hostile(tmp_path, "wide=10000000"), folder=tmp_path) as box:
        assert len(box.get("notes.find").spec.description) == 1000


async def test_a_call_without_an_answer_or_with_a_wrong_one_costs_itself_only(tmp_path: Path) -> None:
    kit = hostile(tmp_path, tools={"find": {"effect": "read", "seconds": 0.2}})
    async with opened(kit, folder=tmp_path) as box:
        with pytest.raises(ToolError, match=r"took longer than 0\.2 seconds") as caught:
            await find(box, "mute")
        assert caught.value.kind == "timeout"
        assert await find(box, "tea") == "tea found"
        with pytest.raises(ToolError, match=r"^it broke the protocol: content: Field required$"):
            await find(box, "wrong")
        assert await find(box, "tea") == "tea found"


async def test_s30_a_list_that_changes_in_a_run_ends_the_use_of_the_server(tmp_path: Path) -> None:
    async with opened(hostile(tmp_path), folder=tmp_path) as box:
        assert await find(box, "announce") == "announce found"  # the same list again
        assert await find(box, "tea") == "tea found"
        await find(box, "change")
        with pytest.raises(ToolError, match="the server changed find during the run, so it is not used any more"):
            await find(box, "tea")
    assert (tmp_path / "called").read_text().split() == ["announce", "tea", "change"]


async def test_a_server_that_does_not_list_its_changed_tools_holds_nobody(tmp_path: Path) -> None:
    kit = hostile(tmp_path, "unlisted", seconds=0.5)
    async with opened(kit, folder=tmp_path) as box:
        assert await find(box, "announce") == "announce found"
        assert await find(box, "tea") == "tea found"  # of the server that was started again
    assert len((tmp_path / "started").read_text().splitlines()) == 2


async def test_s45_two_runs_of_one_server_call_it_one_after_the_other(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    write: dict[str, Any] = {"tools": {"find": "write"}, "writes": (str(kept),)}
    kits = [hostile(tmp_path, f"adds={kept}", **write) for _ in range(2)]
    async with (
        opened(kits[0], folder=tmp_path) as one,
        opened(kits[1], folder=tmp_path) as other,
        anyio.create_task_group() as tasks,
    ):
        for n in range(20):
            for box in (one, other):
                tasks.start_soon(find, box, str(n))
    assert len((kept / "list").read_text().split()) == 40
    reads = hostile(tmp_path, tools={"find": "read"}, writes=(str(kept),))
    slow = hostile(tmp_path, tools={"find": {"effect": "write", "seconds": 0.1}}, writes=(str(kept),))
    async with (
        opened(slow, folder=tmp_path) as box,
        opened(reads, folder=tmp_path) as free,
        leased([kept, kept / "list", kept / "gone"], 10),
    ):
        with pytest.raises(ToolError, match=r"another run has used the server for 0\.05 seconds; the call was not"):
            await find(box, "tea")
        assert await find(free, "tea") == "tea found"  # who only reads waits for nobody
    assert (tmp_path / "called").read_text().split().count("tea") == 1


async def test_a_server_that_dies_in_a_write_loses_that_write_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "PAUSES", (0.0, 0.0, 0.0))
    kit = hostile(tmp_path, "dies=boom", tools={"find": "write"})
    async with opened(kit, folder=tmp_path) as box:
        lost: list[str] = []

        async def one(word: str) -> None:
            try:
                assert await find(box, word) == f"{word} found"
            except ToolError as error:
                lost.append(f"{word} {error.kind}")

        async with anyio.create_task_group() as tasks:
            for n in range(40):
                tasks.start_soon(one, "boom" if n in (10, 20) else f"w{n}")
    assert lost == ["boom lost", "boom lost"]
    words = (tmp_path / "called").read_text().split()
    assert len(words) == 40  # each exactly once
    assert len((tmp_path / "started").read_text().splitlines()) == 3
