"""The guard and the clock that every other test relies on."""

import math
import os
import socket
import subprocess
import sys
import threading
from typing import Protocol

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Belongings


class Refusals(Protocol):
    """What the guard of `conftest` remembers."""

    refused: list[str]


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1"])
def test_no_connection_leaves_this_machine(loopback_only: Refusals, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as outward, pytest.raises(PermissionError, match="only loopback"):
        outward.connect((address, 80))
    assert len(loopback_only.refused) == 1
    loopback_only.refused.clear()  # else this test fails, as any other would


def test_no_name_server_is_asked(loopback_only: Refusals) -> None:
    with pytest.raises(PermissionError, match="only loopback"):
        socket.getaddrinfo("api.example.com", 443)
    assert len(loopback_only.refused) == 1
    loopback_only.refused.clear()


def test_a_name_that_never_exists_is_not_found_without_asking() -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nowhere.invalid", 443)


def test_loopback_is_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_no_key_of_the_developer_is_there() -> None:
    assert not [name for name in os.environ if name.endswith("_API_KEY") or name.startswith("SWARM_")]


@pytest.mark.anyio
@pytest.mark.virtual
async def test_virtual_time_jumps_to_the_next_deadline() -> None:
    start = anyio.current_time()
    await anyio.sleep(86_400)
    assert math.isclose(anyio.current_time() - start, 86_400, abs_tol=0.001)


@pytest.mark.anyio
@pytest.mark.virtual
@given(seconds=st.integers(min_value=1, max_value=10_000))
async def test_virtual_time_is_for_properties_too(seconds: int) -> None:
    start = anyio.current_time()
    await anyio.sleep(seconds)
    assert math.isclose(anyio.current_time() - start, seconds, abs_tol=0.001)


@pytest.mark.anyio
async def test_the_usual_backend_is_asyncio(anyio_backend_name: str) -> None:
    assert anyio_backend_name == "asyncio"


def test_a_thread_and_a_child_and_a_connection_that_stay_are_named() -> None:
    before, over = Belongings(), threading.Event()
    thread = threading.Thread(target=over.wait, name="stays", daemon=True)
    assert before.left_behind() == []
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        with socket.create_server(("127.0.0.1", 0)):
            found = " ".join(before.left_behind())
            assert f"child psutil.Process(pid={child.pid}" in found
            assert "socket" in found
        child.kill()
    thread.start()
    before.threads.discard(thread)
    over.set()
    assert before.left_behind() == []
