"""Every example runs, and what it shows is so: each in a copy, with the command that a user types."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

import swarm
from swarm.spec.chat import Request
from swarm.testing import FakeServer, Function, Received
from tests.commands import environment, events_of
from tests.models import data_in, own_prompt

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples"
MEMORY = {"Backups": 2, "Builds": 16, "Chat": 6, "Mail": 3, "Search": 12, "Wiki": 5}
"""What the notes say, in GB."""
OWNERS = {"Backups": "Ines", "Builds": "Tomasz", "Chat": "Amara", "Mail": "Ines", "Search": "Tomasz", "Wiki": "nobody"}
PLAN = '{"steps": [{"id": "read", "each": "inputs", "prompt": "Say what the note states."}]}'
NOTEBOOKS = ("first_swarm.ipynb", "wide_table.ipynb", "widths.ipynb")
KEY = "a-key-that-only-this-test-has"
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=60, resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Copy the examples, with what they read of the project beside them."""
    leave = shutil.ignore_patterns(".swarm", "__pycache__", "metadata", "recorded", "report.*", "rows.*")
    shutil.copytree(FOLDER, tmp_path / "examples", ignore=leave)
    (tmp_path / "swarm").symlink_to(ROOT / "swarm")
    shutil.copy(ROOT / "CONTRIBUTING.md", tmp_path)
    return tmp_path / "examples"


def program(*arguments: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of this Python in a folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
    )


