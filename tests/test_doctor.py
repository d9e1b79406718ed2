"""`swarm doctor`: what is there, what is not, and what to do about it."""

import os
from pathlib import Path

import pytest

from swarm.cli.doctor import EXTRAS, Observation, page
from tests.commands import Command, in_process, make_task

command = pytest.fixture(in_process)

CANARY = "sk-canary-0123456789abcdef"


def found(command: Command, *arguments: str) -> dict[str, dict[str, str]]:
    return {each["name"]: each for each in command("doctor", "--json", *arguments).json}


def test_it_looks_at_everything_and_makes_no_call(command: Command, empty: Path) -> None:
    make_task(empty)
    said = command("doctor")
    assert said.code == 0, said.out
    for name in (
        "Python",
        "open files",
        "free space",
        *EXTRAS,
        "bubblewrap",
        "a run uses",
        "https proxy",
        "runs",
        "cache",
    ):
        assert f" {name} " in said.out
    assert "offline" in found(command)["a run uses"]["words"]
    assert found(command)["task"]["grade"] == "ok"
    assert not (empty / ".swarm").exists(), "it writes nothing"


def test_keys_are_named_and_never_shown(command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", CANARY)
    said = command("doctor")
    assert CANARY not in said.out + said.err
    assert found(command)["keys set"]["words"] == "MOONSHOT_API_KEY"
    assert "MOONSHOT" not in found(command)["keys not set"]["words"]


@pytest.mark.parametrize(
    ("variable", "value", "name", "words"),
    [
        ("SWARM_ENDPOINT", "http://x y", "a run uses", "a space"),
        ("HTTPS_PROXY", "ftp://127.0.0.1:1", "https proxy", "HTTPS_PROXY"),
        ("SSL_CERT_FILE", "/nowhere.pem", "certificates", "SSL_CERT_FILE"),
        ("GEMINI_API_KEY", "sk one\ntwo\n", "keys set", "GEMINI_API_KEY contains a space"),
    ],
)
def test_what_is_set_wrongly_is_named_and_the_exit_code_is_1(
    variable: str, value: str, name: str, words: str, command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert command("doctor").code == 1
    wrong = found(command)[name]
    assert (wrong["grade"], bool(wrong["remedy"])) == ("wrong", True)
    assert words in wrong["words"]


def test_what_is_missing_comes_with_what_installs_it(
    command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(empty))
    said = command("doctor")
    assert said.code == 0, "missing is not wrong"
    missing = found(command)["bubblewrap"]
    assert (missing["grade"], "apt install bubblewrap" in missing["remedy"]) == ("missing", True)


def test_a_sandbox_that_does_not_start_is_wrong(command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = empty / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{empty}{os.pathsep}{os.environ['PATH']}")
    wrong = found(command)["bubblewrap"]
    assert (wrong["grade"], "No permissions" in wrong["words"]) == ("wrong", True)


def test_the_page_counts_what_is_missing_or_wrong() -> None:
    observations = [Observation("A", "x", "ok", "fine"), Observation("A", "y", "missing", "no y", "install y")]
    assert page(observations).splitlines()[-1].startswith("0 wrong, 1 missing")
    assert page(observations[:1]).splitlines()[-1] == "Nothing is missing or wrong."


def test_runs_are_found_from_sub_folders(command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_task(empty)
    assert command("run", "--quiet").code == 0
    (empty / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(empty / "deep" / "er")
    assert command("show").code == 0
    assert command("resume").code == 0
    assert "../../.swarm/runs" in found(command)["runs"]["words"]
    assert command("runs").out.count("done") == 1


def test_a_runs_folder_of_somebody_else_is_not_used(
    command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_task(empty)
    assert command("run", "--quiet").code == 0
    (empty / "deep").mkdir()
    monkeypatch.chdir(empty / "deep")
    os.chown(empty / ".swarm" / "runs", 12345, -1) if os.geteuid() == 0 else (empty / ".swarm" / "runs").rename(
        empty / "elsewhere"
    )
    assert command("show").code == 2
