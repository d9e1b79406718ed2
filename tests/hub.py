"""A hub of models on loopback with the part of the API that `swarm models get` uses, and its faults.

Two servers: the hub itself, and the host to which it redirects for large files. Addresses, headers and codes are those
of Hugging Face; see `swarm.local_models.hub`.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REPO = "someone/Tiny-GGUF"


@dataclass(frozen=True)
class Asked:
    """A received request."""

    host: str
    """`hub` or `store`."""
    path: str
    headers: dict[str, str]


@dataclass
class FakeHub:
    """The files and the behaviour of the hub."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    """Files by repository: `OWNER/REPO`, or `OWNER/REPO@REVISION` if it is not `main`."""
    asked: list[Asked] = field(default_factory=list[Asked])
    url: str = ""
    store: str = ""
    refuse: Callable[[str, str], tuple[int, dict[str, str]] | None] = lambda host, path: None
    """A function of host and path that returns status and headers of a failure, or None."""
    cut: list[int] = field(default_factory=list[int])
    """Bytes after which the next bodies of the store are interrupted."""
    sent: Callable[[bytes], bytes] = lambda data: data
    """A function that changes the bytes of the store."""
    told: Callable[[list[dict[str, Any]]], Any] = lambda entries: entries
    """A function that changes the entries of the hub's list."""
    more: dict[str, str] = field(default_factory=dict[str, str])
    """Headers that replace those of a list."""
    sizes: bool = True
    """True if the store sends `Content-Length`."""
    ranges: bool = True
    """True if the store obeys `Range`."""
    page: int = 1000
    """Files per page of the list."""

    @property
    def environ(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.url}

    def at(self, host: str) -> list[Asked]:
        """Return the requests to a host."""
        return [each for each in self.asked if each.host == host]

    def tree(self, files: dict[str, bytes]) -> Any:
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "folder"}]
        for path, data in files.items():
            entry: dict[str, Any] = {"type": "file", "oid": "1" * 40, "size": len(data), "path": path}
            if path.endswith(".gguf"):
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
                entry["xetHash"] = "2" * 64
            entries.append(entry)
        return self.told(entries)


@contextmanager
def fake_hub() -> Generator[FakeHub]:
    """Serve a hub in the block."""
    hub = FakeHub()
    with _server(hub, _Hub) as hub.url, _server(hub, _Store) as hub.store:
        yield hub


@contextmanager
def _server(hub: FakeHub, kind: "type[_Handler]") -> Generator[str]:
    server = HTTPServer(("127.0.0.1", 0), type("Bound", (kind,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    host = ""

    def do_GET(self) -> None:
        path = self.path
        self.hub.asked.append(Asked(self.host, path, dict(self.headers.items())))
        refused = self.hub.refuse(self.host, path)
        if refused is None:
            self.answer(path)
        else:
            self.say(refused[0], b"", **refused[1])

    def answer(self, path: str) -> None:
        raise NotImplementedError

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        del format, args


class _Hub(_Handler):
    host = "hub"

    def answer(self, path: str) -> None:
        parts = urlsplit(path)
        segments = [unquote(part) for part in parts.path.strip("/").split("/")]
        if segments[:2] == ["api", "models"] and segments[4] == "tree" and "recursive=true" in parts.query:
            self.list("/".join(segments[2:4]), segments[5], int((parts.query.partition("cursor=")[2]) or 0))
        elif len(segments) > 4 and segments[2] == "resolve":
            self.resolve("/".join(segments[:2]), segments[3], "/".join(segments[4:]))
        else:
            self.say(404, b"", X_Error_Code="RepoNotFound")

    def files(self, repo: str, revision: str) -> dict[str, bytes] | None:
        found = self.hub.repos.get(repo if revision == "main" else f"{repo}@{revision}")
        if found is None:
            known = repo in self.hub.repos
            self.say(404 if known else 401, b"", X_Error_Code="RevisionNotFound" if known else "RepoNotFound")
        return found

    def list(self, repo: str, revision: str, start: int) -> None:
        files = self.files(repo, revision)
        if files is None:
            return
        entries = self.hub.tree(files)
        more: dict[str, str] = {}
        if isinstance(entries, list) and len(entries) > start + self.hub.page:  # pyright: ignore[reportUnknownArgumentType]
            address = f"{self.hub.url}/api/models/{repo}/tree/{revision}?recursive=true&cursor={start + self.hub.page}"
            more = {"Link": f'<{address}>; rel="next"'}
            entries = entries[start : start + self.hub.page]  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(entries, list):
            entries = entries[start:]  # pyright: ignore[reportUnknownVariableType]
        body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
        self.say(200, body, Content_Type="application/json", **{**more, **self.hub.more})

    def resolve(self, repo: str, revision: str, path: str) -> None:
        files = self.files(repo, revision)
        if files is None:
            return
        if path not in files:
            self.say(404, b"", X_Error_Code="EntryNotFound")
            return
        sha256 = hashlib.sha256(files[path]).hexdigest()
        self.say(
            302,
            b"",
            Location=f"{self.hub.store}/{sha256}?X-Amz-Signature=abc%27~",
            X_Repo_Commit="3" * 40,
            X_Linked_Size=str(len(files[path])),
            X_Linked_Etag=f'"{sha256}"',
        )


class _Store(_Handler):
    host = "store"

    def answer(self, path: str) -> None:
        sha256 = urlsplit(path).path.strip("/")
        held = (data for files in self.hub.repos.values() for data in files.values())
        data = next(data for data in held if hashlib.sha256(data).hexdigest() == sha256)
        data, start, status = self.hub.sent(data), 0, 200
        asked = self.headers.get("Range", "")
        if asked and self.hub.ranges:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
        if start >= len(data):
            self.say(416, b"", Content_Range=f"bytes */{len(data)}")
            return
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.hub.sizes:
            self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", f'"{sha256}"')
        self.end_headers()
        self.wfile.write(data[start:][: self.hub.cut.pop(0) if self.hub.cut else None])
