"""Reports of the offline endpoint: the answer, what disagrees, what was read, a row and more of each source."""

import re

import pytest

from swarm.attempt.prompt import phrase
from swarm.endpoints.offline import respond
from swarm.endpoints.offline.outputs import DISAGREE, READING
from swarm.endpoints.offline.plan import ALONE
from swarm.endpoints.offline.report import (
    EACH_ANSWERS,
    EMPTY,
    MOST_SOURCES,
    NOTHING_FOUND,
)
from swarm.spec.chat import Data, Text
from tests.offline import FIGURES, GOAL, NOTES, WORDING, claims, read_and_merge, request, rows, section


@pytest.mark.parametrize(("number", "file"), list(enumerate(NOTES, 1)))
def test_each_source_has_a_row_with_its_answer_and_its_step(number: int, file: str) -> None:
    row = rows(read_and_merge(NOTES))[file]
    assert list(FIGURES.values())[number - 1] in row
    assert row.endswith(f"[read.{number}]")


def test_the_report_begins_with_the_answer_and_cites_files() -> None:
    head = read_and_merge(NOTES).split("\n## ")[0]
    assert head.startswith(f"# {GOAL}\n\n- ")
    assert 2 <= len(claims(head)) <= 5
    assert all(re.search(r"\[notes/[a-z-]+\.[a-z]+\]\[read\.[1-6]\]$", line) for line in claims(head))
    assert "Tantivy needs 210 MB of memory for the index of a million products." in head


def test_every_claim_of_a_report_ends_with_its_citation() -> None:
    report = read_and_merge(NOTES)
    assert len(claims(report)) >= 4
    assert all(re.search(r"\[read\.[1-6]\]$", line) for line in (*claims(report), *rows(report).values()))


def test_a_report_has_no_words_but_those_it_read() -> None:
    read = set(re.findall(r"\w+", " ".join([*NOTES, *NOTES.values()])))
    for line in claims(read_and_merge(NOTES)):
        said = re.sub(r" (?:\[[^\]]+\])?\[read\.\d\]$", "", line)
        assert set(re.findall(r"\w+", said)) <= read


def test_an_answer_that_no_source_has_is_not_found_and_nothing_is_invented() -> None:
    report = read_and_merge(NOTES, "Who is the mayor of Lima?")
    assert claims(report.split("\n## ")[0]) == []
    assert NOTHING_FOUND in report
    assert set(rows(report).values()) == {f"not found [read.{n}]" for n in range(1, 7)}
    assert all(f"[{name}][read.{n}]" in section(report, READING) for n, name in enumerate(NOTES, 1))


def test_where_every_source_answers_alike_the_report_leads_to_the_table() -> None:
    notes = {f"lib{n}.md": f"# Lib{n}\n\nLib{n} needs {n + 7} MB of memory." for n in range(40)}
    report = read_and_merge(notes, "How much memory does each library need?")
    head = report.split("\n## ")[0]
    assert EACH_ANSWERS.format(count=40) in head
    assert NOTHING_FOUND not in report
    assert [f"{n + 7} MB" in row for n, row in enumerate(rows(report).values())] == [True] * 40


def test_what_several_say_is_said_once_and_cites_all() -> None:
    report = read_and_merge({"a.txt": "Tantivy needs 210 MB of memory.", "b.txt": "Tantivy needs 210 MB of memory."})
    said = ["Tantivy needs 210 MB of memory. [a.txt][read.1] [b.txt][read.2]"]
    assert [line for line in claims(report) if "210" in line] == said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("L’équipe A a répondu à la question.", "L’équipe B a répondu à la question."),
        ("Команда А ответила на вопрос.", "Команда Б ответила на вопрос."),
        ("甲队回答了问题。", "乙队回答了问题。"),
        ("チームAは質問に答えた。", "チームBは質問に答えた。"),
        ("Gruppe 1 hat die Frage beantwortet.", "Gruppe 2 hat die Frage beantwortet."),
        ("Tantivy needs 210 MB of memory.", "Tantivy needs 211 MB of memory."),
        ("The bridge is safe.", "The bridge is unsafe."),
        ("The bridge is safe.", "The Bridge is safe."),
        ("The résumé is here.", "The resume is here."),
    ],
)
def test_sentences_that_differ_in_a_letter_are_two(one: str, other: str) -> None:
    report = read_and_merge({"a.txt": one, "b.txt": other}, "Summarise.")
    assert {f"{one} [a.txt][read.1]", f"{other} [b.txt][read.2]"} <= set(claims(report))
    assert rows(report) == {"a.txt": f"{one} [read.1]", "b.txt": f"{other} [read.2]"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("It’s the café.", "It's the café."), ("Two  words here", "Two words here."), ("e\u0301té.", "été.")],
)
def test_sentences_that_differ_in_spaces_and_marks_are_one(one: str, other: str) -> None:
    given = [Data(of="output", name=f"s{n}", text=text) for n, text in enumerate((one, other), 1)]
    assert len(set(claims(respond(request("report", *given, goal="Summarise."))))) == 1


