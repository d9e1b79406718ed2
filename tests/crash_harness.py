"""Runs that really die: a child process kills itself at an append to its journal, another one resumes.

    python -m tests.crash_harness --every 1        before, in the middle of and after every append
    python -m tests.crash_harness --moments 200    at random moments, killed from outside
    python -m tests.crash_harness --cuts 1         the journal cut at every byte

The endpoint is a real server on loopback in a process of its own, with a log of its own. For each death three things
must hold: the resumed run's report is byte for byte that of a run nobody disturbed; no call whose answer the journal
held is made again; the journal has one terminal event, its last. It prints one JSON object of what it saw.

The children are forks of a process that has carried out the undisturbed run itself, so that nothing is left to import.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio

from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.journal import read
from swarm.testing import Answer, FakeServer, Received

Case = TypeVar("Case")
PLAN = {
    "steps": [
        {"id": "list", "prompt": "STEP list", "output": {"type": "array", "items": {"type": "string"}}},
        {"id": "study", "each": "list", "prompt": "STEP study {item}", "needs": ["list"]},
        {"id": "flaky", "prompt": "STEP flaky", "inputs": ["notes/a.md"], "retries": 3},
        {"id": "next", "agent": "planner", "prompt": "STEP next", "needs": ["study"]},
        {"id": "reduce", "agent": "reducer", "prompt": "STEP reduce", "after": ["next", "flaky"]},
    ]
}
WAVE = {
    "steps": [
        {"id": "more", "prompt": "STEP more", "inputs": ["notes/*.md"]},
        {"id": "last", "prompt": "STEP last", "needs": ["more"], "output": {"type": "object"}},
    ]
}
KEY = "SWARM_CRASH_KEY"
"""The variable of the key, which names the process that calls: a dead process's last calls may still be on their way
to the server when the next one starts, so when a call is seen does not say whose it is."""
DEAD, RESUMED = "key-of-the-one-that-dies", "key-of-the-one-that-resumes"
EMPTY_FIRST = 3
"""How many calls the flaky step answers with nothing: an attempt asks again once, so the second attempt succeeds."""


class Model:
    """Answers by what it is asked, the same way every time, and writes down every call before it answers."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._flaky: Counter[str] = Counter()

    async def __call__(self, received: Received) -> Answer:
        text = "\n".join(str(message.get("content")) for message in received.body["messages"])
        case = (re.findall(r"CASE (\w+)", text) or [""])[0]
        step = (re.findall(r"STEP (\w+(?: \w+)?)", received.body["messages"][1]["content"]) or ["plan"])[-1]
        key = received.headers["authorization"].removeprefix("Bearer ")
        self._log.write(json.dumps({"case": case, "step": step, "key": key}) + "\n")
        self._log.flush()
        await anyio.sleep(0.002)
        return Answer(text=self._text(step, case, text.replace(f"CASE {case}", "")))

    def _text(self, step: str, case: str, text: str) -> str:
        if step == "flaky":
            self._flaky[case] += 1
            return "" if self._flaky[case] <= EMPTY_FIRST else "the flaky answer"
        fixed = {"plan": json.dumps(PLAN), "next": json.dumps(WAVE), "list": '["a", "b", "c"]', "last": '{"x": 1}'}
        if step in fixed:
            return fixed[step]
        mark = hashlib.sha256(text.encode()).hexdigest()[:8]
        if step == "reduce":
            return f"Found {mark} [study.1] [study.2]. Also [flaky], and more [last]."
        return f"{step} says {mark}. " + "Long. " * (12_000 if step == "study b" else 1)


