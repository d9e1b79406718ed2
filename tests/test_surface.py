"""What users may rely on: the public names, what they say of themselves, and what importing them costs."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import swarm
import swarm.testing

PUBLIC = [
    "Agent",
    "Endpoint",
    "FinishedStep",
    "Model",
    "Plan",
    "Reply",
    "Report",
    "Request",
    "Result",
    "Run",
    "State",
    "Step",
    "SwarmError",
    "Task",
    "__version__",
    "resume",
    "resume_sync",
    "run",
    "run_sync",
    "tool",
]
HEAVY = {"openai", "networkx", "rich", "ruamel", "structlog", "jsonschema", "httpx2", "trio", "typer", "numpy"}
"""What `import swarm` may not load: each is needed by one part, and paid for when that part is used."""
COMMAND_HEAVY = HEAVY - {"rich", "typer"}
"""What even the command line loads only for what was asked of it."""


def loaded_after(code: str) -> set[str]:
    """Name the top-level packages a fresh interpreter has loaded after some code."""
    report = "\nimport json, sys\nprint('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def every_module() -> list[str]:
    return ["swarm", *(found.name for found in pkgutil.walk_packages(swarm.__path__, "swarm."))]


def documented(thing: object) -> bool:
    return bool(inspect.getdoc(thing))


def public_parts(module: ModuleType) -> dict[str, object]:
    """List a module's own public classes and functions, and the public functions of those classes."""
    parts: dict[str, object] = {}
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
            continue
        if inspect.isclass(thing):
            parts[name] = thing
            own = {key: value for key, value in vars(thing).items() if not key.startswith("_")}
            parts |= {f"{name}.{key}": value for key, value in own.items() if inspect.isfunction(value)}
        elif inspect.isfunction(thing):
            parts[name] = thing
    return parts


def test_public_names_are_these() -> None:
    assert list(swarm.__all__) == PUBLIC


def test_public_names_are_there() -> None:
    for name in PUBLIC:
        assert getattr(swarm, name) is not None, name
    assert set(PUBLIC) <= set(dir(swarm))


@pytest.mark.parametrize("first", ["swarm.Run", "import_module('swarm.lifecycle.run')", "import_module('swarm.cli')"])
def test_run_is_the_function_whatever_was_loaded_first(first: str) -> None:
    code = (
        f"import swarm\nfrom importlib import import_module\n{first}\nassert hasattr(swarm.run, '__code__'), swarm.run"
    )
    assert "swarm" in loaded_after(code)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        swarm.no_such_name  # type: ignore[attr-defined]  # noqa: B018 - looking is the test


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_public_names_say_what_they_are_for(name: str) -> None:
    thing = getattr(swarm, name)
    text = inspect.getdoc(thing) or ""
    assert text
    assert text.splitlines()[0].rstrip().endswith((".", ":", ";")) or len(text.splitlines()) > 1


def test_testing_is_public_too() -> None:
    things = {name: getattr(swarm.testing, name) for name in swarm.testing.__all__}
    assert [name for name, thing in things.items() if callable(thing) and not documented(thing)] == []


@pytest.mark.parametrize("name", every_module())
def test_every_public_part_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert documented(module), f"{name} has no docstring"
    assert [part for part, thing in public_parts(module).items() if not documented(thing)] == []


def test_importing_the_package_is_light() -> None:
    assert loaded_after("import swarm") & HEAVY == set()


def test_importing_a_value_is_light() -> None:
    assert loaded_after("from swarm import Task, Plan, Step, Agent, Model, SwarmError") & HEAVY == set()


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_asking_the_command_about_itself_is_light(argument: str) -> None:
    code = f"""
import contextlib, io, sys
sys.argv = ["swarm", {argument!r}]
from swarm.cli import main
try:
    with contextlib.redirect_stdout(io.StringIO()):
        code = main()
except SystemExit as ended:
    code = ended.code
assert not code, code
"""
    assert loaded_after(code) & COMMAND_HEAVY == set()


def test_the_heavy_are_seen() -> None:
    assert "networkx" in loaded_after("import networkx")


def test_the_version_is_the_distribution_s() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" in project["dynamic"]
    assert importlib.import_module("importlib.metadata").version("local-agent-swarm") == swarm.__version__


def test_types_are_shipped() -> None:
    assert (Path(swarm.__path__[0]) / "py.typed").is_file()
