"""Settings from the environment: addresses, names, proxies and certificates that were copied with something around."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.base.errors import TaskError
from swarm.base.network import wrong_address
from swarm.base.proxy import certificate_problems, proxy_of
from swarm.base.settings import cleaned, hidden_character
from swarm.endpoints.wire.openai import base_of
from swarm.testing.fake import Answer, FakeServer
from tests.commands import Command, in_process, served

AROUND = ["\r", "\n", "\r\n", " ", "\t", "\u00a0", "\u200b", "\ufeff", " \u200b\n", "\u2003", "\x1c"]
TASK = "goal: How much?\nmodels: {default: {endpoint: '${URL}', name: '${NAME}'}}\nswarm: never\n"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with served(lambda _: "12 GB") as found:
        yield found


@pytest.mark.parametrize("around", AROUND)
def test_fault_117_blanks_of_every_kind_are_stripped(around: str) -> None:
    assert cleaned(f"{around}http://x/v1{around}{around}") == "http://x/v1"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\tb", "a control character (U+0009)"),
        ("a\x00b", "a control character (U+0000)"),
        ("a\u200bb", "zero width space"),
        ("a\u00a0b", "no-break space"),
        ("a\u202eb", "right-to-left override"),
        ("a\u2028b", "line separator"),
    ],
)
def test_fault_117_hidden_characters_are_named(text: str, name: str) -> None:
    assert hidden_character(text) == name
    assert hidden_character("Qwen 3 größe/模型") is None
    assert hidden_character("a b", blanks=True) == "a space"


@pytest.mark.parametrize("around", ["\r\n", "\u00a0", "\u200b"])
def test_fault_117_copied_settings_work_everywhere(
    around: str, command: Command, server: FakeServer, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / "task.yaml").write_text(TASK)
    url, name = f"{around}{server.url.replace('http', 'HTTP')}{around}", f"m{around}"
    monkeypatch.setenv("URL", url)
    monkeypatch.setenv("NAME", name)
    assert command("run", "task.yaml", "--quiet", "--no-cache").code == 0
    (empty / "task.yaml").write_text("goal: x\nswarm: never\n")
    assert command("run", "task.yaml", "--endpoint", url, "--model", name, "--quiet", "--no-cache").code == 0
    monkeypatch.setenv("SWARM_ENDPOINT", url)
    monkeypatch.setenv("SWARM_MODEL", name)
    assert command("run", "task.yaml", "--quiet", "--no-cache").code == 0
    assert {request.body["model"] for request in server.requests if request.raw} == {"m"}


@pytest.mark.parametrize("inside", ["\t", "\u200b", "\n"])
@pytest.mark.parametrize("variable", ["URL", "NAME", "SWARM_ENDPOINT", "SWARM_MODEL"])
def test_fault_117_a_hidden_character_inside_names_the_variable(
    variable: str, inside: str, command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("URL", "SWARM_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/v1")
    for name in ("NAME", "SWARM_MODEL"):
        monkeypatch.setenv(name, "model")
    monkeypatch.setenv(variable, f"http://127.0.0.1:9/{inside}v1" if variable[-1] == "L" else f"m{inside}m")
    (empty / "task.yaml").write_text(TASK if not variable.startswith("SWARM") else "goal: x\nswarm: never\n")
    for name in ("run", "check"):
        said = command(name, "task.yaml", "--quiet")
        assert said.code == 2
        assert variable in said.errors[0]
    assert not (empty / ".swarm").exists()


@pytest.mark.parametrize(
    "url", ["http://[", "http://x:99999/v1", "http://x:0/v1", "http://", "http://a b/v1", "http:///v1"]
)
def test_an_address_that_is_none_is_refused(url: str, command: Command, empty: Path) -> None:
    assert wrong_address(url) is not None
    for name in ("run", "check"):
        said = command(name, "--goal", "x", "--endpoint", url, "--model", "m", "--quiet")
        assert (said.code, said.out) == (2, "")


# Proxies

ORIGIN = "http://swarm-case.invalid/v1"
PROXIES: dict[str, str] = {
    "http://127.0.0.1:3128": "http://127.0.0.1:3128",
    "127.0.0.1:3128": "http://127.0.0.1:3128",
    "  http://127.0.0.1:3128\r\n": "http://127.0.0.1:3128",
    "HTTP://proxy.example:3128": "http://proxy.example:3128",
    "https://us%40er:p%3Aw@proxy.example:3128": "https://us%40er:p%3Aw@proxy.example:3128",
}
REFUSED = {
    "socks://127.0.0.1:1080/": "a socks5 proxy needs the package socksio",
    "socks5h://127.0.0.1:1080": "a socks5h proxy needs the package socksio",
    '"http://127.0.0.1:3128"': "quotation marks",
    "http://127.0.0.1:3128\u200b/x": "zero width space",
    "ftp://127.0.0.1:3128": "is not the address of a proxy",
    "http//127.0.0.1:3128": "is not the address of a proxy",
    "http://:3128": "is not the address of a proxy",
    "http://127.0.0.1:99999": "is not the address of a proxy",
}


@pytest.mark.parametrize("value", PROXIES)
def test_fault_116_a_proxy_is_read_as_desktops_write_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", value)
    proxy = proxy_of(ORIGIN, {"http_proxy": value})
    assert proxy is not None
    assert (proxy.url, proxy.variable) == (PROXIES[value], "http_proxy")
    assert "er:p" not in proxy.shown
    assert proxy_of("http://127.0.0.1:8000/v1") is None


@pytest.mark.parametrize("value", REFUSED)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_fault_116_a_proxy_that_cannot_be_used_names_its_variable(
    value: str, variable: str, command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    (empty / "task.yaml").write_text(f"goal: x\nmodels: {{default: {{endpoint: '{ORIGIN}', name: m}}}}\nswarm: never\n")
    for name in ("run", "check"):
        said = command(name, "task.yaml", "--quiet")
        assert said.code == 2
        assert said.errors[0].startswith(f"{variable}: ")
        assert REFUSED[value] in said.errors[0]


def test_fault_116_an_empty_proxy_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "")
    monkeypatch.setenv("HTTP_PROXY", " \n")
    assert proxy_of(ORIGIN) is None


def test_fault_116_the_proxy_of_the_scheme_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:2")
    proxy = proxy_of(ORIGIN)
    assert proxy is not None
    assert proxy.url == "http://127.0.0.1:2"
    with pytest.raises(TaskError, match="ALL_PROXY"):
        proxy_of("https://swarm-case.invalid/v1")


def test_fault_116_check_shows_the_proxy(command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret-word@proxy.example:3128")
    said = command("check", "--goal", "x", "--endpoint", ORIGIN, "--model", "m")
    assert said.code == 0
    assert "proxy: http://proxy.example:3128 (HTTP_PROXY)" in said.out
    assert "secret-word" not in said.out + said.err


# Certificates, and addresses with a query


def test_fault_139_a_missing_certificate_file_names_its_variable(
    command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / "bad.pem").write_text("no certificate")
    for value, words in (("/nonexistent.pem", "there is no file"), (str(empty / "bad.pem"), "has no certificates")):
        monkeypatch.setenv("SSL_CERT_FILE", value)
        said = command("check", "--goal", "x", "--endpoint", "https://models.example.com/v1", "--model", "m")
        assert said.code == 2
        assert said.errors[0].startswith("SSL_CERT_FILE: ")
        assert words in said.errors[0]
    monkeypatch.delenv("SSL_CERT_FILE")
    assert certificate_problems({}) == []


@pytest.mark.parametrize(
    ("address", "base", "query"),
    [
        ("https://x/openai/deployments/m?api-version=1", "https://x/openai/deployments/m", {"api-version": "1"}),
        ("https://x/d/m/chat/completions?a=1&b=", "https://x/d/m", {"a": "1", "b": ""}),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", {}),
        ("http://127.0.0.1:8000/v1/chat/completions", "http://127.0.0.1:8000/v1", {}),
        ("http://127.0.0.1:8000/v1/completions/", "http://127.0.0.1:8000/v1", {}),
        ("https://x/v1/responses?a=1", "https://x/v1", {"a": "1"}),
        ("https://x/models", "https://x/models", {}),
    ],
)
def test_fault_138_a_query_is_kept_at_the_end_of_each_path(address: str, base: str, query: dict[str, str]) -> None:
    assert base_of(address) == (base, query)


def test_fault_138_a_query_is_sent(command: Command, server: FakeServer, empty: Path) -> None:
    address = f"{server.url}/chat/completions?api-version=2025-01-01"
    (empty / "task.yaml").write_text("goal: x\nswarm: never\n")
    said = command("run", "task.yaml", "--endpoint", address, "--model", "m", "--quiet", "--no-cache")
    assert said.code == 0, said.err
    paths = {request.path for request in server.requests if request.raw}
    assert paths == {"/v1/chat/completions?api-version=2025-01-01"}


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://other.example.com/v2/chat/completions?token=geheim", "https://other.example.com/v2/chat/completions"),
        ("/api/v1/chat/completions", "/api/v1/chat/completions"),
        ("https://u:geheim@other.example.com/", "https://other.example.com/"),
        ("http://x:y/", "an address that cannot be read"),
    ],
)
def test_fault_139_a_redirect_names_its_target_without_secrets(
    command: Command, empty: Path, location: str, named: str
) -> None:
    (empty / "task.yaml").write_text("goal: x\nswarm: never\n")
    with served(lambda _: Answer(status=308, headers={"location": location})) as found:
        said = command("run", "task.yaml", "--endpoint", found.url, "--model", "m", "--quiet", "--no-cache")
    assert f": to {'http://127.0.0.1' if named.startswith('/') else named}" in said.err
    assert named in said.err
    assert "geheim" not in said.err
