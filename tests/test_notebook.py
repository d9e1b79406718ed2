"""Values in a notebook: short texts, HTML in which nothing of others is markup, and a cell that shows a run."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import swarm
from swarm.forecast.simulate import course_of
from swarm.forecast.widths import simulate_widths
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.record.state import State
from swarm.spec.plan import Plan, Step
from swarm.views.board import Board
from swarm.views.notebook import NotebookCell, bundle, cell, result_html, state_html
from tests.models import WIDE, Model, four, run_with, task, write_notes
from tests.swarms import Sleeper, run_virtually, steps

pytestmark = pytest.mark.anyio
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></svg><b>",
    "javascript:x",
    "\x1b[31m",
    "]]>",
)
ALLOWED = {
    "div", "b", "br", "span", "table", "thead", "tbody", "tr", "td", "th", "pre", "svg", "title", "rect", "text",
    "path", "g", "polyline", "circle", "style", "section", "p", "i", "a", "h2", "h3", "h4", "ul", "li", "code", "em",
    "strong", "line", "sup", "small", "blockquote", "ol", "hr",
}  # fmt: skip


class Reader(HTMLParser):
    """Reads markup, and notes its tags and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}


def is_inert(html: str) -> None:
    """Check that markup has only tags and attributes that do nothing."""
    read = Reader(html)
    assert read.tags <= ALLOWED
    assert not {name for name in read.names if name.startswith("on") or name in ("href", "src", "srcdoc")}
    assert "\x1b" not in html


class Shell:
    """A shell of a kernel that notes what is published."""

    def __init__(self) -> None:
        self.kernel = object()
        self.execution_count = 1
        self.published: list[tuple[dict[str, str], str, bool]] = []
        self.display_pub = SimpleNamespace(publish=self._publish)

    def _publish(self, data: dict[str, str], *, transient: dict[str, str], update: bool) -> None:
        self.published.append((data, transient["display_id"], update))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_notes(tmp_path)


class TestReprs:
    async def test_they_are_one_short_line(self, folder: Path) -> None:
        run = Run(task(folder), options=Options(endpoint=Model(plan=WIDE)))
        assert repr(run) == "<Run: not started>"
        async with run:
            pass
        name = run.folder.run
        assert repr(run) == f"<Run {name}: done, 8 steps>"
        tokens = f"{run.state.usage.tokens:,} tokens"
        assert repr(run.result) == f"<Result of run {name}: done, 8 of 8 steps done, {tokens}>"
        assert repr(run.state) == f"<State of run {name}: done, 8 of 8 steps done>"
        assert repr(Plan(steps=steps("a b:a"))) == "<Plan: 2 steps>"


class TestHtml:
    async def test_a_result_has_its_report_its_graph_and_its_time(self, folder: Path) -> None:
        result = await run_with(Model(plan=WIDE), task(folder))
        html = bundle(result)["text/html"]
        is_inert(html)
        assert "done: 8 of 8 steps done" in html
        assert html.count("<svg") == 2
        assert "Graph of steps" in html
        assert "Read notes/lucene.md.: " in html
        rules = re.search(r"<style>(.*)</style>", html, re.DOTALL)
        assert rules is not None
        selectors = re.findall(r"([^{}]+){", re.sub(r"@[^{]*{", "", rules[1]))
        assert len(selectors) > 50
        every = [each.strip() for group in selectors for each in re.split(r",(?![^(]*\))", group)]
        assert [each for each in every if not each.startswith(".swarm-run")] == []

    async def test_what_models_wrote_is_text(self, folder: Path) -> None:
        for words in HOSTILE:
            said = {"Do a": words, "Do d": f"{words} [a]"}
            this = four(folder).model_copy(update={"goal": words})
            result = await run_with(Model(said), this, cache=False)
            is_inert(result_html(result))
            is_inert(state_html(recorded(RunFolder(result.folder)).state, 9.0, Board(lambda: 9.0)))

    def test_ids_and_prompts_of_a_plan_are_text(self) -> None:
        plan = Plan(steps=tuple(Step(id=f"s{n}", prompt=words) for n, words in enumerate(HOSTILE)))
        html = bundle(plan)["text/html"]
        is_inert(html)
        assert "&lt;script&gt;" in html
        assert "<svg" in html

    def test_an_invalid_plan_has_a_table_and_no_graph(self) -> None:
        html = bundle(Plan(steps=(Step(id="a", prompt="A", needs=("gone",)),)))["text/html"]
        assert "<svg" not in html
        assert ">gone<" in html

    def test_a_running_state_shows_its_agents(self) -> None:
        state = State()
        state.apply(e.RunStarted(run="r", trace="", versions={}, task={"goal": "Which <b>?"}, agents=()))
        state.apply(e.StepsAdded(by="task", steps=steps("a b:a")))
        state.apply(e.StepStarted(step="a", attempt=1, span="s", model="m", t=1.0))
        html = state_html(state, 42.0, Board(lambda: 42.0))
        is_inert(html)
        assert "Which &lt;b&gt;?" in html
        assert ">working<" in html
        assert ">41 s<" in html

    async def test_a_result_whose_folder_is_gone_still_shows_its_report(self, folder: Path) -> None:
        result = await run_with(Model(plan=WIDE), task(folder))
        RunFolder(result.folder).journal.unlink()
        html = bundle(result)["text/html"]
        assert "Report" in html
        assert "<svg" not in html

    def test_widths_are_a_curve_and_a_table(self) -> None:
        ran = run_virtually(steps("a b:a c:a"), Sleeper())
        html = bundle(simulate_widths(course_of(ran.state), [1, 2, None]))["text/html"]
        is_inert(html)
        assert "polyline" in html
        assert "1.5×" in html


class TestCell:
    async def test_a_run_is_shown_in_place_and_ends_as_its_result(self, folder: Path) -> None:
        shell: Any = Shell()
        view = NotebookCell(shell)
        run = Run(task(folder), options=Options(endpoint=Model(plan=WIDE)))
        async with run:
            await view.follow(run)
        view.end(run.result)
        first, last = shell.published[0], shell.published[-1]
        assert [update for _, _, update in shell.published] == [False] + [True] * (len(shell.published) - 1)
        assert len({name for _, name, _ in shell.published}) == 1
        assert "Report" not in first[0]["text/html"]
        assert "Report" in last[0]["text/html"]
        assert last[0]["text/plain"] == repr(run.result)

    async def test_a_display_that_fails_ends_nothing(self, folder: Path) -> None:
        shell: Any = Shell()
        shell.display_pub = None
        view = NotebookCell(shell)
        run = Run(task(folder), options=Options(endpoint=Model(plan=WIDE)))
        async with run:
            await view.follow(run)
        view.end(run.result)
        assert run.result.status == "done"

    async def test_the_result_of_the_same_cell_is_not_shown_twice(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shell: Any = Shell()
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
        result = await swarm.run(task(folder), endpoint=Model(plan=WIDE))
        assert shell.published
        assert "<svg" not in bundle(result)["text/html"]
        shell.execution_count += 1
        assert "<svg" in bundle(result)["text/html"]

    async def test_outside_of_a_kernel_nothing_is_shown(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
        assert cell() is None
        result = await swarm.run(task(folder), endpoint=Model(plan=WIDE))
        assert re.match(r"<Result of run .*: done", repr(result))
