"""The page of a run: what it shows, that every text in it is escaped, and that nothing in it loads or runs anything."""

import ast
import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarm
from swarm.record.folder import RunFolder
from swarm.results.lanes import bars
from swarm.results.timeline import Timeline
from swarm.spec.plan import Step
from swarm.views.page import page as page_module
from swarm.views.page.boxes import SMALL, fold
from swarm.views.page.details import MOST_LINKS
from swarm.views.page.drawing import MOST_BOXES, graph_svg
from swarm.views.page.gantt import MOST_BARS, gantt_svg
from swarm.views.page.html import Html, esc, html
from swarm.views.page.layout import BOX_WIDTH, layout
from swarm.views.page.style import policy, script, style
from tests.commands import Command, in_process, make_task, only_run
from tests.models import Model
from tests.pages import opened, record
from tests.swarms import Sleeper, run_virtually, steps, workers

PACKAGE = Path(page_module.__file__).parent
PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '<a href="javascript:alert(1)">x</a>',
    "[x](javascript:alert(1)) ![i](http://evil.example/p.png) <http://evil.example>",
    *("<!--", "]]>", "&lt;script&gt;", "{}{.__class__}", "\ue0001\ue001", "</title><base href=//e>"),
    "\x1b]52;c;x\x07\x00\u202e",
)
TAGS = frozenset(
    {"html", "head", "meta", "title", "style", "body", "header", "p", "span", "h1", "h2", "h3", "h4", "h5", "h6", "dl"}
    | {"dt", "dd", "div", "small", "section", "aside", "nav", "ul", "ol", "li", "a", "main", "details", "summary"}
    | {"table", "thead", "tbody", "tr", "th", "td", "br", "hr", "pre", "code", "em", "strong", "blockquote", "label"}
    | {"input", "output", "svg", "g", "path", "rect", "text", "line", "footer", "script", "meter", "b", "i"}
)
ATTRIBUTES = frozenset(
    {"lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "title", "aria-label", "aria-hidden"}
    | {"aria-live", "role", "tabindex", "hidden", "open", "type", "scope", "data-v", "width", "height", "viewbox", "d"}
    | {"x", "y", "rx", "x1", "x2", "y1", "y2", "transform", "min", "max", "value"}
)


class Parsed(HTMLParser):
    """A page as a browser's parser sees it: its tags, attributes and texts."""

    VOID = frozenset({"meta", "br", "hr", "input", "path", "rect", "line"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute."""
        return [value for found, value in self.attributes if found == name]


def page_of(folder: RunFolder, **more: Any) -> str:
    found = opened(folder)
    return page_module.page(found.found, found.result, **more)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of ten steps."""
    return record(tmp_path_factory.mktemp("ten"), 10)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of a hundred steps, of which some failed."""
    return record(tmp_path_factory.mktemp("many"), 100)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


class TestMarkup:
    @pytest.mark.parametrize("payload", PAYLOADS)
    def test_threat_s26_a_text_is_never_markup(self, payload: str) -> None:
        made = html('<p title="{}">{}</p>', payload, payload)
        parsed = Parsed(made)
        assert parsed.tags == {"p"}
        assert {name for name, _ in parsed.attributes} == {"title"}

    @given(st.text())
    def test_an_escaped_text_has_nothing_that_a_parser_reads(self, text: str) -> None:
        made = esc(text)
        assert not re.search(r"[<>\"']|&(?!(amp|lt|gt|quot|#x27);)", made)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", made)
        assert isinstance(esc(html("<b>{}</b>", text)), Html)

    def test_markup_is_made_by_one_function_from_literals(self) -> None:
        """No other file of the package constructs markup, and no other text in it has a tag."""
        for path in sorted(PACKAGE.glob("*.py")):
            if path.name == "html.py":
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
            assert "Html" not in names, path
            allowed = set(map(id, templates(tree)))
            tags = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search("<[a-z/!]", node.value)
                if id(node) not in allowed
            ]
            assert tags == [], path


def templates(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the constants that are the first argument of `html`, and those of the table of tags."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "html" and node.args:
            assert isinstance(node.args[0], ast.Constant | ast.Subscript), ast.unparse(node)
            yield node.args[0]
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_TAGS":
            assert "LiteralString" in ast.unparse(node.annotation)
            yield from ast.walk(node)


class TestPage:
    def test_it_is_one_file_that_loads_nothing_and_allows_its_own_style_and_script_only(self, many: RunFolder) -> None:
        text = page_of(many)
        parsed = Parsed(text)
        assert parsed.tags <= TAGS
        assert {name for name, _ in parsed.attributes} <= ATTRIBUTES
        assert [link for link in parsed.values("href") if not link.startswith("#")] == []
        assert policy() in parsed.values("content")
        for tag, kept in (("style", style()), ("script", script())):
            (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
            assert inside == kept
            digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy()
        assert "default-src 'none'" in policy()
        assert len(script().encode()) <= 1000
        assert not re.search(r"url\(|@import|https?:", style())

    @pytest.mark.parametrize("name", ["ten", "many"])
    def test_every_link_leads_to_a_place_that_is_there_once(self, name: str, request: pytest.FixtureRequest) -> None:
        parsed = Parsed(page_of(request.getfixturevalue(name)))
        places = parsed.values("id")
        assert len(places) == len(set(places))
        missing = {link for link in parsed.values("href") if link != "#-" and link.removeprefix("#") not in places}
        assert missing == set()

    def test_ids_of_places_are_ordinals(self, many: RunFolder) -> None:
        names = {re.sub(r"\d+$", "#", place) for place in Parsed(page_of(many)).values("id")}
        sections = {name for name, _ in page_module.SECTIONS}
        assert names <= sections | {"s#", "g#", "k#", "f", "t"}

    def test_the_report_cites_steps_and_marks_its_claims(self, ten: RunFolder) -> None:
        text = page_of(ten)
        found = opened(ten)
        order = found.found.state.steps["study-lucene"].order
        assert f'<span class="cite">[<a href="#s{order}">study-lucene</a>]</span>' in text
        claims = found.result.report.claims if found.result.report else ()
        doubtful = [n for n, claim in enumerate(claims) if claim.evidence == "unsupported"]
        assert doubtful
        for n in doubtful:
            assert f'class="mark unsupported" href="#k{n}"' in text
        cited = sum(bool(claim.steps) for claim in claims)
        assert len(re.findall(r'<a class="mark \w+" href="#k\d+"', text)) == cited
        assert "\ue000" not in text

    def test_every_step_has_a_panel_and_a_row(self, many: RunFolder) -> None:
        text = page_of(many)
        state = opened(many).found.state
        for s in state.steps.values():
            assert text.count(f'id="s{s.order}"') == 1
        rows = re.search(r'<table id="t".*?</table>', text, re.S)
        assert rows is not None
        assert rows[0].count("<tr>") == len(list(state.real_steps())) + 1
        failed = next(s for s in state.real_steps() if s.status == "failed")
        panel = text[text.index(f'id="s{failed.order}"') :].split("</section>")[0]
        assert "the answer was refused by a filter" in panel

    def test_a_cut_text_leads_to_the_page_of_its_step(self, tmp_path: Path) -> None:
        model = Model({"Long": "word " * 10_000})
        plan = [{"id": "long", "prompt": "Long."}]
        folder = record(tmp_path, 1, model, plan={"steps": plan}, goal="Long?")
        text = page_of(folder, base="../")
        links = re.findall(r'href="(\.\./[^"]+)"', text)
        assert links
        for link in links:
            assert (folder.path / link.removeprefix("../")).is_file()

    def test_a_run_without_steps_and_one_without_a_report_have_a_page(self, tmp_path: Path) -> None:
        refused = Model({"": ValueError("no")})
        folder = record(tmp_path, 1, refused, plan={"steps": [{"id": "one", "prompt": "Do."}]}, goal="x")
        text = page_of(folder)
        Parsed(text)
        assert "There is no report." in text


class TestHostile:
    def test_threat_s26_hostile_texts_are_shown_and_inert(self, tmp_path: Path) -> None:
        payload = " ".join(PAYLOADS)
        blocks = (
            f"# {payload}",
            f"- {payload} has 12 MB [one].",
            f"```\n{payload}\n```",
            f"| a |\n|---|\n| {payload} |",
        )
        said = "\n\n".join((*blocks, payload))
        two = {"id": "two", "prompt": payload, "needs": ["one"]}
        plan = {"steps": [{"id": "one", "prompt": f"Do. {payload}"}, two]}
        folder = record(tmp_path, 2, Model({"": said}), plan=plan, goal=f"What? {payload}")
        text = page_of(folder)
        parsed = Parsed(text)
        assert parsed.tags <= TAGS
        assert {name for name, _ in parsed.attributes} <= ATTRIBUTES
        assert [link for link in parsed.values("href") if not link.startswith("#")] == []
        shown = "".join(parsed.texts)
        for part in ("<script>alert(1)</script>", "![i](http://evil.example/p.png)", "javascript:alert(1)"):
            assert part in shown
        assert not re.search(r"[\x00-\x08\x1b\u202e]", text)
        claims = opened(folder).result.report
        assert claims is not None
        assert len(re.findall('<a class="mark', text)) == sum(bool(claim.steps) for claim in claims.claims)


def folded(graph: str, sleeper: Sleeper | None = None) -> Any:
    ran = run_virtually(steps(graph), sleeper or Sleeper(), workers(500))
    timeline = Timeline(ran.state)
    return fold(timeline, timeline.longest(timeline.seconds).steps)


class TestGraph:
    def test_alike_siblings_are_one_box_and_failed_and_critical_ones_are_not(self) -> None:
        names = [f"read{n}" for n in range(40)]
        graph = " ".join(["plan", *(f"{name}:plan" for name in names), "end:+" + ",".join(names)])
        failing = {"read3": ValueError("no"), "read9": ValueError("no")}
        found = folded(graph, Sleeper({"read5": 9.0}, failing))
        sizes = sorted(len(box.steps) for box in found.boxes)
        assert sizes == [1, 1, 1, 1, 1, 37]
        alone = {box.first.id for box in found.boxes if len(box.steps) == 1}
        assert alone == {"plan", "end", "read3", "read5", "read9"}
        assert len(found.edges) == 8

    def test_chains_side_by_side_are_one_chain(self) -> None:
        graph = " ".join(f"a{n} b{n}:a{n} c{n}:b{n}" for n in range(20))
        found = folded(graph + " end:" + ",".join(f"c{n}" for n in range(20)), Sleeper({"a7": 2.0}))
        assert sorted(len(box.steps) for box in found.boxes) == [1, 1, 1, 1, 19, 19, 19]

    def test_a_small_graph_shows_every_step(self) -> None:
        found = folded(" ".join(f"s{n}" for n in range(SMALL)))
        assert len(found.boxes) == SMALL

    @given(st.integers(0, 2**32), st.integers(1, 40))
    def test_boxes_never_overlap_and_edges_go_to_the_right(self, seed: int, count: int) -> None:
        import random

        rng = random.Random(seed)
        words = [
            f"s{n}:" + ",".join({f"s{rng.randrange(n)}" for _ in range(rng.randint(0, 3))} if n else ())
            for n in range(count)
        ]
        found = folded(" ".join(words))
        placed = layout(found)
        places = list(placed.boxes)
        for n, (x, y) in enumerate(places):
            assert 0 <= x <= placed.width - BOX_WIDTH
            assert -0.01 <= y <= placed.height - placed.box_height + 0.01
            for other_x, other_y in places[n + 1 :]:
                assert x != other_x or abs(y - other_y) >= placed.box_height
        for (source, target), points in zip(found.edges, placed.edges, strict=True):
            assert points[0][0] == places[source][0] + BOX_WIDTH
            assert points[-1][0] == places[target][0]
            assert all(before[0] <= after[0] for before, after in pairwise(points))

    def test_too_many_boxes_are_stacked_bars(self) -> None:
        failing = {f"s{n}": ValueError("no") for n in range(MOST_BOXES + 1)}
        found = folded(" ".join(f"s{n}" for n in range(MOST_BOXES + 1)), Sleeper({}, failing))
        made = graph_svg(found, lambda _: "#steps", lambda _: 1.0)
        assert 0 < made.count("<rect") < 10
        assert f"{MOST_BOXES + 1} steps of worker, failed" in made


class TestTime:
    def test_many_short_bars_are_merged_and_failed_ones_are_not(self) -> None:
        count = MOST_BARS + 500
        failing = {"s7": ValueError("no")}
        ran = run_virtually((Step(id=f"s{n}") for n in range(count)), Sleeper({}, failing), workers(2))
        timeline = Timeline(ran.state)
        made = gantt_svg(bars(timeline), (), ran.state.t, lambda _: "#steps", frozenset())
        assert made.count("<rect") < MOST_BARS
        assert 'class="bar failed"' in made

    def test_the_waiting_and_the_calls_share_the_axis(self, many: RunFolder) -> None:
        text = page_of(many)
        assert "waiting for a worker" in text
        assert "calls at scripted" in text


class TestCommand:
    def test_it_writes_the_page_into_the_folder_of_the_run_or_to_a_file(self, empty: Path, run: Command) -> None:
        make_task(empty)
        assert run("run", "--quiet", "--output", "page.html").code == 0
        folder = only_run(empty)
        said = run("report")
        assert (said.code, said.out.strip()) == (0, str(folder.relative_to(empty) / "report.html"))
        assert (folder / "report.html").stat().st_mode & 0o777 == 0o600
        assert run("report", "-o", "sub/mine.html").out == "sub/mine.html\n"
        plain = (folder / "report.html").read_text()
        assert (empty / "sub" / "mine.html").read_text() == plain
        assert (empty / "page.html").read_text() == plain
        assert run("export", "--format", "html").out == plain
        assert run("report", "-o", "notes/mail.md").code == 2

    def test_a_file_that_is_no_page_is_refused_with_the_command_that_writes_it(self, empty: Path, run: Command) -> None:
        said = run("report", "last", "-o", "x.txt")
        assert said.code == 2
        assert "swarm export -o x.txt" in said.err
        assert not Path("x.txt").exists()

    def test_the_page_of_a_running_run_says_so(self, many: RunFolder, run: Command) -> None:
        lines = many.journal.read_bytes().splitlines(keepends=True)
        part = many.path.parent / "part"
        part.mkdir(exist_ok=True)
        (part / "journal.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
        text = run("export", str(part), "--format", "html").out
        assert '<span class="badge stopped">stopped</span>' in text
        Parsed(text)


def test_a_long_list_of_links_is_cut(many: RunFolder) -> None:
    panel = page_of(many).split('id="s')[-1]
    assert panel.count('<a href="#s') < 10 * MOST_LINKS


def test_numbers_of_panels_do_not_depend_on_ids(tmp_path: Path) -> None:
    plan = (Step(id="a.b_c-d", prompt="Do."),)
    result = swarm.run_sync(swarm.Task(goal="x", plan=plan, folder=tmp_path), endpoint=Model({"": "It is."}))
    assert 'id="s0"' in page_of(RunFolder(result.folder))
