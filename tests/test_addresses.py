"""Inputs that are addresses, against a site on loopback: fetched once a run, kept, cited, and refused by the rules."""

import json
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

import swarm
from swarm.base.errors import TaskError
from swarm.base.places import place_of
from swarm.lifecycle import fetched
from swarm.lifecycle.options import Options
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.run import Run, reopen
from swarm.results.input_texts import InputTexts
from swarm.tools.web.fetch import Fetcher
from tests import documents
from tests.commands import in_process
from tests.test_web import Answer, Site, html, served

pytestmark = pytest.mark.anyio
PDF = documents.pdf(["Pumps.\nThe pump 7 weighs 21 kg.", "Valves.\nThe valve 4 weighs 9 kg."])
GOAL = "How much does pump 7 weigh?"


@pytest.fixture(autouse=True)
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "Fetcher", partial(Fetcher, pause=0.0))


def site() -> Site:
    latin: Answer = (
        200,
        {"Content-Type": "text/csv; charset=iso-8859-15"},
        "Gerät,Preis €\nPumpe,7\n".encode("latin9"),
    )
    return Site(
        report=(200, {"Content-Type": "application/pdf"}, PDF),
        queues=html(),
        table=latin,
        moved=(302, {"Location": "/report"}, b""),
        forbidden=(403, {}, b"no"),
        nothing=(200, {}, b" "),
        cellar=(302, {"Location": "http://169.254.169.254/latest"}, b""),
    )


def task(*inputs: object, web: object = None) -> dict[str, object]:
    given = {"private": ["127.0.0.1"]} if web is None else web
    return {"goal": GOAL, "inputs": list(inputs), "web": given, "models": {"default": {"endpoint": "offline"}}}


async def test_an_address_is_read_as_what_it_gives_and_cited(empty: Path) -> None:
    async with served(site()) as here:
        prices = {"path": f"{here.url}/table", "name": "prices", "label": "own"}
        given = task(f"{here.url}/report", f"{here.url}/report#p2", f"{here.url}/queues", prices)
        async with Run(given | {"labels": {"own": ["default"]}}) as run:
            pass
        assert here.paths() == ["/robots.txt", "/report", "/queues", "/table"], "each once"
    by_name = {each.name: each for each in run.prepared.resources.inputs}
    assert list(by_name) == [f"{here.url}/report", f"{here.url}/queues", "prices"]
    pdf, page, table = by_name.values()
    assert (pdf.kind, pdf.count, page.kind) == ("PDF", 2, "web page")
    assert "Menu one" not in page.text
    assert (table.text, table.label) == ("Gerät,Preis €\nPumpe,7\n", "own")
    assert "Gerät" in table.columns
    report = run.result.report
    assert (run.result.status, report is not None) == ("done", True)
    assert report is not None
    claim = next(each for each in report.claims if "21 kg" in each.text)
    assert claim.text == "The pump 7 weighs 21 kg."
    assert f"[{here.url}/report][{claim.steps[0]}]" in report.text


async def test_what_was_fetched_is_kept_for_resumes_replays_and_claims(empty: Path) -> None:
    async with served(site()) as here:
        given = empty / "task.yaml"
        given.write_text(json.dumps(task(f"{here.url}/report", f"{here.url}/forbidden")))
        async with Run(given, plan_only=True) as run:
            pass
        asked = len(here.asked)
        here.pages["/report"] = here.pages["/forbidden"] = html("something else")
        async with reopen(run.folder) as again:
            pass
        replay = Replay(run.folder)
        async with Run(given, options=replay.options(Options()), replay=replay) as replayed:
            pass
        assert len(here.asked) == asked, "neither asks anybody"
    assert again.result.status == "partial"
    assert [each.text.count("pump 7 weighs 21 kg") for each in again.prepared.resources.inputs] == [1]
    assert [each.name for each in again.prepared.files.unread] == [f"{here.url}/forbidden"]
    first, second = again.result.report, replayed.result.report
    assert first is not None
    assert second is not None
    assert (first.text, "21 kg" in first.text) == (second.text, True)
    texts = InputTexts(again.state, again.folder)
    place = place_of(texts[f"{here.url}/report"], texts[f"{here.url}/report"].index("21 kg"))
    assert place is not None
    assert place.words == "page 1, line 2"


async def test_what_cannot_be_fetched_is_named_with_a_remedy(empty: Path) -> None:
    names = ("forbidden", "nothing", "cellar", "gone")
    async with served(site()) as here:
        urls = [f"{here.url}/{name}" for name in names]
        result = await swarm.run(task(f"{here.url}/report", *urls))
        with pytest.raises(TaskError) as strict:
            await swarm.run(task(f"{here.url}/report", *urls), strict=True)
        with pytest.raises(TaskError, match=r"127\.0\.0\.1, which is not a public .*\nhint: .* `web: {private"):
            await swarm.run(task(f"{here.url}/report", web={}))
    assert (result.status, result.exit_code) == ("partial", 3)
    because = {each.name: each.because for each in result.left_out if each.of == "input"}
    for url, words in zip(urls, ("status 403", "is empty", "a service for the machine", "status 404"), strict=True):
        assert words in because[url]
    assert len(strict.value.problems) == len(urls)
    assert all("\nhint: " in each.message for each in strict.value.problems)


def test_an_address_is_fetched_only_by_a_run_that_may(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = in_process(capsys)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(site())) as here:
        (empty / "task.yaml").write_text(
            f'goal: {GOAL}\ninputs: ["{here.url}/report"]\nmodels: {{default: {{endpoint: offline}}}}\n'
        )
        refused = said("check")
        assert refused.code == 2
        assert refused.errors[0].startswith("task.yaml:2:10: inputs.0: ")
        assert "`--fetch` to the command" in refused.errors[0]
        looked = said("check", "--fetch")
        assert (looked.code, here.asked) == (0, []), "a look sends nothing"
        assert f"not fetched yet  {here.url}/report" in looked.out
        (empty / "plan.yaml").write_text(f'[{{id: a, prompt: x, inputs: ["{here.url}/report"]}}]\n')
        assert said("plan", "task.yaml", "--fetch", "--plan", "plan.yaml").code == 0
        assert here.asked == []
        ran = said("run", "--fetch", "--runs", "runs")
        assert ran.code == 2
        assert "not a public address" in ran.errors[0], "the flag opens no private address"
        with (empty / "task.yaml").open("a") as file:
            file.write("web: {private: [127.0.0.1, 10.0.0.0/99]}\n")
        wrong = said("check")
        words = "`10.0.0.0/99` is not an address or a network, such as 127.0.0.1 or 10.0.0.0/8"
        assert wrong.errors == [f"task.yaml:4:28: web.private.2: {words}"]
        assert here.asked == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://example.org/a", "only http:// and https://"),
        ("https://me:key@example.org/", "a user or a password"),
        ("https:///a", "has no host"),
        ("file:///etc/passwd", "write the path of the file"),
    ],
)
async def test_an_address_that_is_none_is_an_error(empty: Path, address: str, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        await swarm.run(task(address))
