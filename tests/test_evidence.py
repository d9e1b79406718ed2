"""Claims against what they cite: figures, names and quotations in any spelling, what follows from them, and errors."""

from collections import Counter
from random import Random

import pytest
from reports import MUTATIONS, Made, made, mutants

from swarm.attempt.evidence.check import Checker, ReportClaim
from swarm.attempt.evidence.sources import SourceText
from swarm.base.values import canonical
from swarm.texts.figures import figures

Q3 = "Revenue was 4.2 million euros in Q3 2024, up from 3.5 million in Q2. Twelve people work there; churn is 2.1%."
Q4 = "Revenue: EUR 5,040,000 (Q4 2024). Headcount 14. Churn 1.9 %."
LUNR = "Lunr needs 40 MB of memory and 3 seconds. Its licence is MIT. “The index is small and fast”, says Jane Doe."
FUSE = "Fuse needs 12 MB of memory. It was released on March 5, 2024."
RECORDS = '[{"name":"Flex","memory_mb":25,"stars":12000},{"name":"Mini","memory_mb":7,"stars":4300}]'
CITIES = "| City | People | Area |\n|---|---|---|\n| Bonn | 331,885 | 141 km² |\n| Köln | 1 073 096 | 405 km² |"
GERMAN = "Der Speicherbedarf von Lunr beträgt 40 MB. Seit dem 5. März 2021 gibt es Version 2.3.9."
FRENCH = (
    "La bibliothèque Fuse pèse 12,5 Mo et compte 1 234 étoiles. « Elle est très facile à installer », dit l’auteur."
)
CHINESE = "该公司2023年营收为1.2亿元，同比增长15%。员工人数为3,500人。"
JAPANESE = "東京の人口は約1400万人です。面積は２，１９４平方キロメートル。"
NAMELESS = "Uses 40 MB when idle. On Chrome it takes 55 MB. Peak use is 80 MB with 10,000 documents."
OUTPUTS = {
    "q3": Q3,
    "q4": Q4,
    "lunr": LUNR,
    "fuse": FUSE,
    "records": RECORDS,
    "cities": CITIES,
    "german": GERMAN,
    "french": FRENCH,
    "chinese": CHINESE,
    "japanese": JAPANESE,
    "nameless": NAMELESS,
    "list": "- apples\n- pears\n- plums",
}


def checked(text: str, outputs: dict[str, str] = OUTPUTS, goal: str = "Compare them.") -> list[ReportClaim]:
    sources = {
        name: SourceText(name, output, about="Assess Lunr" * (name == "nameless")) for name, output in outputs.items()
    }
    checker = Checker(lambda step: [sources[step]], list(sources.values()), goal=goal)
    return checker.check(text, set(sources))


def of_made(report: Made) -> list[ReportClaim]:
    texts = {name: out if isinstance(out, str) else canonical(out).decode() for name, out in report.outputs.items()}
    return checked(report.text, texts, report.goal)


def verdict(text: str) -> tuple[str, tuple[str, ...]]:
    (claim,) = checked(text)
    return claim.evidence, claim.missing


@pytest.mark.parametrize(
    "text",
    [
        "Revenue was €4.2 million in Q3 [q3].",
        "Revenue was 4,200,000 euros in Q3 [q3].",
        "Umsatz: 4,2 Mio. Euro [q3].",
        "The team had 12 people and a churn of 2.1 percent [q3].",
        "Revenue was 5.04 million euros in Q4 2024 [q4].",
        "Lunr needs 40 MB and Fuse 12 MB [lunr, fuse].",
        "Fuse was released on 2024-03-05 [fuse].",
        "Fuse was released on 5 March 2024 [fuse].",
        "Fuse was released in March 2024 [fuse].",
        "Fuse wurde am 05.03.2024 veröffentlicht [fuse].",
        "Jane Doe says 'the index is small  and FAST' of 40 MB [lunr].",
        "Flex needs 25 MB, Mini 7 MB; Mini has 4,300 stars [records].",
        "Flex has 12k stars [records].",
        "Bonn has 331 885 people on 141 km² and Köln 405 km² [cities].",
        "| Köln | 1'073'096 [cities] |",
        "Lunr needs 40 MB of memory and has been at version 2.3.9 since March 2021 [german].",
        "Die Größe von Fuse beträgt 12,5 MB, das Projekt hat 1.234 Sterne [french].",
        "Der Autor von Fuse (12,5 MB) sagt: „Elle est très facile à installer“ [french].",
        "In 2023 the company earned 120 million yuan, 15 percent more, with 3500 people [chinese].",
        "该公司2023年收入达到1.2亿元，增长百分之15 [chinese]。",
        "About 14 million people live in Tokyo on 2,194 square kilometres [japanese].",
        "Lunr takes 40 MB idle and 80 MB at its peak, with 10k documents [nameless].",
        "Storage in Chrome is 55 MB [nameless].",
        "Three kinds of fruit are listed, such as plums [list].",
        "See table 7 and step 3 for Lunr [lunr].",
    ],
)
def test_what_a_cited_output_says_in_another_spelling_is_supported(text: str) -> None:
    assert verdict(text) == ("supported", ())


