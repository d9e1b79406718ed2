"""`@modelcontextprotocol/server-memory`, an MCP server that reads its file, changes it and writes it.

It loses writes that are made at once (modelcontextprotocol/servers#4797), unless somebody makes them one after another.
"""

import json
import shutil
from pathlib import Path

import anyio
import pytest
from judging import memory

from swarm.spec.servers import Server
from swarm.tools import Toolbox
from swarm.tools.mcp.kit import ServerKit
from tests.test_mcp import ask, opened

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,  # installs a server the first time, and starts it
    pytest.mark.timeout(400),
]


async def test_s45_fifty_writes_at_once_to_a_real_memory_server_leave_fifty(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "this server needs Node.js"
    folder = tmp_path / "memory"
    folder.mkdir()
    kept = folder / "graph.jsonl"
    server = Server(
        command=(node, str(memory())),
        env={"MEMORY_FILE_PATH": str(kept)},
        writes=(str(folder),),
        tools={"create_entities": "write", "read_graph": "read"},
    )

    async def write(box: Toolbox, name: str) -> None:
        entity = {"name": name, "entityType": "service", "observations": ["needs 12 GB"]}
        await ask(box, "notes.create_entities", json.dumps({"entities": [entity]}), name)

    one, other = (ServerKit("notes", server) for _ in range(2))  # as two runs have
    async with opened(one, folder=tmp_path) as first, opened(other, folder=tmp_path) as second:
        async with anyio.create_task_group() as tasks:
            for n in range(50):
                tasks.start_soon(write, first if n % 2 else second, f"step-{n}")
        graph = json.loads(await ask(first, "notes.read_graph"))
    names = {f"step-{n}" for n in range(50)}
    assert {entity["name"] for entity in graph["entities"]} == names
    assert {json.loads(line)["name"] for line in kept.read_text().splitlines()} == names
