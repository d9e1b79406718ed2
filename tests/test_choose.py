"""Which model a run uses: flags, the task, the environment, this machine, nothing."""

from typing import Any

import pytest
from pydantic import SecretStr

from swarm.base.errors import TaskError
from swarm.endpoints.choose import Choice, choose, probe_local
from swarm.endpoints.route import check_models
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer

pytestmark = pytest.mark.anyio

OPENAI, DEEPSEEK = {"OPENAI_API_KEY": "sk-open"}, {"DEEPSEEK_API_KEY": "sk-deep"}
TASK = {"default": Model(endpoint="http://127.0.0.1:9/v1", name="of-the-task")}
VLLM, OLLAMA = "http://127.0.0.1:8000/v1", "http://127.0.0.1:11434/v1"


class Machine:
    """This machine, with the servers a test puts on it."""

    def __init__(self, **servers: str) -> None:
        self.servers = servers
        self.asked: list[str] = []

    async def probe(self, base_url: str) -> tuple[str, ...] | None:
        self.asked.append(base_url)
        return {url: (name, "second") for name, url in self.servers.items()}.get(base_url)


async def pick(machine: Machine | None = None, environ: dict[str, str] | None = None, **given: Any) -> Choice:
    models = given.pop("models", {})
    return await choose(models, environ=environ or {}, probe=(machine or Machine()).probe, **given)


def summary(choice: Choice) -> tuple[str | None, str | None, tuple[str, ...]]:
    default = choice.models["default"]
    return default.endpoint, default.name, default.keys


ALL = {"SWARM_ENDPOINT": OLLAMA, "SWARM_MODEL": "of-env", **OPENAI}


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ({"endpoint": VLLM, "model": "flag", "models": TASK}, ALL, (VLLM, "flag", ())),
        ({"endpoint": VLLM, "models": TASK}, ALL, (VLLM, "local", ())),
        ({"model": "flag", "models": TASK}, ALL, (TASK["default"].endpoint, "flag", ())),
        ({"models": TASK}, ALL, (TASK["default"].endpoint, "of-the-task", ())),
        ({}, ALL, (OLLAMA, "of-env", ())),
        ({}, {"SWARM_ENDPOINT": VLLM}, (VLLM, "local", ())),
        ({}, {"SWARM_ENDPOINT": "deepseek", **DEEPSEEK}, ("deepseek", "deepseek-chat", ("sk-deep",))),
        ({}, {"SWARM_ENDPOINT": "offline", **OPENAI}, ("offline", None, ())),
        ({}, {"SWARM_ENDPOINT": "", **DEEPSEEK, **OPENAI}, ("openai", "gpt-5-mini", ("sk-open",))),
        ({}, {"OPENAI_API_KEY": " ", **DEEPSEEK}, ("deepseek", "deepseek-chat", ("sk-deep",))),
        ({"model": "flag"}, DEEPSEEK, ("deepseek", "flag", ("sk-deep",))),
        ({}, {"SWARM_MODEL": "claude-x", "ANTHROPIC_API_KEY": "k"}, ("claude", "claude-x", ("k",))),
        ({}, {"ANTHROPIC_API_KEY": "k"}, (VLLM, "local", ())),
        ({}, {}, (VLLM, "local", ())),
        ({"model": "flag"}, {}, (VLLM, "flag", ())),
    ],
)
async def test_what_is_nearest_to_the_user_wins(given: Any, environ: dict[str, str], expected: Any) -> None:
    assert summary(await pick(Machine(local=VLLM), environ, **given)) == expected


GATEWAY = "https://gateway.example/v1"
KEYED = Model(endpoint="openai", key=(SecretStr("mine"),))
AT_GATEWAY = {"OPENAI_BASE_URL": f" {GATEWAY} ", "OPENAI_MODEL": "of-gateway", **OPENAI}


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ({}, AT_GATEWAY, (GATEWAY, "of-gateway", ("sk-open",))),
        ({}, {"OPENAI_BASE_URL": VLLM}, (VLLM, "local", ())),
        ({"endpoint": "openai", "model": "flag"}, AT_GATEWAY, (GATEWAY, "flag", ("sk-open",))),
        ({"models": {"default": Model(endpoint="openai", name="m")}}, AT_GATEWAY, (GATEWAY, "m", ("sk-open",))),
        (
            {"models": {"default": Model(endpoint="openai", key=(SecretStr("mine"),))}},
            AT_GATEWAY,
            (GATEWAY, "of-gateway", ("mine",)),
        ),
        ({"endpoint": "https://api.openai.com/v1", "model": "m"}, AT_GATEWAY, ("https://api.openai.com/v1", "m", ())),
        ({"endpoint": "deepseek"}, {**AT_GATEWAY, **DEEPSEEK}, ("deepseek", "deepseek-chat", ("sk-deep",))),
        ({}, {**OPENAI, "OPENAI_BASE_URL": "https://api.openai.com/v1/"}, ("openai", "gpt-5-mini", ("sk-open",))),
        ({}, {**AT_GATEWAY, "SWARM_ENDPOINT": VLLM}, (VLLM, "local", ())),
    ],
)
async def test_the_key_of_openai_goes_where_its_base_url_points_and_nowhere_else(
    given: Any, environ: dict[str, str], expected: Any
) -> None:
    assert summary(await pick(Machine(local=VLLM), environ, **given)) == expected


