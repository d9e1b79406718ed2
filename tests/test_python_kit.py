"""The kits `python` and `calculate`: what code may do, and everything that it may not."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute

from swarm.base.errors import EndpointRefused, TaskError, ToolError
from swarm.base.values import canonical
from swarm.spec.chat import Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Input, Model, PythonSpec, Task
from swarm.testing import Function, reply
from swarm.tools import Place, ToolContext, ToolResult, sandbox
from swarm.tools import python as python_kit
from swarm.tools.box_processes import memory_of
from swarm.tools.calculate import CalculateKit
from swarm.tools.python import PythonKit
from swarm.tools.sandbox import BoxBounds, found, interpreter
from tests.models import own_prompt, resume_with, run_with
from tests.test_files_kit import Ground

pytestmark = pytest.mark.anyio


class Bench:
    """A place with a kit."""

    def __init__(self, folder: Path, kit: Any, **place: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.kit = kit
        self.place = Place(step="s", storage=Ground(folder), **place)

    async def result(self, code: str) -> ToolResult:
        [made] = self.kit.tools
        return await made.run(canonical({"code": code}).decode(), ToolContext("s", place=self.place))

    async def run(self, code: str) -> str:
        return (await self.result(code)).text

    async def error(self, code: str) -> str:
        with pytest.raises(ToolError) as caught:
            await self.result(code)
        return str(caught.value)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a box with small bounds."""
    inputs = (Input(name="d/sales.csv", text="region,amount\nnorth,10\n", size=25), Input(name="../evil", text="x"))
    kit = PythonKit(PythonSpec(seconds=20, disk=20_000_000, processes=16), tmp_path)
    assert kit.problem() is None, "these tests need bubblewrap"
    bench = Bench(tmp_path / "place", kit, inputs=inputs, given={"read.1": "Tea."})
    yield bench
    await bench.place.aclose()
    await kit.close()


async def test_code_prints_gives_a_value_and_keeps_its_variables(box: Bench) -> None:
    assert await box.run("x = 20\nprint('hi')\nx + 1") == "hi\n21"
    assert await box.run("x") == "20"
    assert await box.run("x = 1") == "(no output)"
    assert "ZeroDivisionError: division by zero" in await box.run("1 / 0")
    assert 'File "<code>", line 2' in await box.run("\n1 / 0")
    assert "SyntaxError" in await box.run("def f(:")
    assert await box.run("import sys; sys.exit(3)") != ""
    assert await box.run("x") == "1"
    assert await box.run("input()") != "", "there is nothing on stdin, and nothing waits"


async def test_inputs_are_read_only_below_their_names(box: Bench) -> None:
    assert await box.run("print(open('/inputs/d/sales.csv').read())") == "region,amount\nnorth,10"
    assert await box.run("open('/inputs/step/read.1').read()") == "'Tea.'"
    assert "Error" in await box.run("open('/inputs/d/sales.csv', 'w')")
    assert "Error" in await box.run("open('/inputs/new', 'w')")
    assert await box.run("import os; sorted(os.listdir('/inputs'))") == "['d', 'evil', 'step']"


async def test_files_and_pictures_that_code_leaves_are_results_and_survive_a_kill(box: Bench) -> None:
    made = await box.result("open('t.csv', 'w').write('a\\n1\\n'); import os; os.symlink('/inputs/d', 'l')")
    assert [(each.name, each.content) for each in made.files] == [("t.csv", b"a\n1\n")]
    png = "bytes.fromhex('89504e470d0a1a0a')"
    made = await box.result(f"os.makedirs('p'); open('p/x.png', 'wb').write({png})")
    assert [(each.name, each.medium) for each in made.files] == [("p/x.png", "image")]
    said = await box.error("import os; os._exit(1)")
    assert "the interpreter ended" in said
    assert "all variables are lost" in said
    assert await box.run("open('t.csv').read()") == "'a\\n1\\n'"
    assert "NameError" in await box.run("made")


def refuses(code: str) -> str:
    return f"try: {code}\nexcept Exception: pass\nelse: raise AssertionError('allowed')"


