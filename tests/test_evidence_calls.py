"""What an answer says that its writer did with a tool needs a call of it; what others did needs none."""

import pytest

from swarm.attempt.evidence.calls import MOST_CALLS, not_called
from swarm.spec.chat import ToolCall

DONE = [
    "I searched the web and found nothing.",
    "I executed the tests.",
    "I verified by running `pytest`.",
    "I verified this by running the code.",
    "Verified by running the script.",
    "运行了测试，全部通过。",
    "我运行了测试。",
    "J'ai exécuté les tests.",
    "J’ai lancé `make test`.",
    "Ich habe die Tests ausgeführt.",
    "Ich habe `pytest` erfolgreich ausgeführt.",
    "I ran the full test suite.",
    "I've run the code and it works.",
    "I have run pytest.",
    "I called the `get_price` tool.",
    "I called get_price.",
    "I ran it locally.",
    "I ran all tests.",
    "He ejecutado las pruebas.",
    "Ho eseguito i test.",
    "Я запустил тесты.",
    "テストを実行しました。",
    "After running the tests, I can confirm it works.",
    "I downloaded the dataset.",
    "I looked it up online.",
    "I opened https://example.com.",
    "I opened the page.",
    "I used `grep` to find it.",
    "I have tested the function.",
    "I fetched the page.",
    "I then executed `ls -la`.",
    "I checked online.",
    "I ran a quick search.",
    "I installed numpy.",
    "I ran `a.py`.",
    "All good. Verified by running `a.py`.",
]
OTHERS = [
    "The authors ran the tests.",
    "The author writes: “I ran the tests”.",
    "> I ran the tests",
    "I have not run the tests.",
    "I did not run the tests.",
    "I could not run the tests.",
    "If I ran the tests, they would pass.",
    "I ran into a problem.",
    "I ran out of space.",
    "I ran to the shop.",
    "I called her back.",
    "I called it a day.",
    "I opened the door.",
    "I would have run the tests.",
    "They executed the plan.",
    "作者运行了测试。",
    "团队执行了计划。",
    "I tested the hypothesis against the text.",
    "I checked each claim against the source.",
    "He executed the tests.",
    "Il a exécuté les tests.",
    "L'équipe a lancé le produit.",
    "Die Autoren haben die Tests ausgeführt.",
    "She verified the result by running the code? No: they did.",
    "I searched the document for the figure.",
    "I ran the numbers.",
    "When I ran the tests, they failed.",
    "著者がテストを実行しました。",
    "The tests were run by the team.",
    "You can run `pytest`.",
    "I recommend running the tests.",
    "I would run the tests by executing `make`.",
    "I read the file.",
    "I ran the company for years.",
    "The company verified its data by testing samples.",
    "Researchers confirmed the effect by running a trial.",
]


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id="1", name=name, arguments=arguments)


@pytest.mark.parametrize("text", DONE)
def test_what_the_writer_did_needs_a_call(text: str) -> None:
    (note,) = not_called(text, [])
    assert note.startswith("the answer says ")
    assert note.endswith(", but no such call was made")


@pytest.mark.parametrize("text", OTHERS)
def test_what_others_did_or_what_was_not_done_needs_none(text: str) -> None:
    assert not_called(text, []) == []


@pytest.mark.parametrize(
    ("text", "made", "is_found"),
    [
        ("I searched the web.", call("read", '{"page": 1}'), False),
        ("I searched the web.", call("web_search"), True),
        ("I ran the tests.", call("shell", '{"command": "pytest"}'), True),
        ("I ran the tests.", call("read", '{"page": 1}'), False),
        ("I ran `pytest -q`.", call("shell", '{"command": "pytest -q"}'), True),
        ("I ran `pytest -q`.", call("shell", '{"command": "ls"}'), False),
        ("运行了测试。", call("python"), True),
        ("I fetched the page.", call("fetch"), True),
        ("I called get_price.", call("get_price"), True),
        ("I called get_price.", call("other"), False),
    ],
)
def test_the_call_is_one_that_may_have_done_it(text: str, made: ToolCall, is_found: bool) -> None:
    assert (not_called(text, [made]) == []) is is_found


def test_long_answers_and_many_such_sentences_end() -> None:
    for text in ("I ran the " * 9_000, "“" * 90_000, "> a\n" * 30_000, "I checked for " + "a " * 40_000):
        assert not_called(text, []) == []
    assert len(not_called("".join(f"I ran `a{n}.py`. " for n in range(100)), [])) == MOST_CALLS
