"""`--web`: a page on loopback that only its own address opens, that changes nothing, and that ends with the run."""

import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread

import pytest

from swarm.cli import web
from swarm.cli.web import WebPage
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.record.state import State
from swarm.views.board import Board
from swarm.views.page.style import policy
from tests.commands import in_process
from tests.pages import record

SECRET = "sk-1234567890"
REFRESH = 'http-equiv="refresh"'


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A recorded run."""
    return record(tmp_path_factory.mktemp("run"), 7)


def halved(whole: RunFolder, to: Path) -> RunFolder:
    """Copy a run as it was when its first agents were working."""
    found = RunFolder(Path(shutil.copytree(whole.path, to / "run")))
    lines = found.journal.read_bytes().splitlines(keepends=True)
    found.journal.write_bytes(b"".join(lines[:8]))
    return found


@contextmanager
def served(folder: RunFolder) -> Generator[tuple[WebPage, State]]:
    """Serve the page of a run whose agents say a secret and markup."""
    found = recorded(folder)
    board = Board(lambda: 0.0)
    for event in found.events:
        board.hear(event)
    for sign in board.signs.values():
        sign.words = f"{SECRET} <b>is it</b>"
    page = WebPage(folder, board, lambda text: text.replace(SECRET, "[removed]"))
    try:
        page.show(found.state, found.state.t)
        yield page, found.state
    finally:
        page.close()


def asked(page: WebPage, path: str = "", method: str = "GET", host: str | None = None) -> tuple[HTTPResponse, str]:
    """Send a request to a page, to a path below it or, with a slash, of its server. Return the answer and its text."""
    here, root = page.address.removeprefix("http://").split("/", 1)
    connection = HTTPConnection(here, timeout=10)
    connection.putrequest(method, path if path.startswith("/") else f"/{root}{path}", skip_host=True)
    for name in (here if host is None else host).split(" "):
        connection.putheader("Host", name)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_threat_s31_only_its_own_address_opens_the_page(whole: RunFolder) -> None:
    with served(whole) as (page, _):
        host, token = page.address.removeprefix("http://").rstrip("/").split("/")
        port = host.partition(":")[2]
        assert asked(page)[0].status == 200
        assert asked(page, host=f"localhost:{port}")[0].status == 200
        for name in ("", "127.0.0.1", "localhost", f"evil.example:{port}", "127.0.0.1:1", f"{host}.evil.example"):
            assert asked(page, host=name)[0].status == 403, name
        assert asked(page, host=f"{host} evil.example")[0].status == 403
        assert asked(page, host=f"{host} {host}")[0].status == 403
        paths = (
            "/",
            "/now",
            f"/{token}",
            f"/{token[:-1]}/",
            f"/{token.upper()}/",
            f"/{token}/./",
            f"/{token}/../{token}/",
        )
        files = ("journal.jsonl", "../journal.jsonl", "%2e%2e/", "now/", "now?x", "#now", "//etc/passwd")
        for path in (*paths, *files, f"/{token}/%6eow", f"http://{host}/{token}/", "/%c3%a9/"):
            assert asked(page, path)[0].status == 404, path
        for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "BREW"):
            answer, text = asked(page, method=method)
            assert (answer.status, answer.getheader("Allow"), text) == (405, "GET", ""), method


def test_the_page_is_that_of_the_report_and_is_neither_stored_nor_framed(whole: RunFolder) -> None:
    with served(whole) as (page, _):
        answer, text = asked(page)
    assert "<h2>Report</h2>" in text
    assert 'id="t"' in text
    assert answer.getheader("Content-Security-Policy") == f"{policy(served=True)}; frame-ancestors 'none'"
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("Server") is None
    assert "steps/" not in "".join(piece.split('"')[0] for piece in text.split('href="')[1:])


def test_a_running_run_is_shown_as_it_is_and_its_end_is_waited_for_by_who_watches(
    whole: RunFolder, tmp_path: Path
) -> None:
    half = halved(whole, tmp_path)
    with served(half) as (page, state):
        _, text = asked(page)
        assert "There is no report yet" in text
        assert REFRESH in text
        now = asked(page, "now")[1]
        assert f'data-seq="{state.seq}" data-over="0"' in now
        assert "[removed] &lt;b&gt;is it" in now
        assert SECRET not in now + text
        shutil.copy(whole.journal, half.journal)
        ended = recorded(half).state
        waits = Thread(target=page.end, args=(ended, ended.t))
        waits.start()
        while 'data-over="1"' not in asked(page, "now")[1]:
            pass
        assert waits.is_alive()
        _, text = asked(page)
        waits.join()
        assert "There is no report" not in text
        assert REFRESH not in text
        assert f'data-seq="{ended.seq}"' in text
    with pytest.raises(ConnectionRefusedError):
        asked(page)


def test_one_address_shows_the_planning_the_question_and_then_the_run(whole: RunFolder, tmp_path: Path) -> None:
    half = halved(whole, tmp_path)
    with served(half) as (page, state):
        page.pause(state, "The plan waits for approval.")
        assert "<p>The plan waits for approval.</p>" in asked(page, "now")[1]
        assert "There is no report yet" in asked(page)[1]
        page.turn(whole, Board(lambda: 0.0))
        found = recorded(whole).state
        page.show(found, found.t)
        now, text = asked(page, "now")[1], asked(page)[1]
        assert "approval" not in now + text
        assert f'data-seq="{found.seq}"' in now
        assert "There is no report" not in text


def test_nobody_is_waited_for_who_does_not_watch_and_silent_clients_do_not_hold_the_end(whole: RunFolder) -> None:
    with served(whole) as (page, state):
        host, port = page.address.removeprefix("http://").split("/")[0].split(":")
        clients = [socket.create_connection((host, int(port)), 5) for _ in range(web.MOST_REQUESTS + 4)]
        clients[0].sendall(b"GET / HTTP/1.1\r\n")
        assert clients[-1].recv(1) == b""  # too many
        page.end(state, state.t)
    for client in clients:
        client.close()


def test_the_command_prints_the_address_and_the_server_ends_with_it(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("notes.txt").write_text("The bridge is 40 m long.")
    command = in_process(capsys)
    run = command(
        "run", "--goal", "How long is the bridge?", "--input", "notes.txt", "--endpoint", "offline", "--web", "-q"
    )
    assert run.code == 0, run.err
    (address,) = [line.removeprefix("page: ") for line in run.err.splitlines() if line.startswith("page: http://127.")]
    with pytest.raises(ConnectionRefusedError):
        HTTPConnection(address.split("/")[2], timeout=5).connect()
