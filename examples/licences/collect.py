"""Put the metadata of a package, and of all it is installed with, into `metadata/`, for the audit in `task.yaml`.

    python examples/licences/collect.py [PACKAGE]    # local-agent-swarm by default

Only the headers are taken: name, version, licence, what it requires. The long description below them is left out.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

FOLDER = Path(__file__).parent / "metadata"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def needed(package: str) -> dict[str, Distribution]:
    """Find a package and all it requires, directly or not, as far as it is installed; extras are left out."""
    found: dict[str, Distribution] = {}
    todo = [package]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # for another system, or another Python
            continue
        requires = [need for need in found[name].requires or () if "extra ==" not in need]
        todo += [match[0] for need in requires if (match := NAME.match(need))]
    return found


def headers(package: Distribution) -> str:
    """Give what stands above the first blank line of a package's metadata, without notes for programs."""
    lines = (package.read_text("METADATA") or "").replace("\r\n", "\n").partition("\n\n")[0].split("\n")
    return "\n".join(line for line in lines if not line.startswith(("License-File:", "Dynamic:"))) + "\n"


def collect(package: str, folder: Path = FOLDER) -> int:
    """Write one file for each package and give how many there are; what an earlier call left is removed."""
    found = needed(package)
    if not found:
        sys.exit(f"{package} is not installed in {sys.prefix}")
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.txt"):
        old.unlink()
    for name, each in found.items():
        (folder / f"{name}.txt").write_text(headers(each), encoding="utf-8")
    return len(found)


if __name__ == "__main__":
    count = collect((sys.argv[1:2] or ["local-agent-swarm"])[0])
    print(f"{count} packages in {FOLDER}", file=sys.stderr)
