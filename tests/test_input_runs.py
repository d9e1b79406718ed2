"""Runs over what people bring: exit codes, the line `Not read`, pages behind claims, standard input again on resume."""

import io
import shutil
from pathlib import Path

import pytest

from swarm.base.cutting import cut_text, shown
from swarm.base.places import MARK, place_of, sheet_mark
from swarm.planning.brief import InputBrief
from swarm.readers.read import read
from swarm.spec.files import InputOptions, read_inputs
from swarm.spec.task import Input, Task
from tests import documents
from tests.commands import Command, in_process

PAGES = [f"Page {n} is about pumps.\nThe pump {n} weighs {n * 3} kg." for n in range(1, 41)]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture
def folder(empty: Path) -> Path:
    (empty / "docs").mkdir()
    (empty / "docs/pumps.pdf").write_bytes(documents.pdf(PAGES))
    (empty / "docs/costs.xlsx").write_bytes(documents.xlsx([["pump", "price"], ["A7", 4200], ["B9", 1300]]))
    (empty / "docs/old.zip").write_bytes(documents.zipped({"a": "b"}))
    (empty / "task.yaml").write_text(
        "goal: How much does pump 17 weigh?\ninputs: [docs]\nmodels: {default: {endpoint: offline}}\n"
    )
    return empty


def test_fault_161_a_run_over_a_folder_names_what_was_not_read(run: Command, folder: Path) -> None:
    ran = run("run", "task.yaml", "--json", "--quiet")
    assert ran.code == 3
    found = ran.json
    assert found["status"] == "partial"
    (left,) = [each for each in found["left_out"] if each["because"]]
    assert (left["of"], left["name"], left["because"]) == ("input", "docs/old.zip", "is a ZIP archive")
    assert "- Not read: docs/old.zip is a ZIP archive\n" in found["report"]["text"]
    assert "51 kg" in found["report"]["text"]
    assert ran.err.count("docs/old.zip") == 1, "one warning"
    strict = run("run", "task.yaml", "--strict")
    assert (strict.code, len(strict.errors)) == (2, 1)
    assert "`docs/old.zip` is a ZIP archive\nhint: unpack it" in strict.errors[0]


def test_a_claim_leads_to_the_page_of_a_document(run: Command, folder: Path) -> None:
    claims = run("run", "task.yaml", "--json", "--quiet").json["report"]["claims"]
    claim = next(each["id"] for each in claims if "51 kg" in each["text"])
    page = run("show", "last", "--claim", claim)
    assert "docs/pumps.pdf: page 17, line 2" in page.out
    shutil.rmtree(folder / ".swarm/cache")  # then the document is read again
    places = [step["places"] for step in run("show", "last", "--claim", claim, "--json").json["steps"]]
    assert [(place["input"], place["page"], place["at"]) for step in places for place in step] == [
        ("docs/pumps.pdf", 17, "page 17, line 2")
    ]
    (folder / "docs/pumps.pdf").write_bytes(documents.pdf(PAGES[:3]))
    assert "no place in an input found" in run("show", "last", "--claim", claim).out, "another document"


def test_check_lists_kinds_sizes_and_pages(run: Command, folder: Path) -> None:
    found = run("check", "task.yaml")
    assert found.code == 0
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    assert any(line.endswith("tokens PDF, 40 pages docs/pumps.pdf") for line in lines)
    assert any(line.endswith("tokens Excel workbook, 1 sheet docs/costs.xlsx") for line in lines)
    assert lines[lines.index("not read: 1") + 1] == "`docs/old.zip` is a ZIP archive"
    assert "old.zip" not in found.err
    facts = run("check", "task.yaml", "--json").json
    pdf = next(each for each in facts["inputs"] if each["name"] == "docs/pumps.pdf")
    assert (pdf["kind"], pdf["unit"], pdf["count"]) == ("PDF", "page", 40)
    assert facts["unread"][0]["name"] == "docs/old.zip"
    assert not (folder / ".swarm").exists(), "check writes nothing"


def test_standard_input_is_read_once_and_kept_for_a_resume(
    run: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mail.txt").write_bytes("Größe der Pumpe 17: 51 kg.\n".encode("cp1252"))
    with (folder / "mail.txt").open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        planned = run("plan", "task.yaml", "--input", "-", "--input", "mail.txt", "--json", "--quiet")
    assert planned.code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO())  # there is nothing any more
    resumed = run("resume", "last", "--json", "--quiet", "--yes")
    assert resumed.code == 3
    assert "Größe der Pumpe 17: 51 kg" in resumed.json["report"]["text"]
    (journal,) = (folder / ".swarm/runs").glob("*/journal.jsonl")
    assert '"name":"stdin"' in journal.read_text()
    assert '"path":"-"' in journal.read_text()


