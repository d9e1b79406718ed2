"""The kit `python`: real Python in a box, one interpreter a step, whose variables stay from call to call.

A box without a network changes nothing outside of itself, so a resumed attempt makes its earlier
calls again in a fresh box and has its variables back. A call that is killed (time, output, memory)
loses the variables; the files in `/work` are kept here between calls, and the result says so.
"""

import base64
import os
import secrets
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resource_files
from pathlib import Path, PurePosixPath
from shutil import rmtree
from subprocess import DEVNULL, PIPE
from typing import Any, cast

import anyio
import anyio.abc
import anyio.to_thread
from pydantic_core import from_json, to_json

from swarm.base.errors import ToolError
from swarm.base.redaction import safe_text
from swarm.base.values import digest
from swarm.spec.task import PythonSpec
from swarm.tools.box_processes import MOST_FILES, files_of, halt, memory_of, wake
from swarm.tools.functions import tool
from swarm.tools.kinds import Tool, ToolContext, ToolResult, made_file, words
from swarm.tools.kit import Kit, Opening, offered
from swarm.tools.place import STEP, Place
from swarm.tools.sandbox import ENVIRON, NOBODY, BoxBounds, BoxFinding, Interpreter, command, found, interpreter
from swarm.tools.scratch import MOST_FILE_BYTES, checked_name, names_in, read_scratch, write_scratch

MOST_OUTPUT = 1_000_000
"""Maximum bytes that a call may print: then it is killed."""
MOST_REPLY = 400_000_000
"""Maximum bytes of a reply with the files of a call."""
MOST_OPEN = 32
"""Maximum boxes that are open; then the one that was idle for the longest time closes."""
WAITING_SECONDS = 3600.0
"""Deadline of a call with its waiting for a processor, which is not counted as work."""
MEASURE_SECONDS = 0.2
"""Seconds between two looks at the memory of a box."""
NO_BOX = "sandbox_unavailable"


@dataclass
class PythonBox:
    """The process of one step's box."""

    process: anyio.abc.Process
    inputs: Path
    memory: int = 0
    """Maximum bytes of memory of all its processes together; 0: not measured."""
    used: float = 0.0
    busy: bool = False
    known: dict[str, str] = field(default_factory=dict[str, str])
    """Files that are in the box, with the hash of their content."""
    measured: float = 0.0
    """When its memory was measured last."""
    buffered: bytearray = field(default_factory=bytearray)
    codes: list[str] = field(default_factory=list[str])
    """What has run in it, in order: a fresh box gets its variables by running it again."""

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.process.returncode is None

    async def ask(self, code: str, files: Mapping[str, bytes]) -> tuple[bytes, dict[str, Any]]:
        """Run code. Return what it printed, and its reply. Raise `EOFError` if the box ended."""
        mark = secrets.token_hex(16)
        sent = {name: base64.b64encode(content).decode() for name, content in files.items()}
        request = to_json({"code": code, "mark": mark, "files": sent})
        assert self.process.stdin is not None
        try:
            await self.process.stdin.send(f"{len(request)}\n".encode() + request)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise EOFError from error
        printed = await self._until(f"\n{mark}".encode(), MOST_OUTPUT)
        size = int(await self._until(b"\n", 20))
        if size > MOST_REPLY:
            raise EOFError
        return printed, cast("dict[str, Any]", from_json(await self._exactly(size)))

    async def _until(self, mark: bytes, most: int) -> bytes:
        """Return what comes before a mark. Raise `OverflowError` after `most` bytes without it."""
        start = 0
        while (at := self.buffered.find(mark, start)) < 0:
            if len(self.buffered) > most:
                raise OverflowError
            start = max(0, len(self.buffered) - len(mark))
            await self._more()
        found = bytes(self.buffered[:at])
        del self.buffered[: at + len(mark)]
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self.buffered) < size:
            await self._more()
        found = bytes(self.buffered[:size])
        del self.buffered[:size]
        return found

    async def _more(self) -> None:
        """Wait for more bytes. Raise `MemoryError` or `FileExistsError` if its processes take too much together."""
        assert self.process.stdout is not None
        before = len(self.buffered)
        try:
            while len(self.buffered) == before:
                await self._measure()
                with anyio.move_on_after(MEASURE_SECONDS):
                    self.buffered += await self.process.stdout.receive(1_000_000)
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise EOFError from error

    async def _measure(self) -> None:
        now = anyio.current_time()
        if self.memory and now >= self.measured + MEASURE_SECONDS:
            self.measured = now
            if await anyio.to_thread.run_sync(memory_of, self.process.pid) > self.memory:
                raise MemoryError
            if await anyio.to_thread.run_sync(files_of, self.process.pid) > MOST_FILES:
                raise FileExistsError

    async def aclose(self) -> None:
        """Kill everything in the box, and remove its copy of the inputs."""
        with anyio.CancelScope(shield=True):
            if self.is_alive:
                self.process.kill()
            await self.process.aclose()
            await anyio.to_thread.run_sync(rmtree, self.inputs, True)


