"""The table of a run: in the report, as data, and as files that spreadsheets and programs read."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.attempt.merge import Leaf, merged
from swarm.base.errors import PlanError, TaskError
from swarm.exports.table_files import csv_bytes, guarded, jsonl_bytes
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import prepare
from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.planning.lint import lint
from swarm.results.table import HEAD, LISTED, SHORT, Table, table_text
from swarm.scheduling.merging import wanted_table
from swarm.spec.plan import Plan, Step, closed
from swarm.spec.task import Task
from swarm.testing import Function
from tests.models import Model, data_in, run_with
from tests.test_merging import FACTS, READ, ROWS, TABLE, fact_of, facts, reader

ROLES = tuple(RoleBrief(name=name, description="") for name in ("planner", "worker", "reducer"))


def table(*outputs: Any, key: tuple[str, ...] = ("name",)) -> Table:
    return Table("table", merged("table", [Leaf(f"read.{n}", output) for n, output in enumerate(outputs, 1)], key=key))


def rows_of_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


class TestFiles:
    def test_cells_survive_commas_quotes_line_breaks_and_other_scripts(self) -> None:
        found = table({"name": 'a "b", c', "note": "one\r\ntwo"}, {"name": "日本 Ünï", "note": None, "n": [1, "x"]})

        content = csv_bytes(found)
        assert content.startswith(b"\xef\xbb\xbf")
        assert rows_of_csv(content) == [
            ["name", "note", "n"],
            ['a "b", c', "one\ntwo", ""],
            ["日本 Ünï", "", "1; x"],
        ]
        assert [json.loads(line) for line in jsonl_bytes(found).decode().splitlines()] == list(found.rows)

    def test_ascii_has_no_byte_order_mark(self) -> None:
        assert csv_bytes(table({"name": "a", "n": True})) == b"name,n\r\na,true\r\n"

    @pytest.mark.parametrize(
        "cell", ["=1+1", "+SUM(A1)", "-2+3+cmd|' /C calc'!A0", "@x", "\t=1", "\r=1", " =1", "＝1", "--"]
    )
    def test_no_cell_is_run_as_a_formula(self, cell: str) -> None:
        assert guarded(cell).startswith("'")
        assert json.loads(jsonl_bytes(table({"name": cell})))["name"] == cell

    @pytest.mark.parametrize("cell", ["-5", "-5.25", "+3 %", "-1,234.5", "-", "1-2", "", "a=b", "-1e-5", "+7"])
    def test_numbers_and_plain_texts_stay_as_they_are(self, cell: str) -> None:
        assert guarded(cell) == cell

    def test_conflicts_have_a_column_of_their_own(self) -> None:
        found = table({"name": "a", "n": 1}, {"name": "a", "n": 2}, {"name": "b", "n": 3})

        assert rows_of_csv(csv_bytes(found)) == [
            ["name", "n", "_conflicts"],
            ["a", "1", "n: 2 [read.2]"],
            ["b", "3", ""],
        ]
        first, second = map(json.loads, jsonl_bytes(found).splitlines())
        assert first["_conflicts"] == [{"field": "n", "values": [{"value": 2, "steps": ["read.2"]}]}]
        assert second == {"name": "b", "n": 3}

    @given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(max_size=8), max_size=3), max_size=4))
    def test_every_row_is_one_line_and_one_record(self, rows: list[dict[str, str]]) -> None:
        found = table(rows, key=())

        lines = jsonl_bytes(found).decode().splitlines()
        assert [json.loads(line) for line in lines] == list(found.rows)
        assert len(rows_of_csv(csv_bytes(found))) == len(found.rows) + 1 or not found.fields


class TestText:
    def test_each_row_cites_its_steps_and_cells_cite_nothing(self) -> None:
        found = table({"name": "a|b [read.9]", "n": 1}, {"name": "A|B [read.9]", "n": 2}, {"name": "c", "n": None})

        assert table_text(found) == (
            "| name | n | sources |\n"
            "| --- | --- | --- |\n"
            "| a\\|b \\[read.9\\] | 1 | [read.1, read.2] |\n"
            "| c |  | [read.3] |\n\n"
            "## Conflicts\n\n- a\\|b \\[read.9\\], n: 1 [read.1] or 2 [read.2]"
        )

    def test_a_long_table_is_cut_and_says_where_the_rest_is(self) -> None:
        text = table_text(table([{"name": n} for n in range(SHORT + 1)]))

        assert text.count("[read.1]") == HEAD
        assert f"These are {HEAD} of {SHORT + 1} rows. All rows are in `table.csv`" in text
        assert table_text(table([{"name": n} for n in range(SHORT)])).count("[read.1]") == SHORT

    def test_empty_cells_are_listed_up_to_a_number(self) -> None:
        schema: dict[str, Any] = {"type": "array", "items": {"type": "object", "properties": {}, "required": ["n"]}}
        found = merged("table", [Leaf("a", [{"name": n} for n in range(LISTED + 5)])], key=("name",), schema=schema)
        text = table_text(Table("table", found))

        assert "## Empty cells\n\n- 0: n\n- 1: n\n" in text
        assert text.endswith("- … and 5 more")


@pytest.mark.anyio
class TestRuns:
    async def test_it_is_in_the_report_in_the_json_and_in_files(self, tmp_path: Path) -> None:
        names = ("report.md", "rows.csv", "rows.jsonl", "out.json")
        result = await run_with(reader(), facts(tmp_path, output=names))

        assert result.table == tuple(ROWS)
        assert result.report is not None
        assert result.report.table == tuple(ROWS)
        assert result.report.text == (tmp_path / "report.md").read_text(encoding="utf-8")
        assert result.report.text.startswith("| name | licence | sources |")
        assert result.report.sources["c1"] == ("read.1", "read.3")
        rows = [["name", "licence", "_conflicts"], ["Alpha", "MIT", "licence: BSD [read.3]"], ["Beta", "", ""]]
        assert rows_of_csv((tmp_path / "rows.csv").read_bytes()) == rows
        assert rows_of_csv((result.folder / "table.csv").read_bytes()) == rows
        assert len((tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()) == 2
        written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["report"]
        assert written["table"] == ROWS
        notes = written["table_notes"]
        assert notes["sources"] == [["read.1", "read.3"], ["read.2"]]
        assert notes["gaps"] == [{"row": 1, "key": {"name": "Beta"}, "field": "licence"}]
        assert notes["conflicts"][0]["values"][1] == {"value": "BSD", "steps": ["read.3"]}

    async def test_a_report_after_the_table_leaves_the_table_as_it_is(self, tmp_path: Path) -> None:
        report = Step(id="report", agent="reducer", needs=("table",))
        model = Model({"Find the facts": fact_of, "Write the report": "Two libraries [table]."})  # type: ignore[dict-item]
        result = await run_with(model, facts(tmp_path, READ, TABLE, report, output="rows.csv"))

        assert result.report is not None
        assert result.report.text.startswith("Two libraries [table].")
        assert result.table == tuple(ROWS)
        assert rows_of_csv((tmp_path / "rows.csv").read_bytes())[1][0] == "Alpha"

    async def test_typed_steps_give_a_table_without_a_merge(self, tmp_path: Path) -> None:
        report = Step(id="report", agent="reducer", needs=("read",))
        model = Model({"Find the facts": fact_of, "Write the report": "Three [read.1]."})  # type: ignore[dict-item]
        result = await run_with(model, facts(tmp_path, READ, report, goal="Report"))

        assert result.table is not None
        assert [row["name"] for row in result.table] == ["Alpha", "Beta", "ALPHA"]

    async def test_one_failed_step_costs_neither_the_table_nor_the_file(self, tmp_path: Path) -> None:
        report = Step(id="report", agent="reducer", needs=("read",))
        model = Model({"Find the facts": lambda request: fact_of(request, "c.md"), "Write the report": "Two [read.1]."})
        result = await run_with(model, facts(tmp_path, READ, report, output="rows.csv"))

        assert (result.status, result.table) == ("partial", tuple(ROWS))
        assert rows_of_csv((tmp_path / "rows.csv").read_bytes())[1][0] == "Alpha"

    async def test_a_list_is_a_table_of_one_column_with_its_sources(self, tmp_path: Path) -> None:
        names = READ.model_copy(update={"output": {"type": "string"}})
        listed = Step(id="names", merge="list", needs=("read",))
        model = Function(lambda request: json.dumps(FACTS[next(iter(data_in(request, "input")))][0]))
        result = await run_with(model, facts(tmp_path, names, listed, output="names.csv"))

        assert result.report is not None
        assert result.report.value == ["Alpha", "Beta"]
        assert "| Alpha | [read.1, read.3] |" in result.report.text
        assert (tmp_path / "names.csv").read_bytes() == b"value\r\nAlpha\r\nBeta\r\n"

    async def test_a_run_of_texts_has_no_table(self, tmp_path: Path) -> None:
        result = await run_with(Model(), Task(plan=Plan(steps=(Step(id="a", prompt="x"),)), folder=tmp_path))

        assert result.table is None
        assert result.report is not None
        assert "table" not in json.dumps(result.to_dict()["report"])

    async def test_an_empty_table_is_a_file_with_its_head(self, tmp_path: Path) -> None:
        none = READ.model_copy(update={"output": {"type": "array", "items": READ.output}})
        result = await run_with(Function(lambda _: "[]"), facts(tmp_path, none, TABLE, output="rows.csv"))

        assert (result.status, result.table) == ("done", ())
        assert (tmp_path / "rows.csv").read_bytes() == b"name,licence\r\n"

    async def test_rows_are_written_although_the_report_failed(self, tmp_path: Path) -> None:
        more = Step(id="more", prompt="Write more.", needs=("table",), output={"type": "string"})
        model = Model({"Find the facts": fact_of, "Write more": RuntimeError("down")})  # type: ignore[dict-item]
        result = await run_with(model, facts(tmp_path, READ, TABLE, more, output=("report.md", "rows.csv")))

        assert (result.report, result.exit_code) == (None, 1)
        assert rows_of_csv((tmp_path / "rows.csv").read_bytes())[1][0] == "Alpha"
        assert "there is no report" in result.unwritten[0]

    async def test_a_plan_without_rows_is_refused_before_the_first_call(self, tmp_path: Path) -> None:
        texts = READ.model_copy(update={"output": None})
        with pytest.raises(PlanError, match="no step of the plan gives rows"):
            await prepare(facts(tmp_path, texts, output="rows.csv"), Options(endpoint="offline"))
        await prepare(facts(tmp_path, texts, output="report.md"), Options(endpoint="offline"))
        with pytest.raises(TaskError, match=r"the name must end in \.md"):
            await prepare(facts(tmp_path, texts, output="rows.tsv"), Options(endpoint="offline", outputs=["rows.tsv"]))

    async def test_a_planner_learns_that_a_table_is_needed(self, tmp_path: Path) -> None:
        texts = {"steps": [{"id": "read", "each": "inputs", "prompt": "Find the facts."}]}
        rows = {"steps": [READ.model_dump(mode="json", exclude_defaults=True)]}
        plans = iter([texts, rows])
        read = reader()

        async def answer(request: Any) -> Any:
            return json.dumps(next(plans)) if request.purpose == "plan" else await read.complete(request)

        this = facts(tmp_path, output="rows.csv").model_copy(update={"plan": None})
        result = await run_with(Function(answer), this)

        assert result.status == "done"
        assert [row["name"] for row in result.table or ()] == ["Alpha", "Beta", "ALPHA"]
        assert next(plans, None) is None


class TestDefaultEnd:
    brief = Brief(roles=ROLES, inputs=(InputBrief(name="a.md", medium="text", size=1),), table="asked")

    def ends(self, *steps: Step, **changes: Any) -> Step:
        return lint(Plan(steps=steps), self.brief.model_copy(update=changes)).steps[-1]

    def test_rows_are_joined_where_a_table_is_wanted(self) -> None:
        assert self.ends(READ) == Step(id="table", merge="table", after=("read",))
        assert self.ends(READ, table=None).agent == "reducer"

    def test_texts_and_other_ends_are_reduced_as_before(self) -> None:
        assert self.ends(READ.model_copy(update={"output": None})).agent == "reducer"
        assert self.ends(READ, Step(id="poem", prompt="Write a poem.")).agent == "reducer"
        assert self.ends(READ, TABLE).id == "table"
        assert closed((READ,))[-1].agent == "reducer"

    def test_an_added_step_has_an_id_of_its_own(self) -> None:
        assert self.ends(READ.model_copy(update={"id": "table"})).id == "table-all"

    @pytest.mark.parametrize(
        ("goal", "has_file", "expected"),
        [
            ("Make a TABLE of it.", False, "asked"),
            ("Who was stable?", False, None),
            ("Eine Tabelle, bitte", False, "asked"),
            ("Who?", True, "file"),
        ],
    )
    def test_words_of_a_goal(self, goal: str, has_file: bool, expected: str | None) -> None:
        assert wanted_table(Task(goal=goal), {"table_words": "table, tabelle"}, has_file=has_file) == expected
        assert wanted_table(Task(goal=goal), {}, has_file=False) is None