@pytest.mark.parametrize("variable", ["SWARM_ENDPOINT", "OPENAI_BASE_URL"])
@pytest.mark.parametrize("value", ["http://[", "http://a b/v1", "http://", "gateway", "ftp://h/v1"])
async def test_a_wrong_address_in_the_environment_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(TaskError, match=f"^{variable}: "):
        await pick(environ={variable: value, **OPENAI})


async def test_nothing_at_all_is_offline_and_says_why() -> None:
    machine = Machine()
    choice = await pick(machine)
    assert summary(choice) == ("offline", None, ())
    assert "not an LLM" in choice.why
    assert {url.split(":")[2] for url in machine.asked} == {"8000/v1", "8080/v1", "11434/v1", "1234/v1", "30000/v1"}


async def test_a_key_without_a_usual_model_is_no_reason_to_say_that_there_is_none() -> None:
    environ = {"ANTHROPIC_API_KEY": "k"}
    choice = await pick(None, environ)
    assert summary(choice)[0] == "offline"
    assert choice.why.endswith("ANTHROPIC_API_KEY is set, but its provider has no usual model; name one with --model")
    assert summary(await pick(None, environ, model="claude-x"))[:2] == ("claude", "claude-x")


@pytest.mark.parametrize(
    ("given", "environ", "why"),
    [
        ({"endpoint": VLLM, "model": "m"}, {}, "m at 127.0.0.1:8000: given on the command line"),
        ({"models": TASK}, {}, "of-the-task at 127.0.0.1:9: named in the task"),
        ({}, {"SWARM_ENDPOINT": "http://user:pass@h:1/v1", "SWARM_MODEL": "m"}, "m at h:1: SWARM_ENDPOINT is set"),
        ({}, OPENAI, "gpt-5-mini at openai: OPENAI_API_KEY is set"),
    ],
)
async def test_the_choice_is_one_line_without_secrets(given: Any, environ: dict[str, str], why: str) -> None:
    assert (await pick(None, environ, **given)).why == why


async def test_a_local_server_is_found_and_its_model_named() -> None:
    choice = await pick(Machine(llama=OLLAMA))
    assert summary(choice) == (OLLAMA, "llama", ())
    assert "a server answers on this machine" in choice.why


async def test_nobody_is_asked_where_it_is_clear() -> None:
    machine = Machine(local=VLLM)
    await pick(machine, OPENAI)
    await pick(machine, models=TASK)
    assert machine.asked == []


@pytest.mark.parametrize(
    ("endpoint", "keys"),
    [
        ("openai", ("sk-open",)),
        ("https://api.openai.com/v1", ("sk-open",)),
        ("http://api.openai.com/v1", ()),
        ("https://api.openai.com.evil.example/v1", ()),
        ("http://127.0.0.1:8000/v1", ()),
    ],
)
async def test_a_key_goes_to_its_provider_and_to_nobody_else(endpoint: str, keys: tuple[str, ...]) -> None:
    models = {"default": Model(endpoint=endpoint, name="m")}
    assert summary(await pick(None, OPENAI, models=models)) == (endpoint, "m", keys)


async def test_a_key_of_the_task_is_not_replaced() -> None:
    models = {"default": Model.model_validate({"endpoint": "openai", "name": "m", "key": "own"})}
    assert summary(await pick(None, OPENAI, models=models))[2] == ("own",)


async def test_other_aliases_stay_and_the_first_is_the_default() -> None:
    models = {"strong": Model(endpoint=VLLM), "weak": Model(endpoint="offline")}
    choice = await pick(Machine(local=VLLM), models=models)
    assert choice.models["default"] == choice.models["strong"]
    assert (choice.models["strong"].name, choice.models["weak"].endpoint) == ("local", "offline")
    check_models(choice.models)


async def test_a_server_lists_its_models() -> None:
    async with FakeServer(model="tiny") as server:
        assert await probe_local(server.url) == ("tiny",)
        url = server.url
    assert await probe_local(url) is None


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.0 404 X\r\n\r\n{}", b"HTTP/1.0 200 X\r\n\r\n[1]", b"\xff" * 99])
async def test_what_is_no_list_of_models_is_nobody(raw: bytes) -> None:
    async with FakeServer(models=Answer(pieces=(raw,), then="close")) as server:
        assert await probe_local(server.url) is None


async def test_a_silent_server_is_not_waited_for() -> None:
    async with FakeServer(models=Answer(pieces=(), then="hang")) as server:
        assert await probe_local(server.url, deadline=0.05) is None
