"""A test of a task that needs neither a model nor a key: a run of it was recorded, and is run again from its journal.

Record it once, and whenever the task changes; README.md in this folder says how. Then: pytest test_task.py
"""

from functools import partial
from pathlib import Path

import anyio

from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record.folder import RunFolder, find
from swarm.results.result import Result

HERE = Path(__file__).parent
SERVICES = ("Backups", "Builds", "Chat", "Mail", "Search", "Wiki")


async def again(recorded: RunFolder, runs: Path) -> Result:
    """Run the task as it is now from a recorded run. What that run does not know is an error that says what differs."""
    options = Options(needs_keys=False, runs=runs)
    async with Run(HERE / "task.yaml", options=options, replay=recorded) as run:
        pass
    return run.result


def test_the_report_names_every_service(tmp_path: Path) -> None:
    recorded = find("last", HERE / "recorded")
    result = anyio.run(partial(again, recorded, tmp_path))
    assert result.status == "done"
    assert result.report is not None
    assert [name for name in SERVICES if name not in result.report.text] == []
    assert all(steps for steps in result.report.sources.values())
