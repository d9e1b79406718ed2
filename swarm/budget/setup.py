"""The budget of a run, made from its limits, its models and what it spent before."""

from collections.abc import Mapping, Sequence

from swarm.budget.ledger import REPORT_INPUT, Amount, Ledger, LimitName, output_cap, report_share
from swarm.budget.meter import Meters
from swarm.budget.queue import BudgetQueue
from swarm.endpoints.route import Route, Routes, single
from swarm.record.state import State
from swarm.spec.tariff import picos_of
from swarm.spec.task import Limits


def open_meters(
    limits: Limits,
    routes: Routes,
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
    models = tuple(single(routes).values())
    reserved = _for_report(capped, models) if keep else Amount()
    ledger = Ledger(capped, spent=_spent_before(state, models), keep=reserved)
    return Meters(BudgetQueue(ledger), routes, custom_endpoint=custom_endpoint)


def _for_report(capped: Mapping[LimitName, int], models: Sequence[Route]) -> Amount:
    """Return what to reserve for the report: enough for one call of the model that needs most."""
    tokens = max((output_cap(model.settings) for model in models), default=0) + REPORT_INPUT
    picos = max((_worst(model, REPORT_INPUT, output_cap(model.settings)) for model in models), default=0)
    return Amount(report_share(capped.get("tokens", 0), tokens), report_share(capped.get("usd", 0), picos))


def _spent_before(state: State, models: Sequence[Route]) -> Amount:
    """Return what earlier stretches of the run spent."""
    before = state.usage
    if before.charged_cost is not None:
        return Amount(before.charged_tokens, picos_of(before.charged_cost))
    # A price was unknown then: charge those tokens at the most expensive price that is known now.
    written = before.output_tokens + before.unanswered_tokens
    picos = max((_worst(model, before.input_tokens, written) for model in models), default=0)
    return Amount(before.charged_tokens, picos)


def _worst(model: Route, input_tokens: int, output_tokens: int) -> int:
    """Return the most that so many tokens can cost; 0 if the price is unknown."""
    return 0 if model.tariff is None else model.tariff.worst(input_tokens, output_tokens)
