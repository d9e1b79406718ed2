"""What holds for every test: no key of the developer's, no home of theirs, no network but loopback, a fresh clock.

A test that is marked `anyio` runs on asyncio, and on another backend where its module says so by a fixture
`anyio_backend` of its own. One that is also marked `virtual` runs on trio with a clock that jumps to the next deadline
as soon as nothing can run: hours pass in no time, and in the same order every time.
"""

import ipaddress
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from hypothesis import HealthCheck, settings

from swarm.record.folder import UNMEASURED
from swarm.testing import virtual_time

FOREIGN = re.compile(r"(_API_KEY|_TOKEN|_BASE_URL)$|^(SWARM_|OPENAI_|HF_|FORCE_COLOR|PY_COLORS)", re.I)
"""Variables of the developer's that would change what a test does, or could be spent."""
PROXY = re.compile(r"^(https?|all|no|ftp)_proxy$", re.I)
"""A proxy on loopback would be a way out."""

# A deadline for an example would be an assertion about the wall clock.
settings.register_profile("swarm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("swarm")


class Guard:
    """Refuses every connection that would leave this machine, and remembers it for the test to fail.

    An audit hook cannot be removed and sees every way to connect, so that no library finds one around it.
    """

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at one audit event."""
        if event in ("socket.connect", "socket.sendto"):
            self._check_address(arguments[1])
        elif event == "socket.getaddrinfo":
            self._check_name(arguments[0])

    def _check_address(self, address: object) -> None:
        if isinstance(address, tuple) and not is_loopback(str(cast("tuple[object, ...]", address)[0])):
            self._refuse(f"a connection to {address!r}")

    def _check_name(self, name: object) -> None:
        host = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name or "localhost")
        if host.endswith(".invalid"):  # RFC 6761: never exists, so nobody need be asked
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not is_loopback(host) and not is_address(host):
            self._refuse(f"a look-up of {host!r}")

    def _refuse(self, what: str) -> None:
        self.refused.append(what)
        raise PermissionError(f"a test tried {what}: only loopback is allowed; use swarm.testing's server")


def is_address(host: str) -> bool:
    """Whether a host is written as an address, so that no name server is asked."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if not host or host == "localhost" or host.endswith(".localhost"):
        return True
    return is_address(host) and ipaddress.ip_address(host.partition("%")[0]).is_loopback


GUARD = pytest.StashKey[Guard]()


def pytest_configure(config: pytest.Config) -> None:
    """Start without what the developer's shell brings."""
    for name in list(os.environ):
        if FOREIGN.search(name) or PROXY.search(name):
            del os.environ[name]
    os.environ["NO_COLOR"] = "1"
    guard = config.stash[GUARD] = Guard()
    sys.addaudithook(guard)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test marked `virtual` a clock of its own."""
    if metafunc.definition.get_closest_marker("virtual") is not None:
        metafunc.parametrize("anyio_backend", [pytest.param(virtual_time(), id="virtual")])


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on asyncio, as most users do, where a test does not say otherwise."""
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the developer's home out of reach: its settings, its caches, its keys."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(autouse=True)
def loopback_only(pytestconfig: pytest.Config) -> Iterator[Guard]:
    """Fail a test that tried to reach another machine, even if what tried took the refusal for bad weather."""
    guard = pytestconfig.stash[GUARD]
    guard.refused.clear()
    yield guard
    assert guard.refused == [], "a test may reach no machine but this one"


@pytest.fixture(autouse=True)
def everything_measured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which an internal error lost only figures: a run survives it, a test must not overlook it."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if isinstance(folder, Path):
        assert [found.read_text() for found in folder.rglob(UNMEASURED)] == []


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


JOIN_SECONDS = 30.0
"""How long a thread of a pool may take to see that its loop has ended."""


class Belongings:
    """What this process holds beyond its memory: threads, children, connections."""

    def __init__(self) -> None:
        self.threads = _threads()
        self.children = {child.pid for child in psutil.Process().children()}
        self.sockets = _sockets()

    def left_behind(self) -> list[str]:
        """Name what is there now and was not before; threads that are ending are waited for."""
        for thread in _threads() - self.threads:
            thread.join(JOIN_SECONDS)
        found = [f"thread {thread.name}" for thread in _threads() - self.threads]
        found += [f"child {child}" for child in psutil.Process().children() if child.pid not in self.children]
        if _sockets() - self.sockets:  # asking which of them are connections is slow, so it is asked rarely
            connections = psutil.Process().net_connections(kind="inet")
            found += [f"socket {each}" for each in connections if each.fd not in self.sockets]
        return found


def _threads() -> set[threading.Thread]:
    """Give every thread but those that trio keeps for the next loop and ends by itself."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


def _sockets() -> set[int]:
    found: set[int] = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = link.readlink()
        except OSError:  # the descriptor of the listing itself
            continue
        if str(target).startswith("socket:"):
            found.add(int(link.name))
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test after which a thread, a child process or a connection is still there."""
    before = Belongings()
    yield
    assert before.left_behind() == []
