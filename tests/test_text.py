"""Lists of names and truncated texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.text import clip, cut, listing


@pytest.mark.parametrize(
    ("names", "most", "text"),
    [
        ([], None, "none"),
        ([], 3, "none"),
        (["a"], None, "a"),
        (["a", "b"], None, "a and b"),
        (["a", "b", "c"], 3, "a, b and c"),
        (["a", "b", "c"], 2, "a, b and 1 more"),
        (map(str, range(2000)), 1, "0 and 1,999 more"),
    ],
)
def test_a_list_of_names_counts_those_it_omits(names: list[str], most: int | None, text: str) -> None:
    assert listing(names, most) == text


def test_a_truncated_text_ends_in_an_ellipsis() -> None:
    assert cut("abcd", 4) == "abcd"
    assert cut("abcde", 4) == "abc…"


def test_a_clipped_text_shows_that_the_rest_was_not_read() -> None:
    assert clip("a\n b\t\x1bc") == "a b ␛c"
    assert clip("x" * 61) == "x" * 59 + "…"
    assert clip("a" + " " * 1000 + "b", 10) == "a…"
    assert clip("a" * 10 + " " * 1000 + "b", 10) == "a" * 9 + "…"


@given(st.text(), st.integers(1, 20))
def test_a_text_is_never_longer_than_allowed(text: str, most: int) -> None:
    assert len(cut(text, most)) <= most
    assert len(clip(text, most)) <= most
