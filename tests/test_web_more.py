"""The web tools against sites that lie, change, or say more than they should."""

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
