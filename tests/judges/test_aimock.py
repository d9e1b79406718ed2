"""`@copilotkit/aimock` serves whole runs: another's idea of the protocol, of its errors and of its bad weather."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import aimock, serving, task

import swarm

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,  # installs a judge the first time, and waits as long as it asks to
    pytest.mark.timeout(400),
]


def fails(status: int, message: str, kind: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind}, "status": status}


ONCE: dict[str, dict[str, Any]] = {
    "limits": fails(429, "Rate limited", "rate_limit_error"),
    "fails": fails(500, "Internal error", "server_error"),
    "is-down": fails(503, "Overloaded", "overloaded_error"),
    "says-nothing": {"content": ""},
    "is-cut": {"content": "half of", "finishReason": "length"},
}
"""What the first call of a step gets; the second is answered."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the judge."""
    fixtures: list[dict[str, Any]] = []
    for name, response in ONCE.items():
        fixtures.append({"match": {"model": name, "sequenceIndex": 0}, "response": response})
    cut = {"match": {"model": "breaks-off", "sequenceIndex": 0}, "truncateAfterChunks": 2}
    fixtures.append({**cut, "response": {"content": "so many words that they are sent in more than two pieces"}})
    fixtures.append({"match": {"model": "refuses"}, "response": fails(400, "No.", "invalid_request_error")})
    fixtures.append({"match": {}, "response": {"content": "here it is"}})
    file = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures}))
    with serving(aimock(), "-p", "0", "-f", file, says="listening on") as served:
        yield f"{served}/v1"


@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_once_is_answered_in_the_end(url: str, tmp_path: Path, stream: bool) -> None:
    names = [*ONCE, "refuses", *(("breaks-off",) if stream else ())]
    result = await swarm.run(task(url, tmp_path, names, stream=stream, deadline=20))
    assert [error.step for error in result.errors] == ["refuses"]
    assert result.errors[0].kind == "bad_request"
    assert result.report is not None
    assert "here it is" in result.report.text


@pytest.mark.parametrize("weather", ["drop", "malformed", "disconnect", "ratelimit"])
async def test_a_third_of_all_calls_in_bad_weather(tmp_path: Path, weather: str) -> None:
    file = tmp_path / "fixtures.json"
    file.write_text(json.dumps({"fixtures": [{"match": {}, "response": {"content": "here it is"}}]}))
    names = [f"worker-{n}" for n in range(12)]
    with serving(aimock(), "-p", "0", "-f", file, f"--chaos-{weather}", "0.3", says="listening on") as served:
        result = await swarm.run(task(f"{served}/v1", tmp_path, names, deadline=60))
    assert result.report is not None
    failed = [error.kind for error in result.errors]
    assert len(failed) <= 1, failed
