"""Figures are found without a look at every passage, and none is missed by it."""

from hypothesis import given
from hypothesis import strategies as st

from swarm.attempt.evidence.check import Checker
from swarm.attempt.evidence.index import Digits, Postings
from swarm.attempt.evidence.sources import SourceText
from swarm.texts.figures import figures
from swarm.texts.passages import LONGEST_LINE, sentences

SPELLINGS = (
    "It is {} MB.",
    "It is 0.{} ms.",
    "{} million users",
    "three of {}",
    "{},500",
    "1.{}.000,5",
    "1 {}00",
    "{}億2000万",
    "{}億20万 of them",
    "{}.99999999999999 million",
    "5 March {}",
    "2024-03-{}",
    "v1.{}.3",
    "at {}:30",
    "１{}０",
    "{}% of two",
    "{} h 20 min",
    "2h{}m",
    "{}/7 of it",
    "{}½ cups",
    "{}e-3",
    "三百二十万 {}",
)


@given(st.lists(st.tuples(st.sampled_from(SPELLINGS), st.integers(1, 999)), min_size=1, max_size=6))
def test_every_passage_with_a_value_is_among_those_that_are_read(chosen: list[tuple[str, int]]) -> None:
    passages = [spelling.format(n) for spelling, n in chosen]
    digits = Digits(passages)
    for at, passage in enumerate(passages):
        for figure in figures(passage):
            for value in figure.values or (figure.code,):
                assert at in digits.find(value), (passage, value)


def test_a_passage_with_other_digits_is_not_read() -> None:
    assert Digits(["It is 37 MB.", "It is 38 MB.", "It is 370 kB."]).find(37.0) == [0, 2]


WORDS = st.frozensets(st.sampled_from("abcdefg"))


@given(
    st.lists(WORDS, max_size=8), st.frozensets(st.sampled_from("abcdefg"), min_size=1), st.sampled_from([0.3, 0.6, 1])
)
def test_sets_with_a_share_of_some_words_are_all_found(
    sets: list[frozenset[str]], wanted: frozenset[str], least: float
) -> None:
    expected = [
        n for n, words in enumerate(sets) if wanted & words and len(wanted & words) >= least * len(wanted) - 1e-9
    ]
    assert Postings(sets).find(wanted, least) == expected


def test_a_thousand_claims_on_one_long_output_and_a_claim_of_thousands_of_figures_end() -> None:
    """They took minutes when each figure was compared with every other."""
    lines = [f"- Thing {n} needs {3 * n + 3_000} MB." for n in range(400)]
    source = SourceText("read", "\n".join(lines))
    wrong = [f"- Thing {n} needs {3 * n + 3_001} MB [read]." for n in range(400)]
    listed = "All have " + ", ".join(f"{7 * n + 1} MB" for n in range(2_000)) + " [read]."
    found = Checker(lambda _: [source], [source]).check("\n".join((*wrong, "", listed)), {"read"})
    assert sum(bool(claim.missing) for claim in found) == len(wrong) + 1


def test_a_long_paragraph_of_short_lines_is_read_sentence_by_sentence() -> None:
    right = [f"Part {n} needs {n} MB of memory, {'as it did in every test before ' * 3}." for n in range(500)]
    wrong = [line.replace(" MB", "5 MB") if n == 499 else line for n, line in enumerate(right)]
    report = "\n".join(f"{line} [a]" for line in wrong)
    assert len(report) > LONGEST_LINE
    claims = Checker(lambda _: [SourceText("a", "\n".join(right))], [], goal="").check(report, {"a"})
    assert [claim.text for claim in claims if claim.evidence == "unsupported"] == wrong[-1:]


def test_a_line_that_nobody_wrote_to_be_read_is_one_sentence_and_its_neighbours_are_others() -> None:
    noise = "x. " * LONGEST_LINE
    text = f"It is 4 MB.\n{noise}\nIt is 5 MB. It is fast."
    read = [text[start:end] for start, end in sentences(text, 0, len(text))]
    assert read == ["It is 4 MB.", noise.strip(), "It is 5 MB.", "It is fast."]
