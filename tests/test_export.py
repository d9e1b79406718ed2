"""Results and traces for other programs: formats, `swarm export`, outputs and data frames in Python."""

import csv
import io
import json
import os
import shutil
import stat
import sys
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from python_calamine import CalamineWorkbook

import swarm
from swarm.attempt.merge import Leaf, merged
from swarm.base.errors import EndpointRefused, TaskError
from swarm.exports.formats import FORMATS
from swarm.exports.trace import chrome_bytes
from swarm.exports.workbook import CELL_CHARACTERS, xlsx_bytes
from swarm.record.recorded import Recorded
from swarm.results.table import Table
from swarm.spec.chat import Request
from swarm.spec.files import load_task, read_outputs
from swarm.testing import Function
from tests.commands import Command, in_process, make_task, only_run
from tests.swarms import Sleeper, run_virtually, steps, workers

ROWS_TASK = """\
goal: A table of the services.
inputs: [notes/*.md]
models: {default: {endpoint: offline}}
output: [report.md, rows.csv, rows.jsonl, rows.xlsx, all.json]
plan:
  steps:
    - id: row
      each: inputs
      prompt: "Extract the name of the service and its memory."
      output: {type: object, properties: {name: {type: string}, memory_gb: {type: number}}, required: [name, memory_gb]}
    - {id: table, merge: table, key: [name], needs: [row]}
"""
LIST_TASK = """\
goal: The items of a list.
inputs: [notes/*.md]
models: {default: {endpoint: offline}}
plan: {steps: [{id: say, each: [mail, wiki], prompt: "How much memory does {item} need?", inputs: ["notes/*.md"]}]}
"""
FORMULAS = ["=1+1", "+1", "-2+3", "@x", "\t=1", "http://example.com/x", "＝1"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of rows, made once."""
    folder = make_task(tmp_path_factory.mktemp("rows"))
    (folder / "task.yaml").write_text(ROWS_TASK)
    assert swarm.run_sync(folder / "task.yaml").status == "done"
    return folder


@pytest.fixture
def rows(finished: Path, empty: Path) -> Path:
    """A copy of that folder."""
    return shutil.copytree(finished, empty, dirs_exist_ok=True)


def sheets(content: bytes) -> dict[str, list[list[Any]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def refused(_path: Path, _mode: int) -> bool:
    return False


def table(*outputs: Any) -> Table:
    return Table("table", merged("table", [Leaf(f"read.{n}", output) for n, output in enumerate(outputs, 1)]))


class TestWorkbooks:
    def test_cells_keep_their_types_and_rows_their_steps(self) -> None:
        found = table({"name": "日本", "n": 3, "x": 1.5, "ok": True, "none": None}, {"name": "b", "n": 2**60})

        made = sheets(xlsx_bytes(found))
        assert made["rows"] == [
            ["name", "n", "x", "ok", "none"],
            ["日本", 3.0, 1.5, True, ""],
            ["b", str(2**60), "", "", ""],
        ]
        assert made["sources"] == [["row", "steps", "other values"], [2.0, "read.1", ""], [3.0, "read.2", ""]]

    @pytest.mark.parametrize("cell", FORMULAS)
    def test_no_cell_is_a_formula_or_a_link(self, cell: str) -> None:
        content = xlsx_bytes(table({cell: cell}))
        book = zipfile.ZipFile(io.BytesIO(content))
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        tags = {element.tag.rpartition("}")[2] for element in sheet.iter()}
        assert not tags & {"f", "hyperlink"}
        assert cell.strip() in [str(value).strip() for row in sheets(content)["rows"] for value in row]

    @pytest.mark.parametrize("cell", ["a\x00b\x1b[2J", "\ud800", "x" * 40_000, "\ufffe"])
    def test_a_text_that_no_workbook_holds_is_written_all_the_same(self, cell: str) -> None:
        made = sheets(xlsx_bytes(table({"name": cell})))["rows"][1][0]
        assert 0 < len(made) <= CELL_CHARACTERS
        assert made.endswith("[cut; 40,000 characters]") == (len(cell) > CELL_CHARACTERS)

    def test_rows_beyond_the_limit_of_a_sheet_are_in_further_sheets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("swarm.exports.workbook.MOST_ROWS", 2)
        made = sheets(xlsx_bytes(table([{"n": n} for n in range(5)])))
        assert list(made) == ["rows", "sources", "rows 2", "sources 2", "rows 3", "sources 3"]
        assert [made[name] for name in ("rows", "rows 2", "rows 3")] == [
            [["n"], [0.0], [1.0]],
            [["n"], [2.0], [3.0]],
            [["n"], [4.0]],
        ]
        assert made["sources 2"][1:] == [[2.0, "read.1", ""], [3.0, "read.1", ""]]

    def test_equal_tables_are_equal_files(self) -> None:
        assert xlsx_bytes(table({"a": 1})) == xlsx_bytes(table({"a": 1}))

    def test_without_the_library_the_task_is_refused_before_the_run(
        self, empty: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "xlsxwriter", cast("Any", None))
        (empty / "task.yaml").write_text("goal: x\noutput: rows.xlsx\n")
        with pytest.raises(TaskError, match=r"rows.xlsx` is an Excel workbook\n.*local-agent-swarm\[files\]"):
            read_outputs(load_task("task.yaml", environ={}))


class TestOutputs:
    def test_every_format_of_output_is_written_in_one_run(self, rows: Path) -> None:
        assert (rows / "rows.csv").read_text().splitlines()[0] == "name,memory_gb"
        assert len((rows / "rows.jsonl").read_text().splitlines()) == 3
        assert len(sheets((rows / "rows.xlsx").read_bytes())["rows"]) == 4
        written = json.loads((rows / "all.json").read_text())
        assert len(written["report"]["table"]) == len(written["outputs"]["row"]) == 3
        assert written["outputs"]["row.1"] == written["outputs"]["row"][0]

    def test_outputs_are_there_by_step_and_as_a_frame(self, rows: Path) -> None:
        result = swarm.run_sync("task.yaml")
        assert set(result.outputs) == {"row", "row.1", "row.2", "row.3", "table"}
        assert result.outputs["row"][0] == result.outputs["row.1"]
        assert "plan" not in result.outputs
        with pytest.raises(KeyError):
            result.outputs["plan"]
        assert result.table is not None
        frame = result.table.to_pandas()
        assert list(frame.columns) == ["name", "memory_gb"] == list(result.table.fields)
        assert len(frame) == 3
        assert frame["memory_gb"].sum() == 20


class TestExport:
    def test_rows_go_to_stdout_and_to_files(self, rows: Path, run: Command) -> None:
        assert run("export").out == run("export", "last", "--format", "csv").out
        assert run("export", "-o", "out.xlsx").err.startswith("wrote out.xlsx (")
        assert run("export", "-o", "out.xlsx").err.startswith("replaced out.xlsx (")
        assert sheets((rows / "out.xlsx").read_bytes()) == sheets((rows / "rows.xlsx").read_bytes())
        assert run("export", "--format", "jsonl").out == (rows / "rows.jsonl").read_text()
        assert run("export", "--format", "md").out == (rows / "report.md").read_text()
        assert (
            run("export", "--format", "json").json["outputs"] == json.loads((rows / "all.json").read_text())["outputs"]
        )

    def test_a_step_is_written_as_what_it_is(self, rows: Path, run: Command) -> None:
        assert run("export", "--step", "row").out.count("\n") == 4
        assert run("export", "--step", "row.1", "--format", "json").json["name"]
        assert run("export", "--step", "row.1", "--format", "md").out.startswith("```json\n{")

    def test_a_list_without_rows_has_a_line_per_item(self, empty: Path, run: Command) -> None:
        make_task(empty)
        (empty / "task.yaml").write_text(LIST_TASK)
        run("run", "--quiet")
        head, *items = csv.reader(io.StringIO(run("export").out))
        assert head == ["step", "item", "output"]
        assert [row[:2] for row in items] == [["say.1", "mail"], ["say.2", "wiki"]]
        assert "3 GB" in items[0][2]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--format", "xlsx"), "is not text"),
            (("--format", "cvs"), "unknown format `cvs`; did you mean `csv`?"),
            (("--step", "row", "--format", "chrome"), "is for a whole run"),
            (("-o", "notes/mail.md"), "is an input or the task"),
            (("--format", "md", "-o", "task.yaml"), "is an input or the task"),
            (("-o", "notes"), "is a folder"),
            (("-o", "rows.docx"), "-o: unknown ending `.docx`"),
            (("-o", "{run}/journal.jsonl"), "is in the folder of a run"),
        ],
    )
    def test_what_cannot_be_written_is_an_error_and_changes_nothing(
        self, finished: Path, run: Command, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(finished)
        rows, folder = finished, only_run(finished)
        before = {path: path.read_bytes() for path in rows.rglob("*") if path.is_file()}
        said = run("export", *(word.format(run=folder) for word in words))
        assert (said.code, message in said.err) == (2, True), said.err
        assert {path: path.read_bytes() for path in rows.rglob("*") if path.is_file()} == before

    def test_a_run_that_has_not_ended_gives_the_rows_that_it_has(self, rows: Path, run: Command) -> None:
        journal = only_run(rows) / "journal.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        ends = [n for n, line in enumerate(lines, 1) if json.loads(line)["event"] == "StepFinished"]
        journal.write_text("".join(lines[: ends[1]]))
        said = run("export")
        assert len(said.out.splitlines()) == 3
        assert set(said.out.splitlines()) < set((rows / "rows.csv").read_text().splitlines())
        assert ": this is what it has so far" in said.err
        assert run("export", "--step", "row").out == said.out
        journal.write_text("".join(lines[: ends[0] - 1]))
        assert "no step has an output" in run("export").err

    def test_a_step_without_an_output_or_a_name_is_an_error(self, empty: Path, run: Command) -> None:
        make_task(empty)
        run("run", "--quiet")
        assert "has no step `rea`" in run("export", "--step", "rea").err

    def test_what_a_run_without_a_report_has_instead_is_told(self, empty: Path, run: Command) -> None:
        make_task(empty)
        run("plan", "--quiet", "--runs", "planned")
        (planned,) = (empty / "planned").iterdir()
        plan = run("export", str(planned), "--format", "md")
        assert plan.errors[0].endswith("has no report\nhint: write the output of one step with --step ID: plan")

        def refuse(request: Request) -> str:
            raise EndpointRefused("no such model", kind="refused")

        swarm.run_sync({"goal": "x", "plan": [{"id": "a", "prompt": "x"}]}, endpoint=Function(refuse), runs="failed")
        (failed,) = (empty / "failed").iterdir()
        for form in ("md", "csv"):
            (error,) = run("export", str(failed), "--format", form).errors
            assert f"\nhint: no step has an output; see why: `swarm show {failed.name}`" in error

    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_of_a_run_can_be_written(self, rows: Path, run: Command, form: str) -> None:
        assert run("export", "--format", form, "-o", f"made.{form}").code == 0
        assert (rows / f"made.{form}").stat().st_size > 40


class TestTrace:
    def test_lanes_are_slots_and_never_overlap(self) -> None:
        ran = run_virtually(steps("a b c d:a e:b,c f:d,e"), Sleeper({"a": 3, "b": 1, "c": 2}), workers(2))
        trace = json.loads(chrome_bytes(Recorded(cast("Any", ran.events), ran.state, 0)))["traceEvents"]
        slices = [event for event in trace if event["ph"] == "X" and event["cat"] == "attempt"]
        assert sorted(event["name"] for event in slices) == list("abcdef")
        by_lane: dict[int, list[tuple[int, int]]] = {}
        for event in slices:
            by_lane.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
        assert sorted(by_lane) == [1, 2]
        for spans in by_lane.values():
            assert all(before[1] <= after[0] for before, after in pairwise(spans))
        assert next(event for event in slices if event["name"] == "a")["dur"] == 3_000_000
        assert [event["args"]["name"] for event in trace if event["name"] == "thread_name"] == ["slot 1", "slot 2"]

    def test_calls_and_tools_lie_inside_their_attempt(self, rows: Path, run: Command) -> None:
        trace = json.loads(run("export", "--format", "chrome").out)["traceEvents"]
        whole = {(e["tid"], e["name"]): (e["ts"], e["ts"] + e["dur"]) for e in trace if e.get("cat") == "attempt"}
        calls = [event for event in trace if event.get("cat") == "call"]
        assert len(calls) == 3
        for call in calls:
            assert any(
                lane == call["tid"] and start <= call["ts"] <= call["ts"] + call["dur"] <= end
                for (lane, _), (start, end) in whole.items()
            )
        assert "GB of memory" not in json.dumps(trace)


class TestPlaces:
    def test_a_link_a_mode_and_a_device_stay_what_they_are(
        self, rows: Path, run: Command, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        elsewhere = tmp_path_factory.mktemp("elsewhere") / "rows.csv"
        elsewhere.write_text("earlier")
        elsewhere.chmod(0o600)
        (rows / "link.csv").symlink_to(elsewhere)
        assert run("export", "-o", "link.csv").code == 0
        assert (rows / "link.csv").is_symlink()
        assert elsewhere.read_bytes().startswith(b"name,memory_gb\r\n")
        assert elsewhere.stat().st_mode & 0o777 == 0o600
        assert (rows / "rows.csv").stat().st_mode & 0o444 == 0o444

        os.mkfifo(rows / "pipe")
        reader = os.open(rows / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        assert run("export", "--format", "jsonl", "-o", "pipe").code == 0
        assert stat.S_ISFIFO((rows / "pipe").stat().st_mode)
        assert os.read(reader, 100_000) == (rows / "rows.jsonl").read_bytes()
        os.close(reader)

    def test_a_dash_is_stdout(self, rows: Path, run: Command) -> None:
        assert run("export", "-o", "-").out == run("export").out
        assert run("report", "-o", "-").out.startswith("<!DOCTYPE html>")
        assert "steps:" in run("plan", "-o", "-").out
        assert not (rows / "-").exists()

    def test_a_file_that_may_not_be_written_is_left(
        self, rows: Path, run: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (rows / "mine.csv").write_text("mine")
        monkeypatch.setattr(os, "access", refused)  # a superuser may write all
        assert "Permission denied" in run("export", "-o", "mine.csv").err
        assert (rows / "mine.csv").read_text() == "mine"
