"""Figures that differ between outputs: every planted contradiction is found, and nothing else."""

from itertools import product
from random import Random

import pytest
from reports import NAMES, REMARKS

from swarm.attempt.evidence.conflicts import conflicts, line
from swarm.attempt.evidence.sources import SourceText

# A field, its unit, and the ways to write it. `{n}` is the name, `{v}` the figure with its unit.
FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("MB", ("{n} needs {v} of memory.", "The memory of {n} is {v}.", "In a test, {n} took {v} of memory.")),
    ("seats", ("The {n} office has {v}.", "There are {v} in the {n} office.", "{n} office: {v}.")),
    ("EUR", ("The price of {n} is {v} per seat.", "{n} has a price of {v} per seat.")),
    ("sites", ("The rollout of {n} covers {v}.", "{n} covers {v}, says the project plan.")),
    ("%", ("The error rate of {n} was {v}.", "{n} had an error rate of {v}.")),
    ("km", ("The {n} route has a length of {v}.", "The length of the {n} route is {v}.")),
)
TRAPS = (
    "The {n} team met {a} times in 2023, and {b} times in 2024.",
    "{n} needs at least {a} licences. {n} grew from {a} to {b} machines.",
    "The peak load of {n} was {a} requests; its average load was {b} requests.",
    "About {a} people in total use {n}, of which {b} people are new.",
)
NAMED = 20
"""Names with facts; the others have figures of different conditions in many files."""


def notes(seed: int, planted: int = 6, files: int = 25) -> tuple[dict[str, str], list[tuple[str, set[str]]]]:
    """Return notes by file, and the planted contradictions: the name, and the two files."""
    random = Random(seed)
    facts = [(name, field, random.randint(20, 900)) for name, field in product(NAMES[:NAMED], range(len(FIELDS)))]
    random.shuffle(facts)
    lines: dict[str, list[str]] = {
        f"n{n}": [f"# Note {n}", "", random.choice(REMARKS).capitalize() + "."] for n in range(files)
    }
    expected: list[tuple[str, set[str]]] = []
    for n, (name, field, value) in enumerate(facts[:60]):
        one, other = random.sample(sorted(lines), 2)
        second = value + random.randint(3, 15) if n < planted else value
        for file, figure in ((one, value), (other, second)):
            unit, ways = FIELDS[field]
            lines[file].append(random.choice(ways).format(n=name, v=f"{figure} {unit}"))
        if n < planted:
            expected.append((name, {one, other}))
    for n, file in enumerate(sorted(lines)):
        a, b = random.sample(range(10, 99), 2)
        if n < NAMED:  # one trap per name
            lines[file].append(random.choice(TRAPS).format(n=NAMES[n], a=a, b=b))
        lines[file].append(
            f"{NAMES[NAMED + n % 9]} needs {random.randint(10, 99)} MB with {random.randint(2, 9)},000 pages of {file}."
        )
    return {file: "\n".join([*head[:2], " ".join(head[2:])]) for file, head in lines.items()}, expected


def found_in(texts: dict[str, str]) -> list[tuple[str, set[str]]]:
    found = conflicts(SourceText(name, text) for name, text in texts.items())
    return [(each.about, {step for side in each.sides for step in side.steps}) for each in found]


@pytest.mark.parametrize("seed", range(5))
def test_of_6_contradictions_in_25_files_all_are_found_and_none_is_false(seed: int) -> None:
    texts, expected = notes(seed)
    found = found_in(texts)
    assert sorted(sorted(files) for _, files in found) == sorted(sorted(files) for _, files in expected)
    assert all(any(name in about and files == both for about, both in found) for name, files in expected)


