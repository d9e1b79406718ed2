"""The reference is complete: every key, field, command, exit code, provider and error kind has a row in `docs/`."""

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, cast

import pytest
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from swarm.base.error_kinds import ERROR_KINDS
from swarm.cli.app import EPILOG, make_app
from swarm.results.flags import FlagKind
from swarm.results.result import EXIT_CODES
from swarm.spec.agent import Agent
from swarm.spec.otel import Otel
from swarm.spec.plan import SET_BY_RUN, Plan, Step
from swarm.spec.providers import PROVIDERS
from swarm.spec.servers import Server, ServerTool
from swarm.spec.task import InputSpec, Limits, Model, Price, PythonSpec, Task
from swarm.spec.yaml.strict import read
from tests.test_docs import ROOT, blocks, text_of

TASK, PLAN, COMMAND_LINE, TOOLS = "docs/task.md", "docs/plan.md", "docs/command-line.md", "docs/tools.md"
TABLES: tuple[tuple[str, str, type[BaseModel], tuple[str, ...]], ...] = (
    (TASK, "Task", Task, ()),
    (TASK, "Inputs", InputSpec, ()),
    (TASK, "Models", Model, ()),
    (TASK, "Price", Price, ()),
    (TASK, "Limits", Limits, ()),
    (TOOLS, "Keys of a server", Server, ()),
    (TOOLS, "Settings of a tool", ServerTool, ()),
    (TASK, "Python", PythonSpec, ()),
    ("docs/runs.md", "OpenTelemetry", Otel, ()),
    (PLAN, "Fields of a step", Step, SET_BY_RUN),
    (PLAN, "Fields of a plan", Plan, ()),
)
"""Each: a page, the heading above a table, the model it is for, and the fields that are not for users."""


def keys_of(model: type[BaseModel], *but: str) -> dict[str, Any]:
    """Name the keys that a file may have for a model, with their defaults."""
    fields = {name: about for name, about in model.model_fields.items() if not about.exclude and name not in but}
    return {about.alias or name: about.get_default(call_default_factory=True) for name, about in fields.items()}


def section(page: str, heading: str) -> str:
    """Take the text below a heading, up to the next one."""
    parts = re.split(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def rows(text: str) -> list[list[str]]:
    """Read the rows of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0].startswith("`")]


def named(text: str) -> set[str]:
    """Name what stands in backticks in the first cells of the tables of a text."""
    return {name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])}


def shown(default: Any) -> str:
    """Write a default as the tables do."""
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, Limits):
        return "see below"
    if isinstance(default, tuple | dict | str) and not default:
        return "empty"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:_.0f}`" if isinstance(default, float) else f"`{_number(default)}`"


def _number(value: Any) -> str:
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else str(value)


def together(values: Any) -> set[str]:
    """Name the keys that any of several mappings has."""
    return {key for value in values if isinstance(value, Mapping) for key in cast("Mapping[str, Any]", value)}


def yaml_block(page: str, start: str) -> Any:
    """Read the YAML block of a page that starts so."""
    (found,) = [each.text for each in blocks(text_of(page)) if each.language == "yaml" and each.text.startswith(start)]
    return read(found, source=page).value


@pytest.mark.parametrize(
    ("page", "heading", "model", "but"), TABLES, ids=lambda value: getattr(value, "__name__", None)
)
def test_every_key_has_a_row_with_its_default(
    page: str, heading: str, model: type[BaseModel], but: tuple[str, ...]
) -> None:
    table = {row[0].strip("`"): row[2] for row in rows(section(page, heading))}
    assert table == {name: shown(default) for name, default in keys_of(model, *but).items()}


def test_the_fields_of_an_agent_are_named_where_plans_bring_them() -> None:
    row = next(row for row in rows(section(PLAN, "Fields of a plan")) if row[0] == "`agents`")
    assert set(re.findall(r"`(\w+)`", row[3])) == keys_of(Agent).keys()


def test_the_file_with_every_key_has_every_key() -> None:
    task = yaml_block(TASK, "# reference.yaml\n")
    assert set(task) == keys_of(Task).keys()
    assert set(task["limits"]) == keys_of(Limits).keys()
    assert together(task["models"].values()) == keys_of(Model).keys()
    assert together(model.get("price") for model in task["models"].values()) == keys_of(Price).keys()
    assert together(task["inputs"]) == keys_of(InputSpec).keys()


def test_the_file_with_every_field_has_every_field() -> None:
    plan = yaml_block(PLAN, "# plan.yaml\n")
    assert set(plan) == keys_of(Plan).keys()
    assert together(plan["agents"]) == keys_of(Agent).keys()
    assert together(plan["steps"]) == keys_of(Step, *SET_BY_RUN).keys()


def test_every_command_has_a_row() -> None:
    group = cast("Any", typer.main.get_command(make_app()))
    words = (takewhile(str.islower, name.split()[1:]) for name in named(section(COMMAND_LINE, "Commands")))
    assert {" ".join(each) for each in words} == set(group.commands)


def test_every_option_has_a_row() -> None:
    group = cast("Any", typer.main.get_command(make_app()))
    parameters = [each for command in (group, *group.commands.values()) for each in command.params]
    options = {name for each in parameters if each.param_type_name == "option" for name in each.opts}
    tables = section(COMMAND_LINE, "Options of several commands") + section(COMMAND_LINE, "Options of one command")
    assert {name.split()[0] for name in named(tables)} == options - {"--help", "-h"}


def test_every_page_that_the_command_names_exists() -> None:
    group = cast("Any", typer.main.get_command(make_app()))
    helps = [command.get_help(typer.Context(command)) for command in (group, *group.commands.values())]
    pages = {page for text in helps for page in re.findall(r"docs/[a-z-]+\.md", text)}
    assert pages
    assert [page for page in sorted(pages) if not (ROOT / page).is_file()] == []


def test_every_exit_code_has_a_row() -> None:
    table = re.findall(r"^\| ([\d, ]+) \|", section(COMMAND_LINE, "Exit codes"), re.MULTILINE)
    assert table == re.findall(r"^  ([\d, ]+?)  +\S", EPILOG, re.MULTILINE)
    assert {str(code) for code in EXIT_CODES.values()} <= {code for row in table for code in row.split(", ")}


def test_every_provider_has_a_row_with_what_is_known_of_it() -> None:
    table = {row[0].strip("`"): row[1:] for row in rows(text_of("docs/providers.md"))}
    for provider in PROVIDERS:
        row = table[provider.name]
        expected = [", ".join(f"`{key}`" for key in provider.keys)] if provider.keys else [f"`{provider.base_url}`"]
        assert row[:1] == expected
        if provider.keys and provider.model is not None:
            assert row[1] == f"`{provider.model}`"


def test_every_kind_of_error_has_a_row() -> None:
    assert ERROR_KINDS.keys() - named(text_of("docs/troubleshooting.md")) == {"simulated"}  # of no real run


def test_every_flag_has_a_row() -> None:
    assert set(FlagKind.__args__) - named(section("docs/runs.md", "Parallelism")) == set()
