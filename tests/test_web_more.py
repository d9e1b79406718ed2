"""The web tools against sites that lie, change, or say more than they should."""

from ipaddress import ip_address

import pytest

from swarm.tools.web.addresses import AddressRules, RefusedError, networks, target_of
from swarm.tools.web.fetch import WebAnswer
from swarm.tools.web.pages import text_of
from tests.test_web import PAGE


def shown(page: str, url: str = "http://a.example/d/a.html") -> str:
    return text_of(WebAnswer(url, 200, "text/html", "", page.encode()))


def test_links_are_whole_addresses_that_can_be_fetched() -> None:
    links = "<a href='b.html#x'>the b</a><a href=b.html>again</a><a href=/c?d=1><b>c</b> d</a><a href='#top'>up</a>"
    links += "<a href='javascript:alert(1)'>x</a><a href='mailto:a@b'>m</a><a href='http://['>n</a><a href=' '>o</a>"
    links += "<a href=''>p</a><a href='//e.example/f\n'> </a>"
    expected = "- the b: http://a.example/d/b.html\n- c d: http://a.example/c?d=1\n- http://e.example/f"
    # No link of the menu, and nothing that is no page.
    assert shown(PAGE.replace("</main>", f"{links}</main>")).endswith(f"\n\nLinks:\n{expected}")
    many = "".join(f"<a href=/{n}>n</a>" for n in range(60))
    assert shown(PAGE.replace("</main>", f"{many}</main>")).endswith("/49\n- and 10 more")
    assert shown("<nav><a href=/x>to x</a></nav>").endswith("- to x: http://a.example/x")
    assert "Links" not in shown(PAGE)


@pytest.mark.parametrize(
    "address",
    [
        *("fec0::1", "3fff::1", "192.88.99.1", "::ffff:192.88.99.1", "5f00::1", "100::1", "2001:20::1", "2001:db8::1"),
        *("64:ff9b:1:7f00:0:100:808:808", "64:ff9b:1::808:808", "::ffff:0:7f00:1", "::ffff:0:808:808"),
        *("2001:4860::5efe:7f00:1", "2001:4860::200:5efe:a00:1", "2002:a9fe:a9fe::1", "64:ff9b::a00:1", "::7f00:1"),
    ],
)
def test_threat_s48_no_range_that_leads_inside_is_public(address: str) -> None:
    with pytest.raises(RefusedError, match=r"not a public address|never fetched"):
        AddressRules().check_address("x", ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2001:4860::1", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"]
)
def test_threat_s48_what_leads_to_public_addresses_is_fetched(address: str) -> None:
    AddressRules().check_address("x", ip_address(address))


def test_what_the_task_opens_is_open_in_each_spelling() -> None:
    rules = AddressRules(private=networks(["10.0.0.0/8"]))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"):
        rules.check_address("x", ip_address(address))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "127.0.0.1"),
        ("http://127\u30020\u30020\u30021/", "127.0.0.1"),
        ("http://\u24dbocalhost/", "localhost"),
        ("http://LOCALHOST./", "localhost"),
        ("http://[::FFFF:7F00:1]/", "::ffff:7f00:1"),
    ],
)
def test_threat_s7_a_spelling_is_what_the_system_makes_of_it(url: str, host: str) -> None:
    assert target_of(url).host == host  # which is resolved, and its address checked


@pytest.mark.parametrize(
    "url",
    [
        *("http://user@127.0.0.1/", "http://127.0.0.1:80@evil.example/", "http://evil.example\\@127.0.0.1/"),
        *("http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]/", "http://a b/", "http://a\tb/", "http://[::1"),
        *("http://a:99999/", "http://a:-1/", "http:///x", "//a/b", "file:///etc/passwd", "http://127.0.0.1%2f@e/"),
    ],
)
def test_threat_s7_what_two_programs_read_differently_is_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        target_of(url)


def page_in(charset: str, content: bytes) -> str:
    return text_of(WebAnswer("http://a.example/a.txt", 200, "text/plain", charset, content))


@pytest.mark.parametrize(
    "charset",
    [
        *("punycode", "idna", "undefined", "unicode_escape", "raw_unicode_escape"),
        *("hex", "zlib", "rot13", "mbcs", "none-such", "utf-8\0", "../../etc", "x" * 5_000, "utf-16"),
    ],
)
def test_a_header_that_lies_about_the_encoding_costs_nothing(charset: str) -> None:
    text = "caf\u00e9 \\u0041 " * 3_001  # of an odd number of bytes
    assert page_in(charset, text.encode()) in (text, text.rstrip()) or charset == "utf-16"
    assert page_in("latin-1", "caf\u00e9 \u201cquoted\u201d".encode("cp1252")).startswith("caf\u00e9 \u201cquoted")
