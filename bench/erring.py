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
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from trio.testing import MockClock

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.results.result import Result
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from tests.erring import ErringReader, contradicted_documents
from tests.readers import FACT

FACTS = 8
"""Facts in each document."""
CAP = 4096
"""Output cap in tokens."""


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
    status: str


def plan_of(how: str) -> Plan:
    """Return the plan of a row of the table: `evidence`, `check` or `vote`."""
    read = Step(
        id="read",
        each="inputs",
        prompt="Find the facts in {item}.",
        check="critic" if how == "check" else None,
        vote=3 if how == "vote" else None,
    )
    return Plan(steps=(read, Step(id="reduce", agent="reducer", after=("read",))))


async def run(folder: Path, model: ErringReader, plan: Plan, context: int) -> Result:
    """Run a plan over the documents of a folder."""
    task = Task(
        goal="List all facts.",
        inputs=("*.md",),
        folder=folder,
        models={"default": Model(endpoint="offline", context=context, max_tokens=CAP)},
        plan=plan,
        limits=Limits(workers=64, steps=10_000),
    )
    async with Run(task, options=Options(endpoint=model, cache=False, runs=folder / "runs")) as this:
        pass
    return this.result


def measured(texts: Sequence[str], doubtful: set[str], model: ErringReader, plan: Plan, context: int) -> Found:
    """Run a plan over documents, in virtual time, and compare its report with them."""
    clock = MockClock(autojump_threshold=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n, text in enumerate(texts):
            (folder / f"{n:05}.md").write_text(text, encoding="utf-8")
        result = anyio.run(run, folder, model, plan, context, backend="trio", backend_options={"clock": clock})
        return found_in(result, texts, doubtful)


def found_in(result: Result, texts: Sequence[str], doubtful: set[str]) -> Found:
    """Compare a report with the documents."""
    wanted = {fact for text in texts for fact in FACT.findall(text)}
    report = result.report
    said = set[str]() if report is None else set(FACT.findall(str(report.value)))
    claims = () if report is None else report.claims
    marked = {fact for claim in claims if claim.missing for fact in FACT.findall(claim.text)}
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
        status=str(result.status),
    )


def main(documents: Sequence[int], contexts: Sequence[int], rates: Rates) -> None:
    """Print the table."""
    print(f"misses {rates.misses:.0%}, invents {rates.invents:.0%}, contradicts {rates.contradicts:.0%}")
    print("documents  context  errs     with      facts  invented  flagged  false  conflicts   calls     tokens     ×")
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
    print(
        f"{count:9,}  {context:7,}  {who:7}  {how:8} {found.facts:6.3f}  {found.invented:8}  {found.flagged:7}"
        f"  {found.false:5}  {conflicts:>9}  {found.calls:6,}  {found.tokens:9,}  {times:4.1f}  {found.status}",
        flush=True,
    )
