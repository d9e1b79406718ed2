"""Third parties that judge us as a client: installed by name, each into a folder of its own under `.venvs/`.

Nothing of theirs is in the environment that runs the tests, so that nothing of ours can come to lean on it.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task

ROOT = Path(__file__).parent.parent.parent
PLACE = ROOT / ".venvs"
LLMOCK = "0.2.2"
AIMOCK = "1.43.0"
MEMORY = "2026.8.31"


def carry_out(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command with the settings of the person whose machine it is; give what it said."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    environment = {**os.environ, "HOME": home}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout}{done.stderr}"
    return done.stdout


def llmock() -> Path:
    """Install `llmock` from the Python index, once; give its command."""
    folder = PLACE / f"llmock-{LLMOCK}"
    command = folder / "bin" / "llmock"
    if not command.exists():
        carry_out(sys.executable, "-m", "venv", "--clear", folder)
        carry_out(folder / "bin" / "python", "-m", "pip", "install", "-qq", f"llmock=={LLMOCK}")
    return command


def aimock() -> Path:
    """Install `@copilotkit/aimock` with npm, once; give its command."""
    npm = shutil.which("npm")
    assert npm is not None, "this judge needs npm on the PATH (Node.js 20.15 or newer)"
    folder = PLACE / f"aimock-{AIMOCK}"
    command = folder / "node_modules" / ".bin" / "llmock"  # what it was called first
    if not command.exists():
        folder.mkdir(parents=True, exist_ok=True)
        words = ("install", "--no-audit", "--no-fund", "--ignore-scripts", f"@copilotkit/aimock@{AIMOCK}")
        carry_out(npm, *words, cwd=folder)
    return command


def memory() -> Path:
    """Install the MCP server `@modelcontextprotocol/server-memory` with npm, once; give its script."""
    npm = shutil.which("npm")
    assert npm is not None, "this server needs npm on the PATH (Node.js 20.15 or newer)"
    folder = PLACE / f"server-memory-{MEMORY}"
    script = folder / "node_modules" / "@modelcontextprotocol" / "server-memory" / "dist" / "index.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        words = ("install", "--no-audit", "--no-fund", "--ignore-scripts")
        carry_out(npm, *words, f"@modelcontextprotocol/server-memory@{MEMORY}", cwd=folder)
    return script


@contextmanager
def serving(*command: str | Path, says: str) -> Generator[str]:
    """Start a judge; give its address as soon as it says it, and end it afterwards."""
    words = [str(word) for word in command]
    heard: list[str] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PLACE) as server:
        assert server.stdout is not None
        try:
            for line in server.stdout:
                heard.append(line)
                if found := re.search(rf"{says} (http://127\.0\.0\.1:[1-9]\d*)", line):
                    yield found[1]
                    return
            raise AssertionError("it did not start:\n" + "".join(heard))
        finally:
            server.terminate()


def task(url: str, folder: Path, names: Iterable[str], *, together: bool = False, **settings: object) -> Task:
    """Make a task with a step for each name, all beside one another, and a sum of them.

    Each step's model has its name, so that a judge can tell them apart; `together`, they share one.
    """
    aliases = {name: "default" if together else name for name in (*names, "sum")}
    models = {
        alias: Model.model_validate({"endpoint": url, "name": alias, "key": "sk-judge-0123456789", **settings})
        for alias in aliases.values()
    }
    steps = [Step(id=name, prompt=f"Do {name}.", model=aliases[name], retries=3) for name in names]
    last = Step(id="sum", prompt="Sum up.", model=aliases["sum"], after=tuple(names), retries=3)
    limits = Limits(workers=len(steps))
    return Task(goal="Judge us.", plan=Plan(steps=(*steps, last)), models=models, folder=folder, limits=limits)
