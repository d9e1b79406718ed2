"""`swarm mcp` with hosts that leave, cancel, ask for too much, or ask in the wrong way."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from anyio.abc import Process

from swarm.record.recorded import recorded
from swarm.testing import Answer, FakeServer, Received
from tests.test_mcp_server import (
    ARGUMENTS,
    TASK,
    answered_by,
    call,
    environment,
    refused,
    runs_of,
    session,
    slow_task,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # servers as processes
PLAN = {"steps": [{"id": "one", "prompt": "Say one."}, {"id": "two", "prompt": "Say two."}]}
HOST = """
import json, os, subprocess, sys
server = subprocess.Popen(json.loads(sys.argv[1]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
for line in (
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "run", "arguments": {}}},
):
    server.stdin.write(json.dumps(line).encode() + b"\\n")
server.stdin.flush()
print(server.pid, flush=True)
server.stdout.read()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    for name in ("a", "b"):
        (tmp_path / "notes" / f"{name}.md").write_text(f"Service {name} needs 3 GB of memory.\n")
    (tmp_path / "task.yaml").write_text(TASK)
    return tmp_path


async def test_a_run_can_be_cancelled_while_it_plans_and_while_it_reports_and_pays_nothing_twice(project: Path) -> None:
    stages = {"plan": json.dumps(PLAN), "one": "It is one.", "two": "It is two.", "report": "One and two. [one] [two]"}
    answered: list[str] = []
    stops = ["plan", "report"]  # in the middle: see the other file
    stuck: list[str] = []

    def respond(request: Received) -> Answer:
        stage = next(name for name in stages if name not in answered)
        if stage in stops:
            stuck.append(stage)
            return Answer("never", delay=300.0)
        answered.append(stage)
        return Answer(stages[stage])

    async with FakeServer(respond=respond) as model:
        models = {"default": {"endpoint": model.url, "name": "fake", "key": "k"}}
        task = {"goal": "Report one and two.", "models": models, "swarm": "always", "limits": {"workers": 1}}
        (project / "task.yaml").write_text(json.dumps(task))
        async with session(project, "--limit", "tokens=1_000_000", "--total", "tokens=4_000_000") as client:
            arguments: dict[str, Any] = {}
            for number, stage in enumerate(stops.copy(), 1):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, "run", arguments)
                    with anyio.fail_after(30):
                        while len(stuck) < number:  # noqa: ASYNC110 - the double has no event
                            await anyio.sleep(0.02)
                    tasks.cancel_scope.cancel()
                [run] = runs_of(project)
                shown = await call(client, "show", run=run.run, wait=30)
                assert shown["status"] == "cancelled", (stage, shown)
                stops.remove(stage)
                arguments = {"resume": run.run}
            done = await call(client, "run", **arguments)
            assert done["status"] == "done", done
            assert done["report"].startswith("One and two.")
    assert answered == list(stages)  # nothing was paid for twice
    assert stuck == ["plan", "report"]


@asynccontextmanager
async def host_in(project: Path) -> AsyncGenerator[tuple[Process, int]]:
    """Start a host that has started a server in a project. Give it with the id of the server's process."""
    words = [sys.executable, "-c", HOST, json.dumps([*ARGUMENTS, "--task", "task.yaml"])]
    async with await anyio.open_process(words, cwd=project, env=environment(), stderr=None) as host:
        assert host.stdout is not None
        yield host, int(await host.stdout.receive())


async def test_a_host_that_is_killed_leaves_no_process_and_a_run_that_ended_well(project: Path) -> None:
    async with FakeServer(Answer("never", delay=300.0), "It is done.") as stuck:
        slow_task(project, stuck)
        async with host_in(project) as (host, pid):
            server = psutil.Process(pid)
            children = [server, *server.children(recursive=True)]
            await answered_by(stuck, 1)
            host.send_signal(signal.SIGKILL)
            await host.wait()
        with anyio.fail_after(30):
            while any(map(_lives, children)):  # noqa: ASYNC110 - nothing tells the end of such a process
                await anyio.sleep(0.05)
        finished = recorded(runs_of(project)[0]).state.finished
        assert finished is not None
        assert finished.status == "cancelled"  # such a run resumes: see the test above


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def test_a_server_that_is_killed_leaves_a_run_that_resumes(project: Path) -> None:
    async with FakeServer(Answer("never", delay=300.0), "It is done.") as stuck:
        slow_task(project, stuck)
        async with host_in(project) as (host, pid):
            await answered_by(stuck, 1)
            os.kill(pid, signal.SIGKILL)
            await host.wait()  # its server says no more
        async with session(project, "--all-runs") as client:
            assert (await call(client, "run", resume=runs_of(project)[0].run))["status"] == "done"


async def test_calls_that_need_a_person_end_the_run_with_what_to_do(project: Path) -> None:
    calls = Answer(calls=(("python", {"code": "print(6 * 7)"}),))
    async with FakeServer(calls, "It is 42.") as model:
        plan = {"steps": [{"id": "first", "prompt": "One.", "tools": ["python"]}]}
        slow_task(project, model, approve="tools", tools=["python"], plan=plan)
        async with session(project) as client:
            found = await call(client, "run")
            assert found["status"] == "cancelled"
            assert "step first needs approval to call python" in json.dumps(found)
            assert f"swarm resume {runs_of(project)[0].path}" in found["next"]
            # The host cannot allow it: the same again.
            again = await call(client, "run", resume=found["run"])
            assert again["status"] == "cancelled"
    assert len(model.requests) == 1


async def test_wrong_and_huge_arguments_are_one_sentence_and_start_nothing(project: Path) -> None:
    long = "x" * 5_000_000
    async with session(project, "--total", "tokens=200_000") as client:
        assert "goal" in await refused(client, "run", goal="")
        assert "goal" in await refused(client, "run", goal="x" * 100_001)
        for arguments in (
            {"goal": 3},
            {"goal": ["a"]},
            {"task": "other.yaml"},
            {"inputs": ["../../etc/passwd"]},
            {"inputs": ["/etc/passwd"]},
            {"inputs": ["notes"]},
            {"inputs": ["C:\\Windows\\win.ini"]},
            {"inputs": ["http://127.0.0.1/x"]},
            {"inputs": ["notes/*.md"]},
            {"parameters": {"a": {"b": 1}}},
            {"limits": {"tokens": 10**12}},
            {"limits": {"tokens": -1}},
            {"limits": {"tokns": 1}},
            {"limits": {"tokens": "many"}},
            {"wait": -1},
            {"wait": 10**9},
            {"plan": "../x"},
            {"plan": "/etc"},
            {"resume": ".."},
            {"resume": ""},
            {"models": {"default": "http://127.0.0.1:1/v1"}},
            {"tools": ["python"]},
        ):
            said: Any = await client.call_tool("run", arguments)
            assert said.is_error, arguments
            assert len(said.content[0].text) < 1_000, arguments
        for name, arguments in (("show", {"run": "../.."}), ("stop", {"run": "*"}), ("show", {"run": "x" * 10_000})):
            assert "has no run" in await refused(client, name, **arguments)
        with pytest.raises(Exception, match="the message has more than 4,000,000 bytes"):
            await client.call_tool("run", {"goal": long})
        assert (await call(client, "check", inputs=["notes/a.md"]))["inputs"]
    assert not (project / ".swarm" / "runs").exists()
