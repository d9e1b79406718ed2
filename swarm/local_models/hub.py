"""A hub of models such as Hugging Face: names of models, lists of files, and their bytes.

Two addresses are used. `/api/models/OWNER/REPO/tree/REVISION` lists the files with their sizes and,
for large files, their SHA-256 (`lfs.oid`). `/OWNER/REPO/resolve/REVISION/FILE` redirects to the
bytes, usually on another host. The answers are untrusted data: every name, size and address is
checked.
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
"""The default revision."""
PAGE_BYTES = 8_000_000
"""Maximum bytes of one page of a list. A page has at most 1,000 files of about 300 bytes each."""
PAGES = 20
"""Maximum pages of a list: 20,000 files."""
HOPS = 5
"""Maximum redirects to a file. Two are usual, and three after a repository was renamed."""
CONNECT_SECONDS = 20.0
"""Maximum seconds to connect."""
READ_SECONDS = 60.0
"""Maximum seconds without a byte. A store that gets a file from elsewhere is silent for some
seconds."""

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_SPELLED = re.compile(rf"({_NAME}/{_NAME})(?::([^@:]+))?(?:@([^@:]+))?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_PAGES_OF_A_FILE = frozenset({"blob", "resolve", "raw", "tree"})


class LostError(SwarmError):
    """The hub or the host of a file is not reachable, or the connection broke."""


@dataclass(frozen=True)
class HubName:
    """The name of a model: `OWNER/REPO[:FILE_OR_QUANT][@REVISION]`."""

    repo: str
    choice: str = ""
    """A file of the repository or a quantization; empty for the default."""
    revision: str = ""
    """A branch, a tag or a commit; empty for `MAIN`."""

    def __str__(self) -> str:
        choice = f":{self.choice}" if self.choice else ""
        revision = f"@{self.revision}" if self.revision else ""
        return self.repo + choice + revision

    @property
    def folder(self) -> Path:
        """Folder of its files below the folder of all models: `OWNER/REPO[@REVISION]`."""
        at = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return Path(self.repo + at)


def hub_name(text: str, *, hosts: frozenset[str] = HOSTS) -> HubName | None:
    """Read the name of a model, also after `hf.co/` or as the address of a page.

    Return None if it is not a name.

    `OWNER/REPO.gguf` is not a name, because it looks like a file.
    """
    host, slash, rest = text.partition("/")
    if slash and host.lower() in hosts:
        return _from_address(f"https://{text}")
    if "://" in text:
        try:
            return _from_address(text) if (urlsplit(text).hostname or "") in hosts else None
        except ValueError:  # not an address
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
    has_safe_choice = not choice or is_safe(choice)
    fits = re.fullmatch(f"{_NAME}/{_NAME}", repo, re.ASCII) and has_safe_choice
    if not fits or ".." in repo + revision or (revision and not _REVISION.fullmatch(revision)):
        return None
    return HubName(repo, choice, revision)


@dataclass(frozen=True)
class Body:
    """An HTTP response, independent of the HTTP library."""

    host: str
    status: int
    """200 for the whole file, 206 for the rest of it, 416 if there is no rest."""
    headers: Mapping[str, str]
    """The names are case-insensitive."""
    chunks: Iterator[bytes]
    """Reading them within `opened` raises `LostError` if the connection breaks."""


@dataclass(frozen=True)
class Hub:
    """A hub: Hugging Face, or a mirror of it that `HF_ENDPOINT` names."""

    endpoint: str = HUB
    token: str = field(default="", repr=False)
    """The API token. It is sent to this origin only."""

    @property
    def hosts(self) -> frozenset[str]:
        """Hosts whose addresses are names of models."""
        return HOSTS | {urlsplit(self.endpoint).hostname or ""}

    def files(self, name: HubName) -> tuple[HubFile, ...]:
        """Return the files of a repository that have a SHA-256.

        Raise `SwarmError` if the hub refuses.
        """
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
                raise SwarmError(f"{self.endpoint} continues its list of files at another host")
            address = following
        raise SwarmError(f"the list of files of {name.repo} has more than {PAGES} pages")

    @contextmanager
    def opened(self, name: HubName, file: HubFile, *, start: int = 0) -> Generator[Body]:
        """Request a file from a byte on.

        The response may be the whole file (200) or 416 all the same.

        Raise `LostError` if the host is not reachable or the connection breaks. Raise `SwarmError`
        with a hint for an error status, or if the hub redirects to a file with another hash.
        """
        revision = quote(name.revision or MAIN, safe="")
        address = f"{self.endpoint}/{name.repo}/resolve/{revision}/{quote(file.path)}"
        with self._followed(address, name, start, file.sha256) as response:
            yield Body(response.url.host, response.status_code, response.headers, response.iter_raw())

    @contextmanager
    def _followed(self, address: str, name: HubName, start: int, sha256: str) -> "Generator[httpx2.Response]":
        """Request an address of this hub and follow its redirects."""
        import httpx2

        try:
            for _ in range(HOPS):
                with self._asked(address, start) as response:
                    if sha256 and _linked(response) not in ("", sha256):
                        raise SwarmError(f"{name} was changed at the hub just now\nhint: run the same command again")
                    if not response.has_redirect_location:
                        if response.status_code not in (200, 206, 416):
                            raise refusal(response, self, name)
                        yield response
                        return
                    address = _next(response)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            host = urlsplit(address).hostname or self.endpoint
            message = f"{host}: {str(error) or type(error).__name__}"
            if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
                message += " (check the network, or set HTTPS_PROXY to your proxy)"
            raise LostError(message) from None
        raise SwarmError(f"{self.endpoint} redirects more than {HOPS} times")

    @contextmanager
    def _asked(self, address: str, start: int) -> "Generator[httpx2.Response]":
        """Send one request, with the token only if it goes to the hub itself."""
        import httpx2

        from swarm.base.proxy import proxy_for

        # Compressed bytes are not the bytes of the file, and a store that compresses ignores
        # ranges.
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
    """Return the hub of `HF_ENDPOINT` and `HF_TOKEN`. Raise `TaskError` for invalid values."""
    endpoint = (environ.get("HF_ENDPOINT") or HUB).strip().rstrip("/")
    token = (environ.get("HF_TOKEN") or "").strip()
    if not _is_usable(endpoint):
        raise TaskError("HF_ENDPOINT must be an https:// address without a user name (http:// on this machine only)")
    if token and not _TOKEN.fullmatch(token):
        raise TaskError("HF_TOKEN has characters that a token cannot have\nhint: check it for line breaks")
    return Hub(endpoint, token)


def _is_usable(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        has_more = bool(parts.username or parts.password or parts.query or parts.fragment)
        return bool(parts.hostname) and not has_more and _is_allowed(endpoint)
    except ValueError:
        return False


def refusal(response: "httpx2.Response", hub: Hub, name: HubName) -> SwarmError:
    """Return the error for a response that is not a success, with a hint.

    The codes are `X-Error-Code`.
    """
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    page = f"{hub.endpoint}/{name.repo}"
    if _origin(str(response.url)) != _origin(hub.endpoint):
        host = response.url.host
        return SwarmError(f"{host}, the host of {name.repo}, answered {status}\n{_LATER}")
    if code == "GatedRepo" or status == 403:
        remedy = f"accept its terms at {page}, then set HF_TOKEN to a token of that account"
        return SwarmError(f"{name.repo} is gated\nhint: {remedy}")
    if code == "RevisionNotFound":
        revision = name.revision or MAIN
        return SwarmError(f"{name.repo} has no revision `{revision}`\nhint: see {page}/commits/main")
    if code == "EntryNotFound":
        return SwarmError(f"{name.repo} no longer has that file\nhint: run the same command again")
    if status in (401, 404):
        return SwarmError(_unknown(hub, name, status))
    if status == 429:
        limit = f"rate limit of {hub.endpoint} reached{_wait(response)}"
        return SwarmError(f"{limit}\nhint: set HF_TOKEN for a higher limit")
    if status >= 500:
        return SwarmError(f"server error of {hub.endpoint} ({status})\n{_LATER}")
    answered = f"{hub.endpoint} answered {status} for {name.repo}"
    return SwarmError(f"{answered}\nhint: check that HF_ENDPOINT is a hub of models")


_LATER = "hint: run the same command again later; partial downloads are stored"


def _unknown(hub: Hub, name: HubName, status: int) -> str:
    """Return the message for a repository that is unknown or private.

    Hugging Face answers 401 for both, so that private repositories stay secret.
    """
    if hub.token and status == 401:
        return f"HF_TOKEN was rejected, or the repository {name.repo} does not exist or may not be read with it"
    remedy = "check that HF_TOKEN may read it" if hub.token else "if it is private or gated, set HF_TOKEN"
    return f"{hub.endpoint} has no repository {name.repo}\nhint: {remedy}"


def _wait(response: "httpx2.Response") -> str:
    """Return the time to wait: `Retry-After`, else `t` in `RateLimit: "api";r=0;t=55`."""
    asked = response.headers.get("Retry-After", "")
    found = re.search(r";\s*t=([0-9]{1,6})", response.headers.get("RateLimit", ""))
    if re.fullmatch("[0-9]{1,6}", asked):
        return f": retry in {asked} s"
    return f": retry in {found[1]} s" if found else ""


def _linked(response: "httpx2.Response") -> str:
    """Return the hash of a file from the hub's redirect to it; empty if it has none."""
    sha256 = response.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
    return sha256 if _SHA256.fullmatch(sha256) else ""