@pytest.mark.parametrize(
    "text",
    [
        "Revenue grew by 20 % from Q3 to Q4 [q3, q4].",
        "In total, revenue was 9.24 million euros [q3, q4].",
        "On average, revenue was 4.62 million euros per quarter [q3, q4].",
        "Q4 brought 840,000 euros more than Q3 [q3, q4].",
        "Revenue exceeded 5 million euros in Q4 [q4].",
        "Together they need 52 MB [lunr, fuse].",
        "Lunr needs 40,000 KB [lunr].",
        "Churn is 0.021 [q3].",
        "Both of the 2 outputs name a price [lunr, fuse].",
        "Together, Bonn and Köln have 1.4 million inhabitants [cities].",
        "Flex and Mini need 32 MB in total [records].",
        "The difference between Bonn and Köln is 264 km² [cities].",
    ],
)
def test_what_follows_from_cited_figures_is_derived(text: str) -> None:
    assert verdict(text) == ("derived", ())


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Revenue was €4.3 million in Q3 [q3].", ("€4.3 million",)),
        ("Lunr needs 12 MB [lunr, fuse].", ("12 MB",)),
        ("Fuse needs 12 MB of memory [lunr].", ("12 MB",)),
        ("Zunr needs 40 MB of memory [lunr].", ("Zunr",)),
        ("Together they need 53 MB [lunr, fuse].", ("53 MB",)),
        ("Fuse was released on 6 March 2024 [fuse].", ("6 March 2024",)),
        ("It says “the index is small and slow” [lunr].", ("“the index is small and slow”",)),
        ("Mini has 12,000 stars [records].", ("12,000",)),
        ("Flex needs 7 MB [records].", ("7 MB",)),
        ("Bonn has 405 km² [cities].", ("405 km",)),
        ("| Bonn | 1,073,096 [cities] |", ("1,073,096",)),
        ("Version 2.3.8 of Lunr needs 40 MB [german].", ("2.3.8",)),
        ("Fuse pèse 12,6 Mo [french].", ("12,6 Mo",)),
        ("该公司2023年收入达到1.3亿元 [chinese]。", ("1.3亿元",)),
        ("Lunr takes 45 MB idle [nameless].", ("45 MB",)),
        ("The team has thirteen or 13 people [q4].", ("13",)),
    ],
)
def test_what_no_cited_output_says_is_unsupported(text: str, missing: tuple[str, ...]) -> None:
    assert verdict(text) == ("unsupported", missing)


def test_a_figure_of_the_goal_may_be_repeated() -> None:
    text = "Lunr stays below 50 MB [lunr]."
    assert [claim.evidence for claim in checked(text, goal="Which needs less than 50 MB?")] == ["supported"]
    assert [claim.evidence for claim in checked(text)] == ["unsupported"]