def lines_of(**texts: str) -> list[str]:
    return [line(each) for each in conflicts(SourceText(name, text) for name, text in texts.items())]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (
            "The Aurora index needs 120 MB of memory.",
            "# Notes\n\nAurora: memory 180 MB.",
            "Aurora memory: 120 MB [a]; 180 MB [b]",
        ),
        (
            '{"name":"Lunr","memory_mb":40}',
            "| Library | Memory (MB) |\n|---|---|\n| Lunr | 45 |",
            "Lunr memory: 40 MB [a]; 45 MB [b]",
        ),
        ("Acme was founded in 1998.", "Founded in 2001, Acme sells shoes.", "Acme founded: 1998 [a]; 2001 [b]"),
        (
            "Acme was released on 2024-03-05.",
            "Acme was released on 5 April 2024.",
            "Acme released: 2024-03-05 [a]; 5 April 2024 [b]",
        ),
        ("# Lunr\n\n- Memory: 40 MB", "# Lunr\n\n- Memory: 44 MB", "Memory: 40 MB [a]; 44 MB [b]"),
        ("F-2-3 is 203.", "F-2-4 is 204. F-2-3 is 837.", "F-2-3: 203 [a]; 837 [b]"),
        ("GPT-4 costs 20 USD.", "GPT-3.5 costs 5 USD. GPT-4 costs 30 USD.", "GPT-4: 20 USD [a]; 30 USD [b]"),
        (
            "Lunr needs 40 MB of memory [read.1].",
            "Lunr needs 44 MB of memory [read.9].",
            "Lunr memory: 40 MB [read.1]; 44 MB [read.9]",
        ),
    ],
)
def test_both_sides_are_named(one: str, other: str, expected: str) -> None:
    assert lines_of(a=one, b=other) == [expected]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Lunr needs 40 MB of memory.", "Fuse needs 44 MB of memory.", id="another name"),
        pytest.param("Lunr needs 40 MB of memory.", "Lunr needs 44 MB of disk space.", id="another thing"),
        pytest.param("Lunr needs 40 MB of memory.", "Lunr needs 44 ms of memory.", id="another dimension"),
        pytest.param("Acme earned 5 million in 2023.", "Acme earned 6 million in 2024.", id="another year"),
        pytest.param(
            "Lunr takes 40 MB with 10,000 pages.", "Lunr takes 90 MB with 99,000 pages.", id="another condition"
        ),
        pytest.param("The revenue of Acme is $5.", "The net revenue of Acme is $4.", id="a qualifier"),
        pytest.param("Lunr needs 40 MB of memory.", "Lunr needs 39.7 MB of memory.", id="rounded"),
        pytest.param("Lunr needs 1.5 GB of memory.", "Lunr needs 1,500 MB of memory.", id="converted"),
        pytest.param("Lunr needs about 40 MB of memory.", "Lunr needs 42 MB of memory.", id="approximate"),
        pytest.param("Lunr needs at least 40 MB of memory.", "Lunr needs 60 MB of memory.", id="a bound"),
        pytest.param("Lunr needs 40-60 MB of memory.", "Lunr needs 50 MB of memory.", id="a range"),
        pytest.param(
            "Lunr needs 40 MB of memory. Lunr needs 44 MB of memory.", "Lunr needs 44 MB of memory.", id="both in one"
        ),
        pytest.param("# Lunr\n\n- Memory: 40 MB", "# Fuse\n\n- Memory: 44 MB", id="another heading"),
        pytest.param("Updated in 2021, Lunr is old.", "Updated in 2023, Lunr is new.", id="years"),
        pytest.param("It needs 40 MB of memory.", "It needs 44 MB of memory.", id="no name"),
        pytest.param("The index needs 40 MB of memory.", "The index needs 44 MB of memory.", id="a thing without name"),
        pytest.param("F-2-3 is 203.", "F-2-4 is 204.", id="a name with another number"),
        pytest.param("Released in March 2024, Acme is new.", "Acme was released on 5 March 2024.", id="less exact"),
    ],
)
def test_different_things_are_no_conflict(one: str, other: str) -> None:
    assert lines_of(a=one, b=other) == []


@pytest.mark.parametrize("between", ["\n", ". ", "\n- "])
def test_things_that_are_numbered_alike_are_told_apart(between: str) -> None:
    """Their names begin alike, they are more than are compared for a common word, and lines need no marks."""
    days = {n: n % 7 + 2 for n in range(100, 300)}
    one = between.join(f"REQ-{n}: {each} days" for n, each in days.items())
    other = between.join(f"REQ-{n}: {900 if n == 150 else each} days" for n, each in days.items())
    assert lines_of(a=one, b=other) == [f"REQ-150: {days[150]} days [a]; 900 days [b]"]


def test_many_values_are_not_one_thing() -> None:
    texts = {f"n{n}": f"Lunr needs {40 + 5 * n} MB of memory." for n in range(4)}
    assert lines_of(**texts) == []
    del texts["n3"]
    assert lines_of(**texts) == ["Lunr memory: 40 MB [n0]; 45 MB [n1]; 50 MB [n2]"]
