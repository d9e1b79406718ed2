"""What `swarm export` writes: a recorded run, or one step of it, in a format of its own choice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import to_json

from swarm.base.errors import TaskError
from swarm.base.text import listing
from swarm.base.values import Json
from swarm.exports.content import TABLES, content, page_bytes
from swarm.exports.otlp import otlp_bytes
from swarm.exports.trace import chrome_bytes
from swarm.record.recorded import Recorded
from swarm.record.steps import StepState
from swarm.results.result import Result
from swarm.results.table import Table, table_of_step, table_to_export
from swarm.scheduling.assign import Assigner

TRACES: Mapping[str, Callable[[Recorded], bytes]] = {"chrome": chrome_bytes, "otlp": otlp_bytes}
"""Writers of traces, by format."""
FORMATS = (*TABLES, "json", "md", "html", *TRACES)
"""All formats."""
BINARY = frozenset({"xlsx"})
"""Formats that only a file can hold."""


@dataclass(frozen=True)
class Export:
    """A recorded run, to be written in some format."""

    found: Recorded
    result: Result
    assigner: Assigner
    status: str = ""
    """How the run ended, or that it has not ended."""
    step: StepState | None = None
    """The step whose output is written; None for the whole run."""

    @property
    def usual(self) -> str:
        """The format if none is named: rows are CSV, texts are Markdown, other values JSON."""
        if self._table() is not None:
            return "csv"
        return "md" if self.step is None or isinstance(self._output(self.step), str) else "json"

    def content(self, form: str, *, place: Path | None = None) -> bytes:
        """Return the bytes in a format of `FORMATS`. Raise `TaskError` if there is nothing to write in it.

        `place` is the file that is written: the links of a page lead from there to the folder of the run.
        """
        if form in TABLES:
            table = self._table()
            if table is None:
                raise TaskError(self._no_rows())
            return TABLES[form](table)
        if self.step is None:
            return self._of_run(form, place)
        if form not in ("json", "md"):
            raise TaskError(f"--format {form} is for a whole run\nhint: remove --step")
        return _of_value(self._output(self.step), form)

    def _of_run(self, form: str, place: Path | None) -> bytes:
        if form == "html":
            return page_bytes(self.found, self.result, status=self.status, place=place)
        if form in TRACES:
            return TRACES[form](self.found)
        if form == "json":
            return to_json(self.result.to_dict(), indent=2) + b"\n"
        made = content(self.result, form)
        if not made:
            raise TaskError(f"run {self.result.run} has no report\nhint: {self._instead()}")
        return made

    def _table(self) -> Table | None:
        state = self.found.state
        if self.step is None:
            return table_to_export(state, self.assigner)
        return table_of_step(self.step, state, self.assigner)

    def _output(self, s: StepState) -> Json:
        if s.id not in self.result.outputs:
            raise TaskError(f"step {s.id} has no output: it is {s.status}\nhint: list the steps with `swarm show`")
        return self.result.outputs[s.id]

    def _no_rows(self) -> str:
        if self.step is not None:
            self._output(self.step)
            return f"the output of step {self.step.id} is not rows\nhint: write it with --format md or json"
        return f"run {self.result.run} has no table: no step gave rows\nhint: {self._instead()}"

    def _instead(self) -> str:
        """Return what there is instead of a table or a report, and how to get it."""
        if self.result.report is not None:
            return "write the report with --format md, or the output of one step with --step ID"
        if self.result.outputs:
            return f"write the output of one step with --step ID: {listing(list(self.result.outputs), 3)}"
        return f"no step has an output; see why: `swarm show {self.result.run}`"


def _of_value(value: Json, form: str) -> bytes:
    if form == "md" and isinstance(value, str):
        return value.encode("utf-8", "replace") + (b"" if value.endswith("\n") else b"\n")
    text = to_json(value, indent=2) + b"\n"
    return b"```json\n" + text + b"```\n" if form == "md" else text