def forked(act: Callable[[], object], key: str = DEAD) -> int:
    """Run something in a fork of this process, which calls with a key of its own; give the fork's id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.environ[KEY] = key
        act()
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must not return into its parent's code
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a fork; give its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_at(append: int, mode: str) -> None:
    """Make this process kill itself at its n-th append to a journal: before, in the middle of, or after it."""
    write, count = os.write, 0

    def deadly(fd: int, line: bytes) -> int:
        nonlocal count
        if not line.startswith(b'{"seq":'):
            return write(fd, line)
        count += 1
        if count == append:
            if mode == "middle":
                write(fd, line[: len(line) // 2])
            elif mode == "after":
                write(fd, line)
            os.kill(os.getpid(), signal.SIGKILL)
        return write(fd, line)

    os.write = deadly


@dataclass(frozen=True)
class Part:
    """Which share of the cases this process takes: runs wait more than they work, so several are faster."""

    number: int = 0
    count: int = 1

    def of(self, cases: list[Case]) -> list[Case]:
        """Take every n-th case."""
        return cases[self.number :: self.count]


class Harness:
    """A folder, a server with a log, and a way to run, kill and resume."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        reading, writing = os.pipe()
        self._server = forked(lambda: anyio.run(self._serve, writing))
        self.url = os.read(reading, 100).decode()

    async def _serve(self, port: int) -> None:
        async with FakeServer(respond=Model(self.log)) as server:
            os.write(port, server.url.encode())
            await anyio.sleep_forever()

    def close(self) -> None:
        """Stop the server."""
        os.kill(self._server, signal.SIGKILL)
        ended(self._server)

    def task(self, case: str) -> Path:
        """Write the task of a case, in a folder of its own."""
        folder = self.folder / case
        (folder / "notes").mkdir(parents=True)
        for name in "abc":
            (folder / "notes" / f"{name}.md").write_text(f"# {name}\n\nThis is about {name}.\n", encoding="utf-8")
        model = f'{{endpoint: {json.dumps(self.url)}, name: fake, key: "${{{KEY}}}"}}'
        text = f"goal: CASE {case} which is best?\ninputs: [notes/*.md]\nmodels: {{default: {model}}}\n"
        task = folder / "task.yaml"
        task.write_text(text, encoding="utf-8")
        return task

    def start(self, case: str, *, before: Callable[[], None] = lambda: None) -> int:
        """Start a run in a fork."""
        task = self.task(case)

        def act() -> None:
            before()
            anyio.run(finish, Run(task, options=Options(cache=False, workers=4)))

        return forked(act)

    def resume(self, case: str) -> int:
        """Resume a case's run, or start it where it has no journal to go on with; give the exit code."""
        folder = self.run(case)
        options = Options(cache=False)
        if folder is None or not any(True for _ in read(folder.journal)):
            shutil.rmtree(self.folder / case / ".swarm", ignore_errors=True)
            again = Run(self.folder / case / "task.yaml", options=Options(cache=False, workers=4))
            return ended(forked(lambda: anyio.run(finish, again), RESUMED))
        return ended(forked(lambda: anyio.run(finish, Run(options=options, resume=folder)), RESUMED))

    def run(self, case: str) -> RunFolder | None:
        """Find a case's run."""
        runs = self.folder / case / ".swarm" / "runs"
        found = [path for path in runs.glob("*") if (path / "journal.jsonl").exists()]
        return RunFolder(found[0]) if found else None

    def calls(self, case: str, key: str = DEAD) -> list[str]:
        """List the steps that the server was called for with a key, in order."""
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line["step"] for line in lines if (line["case"], line["key"]) == (case, key)]

    def report(self, case: str) -> bytes:
        """Read a case's report."""
        folder = self.run(case)
        return b"" if folder is None else (folder.path / "report.md").read_bytes()

    def journal(self, case: str) -> list[e.Stamped]:
        """Read a case's journal."""
        folder = self.run(case)
        return [] if folder is None else list(read(folder.journal))


async def finish(run: Run) -> None:
    """Run to the end."""
    async with run:
        pass
    assert run.result.status == "done", run.result


def answered(events: list[e.Stamped]) -> Counter[str]:
    """Count the turns a journal holds, by the name the server has for the step."""
    prompts = {"study.1": "study a", "study.2": "study b", "study.3": "study c"}
    return Counter(
        prompts.get(each.step, each.step) for each in events if isinstance(each, e.TurnTaken) and each.is_answer
    )


def faults(harness: Harness, case: str, wanted: bytes, before: Counter[str]) -> Iterator[str]:
    """Say what is not as promised after a case was resumed."""
    if harness.report(case) != wanted:
        yield f"{case}: the report differs"
    again = Counter(harness.calls(case, RESUMED))
    usual = Counter(harness.calls("undisturbed"))
    for step, count in again.items():
        if step != "flaky" and before[step] + count > usual[step]:
            yield f"{case}: {step} was called again though the journal had its answer"
    ends = [event for event in harness.journal(case) if isinstance(event, e.RunFinished)]
    if len(ends) != 1 or harness.journal(case)[-1] != ends[0]:
        yield f"{case}: {len(ends)} terminal events"


