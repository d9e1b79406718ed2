import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from swarm.base.errors import InputError
from swarm.spec.files import SCHEMA_FILE, STARTERS, load_task, public, read_inputs, task_schema, typed
from swarm.spec.plan import SET_BY_RUN
from swarm.spec.yaml.strict import read
from tests.test_reference import shown
from tests.test_task_file import FULL

GOOD = (
    "goal: x",
    "plan: p.yaml",
    "plan: [{id: a}]",
    FULL,
    "goal: x\nmodels: {a: {endpoint: offline, calls: '${CALLS:-8}', hedge: '${H:-true}', key: ['${K}']}}",
    "goal: x\nlimits: {tokens: null, usd: 5}",
    "goal: x\nmodels: {default: kimi/kimi-k2.5, spare: offline}",
)
BAD = (
    "{}",
    "goal: 3",
    "goal: x\ngaol: y",
    "goal: x\nfolder: /",
    "goal: x\nreferences: []",
    "goal: x\nversion: 2",
    "goal: x\napprove: maybe",
    "goal: x\nlimits: {workers: 0}",
    "goal: x\nlimits: {workers: '3'}",
    "goal: x\nmodels: {A: {}}",
    "goal: x\nmodels: {a: {calls: many}}",
    "goal: x\nmodels: {a: {use: []}}",
    "goal: x\ninputs: [{as: image}]",
    "goal: x\ninputs: [{path: a, as: scent}]",
    "plan: []",
    "plan: [{id: A}]",
    "plan: [{id: a, item: 1}]",
    "plan: [{id: a, needs: b}]",
)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return task_schema()


def check(schema: dict[str, Any], text: str) -> list[str]:
    validator: Any = Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(read(text, source="t").value)]


def test_it_is_a_schema(schema: dict[str, Any]) -> None:
    checked: Any = Draft202012Validator
    checked.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", GOOD)
def test_good_tasks_fit(schema: dict[str, Any], text: str) -> None:
    assert check(schema, text) == []


@pytest.mark.parametrize("text", BAD)
def test_bad_tasks_fit_neither_the_schema_nor_the_loader(schema: dict[str, Any], text: str) -> None:
    assert check(schema, text)
    with pytest.raises(InputError):
        load_task("t", text=text, environ={})


def test_what_is_written_down_fits(schema: dict[str, Any]) -> None:
    task = load_task("t", text=FULL, environ={"K": "x"})
    validator: Any = Draft202012Validator(schema)
    assert not list(validator.iter_errors(public(task)))


def test_every_key_is_described_and_nothing_of_the_loader_shows(schema: dict[str, Any]) -> None:
    assert not {"folder", "warnings", "references", "origin", "plan_origin"} & set(schema["properties"])
    assert "as" in schema["$defs"]["InputSpec"]["properties"]
    assert not set(SET_BY_RUN) & set(schema["$defs"]["Step"]["properties"])
    for place in (schema, *schema["$defs"].values()):
        for name, about in place.get("properties", {}).items():
            assert re.fullmatch(r"[A-Z`].*[.\]`\"]", about.get("description", "")), name


def test_descriptions_name_the_defaults(schema: dict[str, Any]) -> None:
    """Editors show the description of a key, and not all of them show its default."""
    for place in (schema, *schema["$defs"].values()):
        for name, about in place.get("properties", {}).items():
            if (default := about.get("default")) and not isinstance(default, dict):
                written = shown(default).strip("`")
                assert f"[default: {written}" in about["description"], name


@pytest.mark.parametrize("name", STARTERS)
def test_a_starter_is_loaded_and_finds_its_samples(name: str, tmp_path: Path, schema: dict[str, Any]) -> None:
    path, starter = tmp_path / "mine.yaml", STARTERS[name]
    path.write_text(starter.text(name="mine.yaml", schema=SCHEMA_FILE))
    for sample, text in starter.samples:
        (tmp_path / sample).parent.mkdir(exist_ok=True)
        (tmp_path / sample).write_text(text)
    assert path.read_text().startswith("# yaml-language-server: $schema=task.schema.json\n")
    assert "<<" not in path.read_text()
    task = load_task(path, environ={})
    assert task.warnings == ()
    assert [found.name for found in read_inputs(task).inputs] == [sample for sample, _ in starter.samples]
    assert check(schema, path.read_text()) == []


def test_what_a_starter_offers_in_comments_is_right_too(schema: dict[str, Any]) -> None:
    lines = STARTERS["research"].text(name="task.yaml", schema=SCHEMA_FILE).split("\n")
    offered = [line[2:] for line in lines if line.startswith(("# parameters:", "# models:", "#   ", "# output:"))]
    text = "goal: x\n" + "\n".join(offered)
    assert check(schema, text) == []
    task = load_task("t", text=text, environ={"MOONSHOT_API_KEY": "abc"})
    assert (set(task.models), task.output, task.parameters) == (
        {"default", "strong"},
        ("report.md",),
        {"audience": typed("engineers")},
    )
