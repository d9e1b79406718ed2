"""Readers that err: what evidence and checks find of their errors, in whole runs."""

import pytest
from erring import ErringReader, contradicted_documents

from bench.erring import Found, measured, plan_of

TEXTS, DOUBTFUL = contradicted_documents(8, 8, 0.05, words=2)


def found(how: str, *, misses: float = 0.0, invents: float = 0.0, reports_err: bool = False) -> Found:
    model = ErringReader(32_768, cap=4096, misses=misses, invents=invents, reports_err=reports_err)
    return measured(TEXTS, DOUBTFUL, model, plan_of(how), 32_768)


def test_a_reader_without_errors_loses_nothing_and_is_not_doubted() -> None:
    run = found("evidence")
    assert (run.facts, run.invented, run.flagged, run.false, run.calls, run.status) == (1.0, 0, 0, 0, 9, "done")
    assert run.conflicts == run.of_conflicts == len(DOUBTFUL) > 0


@pytest.mark.parametrize("reports_err", [False, True])
def test_what_readers_invent_is_left_out_or_marked(reports_err: bool) -> None:
    run = found("evidence", invents=0.2, reports_err=reports_err)
    assert run.facts < 1.0, "it invented something"
    assert run.invented == run.flagged
    assert run.false == 0
    assert run.calls <= 10, "workers are not asked, the report at most once"


def test_a_check_brings_back_what_readers_miss() -> None:
    plain, checked = found("evidence", misses=0.2), found("check", misses=0.2)
    assert plain.facts < 0.9 < checked.facts
    assert checked.tokens > plain.tokens
