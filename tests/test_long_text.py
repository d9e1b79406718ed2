"""The pages of a long text, what its outline says of them, and how words are found in it."""

import json
import re

import pytest

from swarm.base.long_text import MOST_WORDS, PAGE_BYTES, LongText

ROW = "Nothing of interest was noted here, nor in any other row of the log.\n"
FACT = "The spare key of the depot hangs behind panel 4711."
LONG = f"# Log\n{ROW * 4_400}# Annex\n{FACT}\n"
"""A text of 300 kB whose last page has a fact."""


@pytest.mark.parametrize(
    "text",
    [LONG[-60_000:], "é" * 30_000, "👩‍👩‍👧" * 900, json.dumps([{"a": n, "b": "ü" * 40} for n in range(400)])],
    ids=["lines", "one line", "joined emoji", "JSON"],
)
def test_each_byte_is_on_one_page_and_no_character_is_cut(text: str) -> None:
    pages = LongText("a", text).pages
    assert "".join(page.text for page in pages) == text
    assert all(len(page.text.encode()) <= PAGE_BYTES for page in pages)
    assert not any(page.text.startswith(("\u200d", "\ufe0f")) for page in pages)
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))


def test_the_numbers_of_pages_do_not_change_with_what_is_appended() -> None:
    before, after = (LongText("a", text).pages for text in (LONG, f"{LONG}More.\n"))
    assert [page.text for page in before[:-1]] == [page.text for page in after[: len(before) - 1]]


def test_a_text_is_found_as_it_is_written_with_page_and_line() -> None:
    text = LongText("a", f"{LONG}It costs (5 EUR.\nThe second\nkey.\n")
    [hit] = text.find("BEHIND panel")
    assert (hit.page, hit.line, hit.text) == (len(text.pages), 4_403, FACT)
    assert [each.line for each in text.find("(5 EUR.")] == [4_404]
    assert [each.line for each in text.find("second key")] == [4_405]
    assert [each.line for each in text.find("the", from_line=4_404)] == [4_405]
    assert list(text.find("panel 47.1")) == []


def test_a_long_line_shows_each_place_with_its_neighbourhood() -> None:
    text = LongText("a", f"{'x ' * 3_000}needle 1 {'y ' * 3_000}needle 2")
    assert [len(hit.text) < 500 for hit in text.find("needle")] == [True, True]


@pytest.mark.parametrize("sought", ["", "  ", "a " * (MOST_WORDS + 1), "a" * 201])
def test_a_text_that_would_take_long_to_find_is_refused(sought: str) -> None:
    with pytest.raises(ValueError, match="1 to"):
        next(LongText("a", "a " * 10_000).find(sought))


def test_an_outline_fits_its_space_and_names_headings() -> None:
    text = LongText("a", "".join(f"## Chapter {n}\n{ROW * 50}" for n in range(60)))
    outline = text.outline(500)
    assert len(outline.encode()) <= 500
    assert re.match(r"pages 1 to \d+: Chapter 0 · Chapter 1 · Chapter 2", outline), outline
    assert "page 1: Chapter 0" in text.outline(9_000)