class PythonKit(Kit):
    """The kit: boxes of all steps, as many working at once as there are processors."""

    name = prefix = "python"
    section = "python"

    def __init__(self, spec: PythonSpec, folder: Path) -> None:
        """`folder` is that of the task, to which a venv is relative."""
        self._seconds = spec.seconds
        self._bounds = BoxBounds(spec.memory, spec.processes, spec.disk, spec.network)
        venv = None if spec.venv is None else (folder / spec.venv).resolve()
        self._venv = venv
        self._python = interpreter(venv)
        self._open: dict[int, PythonBox] = {}
        self._working: anyio.Semaphore | None = None
        self.tools = (self._tool(spec),)
        self.offers = offered(self.tools)

    def problem(self) -> str | None:
        """Return why there is no box here."""
        if self._venv is not None and not (self._venv / "bin" / "python3").exists():
            missing = f"python.venv: there is no {self._venv / 'bin' / 'python3'}"
            return f"{missing}\nhint: make it: python3 -m venv {shlex.quote(str(self._venv))}"
        finding = self.finding
        if finding.name:
            return None
        return f"no sandbox for python here: {finding.why}\nhint: `calculate` works without one"

    @property
    def finding(self) -> BoxFinding:
        """The box that this machine offers."""
        return found(self._python, self._bounds)

    async def open(self, opening: Opening) -> None:
        """Boxes open when steps need them."""
        del opening
        self._working = anyio.Semaphore(os.cpu_count() or 1)

    async def close(self) -> None:
        """Close all boxes."""
        for box in list(self._open.values()):
            await box.aclose()
        self._open.clear()

    def _tool(self, spec: PythonSpec) -> Tool:
        made = described(self._python)

        async def run(text: str, context: ToolContext) -> ToolResult:
            code = await read_code(text, context)
            return await self._run(code, context.place)

        version = digest([self._python.packages, spec.model_dump(mode="json"), "1"])
        return Tool(
            made,
            run,
            check=_CODE.check,
            effect="network" if spec.network else "exec",
            seconds=WAITING_SECONDS,
            stable=not spec.network,
            shared=False,
            alone="step",
            ask=spec.ask,
            goes_to="python" if spec.network else "",
            version=version,
            kit="python",
            rebuilds=not spec.network,
        )

    async def _run(self, code: str, place: Place) -> ToolResult:
        if self._working is None:
            self._working = anyio.Semaphore(os.cpu_count() or 1)
        async with self._working:
            box = await place.keep("python", lambda: self._box(place))
            if not box.is_alive:
                box = await self._again(box, place)
            box.busy = True
            wake(box.process.pid)
            try:
                return await self._asked(box, code, place)
            finally:
                box.busy, box.used = False, anyio.current_time()
                if box.is_alive:
                    halt(box.process.pid)

    async def _again(self, closed: PythonBox, place: Place) -> PythonBox:
        """Return a fresh box in place of one that was closed to make room, with the variables that it had."""
        place.forget("python")
        await self._ended(closed)
        box = await place.keep("python", lambda: self._box(place))
        for code in () if self._bounds.network else closed.codes:
            await self._asked(box, code, place)
        return box

    async def _asked(self, box: PythonBox, code: str, place: Place) -> ToolResult:
        """Run code in a box. Kill the box if the code takes too long, prints too much or ends it."""
        new = _unknown_files(box, place)
        why = ""
        printed, reply = b"", dict[str, Any]()
        with anyio.move_on_after(self._seconds) as scope:
            try:
                printed, reply = await box.ask(code, new)
            except OverflowError:
                printed, why = bytes(box.buffered[:MOST_OUTPUT]), f"killed after {MOST_OUTPUT:,} bytes of output"
            except MemoryError:
                most = f"{self._bounds.memory:,} bytes of memory"
                printed, why = bytes(box.buffered), f"killed: all its processes together took more than {most}"
            except FileExistsError:
                printed, why = bytes(box.buffered), f"killed: it made more than {MOST_FILES:,} files"
            except EOFError:
                printed, why = bytes(box.buffered), "the interpreter ended, for example for lack of memory"
            except ValueError:
                why = "the interpreter gave no answer"
        if scope.cancelled_caught:
            printed, why = bytes(box.buffered[:MOST_OUTPUT]), f"killed after {self._seconds:g} seconds"
        if why:
            place.forget("python")
            await self._ended(box)
            said = _text(printed)
            raise ToolError(f"{why}; all variables are lost, files of earlier calls in /work are kept\n{said}".rstrip())
        box.codes.append(code)
        return _result(printed, reply, _taken(box, reply, place))

    async def _box(self, place: Place) -> PythonBox:
        """Start a box for a step. Raise `ToolError` if that is impossible now: never run code without one."""
        await self._make_room()
        inputs = await anyio.to_thread.run_sync(_copied, place)
        driver = resource_files("swarm.tools").joinpath("box_driver.py").read_text(encoding="utf-8")
        line = command(self._python, inputs, self._bounds, driver)
        try:
            process = await anyio.open_process(line, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=ENVIRON)
        except OSError as error:
            await anyio.to_thread.run_sync(rmtree, inputs, True)
            raise ToolError(f"there is no sandbox any more: {error.strerror}", kind=NO_BOX) from error
        box = PythonBox(process, inputs, self._bounds.memory, anyio.current_time())
        self._open[id(box)] = box
        try:
            with anyio.fail_after(self._seconds):
                await box.ask("", {})
        except (EOFError, OverflowError, MemoryError, ValueError, TimeoutError) as error:
            await self._ended(box)
            raise ToolError("the sandbox does not start any more", kind=NO_BOX) from error
        return box

    async def _make_room(self) -> None:
        idle = sorted((box for box in self._open.values() if not box.busy), key=lambda box: box.used)
        for box in idle[: max(0, len(self._open) + 1 - MOST_OPEN)]:
            await self._ended(box)

    async def _ended(self, box: PythonBox) -> None:
        self._open.pop(id(box), None)
        await box.aclose()


