"""Attacks on the box of `python` from inside: what stays after a call, what fills it, and what it leaves."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import psutil
import pytest

from swarm.spec.task import PythonSpec
from swarm.tools import python as python_kit
from swarm.tools.python import PythonKit
from tests.test_python_kit import Bench

pytestmark = pytest.mark.anyio


@pytest.fixture
async def box(tmp_path: Path) -> AsyncGenerator[Bench]:
    kit = PythonKit(PythonSpec(seconds=20, disk=20_000_000, processes=16), tmp_path)
    bench = Bench(tmp_path / "place", kit)
    yield bench
    await bench.place.aclose()
    await kit.close()


LEFT_BEHIND = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            with open("beats", "a") as file: file.write("x")
            time.sleep(0.01)
    os._exit(0)
os.wait()
while not os.path.exists("beats"): time.sleep(0.01)
"""


async def test_s40_what_a_call_leaves_behind_stands_still_until_the_next_one(box: Bench) -> None:
    await box.run(LEFT_BEHIND)
    inside = [each for each in psutil.Process().children(recursive=True) if each.name().startswith("python")]
    assert len(inside) >= 2
    with anyio.fail_after(10):
        while {each.status() for each in inside} != {psutil.STATUS_STOPPED}:  # noqa: ASYNC110 - nothing tells it
            await anyio.sleep(0.01)
    count = "n = len(open('beats').read()); n"
    before = int(await box.run(count))
    again = "import time\nwhile len(open('beats').read()) <= n: time.sleep(0.01)"
    await box.run(again)  # it goes on with the call
    assert int(await box.run(count)) > before


async def test_s13_the_number_of_files_is_bounded(box: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_kit, "MOST_FILES", 500)
    endless = "import itertools, time\nfor n in itertools.count(): open(f'/tmp/{n}', 'x').close()"
    assert "killed: it made more than 500 files" in await box.error(endless)
    assert await box.run("1 + 1") == "2"


async def test_s12_what_a_call_leaves_is_files_and_nothing_else(box: Bench) -> None:
    odd = """
import os, socket
os.mkfifo('pipe'); os.symlink('/etc/passwd', 'link'); os.symlink('/', 'root'); os.symlink('/inputs', 'in')
server = socket.socket(socket.AF_UNIX); server.bind('door')
for kind in (0o020666, 0o060666):
    try: os.mknod('device', kind, os.makedev(1, 3))
    except OSError: pass
open('sparse', 'wb').truncate(19_000_000)
open('whole.txt', 'w').write('whole')
os.link('whole.txt', 'same.txt')
"""
    made = (await box.result(odd)).files
    assert {each.name for each in made} == {"whole.txt", "same.txt", "sparse"}
    assert not [each for each in made if b"root:" in each.content]
