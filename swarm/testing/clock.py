"""Virtual time: hours of waiting pass immediately, and in the same order every time."""

from typing import Any


def virtual_time() -> tuple[str, dict[str, Any]]:
    """Return an anyio backend whose clock jumps to the next deadline when nothing can run.

    The backend is trio, which your tests must install. Call this once per test, because the clock
    is new:

        @pytest.fixture
        def anyio_backend():
            return virtual_time()

    Without pytest: `backend, options = virtual_time(); anyio.run(main, backend=backend,
    backend_options=options)`. Do not use real sockets, threads or processes with it: the clock
    would jump while they work.
    """
    from trio.testing import MockClock

    return "trio", {"clock": MockClock(autojump_threshold=0)}
