"""Models in one word: `models: {default: kimi/kimi-k2.5}`."""

from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import TaskError
from swarm.spec.files import load_task, public, recall_task
from swarm.spec.files.references import shorthand

MODELS: dict[str, tuple[str, str | None]] = {
    "kimi/kimi-k2.5": ("kimi", "kimi-k2.5"),
    "openrouter/qwen/qwen3-32b:free": ("openrouter", "qwen/qwen3-32b:free"),
    "kimi": ("kimi", None),
    "offline": ("offline", None),
    "http://127.0.0.1:8000/v1#qwen3-32b": ("http://127.0.0.1:8000/v1", "qwen3-32b"),
    "http://127.0.0.1:8000/v1": ("http://127.0.0.1:8000/v1", None),
    "local:models/small.gguf": ("local:models/small.gguf", None),
    "local:smollm2": ("local:smollm2", None),
}


def load(models: str, **environ: str) -> Any:
    return load_task("task.yaml", environ=environ, text=f"goal: x\nmodels: {models}\n")


@pytest.mark.parametrize("text", MODELS)
def test_one_word_is_an_endpoint_and_a_name(text: str) -> None:
    endpoint, name = MODELS[text]
    assert shorthand(text) == ({"endpoint": endpoint, "name": name} if name else {"endpoint": endpoint})
    model = load(f'{{default: "{text}"}}').models["default"]
    assert (model.endpoint, model.name, model.calls) == (endpoint, name, None)


def test_words_and_mappings_stand_side_by_side() -> None:
    task = load("{default: kimi/k, strong: {endpoint: openai, calls: 2}, pool: {use: [strong, default]}}")
    assert [model.endpoint for model in task.models.values()] == ["kimi", "openai", None]


def test_the_environment_is_read_in_one_word_too(tmp_path: Path) -> None:
    environ = {"WHERE": "https://user:pw@api.example.com/v1", "NAME": "m-1"}
    task = load('{default: "${WHERE}/m-2", other: "kimi/${NAME}"}', **environ)
    assert (task.models["default"].endpoint, task.models["default"].name) == (environ["WHERE"], "m-2")
    assert task.models["other"].name == "m-1"
    written = public(task)
    assert "pw" not in str(written)
    assert recall_task(written, source="task.yaml", environ=environ, folder=tmp_path).models == task.models


@pytest.mark.parametrize("text", ["${NOT_SET}", "kimi/${NOT_SET}", "${NOT_SET}/name"])
def test_a_variable_that_is_not_set_is_named_with_its_place(text: str) -> None:
    with pytest.raises(TaskError, match="NOT_SET is not set") as raised:
        load(f'{{default: "{text}"}}')
    assert "task.yaml:2" in str(raised.value)


def test_a_key_in_one_word_draws_a_warning() -> None:
    assert "the file contains a key" in str(load("{default: kimi/sk-abcdefghijklmnopqrstuvwxyz0123456789}").warnings)


@pytest.mark.parametrize("text", ["5", "[a]", "''"])
def test_what_is_no_model_is_refused_with_its_place(text: str) -> None:
    from swarm.endpoints.route import check_models

    with pytest.raises(TaskError) as raised:
        check_models(load(f"{{default: {text}}}").models)
    assert "models.default" in str(raised.value)
