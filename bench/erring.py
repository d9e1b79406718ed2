"""What evidence, checks and votes find of the errors of readers, and what that costs.

    python bench/value.py --misses 0.2 --invents 0.05 --contradicts 0.05 [--documents 10,100] [--contexts 32768]

The documents are those of `bench/value.py`. The model is a double that overlooks a share of the facts and gets others
wrong: another figure, the figure of another fact, or a fact of its own, each in a third of the cases. It errs at the
same rates as a critic and as a judge of votes, and with `all` as the writer of the report, too. The rows are a swarm
with evidence only, with `check: critic` and with `vote: 3` on the step that reads.

- `facts`: share of the facts that are in the report as they are in the documents.
- `invented`: facts in the report that are in no document; `flagged`: those in claims that are marked as not found.
- `false`: right facts in claims that are marked as not found.
- `conflicts`: contradictions between documents that `report.conflicts` has, of those whose two sides were read.
- `×`: tokens compared with the swarm without errors, checks and votes.
- `$/1,000`, `seconds`: US dollars for a thousand right facts, and virtual time: see `bench/known.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.known import CAP, FACTS, facts_of, reading, run_over, usd
from swarm.results.result import Result
from swarm.spec.plan import Plan, Step
from tests.erring import ErringReader, contradicted_documents


@dataclass(frozen=True)
class Rates:
    """How often the reader errs, and how often the documents disagree."""

    misses: float
    invents: float
    contradicts: float


@dataclass(frozen=True)
class Found:
    """What a run found."""

    facts: float
    invented: int
    flagged: int
    false: int
    conflicts: int
    of_conflicts: int
    calls: int
    tokens: int
    usd: float
    seconds: float
    status: str


def plan_of(how: str) -> Plan:
    """Return the plan of a row of the table: `evidence`, `check` or `vote`."""
    read = reading(check="critic" if how == "check" else None, vote=3 if how == "vote" else None)
    return Plan(steps=(read, Step(id="reduce", agent="reducer", after=("read",))))


def measured(texts: Sequence[str], doubtful: set[str], model: ErringReader, plan: Plan, context: int) -> Found:
    """Run a plan over documents, and compare its report with them."""
    return found_in(run_over(texts, plan, model, context), texts, doubtful)


def found_in(result: Result, texts: Sequence[str], doubtful: set[str]) -> Found:
    """Compare a report with the documents."""
    wanted = {fact for text in texts for fact in facts_of(text)}
    report = result.report
    said = set[str]() if report is None else facts_of(str(report.value))
    claims = () if report is None else report.claims
    marked = {fact for claim in claims if claim.missing for fact in facts_of(claim.text)}
    both = {name for name in doubtful if sum(fact.startswith(f"{name} is") for fact in said & wanted) > 1}
    conflicts = () if report is None else report.conflicts
    named = {name for each in conflicts for name in both if any(f"{name} is" in side.text for side in each.sides)}
    usage = result.usage
    return Found(
        facts=len(said & wanted) / len(wanted),
        invented=len(said - wanted),
        flagged=len((said - wanted) & marked),
        false=len(said & wanted & marked),
        conflicts=len(named),
        of_conflicts=len(both),
        calls=usage.calls,
        tokens=usage.tokens,
        usd=usd(usage),
        seconds=result.parallelism.seconds,
        status=str(result.status),
    )


def main(documents: Sequence[int], contexts: Sequence[int], rates: Rates) -> None:
    """Print the table."""
    print(f"misses {rates.misses:.0%}, invents {rates.invents:.0%}, contradicts {rates.contradicts:.0%}")
    found = "facts  invented  flagged  false  conflicts"
    print(f"documents  context  errs     with      {found}   calls     tokens     ×   $/1,000  seconds  status")
    for count in documents:
        texts, doubtful = contradicted_documents(count, FACTS, rates.contradicts, words=2)
        for context in contexts:
            perfect = measured(texts, doubtful, ErringReader(context, cap=CAP), plan_of("evidence"), context)
            _print(count, context, "nobody", "evidence", perfect, perfect)
            for who in ("workers", "all"):
                for how in ("evidence", "check", "vote"):
                    model = ErringReader(context, cap=CAP, misses=rates.misses, invents=rates.invents)
                    model.reports_err = who == "all"
                    _print(count, context, who, how, measured(texts, doubtful, model, plan_of(how), context), perfect)


def _print(count: int, context: int, who: str, how: str, found: Found, perfect: Found) -> None:
    conflicts = f"{found.conflicts} of {found.of_conflicts}"
    times = found.tokens / max(1, perfect.tokens)
    each = 1000 * found.usd / max(1, round(found.facts * count * FACTS))
    print(
        f"{count:9,}  {context:7,}  {who:7}  {how:8} {found.facts:6.3f}  {found.invented:8}  {found.flagged:7}"
        f"  {found.false:5}  {conflicts:>9}  {found.calls:6,}  {found.tokens:9,}  {times:4.1f}  {each:8.4f}"
        f"  {found.seconds:7,.0f}  {found.status}",
        flush=True,
    )
