"""The examples with tools, with a scripted model that calls them as a real one would."""

import csv
import re
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.cli.reading import exported
from swarm.record.folder import RunFolder
from swarm.spec.chat import Request
from swarm.testing import Function, reply
from tests.models import events_of, own_prompt

FOLDER = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.anyio


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "examples", ignore=shutil.ignore_patterns(".swarm", "metadata"))
    return tmp_path / "examples"


def results(request: Request) -> list[str]:
    """Return the results of tools that a conversation holds."""
    return [message.text for message in request.messages if message.role == "tool"]


async def test_a_question_over_a_folder_is_answered_with_grep(examples: Path) -> None:
    def model(request: Request) -> Any:
        found = results(request)
        if not found:
            return reply(calls=[("grep_files", {"text": "GB of memory"}), ("list_files", {})])
        if len(found) == 2:
            lines = [line for line in found[0].splitlines() if "12 GB" in line or "16 GB" in line]
            names = sorted({line.partition(":")[0].strip() for line in lines})
            return reply(calls=[("read_file", {"name": name}) for name in names])
        assert all("Tomasz" in text or "16 GB" in text for text in found[2:])
        return "Search needs 12 GB and Builds need 16 GB of memory. [find]"

    result = await swarm.run(examples / "tools" / "handbook.yaml", endpoint=Function(model), cache=False)
    assert result.status == "done"
    assert "16 GB" in result.text
    called = [
        call.name
        for event in events_of(result.folder)
        for message in getattr(event, "messages", ())
        for call in message.tool_calls
    ]
    assert called == ["grep_files", "list_files", "read_file", "read_file"]


async def test_it_runs_without_a_model_too(examples: Path) -> None:
    result = await swarm.run(examples / "tools" / "handbook.yaml", endpoint="offline", cache=False)
    assert result.exit_code == 0
    assert "12 GB" in result.text


# An analyst's question over CSV files

REVENUE = """
import csv, glob
rows = []
for name in sorted(glob.glob("/inputs/data/*.csv")):
    rows += [row | {"quarter": name[-6:-4]} for row in csv.DictReader(open(name))]
known = [row for row in rows if row["units"]]
print(len(rows) - len(known), "row without units:", [row for row in rows if not row["units"]][0]["month"])
change = {}
for row in known:
    sign = 1 if row["quarter"] == "q2" else -1
    change[row["region"]] = change.get(row["region"], 0) + sign * int(row["units"]) * float(row["price_eur"])
"""
CHART = """
bars = ""
for n, (region, value) in enumerate(sorted(change.items())):
    bars += f'<rect x="{60 * n}" y="{100 - max(0, value) / 100}" width="50" height="{abs(value) / 100}"/>'
    bars += f'<text x="{60 * n}" y="15">{region} {value:.0f}</text>'
with open("chart.svg", "w") as file:
    file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 200">{bars}</svg>')
f"{min(change, key=change.get)} changed by {min(change.values()):.2f} EUR"
"""
MONTHS = """
lost = [row for row in known if row["region"] == "south"]
"; ".join(f"{row['month']} {row['product']} {row['units']}" for row in lost)
"""


def analyst(request: Request) -> Any:
    """Work as the analyst would: look, calculate in two calls that share variables, then say what was found."""
    if not request.tools:
        return "South lost most revenue [figures], in both products [cause]."
    found, draws = results(request), "bar chart" in own_prompt(request)
    codes = [REVENUE, CHART] if draws else [REVENUE, MONTHS]
    if not found:
        return reply(calls=[("list_files", {})])
    if len(found) <= len(codes):
        return reply(calls=[("python", {"code": codes[len(found) - 1]})])
    return "\n".join(line for text in found[1:] for line in text.splitlines() if "data" not in line)


async def test_an_analyst_calculates_over_csv_files_and_leaves_a_chart(examples: Path) -> None:
    result = await swarm.run(examples / "analyst" / "task.yaml", endpoint=Function(analyst), cache=False)
    assert result.status == "done", result.errors
    change: Counter[str] = Counter()
    for name, sign in (("q1", -1), ("q2", 1)):
        with (examples / "analyst" / "data" / f"sales-{name}.csv").open() as file:
            for row in csv.DictReader(file):
                change[row["region"]] += sign * int(row["units"] or 0) * Decimal(row["price_eur"])  # type: ignore[assignment]
    figures = str(result.outputs["figures"])
    assert "1 row without units: 2026-05" in figures
    assert f"south changed by {change['south']:.2f} EUR" in figures
    assert min(change, key=lambda region: change[region]) == "south"
    assert "2026-05 desk 26" in str(result.outputs["cause"])
    [chart] = [made for made in result.media if made.name == "chart.svg"]
    drawn = chart.path.read_text()
    assert re.findall(r">(\w+) -?\d+</text>", drawn) == ["east", "north", "south", "west"]
    assert f"south {change['south']:.0f}<" in drawn
    page = exported(RunFolder(result.folder)).content("html").decode()
    assert f"artifacts/{chart.sha256}" in page
    assert "chart.svg: image/svg+xml" in page


async def test_the_analysts_task_runs_without_a_model_too(examples: Path) -> None:
    result = await swarm.run(examples / "analyst" / "task.yaml", endpoint="offline", cache=False)
    assert result.exit_code in (0, 3)
