"""`swarm init`: every starter runs at once, and three questions are all that is asked."""

from pathlib import Path

import pytest

from swarm.spec.files import STARTERS, load_task
from tests.commands import Command, at_terminal, in_process

command = pytest.fixture(in_process)


@pytest.mark.parametrize("name", STARTERS)
def test_a_starter_runs_at_once(name: str, command: Command, empty: Path) -> None:
    said = command("init", "--template", name)
    assert said.code == 0
    assert [line for line in said.out.splitlines() if not (empty / line).is_file()] == []
    assert command("check").code == 0
    said = command("run", "--quiet")
    assert (said.code, said.err) == (0, "")
    for sample, _ in STARTERS[name].samples:
        assert Path(sample).name in said.out, "the report names what was read"
    assert (empty / "rows.csv").is_file() == (name == "table")


def test_files_that_are_there_are_read_instead_of_samples(command: Command, empty: Path) -> None:
    (empty / "notes").mkdir()
    (empty / "notes" / "mine.md").write_text("Mine is a queue that needs 16 MB.")
    assert command("init").out.split() == ["task.yaml", "task.schema.json"]
    assert "mine.md" in command("run", "--quiet").out


def test_an_unknown_template_is_named_and_nothing_is_written(command: Command, empty: Path) -> None:
    said = command("init", "--template", "tabel")
    assert said.code == 2
    assert "did you mean `table`?" in said.errors[0]
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("kind", ["2", "table"])
def test_three_questions_on_a_terminal(kind: str, empty: Path) -> None:
    (empty / "docs").mkdir()
    (empty / "docs" / "a.txt").write_text("The mail service: 3 GB.")
    code, shown = at_terminal(empty, "init", types=f"{kind}\nWho needs {{most}}: memory?\ndocs/*.txt\n")
    assert code == 0, shown
    assert shown.count("]: ") == 3
    task = load_task(empty / "task.yaml", environ={})
    assert (task.goal or "").strip() == "Who needs (most): memory?"
    assert list(task.inputs) == ["docs/*.txt"]
    assert not (empty / "notes").exists()


def test_enter_accepts_the_defaults(empty: Path) -> None:
    code, shown = at_terminal(empty, "init", types="\n\n\n")
    assert code == 0, shown
    assert load_task(empty / "task.yaml", environ={}).goal == STARTERS["research"].goal + "\n"


def test_a_question_of_ones_own_is_about_the_files_that_are_there(command: Command, empty: Path) -> None:
    (empty / "pumps.csv").write_text("name,kg\nE,11\n")
    code, shown = at_terminal(empty, "init", types="\nHow heavy is E?\n\n")
    assert code == 0, shown
    assert "Files to read [.]: " in shown
    assert [each["name"] for each in command("check", "--json").json["inputs"]] == ["pumps.csv"]
    assert not (empty / "notes").exists()


def test_a_wrong_answer_is_asked_again_and_a_pattern_without_files_is_told(empty: Path) -> None:
    code, shown = at_terminal(empty, "init", types="9\ntabel\ntable\nWho?\ndcs/*.txt\n")
    assert code == 0, shown
    assert shown.count("Kind of task, 1 to 4") == 3
    assert "`9` is no kind of task: choose 1 to 4, or research, table, code and data" in shown
    assert "did you mean `table`?" in shown
    assert "note: `dcs/*.txt` matches no file in" in shown
    assert list(load_task(empty / "task.yaml", environ={}).inputs) == ["dcs/*.txt"]


@pytest.mark.parametrize("types", ["9\n" * 5, "1\n\x04"])
def test_wrong_answers_only_or_the_end_of_the_input_writes_nothing(types: str, empty: Path) -> None:
    code, shown = at_terminal(empty, "init", types=types)
    assert code == 2, shown
    assert "nothing was written" in shown
    assert list(empty.iterdir()) == []
