"""Pieces of long texts: nothing is lost at a cut, and what did not change stays as it was."""

import csv
import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm.base.cutting import LEAST, SHARED, TAIL, Piece, cut_text, shown

CHARACTERS = st.sampled_from(
    ["a", "b", " ", "\n", ". ", "\n\n", "# ", "é", "名", "。", "👩\u200d🚀", "e\u0301", ",", '"', "\f", "\r\n"]
)
TEXTS = st.lists(CHARACTERS, max_size=400).map("".join)
NAMES = st.sampled_from(["a.txt", "a.csv", "a.json", "a.py", ""])
LINES = st.lists(st.text("abc xyz", min_size=1, max_size=30).map(str.strip), min_size=1, max_size=80)


def words(count: int, start: int = 0) -> str:
    """Return different words that are as long as one another."""
    return "".join(f"w{n:06d} " for n in range(start, start + count))


def texts_of(text: str, pieces: tuple[Piece, ...]) -> list[str]:
    return [shown(text, piece.start, piece.end, piece.head) for piece in pieces]


@given(TEXTS, st.integers(LEAST, 300), NAMES)
@example("aaaaaa. . . . . . . . . . . . . 名名名名名名名👩\u200d🚀\x0c", 64, "a.txt")
@settings(max_examples=300)
def test_every_byte_is_in_a_piece_of_its_own(text: str, most: int, name: str) -> None:
    pieces = cut_text(text, most, name=name)
    data = text.encode()
    assert [piece.own for piece in pieces] == [0, *(piece.end for piece in pieces[:-1])]
    assert pieces[-1].end == len(data)
    for piece in pieces:
        assert piece.start <= piece.own < piece.end or not data
        assert piece.head + piece.end - piece.start <= most
        assert piece.own - piece.start <= most // SHARED
        data[piece.start : piece.end].decode()  # no character is cut: a strict decoder reads it


@given(TEXTS, st.integers(LEAST, 300))
def test_no_character_with_marks_is_cut(text: str, most: int) -> None:
    for piece in cut_text(text, most)[1:]:
        before, after = text.encode()[: piece.own].decode(), text.encode()[piece.own :].decode()
        assert not after.startswith(("\u0301", "\u200d"))
        assert not before.endswith("\u200d")


@given(LINES, st.integers(LEAST, 200))
def test_whole_lines_are_shared_and_never_cut(lines: list[str], most: int) -> None:
    text = "".join(f"{line}.\n" for line in lines)
    shortest = [line for line in lines if len(line) < most // SHARED - 2]
    for one, two in zip(cut_text(text, most), cut_text(text, most)[1:], strict=False):
        assert text[: one.end].endswith("\n")
        last = text[: one.end - 1].rpartition("\n")[2] + "\n"
        if last[:-2] in shortest:
            assert text[two.start : two.own] == last


@pytest.mark.parametrize("joint", ["\n", "\n\n", " ", ". ", "。", ""])
def test_a_fact_at_any_place_is_whole_in_a_piece(joint: str) -> None:
    """The text has the fact at every cut, a byte before it and a byte after it."""
    text = joint.join(f"w{n:05d}" for n in range(900))
    fact = "the pump weighs 4711 kg"
    most = 1000
    places = {piece.own + shift for piece in cut_text(text, most)[1:] for shift in (-1, 0, 1)}
    for place in sorted(places):
        planted = text.encode()[:place].decode("utf-8", "ignore")
        planted = f"{planted} {fact}{joint or ' '}{text[len(planted) :]}"
        assert any(fact in piece for piece in texts_of(planted, cut_text(planted, most)))


def test_a_line_of_three_megabytes_is_cut_between_sentences_or_words() -> None:
    sentences = "".join(f"Sentence {n} says {n * 7}. " for n in range(110_000))
    pieces = cut_text(sentences, 12_000)
    assert len(sentences) > 3_000_000
    assert all(text.endswith(". ") for text in texts_of(sentences, pieces))
    assert sum(piece.end - piece.start for piece in pieces) < 1.01 * len(sentences)
    only_words = words(2000)
    assert all(text.startswith("w") and text.endswith(" ") for text in texts_of(only_words, cut_text(only_words, 900)))
    assert cut_text("x" * 1000, 100)[0].end == 100


def test_records_of_a_table_stay_whole_below_its_head() -> None:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["name", "note"])
    rows = [[f"item {n}", f'two\nlines, and a "quote" {n}'] for n in range(100)]
    writer.writerows(rows)
    text = table.getvalue()
    pieces = cut_text(text, 600, name="table.csv")
    assert len(pieces) > 5
    own: list[list[str]] = []
    for n, piece in enumerate(pieces):
        found = list(csv.reader(io.StringIO(shown(text, piece.start, piece.end, piece.head), newline="")))
        assert found[0] == ["name", "note"]
        own += found[1 if n == 0 else 2 :]  # the first record is shared
        assert set(map(len, found)) == {2}
    assert own == rows


def test_a_head_that_takes_too_much_is_not_repeated() -> None:
    text = ",".join(f"column {n}" for n in range(100)) + "\n" + "1,2\n" * 500
    assert {piece.head for piece in cut_text(text, 600, name="table.csv")} == {0}


def test_a_stray_quote_does_not_hide_the_records_behind_it() -> None:
    text = "size,name\n" + '"5,pipe\n' + "".join(f'{n}" pipe,{n}\n' for n in range(200))
    for piece in cut_text(text, 300, name="table.csv"):
        assert text[: piece.end].endswith("\n")


