"""`swarm mcp` over real pipes, with the client of the library."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from swarm.base.errors import TaskError
from swarm.budget.ledger import Amount
from swarm.cli.mcp_results import PAGE_BYTES, page
from swarm.lifecycle.served_total import Total
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.spec.task import Limits
from swarm.testing import Answer, FakeServer
from tests.commands import Command, in_process

pytestmark = pytest.mark.anyio
ROOT = str(Path(__file__).resolve().parent.parent)
TASK = "goal: How much memory does each service need?\ninputs: [notes/*.md]\nmodels: {default: offline}\n"
ARGUMENTS = [sys.executable, "-m", "swarm.cli", "mcp"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("Service A needs 3 GB of memory.\n")
    (notes / "b.md").write_text("Service B needs 5 GB of memory.\n")
    (tmp_path / "task.yaml").write_text(TASK)
    return tmp_path


@pytest.fixture
def swarm(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": ROOT}


@asynccontextmanager
async def session(project: Path, *more: str) -> AsyncGenerator[ClientSession]:
    """Start a server and connect to it."""
    command, *arguments = [*ARGUMENTS, "--task", "task.yaml", *more]
    server = StdioServerParameters(command=command, args=arguments, env=environment(), cwd=project)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
        await client.initialize()
        yield client


async def call(client: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    found: Any = await client.call_tool(tool, arguments)
    assert not found.is_error, found.content[0].text
    assert json.loads(found.content[0].text).keys() <= found.structured_content.keys()
    return found.structured_content


async def refused(client: ClientSession, tool: str, **arguments: Any) -> str:
    found: Any = await client.call_tool(tool, arguments)
    assert found.is_error
    assert "\n" not in found.content[0].text
    return found.content[0].text


def slow_task(project: Path, server: FakeServer, **more: Any) -> None:
    """Write a task of two steps, whose endpoint is the server."""
    models = {"default": {"endpoint": server.url, "name": "fake", "key": "k"}}
    plan = {"steps": [{"id": "first", "prompt": "One."}, {"id": "second", "prompt": "Two.", "needs": ["first"]}]}
    (project / "task.yaml").write_text(json.dumps({"goal": "G", "models": models, "plan": plan, **more}))


def runs_of(project: Path) -> list[RunFolder]:
    return [RunFolder(path) for path in sorted((project / ".swarm" / "runs").iterdir())]


async def answered_by(server: FakeServer, count: int) -> None:
    with anyio.fail_after(30):
        while len(server.requests) < count:  # noqa: ASYNC110 - the double has no event
            await anyio.sleep(0.02)


@pytest.mark.slow  # a server and five runs
async def test_a_client_lists_checks_plans_runs_and_reads(project: Path) -> None:
    told: list[tuple[float, float | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        assert message
        told.append((progress, total))

    async with session(project) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["check", "plan", "run", "show", "stop"]
        assert [name for name, tool in tools.items() if tool.annotations] == ["show"]
        assert (await call(client, "check"))["inputs"] == ["notes/a.md", "notes/b.md"]

        planned = await call(client, "plan", inputs=["notes/a.md"])
        assert planned["steps"]
        assert planned["worst_tokens"] > 0
        done = await call(client, "run", plan=planned["plan"])
        assert (done["status"], done["run"]) == ("done", planned["plan"])
        assert "3 GB" in done["report"]
        assert "5 GB" not in done["report"]

        found: Any = await client.call_tool("run", {}, progress_callback=tell)
        whole = found.structured_content
        assert "5 GB" in whole["report"]
        assert whole["sources"]
        assert told == sorted(told)
        assert told
        rest = await call(client, "show", run=whole["run"], step="report", from_line=3)
        assert rest["text"].startswith(whole["report"].split("\n")[2])

        literal = await call(client, "run", goal="Is ${HOME} in the notes?")
        assert "${HOME}" in literal["report"]
        assert os.environ["HOME"] not in literal["report"]
    assert not [
        child for child in psutil.Process().children(recursive=True) if "swarm.cli" in " ".join(child.cmdline())
    ]


@pytest.mark.slow  # a server
async def test_a_caller_only_chooses_and_lowers(project: Path) -> None:
    async with session(project, "--limit", "tokens=100_000") as client:
        lower = await call(client, "check", limits={"tokens": 50_000, "workers": 2})
        assert (lower["limits"]["tokens"], lower["limits"]["workers"]) == (50_000, 2)
        for limits in ({"tokens": 100_001}, {"tokens": None}, {"workers": 301}, {"seconds": 1e9}, {"usd": None}):
            if limits != {"usd": None}:  # there is none: to give none raises nothing
                assert "maximum of this server" in await refused(client, "check", limits=limits)
        assert "there are notes/a.md and notes/b.md" in await refused(client, "run", inputs=["../secret.md"])
        assert await refused(client, "run", endpoint="http://x/v1") == (
            "endpoint: unknown key; allowed here: goal, inputs, limits, parameters, plan, resume and wait"
        )
        assert "wait" in await refused(client, "run", wait=301)
        assert "only one of them" in await refused(client, "run", goal="G", plan="x")
        assert "no run 'x'" in await refused(client, "show", run="x")
        assert "no run" in await refused(client, "run", resume="../../x")
        assert "there is no tool" in await refused(client, "shell")
    assert not (project / ".swarm" / "runs").exists()


@pytest.mark.slow  # a server, and a run that is cut off
async def test_a_cancelled_request_leaves_a_run_that_can_be_resumed(project: Path) -> None:
    nothing: dict[str, Any] = {}
    async with FakeServer(Answer("never", delay=300.0), "It is done.") as stuck:
        slow_task(project, stuck)
        async with session(project, "--limit", "tokens=100_000") as client:
            with anyio.move_on_after(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, "run", nothing)
                    await answered_by(stuck, 1)
                    tasks.cancel_scope.cancel()
            run = runs_of(project)[0]
            shown = await call(client, "show", run=run.run, wait=30)
            assert shown["status"] == "cancelled"
            assert "resume" in shown["next"]
            assert shown["left"]["tokens"] > 0
        async with session(project, "--all-runs") as client:
            again = await call(client, "run", resume=run.run)
            assert again["status"] == "done"
        state = recorded(run).state
        assert state.finished is not None
        assert state.finished.status == "done"


@asynccontextmanager
async def in_a_run(project: Path, stuck: FakeServer) -> AsyncGenerator[anyio.abc.Process]:
    """Give a server of the protocol that carries out a run, whose first call is not answered."""
    slow_task(project, stuck)
    command = [*ARGUMENTS, "--task", "task.yaml"]
    async with await anyio.open_process(command, cwd=project, env=environment()) as server:
        await _say_run(server)
        await answered_by(stuck, 1)
        yield server


@pytest.mark.slow  # a server, and a run that is cut off
async def test_the_end_of_stdin_ends_runs_well(project: Path) -> None:
    async with FakeServer("never", delay=300.0) as stuck, in_a_run(project, stuck) as server:
        assert server.stdin is not None
        await server.stdin.aclose()
        with anyio.fail_after(30):
            assert await server.wait() == 0
    finished = recorded(runs_of(project)[0]).state.finished
    assert finished is not None
    assert finished.status == "cancelled"


@pytest.mark.slow  # a server, and a run that is cut off
async def test_a_signal_ends_runs_well_and_quickly(project: Path) -> None:
    async with FakeServer("never", delay=300.0) as stuck, in_a_run(project, stuck) as server:
        server.send_signal(signal.SIGTERM)
        with anyio.fail_after(30):
            assert await server.wait() == 143
    assert recorded(runs_of(project)[0]).state.finished is not None


async def _say_run(server: anyio.abc.Process) -> None:
    """Ask for a run in the words of the protocol, without a client."""
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    lines: list[Mapping[str, Any]] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "run", "arguments": {}}},
    ]
    assert server.stdin is not None
    await server.stdin.send("".join(f"{json.dumps(line)}\n" for line in lines).encode())


@pytest.mark.slow  # a server and two runs
async def test_what_a_label_keeps_from_the_caller_is_withheld(project: Path) -> None:
    labelled = "goal: How much memory?\ninputs: [{path: notes/a.md, label: private}]\nmodels: {default: offline}\n"
    (project / "task.yaml").write_text(f"{labelled}labels: {{private: [default]}}\n")
    async with session(project) as client:
        found = await call(client, "run")
        assert (found["report"], found["status"]) == (None, "done")
        assert "`private`" in found["withheld"]
        assert "3 GB" in Path(found["withheld"].rpartition(" ")[2]).read_text()
        assert "withheld" in await refused(client, "show", run=found["run"], step="report")
        steps = recorded(runs_of(project)[0]).state.steps
        for step in steps:
            shown: Any = await client.call_tool("show", {"run": found["run"], "step": step})
            assert "3 GB" not in shown.model_dump_json()
    (project / "task.yaml").write_text(f"{labelled}labels: {{private: [default, caller]}}\n")
    async with session(project, "--all-runs") as client:
        assert "withheld" in (await call(client, "show", run=found["run"]))["withheld"]
        assert "3 GB" in (await call(client, "run"))["report"]


@pytest.mark.slow  # a server and two runs
async def test_runs_keep_one_total_and_two_at_once(project: Path) -> None:
    async with FakeServer("never", delay=300.0) as stuck:
        slow_task(project, stuck)
        async with session(project, "--total", "tokens=100_000") as client:
            first = await call(client, "run", limits={"tokens": 60_000}, wait=0)
            assert (first["status"], first["left"]) == ("running", {"tokens": 40_000})
            second = await call(client, "run", limits={"tokens": 39_000}, wait=0)
            assert second["left"] == {"tokens": 1_000}
            assert "2 runs" in await refused(client, "run", limits={"tokens": 500}, wait=0)
            for run in (first, second):
                assert (await call(client, "stop", run=run["run"]))["status"] == "cancelled"


@pytest.mark.slow  # a server and a plan
async def test_a_plan_that_needs_approval_is_not_run(project: Path) -> None:
    (project / "task.yaml").write_text(f"{TASK}approve: ask\n")
    async with session(project) as client:
        assert "approves each plan" in await refused(client, "run")
        planned = await call(client, "plan")
        assert "swarm resume" in planned["next"]
        assert "is not approved" in await refused(client, "run", plan=planned["plan"])
        assert "approve" in await refused(client, "run", resume=planned["plan"])
        command = [sys.executable, "-m", "swarm.cli", "resume", str(runs_of(project)[0].path), "--yes"]
        await anyio.run_process(command, cwd=project, env=environment())
        assert "5 GB" in (await call(client, "run", plan=planned["plan"]))["report"]


@pytest.mark.parametrize(
    ("task", "more", "words"),
    [
        ("gole: x\n", (), "gole"),
        (f"{TASK}mcp: {{me: {{command: [swarm, mcp], tools: {{run: read}}}}}}\n", (), "must not call itself"),
        ("goal: x\ninputs: ['-']\nmodels: {default: offline}\n", (), "standard input"),
        (TASK, ("--task", "../task.yaml"), "below the folder"),
        (TASK, ("--total", "tokens"), "invalid value `tokens`: expected NAME=VALUE, for example tokens=2_000_000"),
        (TASK, ("--total", "steps=3"), "totals are tokens and usd"),
        (TASK, ("--limit", "tokens=0"), "--limit tokens"),
    ],
)
@pytest.mark.slow  # a process
def test_a_wrong_task_ends_before_the_first_message(
    project: Path, task: str, more: tuple[str, ...], words: str
) -> None:
    (project / "task.yaml").write_text(task)
    command = [*ARGUMENTS, *(more if "--task" in more else ("--task", "task.yaml", *more))]
    said = subprocess.run(
        command, cwd=project, env=environment(), input=b"", capture_output=True, timeout=60, check=False
    )
    assert (said.returncode, said.stdout) == (2, b"")
    assert words in said.stderr.decode()


def test_a_total_is_held_while_runs_go_and_given_back() -> None:
    total = Total(1_000, None)
    limits = total.lowered(Limits(tokens=700), Amount())
    held = total.hold(limits, Amount())
    assert total.lowered(Limits(tokens=700), Amount()).tokens == 300
    assert total.lowered(Limits(tokens=700), Amount(tokens=200)).tokens == 500, (
        "what a run spent before is not counted twice"
    )
    rest = total.hold(Limits(tokens=300), Amount())
    with pytest.raises(TaskError, match="nothing is left of this server's total of tokens; running runs hold"):
        total.lowered(Limits(), Amount())
    held.settle(Amount(tokens=100))
    rest.settle(Amount(tokens=300))
    assert total.left == {"tokens": 600}
    money = Total(None, 0.5)
    assert money.lowered(Limits(), Amount()).usd == 0.5
    assert money.left == {"usd": 0.5}


def test_pages_have_whole_lines_and_no_gap() -> None:
    text = "".join(f"line {n} {'ü' * 300}\n" for n in range(100)) + "x" * 40_000
    pages: list[str] = []
    line: int | None = 1
    while line is not None:
        shown, line = page(text, line)
        assert len(shown.encode()) <= PAGE_BYTES
        pages.append(shown)
    assert "".join(pages) == text[: -40_000 + PAGE_BYTES]
    assert page("", 5) == ("", None)


def test_without_the_package_the_command_names_it(
    monkeypatch: pytest.MonkeyPatch, swarm: Command, project: Path
) -> None:
    found = importlib.util.find_spec

    def without(name: str) -> object:
        return None if name == "mcp" else found(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    monkeypatch.chdir(project)
    said = swarm("mcp", "--task", "task.yaml")
    assert (said.code, said.out) == (2, "")
    assert 'pip install "local-agent-swarm[mcp]"' in said.err
