"""Who may import whom. The layers themselves stand in `pyproject.toml`; here is what keeps them honest."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SWARM = ROOT / "swarm"
IMPORTERS = {
    "openai": ("endpoints/wire/openai.py",),
    "httpx2": (
        "endpoints/wire/openai.py",
        "endpoints/wire/stream.py",
        "endpoints/wire/transport.py",
        "exports/otlp.py",
        "local_models/hub.py",
        "tools/mcp/http.py",
        "tools/web/fetch.py",
    ),
    "networkx": ("planning/graph.py",),
    "ruamel": ("spec/yaml/yaml12.py",),
    "markdown_it": ("views/page/report.py", "texts/sentences.py"),
    "structlog": ("views/log.py",),
    "xlsxwriter": ("exports/workbook.py",),
    "pandas": ("results/step_outputs.py",),
    "json_repair": ("attempt/answers.py",),
    "docstring_parser": ("tools/functions.py",),
    "typer": ("cli/*.py",),
    "rich": ("views/*.py", "cli/*.py"),
    "trio": ("testing/*.py",),
    "pypdfium2": ("readers/pdf.py",),
    "python_calamine": ("readers/sheets.py",),
    "selectolax": ("readers/html.py",),
    "opentelemetry": ("exports/otlp.py",),
    "google": ("exports/otlp.py",),
    "protego": ("tools/web/fetch.py",),
    "mcp": ("tools/mcp/*.py", "cli/mcp.py"),
}
"""Each library's boundary: the only files that may name it. Another one gives its reason in the commit that adds it."""
_OF_TRACES = ("opentelemetry", "google")
_OF_READERS = ("pypdfium2", "python_calamine", "selectolax")
_OF_EXPORTS = ("markdown_it", "pandas", "xlsxwriter")
LAZY = (
    *("openai", "httpx2", "networkx", "ruamel", "json_repair", "docstring_parser", "jsonschema", "trio", "protego"),
    "mcp",
    *(*_OF_READERS, *_OF_TRACES, *_OF_EXPORTS),
)
"""Imported inside the function that needs them, so that nobody waits for what they do not use."""
BASES = {"endpoints/wire/transport.py": "httpx2", "tools/mcp/http.py": "httpx2"}
"""Where a class needs a library's as its base; such a module is itself imported inside a function only."""
NEVER = ("asyncio", "httpx", "requests", "yaml", "numpy", "scipy", "pytest", "hypothesis")


@cache
def modules() -> tuple[Path, ...]:
    return tuple(sorted(SWARM.rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported_by(path: Path) -> frozenset[str]:
    return frozenset(imports(tree_of(path)))


def name_of(path: Path) -> str:
    return path.relative_to(SWARM).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    """Name the top-level package of every import in a piece of code."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module.partition(".")[0]


def eager(tree: ast.Module) -> Iterator[str]:
    """Name the packages that importing a module imports: all but those in functions and under TYPE_CHECKING."""
    for statement in tree.body:
        checking = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        if not checking and not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from imports(statement)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over a copy of the package."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run([*command, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what the layers are about to a folder that may be broken."""
    shutil.copytree(SWARM, tmp_path / "swarm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_layers_are_kept(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_import_upwards_breaks_them(copy: Path) -> None:
    with (copy / "swarm" / "record" / "events.py").open("a") as file:
        file.write("\n\ndef later() -> None:\n    import swarm.scheduling.dispatcher\n")
    result = lint(copy)
    assert result.returncode == 1
    assert "swarm.record is not allowed to import swarm.scheduling" in " ".join(result.stdout.split())


def test_a_module_without_a_row_breaks_them(copy: Path) -> None:
    (copy / "swarm" / "extra.py").write_text('"""Belongs nowhere."""\n')
    result = lint(copy)
    assert result.returncode == 1
    assert "swarm.extra" in result.stdout


def test_no_row_is_optional() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [row for row in rows if "(" in row] == []


@pytest.mark.parametrize("library", IMPORTERS)
def test_a_library_has_one_boundary(library: str) -> None:
    allowed = IMPORTERS[library]
    found = [path for path in modules() if library in imported_by(path)]
    outside = [name_of(path) for path in found if not any(path.relative_to(SWARM).match(glob) for glob in allowed)]
    assert outside == []


def test_heavy_libraries_are_imported_where_they_are_needed() -> None:
    found = {name_of(path): set(eager(tree_of(path))) & set(LAZY) for path in modules()}
    assert {name: heavy for name, heavy in found.items() if heavy - {BASES.get(name)}} == {}


def test_what_is_never_imported() -> None:
    found = {name_of(path): imported_by(path) & set(NEVER) for path in modules()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def of_the_package(tree: ast.AST) -> Iterator[str]:
    """Name what a piece of code imports from the package itself, and not from one of its modules."""
    submodules = {path.stem for path in SWARM.iterdir()}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names if alias.name == "swarm")
        elif isinstance(statement, ast.ImportFrom) and statement.module == "swarm":
            yield from (alias.name for alias in statement.names if alias.name not in submodules)


def test_nothing_imports_the_package_itself() -> None:
    found = {name_of(path): list(of_the_package(tree_of(path))) for path in modules()}
    assert {name: imported for name, imported in found.items() if imported} == {}


@pytest.mark.parametrize("code", ["import swarm", "from swarm import __version__", "def f():\n    import swarm as s"])
def test_an_import_of_the_package_itself_is_seen(code: str) -> None:
    assert list(of_the_package(ast.parse(code))) != []
    assert (
        list(of_the_package(ast.parse("import swarm.cli\nfrom swarm import cli\nfrom swarm.base import errors"))) == []
    )


def test_only_the_command_and_the_task_read_the_environment() -> None:
    found = [
        name_of(path)
        for path in modules()
        for part in ast.walk(tree_of(path))
        if isinstance(part, ast.Attribute) and part.attr in ("environ", "getenv") and ast.unparse(part.value) == "os"
    ]
    allowed = ("cli/*.py", "lifecycle/options.py", "tools/mcp/kit.py")  # the last hands PATH and HOME to servers
    assert [name for name in found if not any(Path(name).match(glob) for glob in allowed)] == []


def test_few_places_open_task_groups() -> None:
    found = {
        name_of(path)
        for path in modules()
        if "create_task_group" in path.read_text(encoding="utf-8") and not name_of(path).startswith("testing/")
    }
    allowed = (
        "scheduling/dispatcher.py",
        "lifecycle/run.py",
        "lifecycle/fetched.py",  # one task a host
        "endpoints/*.py",
        "endpoints/traffic/*.py",
        "record/journal.py",
        "lifecycle/wiring.py",  # around the kits of a run
        "tools/box.py",
        "tools/called.py",  # a task of its own for a function that may cancel itself
        "attempt/tool_turns.py",
        "cli/mcp.py",  # the runs of a server, which outlive its requests
        "tools/mcp/*.py",  # the calls of a session, the pipes of a server
    )
    assert [name for name in sorted(found) if not any(Path(name).match(glob) for glob in allowed)] == []
