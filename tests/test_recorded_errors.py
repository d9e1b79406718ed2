"""Recorded bodies of errors, by provider, and the kind that each must become.

A line of `data/error_bodies.jsonl` adds a body.

The provider's words must reach the user in each of them.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from faults import Case, of

from swarm.base.errors import EndpointRefused
from swarm.endpoints.wire.error_bodies import error_in
from swarm.endpoints.wire.judge import judge
from swarm.endpoints.wire.shapes import error_of

DATA = Path(__file__).parent / "data"
NOW = "Sat, 28 Nov 2026 12:00:00 GMT"


class Body(NamedTuple):
    """A body, its status, and what it means."""

    row: int
    """Its row of `docs/faults.md`."""
    kind: str
    who: str
    status: int
    body: Any
    words: str


BODIES = [Body(**json.loads(line)) for line in (DATA / "error_bodies.jsonl").read_text("utf-8").splitlines()]


CASES = [Case(each.row, f"{each.who} {each.status}: {each.words}", each.kind, each) for each in BODIES]


@of(*CASES)
def test_a_recorded_body_has_its_kind_and_its_words(case: Case) -> None:
    this = case.give
    if this.status == 200:
        fault = error_of(json.dumps(this.body).encode())
    else:
        found = error_in(this.body)
        assert found is not None
        fault = replace(found, status=this.status, headers={"date": NOW})
    assert fault is not None
    error = judge(fault, deadline=300)
    assert error.kind == this.kind == case.seen
    assert this.words in str(error), "the provider's words, and the time of a reset, reach the user"
    assert isinstance(error, EndpointRefused) == (this.kind not in {"rate_limited", "overloaded", "malformed"})


SUCCESS = (
    '{"choices": [{"delta": {}}], "base_resp": {"status_code": 0, "status_msg": ""}}',
    '{"error": {"code": 0, "message": ""}}',
    '{"error": ""}',
    '{"code": 0, "msg": "success"}',
    '{"type": "ping"}',
)


@pytest.mark.parametrize("body", SUCCESS)
def test_a_report_of_success_is_no_error(body: str) -> None:
    assert error_of(body.encode(), strict=True) is None
