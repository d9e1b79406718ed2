"""The web tools against a site on loopback: what they give, and what they never reach."""

import gzip
import json
import socket
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr

import swarm
from swarm.base.errors import TaskError, ToolError
from swarm.spec.files import load_task, public, secrets_of
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.spec.web import Search, Web
from swarm.testing import Function
from swarm.tools import ToolContext, ToolResult
from swarm.tools.web.addresses import Address, AddressRules, RefusedError, networks, target_of
from swarm.tools.web.fetch import BODY_BYTES, HOPS
from swarm.tools.web.kit import WebKit
from tests.kits import asking

OPEN = ("127.0.0.1",)
PAGE = (
    """<html><head><title>Queues</title></head><body><nav><a href=/>Menu one</a></nav>
<main><h1>Queues</h1><p>Alpha needs 512 MB of memory.</p><table><tr><th>a<th>b<tr><td>1<td>2</table>
<p>"""
    + "More about queues. " * 20
    + "</p></main><footer>Imprint</footer></body></html>"
)

Answer = tuple[int, dict[str, str], bytes]


class Site:
    """A site on loopback."""

    def __init__(self, **pages: Answer) -> None:
        self.pages = {f"/{name}": page for name, page in pages.items()}
        self.asked: list[bytes] = []
        self.url = ""
        self.busy = self.most = 0

    def paths(self) -> list[str]:
        return [request.split()[1].decode() for request in self.asked]

    async def answer(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive()
            self.asked.append(request)
            self.busy += 1
            self.most = max(self.most, self.busy)
            await anyio.lowlevel.checkpoint()
            path = request.split()[1].decode().partition("?")[0]
            status, headers, body = self.pages.get(path, (404, {}, b"not here"))
            lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
            lines += [f"Content-Length: {len(body)}", "Connection: close"]
            self.busy -= 1
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the client had enough
                await stream.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)


@asynccontextmanager
async def served(site: Site) -> AsyncGenerator[Site]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        site.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.start_soon(listener.serve, site.answer)
        try:
            yield site
        finally:
            tasks.cancel_scope.cancel()


def html(text: str = PAGE, **headers: str) -> Answer:
    return 200, {"Content-Type": "text/html; charset=utf-8", **headers}, text.encode()


def kit(web: Web | None = None, **more: Any) -> WebKit:
    return WebKit(web or Web(private=OPEN), pause=0.0, **more)


async def fetched(this: WebKit, url: str) -> str:
    (tool,) = [each for each in this.tools if each.name == "web_fetch"]
    result = await tool.run(json.dumps({"url": url}), ToolContext(step="a"))
    assert isinstance(result, ToolResult)
    return result.text


pytestmark = pytest.mark.anyio


async def as_the_system_does(host: str, _: int) -> tuple[Address, ...]:
    """Return the address that C libraries read from a spelling, without asking a server."""
    if host == "localhost":
        return (ip_address("127.0.0.1"),)
    return (ip_address(host) if ":" in host else ip_address(socket.inet_aton(host)),)


