"""Claims against their sources: errors found in changed reports, false alarms in correct ones, and the time.

Aims: 99 % of the changed reports are flagged, none of the correct ones; a few milliseconds for 100 claims.

Usage: python bench/evidence.py [REPORTS]
"""

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

from swarm.attempt.evidence.check import Checker, ReportClaim
from swarm.attempt.evidence.conflicts import conflicts
from swarm.attempt.evidence.sources import SourceText
from swarm.base.values import canonical
from tests.reports import FIELDS, HARDER, MUTATIONS, NAMES, Made, made, mutants, spelled


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


def of_1000_claims() -> tuple[str, list[SourceText]]:
    """Return a report with 1,000 claims without citations, half of them wrong, and 100 outputs of 5 kB."""
    random = Random(1)
    outputs = [[_sentence(n, k, random) for k in range(60)] for n in range(100)]
    picked = [random.choice(random.choice(outputs)) for _ in range(1000)]
    claims = [text if n % 2 else text.replace(" needs ", " needs 1") for n, text in enumerate(picked)]
    return "\n".join(f"- {text}" for text in claims), sources_of(outputs)


def of_1000_outputs() -> list[SourceText]:
    """Return 1,000 outputs of eight sentences, some of which say other things of the same than the one before."""
    random = Random(2)
    return sources_of([[_sentence(n // 2, k % 4, random) for k in range(8)] for n in range(1000)])


def sources_of(outputs: Sequence[Sequence[str]]) -> list[SourceText]:
    """Return outputs of sentences as sources."""
    return [SourceText(f"read.{n}", " ".join(lines)) for n, lines in enumerate(outputs)]


def _sentence(n: int, k: int, random: Random) -> str:
    label, unit, _ = FIELDS[(n + k) % len(FIELDS)]
    name = NAMES[n % len(NAMES)]
    size = spelled(random.randint(11, 99_999), unit, random)
    host = ("desktop", "laptop", "phone", "server")[k % 4]
    return f"The {label} of {name} {n} on {host} hosts needs {size} in test {k}."


def main() -> None:
    """Print what is found, and how long it takes."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    total: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for seed in range(count):
        correct = made(seed)
        for kind, report in {"correct": correct, **mutants(correct, seed), **mutants(correct, seed, HARDER)}.items():
            total[kind] += 1
            flagged[kind] += any(claim.missing for claim in checked(report))
    for kind in ("correct", *MUTATIONS, *HARDER):
        print(f"{kind:11} {flagged[kind]:5} of {total[kind]:5} flagged  {flagged[kind] / total[kind]:.2%}")
    large = of_100_claims()
    text, outputs = of_1000_claims()
    many = of_1000_outputs()
    _print("100 claims over 100 outputs", lambda: checked(large), [large.text, *map(str, large.outputs.values())])
    _print("1,000 uncited claims over 100 outputs", lambda: _uncited(text, outputs), [text, *(s.text for s in outputs)])
    _print("conflicts of 1,000 outputs", lambda: conflicts(_fresh(many)), [s.text for s in many])


def _uncited(text: str, outputs: Sequence[SourceText]) -> list[ReportClaim]:
    return Checker(lambda _: (), _fresh(outputs)).check(text, ())


def _fresh(outputs: Sequence[SourceText]) -> list[SourceText]:
    """Return sources that are not yet indexed."""
    return [SourceText(each.name, each.text) for each in outputs]


def _print(what: str, run: Callable[[], object], texts: Sequence[str]) -> None:
    """Print the time of a check, its index included, and how often all words of its texts are found meanwhile."""
    took = min(_seconds(run) for _ in range(3))
    words = min(_seconds(lambda: [re.findall(r"\w+", text) for text in texts]) for _ in range(3))
    print(f"{what}, index included: {1000 * took:.1f} ms of CPU, {took / words:.0f} times a search for words")


def _seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


if __name__ == "__main__":
    main()
