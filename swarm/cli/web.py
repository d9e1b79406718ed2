"""`--web`: the page of a run on a loopback address while the run works.

Any program of this machine can connect to a port, and any web page can make a browser try to. So
the address has a token that cannot be guessed, the Host header must be the address itself (a name
that an attacker points to 127.0.0.1 is refused), only GET is answered, only two paths exist, and
neither changes anything. Nothing here reads a file that a request names.

The page is made in a thread, from the journal; it never waits for the run, nor the run for it.
The server ends with the run, but a browser that is looking gets the end of the run first.
"""

import math
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import TYPE_CHECKING, Any, cast

from swarm.base.errors import SwarmError
from swarm.cli.reading import exported
from swarm.views.facts import FactFinder
from swarm.views.page.live import REFRESH_SECONDS, Now, now_part
from swarm.views.page.page import served_page
from swarm.views.page.style import policy

if TYPE_CHECKING:
    from swarm.record.folder import RunFolder
    from swarm.record.state import State
    from swarm.views.board import Board

LOOPBACK = "127.0.0.1"
NOW_SECONDS = 1.0
"""Minimum seconds between two looks at the state of the run."""
WATCHED_SECONDS = REFRESH_SECONDS + 2.0
"""Seconds after a request in which somebody is watching: a browser without scripts asks again in
this time."""
SHARE = 0.1
"""Maximum share of the time that is used to make pages: a page of a large run is sent again for a
while."""
MOST_REQUESTS = 16
"""Maximum requests at a time. More are refused."""
REQUEST_SECONDS = 5.0
"""Maximum seconds of silence of a client that has not sent its request."""
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": f"{policy(served=True)}; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class WebPage:
    """The page of a run at an address of this machine. `clean` removes secrets from what models
    write.
    """

    def __init__(self, folder: "RunFolder", board: "Board", clean: Callable[[str], str] = str) -> None:
        """Start to listen. Raise `OSError` if that is not possible."""
        self._lock = Lock()
        self.turn(folder, board, clean)
        self._token = secrets.token_urlsafe(24)
        self._asked = -WATCHED_SECONDS
        self._shown = Event()
        """Set when the run was looked at since somebody began to watch."""
        self._seen = Event()
        """Set when somebody got the page of the run's end."""
        self._server = _Server(self._answer)
        self._thread = Thread(target=self._server.serve_forever, args=(0.25,), name="web", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/{self._token}/"

    def turn(self, folder: "RunFolder", board: "Board", clean: Callable[[str], str] = str) -> None:
        """Show another run at the same address: that of the plan, after that of the planner."""
        with self._lock:
            self._folder, self._clean, self._finder = folder, clean, FactFinder(board)
            self._now: Now | None = None
            self._next = 0.0
            self._page = ""
            self._page_until = 0.0

    def pause(self, state: "State", says: str) -> None:
        """Take a run that nothing works at for a while, and say why."""
        self._now = Now(self._finder.facts(state, state.t), state.seq, is_over=False, says=says)
        self._next = math.inf
        self._shown.set()

    def show(self, state: "State", now: float) -> None:
        """Take the run as it is at the time `now` of its clock, if somebody is watching."""
        at = time.monotonic()
        if at < self._next or (self._now is not None and not self._is_watched):
            return
        self._now = Now(self._finder.facts(state, now), state.seq, is_over=False)
        self._next = at + max(NOW_SECONDS, (time.monotonic() - at) / SHARE)
        self._shown.set()

    def end(self, state: "State", now: float) -> None:
        """Take the end of the run. If somebody is watching, wait until they have seen it, for
        some seconds at most.
        """
        self._now = Now(self._finder.facts(state, now), state.seq, is_over=True)
        self._shown.set()
        if self._is_watched:
            self._seen.wait(WATCHED_SECONDS)

    def close(self) -> None:
        """Stop to listen, and end every request."""
        self._server.shutdown()
        self._server.stop()
        self._thread.join()

    @property
    def _is_watched(self) -> bool:
        return time.monotonic() - self._asked < WATCHED_SECONDS

    def _answer(self, host: list[str], path: str) -> tuple[HTTPStatus, str]:
        """Return the answer to a request with these Host headers."""
        port = self._server.server_address[1]
        if len(host) != 1 or host[0].lower() not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
            return HTTPStatus.FORBIDDEN, ""
        root = f"/{self._token}/"
        is_page = secrets.compare_digest(path.encode(), root.encode())
        if not is_page and not secrets.compare_digest(path.encode(), f"{root}now".encode()):
            return HTTPStatus.NOT_FOUND, ""
        if not self._is_watched and time.monotonic() >= self._next + NOW_SECONDS:
            self._shown.clear()  # nobody watched, so nobody looked
        self._asked = time.monotonic()
        self._shown.wait(2 * NOW_SECONDS)
        now = self._now
        if now is None:
            return HTTPStatus.SERVICE_UNAVAILABLE, ""
        return HTTPStatus.OK, self._made(now) if is_page else now_part(now, self._clean)

    def _made(self, now: Now) -> str:
        """Return the page; that of before if it was made a moment ago and the run has not ended
        since.
        """
        with self._lock:
            at = time.monotonic()
            if not self._page or at >= self._page_until or now.is_over:
                found = exported(self._folder)
                self._page = served_page(found.found, found.result, now, status=found.status, clean=self._clean)
                took = time.monotonic() - at
                self._page_until = at + took + max(NOW_SECONDS, took / SHARE)
            if now.is_over:
                self._seen.set()
            return self._page


class _Server(ThreadingHTTPServer):
    """A server on loopback that can end while clients keep it waiting."""

    daemon_threads = True
    allow_reuse_port = False

    def __init__(self, answer: Callable[[list[str], str], tuple[HTTPStatus, str]]) -> None:
        self.answer = answer
        self._places = BoundedSemaphore(MOST_REQUESTS)
        self._open: dict[socket.socket, Thread] = {}
        super().__init__((LOOPBACK, 0), _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a request in a thread, or refuse it if there are too many."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        thread = Thread(target=self._carry, args=(request, client_address), name="web request", daemon=True)
        self._open[request] = thread
        thread.start()

    def _carry(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            self._open.pop(request, None)
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that went away: there is nobody to tell."""

    def stop(self) -> None:
        """Close the port and every connection, and wait for their threads."""
        self.server_close()
        for connection, thread in list(self._open.items()):
            with suppress(OSError):  # it may have just ended
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()


class _Request(BaseHTTPRequestHandler):
    """One request."""

    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        """Answer."""
        try:
            status, text = cast("_Server", self.server).answer(self.headers.get_all("Host", []), self.path)
        except (SwarmError, OSError):  # the journal cannot be read; the run says so itself
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, ""
        self._send(status, text)

    def _send(self, status: HTTPStatus, text: str) -> None:
        content = text.encode("utf-8", "replace")
        self.send_response_only(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse another method, and what is not HTTP, without a page of the library's own."""
        is_method = code == HTTPStatus.NOT_IMPLEMENTED
        self._send(HTTPStatus.METHOD_NOT_ALLOWED if is_method else HTTPStatus(code), "")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
        """Log nothing: stderr is for people."""
