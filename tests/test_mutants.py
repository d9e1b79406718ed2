"""What `make mutants` reads: the modules and tests of `[tool.mutmut]`, and the equivalent mutants.

mutmut itself leaves out a path that does not exist, so a module that moves would no longer be tested.
"""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]


@pytest.mark.parametrize("key", ["only_mutate", "pytest_add_cli_args_test_selection", "also_copy"])
def test_every_path_exists(key: str) -> None:
    assert [path for path in SETTINGS[key] if not (ROOT / path).exists()] == []


def test_each_equivalent_mutant_has_its_reason() -> None:
    listed = tomllib.loads((ROOT / "bench" / "mutants.toml").read_text(encoding="utf-8")).get("equivalent", [])
    assert [each for each in listed if set(each) != {"function", "was", "becomes", "reason"}] == []
    assert [each for each in listed if len(each["reason"]) < 20] == []
