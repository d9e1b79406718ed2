"""Texts as claims: the form of a text decides, never its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.endpoints.offline.formats import MOST_CLAIMS, NO_LICENCE, read
from swarm.endpoints.offline.read import LONGEST, MOST_LINES, Claim, Source, cut, label, labelled, plain, sentences
from swarm.spec.chat import Data


def source(text: str, name: str = "a.md") -> Source:
    return read(Data(of="input", name=name, text=text))


def told(text: str, name: str = "a.md") -> list[str]:
    """Return the claims of a text, each with its subject."""
    read_ = source(text, name)
    return [labelled(read_, claim) for claim in read_.claims]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It is, e.g. this, approx. 5.5 MB. Next", ["It is, e.g. this, approx. 5.5 MB.", "Next"]),
        ("By Dr. A. Smith et al. in 2016. Next", ["By Dr. A. Smith et al. in 2016.", "Next"]),
        ("He said “no.” She left.", ["He said “no.”", "She left."]),
        ("它很快。它很小！", ["它很快。", "它很小！"]),
        ("A claim. [read.1] [read.2] Another.", ["A claim. [read.1] [read.2]", "Another."]),
        ("...", ["..."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(), st.integers(0, 3))
def test_cutting_loses_no_word(text: str, times: int) -> None:
    whole = " ".join([text] * 10**times)
    pieces = cut(whole)
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(whole.split())


def test_marks_of_markdown_are_taken_off() -> None:
    assert plain("**Bold**, [a link](http://x.y/z), ![a picture](http://evil/?q=1)") == (
        "Bold, a link (http://x.y/z), a picture"
    )
    assert plain("\x1b[31mred\x00\u202e __init__") == "[31mred __init__"


def test_wrapped_lines_are_joined_and_short_ones_are_not() -> None:
    wrapped = "This sentence was wrapped by an editor at some column\nand goes on here. Next.\n"
    assert told(wrapped) == [
        "This sentence was wrapped by an editor at some column and goes on here.",
        "Next.",
    ]
    assert told("It is small. It takes\n2 GB.\n") == ["It is small.", "It takes 2 GB."]
    assert told("Tantivy 210 MB\nLucene 450 MB\n") == ["Tantivy 210 MB", "Lucene 450 MB"]


def test_claims_carry_the_headings_they_stand_under() -> None:
    text = "# Libraries\n\n## Lucene\n\nNeeds 450 MB.\n\nTantivy\n-------\n\nNeeds 210 MB.\n"
    assert told(text, "notes.md") == ["Libraries, Lucene: Needs 450 MB.", "Libraries, Tantivy: Needs 210 MB."]


def test_bullets_carry_their_lead_in_and_the_bullets_above_them() -> None:
    text = "Memory:\n\n- Lucene\n    - index: 450 MB\n- Tantivy\n    - index: 210 MB,\n      all in all\n\nElse.\n"
    assert told(text) == [
        "Memory: Lucene",
        "Memory, Lucene: index: 450 MB",
        "Memory: Tantivy",
        "Memory, Tantivy: index: 210 MB, all in all",
        "Else.",
    ]


def test_rows_of_a_table_are_told_by_their_first_cell_and_heads() -> None:
    text = "Library | Memory | Disk\n:--|--:|--\nTantivy | 210 MB | 1 \\| 2\nLucene | 450 MB |\n\nAfter.\n"
    assert told(text) == ["Tantivy: Memory 210 MB; Disk 1 | 2", "Lucene: Memory 450 MB", "After."]


def test_comma_separated_values_are_a_table() -> None:
    assert told('name,memory\n"Tantivy, fast",210 MB\n', "sizes.csv") == ["sizes: Tantivy, fast: memory 210 MB"]


def test_json_is_told_by_its_paths() -> None:
    text = '{"libs": [{"name": "Tantivy", "mb": 210}], "note": "One. Two.", "deep": {"er": [1, "a \\ud800"]}}'
    claims = source(text, "x.json").claims
    assert [(claim.where, claim.text) for claim in claims] == [
        ((), "note: One. Two."),
        (("libs",), "name: Tantivy; mb: 210"),
        (("deep", "er"), "1"),
        (("deep", "er"), "a ?"),
    ]


def test_code_blocks_do_not_end_sections() -> None:
    claims = source("# A\n\n```\n# no heading\n```\n\nText.\n").claims
    assert [claim.text for claim in claims] == ["# no heading", "Text."]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("meilisearch.md", "It needs 40 MB.", "meilisearch: It needs 40 MB."),
        ("meilisearch.md", "Meilisearch needs 40 MB.", "Meilisearch needs 40 MB."),
        ("meilisearch.md", "# Overview\n\nIt needs 40 MB.", "Overview (meilisearch): It needs 40 MB."),
        ("meilisearch.md", "# Meilisearch 1.0\n\nIt needs 40 MB.", "Meilisearch 1.0: It needs 40 MB."),
        ("note-3.md", "# Tantivy\n\nIt needs 40 MB.", "Tantivy: It needs 40 MB."),
        ("note-3.md", "Tantivy\n\nIt needs 40 MB.", "Tantivy: It needs 40 MB."),
        ("note-3.md", "It needs 40 MB.", "It needs 40 MB."),
        ("search-engine-x.md", "The search takes 40 MB.", "search-engine-x: The search takes 40 MB."),
    ],
)
def test_a_claim_names_what_it_is_about(name: str, text: str, expected: str) -> None:
    assert told(text, name) == [expected]


def test_words_of_the_question_name_no_subject() -> None:
    note = source("Memory and index of Lunr.", "memory-index-lunr.md")
    claim = Claim("Memory of 40 MB is enough.")
    assert label(note, claim) == ""
    assert label(note, claim, frozenset({"memory"})) == "memory-index-lunr"


@pytest.mark.parametrize("text", ["def f(:\n", "\x00", "-" * 100_000 + "1", "(" * 1000, "x" + ".y" * 100_000])
def test_source_that_does_not_parse_is_read_as_text(text: str) -> None:
    assert source(text, "a.py").path is False


def test_source_warns_nobody() -> None:
    assert source('"""Doc."""\nx = "\\d"\n', "a.py").claims[0].text == "Doc."


def test_a_docstring_is_read_as_markdown() -> None:
    text = '"""What it is for. More.\n\n- one\n- two\n"""\n'
    claims = source(text, "a.py").claims
    assert [claim.text for claim in claims] == ["What it is for.", "More.", "one", "two"]
    assert [claim.always for claim in claims] == [True, False, False, False]


def test_metadata_without_a_licence_says_so() -> None:
    claims = told("Metadata-Version: 2.1\nName: x\nVersion: 1\nLicense:\nClassifier: Topic :: Y\n", "x/METADATA")
    assert f"x 1: {NO_LICENCE}" in claims


@pytest.mark.parametrize("lines", [MOST_CLAIMS * 2, MOST_LINES * 2])
def test_long_texts_are_sampled_to_their_end(lines: int) -> None:
    claims = source("".join(f"Line {n}.\n" for n in range(lines))).claims
    assert len(claims) == MOST_CLAIMS
    assert claims[-1].text in {f"Line {n}." for n in range(lines - 10, lines)}


@pytest.mark.parametrize(
    "piece", [".", " ", "# ", "[", "[a](", "![a](b", "**a", "> ", "1,", "a:\n", "| ", "|-", "e.g. ", '."']
)
def test_hostile_repetitions_are_read_in_linear_time(piece: str) -> None:
    # A quadratic scanner would take hours for this, and the suite's own limit would end it.
    assert len(source(piece * (400_000 // len(piece)) + "x").claims) <= MOST_CLAIMS
