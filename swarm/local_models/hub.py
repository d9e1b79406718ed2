"""A hub of models, as Hugging Face is one: how its models are named, what a repository holds, and its files' bytes.

Two of its addresses are used. `/api/models/OWNER/REPO/tree/REVISION` lists files with their sizes and, for all that is
large, their SHA-256 (`lfs.oid`). `/OWNER/REPO/resolve/REVISION/FILE` redirects to where the bytes are, mostly another
host. What comes back is data: a name, a size, an address, none of which is believed further than it must be.
"""

import json
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

from swarm.base.errors import SwarmError, TaskError
from swarm.base.version import __version__
from swarm.local_models.weights import HubFile, is_safe

if TYPE_CHECKING:
    import httpx2

HUB = "https://huggingface.co"
HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
MAIN = "main"
"""The revision where none is named."""
PAGE_BYTES = 8_000_000
"""Most bytes of one page of a list: a thousand files, at most, of some 300 bytes each."""
PAGES = 20
HOPS = 5
"""Most redirects on the way to a file; two are usual, after a repository was renamed three."""
CONNECT_SECONDS = 20.0
READ_SECONDS = 60.0
"""How long nothing may come; a store that fetches a file from further away is silent for some seconds."""

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_SPELLED = re.compile(rf"({_NAME}/{_NAME})(?::([^@:]+))?(?:@([^@:]+))?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_PAGES_OF_A_FILE = frozenset({"blob", "resolve", "raw", "tree"})


class LostError(SwarmError):
    """The hub, or the host it sent us to, was not reached, or the connection broke."""


@dataclass(frozen=True)
class HubName:
    """What is meant by `OWNER/REPO[:FILE_OR_QUANT][@REVISION]`."""

    repo: str
    choice: str = ""
    """A file of the repository, or a quantization; empty where nothing was chosen."""
    revision: str = ""
    """A branch, a tag or a commit; empty for `MAIN`."""

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return (f"{self.repo}:{self.choice}" if self.choice else self.repo) + at

    @property
    def folder(self) -> Path:
        """Where its files are kept, below the folder of all models: `OWNER/REPO` or `OWNER/REPO@REVISION`."""
        at = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return Path(self.repo + at)


def hub_name(text: str, *, hosts: frozenset[str] = HOSTS) -> HubName | None:
    """Read the name of a model, also with `hf.co/` before it, or as the address of a page; None if it is none.

    `OWNER/REPO.gguf` is none: it is how files are called.
    """
    host, slash, rest = text.partition("/")
    if slash and host.lower() in hosts:
        return _from_address(f"https://{text}")
    if "://" in text:
        try:
            return _from_address(text) if (urlsplit(text).hostname or "") in hosts else None
        except ValueError:  # no address at all
            return None
    if rest.lower().endswith(".gguf") and ":" not in text:
        return None
    found = _SPELLED.fullmatch(text)
    return None if found is None else _name(found[1], found[2] or "", found[3] or "")


def _from_address(address: str) -> HubName | None:
    parts = urlsplit(address)
    segments = [unquote(segment) for segment in parts.path.strip("/").split("/")]
    if len(segments) == 2:
        found = hub_name("/".join(segments), hosts=frozenset())
        shown = parse_qs(parts.query).get("show_file_info", [""])[0]
        return _name(found.repo, found.choice or shown, found.revision) if found else None
    if len(segments) < 4 or segments[2] not in _PAGES_OF_A_FILE:
        return None
    shown = parse_qs(parts.query).get("show_file_info", [""])[0]
    return _name("/".join(segments[:2]), "/".join(segments[4:]) or shown, segments[3])


def _name(repo: str, choice: str, revision: str) -> HubName | None:
    revision = "" if revision == MAIN else revision
    fits = re.fullmatch(f"{_NAME}/{_NAME}", repo, re.ASCII) and (not choice or is_safe(choice))
    if not fits or ".." in repo + revision or (revision and not _REVISION.fullmatch(revision)):
        return None
    return HubName(repo, choice, revision)


@dataclass(frozen=True)
class Body:
    """What an answer brings; nobody else need know the library that carried it."""

    host: str
    status: int
    """200 for all of it, 206 for the rest of it, 416 where there is no rest."""
    headers: Mapping[str, str]
    """By any case of their names."""
    chunks: Iterator[bytes]
    """Raises within `opened`, as `LostError`, where it breaks off."""


@dataclass(frozen=True)
class Hub:
    """A hub: Hugging Face, or a mirror of it that `HF_ENDPOINT` names."""

    endpoint: str = HUB
    token: str = field(default="", repr=False)
    """Sent to this origin, and nowhere else."""

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts in whose addresses its models may be named."""
        return HOSTS | {urlsplit(self.endpoint).hostname or ""}

    def files(self, name: HubName) -> tuple[HubFile, ...]:
        """List the files of a repository that have a SHA-256. Raises `SwarmError` where it cannot be had."""
        revision = quote(name.revision or MAIN, safe="")
        address = f"{self.endpoint}/api/models/{name.repo}/tree/{revision}?recursive=true"
        found: list[HubFile] = []
        for _ in range(PAGES):
            with self._followed(address, name, 0, "") as response:
                found += _files(_json(response, self.endpoint))
                following = response.links.get("next", {}).get("url")
            if following is None:
                return tuple(found)
            if _origin(following) != _origin(self.endpoint):
                raise SwarmError(f"{self.endpoint} goes on with its list of files at another host")
            address = following
        raise SwarmError(f"{name.repo} has more files than {PAGES} pages of a list")

    @contextmanager
    def opened(self, name: HubName, file: HubFile, *, start: int = 0) -> Generator[Body]:
        """Ask for a file, from a byte on.

        Raises `LostError` where nobody answers or the body breaks off, and `SwarmError` with a remedy where the answer
        is none, or the hub redirects to a file of another hash. An answer may still be whole though a later byte was
        asked for, or 416.
        """
        revision = quote(name.revision or MAIN, safe="")
        address = f"{self.endpoint}/{name.repo}/resolve/{revision}/{quote(file.path)}"
        with self._followed(address, name, start, file.sha256) as response:
            yield Body(response.url.host, response.status_code, response.headers, response.iter_raw())

    @contextmanager
    def _followed(self, address: str, name: HubName, start: int, sha256: str) -> "Generator[httpx2.Response]":
        """Ask for what is at an address of this hub, and follow to where it is."""
        import httpx2

        try:
            for _ in range(HOPS):
                with self._asked(address, start) as response:
                    if sha256 and _linked(response) not in ("", sha256):
                        raise SwarmError(f"{name} has just been changed at the hub; run the same command again")
                    if not response.has_redirect_location:
                        if response.status_code not in (200, 206, 416):
                            raise refusal(response, self, name)
                        yield response
                        return
                    address = _next(response)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            host = urlsplit(address).hostname or self.endpoint
            said = f"{host}: {str(error) or type(error).__name__}"
            if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
                said += "; is there a network, or a proxy to be named in HTTPS_PROXY?"
            raise LostError(said) from None
        raise SwarmError(f"{self.endpoint} sent us on more than {HOPS} times")

    @contextmanager
    def _asked(self, address: str, start: int) -> "Generator[httpx2.Response]":
        """Send one request, with the token if it goes to the hub itself."""
        import httpx2

        from swarm.base.network import proxy_for

        # Compressed bytes would not be the file's, and a store that compresses ignores where to begin.
        headers = {"Accept-Encoding": "identity", "User-Agent": f"local-agent-swarm/{__version__}"}
        if start:
            headers["Range"] = f"bytes={start}-"
        if self.token and _origin(address) == _origin(self.endpoint):
            headers["Authorization"] = f"Bearer {self.token}"
        client = httpx2.Client(
            verify=httpx2.create_ssl_context() if address.startswith("https:") else False,
            proxy=proxy_for(address),
            trust_env=False,
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        )
        with client, client.stream("GET", address, headers=headers) as response:
            yield response


def hub_of(environ: Mapping[str, str]) -> Hub:
    """Take the hub and the token from `HF_ENDPOINT` and `HF_TOKEN`. Raises `TaskError` for what they cannot be."""
    endpoint = (environ.get("HF_ENDPOINT") or HUB).strip().rstrip("/")
    token = (environ.get("HF_TOKEN") or "").strip()
    try:
        parts = urlsplit(endpoint)
        plain = not (parts.username or parts.password or parts.query or parts.fragment) and bool(parts.hostname)
        usable = plain and _is_allowed(endpoint)
    except ValueError:
        usable = False
    if not usable:
        raise TaskError("HF_ENDPOINT must be an https:// address without a user's name (http:// on this machine only)")
    if token and not _TOKEN.fullmatch(token):
        raise TaskError("HF_TOKEN has characters that no token has; a line break in it?")
    return Hub(endpoint, token)


def refusal(response: "httpx2.Response", hub: Hub, name: HubName) -> SwarmError:
    """Say what an answer that is no success means, and what to do. The codes are the hub's `X-Error-Code`."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    page = f"{hub.endpoint}/{name.repo}"
    if _origin(str(response.url)) != _origin(hub.endpoint):
        return SwarmError(f"{response.url.host}, where {name.repo} is kept, answered {status}; {_LATER}")
    if code == "GatedRepo" or status == 403:
        remedy = f"accept its terms at {page}, then set HF_TOKEN to a token of that account"
        return SwarmError(f"{name.repo} is gated: {remedy}")
    if code == "RevisionNotFound":
        return SwarmError(f"{name.repo} has no revision `{name.revision or MAIN}`; {page}/commits/main lists some")
    if code == "EntryNotFound":
        return SwarmError(f"{name.repo} no longer has that file; ask again for what there is")
    if status in (401, 404):
        return SwarmError(_unknown(hub, name, status))
    if status == 429:
        return SwarmError(
            f"{hub.endpoint} takes no more requests for now{_wait(response)}; HF_TOKEN is given more of them"
        )
    if status >= 500:
        return SwarmError(f"{hub.endpoint} has trouble of its own ({status}); {_LATER}")
    return SwarmError(f"{hub.endpoint} answered {status} for {name.repo}; does HF_ENDPOINT name a hub of models?")


_LATER = "what was fetched is kept: run the same command again later"


def _unknown(hub: Hub, name: HubName, status: int) -> str:
    """Hugging Face says 401 of what does not exist, so that nobody learns which private repositories there are."""
    if hub.token and status == 401:
        return f"HF_TOKEN was not accepted, or there is no repository {name.repo} that it may read"
    remedy = "may its token (HF_TOKEN) read it?" if hub.token else "if it is private or gated, set HF_TOKEN"
    return f"{hub.endpoint} has no repository {name.repo}; {remedy}"


def _wait(response: "httpx2.Response") -> str:
    """Say how long to wait: `Retry-After`, or `t` in `RateLimit: "api";r=0;t=55`."""
    asked = response.headers.get("Retry-After", "")
    found = re.search(r";\s*t=([0-9]{1,6})", response.headers.get("RateLimit", ""))
    seconds = asked if re.fullmatch("[0-9]{1,6}", asked) else found[1] if found else ""
    return f": try again in {seconds} s" if seconds else ""


def _linked(response: "httpx2.Response") -> str:
    """Read the hash of a file out of the hub's redirect to it; empty where it says none."""
    sha256 = response.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
    return sha256 if _SHA256.fullmatch(sha256) else ""


def _next(response: "httpx2.Response") -> str:
    """Give where an answer sends us. Raises `SwarmError` for an address that would be read by others on the way."""
    assert response.next_request is not None
    address = str(response.next_request.url)
    if not _is_allowed(address) or (response.url.scheme == "https" and not address.startswith("https:")):
        raise SwarmError(f"{response.url.host} sends us on to an address without encryption; it was not followed")
    return address


def _is_allowed(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or ""))


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(address: str) -> tuple[str, str, int]:
    """Give who is meant by an address; nobody, where it is none."""
    try:
        parts = urlsplit(address)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", "", 0


def _json(response: "httpx2.Response", endpoint: str) -> Any:
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > PAGE_BYTES:
            raise SwarmError(f"{endpoint} lists more than {PAGE_BYTES} bytes of files at once")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise SwarmError(f"{endpoint} does not answer as a hub of models does; is HF_ENDPOINT right?") from None


def _files(page: Any) -> list[HubFile]:
    """Read a page of a list; what has not the right shape is no file that could be fetched."""
    found: list[HubFile] = []
    for entry in cast("list[Any]", page) if isinstance(page, list) else []:
        entry: Any = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        large: Any = entry.get("lfs")
        if entry.get("type") != "file" or not isinstance(large, dict):
            continue
        large = cast("dict[str, Any]", large)
        path, size, sha256 = entry.get("path"), large.get("size"), large.get("oid")
        if isinstance(path, str) and type(size) is int and size > 0 and _SHA256.fullmatch(str(sha256)):
            found.append(HubFile(path, size, str(sha256)))
    return found
