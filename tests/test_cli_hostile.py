"""No text of a task, a file, a model or an argument controls a terminal: THREATS S24, for every command."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from swarm.cli import streams
from swarm.record.events import RunFinished
from swarm.record.follow import without_checksum
from swarm.record.journal import encode
from swarm.spec.files import write_yaml
from tests.commands import ALLOWED, STEERING, Command, in_process, only_run, serving

PAYLOADS = (
    "\x1b]52;c;ZXZpbA==\x07",  # writes the clipboard
    "\x1b]8;;http://evil.invalid\x1b\\link\x1b]8;;\x1b\\",  # a link that says something else
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b[6n\x1b[c",  # has the terminal type
    "\x1b]0;title\x07",
    "\x1bP1;1|17/ab\x1b\\",  # DCS
    "\x1b_apc\x1b\\",
    "\x1b^pm\x1b\\",
    "\x9b31mred",  # C1: an escape in one byte
    "\x9d0;title\x9c",
    "\x90q\x9c",
    "error: \rdone: ",  # overwrites the line
    "rm\b\bls",
    "\x1b]unterminated",
    "\x1b[8mhidden\x1b[0m",
    "\x1b[1A\x1b[2K",  # rewrites the line above
    "\x00nul",
    "\x07bell",
    "\x0b\x0c",
    "\x7f\x7f",
    "\u202etxt.exe",  # bidi
    "\u2066a\u2069",
    "\u200f\u200e\u061c",
    "\x1b(0qqq",  # another character set
    "\x1b#8",
    "\x1bc",  # resets
    "[link=http://evil.invalid]x[/link]",
    "[/foo]",  # markup that rich raises on
    "\x1b[?1049h",
    "\x85\x8d",
)
ALL = " ".join(PAYLOADS)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, and check its output for terminal control characters."""
    return in_process(capsys)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a model that answers with every payload, and refuses with every payload."""
    rules = tmp_path_factory.mktemp("server") / "rules.json"
    refusal = {"error": {"message": ALL, "code": ALL}}
    rules.write_text(json.dumps([{"when": "refuse-me", "status": 400, "body": refusal}]))
    with serving("--rules", str(rules), "--answer", ALL.replace("\x00", "")) as served:
        yield served


@pytest.fixture
def folder(empty: Path, url: str) -> Path:
    """Make a folder in which every text is hostile the current one."""
    (empty / "notes").mkdir()
    for n, payload in enumerate(PAYLOADS):
        name = payload.replace("/", "|").replace("\x00", "").replace("[", "(")
        (empty / "notes" / f"{n}-{name}.md").write_text(
            f"The {payload.strip(chr(0))} service needs {n} GB of memory.\n"
        )
    (empty / "roles").mkdir()
    (empty / "roles" / "odd.md").write_text(f"---\nname: odd\ndescription: {json.dumps(ALL)}\n---\nWork.\n")
    steps = [{"id": "a", "prompt": ALL}, {"id": "b", "prompt": f"refuse-me {ALL}", "retries": 0}]
    task = {
        "goal": f"How much memory does {ALL} need?",
        "inputs": ["notes/*"],
        "agents": "roles",
        "models": {"default": {"endpoint": url, "name": ALL}},
    }
    (empty / "task.yaml").write_text(json.dumps(task))
    (empty / "steps.yaml").write_text(json.dumps({**task, "plan": steps}))
    return empty


@pytest.mark.parametrize("verb", ["run", "plan", "check"])
@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("name", ["steps.yaml", "task.yaml"])
def test_tasks(command: Command, folder: Path, verb: str, form: tuple[str, ...], name: str) -> None:
    offline = ("--endpoint", "offline") if name == "task.yaml" else ()
    said = command(verb, name, *form, *offline)
    assert said.code in (0, 3), said.err
    assert said.out


def test_what_ran(command: Command, folder: Path) -> None:
    assert command("run", "steps.yaml", "--jsonl").code == 3
    assert command("show", "last").code == 0
    for step in ("a", "b", "reduce"):
        assert command("show", "last", step).code == 0
        assert command("show", "last", step, "--json").code == 0
    assert command("show", "last", "--json").code == 0
    assert command("runs").code == command("runs", "--json").code == 0
    assert command("agents", "task.yaml").code == command("agents", "task.yaml", "--json").code == 0
    report = (only_run(folder) / "report.md").read_text()
    assert "\x1b" in report, "the file is as the model wrote it; it is the terminal that is spared"


@pytest.mark.parametrize("payload", [payload for payload in PAYLOADS if "\x00" not in payload])
def test_arguments(command: Command, empty: Path, payload: str) -> None:
    for arguments in (
        ("run", payload),
        ("run", "x", "--set", payload),
        ("run", "x", "--limit", f"{payload}=1"),
        ("check", "--goal", payload, "--endpoint", payload),
        ("resume", payload),
        ("show", payload, payload),
        ("runs", "--runs", payload),
        (payload,),
        ("run", f"--{payload}"),
    ):
        command(*arguments)


def test_a_hostile_journal(command: Command, folder: Path) -> None:
    command("run", "steps.yaml", "--quiet")
    journal = only_run(folder) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + PAYLOADS[0].encode() + b"\n")
    for arguments in (("show",), ("runs",), ("resume", "last")):
        command(*arguments)


# Escaped values stay the same


@given(st.text())
def test_escaped_json_is_the_same_value(text: str) -> None:
    written = streams.escaped(json.dumps(text, ensure_ascii=False))
    assert [c for c in STEERING if c not in ALLOWED and c in written] == []
    assert json.loads(written) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_yaml_is_the_same_value(text: str) -> None:
    written = streams.escaped(write_yaml({"a": text}))
    assert [c for c in STEERING if c not in ALLOWED and c in written] == []
    reader: Any = YAML(typ="safe", pure=True)
    assert reader.load(written) == {"a": text}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_without_its_checksum_is_the_event(text: str) -> None:
    event = RunFinished(seq=1, status="done", because=text)
    assert RunFinished.model_validate_json(without_checksum(encode(event)[:-1])) == event
