"""Repetitive texts, and texts that only look repetitive."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.endpoints.wire.repetition import AT_THE_CAP, EVERY, LOOKED_AT, WHILE_WRITTEN, Bounds, Watch, unrepeated

HEAD = "Tantivy needs 48 MB.\n\n"


@pytest.mark.parametrize(
    ("head", "again", "once"),
    [
        ("", "The file is a file. ", "The file is a file."),
        (HEAD, "The step is to read.\n\n", f"{HEAD}The step is to read."),
        (HEAD, "and again ", f"{HEAD}and again"),
        ("It is long. ", "x", "It is long. x"),
        ("1.", "1.", "1."),
    ],
)
def test_what_is_said_again_and_again_is_said_once(head: str, again: str, once: str) -> None:
    text = head + again * (2000 // len(again))
    assert unrepeated(text) == once
    assert unrepeated(text, WHILE_WRITTEN) == once
    for cut in range(1, len(again)):
        assert unrepeated(text[:-cut]) == once, "wherever the cap falls"


def test_it_is_said_once_however_long_it_went_on() -> None:
    assert unrepeated(HEAD + "The same again. " * 5000) == f"{HEAD}The same again."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        HEAD,
        " ".join(str(n) for n in range(2000)),
        "".join(f"{n}. The file is a file.\n" for n in range(200)),
        HEAD + "The step is to read.\n" * 3,
        "| a | b |\n|---|---|\n" * 3,
        "-" * 80 + "\n" + HEAD,
        ("-" * 299),
    ],
)
def test_what_says_something_new_at_its_end_is_left_alone(text: str) -> None:
    assert unrepeated(text) is None


def test_nearly_the_same_is_said_once_too() -> None:
    rng = random.Random(5)
    rambling = "".join(rng.choice(("lists_", "lists_", "lists_", "list_")) for _ in range(600))
    once = unrepeated(HEAD + rambling)
    assert once is not None
    assert once.startswith(HEAD.rstrip())
    assert len(once) < 1200
    assert unrepeated(HEAD + rambling, WHILE_WRITTEN) is None, "that is only told at the cap"
    said = "".join(f"Fact {n} is that {n * n} is a square of it. " for n in range(60))
    assert (unrepeated(said + rambling) or "").startswith(said), "what came before stays"


def test_tables_and_code_are_not_nearly_the_same() -> None:
    assert unrepeated("".join(f"| item {n} | {n * 7 % 23} | ok |\n" for n in range(200))) is None
    assert unrepeated(Path(__file__).read_text(encoding="utf-8")) is None


def test_more_must_be_seen_of_a_text_that_is_still_written() -> None:
    rule = "|" + "---|" * 100
    assert unrepeated(rule) is not None
    assert unrepeated(rule, WHILE_WRITTEN) is None
    assert AT_THE_CAP.times < WHILE_WRITTEN.times


@settings(max_examples=1000)
@given(st.text("ab .", max_size=40), st.text("ab .\n", min_size=1, max_size=12), st.integers(0, 60))
def test_nothing_is_made_up_and_nothing_new_is_lost(head: str, again: str, times: int) -> None:
    text = head + again * times
    once = unrepeated(text, Bounds(times=4, characters=20))
    if once is not None:
        assert text.startswith(once)
        rest = text[len(once) :].strip()
        periods = (p for p in range(1, len(rest)) if rest[p:] == rest[:-p])
        assert not rest or next(periods, None), f"{rest!r}, which was left out, is not the same again and again"
    elif times * len(again) >= 20 and times >= 5:
        pytest.fail(f"{text!r} repeats itself")


def test_a_watch_sees_it_soon_however_the_text_is_cut() -> None:
    rng = random.Random(3)
    text = HEAD + "The file is a file. " * 500
    watch, seen = Watch(), 0
    while seen < len(text):
        size = rng.randint(1, 30)
        piece, seen = text[seen : seen + size], seen + size
        if watch.repeats(piece):
            break
    assert WHILE_WRITTEN.characters <= seen <= WHILE_WRITTEN.characters + len(HEAD) + EVERY + 30


def test_a_watch_lets_prose_pass() -> None:
    watch = Watch()
    assert not any(watch.repeats(f"Fact {n} is that {n * n} is a square. ") for n in range(3 * LOOKED_AT // 30))