PROBES = {
    "environment of this process": """
import os
known = 'PATH HOME LANG PYTHONDONTWRITEBYTECODE OPENBLAS_NUM_THREADS OMP_NUM_THREADS MPLBACKEND MPLCONFIGDIR'
known += ' PWD LC_CTYPE'
assert set(os.environ) <= set(known.split()), dict(os.environ)""",
    "canary in any environment": """
import glob
for path in glob.glob('/proc/*/environ'):
    try: text = open(path).read()
    except OSError: continue
    assert 'zq1zq' not in text, path""",
    "canary in any command line": """
import glob
for path in glob.glob('/proc/*/cmdline'):
    assert 'zq1zq' not in open(path).read(), path""",
    "memory of process 1": """
try: open('/proc/1/mem', 'rb')
except OSError: pass
else:
    import re
    for line in open('/proc/1/maps'):
        a, b = (int(x, 16) for x in line.split()[0].split('-'))
        try:
            with open('/proc/1/mem', 'rb') as f:
                f.seek(a); assert b'zq1zq' not in f.read(min(b - a, 2**24))
        except (OSError, ValueError, OverflowError): pass""",
    "files of users": "import os; assert not os.path.exists('/etc/passwd') and not os.path.exists('/home')",
    "the root is read-only": refuses("open('/x', 'w')"),
    "the system is read-only": refuses("open('/usr/x', 'w')"),
    "the interpreter is read-only": refuses("__import__('sys').prefix and open(__import__('sys').prefix + '/x', 'w')"),
    "devices": """
import os
known = 'null zero full random urandom tty ptmx pts shm fd stdin stdout stderr core console'
assert set(os.listdir('/dev')) <= set(known.split()), os.listdir('/dev')""",
    "the kernel": refuses("open('/proc/sys/kernel/core_pattern', 'w')"),
    "sysrq": refuses("open('/proc/sysrq-trigger', 'w')"),
    "another namespace of users": "import ctypes; assert ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == -1",
    "a mount": "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == -1",
    "another root": refuses("__import__('os').chroot('/tmp')"),
    "another user": refuses("__import__('os').setuid(0)"),
    "capabilities": "assert 'CapEff:\\t0000000000000000' in open('/proc/self/status').read()",
    "new privileges": "assert 'NoNewPrivs:\\t1' in open('/proc/self/status').read()",
    "the network": refuses("__import__('socket').create_connection(('1.1.1.1', 80), 1)"),
    "loopback of this machine": refuses("__import__('socket').create_connection(('127.0.0.1', PORT), 1)"),
    "interfaces": "import socket; assert [name for _, name in socket.if_nameindex()] == ['lo']",
    "sockets of this machine": "import os; assert not os.path.exists('/run') and not os.path.exists('/var')",
    "processes of this machine": "import os; assert len([p for p in os.listdir('/proc') if p.isdigit()]) < 10",
    "a terminal": refuses("open('/dev/tty', 'w')"),
    "disk": refuses("open('x', 'wb').write(b'x' * 30_000_000)"),
    "disk in many files": refuses("[open(f'f{n}', 'wb').write(b'x' * 3_000_000) for n in range(20)]"),
    "disk in the temporary folder": refuses("open('/tmp/x', 'wb').write(b'x' * 30_000_000)"),
    "disk in shared memory": refuses("open('/dev/shm/x', 'wb').write(b'x' * 30_000_000)"),
    "2 GB of memory": refuses("bytearray(2_000_000_000)"),
    "many open files": refuses("[open('/dev/null') for _ in range(1000)]"),
    "a fork bomb": """
import os, time
n = 0
try:
    while n < 200:
        if os.fork() == 0:
            time.sleep(0.2); os._exit(0)
        n += 1
except OSError: pass
for _ in range(n): os.wait()
assert n < 16, n""",
    "threads": refuses(
        "[__import__('threading').Thread(target=__import__('time').sleep, args=(0.2,)).start() for _ in range(100)]"
    ),
    "sandbox escapes by objects": "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen']",
    "a program of the system": "import subprocess; assert subprocess.run(['id'], capture_output=True).returncode == 0",
}


ALL = """
import glob, os, time
failed = {}
for name, text in PROBES.items():
    try:
        exec(text, {})
    except BaseException as error:
        failed[name] = repr(error)
    for path in glob.glob('*') + glob.glob('/tmp/*') + glob.glob('/dev/shm/*'):
        if os.path.isfile(path): os.remove(path)
    if 'bomb' in name or 'threads' in name:
        time.sleep(0.3)
failed
"""


