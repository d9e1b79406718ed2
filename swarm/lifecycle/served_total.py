"""What all runs of one server may spend together: each run holds its own limits until it ends.

total  =  spent  +  held  +  left
"""

from swarm.base.errors import TaskError
from swarm.budget.ledger import Amount, Ledger, LimitName, Reservation
from swarm.record.state import State
from swarm.spec.tariff import PICOS, picos_of
from swarm.spec.task import Limits


class Total:
    """A ledger above the ledgers of runs."""

    def __init__(self, tokens: int | None, usd: float | None) -> None:
        """Take the totals of the server's life; None for no total."""
        limits: dict[LimitName, int] = {}
        if tokens is not None:
            limits["tokens"] = tokens
        if usd is not None:
            limits["usd"] = picos_of(usd)
        self._ledger = Ledger(limits)

    @property
    def left(self) -> dict[str, int | float]:
        """What no run has spent or holds: tokens, and US dollars."""
        rooms = {name: max(0, pot.room(report=False)) for name, pot in self._ledger.pots.items()}
        return {name: room / PICOS if name == "usd" else room for name, room in rooms.items()}

    def lowered(self, limits: Limits, before: Amount) -> Limits:
        """Return the limits of a run that spent `before`, lowered to what is left. Raise `TaskError` if nothing is."""
        lower: dict[str, int | float] = {}
        for name, pot in self._ledger.pots.items():
            room = pot.room(report=False)
            if room <= 0:
                held = "; running runs hold what they may spend" if pot.held else ""
                raise TaskError(f"nothing is left of this server's total of {name}{held}")
            most = before.of(name) + room
            own = limits.tokens if name == "tokens" else limits.usd
            if own is None or _counted(name, own) > most:
                lower[name] = most / PICOS if name == "usd" else most
        return limits.model_copy(update=lower)

    def hold(self, limits: Limits, before: Amount) -> Reservation:
        """Reserve what a run may still spend under lowered limits. Raise `TaskError` if that does not fit."""
        tokens = max(0, (limits.tokens or 0) - before.tokens)
        picos = max(0, (0 if limits.usd is None else picos_of(limits.usd)) - before.picos)
        rooms = {name: pot.room(report=False) for name, pot in self._ledger.pots.items()}
        held = self._ledger.reserve(Amount(tokens, min(picos, rooms.get("usd", picos))))
        if held is None:
            raise TaskError("another run took what was left of this server's total")
        return held


def spent_by(state: State) -> Amount:
    """Return what a run has spent so far."""
    usage = state.usage
    return Amount(usage.charged_tokens, picos_of(usage.charged_cost or 0.0))


def _counted(name: LimitName, value: float) -> int:
    return picos_of(value) if name == "usd" else int(value)
