"""A run of another process, as `swarm mcp --all-runs` shows it: read from its journal."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.base.values import Json
from swarm.cli.reading import RUNNING, STOPPED, assigner_of, result_of, status_of
from swarm.lifecycle.served import CALLER

if TYPE_CHECKING:
    from swarm.record.folder import RunFolder
    from swarm.record.state import State
    from swarm.results.result import Result


@dataclass
class PastRun:
    """A recorded run. What its labels keep from the caller, they keep as a whole."""

    folder: "RunFolder"
    state: "State"
    error: str = field(default="", init=False)
    needs_person: bool = field(default=False, init=False)

    @property
    def id(self) -> str:
        """Its id."""
        return self.folder.run

    @property
    def status(self) -> str:
        """Its status: `running` or `stopped` without an end."""
        return status_of(self.state, self.folder)

    @property
    def result(self) -> "Result | None":
        """Its result, if it has ended."""
        return None if self.status in (RUNNING, STOPPED) else result_of(self.state, self.folder)

    @property
    def report_barred(self) -> tuple[str, ...]:
        """The labels of its task that do not list the caller. Which of them the report carries is not recorded."""
        labels: dict[str, Any] = self.state.task.get("labels") or {}
        return tuple(label for label, places in labels.items() if CALLER not in places)

    def barred(self, step: str) -> tuple[str, ...]:
        """Return the same for a step."""
        del step
        return self.report_barred

    def output_of(self, step: str) -> Json:
        """Return the output of a step; null if it has none."""
        return assigner_of(self.state, self.folder).output_of(self.state.steps[step])