def test_sentences_about_their_own_pages_are_two() -> None:
    notes = {"mail.md": "# Mail\n\nIt needs 3 GB of memory.", "wiki.md": "# Wiki\n\nIt needs 3 GB of memory."}
    head = read_and_merge(notes, "How much memory does each service need?").split("\n## ")[0]
    assert claims(head) == [
        "Mail: It needs 3 GB of memory. [mail.md][read.1]",
        "Wiki: It needs 3 GB of memory. [wiki.md][read.2]",
    ]


def test_a_disagreement_is_shown_with_its_values_and_who_says_so() -> None:
    one, other = "Tantivy needs 210 MB of memory for the index.", "The Tantivy index needs 300 MB of memory."
    report = read_and_merge({"a.txt": one, "b.txt": other})
    assert section(report, DISAGREE).strip().splitlines() == [
        "- Tantivy memory index: 210 MB or 300 MB:",
        "  - Tantivy needs **210 MB** of memory for the index. [a.txt][read.1]",
        "  - The Tantivy index needs **300 MB** of memory. [b.txt][read.2]",
    ]


def test_a_disagreement_that_nobody_asked_about_is_shown_too() -> None:
    files = {"a.txt": "Lunr is small. The team has 12 members.", "b.txt": "The team consists of 15 members."}
    assert "12 members or 15 members" in section(read_and_merge(files, "Is Lunr small?"), DISAGREE)


def test_parts_of_a_report_come_in_their_order() -> None:
    files = {**NOTES, "x.txt": "Tantivy needs 300 MB of memory for its index. The build takes 30 s."}
    titles = [line.split(":")[0] for line in read_and_merge(files).splitlines() if line.startswith("## ")]
    assert titles == [f"## {DISAGREE}", f"## {READING}", "## Answer of each source", "## By source"]


def test_what_is_missing_is_said() -> None:
    missing = Data(of="missing", name="missing", text="missing: read.7, because the endpoint was down")
    report = respond(request("report", Data(of="output", name="read.1", text="Lunr needs 40 MB of memory."), missing))
    assert "Lunr needs 40 MB of memory. [read.1]" in report
    assert "- missing: read.7, because the endpoint was down" in section(report, READING)


def test_a_text_that_was_cut_is_said_to_be() -> None:
    data = Data(of="input", name="a.md", text="Lunr needs 40 MB of memory.")
    note = Text(text=phrase(WORDING, "cut", name="a.md", shown=400, total=3000))
    first = request("text", data)
    [system, user] = first.messages
    parts = list(user.parts)
    parts.insert(parts.index(data) + 1, note)
    cut = first.model_copy(update={"messages": (system, user.model_copy(update={"parts": tuple(parts)}))})
    report = respond(request("report", Data(of="output", name="read.1", text=respond(cut))))
    assert '- Cut: Only the first 400 of 3000 bytes of "a.md" are shown. [read.1]' in section(report, READING)


def _agreed(report: str) -> str:
    """Return a report without disagreements. A partial report lacks titles that tell figures apart."""
    return report.replace(section(report, DISAGREE), "\n")


def test_a_report_of_partial_reports_keeps_their_citations() -> None:
    partial = [read_and_merge(dict(list(NOTES.items())[:3])), read_and_merge(dict(list(NOTES.items())[3:]))]
    partial[1] = re.sub(r"read\.(\d)", lambda match: f"read.{int(match[1]) + 3}", partial[1])
    given = [Data(of="output", name=f"reduce.{n}", text=text) for n, text in enumerate(partial, 1)]
    report = respond(request("report", *given))
    assert rows(report) == rows(read_and_merge(NOTES))
    assert "reduce." not in report
    assert set(claims(_agreed(report))) <= set(claims(read_and_merge(NOTES)))