def test_an_empty_standard_input_is_an_error(run: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nothing").write_bytes(b"\n")
    with (folder / "nothing").open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        said = run("run", "--goal", "What weighs most?", "-", "--endpoint", "offline")
    assert (said.code, said.errors) == (2, ["`stdin` is empty\nhint: look at the command before the pipe"])


def test_a_plan_that_names_what_cannot_be_read_says_why(run: Command, folder: Path) -> None:
    with (folder / "task.yaml").open("a") as file:
        file.write("plan: [{id: a, prompt: x, inputs: [docs/old.zip]}]\n")
    said = run("run", "task.yaml")
    assert said.code == 2
    assert "there is no input 'docs/old.zip'" in said.errors[0]
    assert "hint: `docs/old.zip` is a ZIP archive" in said.errors[0]


def test_a_task_on_standard_input_leaves_none_for_an_input(
    run: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder / "task.yaml").open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        said = run("run", "-", "--input", "-")
    assert said.code == 2
    assert said.errors == ["standard input is the task, so it cannot be an input, too\nhint: write the task to a file"]


def test_a_fact_on_page_ninety_of_a_document_larger_than_the_context_is_found(run: Command, empty: Path) -> None:
    words = "It was built long ago and is still in use, as the plates on its walls and the lists of the town say. "
    pages = [f"Station {n}\n{words}" for n in range(1, 96)]
    pages[89] += "\nThe valve of station 90 opens at 7.25 bar."
    (empty / "stations.pdf").write_bytes(documents.pdf(pages))
    (empty / "task.yaml").write_text(
        "goal: At what pressure does the valve of station 90 open?\ninputs: [stations.pdf]\n"
        "models: {default: {endpoint: offline, context: 3000, max_tokens: 400}}\n"
        "plan: [{id: read, prompt: What opens at which pressure?}, {id: report, agent: reducer, needs: [read]}]\n"
    )
    found = run("run", "task.yaml", "--json", "--quiet").json
    assert found["steps"]["total"] > 4, "it was read in parts"
    claim = next(each["id"] for each in found["report"]["claims"] if "7.25 bar" in each["text"])
    assert "stations.pdf: page 90, line 3" in run("show", "last", "--claim", claim).out


# Parts and briefs


def test_a_document_is_cut_between_pages() -> None:
    text = read("pdf", documents.pdf(PAGES), "a.pdf").text
    pieces = cut_text(text, 400, name="a.pdf")
    assert len(pieces) > 4
    texts = [shown(text, piece.own, piece.end) for piece in pieces]
    assert "".join(texts) == text
    assert all(MARK.match(each) for each in texts), "each begins with the mark of its page"


def test_parts_of_a_sheet_have_its_columns() -> None:
    rows: list[list[object]] = [["pump", "weight"], *([f"P{n}", n] for n in range(2000))]
    text = read("sheets", documents.xlsx(rows), "a.xlsx").text
    for piece in cut_text(text, 12_000, name="a.xlsx"):
        assert shown(text, piece.own, piece.end).startswith("[sheet Costs, rows ")
        assert "| pump | weight |" in shown(text, piece.own, piece.end)


def test_a_place_is_that_of_the_nearest_mark_before() -> None:
    text = "[page 1]\na [page 2] b\n\n[page 2]\nc\nd\n" + sheet_mark("A [1]", 5, 9) + "\n| h |\n| --- |\n| x |\n| y |"
    words = {letter: place_of(text, text.index(f"{letter}")) for letter in "cdxy"}
    assert {letter: place.words for letter, place in words.items() if place} == {
        "c": "page 2, line 1", "d": "page 2, line 2", "x": "sheet A (1), row 5", "y": "sheet A (1), row 6",
    }  # fmt: skip
    first = place_of(text, text.index("b"))
    assert first is not None
    assert first.words == "page 1, line 1"
    assert place_of("no mark", 3) is None


def test_a_planner_sees_pages_and_columns_but_none_of_a_labelled_input(folder: Path) -> None:
    task = Task(goal="x", inputs=("docs",), folder=folder)
    briefs = {each.name: InputBrief.of(each) for each in read_inputs(task, options=InputOptions()).inputs}
    pdf, sheet = briefs["docs/pumps.pdf"], briefs["docs/costs.xlsx"]
    assert (pdf.kind, pdf.first_line) == ("PDF, 40 pages", "Page 1 is about pumps.")
    assert sheet.columns == "sheet Costs: 2 rows: pump (text, 2 values); price (number, 1,300 to 4,200, sum 5,500)"
    labelled = InputBrief.of(Input(name="a", text="secret", columns="secret", kind="PDF", label="private"))
    assert "secret" not in labelled.model_dump_json()
    assert InputBrief.of(Input(name="a", text="x", size=1)).model_dump(mode="json") == {
        "name": "a", "medium": "text", "size": 1, "label": None, "first_line": "x",
    }  # fmt: skip


def test_the_cache_of_texts_is_shown_and_cleared(run: Command, folder: Path) -> None:
    run("run", "task.yaml", "--quiet")
    texts = folder / ".swarm/cache/texts"
    assert len(list(texts.iterdir())) == 2
    assert run("cache", "--json").json["texts"] == 2
    assert "2 texts of documents" in run("cache").out
    assert run("cache", "clear").code == 0
    assert list(texts.iterdir()) == []
    assert run("run", "task.yaml", "--quiet", "--no-cache").code == 3
    assert list(texts.iterdir()) == [], "without a cache, nothing is stored"