def carried_out(*arguments: str, folder: Path, **variables: str) -> Any:
    """Carry out `swarm run … --json`; give the object it prints."""
    done = program("-m", "swarm.cli", "run", *arguments, "--json", folder=folder, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows_of(report: str) -> dict[str, str]:
    """Give the answer of each file in a report of the offline endpoint."""
    found = re.findall(r"^\| (.+?) \| (.+) \[read\.\d+\] \|$", report, re.MULTILINE)
    return dict(found)


def test_every_example_has_a_test() -> None:
    folders = {
        "analyst",
        "documents",
        "licences",
        "modules",
        "notes",
        "office",
        "replay",
        "servers",
        "table",
        "tools",
        "two_models",
        "typed",
        "web",
    }
    tested = {"library.ipynb", *NOTEBOOKS, *folders}
    assert {path.name for path in FOLDER.iterdir() if not path.name.startswith(".")} == tested


IN_DOCUMENTS = {
    "budget.xlsx": "52750", "lease.pdf": "31 March 2027", "letter.txt": "350冊", "minutes.docx": "6 April 2027",
    "offer.html": "18,400 EUR", "plan.pptx": "31,000 EUR", "shelves.ipynb": "3,120 metres", "survey.csv": "not found",
}  # fmt: skip
"""What a report over mixed files has of each."""


class TestDocuments:
    def test_every_file_is_read_whatever_it_is(self, examples: Path) -> None:
        found = carried_out("task.yaml", folder=examples / "documents")
        text = found["report"]["text"]
        assert found["left_out"] == []
        assert [n for n, fact in IN_DOCUMENTS.items() if f"files/{n}" not in text or fact not in text] == []


AGAINST = (
    ("48 places", "52 places"), ("240 participants", "265 participants"), ("27 EUR", "31 EUR"), ("45 kW", "60 kW"),
    ("290 seats", "310 seats"), ("250 devices", "400 devices"),
)  # fmt: skip
"""What two files each say differently, in the 25 of an office."""


class TestOffice:
    def test_every_file_is_read_and_every_contradiction_is_told(self, examples: Path) -> None:
        found = carried_out("task.yaml", folder=examples / "office")
        assert (found["status"], found["left_out"]) == ("done", [])
        text = found["report"]["text"]
        assert len(rows_of(text)) == len(list((examples / "office" / "files").iterdir())) == 25
        answer, _, rest = text.partition("\n## Figures that disagree\n")
        told = rest.partition("\n## ")[0].split("\n- ")
        assert [pair for pair in AGAINST if not any(all(one in each for one in pair) for each in told)] == []
        assert all(figure in answer for figure in ("11.50 EUR", "240 participants", "31 EUR", "27 EUR"))
        assert len(text.splitlines()) < 250


class TestModules:
    def test_it_is_what_make_demo_runs(self) -> None:
        assert "FIRST_EXAMPLE := examples/modules/task.yaml\n" in (ROOT / "Makefile").read_text()

    def test_the_report_says_where_to_begin_and_what_each_module_is_for(self, examples: Path) -> None:
        ran = carried_out("modules/task.yaml", "--endpoint", "offline", folder=examples)
        report = ran["report"]["text"]
        said = rows_of(report)
        assert ran["steps"] == {"total": len(said) + 2, "done": len(said) + 2, "failed": 0, "skipped": 0, "cached": 0}
        assert len(said) >= 20
        answer = report.partition("\n## ")[0]
        assert "another kind of endpoint: write a class with complete(request) -> reply in swarm/endpoints/" in answer
        assert "[../../CONTRIBUTING.md][read.1]" in answer
        silent = [name for name, line in said.items() if line == "not found"]
        assert silent == [], "each module says in its first sentence what it is for"
        bullets = [line for line in answer.splitlines() if line.startswith("- ")]
        assert [line for line in bullets if not re.search(r"\[[^\]]+\]\[read\.\d+\]$", line)] == []


class TestLicences:
    def test_each_package_has_its_licence(self, examples: Path) -> None:
        collected = program("licences/collect.py", folder=examples)
        assert collected.returncode == 0, collected.stderr
        packages = sorted(path.stem for path in (examples / "licences" / "metadata").glob("*.txt"))
        assert len(packages) >= 20
        assert collected.stderr.startswith(f"{len(packages)} packages in ")
        ran = carried_out("licences/task.yaml", "--endpoint", "offline", folder=examples)
        said = {Path(name).stem: line for name, line in rows_of(ran["report"]["text"]).items()}
        assert sorted(said) == packages
        assert [name for name, line in said.items() if not re.search("Licen[cs]e", line)] == []
        assert "License-Expression: BSD-3-Clause" in said["networkx"]

    def test_a_package_that_is_not_there_is_told(self, examples: Path) -> None:
        done = program("licences/collect.py", "no-such-package", folder=examples)
        assert done.returncode == 1
        assert done.stderr.startswith("no-such-package is not installed")


class TestTable:
    def test_each_note_is_a_row_in_the_report_and_in_files(self, examples: Path) -> None:
        ran = carried_out("table/task.yaml", "--endpoint", "offline", folder=examples)
        rows = [{"name": name, "memory_gb": figure} for name, figure in MEMORY.items()]
        assert ran["report"]["table"] == rows
        assert ran["usage"]["calls"] == len(MEMORY)
        assert "| Backups | 2 | [read.1] |" in (examples / "table" / "report.md").read_text()
        lines = (examples / "table" / "rows.csv").read_text().splitlines()
        assert lines == ["name,memory_gb", *(f"{name},{figure}" for name, figure in MEMORY.items())]
        written = (examples / "table" / "rows.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in written] == rows


class TestTyped:
    def test_the_report_is_a_value_that_fits_its_schema(self, examples: Path) -> None:
        ran = carried_out("typed/task.yaml", "--endpoint", "offline", folder=examples)
        expected = {"services": [{"name": name, "memory_gb": figure} for name, figure in MEMORY.items()]}
        assert json.loads(ran["report"]["text"]) == expected
        assert ran["steps"]["total"] == len(MEMORY) + 2
        assert json.loads((examples / "typed" / "report.json").read_text())["report"] == ran["report"]

    @pytest.mark.anyio
    async def test_values_go_from_step_to_step(self, examples: Path) -> None:
        model = Function(_typed_answer)
        result = await swarm.run(examples / "typed" / "task.yaml", endpoint=model)
        assert result.report is not None
        assert result.report.value == {"services": [{"name": "Mail", "memory_gb": 3}]}
        assert [request.model for request in model.requests if request.form is None] == [], "every answer has a form"
        asked = [own_prompt(request) for request in model.requests]
        assert sum("for Mail?" in prompt for prompt in asked) == 2, "an answer that does not fit is asked for again"
        given = {name: json.loads(text) for name, text in data_in(model.requests[-1], "output").items()}
        assert given == {"study.1": {"name": "Mail", "memory_gb": 3}, "study.2": {"name": "Wiki"}}


def _typed_answer(request: Request) -> str:
    """Answer as a model might: the figure of one service is first given in words."""
    prompt = own_prompt(request)
    if prompt.startswith("List"):
        return '["Mail", "Wiki"]'
    if prompt.startswith("Gather"):
        return '{"services": [{"name": "Mail", "memory_gb": 3}]}'
    if "for Wiki?" in prompt:
        return '{"name": "Wiki"}'
    asked_again = any(message.role == "assistant" for message in request.messages)
    return '{"name": "Mail", "memory_gb": 3}' if asked_again else '{"name": "Mail", "memory_gb": "three"}'


class TestTwoModels:
    @pytest.mark.anyio
    async def test_the_strong_one_plans_and_reports_and_the_fast_one_reads(self, examples: Path) -> None:
        async with FakeServer("3 GB.", model="small") as fast, FakeServer(PLAN, "All need memory [read.1].") as strong:
            variables = {"FAST_ENDPOINT": fast.url, "FAST_MODEL": "small", "STRONG_ENDPOINT": strong.url}
            ran = await to_thread.run_sync(
                partial(carried_out, "two_models/task.yaml", folder=examples, STRONG_KEY=KEY, **variables)
            )
        assert ran["status"] == "done"
        assert [received.body["model"] for received in fast.requests] == ["small"] * len(MEMORY)
        assert [received.body["model"] for received in strong.requests] == ["strong"] * 2
        assert {received.body["max_tokens"] for received in fast.requests} == {1024}
        assert {received.headers["authorization"] for received in strong.requests} == {f"Bearer {KEY}"}
        assert [received.headers for received in fast.requests if KEY in str(received.headers)] == []
        kept = [path for path in Path(ran["folder"]).rglob("*") if path.is_file() and KEY in path.read_text()]
        assert kept == []

    def test_with_nothing_set_both_are_offline(self, examples: Path) -> None:
        ran = carried_out("two_models/task.yaml", folder=examples)
        assert [name for name, figure in MEMORY.items() if f"{figure} GB of memory" not in ran["report"]["text"]] == []
        started = [event for event in events_of(Path(ran["folder"])) if event["event"] == "StepStarted"]
        models = {event["step"]: event["model"] for event in started}
        assert {name: models.pop(name) for name in ("plan", "reduce")} == {"plan": "strong", "reduce": "strong"}
        assert set(models.values()) == {"default"}


class TestReplay:
    @pytest.mark.anyio
    async def test_a_recorded_run_tests_the_task_until_the_task_changes(self, examples: Path) -> None:
        folder = examples / "replay"
        async with FakeServer(respond=_owners) as server:
            record = partial(carried_out, "task.yaml", "--runs", "recorded", folder=folder)
            ran = await to_thread.run_sync(partial(record, SERVICES_ENDPOINT=server.url, SERVICES_KEY=KEY))
            calls = len(server.requests)
            test = partial(program, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_task.py", folder=folder)
            test = partial(test, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
            tested = await to_thread.run_sync(test)
            (examples / "notes" / "wiki.md").write_text("# Wiki\n\nAmara looks after the wiki now.\n")
            changed = await to_thread.run_sync(test)
        assert ran["status"] == "done"
        assert tested.returncode == 0, tested.stdout
        assert changed.returncode == 1
        assert re.search(r"step plan: the recorded run made no such call.* differs in: brief", changed.stdout)
        assert len(server.requests) == calls == len(MEMORY) + 2, "a replay calls nobody"


def _owners(received: Received) -> str:
    """Answer a planner, a reader or a reducer, told by the headings of its prompt."""
    if b"# The brief" in received.raw:
        return PLAN
    if b"# Outputs of earlier steps" in received.raw:
        return "\n".join(f"- {name}: {who} [read.{n}]" for n, (name, who) in enumerate(OWNERS.items(), 1))
    return "Somebody looks after it."


class TestNotebook:
    def test_it_runs_from_top_to_bottom(self, examples: Path, tmp_path: Path) -> None:
        executed = tmp_path / "executed.ipynb"
        done = program("-c", EXECUTE, "library.ipynb", str(executed), folder=examples)
        assert done.returncode == 0, done.stderr
        outputs = [cell["outputs"] for cell in json.loads(executed.read_text())["cells"] if cell["cell_type"] == "code"]
        shown = ["".join(json.dumps(output) for output in cell) for cell in outputs]
        assert "Backups: They need 2 GB of memory" in shown[1]
        assert "text/html" in shown[1]
        assert "9 of 9 steps are over, 8 from the cache" in shown[3]
        assert "11444 MiB" in shown[-1]

    @pytest.mark.slow  # a kernel each
    @pytest.mark.parametrize("name", NOTEBOOKS)
    def test_a_run_shows_itself_and_holds_pictures_and_no_script(
        self, examples: Path, tmp_path: Path, name: str
    ) -> None:
        executed = tmp_path / "executed.ipynb"
        done = program("-c", EXECUTE, name, str(executed), folder=examples)
        assert done.returncode == 0, done.stderr
        text = executed.read_text()
        assert "<svg" in text
        for wrong in ("<script", "javascript:", "@import", "url(", "<img", "<iframe", "text/markdown"):
            assert wrong not in text.lower(), wrong
        assert set(re.findall(r"https?://[^\\\"' ]+", text)) <= {
            "http://www.w3.org/2000/svg",
            "http://127.0.0.1:8000/v1",
        }

    @pytest.mark.parametrize("name", ["library.ipynb", *NOTEBOOKS])
    def test_it_is_kept_without_outputs(self, name: str) -> None:
        cells = json.loads((FOLDER / name).read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert [cell["outputs"] or cell["execution_count"] for cell in code] == [None] * len(code)
