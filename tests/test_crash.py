"""P1, P2, P3, P4: processes that really die, at appends to the journal, at random moments, at every byte.

The whole harness is slow, because some thousand processes are started; a sample of it runs with every `make test`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def harness(*options: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.crash_harness", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert done.stdout, done.stderr
    seen = json.loads(done.stdout)
    assert seen["faults"] == [], done.stderr
    return seen


def test_a_run_that_died_at_any_of_a_sample_of_places_is_as_good_as_one_that_did_not() -> None:
    seen = harness("--every", "13", "--first", "5", "--moments", "3", "--cuts", "40000")
    assert seen["appends"] == 9
    assert seen["moments"] == 3


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_at_every_append_before_in_the_middle_and_after() -> None:
    seen = harness("--every", "1")
    assert seen["appends"] == 3 * int(str(seen["events"]))


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_at_200_random_moments() -> None:
    assert harness("--moments", "200")["moments"] == 200


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_cut_at_bytes_all_along_the_journal() -> None:
    """Every byte is cut in `test_journal`; here a process resumes from every 401st, a prime step over the lines."""
    assert int(str(harness("--cuts", "401")["cuts"])) > 100
