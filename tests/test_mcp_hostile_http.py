"""MCP servers with a URL that break the rules: an answer that cannot be used costs one call, and nothing follows it."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import TaskError, ToolError
from swarm.spec.servers import Server
from swarm.tools.mcp import http, owner
from swarm.tools.mcp.kit import ServerKit
from tests.test_mcp import ask, opened

pytestmark = pytest.mark.anyio
FIND = {"name": "find", "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}}}
SECRET = "Bearer a-key-that-only-this-test-has"


class Hostile(BaseHTTPRequestHandler):
    """Answers a call as its word says; everything else as `mode` says, well if that is empty."""

    protocol_version = "HTTP/1.1"
    mode = ""
    asked: list[tuple[str, str]]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Log nothing."""

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        self.say(b"", status=405)

    do_DELETE = do_GET  # noqa: N815 - the name of the base class

    def say(self, body: bytes, kind: str = "application/json", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def do_POST(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in request:
            self.say(b"", status=202)
            return
        word = self.mode
        result: dict[str, Any] = {}
        if request["method"] == "tools/call":
            word = request["params"]["arguments"]["word"]
            result = {"content": [{"type": "text", "text": "found" if "big" not in word else "x" * 300_000}]}
        elif request["method"] == "tools/list":
            result = {"tools": [FIND]}
        elif request["method"] == "initialize":
            about = {"name": "hostile", "version": "1"}
            version = request["params"]["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
        self.behave(word, json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode())

    def behave(self, word: str, good: bytes) -> None:
        match word:
            case "redirect":
                self.say(b"", status=307, Location="http://127.0.0.1:9/elsewhere")
            case "401" | "429" | "500" | "404":
                self.say(b"no", "text/plain", int(word))
            case "html":
                self.say(b"<html>Sign in</html>", "text/html")
            case "cut":
                self.say(good[:-5])
            case "packed":
                self.say(gzip.compress(b" " * 200_000 + good), Content_Encoding="gzip")
            case "events" | "big events":
                self.say(b"event: message\r\ndata: " + good + b"\r\n\r\n", "text/event-stream")
            case "endless":
                self.say(b": still there\n" * 30_000 + b"\n", "text/event-stream")
            case _:
                self.say(good)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Hostile], ServerKit]]:
    monkeypatch.setattr(http, "ANSWER_BYTES", 100_000)
    monkeypatch.setattr(owner, "PAUSES", (0.0, 0.0, 0.0))
    handler = type("Handler", (Hostile,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        site.daemon_threads = True
        threading.Thread(target=site.serve_forever, args=(0.02,), daemon=True).start()
        fields: dict[str, Any] = {"url": f"http://127.0.0.1:{site.server_port}/mcp", "tools": {"find": "read"}}
        yield handler, ServerKit("notes", Server(headers={"Authorization": SECRET}, **fields))
        site.shutdown()


async def test_an_answer_that_cannot_be_used_costs_one_call(
    tmp_path: Path, server: tuple[type[Hostile], ServerKit]
) -> None:
    handler, kit = server
    wrong = {
        "401": "answers with status 401: it does not accept these `headers`",
        "429": "answers with status 429",
        "500": "answers with status 500",
        "html": "Unexpected content type: text/html",
        "cut": "the answer is not valid JSON",
        "packed": "the answer is packed as gzip, which was not asked for",
        "big": "the answer has more than 100,000 bytes",
        "big events": "the answer has more than 100,000 bytes",
        "endless": "the answer has more than 100,000 bytes",
    }
    async with opened(kit, folder=tmp_path) as box:
        for word, said in wrong.items():
            with pytest.raises(ToolError, match=said) as caught:
                await ask(box, "notes.find", json.dumps({"word": word}))
            assert caught.value.kind == "tool", word  # the server answered: nobody need wonder whether it took place
        assert await ask(box, "notes.find", '{"word": "tea"}') == "found"
        assert await ask(box, "notes.find", '{"word": "events"}') == "found"
    assert [each for each in handler.asked if each[1] != SECRET] == []
    assert len([each for each in handler.asked if each[0] == "/mcp"]) < 20  # one session, not one a call


async def test_a_redirect_in_the_middle_is_not_followed(
    tmp_path: Path, server: tuple[type[Hostile], ServerKit]
) -> None:
    handler, kit = server
    async with opened(kit, folder=tmp_path) as box:
        with pytest.raises(ToolError) as caught:
            await ask(box, "notes.find", '{"word": "redirect"}')
        assert caught.value.kind == "lost"
        assert await ask(box, "notes.find", '{"word": "tea"}') == "found"
    assert {path for path, _ in handler.asked} == {"/mcp"}


@pytest.mark.parametrize(
    ("mode", "said", "remedy"),
    [
        ("redirect", "redirects to http://127.0.0.1:9/elsewhere", "write that address as `url`"),
        ("401", "status 401: it does not accept these `headers`", "is this the path"),
        ("404", "Not Found", "is this the path of its streamable HTTP, often /mcp"),
        ("html", "Unexpected content type: text/html", "is this the path"),
        ("endless", "more than 100,000 bytes", "is this the path"),
    ],
)
async def test_an_address_that_serves_something_else_is_named(
    tmp_path: Path, server: tuple[type[Hostile], ServerKit], mode: str, said: str, remedy: str
) -> None:
    handler, kit = server
    handler.mode = mode
    with pytest.raises(TaskError) as caught:
        async with opened(kit, folder=tmp_path):
            pass
    words, _, hint = caught.value.problems[0].message.partition("\nhint: ")
    assert said in words
    assert remedy in hint
    assert SECRET not in caught.value.problems[0].message