@pytest.mark.parametrize("indent", [None, 1])
def test_values_of_json_stay_whole(indent: int | None) -> None:
    values = [{"id": n, "text": 'a, [b] {c} \\ "d"\n' * 2, "more": [n, n]} for n in range(100)]
    text = json.dumps({"about": "x", "values": values}, indent=indent)
    pieces = cut_text(text, 800)
    whole = json.dumps(values[7], indent=indent).splitlines()[1:] if indent else [json.dumps(values[7])]
    assert len(pieces) > 5
    assert any(all(line.strip() in piece for line in whole) for piece in texts_of(text, pieces))
    for text_before in (text[: piece.end].rstrip() for piece in pieces[:-1]):
        assert text_before.endswith("},")


def test_a_record_that_fits_a_piece_is_not_cut_for_a_fuller_piece() -> None:
    records = ["x" * 200, "y" * 500, "z" * 500]
    text = "".join(json.dumps({"v": record}) + "\n" for record in records)
    assert [shown(text, piece.own, piece.end).count("\n") for piece in cut_text(text, 600)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("a.md", "## Part"),
        ("a.txt", "\f"),
        ("a.txt", "[page 3]"),
        ("a.py", "def f():"),
        ("a.py", "@cache\ndef f():"),
        ("a.txt", "\nA"),
    ],
)
def test_the_best_boundary_near_the_end_is_taken(name: str, mark: str) -> None:
    lines = "a line of text\n"
    text = lines * 20 + mark + "\n" + lines * 20
    place = text.index(mark) + mark.startswith("\n")
    assert cut_text(text, place + 30, name=name)[0].end == place


def test_a_comment_of_a_program_is_no_heading() -> None:
    text = "x = 1\n" * 40 + "# a comment\n" + "x = 1\n" * 5 + "def f():\n" + "    x = 1\n" * 50
    assert text[cut_text(text, 320, name="a.py")[0].end :].startswith("def f")


@given(st.integers(30, 120), st.integers(1, 40), st.integers(LEAST, 400))
def test_appended_lines_change_the_last_piece_only(lines: int, more: int, most: int) -> None:
    one = "".join(f"{n} says {n * 7919 % 1000}\n" for n in range(lines))
    two = one + "".join(f"{n} says {n}\n" for n in range(more))
    assert cut_text(two, most)[: len(cut_text(one, most)) - 1] == cut_text(one, most)[:-1]


@pytest.mark.parametrize("place", [0, 1000, 2500])
def test_an_inserted_record_changes_few_pieces(place: int) -> None:
    rows = [f"{n},{n * 7919 % 104729}\n" for n in range(5000)]
    text = "a,b\n" + "".join(rows)
    changed = "a,b\n" + "".join([*rows[:place], "new,record\n", *rows[place:]])
    before = {piece.sha256 for piece in cut_text(text, 2000, name="t.csv")}
    after = [piece.sha256 for piece in cut_text(changed, 2000, name="t.csv")]
    assert len(after) > 25
    assert sum(each not in before for each in after) <= 4


def test_equal_texts_have_equal_pieces() -> None:
    assert cut_text(words(1000), 900) == cut_text(words(1000), 900)


def test_a_text_that_fits_is_one_piece() -> None:
    assert [(piece.start, piece.end) for piece in cut_text("short", LEAST)] == [(0, 5)]
    assert [(piece.start, piece.end) for piece in cut_text("", LEAST)] == [(0, 0)]


def test_a_size_below_the_minimum_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        cut_text("x", LEAST - 1)


def test_a_long_unit_shares_its_end() -> None:
    text = "".join(words(400, n * 400) + "\n" for n in range(3))
    first, second = cut_text(text, 6000)[:2]
    assert 0 < second.own - second.start <= TAIL
    assert text[second.start] == "w"
    assert first.end == second.own


def test_a_flag_is_not_cut() -> None:
    text = "🇩🇪ab" * 100
    for piece in cut_text(text, 100):
        assert not text.encode()[: piece.end].decode().endswith("🇩")


@pytest.mark.parametrize(
    ("unit", "is_shared"),
    [
        ("- An item of a list\n", False),
        ("| a | row |\n", False),
        ("A sentence in a line.\n", False),
        ("A sentence in a text. ", False),
        ("一句话。", False),
        ("a line that goes on in\n", True),
        ("word ", True),
    ],
)
def test_who_repeats_a_text_gets_no_statement_twice(unit: str, is_shared: bool) -> None:
    text = unit * 200
    pieces = cut_text(text, 600, shares=False)

    assert {piece.start < piece.own for piece in pieces[1:]} == {is_shared}
    assert "".join(shown(text, piece.own, piece.end) for piece in pieces) == text


def test_rows_of_a_table_in_json_are_shared_only_if_one_is_cut() -> None:
    rows = [{"name": f"Item {n}", "note": "x" * (20 if n % 7 else 900)} for n in range(40)]
    text = json.dumps({"rows": rows, "gaps": []})
    pieces = cut_text(text, 800, shares=False)

    assert len(pieces) > 8
    for piece in pieces[1:]:
        assert (piece.start < piece.own) != text[: piece.own].rstrip().endswith(("},", "],"))
    assert all(piece.start < piece.own for piece in cut_text(text, 800)[1:])