async def test_s12_a_program_inside_reaches_nothing(box: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty probes from inside; the canary is in the environment of the process that makes the box."""
    monkeypatch.setenv("SWARM_CANARY", "zq1zq")
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.listeners[0].extra(SocketAttribute.local_port)
    async with listener:
        said = await box.run(f"PROBES = {PROBES!r}\n{ALL}".replace("PORT", str(port)))
    assert said == "{}"
    assert len(PROBES) >= 30


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("while True: print('x' * 100_000)", "killed after 1,000,000 bytes of output"),
        ("while True: pass", "killed after 0.5 seconds"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL); os.kill(os.getpid(), 9)", "the interpreter ended"),
        (
            "import os; os.close(1); os.close(0)\nfor n in range(3, 20):\n  try: os.close(n)\n  except OSError: pass",
            "ended",
        ),
    ],
)
async def test_s13_endless_code_is_killed_and_the_next_call_works(tmp_path: Path, code: str, words: str) -> None:
    kit = PythonKit(PythonSpec(seconds=0.5 if "pass" in code else 20), tmp_path)
    bench = Bench(tmp_path / "place", kit)
    try:
        await bench.kit.open(None)
        if "0.5" in words:
            kit._seconds = 20.0  # pyright: ignore[reportPrivateUsage]
            await bench.run("1")
            kit._seconds = 0.5  # pyright: ignore[reportPrivateUsage]
        assert words in await bench.error(code)
        kit._seconds = 20.0  # pyright: ignore[reportPrivateUsage]
        assert await bench.run("1 + 1") == "2"
    finally:
        await bench.place.aclose()
        await kit.close()


TOGETHER = """
import os, time
for _ in range(6):
    if not os.fork():
        held = bytearray(os.urandom(1_000_000)) * 40
        time.sleep(20)
time.sleep(20)
"""


async def test_s13_the_memory_of_all_processes_is_bounded_together(tmp_path: Path) -> None:
    kit = PythonKit(PythonSpec(seconds=30, memory=150_000_000), tmp_path)
    bench = Bench(tmp_path / "place", kit)
    assert "all its processes together took more than 150,000,000 bytes" in await bench.error(TOGETHER)
    assert await bench.run("1 + 1") == "2"
    await bench.place.aclose()
    await kit.close()
    assert memory_of(os.getpid()) > 10_000_000
    assert memory_of(2**31 - 1) == 0


async def test_s11_without_a_box_nothing_runs(box: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program that makes boxes is gone in the middle of a run: no code runs without one."""
    await box.error("import os; os._exit(1)")
    monkeypatch.setattr(python_kit, "ENVIRON", {"PATH": str(tmp_path)})
    monkeypatch.setattr(python_kit, "command", gone)
    with pytest.raises(ToolError) as caught:
        await box.result(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert caught.value.kind == "sandbox_unavailable"
    assert not (tmp_path / "ran").exists()


async def test_a_machine_without_a_box_says_why_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "ENVIRON", {"PATH": str(tmp_path)})
    found.cache_clear()
    try:
        model = Function(lambda _: "x")
        with pytest.raises(TaskError) as caught:
            await run_with(model, Task(goal="x", tools=("calculate", "python"), folder=tmp_path))
        words = str(caught.value)
        assert words.startswith("tools.1: no sandbox for python here: bubblewrap: bwrap")
        assert "`calculate` works without one" in words
        assert model.requests == []
    finally:
        found.cache_clear()


async def test_a_box_that_does_not_start_is_no_box(monkeypatch: pytest.MonkeyPatch) -> None:
    found.cache_clear()
    monkeypatch.setattr(sandbox, "command", broken)
    assert found(interpreter(), BoxBounds(disk=3_000_000)).why == "bubblewrap: No permissions"
    found.cache_clear()


def gone(*_: object) -> list[str]:
    return ["bwrap-is-gone", "x"]


def broken(*_: object) -> list[str]:
    return ["/bin/sh", "-c", "echo No permissions >&2; exit 1"]


async def test_a_box_that_was_closed_to_make_room_gets_its_variables_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_kit, "MOST_OPEN", 1)
    kit = PythonKit(PythonSpec(), tmp_path)
    one, other = Bench(tmp_path / "one", kit), Bench(tmp_path / "other", kit)
    try:
        await one.run("x = 40")
        await one.run("x += 1")
        assert await other.run("'y'") == "'y'"
        assert await one.run("x + 1") == "42"
    finally:
        await one.place.aclose()
        await other.place.aclose()
        await kit.close()


# A run


STEP = Step(id="look", prompt="Look.")


def coded(*turns: Any) -> Function:
    """Make a model that runs code, one piece a turn, and says the last result."""

    def answer(request: Request) -> Any:
        done = sum(message.role == "assistant" for message in request.messages)
        assert own_prompt(request) == "Look."
        if done == len(turns):
            return f"It says: {request.messages[-1].text}"
        return reply(calls=[("python", {"code": turns[done]})]) if isinstance(turns[done], str) else turns[done]

    return Function(answer)


def task(folder: Path) -> Task:
    models = {"default": Model(endpoint="offline")}
    return Task(goal="x", tools=("python",), models=models, plan=Plan(steps=(STEP,)), folder=folder)


async def test_killed_in_the_third_call_and_resumed_the_next_one_sees_its_variables_and_files(tmp_path: Path) -> None:
    stop = EndpointRefused("spent", kind="quota", stops=True)
    stopped = await run_with(coded("x = 40", "open('n.txt', 'w').write('tea')", stop), task(tmp_path), cache=False)
    assert stopped.report is None
    again = coded("-", "-", "print(x + 2, open('n.txt').read())")
    result = await resume_with(again, stopped.folder, cache=False)
    assert result.report is not None
    assert "42 tea" in result.report.text
    assert len(again.requests) == 2


# calculate


async def test_calculate_needs_no_box_and_keeps_nothing(tmp_path: Path) -> None:
    kit = CalculateKit()
    bench = Bench(tmp_path, kit)
    try:
        assert await bench.run("print('sum'); 2 ** 100") == "sum\n1267650600228229401496703205376"
        assert await bench.run("import math\nround(math.pi, 4)") == "3.1416"
        assert await bench.run("import random\nrandom.random()") == await bench.run("import random\nrandom.random()")
        for code, words in [
            ("x", "NameError"),
            ("x = [0] * 10**9", "MemoryError"),
            ("open('/etc/passwd').read()", "Permission denied"),
            ("import os\nos.environ", "not supported"),
            ("import subprocess", "No module named"),
            ("().__class__.__base__.__subclasses__()", "AttributeError"),
            ("def f(:", "Expected"),
        ]:
            assert words in await bench.error(code)
    finally:
        await kit.close()
