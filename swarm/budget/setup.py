"""The budget of a run, made from its limits, its models and what it spent before."""

from collections.abc import Mapping

from swarm.budget.ledger import REPORT_INPUT, Amount, Ledger, LimitName, output_cap, report_share
from swarm.budget.meter import BudgetQueue, Meters
from swarm.record.state import State
from swarm.spec.tariff import Tariff, picos_of
from swarm.spec.task import Limits, Model


def open_meters(
    limits: Limits,
    models: Mapping[str, Model],
    tariffs: Mapping[str, Tariff | None],
    state: State,
    *,
    custom_endpoint: bool = False,
    keep: bool = True,
) -> Meters:
    """Return the meters of a run over one ledger: its limits, less what it spent before.

    With `keep`, part of each limit is reserved for the report.
    """
    capped: dict[LimitName, int] = {}
    if limits.tokens is not None:
        capped["tokens"] = limits.tokens
    if limits.usd is not None:
        capped["usd"] = picos_of(limits.usd)
    single = {alias: model for alias, model in models.items() if model.use is None}
    known = [(output_cap(model), tariff) for alias, model in single.items() if (tariff := tariffs.get(alias))]
    ledger = Ledger(
        capped,
        spent=_spent_before(state, [tariff for _, tariff in known]),
        keep=_for_report(capped, [output_cap(model) for model in single.values()], known) if keep else Amount(),
    )
    return Meters(BudgetQueue(ledger), models, tariffs, custom_endpoint=custom_endpoint)


def _for_report(capped: Mapping[LimitName, int], output_caps: list[int], known: list[tuple[int, Tariff]]) -> Amount:
    """Return what to reserve for the report: enough for one call of the model that needs most."""
    tokens = max(output_caps, default=0) + REPORT_INPUT
    picos = max((tariff.worst(REPORT_INPUT, cap) for cap, tariff in known), default=0)
    return Amount(report_share(capped.get("tokens", 0), tokens), report_share(capped.get("usd", 0), picos))


def _spent_before(state: State, known: list[Tariff]) -> Amount:
    """Return what earlier stretches of the run spent."""
    before = state.usage
    if before.cost is not None:
        return Amount(before.tokens, picos_of(before.cost))
    # A price was unknown then: charge those tokens at the most expensive price that is known now.
    picos = max((tariff.worst(before.input_tokens, before.output_tokens) for tariff in known), default=0)
    return Amount(before.tokens, picos)
