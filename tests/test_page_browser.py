"""The page of a run in a real browser: it requests nothing, and can be clicked, filtered, read, printed and heard."""

import base64
import shutil
from pathlib import Path
from typing import Any

import pypdfium2  # pyright: ignore[reportMissingTypeStubs]
import pytest

from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.views.page.page import page
from tests.browser import Browser, axe, browser
from tests.models import Model
from tests.pages import opened, record
from tests.test_page import PAYLOADS
from tests.test_web_page import halved, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # each test starts a browser


def written(folder: RunFolder, to: Path) -> Path:
    """Write the page of a run to a file."""
    found = opened(folder)
    to.write_text(page(found.found, found.result), encoding="utf-8")
    return to


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of a hundred steps."""
    folder = tmp_path_factory.mktemp("hundred")
    return written(record(folder, 100), folder / "page.html")


def is_quiet(found: Browser, file: Path) -> None:
    """Check that a page said nothing, and requested nothing but itself."""
    assert found.console() == []
    assert {address.partition("#")[0] for address in found.requests()} <= {file.resolve().as_uri()}


def shown_panels(found: Browser) -> list[str]:
    return found.run("return [...document.querySelectorAll('.panel')].filter(p => p.checkVisibility()).map(p => p.id)")


def rows(found: Browser) -> list[str]:
    script = (
        "return [...document.getElementById('t').tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[0].innerText)"
    )
    return [text.split()[0] for text in found.run(script)]


def test_links_open_panels_and_nothing_is_requested(hundred: Path) -> None:
    with browser() as found:
        found.open(hundred)
        assert shown_panels(found) == []
        found.run("document.querySelector('.report .cite a').click()")
        (first,) = shown_panels(found)
        place = found.run("return document.querySelector('.report .cite a').getAttribute('href')")
        assert f"#{first}" == place
        found.run("document.querySelector('svg.graph a.box').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        (second,) = shown_panels(found)
        assert second != first
        found.run(f"document.querySelector('#{second} .close').click()")
        assert shown_panels(found) == []
        is_quiet(found, hundred)


def test_a_message_and_a_request_of_a_page_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "loud.html"
    file.write_text("<title>.</title><script>console.error('chrome://me')</script><img src=gone.png>", encoding="utf-8")
    with browser() as found:
        found.open(file)
        messages = found.console()
        assert any("chrome://me" in message for message in messages), messages
        assert any("gone.png" in message for message in messages), messages
        assert any(address.endswith("/gone.png") for address in found.requests())


def test_steps_can_be_filtered_and_sorted(hundred: Path) -> None:
    with browser() as found:
        found.open(hundred)
        everything = rows(found)
        assert len(everything) > 90
        type_in = (
            "const i = document.querySelector('#f input'); i.value = arguments[0]; i.dispatchEvent(new Event('input'))"
        )
        found.run(type_in, "FAILED")
        assert 0 < len(rows(found)) < 10
        assert (
            found.run("return document.querySelector('#f output').value") == f"{len(rows(found))} of {len(everything)}"
        )
        found.run(type_in, "")
        press = "document.querySelectorAll('#t th button')[arguments[0]].click()"
        took = "return [...document.getElementById('t').tBodies[0].rows].map(r => Number(r.cells[10].dataset.v))"
        found.run(press, 10)
        assert found.run(took) == sorted(found.run(took), reverse=True)
        found.run(press, 10)
        assert found.run(took) == sorted(found.run(took))
        found.run(press, 0)
        assert [name for name in rows(found) if name.startswith("read.")][:3] == ["read.1", "read.2", "read.3"]
        is_quiet(found, hundred)


def test_it_is_complete_without_scripts(hundred: Path) -> None:
    with browser() as found:
        found.without_scripts()
        found.open(hundred, "#s3")
        assert shown_panels(found) == ["s3"]
        assert len(rows(found)) > 90
        assert found.run("return document.getElementById('f').checkVisibility()") is False
        is_quiet(found, hundred)


def test_it_follows_dark_and_light_and_is_accessible_in_both(hundred: Path) -> None:
    with browser() as found:
        grounds: set[str] = set()
        for scheme in ("light", "dark"):
            found.media(prefers_color_scheme=scheme)
            found.open(hundred, "#s3")
            grounds.add(found.run("return getComputedStyle(document.body).backgroundColor"))
            found.run(axe())
            result: Any = found.run_async("axe.run(document, {resultTypes: ['violations']}).then(arguments[0])")
            problems = [
                (each["id"], [node["html"][:150] for node in each["nodes"][:3]]) for each in result["violations"]
            ]
            assert problems == []
        assert len(grounds) == 2
        found.run("const i = document.querySelector('#f input'); i.focus()")
        is_quiet(found, hundred)


def test_it_can_be_printed(hundred: Path) -> None:
    with browser() as found:
        found.open(hundred)
        content = base64.b64decode(found.post("print", {"background": False}))
    document = pypdfium2.PdfDocument(content)
    texts = [document[n].get_textpage().get_text_range() for n in range(len(document))]
    whole = "".join(texts)
    assert 3 <= len(document) <= 40
    for words in ("Why so long, why so much", "Offline product search", "Parallelism", "report.0", "study.30"):
        assert words in whole, words


def test_threat_s26_hostile_texts_do_nothing(tmp_path: Path) -> None:
    payload = " ".join(PAYLOADS)
    said = "\n\n".join((f"# {payload}", f"- {payload} has 12 MB [one].", f"```\n{payload}\n```", payload))
    two = {"id": "two", "prompt": payload, "needs": ["one"]}
    plan = {"steps": [{"id": "one", "prompt": f"Do. {payload}"}, two]}
    folder = record(tmp_path, 2, Model({"": said}), plan=plan, goal=f"What? {payload}")
    file = written(folder, tmp_path / "page.html")
    with browser() as found:
        found.open(file, "#s0")
        assert found.run("return document.title").startswith("What? <script>alert(1)</script>")
        assert (
            found.run("return document.querySelectorAll('img, iframe, object, base, link, [onload], [onerror]').length")
            == 0
        )
        assert found.run("return document.scripts.length") == 1
        assert found.run("return [...document.links].filter(a => !a.getAttribute('href').startsWith('#')).length") == 0
        is_quiet(found, file)


@pytest.mark.parametrize("with_scripts", [True, False])
def test_a_served_page_follows_its_run_to_the_end(tmp_path: Path, *, with_scripts: bool) -> None:
    whole = record(tmp_path, 7)
    half = halved(whole, tmp_path)
    with served(half) as (page, state), browser() as found:
        if not with_scripts:
            found.without_scripts()
        panel = ["s1"] if with_scripts else []  # without scripts an open panel stays as it is
        found.post("url", {"url": page.address + "".join(f"#{name}" for name in panel)})
        assert shown_panels(found) == panel
        assert len(rows(found)) == 7
        assert found.run("return document.querySelector('.by-hand a') !== null") is not with_scripts
        shutil.copy(whole.journal, half.journal)
        ended = recorded(half).state
        page.end(ended, ended.t)  # returns when the browser has asked for the end
        assert state.finished is None
        script = "return document.querySelector('#now')?.dataset.over == '1' && document.readyState == 'complete'"
        while not found.run(script):  # maximum the time-out of the test
            pass
        assert found.run("return document.querySelector('header .badge').textContent") == "done"
        assert "Offline product search" in found.run("return document.querySelector('#report').innerText")
        assert shown_panels(found) == panel
        assert len(rows(found)) == 7
        assert found.console() == []
        assert {address.partition("#")[0] for address in found.requests()} <= {page.address, f"{page.address}now"}


@pytest.mark.parametrize("count", [10, 300])
def test_each_size_fits_its_window(tmp_path: Path, count: int) -> None:
    file = written(record(tmp_path, count), tmp_path / "page.html")
    for width in (390, 1200):
        with browser(width) as found:
            found.open(file)
            assert found.run("return document.documentElement.scrollWidth <= window.innerWidth") is True
            assert found.run("return document.querySelectorAll('svg.graph a.box').length") > 3
            is_quiet(found, file)
