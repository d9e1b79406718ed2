"""Whole runs against an endpoint that goes bad: a spent quota, a bad key, and a key that is echoed back (P11)."""

import base64
import html
import json
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import anyio
import pytest

import swarm
from swarm.testing.fake import Answer, FakeServer, Received, error
from tests.commands import Command, events_of, in_process, only_run, served

KEY = "sk-Canary/7f3a+9e&<b>=\"q'0123456789"
"""A key that looks different in every notation."""


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Carry out a command line in this process."""
    return in_process(capsys)


def write_task(folder: Path, url: str, steps: int, **more: object) -> Path:
    plan = [{"id": f"s{n}", "prompt": f"Do {n}.", **more} for n in range(steps)]
    task = {
        "plan": [*plan, {"id": "sum", "prompt": "Sum.", "needs": [step["id"] for step in plan]}],
        "models": {"default": {"endpoint": url, "name": "m", "key": "${MY_KEY}", "deadline": 60}},
        "limits": {"workers": 3},
    }
    (folder / "task.yaml").write_text(json.dumps(task))
    return folder / "task.yaml"


class TurnsBad:
    """Holds the first three calls until all are there; refuses one, then answers the others; refuses all after them."""

    def __init__(self, refusal: Answer, folder: Path) -> None:
        self.refusal = refusal
        self.folder = folder
        self.count = 0
        self.full = anyio.Event()

    async def respond(self, received: Received) -> str | Answer:
        del received
        self.count += 1
        number = self.count
        if number == 3:
            self.full.set()
        await self.full.wait()
        if number == 1 or number > 3:
            return self.refusal
        while not self.refused():  # noqa: ASYNC110 - the run is in another thread, and tells by its journal only
            await anyio.sleep(0.01)
        return "done"

    def refused(self) -> bool:
        """Whether the run has taken in the refusal."""
        return any('"StepFailed"' in journal.read_text() for journal in self.folder.rglob("journal.jsonl"))


REFUSALS = {
    "bad key": (Answer(status=401, body=error("Incorrect API key provided")), "the key was not accepted"),
    "spent quota": (
        Answer(status=429, body=error("You exceeded your current quota", code="insufficient_quota")),
        "the quota or the credit is exhausted; top it up",
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_bad_key_or_a_spent_quota_stops_after_the_calls_in_flight_and_can_be_resumed(
    why: str, command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal, words = REFUSALS[why]
    monkeypatch.setenv("MY_KEY", KEY)
    bad = TurnsBad(refusal, empty)
    with served(bad.respond) as server:
        write_task(empty, server.url, 8)
        said = command("run", "task.yaml")
        assert (said.code, said.out) == (1, "")
        assert len(server.requests) == 3, "what was in flight, and nothing after it"
    assert words in said.err
    assert "swarm resume" in said.err
    run = only_run(empty)
    done = [event["step"] for event in events_of(run) if event["event"] == "StepFinished"]
    assert len(done) == 2, "the calls in flight were not lost"
    with served(lambda _: "fine") as server:
        write_task(empty, server.url, 8)
        said = command("resume", "last", "--endpoint", server.url, "--model", "m")
        assert said.code == 0
        assert len(server.requests) == 7, "nothing that was paid for is paid again"


def forms(secret: str) -> Iterator[str]:
    """Write a secret in every notation it may be found in."""
    yield from (secret, json.dumps(secret)[1:-1], html.escape(secret), quote(secret), quote(secret, safe=""))
    yield from (quote_plus(secret), repr(secret)[1:-1], secret[::-1])
    for before in (b"", b"x", b"xx"):
        digits = base64.b64encode(before + secret.encode())
        yield digits[4 * len(before) // 3 + 1 : -4].decode().rstrip("=")
    yield secret[len("sk-") :][:24]


def found(text: str) -> list[str]:
    return [form for form in forms(KEY) if form in text]


def test_the_search_finds_what_it_looks_for() -> None:
    for before in ("", "Bearer ", "y", "zz"):
        assert found(base64.b64encode(f"{before}{KEY}".encode()).decode())
    assert found(f"a{KEY}b")
    assert found(html.escape(KEY))


def echoes(received: Received) -> list[str | Answer]:
    """Give the key back in every place there is."""
    header = received.headers["authorization"]
    coded = base64.b64encode(header.encode()).decode()
    return [
        Answer(status=500, body=error(f"headers: Authorization: {header}; {coded}")),
        Answer(status=502, body=f"<html><p>{html.escape(header)}</p>{quote(header)}".encode()),
        Answer(body=error(f"you sent {header}")),
        Answer(body=f"<html>{header}".encode()),
        Answer(pieces=(f"{header} no HTTP\r\n\r\n".encode(),), then="close"),
        Answer(status=400, body={"error": {"message": {"sent": header}, "code": header, "type": coded}}),
        Answer(status=429, body=error(header), headers={"x-echo": header, "retry-after": "0"}),
        Answer(status=403, body=error(header)),
        f"You sent {header}, or {coded}, or {quote(header)}.",
    ]


@pytest.mark.parametrize("place", range(9))
def test_the_key_is_found_nowhere_after_a_run_that_is_sent_it_back(
    place: int, command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    first = True

    def respond(received: Received) -> str | Answer:
        nonlocal first
        assert received.headers["authorization"] == f"Bearer {KEY}"
        echo, first = first, False
        return echoes(received)[place] if echo or place == 8 else "fine"

    with served(respond) as server:
        write_task(empty, server.url, 2, retries=0)
        said = command("run", "task.yaml", "--json")
        said_again = command("show", "last")
    everything = "".join(
        path.read_text(encoding="utf-8", errors="replace") for path in only_run(empty).rglob("*") if path.is_file()
    )
    assert "StepStarted" in everything
    assert found(said.out + said.err + said_again.out + said_again.err) == []
    assert found(everything) == []
    cache = "".join(p.read_text(errors="replace") for p in (empty / ".swarm").rglob("*") if p.is_file())
    assert found(cache) == []


@pytest.mark.anyio
@pytest.mark.parametrize("place", [0, 5, 7])
async def test_the_key_is_in_no_exception_and_no_result(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    async with FakeServer(respond=lambda received: echoes(received)[place]) as server:
        task = write_task(tmp_path, server.url, 1, retries=0)
        seen = ""
        try:
            result = await swarm.run(task)
            seen = repr(result) + "".join(error.message for error in result.errors)
        except swarm.SwarmError as error:
            seen = "".join(traceback.format_exception(error)) + repr(error)
    assert re.search("key|fail|500|400|403", seen)
    assert found(seen) == []