def kill_at_appends(harness: Harness, wanted: bytes, appends: range, part: Part) -> tuple[int, list[str]]:
    """Kill before, in the middle of, after every n-th append."""
    found: list[str] = []
    cases = part.of([(n, mode) for n in appends for mode in ("before", "middle", "after")])
    for n, mode in cases:
        case = f"a{n}{mode}"
        code = ended(harness.start(case, before=lambda n=n, mode=mode: die_at(n, mode)))
        if code != -signal.SIGKILL:
            found.append(f"{case}: it should have died, and exited {code}")
        found += resumed(harness, case, wanted)
    return len(cases), found


def kill_at_moments(harness: Harness, wanted: bytes, moments: int, seconds: float, part: Part) -> tuple[int, list[str]]:
    """Kill at random moments from outside."""
    draw = random.Random(part.number)
    cases = part.of(list(range(moments)))
    found: list[str] = []
    for n in cases:
        case = f"m{n}"
        pid = harness.start(case)
        time.sleep(draw.uniform(0, seconds))  # noqa: TID251 - the moment of death is what is tested
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        ended(pid)
        events = harness.journal(case)
        if events and isinstance(events[-1], e.RunFinished):
            continue
        found += resumed(harness, case, wanted)
    return len(cases), found


def resumed(harness: Harness, case: str, wanted: bytes) -> list[str]:
    """Resume a run that died, and judge it."""
    before = answered(harness.journal(case))
    code = harness.resume(case)
    return [f"{case}: resume exited {code}"] if code else list(faults(harness, case, wanted, before))


def cut_everywhere(harness: Harness, wanted: bytes, every: int, part: Part) -> tuple[int, list[str]]:
    """Cut a whole run's journal at every n-th byte and resume what is left."""
    whole = harness.run("undisturbed")
    assert whole is not None
    size, count = whole.journal.stat().st_size, 0
    found: list[str] = []
    usual = Counter(harness.calls("undisturbed"))
    for at in part.of(list(range(1, size, every))):
        case = f"c{at}"
        shutil.copytree(harness.folder / "undisturbed", harness.folder / case)
        folder = harness.run(case)
        assert folder is not None
        with folder.journal.open("r+b") as file:
            file.truncate(at)
        done = answered(harness.journal(case))
        had = harness.calls("undisturbed", RESUMED)
        code = harness.resume(case)
        more = Counter(harness.calls("undisturbed", RESUMED)[len(had) :])
        if code or harness.report(case) != wanted:
            found.append(f"cut at {at}: exit {code}, report {'differs' if not code else 'missing'}")
        over = [step for step in more if done[step] + more[step] > usual[step] and step != "flaky"]
        found += [f"cut at {at}: {step} was called again" for step in over]
        shutil.rmtree(harness.folder / case)
        count += 1
    return count, found


def main() -> int:
    """Run what is asked for; exit 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--first", type=int, default=1, help="the append to begin with")
    parser.add_argument("--moments", type=int, default=0)
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--part", default="0/1", help="K/N: of all cases the K-th of every N, from 0")
    options = parser.parse_args()
    part = Part(*(int(number) for number in options.part.split("/")))
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(Path(folder))
        seen: dict[str, Any] = {}
        found: list[str] = []
        try:
            os.environ[KEY] = DEAD
            anyio.run(finish, Run(harness.task("undisturbed"), options=Options(cache=False, workers=4)))
            for thread in set(threading.enumerate()) - {threading.current_thread()}:
                thread.join(60)  # the loop's workers see that it has ended
            assert threading.active_count() == 1, "a fork of a process with threads is a gamble"
            began = time.perf_counter()
            assert ended(harness.start("timed")) == 0
            took = time.perf_counter() - began
            wanted, events = harness.report("undisturbed"), harness.journal("undisturbed")
            seen["events"], seen["calls"] = len(events), len(harness.calls("undisturbed"))
            if options.every:
                seen["appends"], more = kill_at_appends(
                    harness, wanted, range(options.first, len(events) + 1, options.every), part
                )
                found += more
            if options.moments:
                seen["moments"], more = kill_at_moments(harness, wanted, options.moments, took, part)
                found += more
            if options.cuts:
                seen["cuts"], more = cut_everywhere(harness, wanted, options.cuts, part)
                found += more
        finally:
            harness.close()
        print(json.dumps(seen | {"faults": found}))
        return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