class TestAddresses:
    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "0.0.0.0", "0"),
            *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
            *("169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]"),
            *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
            *(
                "[64:ff9b::7f00:1]",
                "[64:ff9b:1::7f00:1]",
                "[2002:7f00:1::]",
                "[2001:0:7f00:1::]",
                "[fe80::1]",
                "[fc00::1]",
            ),
            *("224.0.0.1", "[ff02::1]", "255.255.255.255"),
        ],
    )
    async def test_threat_s7_no_spelling_reaches_what_is_not_public(self, host: str) -> None:
        with pytest.raises(ToolError, match=r"not a public address|never fetched|no host"):
            await fetched(kit(Web(), resolve=as_the_system_does), f"http://{host}/")

    @pytest.mark.parametrize(
        "address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]
    )
    def test_threat_s7_nothing_opens_the_services_of_the_machine(self, address: str) -> None:
        rules = AddressRules(private=networks(["0.0.0.0/0", "::/0"]))
        with pytest.raises(RefusedError, match="never fetched"):
            rules.check_address("x", ip_address(address))

    @pytest.mark.parametrize(
        "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
    )
    def test_public_addresses_are_reached(self, address: str) -> None:
        AddressRules().check_address("x", ip_address(address))

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("http://user:pw@example.org/", "a user or a password"),
            ("http://example.org@127.0.0.1/", "a user or a password"),
            ("file:///etc/passwd", "only http"),
            ("ftp://example.org/", "only http"),
            ("javascript:alert(1)", "only http"),
            ("//example.org", "only http"),
            ("http:///x", "no host"),
            ("http://a b/", "a space"),
            ("http://a\u200b.org/", "zero width space"),
            ("http://example.org\\@127.0.0.1/", "a backslash"),
            ("http://example.org:99999/", "not an address"),
            ("http://[::1/", "not an address"),
            ("http://[fe80::1%25eth0]/", "one network interface"),
            ("http://x/" + "a" * 3000, "characters"),
        ],
    )
    def test_what_is_no_address_is_refused_in_words(self, url: str, words: str) -> None:
        with pytest.raises(RefusedError, match=words):
            target_of(url)

    def test_names_in_other_letters_are_written_in_ascii(self) -> None:
        assert target_of("https://BÜCHER.example/ä").host == "xn--bcher-kva.example"

    async def test_threat_s7_a_name_is_resolved_once_for_each_request_and_checked_each_time(self) -> None:
        looked: list[str] = []

        async def resolve(host: str, _: int) -> tuple[Address, ...]:
            looked.append(host)
            return (ip_address("127.0.0.1"),) if len(looked) == 1 else (ip_address("10.0.0.1"),)

        async with served(Site(page=html())) as site:
            port = site.url.rpartition(":")[2]
            with pytest.raises(ToolError, match=r"10\.0\.0\.1, which is not a public address"):
                await fetched(kit(resolve=resolve), f"http://rebind.example:{port}/page")
            assert site.paths() == ["/robots.txt"]
        assert looked == ["rebind.example"] * 2

    async def test_threat_s7_one_bad_address_of_several_is_enough(self) -> None:
        async def resolve(_: str, __: int) -> tuple[Address, ...]:
            return ip_address("93.184.216.34"), ip_address("127.0.0.1")

        with pytest.raises(ToolError, match="not a public address"):
            await fetched(kit(Web(), resolve=resolve), "http://both.example/")

    async def test_hosts_win_over_everything(self) -> None:
        this = kit(Web(private=OPEN, hosts=("*.europa.eu", "example.org")))
        for host in ("127.0.0.1", "europa.eu.evil.example", "notexample.org"):
            with pytest.raises(ToolError, match=r"\*\.europa\.eu"):
                await fetched(this, f"http://{host}/")