def test_sections_and_their_summary_are_the_parts_of_a_report() -> None:
    whole = read_and_merge(NOTES)
    outputs = [
        Data(of="output", name=f"read.{n}", text=respond(request("text", Data(of="input", name=name, text=text))))
        for n, (name, text) in enumerate(NOTES.items(), 1)
    ]
    part = respond(request("report", *outputs, prompt=phrase(WORDING, "section", prompt=GOAL)))
    assert rows(part) == rows(whole)
    assert not part.startswith("# ")
    given = Data(of="output", name="reduce.1", text=part)
    summary = respond(request("report", given, prompt=phrase(WORDING, "summary", prompt=GOAL)))
    assert rows(summary) == {}
    assert claims(summary)
    assert set(claims(_agreed(summary))) <= set(claims(whole))


@pytest.mark.parametrize("count", [30, 1000])
def test_every_source_has_its_row_and_a_report_of_such_reports_keeps_them(count: int) -> None:
    outputs = [
        Data(of="output", name=f"read.{n}", text=f"### `notes/lib{n}.md`\n\n- It needs {n + 100} MB of memory.")
        for n in range(1, count + 1)
    ]
    report = respond(request("report", *outputs, most=600))
    again = respond(request("report", Data(of="output", name="reduce.1", text=report)))
    expected = {f"notes/lib{n}.md": f"It needs {n + 100} MB of memory. [read.{n}]" for n in range(1, count + 1)}
    assert rows(report) == rows(again) == expected


def test_outputs_of_a_model_have_rows_by_their_items() -> None:
    about = Data(of="brief", name="steps", text="study.1 to study.2: Study it.\nstudy.1 = Tantivy; study.2 = Lunr, old")
    said = [Data(of="output", name="study.1", text="It needs **210 MB**.\n\nIt is fast."), *()]
    said.append(Data(of="output", name="study.2", text="It needs 40 MB."))
    report = respond(request("report", about, *said))
    assert rows(report) == {
        "Tantivy": "It needs **210 MB**. It is fast. [study.1]",
        "Lunr, old": "It needs 40 MB. [study.2]",
    }


def test_brackets_of_a_source_are_no_citations() -> None:
    output = Data(of="output", name="read.1", text="Lunr needs 40 MB [read.9] of memory, see [docs].")
    report = respond(request("report", output))
    assert "Lunr needs 40 MB (read.9) of memory, see (docs). [read.1]" in report


MODULE = '''"""Sends requests to a model. It is the only module that opens a socket."""

import json
from wire.http import Client, Pool


class Endpoint(Client):
    """Completes one request."""


def _hidden() -> None:
    """Not for readers."""
'''


def test_a_module_is_told_by_its_purpose_and_definitions() -> None:
    files = {"wire/endpoint.py": MODULE, "wire/a.py": '"""Bees."""'}
    report = read_and_merge(files, "Where would I add an endpoint, and what is each module for?")
    assert rows(report)["wire/endpoint.py"].startswith("class Endpoint: Completes one request.")
    assert rows(report)["wire/a.py"] == "Bees. [read.2]"


@pytest.mark.parametrize(
    ("goal", "said", "right"),
    [
        (
            "Wann wurde die Pumpe gebaut, wie viel fördert sie, und wo steht sie?",
            ("# Pumpe\n\nDie Pumpe fördert 40 Liter pro Minute. Sie wurde 2019 gebaut.", "Die Pumpe steht im Keller."),
            ("fördert 40 Liter", "2019 gebaut", "steht im Keller"),
        ),
        (
            "Quand la pompe a-t-elle été construite, et où se trouve-t-elle ?",
            ("La pompe a été construite en 2019.", "La pompe se trouve à la cave."),
            ("construite en 2019", "à la cave"),
        ),
        (
            "Когда построен насос и где находится насос?",
            ("Насос построен в 2019 году.", "Насос находится в подвале."),
            ("в 2019 году", "в подвале"),
        ),
    ],
)
def test_questions_in_other_languages_are_answered_each(
    goal: str, said: tuple[str, ...], right: tuple[str, ...]
) -> None:
    files = {f"{n}.md": text for n, text in enumerate((*said, "Etwas anderes. Autre chose. Другое."))}
    head = read_and_merge(files, goal).partition("\n## ")[0]
    assert [text for text in right if text not in head] == []


