"""What is kept for the report grows with what it will have to read.

A report over more than one prompt or one answer is made by partial reports, and each reads and
writes a share of all that was found. So when a step ends whose output the report reads, the part
kept for the report grows by what the partial reports will use for that output. Steps that do not
fit into the rest do not start: what was paid for is in the report. The part shrinks as the partial
reports are made, as for any call of the report.
"""

from collections.abc import Callable
from math import ceil

from swarm.attempt.reading import ASSUMED_CONTEXT
from swarm.budget.ledger import Amount, Ledger
from swarm.endpoints.route import Route
from swarm.record import events as e
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.chat import BYTES_PER_TOKEN
from swarm.spec.plan import before_of

AROUND = 1_200
"""Approximate tokens of the rules and instructions of a partial report."""
WRITTEN = 1.3
"""Tokens of a partial report for each token that it reads: it cites what it repeats."""
LEVELS = 2.0
"""How often sections are read again, on average: on all levels of the summary, and where one is split."""
MOST_CONTEXT = 100_000_000
"""Context from which on a model has no limit: it reads all outputs at once."""
OF_ANSWER = 0.7
"""Part of an answer that is read for one section, on average."""


class TreeReserve:
    """Keeper of what the partial reports of a run will use."""

    def __init__(self, state: State, ledger: Ledger, route: Route | None, context: int | None) -> None:
        """`route` is the model of the report, with its price; None keeps nothing more than at the start."""
        self._state = state
        self._ledger = ledger
        self._route = route
        self._context = context or ASSUMED_CONTEXT
        self._tokens = sum(_size(s) for s in state.steps.values() if s.status is Status.DONE and self._is_read(s))

    def after(self, emit: Callable[[e.Stamped], None]) -> Callable[[e.Stamped], None]:
        """Return a function that emits an event, and then keeps what its output will need."""
        if not self._ledger.pots or self._route is None:
            return emit

        def emitted(event: e.Stamped) -> None:
            emit(event)
            if isinstance(event, e.StepFinished):
                self._note(self._state.steps[event.step])

        return emitted

    def _note(self, s: StepState) -> None:
        if self._is_read(s):
            self._tokens += _size(s)
            needed = self._needed()
            for name, pot in self._ledger.pots.items():
                pot.keep(needed.of(name))

    def _is_read(self, s: StepState) -> bool:
        """Return whether the report reads the output of a step, as it is or as a part of what a step stands for."""
        report = self._state.steps.get(self._state.report_step or "")
        if report is None or s.kind != "plain" or self._state.is_report(s.id):
            return False
        read = before_of(report.step)
        while s.id not in read:
            parent = self._state.steps.get(s.by)
            if parent is None or parent.kind != "stand_in":
                return False
            if parent.combine == "last" and parent.children[-1] != s.id:
                return False
            s = parent
        return True

    @property
    def _has_alike(self) -> bool:
        """Whether the report reads lists or values: it is in sections as soon as one answer cannot repeat them."""
        report = self._state.steps[self._state.report_step or ""]
        steps = [self._state.steps[name].step for name in before_of(report.step)]
        return any(step.each is not None or step.output is not None for step in steps)

    def _needed(self) -> Amount:
        """Return what partial reports will use for all outputs so far; nothing if one call makes the report.

        The last of them is reserved with its worst case: a whole context.
        """
        route, tokens = self._route, self._tokens
        assert route is not None
        answer = min(route.settings.max_tokens, self._context // 2)
        if self._context >= MOST_CONTEXT or tokens <= (
            OF_ANSWER * answer if self._has_alike else self._context - answer - AROUND
        ):
            return Amount()
        sections = ceil(tokens / (OF_ANSWER * min(answer, 0.4 * self._context)))
        written = ceil(WRITTEN * tokens)
        read = tokens + ceil(LEVELS * written) + AROUND * sections * 3 // 2
        read += self._context - answer
        written += answer
        picos = 0 if route.tariff is None else route.tariff.worst(read, written)
        return Amount(read + written, picos)


def _size(s: StepState) -> int:
    """Return the tokens of an output, as an upper estimate: those of the answer that it was read from."""
    output = s.outcome.output
    if isinstance(output, str):
        return len(output.encode("utf-8", "replace")) // BYTES_PER_TOKEN
    return s.outcome.usage.output_tokens
