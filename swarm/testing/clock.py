"""Virtual time: hours of waiting in no time, and in the same order every time."""

from typing import Any


def virtual_time() -> tuple[str, dict[str, Any]]:
    """Make the options of an anyio backend whose clock jumps to the next deadline as soon as nothing can run.

    The backend is trio (install it beside your tests); the clock is fresh, so call this once a test:

        @pytest.fixture
        def anyio_backend():
            return virtual_time()

    Without pytest: `backend, options = virtual_time(); anyio.run(main, backend=backend, backend_options=options)`.
    Real sockets, threads and processes do not go with it: the clock would jump while they work.
    """
    from trio.testing import MockClock

    return "trio", {"clock": MockClock(autojump_threshold=0)}
