"""Texts as claims: the form of a text decides, never its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.texts.claims import LONGEST, MOST_CLAIMS, cut, flat, sentences
from swarm.texts.sentences import MOST_LINES, Source, labelled, plain, read


def source(text: str, name: str = "a.md") -> Source:
    return read(name, text)


def told(text: str, name: str = "a.md") -> list[str]:
    """Return the claims of a text, each with its subject."""
    read_ = source(text, name)
    return [labelled(claim) for claim in read_.claims]


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
    assert plain("**Bold**, [a link](http://x.y/z), ![a picture](http://evil/?q=1)") == ("Bold, a link, a picture")
    assert flat(plain("\x1b[31mred\x07\u202e __init__")) == "[31mred __init__"


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
    assert told(text, "notes.md") == ["Lucene: Needs 450 MB.", "Tantivy: Needs 210 MB."]


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
    assert told('name,memory\n"Tantivy, fast",210 MB\n', "sizes.csv") == ["Tantivy, fast: memory 210 MB"]


def test_json_is_told_by_its_paths() -> None:
    text = '{"libs": [{"name": "Tantivy", "mb": 210}], "note": "One. Two.", "deep": {"er": [1, "a \\ud800"]}}'
    claims = source(text, "x.json").claims
    assert [(claim.where, claim.text) for claim in claims] == [
        ((), "note One. Two."),
        (("libs",), "Tantivy: mb 210"),
        (("deep", "er"), "1"),
        (("deep", "er"), "a ?"),
    ]


def test_code_blocks_do_not_end_sections() -> None:
    claims = source("# A\n\n```\n# no heading\n```\n\nText.\n").claims
    assert [claim.text for claim in claims] == ["# no heading", "Text."]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Tantivy\n\nIt needs 40 MB.", "Tantivy"),
        ("Tantivy\n\nIt needs 40 MB.", "Tantivy"),
        ("# One\n\nIt needs 40 MB.\n\n# Two\n\nIt needs 50 MB.", ""),
        ("It needs 40 MB.", ""),
    ],
)
def test_the_heading_above_all_is_the_title(text: str, title: str) -> None:
    assert source(text).title == title
    assert source(text).claims[0].text == "It needs 40 MB."


@pytest.mark.parametrize(
    ("head", "value", "expected"),
    [
        ("memory_gb", "3", "memory 3 GB"),
        ("Memory (GB)", "3.5", "Memory 3.5 GB"),
        ("size in km", "3", "size 3 km"),
        ("memory", "3 GB", "memory 3 GB"),
        ("owner", "Ines", "owner Ines"),
    ],
)
def test_the_unit_of_a_column_stands_after_the_figure(head: str, value: str, expected: str) -> None:
    assert told(f"name,{head}\nMail,{value}\n", "a.csv") == [f"Mail: {expected}"]


def test_semicolons_and_lines_of_json_are_tables_too() -> None:
    assert told("name;price\nOak;12,50\n", "a.csv") == ["Oak: price 12,50"]
    assert told('{"name": "Oak", "mb": 3}\n{"name": "Elm", "mb": 4}\n', "a.jsonl") == ["Oak: mb 3", "Elm: mb 4"]


def test_code_is_read_by_its_comments_and_lines() -> None:
    assert told("-- The prices.\nSELECT 1\n", "a.sql") == ["The prices.", "SELECT 1"]


def test_marks_of_pages_are_no_sentences() -> None:
    assert told("[page 1]\nOne.\n\n[page 2]\nTwo.\n", "a.pdf") == ["One.", "Two."]


@pytest.mark.parametrize("text", ["def f(:\n", "\x00", "-" * 100_000 + "1", "(" * 1000, "x" + ".y" * 100_000])
def test_source_that_does_not_parse_is_read_as_lines(text: str) -> None:
    said = "".join(claim.text for claim in source(text, "a.py").claims)
    assert set(said) <= set(text)


def test_source_warns_nobody() -> None:
    assert source('"""Doc."""\nx = "\\d"\n', "a.py").claims[0].text == "Doc."


def test_python_is_read_by_its_docstrings_and_constants() -> None:
    head = '"""What it is for. More.\n\n- one\n"""\nLIMIT = 30\n'
    text = head + 'class A:\n    """Does it. Well."""\n    def _b(self): ...\n'
    assert told(text, "a.py") == ["What it is for.", "More.", "one", "LIMIT = 30", "class A: Does it."]


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


@pytest.mark.parametrize("text", ["It has no server\n", "# It has no server\n"])
def test_a_text_that_is_only_a_heading_is_read(text: str) -> None:
    assert told(text) == ["It has no server"]


def test_settings_are_read_below_their_sections() -> None:
    toml = read("a.toml", "[one]\nx = 1\n[two.b]\ny = 2\n")
    assert [(each.where, each.text) for each in toml.claims] == [(("one",), "x: 1"), (("two.b",), "y: 2")]
    yaml = read("a.yaml", "primary:\n  site: Oslo\nstandby:\n  site: Kiel\n  racks: 2\nowner: Kim\n")
    assert [labelled(each) for each in yaml.claims] == [
        "primary: site: Oslo",
        "standby: site: Kiel",
        "standby: racks: 2",
        "owner: Kim",
    ]
