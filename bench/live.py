"""CPU of the live view: a run on a terminal against the same run with `--quiet`, as a share of one core.

    python bench/live.py [--agents 1000] [--rounds 1] [--picture docs/live.svg]

A fake endpoint streams answers, in a process of its own. The run is the command in a process of its own, on a terminal
of 80 x 24 and of 200 x 50, and with `--quiet`. The share of the view is the CPU that the run needs more, by its time.
The aim is at most 0.20 at 1,000 agents. `--picture` writes a screen of a small run as SVG, for the README.
"""

import argparse
import fcntl
import html
import json
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

SERVICES = (
    "search",
    "mail",
    "wiki",
    "builds",
    "chat",
    "backups",
    "metrics",
    "queue",
    "cache",
    "login",
    "billing",
    "maps",
)
COLORS = {"green": "#4ca64c", "red": "#d75f5f", "brown": "#c09040", "cyan": "#4aa5b5", "default": "#d0d0d0"}
CELL, LINE = 8.4, 18.0
"""Width and height of a character in the picture, in pixels of its 14-pixel font."""


class Used(NamedTuple):
    """CPU and time of one run."""

    cpu: float
    seconds: float


@contextmanager
def served(folder: Path, rules: Sequence[dict[str, Any]]) -> Generator[str]:
    """Serve streamed answers in a process of its own."""
    (folder / "rules.json").write_text(json.dumps(rules))
    command = [sys.executable, "-m", "swarm.testing.server", "--rules", str(folder / "rules.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def write_task(folder: Path, url: str, items: Sequence[str], workers: int) -> None:
    """Write a task with a step for each item, and a report."""
    task = {
        "goal": "How much memory does each service need, and which one should move first?",
        "models": {"default": {"endpoint": url, "name": "qwen3-32b", "stream": True}},
        "limits": {"workers": workers, "steps": 5_000},
        "swarm": "always",
        "plan": [
            {"id": "read", "each": list(items), "prompt": "Say what is known of {item}."},
            {"id": "compare", "prompt": "Compare them.", "needs": ["read"]},
            {"id": "report", "prompt": "Write the report.", "needs": ["compare"]},
        ],
    }
    (folder / "task.yaml").write_text(json.dumps(task))


def run(folder: Path, *options: str, size: tuple[int, int] | None = None, screens: Any = None) -> Used:
    """Run the command, on a terminal of a size if there is one. `screens` receives what it writes."""
    command = [sys.executable, "-c", "import sys; from swarm.cli import main; sys.exit(main())", "run", "task.yaml"]
    main, side = pty.openpty()
    if size is not None:
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    shown = side if size is not None else subprocess.DEVNULL
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    env.pop("CI", None)
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--no-cache", *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=shown, env=env
    )
    os.close(side)
    reader = threading.Thread(target=_read, args=(main, screens))
    reader.start()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    used = Used(usage.ru_utime + usage.ru_stime, time.perf_counter() - started)
    reader.join()
    os.close(main)
    return used


def _read(fd: int, screens: Any) -> None:
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # the other side is closed
            return
        if screens is not None:
            screens(chunk)


def measure(agents: int, rounds: int) -> None:
    """Print the share of a core that the view takes at both sizes."""
    words = " ".join(f"The service needs {n} GB of memory and {n} disks." for n in range(6))
    print(f"{agents:,} agents, streamed answers; share of one core")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder, [{"when": "", "text": words, "pause": 0.3}]) as url:
            write_task(folder, url, [f"service {n}" for n in range(agents)], agents)
            sizes: dict[str, tuple[int, int] | None] = {"quiet": None, "80 x 24": (80, 24), "200 x 50": (200, 50)}
            found: dict[str, list[Used]] = {name: [] for name in sizes}
            for _ in range(rounds):
                for name, size in sizes.items():
                    found[name].append(run(folder, *(("--quiet",) if size is None else ()), size=size))
    quiet = statistics.median(each.cpu for each in found["quiet"])
    for name, all_used in found.items():
        cpu, seconds = statistics.median(u.cpu for u in all_used), statistics.median(u.seconds for u in all_used)
        more = "" if name == "quiet" else f"  view {(cpu - quiet) / seconds:5.3f}  ratio {cpu / quiet:4.2f}"
        print(f"{name:>9}  CPU {cpu:6.2f} s  time {seconds:6.2f} s  share {cpu / seconds:5.3f}{more}")


# The picture


def picture(path: Path) -> None:
    """Write one screen of a small run as SVG. It holds no address of anything else, such as a font."""
    import pyte

    columns, lines = 92, 24
    screen: Any = pyte.Screen(columns, lines)
    stream: Any = pyte.ByteStream(screen)
    kept: list[str] = []

    def take(chunk: bytes) -> None:
        stream.feed(chunk)
        text = "\n".join(screen.display)
        if " done" in text and text.count("writing") >= 4 and "left" in text:
            kept.append(svg(screen, columns))

    rules: list[dict[str, Any]] = [
        {"when": f"known of {each}", "pause": 0.2 + 0.05 * (n % 5), "text": _words(each, n)}
        for n, each in enumerate(SERVICES)
    ]
    rules.append({"when": "", "text": "Search needs most.", "pause": 0.1})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder, rules) as url:
            write_task(folder, url, SERVICES, 5)
            run(folder, size=(columns, lines), screens=take)
    path.write_text(kept[len(kept) // 2], encoding="utf-8")
    print(f"wrote {path}")


def _words(name: str, n: int) -> str:
    facts = f"The {name} service needs {2 + 3 * n % 17} GB of memory. Its notes name {1 + n % 3} disks"
    return (
        f"{facts}, and say that its cache grows with the number of users, but do not say how fast. It can move first."
    )


def svg(screen: Any, columns: int) -> str:
    """Return the frame on a screen as SVG: what is above it, and what is empty, is left out."""
    shown = screen.display
    first = next(n for n, line in enumerate(shown) if line.startswith("How much"))
    last = max(n for n, line in enumerate(shown) if line.strip())
    width, height = columns * CELL + 24, (last - first + 1) * LINE + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">',
        "<title>The live view of a run on a terminal</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="6" fill="#1b1d21"/>',
    ]
    for y in range(first, last + 1):
        x = 0
        while x < columns:
            cell = screen.buffer[y][x]
            end = x + 1
            while end < columns and screen.buffer[y][end][1:] == cell[1:]:
                end += 1
            text = "".join(screen.buffer[y][n].data for n in range(x, end))
            if text.strip():
                fill = COLORS.get(cell.fg, COLORS["default"])
                weight = ' font-weight="bold"' if cell.bold else ""
                place = f'x="{12 + x * CELL:.1f}" y="{24 + (y - first) * LINE:.1f}"'
                out.append(
                    f'<text {place} textLength="{len(text) * CELL:.1f}" '
                    f'fill="{fill}"{weight} xml:space="preserve">{html.escape(text)}</text>'
                )
            x = end
    return "\n".join([*out, "</svg>"]) + "\n"


def main() -> None:
    """Measure, or write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.picture is not None:
        picture(options.picture)
    else:
        measure(options.agents, options.rounds)


if __name__ == "__main__":
    main()
