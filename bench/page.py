"""The time to make the page of a run, at 10, 100, 300 and 5,000 steps, and its size.

    python bench/page.py                        # measures
    python bench/page.py --picture docs/page.png   # draws the picture in README.md with a headless Chromium

The runs are recorded in virtual time with the model of `tests/pages.py`. The aim is 1 s a page. CPU time is printed,
from the recorded run to the text of the page, next to the time to read the journal and to check the report.
"""

import argparse
import base64
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from swarm.cli.reading import exported
from swarm.record.recorded import recorded
from swarm.views.page.page import page
from tests.browser import browser
from tests.pages import record

SIZES = (10, 100, 300, 5000)
WIDTH, HEIGHT, SCALE = 1180, 2560, 0.75
"""Pixels of the window, and of the picture per pixel: from the head of the page to the use of time."""


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and the CPU seconds it took."""
    start = time.process_time()
    return work(), time.process_time() - start


def measure(sizes: tuple[int, ...]) -> None:
    """Print a line for each size."""
    print("steps    journal   report and figures   page      size")
    for count in sizes:
        with TemporaryDirectory() as folder:
            run = record(Path(folder), count)
            _, reading = timed(lambda run=run: recorded(run))
            found, checking = timed(lambda run=run: exported(run))
            text, making = timed(lambda found=found: page(found.found, found.result))
            steps = found.result.steps["total"]
            rest, size = checking - reading, len(text) / 1e6
            print(f"{steps:5,}  {reading:7.2f} s  {rest:17.2f} s  {making:5.2f} s  {size:5.2f} MB")


def draw(picture: Path) -> None:
    """Write a picture of the page of a run of ten steps."""
    with TemporaryDirectory() as folder, browser(WIDTH, HEIGHT, SCALE) as found:
        run = exported(record(Path(folder), 10))
        file = Path(folder) / "page.html"
        file.write_text(page(run.found, run.result), encoding="utf-8")
        found.open(file)
        picture.write_bytes(base64.b64decode(found.get("screenshot")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="write a picture instead")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="numbers of steps")
    chosen = parser.parse_args()
    if chosen.picture is None:
        measure(tuple(chosen.sizes))
    else:
        draw(chosen.picture)
