"""The outputs of the steps of a run by id, and rows of a table as data frames."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from swarm.base.errors import JournalError, SwarmError
from swarm.base.values import Json
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.rows import Row


class StepOutputs(Mapping[str, Json]):
    """The outputs of the finished steps of a run, by id. Each is read when you look it up.

    The output of a step that became a list (`each`) is the list of their outputs. `study.1` is the first one.
    """

    def __init__(self, state: State, output_of: Callable[[StepState], Json]) -> None:
        self._state = state
        self._output_of = output_of

    def __getitem__(self, step: str) -> Json:
        """Return the output of a step.

        Raise KeyError if it has none, and `JournalError` if the file of a large output is missing.
        """
        if not self._has(step):
            raise KeyError(step)
        return self._output_of(self._state.steps[step])

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of the steps with an output, in plan order."""
        return filter(self._has, tuple(self._state.steps))

    def __len__(self) -> int:
        return sum(map(self._has, self._state.steps))

    def __contains__(self, step: object) -> bool:
        return isinstance(step, str) and self._has(step)

    def __repr__(self) -> str:
        return f"<outputs of {len(self):,} steps>"

    def to_dict(self) -> dict[str, Json]:
        """Return all outputs that can be read, by step."""
        found: dict[str, Json] = {}
        for step in self:
            with suppress(JournalError):  # without the file of a large output
                found[step] = self[step]
        return found

    def _has(self, step: str) -> bool:
        s = self._state.steps.get(step)
        if s is None:
            return False
        if s.status is Status.DONE:
            return True
        # A list that lost some of its items still has the others.
        return s.kind == "stand_in" and s.over and any(map(self._has, s.children))


class Rows(tuple[Row, ...]):
    """The rows of a table, each by field: a tuple that can become a data frame."""

    _fields: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Row], fields: Iterable[str]) -> "Rows":
        """Return rows with these columns, in this order."""
        made = cls(rows)
        made._fields = tuple(fields)
        return made

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns, in order."""
        return self._fields

    def to_pandas(self) -> Any:
        """Return the rows as a pandas data frame. Raise `SwarmError` if pandas is not installed."""
        try:
            import pandas  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            raise SwarmError("a data frame needs pandas\nhint: run `pip install pandas`") from None
        return pandas.DataFrame(list(self), columns=list(self.fields))
