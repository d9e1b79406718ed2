"""Words, figures, relevance and redundancy: the arithmetic of the offline endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.endpoints.offline.rank import (
    PAIRWISE,
    Passage,
    figures,
    names,
    pick,
    question,
    relevance,
    same,
    score,
    similarity,
    vectors,
    words,
)


def passages(*texts: str) -> list[Passage]:
    return [Passage(text, words(text)) for text in texts]


def best(asked: str, *texts: str) -> str:
    scores = score(question((asked, 1.0)), passages(*texts))
    return texts[max(range(len(texts)), key=lambda i: scores[i])]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("needs", "need"),
        ("needed", "need"),
        ("libraries", "library"),
        ("running", "run"),
        ("Tantivy’s", "tantivy"),
        ("licence", "licenses"),
        ("ＭＢ", "mb"),
        ("STRASSE", "straße"),
    ],
)
def test_forms_of_a_word_are_one_word(one: str, other: str) -> None:
    assert words(one) == words(other)


def test_function_words_are_no_words() -> None:
    assert words("How much does each of them need?") == ("need",)


def test_an_identifier_counts_whole_and_in_parts() -> None:
    assert words("OpenAIEndpoint") == ("openaiendpoint", "open", "ai", "endpoint")


def test_scripts_without_spaces_count_as_pairs() -> None:
    assert words("搜索引擎 uses 内存") == ("搜索", "索引", "引擎", "use", "内存")
    assert best("内存", "搜索引擎很快。", "它需要很多内存。") == "它需要很多内存。"


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("It needs 210 MB of memory.", 210, "mb"),
        ("It needs 210MB.", 210, "mb"),
        ("1,200.5 MB", 1200.5, "mb"),
        ("1,5 GB", 1.5, "gb"),
        ("about $5 a month", 5, "$"),
        ("€ 12.50", 12.5, "€"),
        ("40% of it", 40, "%"),
        ("begun in 2016. Servers are not needed", 2016, ""),
        ("at -5 °C", -5, ""),
        ("12 of them", 12, ""),
        ("3 servers", 3, "servers"),
    ],
)
def test_a_figure_has_its_unit(text: str, value: float, unit: str) -> None:
    [figure] = figures(text)
    assert (figure.value, figure.unit) == (value, unit)


@pytest.mark.parametrize("text", ["version 1.2.3", "v2", "sha256", "no figure", "1.", "x" * 400])
def test_what_is_no_figure(text: str) -> None:
    assert [figure for figure in figures(text) if figure.value != 1] == []


def test_names_are_written_large_inside_a_sentence() -> None:
    assert names("The heap of Elasticsearch runs on the JVM with GitHub and 2 GB.") == (
        "Elasticsearch",
        "JVM",
        "GitHub",
    )


def test_the_relevant_document_scores_highest() -> None:
    near = relevance({"memory": 1.0}, [("index", "disk"), ("memory", "index"), ("network",)])
    assert near[1] == 1.0
    assert near[0] == near[2] == 0.0


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    near = relevance({"index": 1.0, "memory": 1.0}, [("index", "a"), ("index", "b"), ("memory", "c"), ("index", "d")])
    assert near.index(max(near)) == 2


def test_asked_for_a_figure_the_measured_one_wins() -> None:
    texts = ("It was begun in 2016.", "For the index, 95 MB were enough.", "People need it.")
    assert best("How much memory does it need?", *texts) == texts[1]


def test_no_figure_asked_no_credit_for_one() -> None:
    texts = ("The index took 95 MB.", "Its licence is permissive.")
    assert best("Under what licence is it?", *texts) == texts[1]


def test_a_central_sentence_beats_a_stray_one() -> None:
    texts = ("Bananas are yellow.", "The index is small.", "The index is fast.", "The small index is fast.")
    assert best("?", *texts) == texts[3]


def test_picked_sentences_do_not_repeat_one_another() -> None:
    told = passages("The index is small and fast.", "The index is fast and small.", "No server runs.")
    assert pick([3.0, 2.9, 0.1], told, 2) == [0, 2]


def test_sentences_with_other_figures_are_no_repetition() -> None:
    one, other, again = passages("It needs 10 MB of memory.", "It needs 90 MB of memory.", "Of memory, 10 MB.")
    assert not same(one, other, 1.0)
    assert same(one, again, 1.0)


def test_of_two_that_are_as_good_the_newer_thought_is_picked() -> None:
    told = passages("The index is small and fast.", "The index is small, they say.", "No server runs at all.")
    assert pick([1.0, 0.8, 0.7], told, 2) == [0, 2]


def test_ties_go_to_the_earlier() -> None:
    told = passages("alpha one", "beta two", "gamma three")
    assert pick([1.0, 1.0, 1.0], told, 2) == [0, 1]


def test_the_pairwise_part_is_capped() -> None:
    told = passages(*(f"word{i} and more{i}" for i in range(PAIRWISE * 3)))
    assert len(pick(score(question(("word5", 1.0)), told), told, len(told))) == PAIRWISE


@given(st.lists(st.text(max_size=60), max_size=12), st.text(max_size=60))
def test_scores_are_finite_and_the_same_each_time(texts: list[str], asked: str) -> None:
    told = passages(*texts)
    scores = score(question((asked, 1.0)), told)
    assert scores == score(question((asked, 1.0)), told)
    assert all(0 <= value < 3 for value in scores)
    assert pick(scores, told, 4) == sorted(set(pick(scores, told, 4)))


@given(st.lists(st.sampled_from("abcdef"), max_size=8), st.lists(st.sampled_from("abcdef"), max_size=8))
def test_similarity_is_symmetric_and_at_most_one(one: list[str], other: list[str]) -> None:
    first, second = vectors([one, other])
    assert similarity(first, second) == pytest.approx(similarity(second, first))
    assert 0 <= similarity(first, second) <= 1
    if one and set(one) == set(other):
        assert similarity(first, second) == pytest.approx(1)
