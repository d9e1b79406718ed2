"""What is shipped: a wheel and an sdist are built, looked into, and the wheel is used from an empty folder."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import swarm

ROOT = Path(__file__).parent.parent
BUILT_IN = {"planner.md", "worker.md", "researcher.md", "analyst.md", "reducer.md", "wording.md"}


@dataclass(frozen=True)
class Built:
    """Both distributions; the wheel is built out of the sdist, as an installer without wheels would."""

    wheel: Path
    sdist: Path

    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def in_sdist(self) -> set[str]:
        """List the sdist's files below its one folder."""
        with tarfile.open(self.sdist) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with nothing of this environment but the way to programs; give its standard output."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=100, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return Built(wheel=next(folder.glob("*.whl")), sdist=next(folder.glob("*.tar.gz")))


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone into a fresh environment that sees our libraries by path: no index is asked."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "-q", "--no-deps", "--no-index", "--no-compile", built.wheel, cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def test_names_and_version(built: Built) -> None:
    assert built.wheel.name == f"local_agent_swarm-{swarm.__version__}-py3-none-any.whl"
    assert built.sdist.name == f"local_agent_swarm-{swarm.__version__}.tar.gz"


def test_the_wheel_has_the_package_the_agents_and_the_licence(built: Built) -> None:
    names = built.in_wheel()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "swarm").rglob("*.py")}
    assert modules <= names
    assert {f"swarm/_agents/{name}" for name in BUILT_IN} <= names
    assert {f"swarm/_agents/{path.name}" for path in (ROOT / "agents").glob("*.md")} <= names
    assert "swarm/py.typed" in names
    assert [name for name in names if name.endswith("/licenses/LICENSE")] != []


def test_the_wheel_has_nothing_else(built: Built) -> None:
    tops = {name.partition("/")[0] for name in built.in_wheel()}
    assert tops == {"swarm", f"local_agent_swarm-{swarm.__version__}.dist-info"}


def test_the_wheel_says_what_it_needs_and_installs_the_command(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        info = f"local_agent_swarm-{swarm.__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: MIT" in metadata
    assert "swarm = swarm.cli:main" in commands
    assert "pytest" not in metadata.partition("\n\n")[0]


def test_the_sdist_has_all_that_builds_and_checks_it(built: Built) -> None:
    needed = {"pyproject.toml", "Makefile", "constraints.txt", "LICENSE", "README.md", "agents/planner.md", ".ci/run"}
    assert needed | {"swarm/__init__.py", "tests/conftest.py"} <= built.in_sdist()


def test_no_private_file_is_shipped(built: Built) -> None:
    private = (".venv", ".git/", ".swarm", "__pycache__", ".hypothesis", ".ruff_cache")
    shipped = built.in_wheel() | built.in_sdist()
    assert [name for name in shipped if any(part in name for part in private)] == []


def test_the_wheel_lists_its_agents_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import swarm; print(swarm.__file__)", cwd=tmp_path)
    assert str(installed.parent) in where  # the wheel's copy, not the checkout's
    agents = json.loads(run(installed / "swarm", "agents", "--json", cwd=tmp_path))
    assert {"planner", "worker", "reducer"} <= {agent["name"] for agent in agents}
    assert [path.name for path in tmp_path.iterdir()] == []


def test_the_wheel_is_typed_for_others(installed: Path, tmp_path: Path) -> None:
    code = "from importlib.resources import files; print(files('swarm').joinpath('py.typed').is_file())"
    assert run(installed / "python", "-c", code, cwd=tmp_path).strip() == "True"
