"""What the README says is so: its first run gives what it shows, and its reference names every key there is.

That its blocks run and load is `tests/test_docs.py`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from swarm.agent import Agent
from swarm.cli.app import EPILOG
from swarm.endpoints.providers import PROVIDERS
from swarm.plan import Plan, Step
from swarm.reading.strict import read
from swarm.result import EXIT_CODES
from swarm.task import InputSpec, Limits, Model, Price, Task
from tests.test_docs import Block, blocks

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = list(blocks(TEXT))


def block(start: str, language: str = "yaml") -> Block:
    """Find the one block of a language that begins so."""
    (found,) = [each for each in BLOCKS if each.language == language and each.text.startswith(start)]
    return found


def keys_of(model: type[BaseModel], *but: str) -> set[str]:
    """Name the keys that a file may have for a model."""
    fields = {name: about for name, about in model.model_fields.items() if not about.exclude and name not in but}
    return {about.alias or name for name, about in fields.items()}


def together(values: Any) -> set[str]:
    """Name the keys that any of several mappings has."""
    return {key for value in values if isinstance(value, Mapping) for key in cast("Mapping[str, Any]", value)}


def test_the_first_run_gives_what_is_shown(empty: Path) -> None:
    script = block("mkdir notes\n", "sh").text
    assert len([line for line in script.splitlines() if not line.startswith("#")]) == 6
    shown = block("# How much", "text").text
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    first = script.replace("swarm show last", "swarm show last >&2")
    done = subprocess.run(
        ["bash", "-euc", first], cwd=empty, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown
    assert "No language model was used" in shown


def test_the_reference_names_every_key() -> None:
    reference = block("# reference.yaml\n")
    task: Any = read(reference.text, source="README.md").value
    assert set(task) == keys_of(Task)
    assert set(task["limits"]) == keys_of(Limits)
    assert together(task["models"].values()) == keys_of(Model)
    assert together(model.get("price") for model in task["models"].values()) == keys_of(Price)
    assert together(task["inputs"]) == keys_of(InputSpec)


def test_the_plan_has_every_field_and_the_table_explains_it() -> None:
    plan: Any = read(block("# plan.yaml\n").text, source="README.md").value
    assert set(plan) == keys_of(Plan)
    assert together(plan["agents"]) == keys_of(Agent)
    fields = keys_of(Step, "item", "instance_of")
    assert together(plan["steps"]) == fields
    rows = re.findall(r"^\| (`[^|]*`) \|", TEXT.partition("| field | means |")[2].partition("\n\n")[0], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == fields


def test_defaults_in_the_reference_are_the_defaults() -> None:
    task: Any = read(block("# reference.yaml\n").text, source="README.md").value
    limits = Limits().model_dump(exclude={"usd"})
    assert {name: task["limits"][name] for name in limits} == limits
    for name in ("version", "approve", "on_failure", "swarm"):
        assert task[name] == Task.model_fields[name].default
    for name in ("max_tokens", "deadline", "stream", "hedge"):
        assert task["models"]["default"][name] == Model.model_fields[name].default


def test_exit_codes_are_those_of_the_command() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| (.*) \|$", TEXT.partition("| exit | means |")[2], re.MULTILINE)
    told = re.findall(r"^  ([\d, ]+?)  +(.*)$", EPILOG, re.MULTILINE)
    assert rows == told
    assert {str(code) for code in EXIT_CODES.values()} <= {code for row, _ in rows for code in row.split(", ")}


def test_every_provider_is_named() -> None:
    section = TEXT.partition("## With a model")[2].partition("\n## ")[0]
    assert [each.name for each in PROVIDERS if not re.search(rf"\b{each.name}\b", section)] == []
