"""The examples with tools, with a scripted model that calls them as a real one would."""

import csv
import functools
import re
import shutil
import threading
from collections import Counter
from decimal import Decimal
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.cli.reading import exported
from swarm.record.folder import RunFolder
from swarm.spec.chat import Request
from swarm.testing import Function, reply
from swarm.tools.web import kit
from swarm.tools.web.fetch import Fetcher
from tests.models import data_in, events_of, own_prompt

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


# A server of somebody else, from PyPI


def clockmaker(request: Request) -> Any:
    """Convert the hours of one office; then find what all have in common, from what the steps wrote."""
    office = re.search(r"working hours of (\w+)", own_prompt(request))
    if office is None and request.tools:
        hours = [
            tuple(map(int, found))
            for found in re.findall(r"from (\d+) to (\d+) minutes", str(data_in(request, "output")))
        ]
        begin, end = max(first for first, _ in hours), min(last for _, last in hours)
        return f"All offices work from {begin // 60:02}:{begin % 60:02} to {end // 60:02}:{end % 60:02} UTC. [hours]"
    if office is None:
        return "All offices work from 08:00 to 09:00 UTC. [meeting]"
    assert [spec.name for spec in request.tools if "clock" in spec.name] == ["clock__convert_time"]
    row = re.search(rf"\| {office[1]} \| (\S+) \| (\S+) \| (\S+) \|", str(data_in(request, "input")))
    assert row is not None
    found = results(request)
    if not found:
        asked = [{"source_timezone": row[1], "time": time, "target_timezone": "UTC"} for time in row.groups()[1:]]
        return reply(calls=[("clock__convert_time", each) for each in asked])
    times = [re.search(r'"target".*?T(\d\d):(\d\d)', text, re.DOTALL) for text in found]
    minutes = [60 * int(time[1]) + int(time[2]) for time in times if time is not None]
    return f"{office[1]} works from {minutes[0]} to {minutes[1]} minutes after midnight UTC."


@pytest.mark.slow  # a server in a box of its own, and the first import of its packages
async def test_a_server_from_pypi_converts_the_hours_of_offices(
    examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Path(str(distribution("mcp-server-time").locate_file("../../../bin"))).resolve()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    result = await swarm.run(examples / "servers" / "task.yaml", endpoint=Function(clockmaker), cache=False)
    assert result.status == "done", result.errors
    assert str(result.outputs["meeting"]).startswith(
        "All offices work from 08:00 to 09:00"
    )  # Lagos begins, Singapore ends
    answered = [
        message.tool_call_id
        for event in events_of(result.folder)
        for message in getattr(event, "messages", ())
        if message.role == "tool"
    ]
    assert len(answered) == 6


# A question over a web site


def _silent(*_: object) -> None:
    """Log nothing."""


def reader(request: Request) -> Any:
    """Follow the links of the station's page, then say what the tables and rules state."""
    if not request.tools:
        return "Pump C needs service first: 120 of its hours are left, at 90 per month. [read]"
    start = re.search(r"Start at (\S+) and", own_prompt(request))
    assert start is not None
    found = results(request)
    if not found:
        return reply(calls=[("web_fetch", {"url": start[1]})])
    if len(found) == 1:
        links = [line.rpartition(" ")[2] for line in found[0].splitlines() if line.startswith("- ") and "//" in line]
        base = start[1].rpartition("/")[0]
        assert links == [f"{base}/{name}.html" for name in ("pumps", "service", "history")]  # not the menu's
        return reply(calls=[("web_fetch", {"url": link}) for link in links[:2]])
    [used] = re.findall(r"C \| M-90 \| (\S+)", found[1])
    [after] = re.findall(r"M-90 after (\S+) hours", found[2])
    return f"Pump C has run {used} hours and needs service after {after} hours."


async def test_a_question_over_a_web_site_follows_its_links(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "Fetcher", functools.partial(Fetcher, pause=0.0))  # the site is ours
    folder = examples / "web"
    serve = functools.partial(SimpleHTTPRequestHandler, directory=str(folder / "site"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", _silent)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as site:
        threading.Thread(target=site.serve_forever, args=(0.02,), daemon=True).start()
        task = folder / "task.yaml"
        task.write_text(task.read_text().replace("127.0.0.1:8765", f"127.0.0.1:{site.server_port}"))
        result = await swarm.run(task, endpoint=Function(reader), cache=False)
        site.shutdown()
    assert result.status == "done", result.errors
    assert str(result.outputs["read"]).startswith("Pump C has run 1,480 hours and needs service after 1,600 hours.")
