"""How dense the code is: limits on size alone lead to dense lines, so branches and widths are limited, too.

Complexity is radon's: it counts boolean operators and conditional expressions, which ruff's does not.
"""

import ast
from collections.abc import Iterator
from typing import Any, cast

import pytest
from radon.complexity import cc_visit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from tests.test_tail import name_of, python_files, text_of, tree_of

MOST_COMPLEX = 12
"""Independent paths through a function. The code that people like to read has three or four branches in ten lines."""
WIDE = 100
"""Columns. A line may be wider, up to ruff's limit, where breaking it reads worse."""
MOST_WIDE = 0.05
"""Share of the lines that may be."""
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def functions(blocks: list[Any]) -> Iterator[tuple[str, int]]:
    """Return name and complexity of the functions and methods among blocks of radon's, those inside others too."""
    for block in blocks:
        if hasattr(block, "closures"):  # a class has none; its methods are blocks of their own
            yield block.fullname, block.complexity
            yield from functions(block.closures)


def too_complex(text: str) -> dict[str, int]:
    """Return the functions of a module that have too many branches, with radon's complexity."""
    blocks = cast("list[Any]", cc_visit(text))
    return {name: complexity for name, complexity in functions(blocks) if complexity > MOST_COMPLEX}


def nested_conditions(tree: ast.Module) -> list[int]:
    """Return the lines of conditional expressions inside another."""
    outer = [part for part in ast.walk(tree) if isinstance(part, ast.IfExp)]
    inner = [part for each in outer for part in ast.walk(each) if isinstance(part, ast.IfExp) and part is not each]
    return sorted({part.lineno for part in inner})


def double_loops(tree: ast.Module) -> list[int]:
    """Return the lines of comprehensions with more than one `for`."""
    return [part.lineno for part in ast.walk(tree) if isinstance(part, COMPREHENSIONS) and len(part.generators) > 1]


def test_functions_are_simple() -> None:
    found = {name_of(path): too_complex(text_of(path)) for path in python_files("swarm")}
    assert {name: blocks for name, blocks in found.items() if blocks} == {}


def test_a_complex_function_is_seen() -> None:
    simple = "def f(a):\n" + "    if a: pass\n" * (MOST_COMPLEX - 1)
    assert too_complex(simple) == {}
    assert too_complex(simple + "    return 1 if a else 2\n") == {"f": 13}
    assert too_complex(simple + "    return a and a\n") == {"f": 13}


def test_few_lines_are_wide(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for path in python_files("swarm") for line in text_of(path).splitlines()]
    share = sum(len(line) > WIDE for line in lines) / len(lines)
    with capsys.disabled():
        print(f"\n{share:.1%} of {len(lines):,} lines of swarm/ have more than {WIDE} columns")  # noqa: T201 - to be seen
    assert share <= MOST_WIDE


def test_no_condition_inside_another() -> None:
    found = {name_of(path): nested_conditions(tree_of(path)) for path in python_files("swarm")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_condition_inside_another_is_seen() -> None:
    assert nested_conditions(ast.parse("x = 1 if a else 2\ny = 1 if a else (2 if b else 3)")) == [2]


def test_no_comprehension_with_two_loops() -> None:
    found = {name_of(path): double_loops(tree_of(path)) for path in python_files("swarm")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_comprehension_with_two_loops_is_seen() -> None:
    assert double_loops(ast.parse("x = [a for a in b]\ny = {c for a in b for c in a}")) == [2]
