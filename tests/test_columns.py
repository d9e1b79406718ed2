"""Columns of tables in words: type, range, sum, most frequent values, empty cells."""

import pytest

from swarm.readers.columns import columns_words, csv_rows, delimiter_of, numbers_of
from swarm.readers.read import read
from tests import documents


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a;b\n1,5;x\n", ";"),
        ("a\tb\n1 2\t3\n", "\t"),
        ("a|b|c\n1|2|3\n", "|"),
        ('name,n\n"a;b;c;d",1\n"e;f;g;h",2\n', ","),
        ("sep=;\na;b\n1;2\n", ";"),
        ("one column\nonly\n", ","),
        ("", ","),
        ("\ufeffa;b\n1;2\n", ";"),
    ],
)
def test_the_delimiter_is_found(text: str, delimiter: str) -> None:
    assert delimiter_of(text) == delimiter


def test_quoted_fields_keep_their_lines_and_delimiters() -> None:
    assert list(csv_rows('a;b\n"x;\ny";2\n\n')) == [["a", "b"], ["x;\ny", "2"]]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1,234.5", "12"], [1234.5, 12]),
        (["1.234,5", "12,5", "3"], [1234.5, 12.5, 3]),
        (["1 234,5", "12,5"], [1234.5, 12.5]),
        (["€ 1,200", "$5.50", "7 %"], [1200, 5.5, 7]),
        (["-3", "+4", "1e3", ".5"], [-3, 4, 1000, 0.5]),
        (["1,200"], [1200]),
        (["2026-01-02", "v1.2.3", "12 apples", ""], []),
    ],
)
def test_numbers_are_read_in_one_notation(values: list[str], numbers: list[float]) -> None:
    assert numbers_of(values) == numbers


def test_each_column_has_what_its_type_has() -> None:
    text = (
        "region;amount;when;note;nothing\n"
        "North;1.234,50;03.01.2026;;\nNorth;12,5;04.02.2026;x;\nSouth;3;05.01.2026;y;\n"
    )
    assert columns_words(text, "a.csv") == (
        "3 rows: region (text, 2 values: North 2, South 1); amount (number, 3 to 1,234.5, sum 1,250); "
        "when (date, 2026-01-03 to 2026-02-04); note (text, 2 values, 1 empty); nothing (no values)"
    )


def test_cells_of_another_type_are_counted() -> None:
    rows = "\n".join(["n,m", *(f"{n},x" for n in range(19)), "unknown,x"])
    assert "n (number, 0 to 18, sum 171, 1 not a number)" in columns_words(rows, "a.csv")


def test_sheets_of_a_workbook_are_described_each() -> None:
    rows: list[list[object]] = [["k", "v"], *([f"r{n % 3}", n] for n in range(500))]
    text = read("sheets", documents.xlsx(rows), "a.xlsx").text
    assert columns_words(text, "a.xlsx") == (
        "sheet Costs: 500 rows: k (text, 3 values: r0 167, r1 167, r2 166); v (number, 0 to 499, sum 124,750)"
    )


def test_other_texts_have_no_columns() -> None:
    assert columns_words("a,b\n1,2\n", "a.md") == ""
    assert columns_words("only one line", "a.csv") == ""


def test_a_summary_is_short_whatever_the_table_is() -> None:
    wide = ",".join(f"column {n}" for n in range(2000)) + "\n" + ",".join("x" * 50 for _ in range(2000))
    assert len(columns_words(wide, "a.csv")) <= 1200
