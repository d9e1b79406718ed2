"""A headless Chromium for tests, driven through its own driver over HTTP (https://www.w3.org/TR/webdriver2/)."""

import json
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.judges.judging import PLACE, carry_out

AXE = "4.10.3"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)


def axe() -> str:
    """Install `axe-core` with npm, once; return its script."""
    npm = shutil.which("npm")
    assert npm is not None, "the check of accessibility needs npm on the PATH (Node.js)"
    folder = PLACE / f"axe-{AXE}"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        carry_out(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"axe-core@{AXE}", cwd=folder)
    return script.read_text(encoding="utf-8")


class Browser:
    """A browser with one window."""

    def __init__(self, port: int, profile: str, size: tuple[int, int], scale: float) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=110)
        window = (f"--window-size={size[0]},{size[1]}", f"--force-device-scale-factor={scale}")
        options = {"args": [*FLAGS, f"--user-data-dir={profile}", *window]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"
        self.post("url", {"url": "about:blank"})

    def open(self, page: Path, place: str = "") -> None:
        """Open a file."""
        self.post("url", {"url": f"{page.resolve().as_uri()}{place}"})

    def post(self, command: str, body: dict[str, Any] | None = None) -> Any:
        """Send a command of the session."""
        return self._send("POST", f"{self._session}/{command}", body or {})

    def get(self, command: str) -> Any:
        """Ask the session."""
        return self._send("GET", f"{self._session}/{command}")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return its result. The policy of the page does not hold for it."""
        return self.post("execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script: str) -> Any:
        """Run a script that calls its last argument with its result."""
        return self.post("execute/async", {"script": script, "args": []})

    def media(self, **features: str) -> None:
        """Set features that a style sheet can ask for, such as `prefers-color-scheme`."""
        found = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.post("goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": found}})

    def without_scripts(self) -> None:
        """Turn off the scripts of pages."""
        self.post("goog/cdp/execute", {"cmd": "Emulation.setScriptExecutionDisabled", "params": {"value": True}})

    def console(self) -> list[str]:
        """Return the messages of the console since the last call, without those about the browser's own pages."""
        messages = [str(entry["message"]) for entry in self.post("se/log", {"type": "browser"})]
        # A message begins with the address that it is about, and no page can have one of these.
        return [message for message in messages if not message.startswith(("chrome://", "chrome-untrusted://"))]

    def requests(self) -> list[str]:
        """Return the addresses that the page has requested since the last call."""
        found: list[str] = []
        for entry in self.post("se/log", {"type": "performance"}):
            event = json.loads(entry["message"])["message"]
            # A new window shows a page of the browser itself, which has requests of its own.
            own = str(event["params"].get("documentURL", "")).startswith(("chrome", "about:", "data:"))
            if event["method"] == "Network.requestWillBeSent" and not own:
                found.append(str(event["params"]["request"]["url"]))
        return found

    def close(self) -> None:
        """Close the browser."""
        self._send("DELETE", self._session)
        self._connection.close()

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, {"Content-Type": "application/json"})
        value = json.loads(self._connection.getresponse().read())["value"]
        assert not (isinstance(value, dict) and "error" in value), value
        return value  # pyright: ignore[reportUnknownVariableType] - JSON


@contextmanager
def browser(width: int = 1200, height: int = 900, scale: float = 1.0) -> Generator[Browser]:
    """Start a browser, and end it with its driver."""
    driver = shutil.which("chromedriver")
    assert driver is not None, "this test needs Chromium and its driver: apt-get install chromium chromium-driver"
    with (
        TemporaryDirectory() as profile,
        subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            port = next(int(line.split()[-1].rstrip(".")) for line in process.stdout if "successfully on port" in line)
            found = Browser(port, profile, (width, height), scale)
            try:
                yield found
            finally:
                found.close()
        finally:
            process.terminate()