def _next(response: "httpx2.Response") -> str:
    """Return the address of a redirect. Raise `SwarmError` if it is not encrypted."""
    assert response.next_request is not None
    address = str(response.next_request.url)
    loses_encryption = response.url.scheme == "https" and not address.startswith("https:")
    if loses_encryption or not _is_allowed(address):
        raise SwarmError(f"{response.url.host} redirects to an address without encryption; not followed")
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
    """Return scheme, host and port of an address; empty values if it is not an address."""
    try:
        parts = urlsplit(address)
        default = 443 if parts.scheme == "https" else 80
        return parts.scheme, (parts.hostname or "").lower(), parts.port or default
    except ValueError:
        return "", "", 0


def _json(response: "httpx2.Response", endpoint: str) -> Any:
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > PAGE_BYTES:
            raise SwarmError(f"a page of files of {endpoint} exceeds {PAGE_BYTES} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise SwarmError(f"{endpoint} is not a hub of models\nhint: check HF_ENDPOINT") from None


def _files(page: Any) -> list[HubFile]:
    """Return the files of a page of a list. Entries of another shape are ignored."""
    found: list[HubFile] = []
    for entry in cast("list[Any]", page) if isinstance(page, list) else []:
        entry: Any = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        large: Any = entry.get("lfs")
        if entry.get("type") != "file" or not isinstance(large, dict):
            continue
        large = cast("dict[str, Any]", large)
        path, size, sha256 = entry.get("path"), large.get("size"), large.get("oid")
        has_size = type(size) is int and size > 0
        if isinstance(path, str) and has_size and _SHA256.fullmatch(str(sha256)):
            found.append(HubFile(path, size, str(sha256)))
    return found
