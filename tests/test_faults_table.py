"""The page of faults says what the tests assert, and every row is there."""

from faults_table import DOCUMENT, ROWS, RUN_ROWS, cases, run_tests, written


def test_every_row_has_a_case_and_every_case_a_row() -> None:
    assert list(ROWS)[:85] == list(range(1, 86))
    assert list(ROWS) == sorted(ROWS)
    assert {case.row for case in cases()} == set(ROWS)


def test_every_row_about_a_run_has_a_test_with_its_number() -> None:
    assert list(RUN_ROWS) == list(range(140, 164))
    assert set(RUN_ROWS) <= set(run_tests())
    assert not set(RUN_ROWS) & set(ROWS)


def test_a_row_s_cases_differ_in_their_words() -> None:
    names = [(case.row, case.what) for case in cases()]
    assert len(set(names)) == len(names)


def test_the_page_is_what_the_cases_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == written(), "write it anew: python tests/faults_table.py"
