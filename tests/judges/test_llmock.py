"""`llmock` judges whole runs: it times every retry, and its verdict is to be clean, warnings included."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import carry_out, llmock, serving, task

import swarm
from swarm.lifecycle.options import Options

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,  # installs a judge the first time, and waits as long as it asks to
    pytest.mark.timeout(400),
]

FAULTS: dict[str, dict[str, Any]] = {
    "asks-to-wait": {"type": "fail", "status": 429, "retry_after": 0.7, "times": 2},
    "limits": {"type": "fail", "status": 429},
    "fails": {"type": "fail", "status": 500},
    "is-away": {"type": "fail", "status": 502},
    "is-down": {"type": "fail", "status": 503},
    "is-slow": {"type": "fail", "status": 504},
    "is-full": {"type": "fail", "status": 529},
    "cuts": {"type": "stream_fault", "kind": "truncate", "after_chunks": 2},
    "hangs-up": {"type": "stream_fault", "kind": "disconnect", "after_chunks": 2},
    "garbles": {"type": "stream_fault", "kind": "malformed", "after_chunks": 2},
    "stalls": {"type": "stream_fault", "kind": "stall", "after_chunks": 1, "stall_seconds": 30},
    "refuses": {"type": "fail", "status": 400, "times": None},
    "is-well": {"type": "delay", "seconds": 0.1},
}
"""A model's name, and what happens to its calls."""


@pytest.fixture(scope="module")
def judge() -> Iterator[str]:
    """Serve the judge.

    Its streams take a moment: whoever hangs up on a bad chunk is only seen to, while there is something left to send.
    """
    words = ("--port", "0", "--response-style", "hello", "--stream-chunk-delay-ms", "50")
    with serving(llmock(), "serve", *words, says="running on") as url:
        yield url


def post(url: str, body: Any = None) -> None:
    data = json.dumps(body or {}).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def verdict(judge: str) -> dict[str, Any]:
    """Ask for the verdict as the judge's own command gives it; under `--strict`, a warning fails too."""
    return json.loads(carry_out(llmock(), "report", "--url", judge, "--strict", "--json"))


async def test_the_verdict_on_a_run_that_meets_every_fault_is_clean(judge: str, tmp_path: Path) -> None:
    post(f"{judge}/_llmock/reset")
    behaviors = [{**fault, "match": {"model": name}} for name, fault in FAULTS.items()]
    post(f"{judge}/_llmock/scenario", {"behaviors": behaviors})
    streamed = task(f"{judge}/v1", tmp_path, FAULTS, stream=True, deadline=4)
    async with swarm.Run(streamed, options=Options(preflight=False)) as run:  # each fault is for the run's own calls
        pass
    result = run.result
    assert [error.step for error in result.errors] == ["refuses"]
    assert result.report is not None
    found = verdict(judge)
    assert (found["passed"], found["findings"]) == (True, [])
    assert found["faults_injected"] >= len(FAULTS)


async def test_the_verdict_on_a_bad_key_is_clean(judge: str, tmp_path: Path) -> None:
    post(f"{judge}/_llmock/reset")
    post(f"{judge}/_llmock/scenario", {"behaviors": [{"type": "fail", "status": 401, "times": None}]})
    names = [f"worker-{n}" for n in range(4)]
    result = await swarm.run(task(f"{judge}/v1", tmp_path, names, together=True))
    assert result.report is None
    found = verdict(judge)
    assert (found["passed"], found["findings"]) == (True, [])
    assert found["calls"] <= 5, "four workers, and a look at what a server on this machine has"


async def test_a_quota_of_the_judge_s_slows_a_run_down_and_fails_none(judge: str, tmp_path: Path) -> None:
    with serving(llmock(), "serve", "--port", "0", "--rpm", "120", says="running on") as limited:
        names = [f"worker-{n}" for n in range(20)]
        result = await swarm.run(task(f"{limited}/v1", tmp_path, names, together=True))
        assert (result.status, result.errors) == ("done", ())
        found = verdict(limited)
        assert (found["passed"], found["findings"]) == (True, [])