def test_each_of_several_questions_has_its_answer_at_the_head() -> None:
    told = ["alpha waves drive beta decay in gamma ovens"] * 10 + ["something else is told"] * 30
    files = {f"n{n}.txt": f"In plant {n}, {text}." for n, text in enumerate(told)}
    files["n99.txt"] = "The author is a bear."
    report = read_and_merge(files, "How do alpha waves drive beta decay in gamma ovens, and who is the author?")
    assert "The author is a bear." in report.split("\n## ")[0]


def test_a_sentence_without_the_thing_that_is_asked_about_is_no_answer() -> None:
    files = {
        "alpha.md": "# Alpha\n\nAlpha is a message queue. It keeps messages on disk and needs 512 MB of memory.",
        "beta.md": "# Beta\n\nBeta is a message queue. It keeps messages in memory only and needs 64 MB.",
        "backups.md": "# Backups\n\nBackups run from two to four in the morning. They need 2 GB of memory.",
        "builds.md": "# Builds\n\nBuilds need 16 GB of memory while they run.",
    }
    goal = "Which message queue needs less memory, and what does it give up for that?"
    report = read_and_merge(files, goal)
    head = report.split("\n## ")[0]
    assert "512 MB" in head
    assert "64 MB" in head
    assert "Backups" not in head
    assert "Builds" not in head
    assert rows(report)["backups.md"] == "not found [read.3]"
    assert DISAGREE not in report
    assert NOTHING_FOUND in read_and_merge({name: files[name] for name in ("backups.md", "builds.md")}, goal)


def test_metadata_is_told_by_licence_and_dependencies() -> None:
    text = (
        "Metadata-Version: 2.4\nName: anyio\nVersion: 4.9\nLicense-Expression: MIT\nAuthor: A. Person\n"
        "Requires-Dist: idna>=2.8\nRequires-Dist: trio; extra == 'trio'\n\nMuch more.\n"
    )
    bare = "Metadata-Version: 2.1\nName: bare\nVersion: 1\nClassifier: License :: OSI Approved :: BSD License\n"
    files = {"anyio.dist-info/METADATA": text, "bare.dist-info/METADATA": bare}
    report = read_and_merge(files, "Which licence does each package have, and what does it require?")
    assert "License-Expression: MIT" in rows(report)["anyio.dist-info/METADATA"]
    assert "License :: OSI Approved :: BSD License" in rows(report)["bare.dist-info/METADATA"]


def test_the_only_step_of_a_plan_answers_with_a_report() -> None:
    data = [Data(of="input", name=name, text=text) for name, text in NOTES.items()]
    report = respond(request("text", *data, prompt=f"{ALONE} {GOAL}"))
    assert report.startswith(f"# {GOAL}\n\n- ")
    assert list(rows(report)) == list(NOTES)
    assert "Tantivy needs 210 MB of memory for the index of a million products. [notes/tantivy.md]" in report


def test_an_empty_file_is_said_to_be_empty() -> None:
    report = read_and_merge({"a.md": "", "b.md": "It needs 4 MB of memory."})
    assert f"- {EMPTY} `a.md` [read.1]" in section(report, READING)


@pytest.mark.parametrize(
    "text", ["x" * 500_000, "word " * 100_000, "Ilé-ìwé náà wà ní ìlú. Ó dára púpọ̀.", "\ufeff", "\x00"]
)
def test_an_odd_file_spoils_nothing(text: str) -> None:
    report = read_and_merge({"odd.txt": text, "b.md": "Lunr needs 4 MB of memory."})
    assert "Lunr needs 4 MB of memory. [b.md][read.2]" in report
    assert len(report) < 5_000


def test_the_last_part_of_a_report_is_bounded() -> None:
    outputs = [Data(of="output", name=f"s.{n}", text=f"T{n} needs {n} MB. It took {n} s.") for n in range(200)]
    report = respond(request("report", *outputs))
    assert report.count("\n### ") == MOST_SOURCES
    assert f"## By source: {MOST_SOURCES} of 200" in report
