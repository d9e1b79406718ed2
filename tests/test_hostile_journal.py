"""Journals that somebody wrote by hand, with right checksums: every command ends with words, not an internal error.

Each case changes one value, removes one, or moves a line, then runs commands on the folder in this process. The cases
come from a seed, so a failure can be repeated. Whatever a journal says, no other machine is called: a guard refuses it.
"""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from swarm.base.errors import SwarmError
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from tests.commands import Command, in_process, only_run

TASK = """\
goal: How much memory does each service need?
inputs: [notes/*.md]
models: {default: {endpoint: offline}}
swarm: always
plan:
  - {id: read, each: inputs, prompt: "Read {item}."}
  - {id: list, prompt: "List the services.", output: {type: array, items: {type: string}}}
  - {id: judge, each: list, prompt: "Judge {item}.", needs: [list], optional: true}
  - {id: sum, prompt: "Sum.", needs: [read], after: [judge]}
"""
VALUES: tuple[Any, ...] = (
    *(None, "", "x" * 300, "../../x", "\x1b[2J", "plan", "reduce", "read", "http://[", "9" * 30, "0.5"),
    *(-1, 0, 1, 3, 2**63, 2**70, 0.5, 1e308, -1e308, True, [], {}, ["read"], {"a": 1}, [[]]),
)
COMMANDS = (
    ("show", "last"),
    ("show", "last", "read.1"),
    ("show", "last", "--json"),
    ("resume", "last", "--quiet"),
    ("resume", "last", "--failed", "--quiet"),
    ("runs",),
    ("diff", "last", "last"),
    ("simulate", "last", "--workers", "1,3"),
    ("cache", "why", "last", "read.1"),
    ("run", "task.yaml", "--replay", "last", "--quiet"),
    ("plan", "task.yaml", "--quiet"),
)
Events = list[dict[str, Any]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture
def run(empty: Path, command: Command) -> Path:
    """The folder of a run."""
    (empty / "task.yaml").write_text(TASK)
    (empty / "notes").mkdir()
    for name, memory in (("mail", 3), ("wiki", 5)):
        (empty / "notes" / f"{name}.md").write_text(f"The {name} service needs {memory} GB of memory.\n")
    assert command("run", "task.yaml", "--quiet", "--no-cache").code == 0
    return only_run(empty)


def events(journal: Path) -> Events:
    return [json.loads(line[:-18] + b"}") for line in journal.read_bytes().splitlines()]


def written(found: Events) -> bytes:
    """Return events as a journal, with the checksums that belong to them."""
    bodies = [json.dumps(event, separators=(",", ":")).encode() for event in found]
    return b"".join(b'%s,"crc":"%08x"}\n' % (body[:-1], crc32(body)) for body in bodies)


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside another; of a list, of its first three."""
    if isinstance(value, dict):
        inner: list[tuple[Any, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    elif isinstance(value, list):
        inner = list(enumerate(value[:3]))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    else:
        return
    for name, each in inner:
        yield (*before, name)
        yield from paths(each, (*before, name))


def changed(found: Events, path: tuple[Any, ...], value: Any, *, removed: bool = False) -> None:
    """Change or remove the value at a path."""
    holder: Any = found
    for name in path[:-1]:
        holder = holder[name]
    if removed:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value


def mutated(found: Events, rng: random.Random) -> str:
    """Change one thing in a journal and return what it was."""
    first, second = rng.randrange(1, len(found)), rng.randrange(1, len(found))
    kind = rng.choice(("value",) * 12 + ("removed", "dropped", "doubled", "swapped"))
    if kind in ("value", "removed"):
        line = rng.randrange(len(found))
        path = (line, *rng.choice(list(paths(found[line]))))
        value = rng.choice(VALUES)
        changed(found, path, value, removed=kind == "removed")
        return f"{kind} {path}: {value!r}"
    if kind == "dropped":
        del found[first]
    elif kind == "doubled":
        found.insert(second, json.loads(json.dumps(found[first])))
    else:
        found[first], found[second] = found[second], found[first]
    for number, event in enumerate(found, 1):
        event["seq"] = number
    return f"{kind} {first}, {second}"


def problems(run: Path, content: bytes, command: Command, commands: tuple[tuple[str, ...], ...]) -> list[str]:
    """Run commands on a folder with this journal; return what is not as it should be."""
    found: list[str] = []
    for arguments in commands:
        for other in [each for each in run.parent.iterdir() if each != run]:
            shutil.rmtree(other)  # the copy of an earlier replay
        (run / "journal.jsonl").write_bytes(content)
        said = command(*arguments)
        if said.code not in {0, 1, 2, 3, 4} or "internal error" in said.err or list(run.glob("bug*")):
            found.append(f"{arguments}: exit {said.code}: {said.err[-300:]}")
            for trace in run.glob("bug*"):
                found.append(trace.read_text()[-300:])
                trace.unlink()
    return found


def is_readable(run: Path, content: bytes) -> bool:
    (run / "journal.jsonl").write_bytes(content)
    try:
        recorded(RunFolder(run))
    except SwarmError:
        return False
    return True


def fuzzed(run: Path, command: Command, seed: int, readable: int, *, lines: int | None = None) -> list[str]:
    """Change a journal again and again until that many changed ones could be read."""
    whole = events(run / "journal.jsonl")[:lines]
    rng = random.Random(seed)
    found: list[str] = []
    while readable:
        now = json.loads(json.dumps(whole))
        what = mutated(now, rng)
        content = written(now)
        if not is_readable(run, content):
            continue
        readable -= 1
        found += [f"{what}: {each}" for each in problems(run, content, command, tuple(rng.sample(COMMANDS, 3)))]
    return found


@pytest.mark.parametrize("lines", [None, 9])
def test_threat_s23_a_changed_journal_is_no_internal_error(lines: int | None, run: Path, command: Command) -> None:
    assert fuzzed(run, command, 7, 4, lines=lines) == []


@pytest.mark.slow  # hundreds of journals, whole and stopped ones, each under three commands
@pytest.mark.parametrize("lines", [None, 9, 14])
@pytest.mark.parametrize("seed", [1, 2])
def test_threat_s23_no_changed_journal_is_an_internal_error(
    seed: int, lines: int | None, run: Path, command: Command
) -> None:
    assert fuzzed(run, command, seed, 50, lines=lines) == []


@pytest.mark.slow  # every field of every kind of event, with values that a reader may stumble over
def test_threat_s23_no_field_of_a_recorded_journal_is_an_internal_error(run: Path, command: Command) -> None:
    """Its steps have failures, tools, media and waves; only commands that read are run on it."""
    source = Path(__file__).parent / "data" / "recorded" / "journal.jsonl"
    whole = events(source)
    readers = tuple(each for each in COMMANDS if each[0] not in {"resume", "plan"})
    rng = random.Random(3)
    found: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for line, event in enumerate(whole):
        for path in paths(event):
            field = (str(event["event"]), *(str(name) for name in path if not isinstance(name, int)))
            if field in seen or "agents" in path or "wording" in path:
                continue
            seen.add(field)
            now = json.loads(json.dumps(whole))
            changed(now, (line, *path), rng.choice(VALUES))
            content = written(now)
            if is_readable(run, content):
                found += [f"{field}: {each}" for each in problems(run, content, command, tuple(rng.sample(readers, 2)))]
    assert found == []


CASES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "an agent that is missing": ((1, "steps", 0, "agent"), "nobody"),
    "a time that cannot be": ((3, "t"), -1e308),
    "a trace that is not one": ((0, "trace"), "x"),
    "a format that is not one": ((0, "format"), 2**70),
}


@pytest.mark.parametrize("case", CASES)
def test_threat_s23_what_was_an_internal_error_once(case: str, run: Path, command: Command) -> None:
    found = events(run / "journal.jsonl")[:9]
    changed(found, *CASES[case])
    assert problems(run, written(found), command, (COMMANDS[3], COMMANDS[9], COMMANDS[10])) == []


def test_threat_s23_a_hostile_journal_reaches_nobody(run: Path, command: Command) -> None:
    """An address in a journal from elsewhere is shown; the guard of the suite fails a test that calls one."""
    found = events(run / "journal.jsonl")[:9]
    changed(found, (0, "task", "models", "default", "endpoint"), "https://evil.example/v1")
    (run / "journal.jsonl").write_bytes(written(found))
    there = run.parents[2] / "received"
    run.rename(there)
    for arguments in (("resume", str(there)), ("show", str(there)), ("run", "task.yaml", "--replay", str(there))):
        assert command(*arguments, "--quiet" if arguments[0] != "show" else "--json").code in {0, 1, 2}
    assert (there / "journal.jsonl").read_bytes() == written(found)
