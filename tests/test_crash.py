"""P1, P2, P3, P4: processes that really die, at appends to the journal, at random moments, at every byte.

The whole harness is slow, because some thousand processes are started; a sample of it runs with every `make test`.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


PARTS = 4
"""Processes that share the cases: each run waits more than it works."""


def harness(*options: str) -> dict[str, int]:
    """Run the harness in several processes; give what they saw, added up. It fails on any fault."""
    begun = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.crash_harness", *options, "--part", f"{part}/{PARTS}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in range(PARTS)
    ]
    seen: Counter[str] = Counter()
    faults: list[str] = []
    for out, err in [process.communicate() for process in begun]:
        assert out, err
        found = json.loads(out)
        faults += found.pop("faults")
        seen.update({name: found[name] for name in ("appends", "moments", "cuts") if name in found})
        seen["events"] = found["events"]
    assert faults == []
    return dict(seen)


def test_a_run_that_died_at_any_of_a_sample_of_places_is_as_good_as_one_that_did_not() -> None:
    seen = harness("--every", "13", "--first", "5", "--moments", "4")
    assert seen["appends"] == 9
    assert seen["moments"] == 4


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_at_every_append_before_in_the_middle_and_after() -> None:
    seen = harness("--every", "1")
    assert seen["appends"] == 3 * seen["events"]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_at_100_random_moments() -> None:
    assert harness("--moments", "100")["moments"] == 100


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_cut_at_bytes_all_along_the_journal() -> None:
    """Every byte is cut in `test_journal`; here a process resumes from every 1,601st, a prime step over the lines."""
    assert harness("--cuts", "1601")["cuts"] > 60
