"""Words, questions and relevance: the arithmetic of the offline endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.texts.ranking import about, passages_of, scores_of, subject_of, totals
from swarm.texts.sentences import read
from swarm.texts.words import FLOOR, Passage, facets, kin, relevance, words


def scores(asked: str, *texts: str) -> list[float]:
    [facet] = facets(asked)
    return relevance(facet, [Passage(text) for text in texts])


def best(asked: str, *texts: str) -> str:
    found = scores(asked, *texts)
    return texts[found.index(max(found))]


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
        ("l’équipe", "équipe"),
    ],
)
def test_forms_of_a_word_are_one_word(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("speicher", "speichers", True),
        ("память", "памяти", True),
        ("mémoire", "mémoires", True),
        ("mail", "main", False),
        ("a", "b", False),
        ("svc0001", "svc0002", False),
        ("company", "compare", False),
    ],
)
def test_words_of_one_stem_are_kin_in_any_alphabet(one: str, other: str, alike: bool) -> None:
    assert kin(one, other) is alike


def test_function_words_are_no_words() -> None:
    assert words("How much does each of them need?") == ("need",)


def test_an_identifier_counts_whole_and_in_parts() -> None:
    assert words("OpenAIEndpoint") == ("openaiendpoint", "open", "ai", "endpoint")


def test_scripts_without_spaces_count_as_pairs_between_their_endings() -> None:
    assert words("搜索引擎 uses 内存") == ("搜索", "索引", "引擎", "use", "内存")
    assert words("倉庫の面積は") == ("倉庫", "面積")
    assert best("内存", "搜索引擎很快。", "它需要很多内存。") == "它需要很多内存。"


def test_a_goal_is_split_into_its_questions() -> None:
    found = facets("What does the bridge cost, and when does it open? Answer in two sentences.")
    assert [facet.terms for facet in found] == [("bridge", "cost"), ("open", "bridge", "cost")]
    assert "EUR" in found[0].kinds
    assert "date" in found[1].kinds
    assert [facet.measured for facet in found] == [True, True]


def test_a_question_about_a_text_as_a_whole_is_open() -> None:
    [facet] = facets("Summarise the documents.")
    assert facet.terms == ()
    assert relevance(facet, [Passage("One.", lead=True), Passage("Two.")]) == [0.5, 0.0]


def test_the_relevant_sentence_scores_highest() -> None:
    found = scores("memory", "The memory of the index.", "An index on disk.", "A network.")
    assert found[0] > FLOOR
    assert found[1:] == [0.0, 0.0]


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    texts = [f"index {n}" for n in "abcdefgh"]
    assert best("index and memory", *texts, "memory") == "memory"


def test_the_quantity_that_is_asked_for_counts_for_the_word_that_names_it() -> None:
    texts = ("It was begun in 2016.", "For the index, 95 MB were enough.", "People need it.")
    assert best("How much memory does it need?", *texts) == texts[1]


def test_no_figure_asked_no_credit_for_one() -> None:
    texts = ("The index took 95 MB.", "Its licence is permissive.")
    assert best("Under what licence is it?", *texts) == texts[1]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("What does the swimming pool cost?", "Lunch costs 5 euros."),
        ("How much does the pool cost?", "The bridge costs 5 million euros."),
        ("Who is the mayor of Lima?", "The mayor opened the bridge."),
        ("Wie hoch ist der Turm?", "Die Brücke ist 320 m lang."),
    ],
)
def test_a_sentence_about_something_else_is_below_the_floor(asked: str, text: str) -> None:
    assert max(scores(asked, text, "Nothing of the kind.")) < FLOOR


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("How much memory does each library need?", "Tantivy needs 210 MB of memory."),
        ("How much memory does each library need?", "memory: 1.2 GB"),
        ("Combien de mémoire faut-il à chaque service ?", "Le service de courriel a besoin de 3 Go de mémoire."),
        ("Wie viel Speicher braucht jeder Dienst?", "Der Dienst Mail braucht 3 GB Speicher."),
        ("Сколько памяти нужно каждой службе?", "Почте нужно 3 ГБ памяти."),
        ("每个服务需要多少内存？", "邮件服务需要3 GB的内存。"),
        ("各サービスに必要なメモリは？", "メールサービスには3 GBのメモリが必要です。"),
    ],
)
def test_a_sentence_that_answers_is_above_the_floor(asked: str, text: str) -> None:
    assert scores(asked, text, "Something else.", "その他")[0] >= FLOOR


def test_the_words_above_a_sentence_count_less() -> None:
    [facet] = facets("memory")
    inside, above = relevance(facet, [Passage("memory"), Passage("40 of it", "memory")])
    assert inside > above > 0


@given(st.lists(st.text(max_size=60), max_size=12), st.text(max_size=60))
def test_scores_are_finite_and_the_same_each_time(texts: list[str], asked: str) -> None:
    told = [Passage(text) for text in texts]
    for facet in facets(asked):
        found = relevance(facet, told)
        assert all(0 <= score < 10 for score in found)
        assert found == relevance(facet, told)


def test_claims_of_sources_are_ranked_for_each_question_in_turn() -> None:
    sources = [
        read("lunr.md", "# Lunr\n\nIt needs 40 MB of memory."),
        read("n-1.md", "Ines is the owner of Lunr. It rains."),
    ]
    passages = passages_of(sources)
    scores = scores_of(facets("How much memory does Lunr need, and who is the owner?"), passages)
    assert about(scores) == [0, 1]
    assert totals(scores)[2] < FLOOR < totals(scores)[1]
    assert [subject_of(name) for name in ("notes/lunr.md", "notes-3.md", "read.1")] == ["lunr", "", ""]
