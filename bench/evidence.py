"""Claims against their sources: errors found in changed reports, false alarms in correct ones, and the time.

Aims: 99 % of the changed reports are flagged, none of the correct ones; a few milliseconds for 100 claims.

Usage: python bench/evidence.py [REPORTS]
"""

import re
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from swarm.attempt.evidence.check import Checker, ReportClaim
from swarm.attempt.evidence.sources import SourceText
from swarm.base.values import canonical
from tests.reports import MUTATIONS, Made, made, mutants


def checked(report: Made) -> list[ReportClaim]:
    """Return the claims of a report."""
    texts = {name: out if isinstance(out, str) else canonical(out).decode() for name, out in report.outputs.items()}
    sources = {name: SourceText(name, text) for name, text in texts.items()}
    checker = Checker(lambda step: [sources[step]], list(sources.values()), goal=report.goal)
    return checker.check(report.text, set(sources))


def of_100_claims() -> Made:
    """Return a report with one claim for each of 100 outputs."""
    lines: list[str] = []
    outputs: dict[str, object] = {}
    for seed in range(100):
        text = next((out for out in made(seed).outputs.values() if isinstance(out, str)), "Lunr needs 40 MB.")
        figure = re.search(r"\d[\d,. \u202f]* (?:MB|ms|GB|EUR|€|%)", text)
        outputs[f"read.{seed}"] = text
        lines.append(f"- It has {'no figure' if figure is None else figure[0]} [read.{seed}].")
    return Made("\n".join(lines), outputs)


def main() -> None:
    """Print what is found, and how long it takes."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    total: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for seed in range(count):
        correct = made(seed)
        for kind, report in {"correct": correct, **mutants(correct, seed)}.items():
            total[kind] += 1
            flagged[kind] += any(claim.missing for claim in checked(report))
    for kind in ("correct", *MUTATIONS):
        print(f"{kind:10} {flagged[kind]:5} of {total[kind]:5} flagged  {flagged[kind] / total[kind]:.2%}")
    large = of_100_claims()
    best = min(_seconds(large) for _ in range(5))
    print(f"100 claims over 100 outputs, index included: {1000 * best:.1f} ms of CPU")


def _seconds(report: Made) -> float:
    started = time.process_time()
    checked(report)
    return time.process_time() - started


if __name__ == "__main__":
    main()