def test_sentences_bullets_rows_and_quotes_are_claims_and_headings_and_code_are_not() -> None:
    text = (
        "# Report of 2025\n\nAn introduction, e.g. for 99 readers. Lunr needs 40 MB. [lunr] "
        "It is by J. Doe, i.e. Jane [lunr].\n"
        "1. Fuse needs\n   12 MB [fuse].\n\n| Name | MB |\n|---|---|\n| Lunr | 40 [lunr] |\n| Fuse | 12 |\n\n"
        "```\nx = 77 [lunr]\n```\n\nThese are open:\n\n> It was released in 2024 [fuse].\n"
    )
    found = [(claim.id, claim.text, claim.steps) for claim in checked(text)]
    assert found == [
        ("u1", "An introduction, e.g. for 99 readers.", ()),
        ("c1", "Lunr needs 40 MB.", ("lunr",)),
        ("c2", "It is by J. Doe, i.e. Jane.", ("lunr",)),
        ("c3", "Fuse needs\n   12 MB.", ("fuse",)),
        ("c4", "| Lunr | 40 |", ("lunr",)),
        ("u2", "| Fuse | 12 |", ()),
        ("c5", "It was released in 2024.", ("fuse",)),
    ]


def test_an_uncited_figure_that_nothing_has_is_missing() -> None:
    one, other = checked("All in all, 40 MB are enough. All in all, 41 MB are enough.")
    assert (one.evidence, one.missing) == ("uncited", ())
    assert (other.evidence, other.missing) == ("uncited", ("41 MB",))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,234.5", [(1234.5,)]),
        ("1.234,5", [(1234.5,)]),
        ("1 234,5", [(1234.5,)]),
        ("1'234", [(1234.0,)]),
        ("1,234", [(1234.0, 1.234)]),
        ("12,34,567", [(1234567.0,)]),
        ("1.2 million", [(1.2e6,)]),
        ("3 Mrd. Euro", [(3e9,)]),
        ("5M users", [(5e6,)]),
        ("1億2000万円", [(1.2e8,)]),
        ("１２３", [(123.0,)]),
        ("٤٢", [(42.0,)]),
        ("GPT-4 and K2.5", []),
        ("seven of 9", [(7.0,), (9.0,)]),
        ("1h30m20s", [(5420.0,)]),
        ("2 years, 3 months", [(27.0,)]),
        ("a race of 100 m in 12 s", [(100.0,), (12.0,)]),
        ("Sizes: 5 m, 3 cm", [(5.0,), (3.0,)]),
        ("十分好，万一数百人，第二十", []),
        ("1½ cups, 3/4 of them, 24/7", [(1.5,), (0.75,), (3.42857142857,)]),
        ("2024/3/4", [(2024.0,), (3.0,), (4.0,)]),
        ("1.2–1.5 million", [(1.2e6, 1.2), (1.5e6,)]),
        ("3 x 10 users", [(3.0,), (10.0,)]),
        ("5 MB 1 h 20 min, 2 h 5 min", [(5.0,), (80.0,), (125.0,)]),
    ],
)
def test_figures_are_read_in_any_spelling(text: str, values: list[tuple[float, ...]]) -> None:
    assert [figure.values for figure in figures(text)] == values


def counted(seeds: range) -> tuple[Counter[str], Counter[str]]:
    """Return how many reports there are of each kind, and how many of them have a claim that is not found."""
    total: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for seed in seeds:
        correct = made(seed)
        for kind, report in {"correct": correct, **mutants(correct, seed)}.items():
            total[kind] += 1
            flagged[kind] += any(claim.missing for claim in of_made(report))
    return total, flagged


def test_a_changed_digit_name_quotation_or_citation_is_found() -> None:
    total, flagged = counted(range(12))
    assert flagged["correct"] == 0
    assert {kind: flagged[kind] for kind in MUTATIONS} == {kind: total[kind] for kind in MUTATIONS}
    assert min(total.values()) >= 10


@pytest.mark.slow  # 5,000 reports: half a minute
def test_of_1000_correct_reports_none_is_flagged_and_of_their_mutants_99_percent() -> None:
    total, flagged = counted(range(1000))
    assert flagged["correct"] == 0
    for kind in MUTATIONS:
        assert flagged[kind] >= 0.99 * total[kind] > 900


def test_reports_are_generated_from_their_seed() -> None:
    assert made(3) == made(3) != made(4)
    assert mutants(made(3), 3) == mutants(made(3), 3)
    assert Random(3).random() == Random(3).random()