class TestFetch:
    async def test_a_page_is_its_main_text_with_its_title(self) -> None:
        async with served(Site(page=html())) as site:
            text = await fetched(kit(), f"{site.url}/page")
        assert text.startswith("# Queues")
        assert "512 MB" in text
        assert "Menu one" not in text
        assert "Imprint" not in text

    async def test_each_hop_is_checked_anew(self) -> None:
        async with served(Site(a=(302, {"Location": "http://169.254.169.254/latest"}, b""))) as site:
            with pytest.raises(ToolError, match="never fetched"):
                await fetched(kit(), f"{site.url}/a")

    async def test_redirects_are_followed_and_bounded(self) -> None:
        site = Site(a=(301, {"Location": "/b"}, b""), b=html("<p>There.</p>"), loop=(302, {"Location": "/loop"}, b""))
        async with served(site):
            assert await fetched(kit(), f"{site.url}/a") == "There."
            with pytest.raises(ToolError, match=f"more than {HOPS} redirects"):
                await fetched(kit(), f"{site.url}/loop")

    async def test_threat_s8_what_is_packed_small_and_large_inside_is_refused(self) -> None:
        bomb = gzip.compress(b"0" * (BODY_BYTES + 1))
        large = b"x" * (BODY_BYTES + 1)
        deflated = (200, {"Content-Encoding": "deflate"}, zlib.compress(b"x"))
        site = Site(bomb=(200, {"Content-Encoding": "gzip"}, bomb), large=(200, {}, large), deflated=deflated)
        async with served(site):
            for path in ("bomb", "large"):
                with pytest.raises(ToolError, match="5,000,000 bytes"):
                    await fetched(kit(), f"{site.url}/{path}")
            with pytest.raises(ToolError, match="deflate"):
                await fetched(kit(), f"{site.url}/deflated")

    async def test_gzip_is_unpacked(self) -> None:
        packed = 200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, gzip.compress(b"Packed words.")
        async with served(Site(a=packed)) as site:
            assert await fetched(kit(), f"{site.url}/a") == "Packed words."

    async def test_robots_are_obeyed_and_read_once(self) -> None:
        robots: Answer = (200, {}, b"User-agent: *\nDisallow: /private\n")
        site = Site(a=html("<p>A.</p>"), private=html("<p>P.</p>"))
        site.pages["/robots.txt"] = robots
        async with served(site):
            this = kit()
            assert await fetched(this, f"{site.url}/a") == "A."
            with pytest.raises(ToolError, match="robots file"):
                await fetched(this, f"{site.url}/private")
        assert site.paths() == ["/robots.txt", "/a"]

    async def test_a_robots_file_that_fails_closes_the_host(self) -> None:
        site = Site(a=html())
        site.pages["/robots.txt"] = (503, {}, b"")
        async with served(site):
            with pytest.raises(ToolError, match="could not be read: status 503"):
                await fetched(kit(), f"{site.url}/a")

    async def test_one_request_a_host_at_a_time(self) -> None:
        site = Site(a=html(), b=html(), c=html())
        async with served(site):
            this = kit()
            async with anyio.create_task_group() as tasks:
                for path in "abc":
                    tasks.start_soon(fetched, this, f"{site.url}/{path}")
        assert site.most == 1
        assert len(site.asked) == 4

    async def test_nothing_but_the_request_is_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        async with served(Site(a=html("<p>A.</p>"))) as site:
            await fetched(kit(), f"{site.url}/a")
        names = {line.partition(b":")[0].lower() for line in site.asked[-1].split(b"\r\n")[1:] if line}
        assert names <= {b"host", b"user-agent", b"accept", b"accept-encoding", b"connection"}

    async def test_what_is_no_text_and_what_is_not_there_are_said_in_words(self) -> None:
        site = Site(picture=(200, {"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n" + b"\0" * 50))
        async with served(site):
            with pytest.raises(ToolError, match="no text"):
                await fetched(kit(), f"{site.url}/picture")
            with pytest.raises(ToolError, match="status 404"):
                await fetched(kit(), f"{site.url}/nothing")
        with pytest.raises(ToolError, match=r"cannot be reached|no host"):
            await fetched(kit(), "http://127.0.0.1:9/")

    async def test_the_header_says_how_a_text_is_encoded(self) -> None:
        page = 200, {"Content-Type": "text/html; charset=koi8-r"}, "<p>Память: 512 МБ.</p>".encode("koi8-r")
        async with served(Site(a=page)) as site:
            assert await fetched(kit(), f"{site.url}/a") == "Память: 512 МБ."

    @pytest.mark.virtual
    async def test_an_answer_that_never_comes_ends(self) -> None:
        async def resolve(_: str, __: int) -> tuple[Address, ...]:
            await anyio.sleep(1000)
            return ()

        with pytest.raises(ToolError, match="no answer within 20 seconds"):
            await fetched(kit(Web(), resolve=resolve), "http://slow.example/")


RESULTS = {"results": [{"title": "Alpha", "url": "http://a.example/1", "content": "Alpha needs 512 MB."}] * 3}


async def searched(this: WebKit, query: str, n: int = 2) -> Any:
    (tool,) = [each for each in this.tools if each.name == "web_search"]
    return await tool.run(json.dumps({"query": query, "n": n}), ToolContext(step="a"))


class TestSearch:
    async def test_a_service_of_ones_own_is_asked_in_its_network(self) -> None:
        site = Site(search=(200, {"Content-Type": "application/json"}, json.dumps(RESULTS).encode()))
        async with served(site):
            this = kit(Web(search=Search(use="searxng", url=site.url)))
            result = await searched(this, "queues {key}")
        assert result.text.count("Alpha needs 512 MB.") == 2
        assert "http://a.example/1" in result.text
        assert site.paths()[0].startswith("/search?q=queues+%7Bkey%7D&format=json")
        assert result.usd == 0.0

    async def test_a_paid_service_gets_its_key_and_counts_its_price(self) -> None:
        site = Site(
            find=(200, {}, json.dumps({"web": {"results": [{"title": "T", "url": "u", "description": "d"}]}}).encode())
        )
        async with served(site):
            brave = Search(use="brave", key=SecretStr("canary-key"), price=0.005, get=f"{site.url}/find")
            this = kit(Web(search=brave))
            result = await searched(this, "x")
        assert b"X-Subscription-Token: canary-key" in site.asked[0]
        assert (result.usd, "1. T\nu\nd" in result.text) == (0.005, True)
        assert [tool.price for tool in this.tools] == [0.0, 0.005]

    @pytest.mark.parametrize(
        ("search", "key", "words"),
        [
            (Search(use="bing"), "web.search.use", "known: brave, searxng and tavily"),
            (Search(use="braev"), "web.search.use", "did you mean `brave`"),
            (Search(use="brave"), "web.search.key", "brave needs it"),
            (Search(use="searxng"), "web.search.url", "searxng needs it"),
            (Search(), "web.search", "needs `use`"),
        ],
    )
    async def test_a_section_that_cannot_work_is_named(self, search: Search, key: str, words: str) -> None:
        with pytest.raises(TaskError) as caught:
            WebKit(Web(search=search))
        (problem,) = caught.value.problems
        assert problem.key == key
        assert words in problem.message

    async def test_searxng_without_json_is_explained(self) -> None:
        async with served(Site(search=(403, {}, b""))) as site:
            with pytest.raises(ToolError, match=r"formats: \[html, json\]"):
                await searched(kit(Web(search=Search(use="searxng", url=site.url))), "x")

    async def test_an_answer_that_is_no_list_is_said_in_words(self) -> None:
        async with served(Site(search=(200, {}, b"<html>"))) as site:
            with pytest.raises(ToolError, match="did not answer in JSON"):
                await searched(kit(Web(search=Search(use="searxng", url=site.url))), "x")


class TestRuns:
    async def test_a_hundred_siblings_that_ask_for_one_page_make_one_request(self, tmp_path: Path) -> None:
        site = Site(find=html())
        async with served(site):
            result = await swarm.run(self.task(tmp_path, site, 20), endpoint=fetching(f"{site.url}/find"), cache=False)
        assert result.status == "done"
        assert site.paths() == ["/robots.txt", "/find"]

    @staticmethod
    def task(folder: Path, site: Site, count: int, **more: Any) -> Task:
        steps = (Step(id="look", each=tuple(range(count)), prompt="Look {item}."),)
        models = {"default": Model(endpoint="offline")}
        return Task(
            goal="x",
            plan=Plan(steps=steps),
            tools=("web",),
            web=Web(private=OPEN),
            models=models,
            folder=folder,
            **more,
        )


def fetching(url: str) -> Function:
    """Make a model that fetches a page in each step, then says what it got."""
    return asking("web_fetch", {"url": url})


def test_threat_s14_the_key_of_a_search_service_is_in_no_file_of_a_run(tmp_path: Path) -> None:
    search = {"use": "brave", "key": "${SEARCH_KEY}", "get": "http://127.0.0.1:9/find"}
    text = json.dumps({"goal": "x", "tools": ["web"], "web": {"search": search}, "plan": [{"id": "a"}]})
    with pytest.raises(TaskError, match="SEARCH_KEY is not set"):
        load_task("t.yaml", text=text, environ={})
    task = load_task("t.yaml", text=text, environ={"SEARCH_KEY": "canary-key-1"})
    assert "canary-key-1" in secrets_of(task)
    assert "canary-key-1" not in json.dumps(public(task)) + repr(task)
    assert '"key": "${SEARCH_KEY}"' in json.dumps(public(task)), "a resumed run reads it from the environment again"
