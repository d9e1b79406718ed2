"""The tail of the code base: the longest file, the longest function, the words and the habits that creep in.

Complexity is ruff's (`max-complexity`); what ruff does not see is here.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60
OFFLINE_LINES = 1200
"""The endpoint without a model says no more than a model would: a rule that no one needs goes."""
UNUSED_WORDS = {"job", "node", "handler", "manager", "engine", "helper", "util", "utils", "helpers"}
"""Words this project has a better word for; no module, class or function of ours is named with one."""
INDEX_HOSTS = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "simple" + "/index")
"""Where packages come from is the affair of whoever installs; written in two parts so that this file passes."""
LOCK_FILES = {"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
MACHINE_PATH = re.compile(r"(?<![\w.*-])/(?:work|root)/[\w.]")
"""A folder of the machine something was written on."""
TO_A_MODEL = re.compile(
    r"\b(You are an? |You will be |Your (task|job|role|goal) is|Respond (only )?(with|in)|Answer (only )?with|"
    r"Reply (only )?with|Think step by step|Do not (invent|make up)|As an AI)"
)
"""How prompts talk."""
EXCEPTION = re.compile(r"# (noqa|pyright: (ignore|basic)|type: ignore)")
REASONED = re.compile(r"# (noqa: [A-Z0-9, ]+ - \S|pyright: ignore\[\w|type: ignore\[\w)")
"""ruff's say why; a type checker's say what, and that is mostly the why: a library without types."""


@cache
def tracked() -> tuple[Path, ...]:
    """List the project's files: what git has or would add, else (in an unpacked sdist) all there is."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    else:
        paths = (path for path in ROOT.rglob("*") if not any(part[0] == "." for part in path.relative_to(ROOT).parts))
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(*folders: str) -> list[Path]:
    """List the project's Python files below some folders."""
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """Read a file; what is not text reads as nothing."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def long_functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                yield function.name, lines


def docstrings(tree: ast.Module) -> set[int]:
    """Find the strings that stand alone as a statement: docstrings of modules, classes, functions and fields."""
    return {id(s.value) for s in ast.walk(tree) if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)}


def prompt_texts(tree: ast.Module) -> list[str]:
    """Find the strings of a module that talk to a model."""
    described = docstrings(tree)
    texts = [s for s in ast.walk(tree) if isinstance(s, ast.Constant) and id(s) not in described]
    return [s.value for s in texts if isinstance(s.value, str) and TO_A_MODEL.search(s.value)]


def names(tree: ast.Module) -> list[str]:
    """List what a module defines: its classes and functions."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [thing.name for thing in ast.walk(tree) if isinstance(thing, kinds)]


def bare_exceptions(text: str) -> Iterator[tuple[int, str]]:
    """Find the comments that switch a check off and do not say why."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        comment = token.string
        if token.type == tokenize.COMMENT and EXCEPTION.match(comment) and not REASONED.match(comment):
            yield token.start[0], comment


def words(name: str) -> set[str]:
    """Split a name in snake or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_there_is_something_to_look_at() -> None:
    assert len(python_files("swarm")) > 10
    assert ROOT / "agents" / "README.md" in tracked()


def test_files_are_short() -> None:
    lengths = {
        name_of(path): len(text_of(path).splitlines()) for path in python_files("swarm", "tests", "bench", "examples")
    }
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions_are_short() -> None:
    files = python_files("swarm", "tests", "bench", "examples")
    long = {f"{name_of(path)} {name}": lines for path in files for name, lines in long_functions(tree_of(path))}
    assert long == {}


def test_the_endpoint_without_a_model_is_short() -> None:
    files = (ROOT / "swarm" / "endpoints" / "offline").glob("*.py")
    lengths = [len(text_of(path).splitlines()) for path in files]
    assert len(lengths) > 3
    assert sum(lengths) <= OFFLINE_LINES


def test_a_long_function_is_seen() -> None:
    body = "    pass\n"
    assert list(long_functions(ast.parse("def f():\n" + body * (FUNCTION_LINES - 1)))) == []
    assert list(long_functions(ast.parse("class C:\n  async def f(self):\n" + body * FUNCTION_LINES))) == [("f", 61)]


def test_agents_are_markdown_only() -> None:
    agents = [path for path in tracked() if path.relative_to(ROOT).parts[0] == "agents"]
    assert agents
    assert [name_of(path) for path in agents if path.suffix != ".md"] == []


def test_no_prompt_is_written_in_the_mechanism() -> None:
    found = {name_of(path): prompt_texts(tree_of(path)) for path in python_files("swarm")}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_a_prompt_is_seen() -> None:
    assert prompt_texts(ast.parse('"""You are a module."""\nx = f"You are a planner of {n} steps."')) != []
    assert prompt_texts(ast.parse('"""You are a module."""\nclass C:\n    x: int\n    """Your task is x."""')) == []


def test_names_use_the_words_of_the_project() -> None:
    files = python_files("swarm")
    found = {name_of(p): [n for n in (p.stem, *names(tree_of(p))) if words(n) & UNUSED_WORDS] for p in files}
    assert {name: bad for name, bad in found.items() if bad} == {}


def repeated_classes(trees: Mapping[str, ast.Module]) -> dict[str, list[str]]:
    """Return the class names that several modules define, or one module twice, with the modules."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module, tree in trees.items():
        for thing in ast.walk(tree):
            if isinstance(thing, ast.ClassDef):
                homes[thing.name].append(module)
    return {name: modules for name, modules in homes.items() if len(modules) > 1}


def test_a_class_name_is_used_once() -> None:
    """A reader who searches for a class finds one class, private ones included."""
    assert repeated_classes({name_of(path): tree_of(path) for path in python_files("swarm")}) == {}


def test_a_class_name_used_twice_is_seen() -> None:
    trees = {"a": ast.parse("class C: ..."), "b": ast.parse("def f():\n    class C: ...\n    class D: ...")}
    assert repeated_classes(trees) == {"C": ["a", "b"]}


def test_lint_exceptions_have_reasons() -> None:
    files = python_files("swarm", "tests", "bench", "examples")
    bare = [f"{name_of(path)}:{line}: {comment}" for path in files for line, comment in bare_exceptions(text_of(path))]
    assert bare == []


def test_an_exception_without_a_reason_is_seen() -> None:
    assert [line for line, _ in bare_exceptions("x = 1  # noqa: S101\ny = 2  # noqa: S101 - why\n")] == [1]


def test_the_tree_says_nothing_of_where_it_was_made() -> None:
    found = [
        f"{name_of(path)}: {match if isinstance(match, str) else match.group()}"
        for path in tracked()
        for match in (*MACHINE_PATH.finditer(text_of(path)), *(host for host in INDEX_HOSTS if host in text_of(path)))
    ]
    assert found == []


@pytest.mark.parametrize("line", ["/wo" + "rk/main/x", "see /ro" + "ot/.cache", "file:///wo" + "rk/x"])
def test_a_path_of_a_machine_is_seen(line: str) -> None:
    assert MACHINE_PATH.search(line)


def test_no_lock_file_with_addresses() -> None:
    assert [name_of(path) for path in tracked() if path.name in LOCK_FILES or path.match("pylock*.toml")] == []


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 20
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*", pin)] == []
    assert [pin for pin in pins if pin.startswith("local-agent-swarm")] == []