def described(python: Interpreter) -> Any:
    """Return the description of the tool for models, which names packages that help with data."""
    known = [name for name in ("pandas", "numpy", "matplotlib", "scipy", "polars") if f"{name}-" in python.packages]
    packages = f" Installed: {', '.join(known)}." if known else ""

    @tool(name="python")
    def run(code: str) -> str:
        """Run Python in a sandbox.

        Args:
            code: Python. Print what you want to see, or end with an expression.
        """
        return code

    more = (
        f"Variables stay from call to call.{packages} Your inputs are read-only below /inputs under their names, "
        "outputs of other steps in /inputs/step, their files in /inputs/step-files. Files that you leave in /work (the "
        "current folder) are kept as results, such as tables; you see pictures if you can. There is no network."
    )
    return run.spec.model_copy(update={"description": f"{run.spec.description}\n\n{more}"})


async def read_code(text: str, context: ToolContext) -> str:
    """Return the code of a call. Raise `ToolError` for other arguments."""
    code = await _CODE.run(text, context)
    return cast("str", code)


@tool(name="python")
async def _CODE(code: str) -> str:  # noqa: N802 - a tool, which is a value
    """Return the code."""
    return code


def _copied(place: Place) -> Path:
    """Return a folder with a copy of what a step may read, for its box only."""
    folder = Path(tempfile.mkdtemp(prefix="swarm-inputs-"))
    for name, content in _readable(place):
        parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
        path = folder.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError:
            continue  # a name that no file can have
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, int(NOBODY), int(NOBODY), follow_symlinks=False)
    return folder


def _readable(place: Place) -> list[tuple[str, bytes]]:
    found = [(each.name, base64.b64decode(each.base64) if each.base64 else each.text.encode()) for each in place.inputs]
    found += [(f"{STEP}{step}", text.encode("utf-8", "replace")) for step, text in place.given.items()]
    # The output of a step is a file here, so its files are elsewhere.
    found += [(f"step-files/{name.removeprefix(STEP)}", place.content(made)) for name, made in place.files.items()]
    return found


def _unknown_files(box: PythonBox, place: Place) -> dict[str, bytes]:
    """Return the files of the scratch folder that the box does not have as they are."""
    if not place.has_scratch:
        return {}
    new: dict[str, bytes] = {}
    for name in names_in(place.scratch):
        content = read_scratch(place.scratch, name)
        mark = digest(content.hex())
        if box.known.get(name) != mark:
            box.known[name] = mark
            new[name] = content
    return new


def _taken(box: PythonBox, reply: Mapping[str, Any], place: Place) -> dict[str, bytes]:
    """Write the files of a reply into the scratch folder, and return them."""
    taken: dict[str, bytes] = {}
    given = reply.get("files")
    for name, text in (cast("dict[str, Any]", given) if isinstance(given, dict) else {}).items():
        try:
            content = base64.b64decode(text)
            plain = checked_name(name)
        except (ToolError, ValueError, TypeError):
            continue
        if len(content) <= MOST_FILE_BYTES:
            write_scratch(place.scratch, plain, content)
            box.known[plain] = digest(content.hex())
            taken[plain] = content
    return taken


def _text(printed: bytes) -> str:
    return safe_text(printed.decode("utf-8", "replace")).strip("\n")


def _result(printed: bytes, reply: Mapping[str, Any], files: Mapping[str, bytes]) -> ToolResult:
    """Return what a call gives: what was printed, the value or the error, and the files that it made."""
    said = [_text(printed)]
    for key in ("value", "error"):
        value = reply.get(key)
        if isinstance(value, str) and value:
            said.append(safe_text(value))
    text = "\n".join(part for part in said if part) or "(no output)"
    made = [made_file(name, content) for name, content in files.items()]
    return ToolResult((words("python", text), *made))
