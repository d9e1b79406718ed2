"""`swarm rm`, and the sizes in `swarm runs`."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

import swarm
from tests.commands import Command, at_terminal, in_process, make_task

DAY = 86_400


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs, made once."""
    folder = make_task(tmp_path_factory.mktemp("runs"))
    for _ in range(3):
        assert swarm.run_sync(folder / "task.yaml").status == "done"
    return folder


@pytest.fixture
def runs(made: Path, empty: Path) -> list[Path]:
    """Three runs: 40 days old, 20 days old, and new."""
    shutil.copytree(made, empty, dirs_exist_ok=True)
    found = sorted((empty / ".swarm" / "runs").iterdir(), key=lambda folder: (folder / "journal.jsonl").stat().st_mtime)
    for folder, days in zip(found, (40, 20, 0), strict=True):
        at = (folder / "journal.jsonl").stat().st_mtime - days * DAY
        os.utime(folder / "journal.jsonl", (at, at))
    return found


def left(runs: list[Path]) -> list[bool]:
    return [folder.exists() for folder in runs]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--older", "30d"), [False, True, True]),
        (("--older", "480h"), [False, False, True]),
        (("--keep", "1"), [False, False, True]),
        (("--keep", "0"), [False, False, False]),
        (("--keep", "9"), [True, True, True]),
        (("--older", "1s", "--keep", "2"), [False, True, True]),
        (("--older", "30d", "--keep", "0"), [False, True, True]),
    ],
)
def test_runs_are_chosen_by_age_and_number(
    runs: list[Path], run: Command, words: tuple[str, ...], expected: list[bool]
) -> None:
    assert run("rm", *words, "--yes").code == 0
    assert left(runs) == expected


def test_named_runs_are_removed_and_nothing_behind_their_links(runs: list[Path], run: Command) -> None:
    outside = Path("outside")
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (runs[0] / "steps" / "link").symlink_to(outside.absolute())
    (runs[0] / "more").symlink_to(outside.absolute())
    said = run("rm", runs[0].name, str(runs[1]), "--yes")
    assert (said.code, said.err.startswith("removed 2 runs (")) == (0, True)
    assert left(runs) == [False, False, True]
    assert (outside / "kept.txt").read_text() == "kept"


def test_a_run_in_use_is_never_removed(runs: list[Path], run: Command) -> None:
    with (runs[0] / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run("rm", runs[0].name, "--yes").code == 75
        said = run("rm", "--keep", "0", "--yes")
    assert (said.code, "warning: kept: run" in said.err) == (0, True)
    assert left(runs) == [True, False, False]


def test_without_a_terminal_nothing_is_removed_without_yes(runs: list[Path], run: Command) -> None:
    said = run("rm", runs[0].name)
    assert (said.code, "not a terminal" in said.err, left(runs)) == (5, True, [True, True, True])


@pytest.mark.parametrize(("typed", "code", "expected"), [("y\n", 0, False), ("\n", 1, True), ("no\n", 1, True)])
def test_a_terminal_is_asked(runs: list[Path], typed: str, code: int, expected: bool) -> None:
    ended, shown = at_terminal(Path.cwd(), "rm", runs[0].name, types=typed)
    assert (ended, runs[0].exists()) == (code, expected)
    assert "Remove 1 run (" in shown
    assert runs[0].name in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no run is named"),
        (("last", "--keep", "1"), "not both"),
        (("--older", "soon"), "invalid age `soon`"),
        (("--keep", "-1"), "below the minimum"),
    ],
)
def test_wrong_arguments_remove_nothing(runs: list[Path], run: Command, words: tuple[str, ...], message: str) -> None:
    said = run("rm", *words, "--yes")
    assert (said.code, message in said.err, left(runs)) == (2, True, [True, True, True])


def test_an_empty_name_is_no_run(runs: list[Path], run: Command) -> None:
    assert run("rm", "--keep", "1", "--yes").code == 0
    kept = left(runs)
    assert kept.count(True) == 1
    assert run("rm", "", "--yes").code == 2
    assert left(runs) == kept


def test_a_run_folder_that_is_a_link_is_not_removed(runs: list[Path], run: Command) -> None:
    Path("elsewhere").symlink_to(runs[0])
    assert run("rm", "./elsewhere", "--yes").code == 1
    assert left(runs) == [True, True, True]


def test_the_list_of_runs_has_their_sizes(runs: list[Path], run: Command) -> None:
    sizes = {row["run"]: row["size"] for row in run("runs", "--json").json}
    for folder in runs:
        assert sizes[folder.name] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert " SIZE " in run("runs").out
