"""Context sizes that servers state for free: one body per server, as it answers."""

from collections.abc import Callable
from typing import Any

import pytest

from swarm.endpoints.choose import choose
from swarm.endpoints.contexts import Size, loaded_by_ollama, of_ollama, of_props, of_server_info, size_of, stated
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer
from swarm.testing.fake import Received

VLLM: dict[str, Any] = {
    "id": "m",
    "object": "model",
    "owned_by": "vllm",
    "root": "m",
    "max_model_len": 8192,
    "permission": [],
}
SGLANG = {"id": "m", "object": "model", "owned_by": "sglang", "root": "m", "max_model_len": 32768}
OPENROUTER = {"id": "m", "context_length": 131072, "top_provider": {"context_length": 65536, "is_moderated": False}}
LM_STUDIO = {
    "id": "m",
    "object": "model",
    "state": "loaded",
    "max_context_length": 131072,
    "loaded_context_length": 4096,
}
OLLAMA_SHOW: dict[str, Any] = {
    "modelfile": "FROM llama",
    "parameters": 'stop "<|eot_id|>"\nnum_ctx                        16384',
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
}
OLLAMA_PS: dict[str, Any] = {
    "models": [{"name": "other", "context_length": 1024}, {"name": "m", "model": "m", "context_length": 32768}]
}
PROPS: dict[str, Any] = {"total_slots": 4, "default_generation_settings": {"n_ctx": 2048, "id": 0}}


@pytest.mark.parametrize(
    ("entry", "context"),
    [
        (VLLM, 8192),
        (SGLANG, 32768),
        (OPENROUTER, 65536),
        ({"id": "kimi-k2.5", "context_length": 262144}, 262144),
        ({"id": "m", "context_window": 131072}, 131072),
        ({"id": "m", "max_context_length": 32768}, 32768),
        (LM_STUDIO, 4096),
        ({"id": "m", "meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, 4096),
        ({"id": "m", "meta": {"n_ctx_train": 131072}}, None),
        ({"id": "m", "max_model_len": None, "context_length": 4096}, 4096),
        ({"id": "m", "top_provider": {"context_length": 4096}}, 4096),
        ({"id": "m", "context_length": 0}, None),
        ({"id": "m", "context_length": "4096"}, None),
        ({"id": "m", "context_length": True}, None),
        ({"id": "m", "meta": [], "top_provider": None}, None),
        ({"id": "gpt-5", "owned_by": "openai"}, None),
    ],
)
def test_the_entry_of_a_list_states_a_context(entry: dict[str, Any], context: int | None) -> None:
    assert stated(entry) == context


def of_m(body: Any) -> int | None:
    return loaded_by_ollama(body, "m")


@pytest.mark.parametrize(
    ("read", "body", "context"),
    [
        (of_ollama, OLLAMA_SHOW, 16384),
        (of_ollama, {**OLLAMA_SHOW, "parameters": "temperature 1"}, 4096),
        (of_ollama, {"model_info": {"gemma3.context_length": 2048}}, 2048),
        (of_ollama, {"parameters": "num_ctx many", "model_info": None}, None),
        (of_ollama, {"error": "model 'm' not found"}, None),
        (of_ollama, [], None),
        (of_server_info, {"context_length": 40960, "max_req_input_len": 40954}, 40960),
        (of_server_info, {"context_length": None, "max_req_input_len": 4090}, 4090),
        (of_server_info, None, None),
        (of_m, OLLAMA_PS, 32768),
        (of_m, {"models": OLLAMA_PS["models"][:1]}, None),
        (of_m, {"models": [{"name": "m"}]}, None),
        (of_props, PROPS, Size(4, 2048)),
        (of_props, {**PROPS, "total_slots": 0}, None),
        (of_props, {"total_slots": 4}, None),
    ],
)
def test_the_answer_of_a_server_states_a_context(read: Callable[[Any], Any], body: Any, context: Any) -> None:
    assert read(body) == context


def serving(entry: dict[str, Any], **bodies: Any) -> FakeServer:
    """Return a server with one model, and its answers by the last word of the path."""

    def respond(received: Received) -> Answer:
        body = bodies.get(received.path.rpartition("/")[2])
        return Answer(body=body) if body is not None else Answer(status=404, body={"error": "not found"})

    return FakeServer(respond=respond, models=Answer(body={"object": "list", "data": [entry]}))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("entry", "bodies", "size", "questions"),
    [
        (VLLM, {}, Size(context=8192), []),
        (SGLANG, {}, Size(context=32768), []),
        (
            {"id": "m", "owned_by": "sglang"},
            {"get_server_info": {"context_length": 9000}},
            Size(context=9000),
            ["/get_server_info"],
        ),
        ({"id": "m", "owned_by": "llamacpp"}, {"props": PROPS}, Size(4, 2048), ["/props"]),
        ({"id": "any", "owned_by": "llamacpp"}, {"props": PROPS}, Size(4, 2048), ["/props"]),
        ({"id": "m", "owned_by": "library"}, {"ps": OLLAMA_PS}, Size(context=32768), ["/api/ps"]),
        (
            {"id": "m", "owned_by": "library"},
            {"ps": {"models": []}, "show": OLLAMA_SHOW},
            Size(context=16384),
            ["/api/ps", "/api/show"],
        ),
        ({"id": "m", "owned_by": "someone"}, {}, None, []),
    ],
)
async def test_a_server_gets_the_questions_of_its_kind(
    entry: dict[str, Any], bodies: dict[str, Any], size: Size | None, questions: list[str]
) -> None:
    async with serving(entry, **bodies) as server:
        assert await size_of(server.url, "m") == size
        assert [received.path for received in server.requests] == questions


@pytest.mark.anyio
async def test_ollama_is_asked_for_the_model_and_with_the_key() -> None:
    async with serving({"id": "m", "owned_by": "library"}, show=OLLAMA_SHOW) as server:
        await size_of(server.url, "m", key="sk-1")
        last = server.requests[-1]
    assert (last.method, last.body, last.headers["authorization"]) == ("POST", {"model": "m"}, "Bearer sk-1")


@pytest.mark.anyio
async def test_one_of_several_models_is_found_by_its_name() -> None:
    listed = {"data": [{**VLLM, "id": "large"}, {**VLLM, "id": "m", "max_model_len": 1024}]}
    async with FakeServer(models=Answer(body=listed)) as server:
        assert await size_of(server.url, "m") == Size(context=1024)
        assert await size_of(server.url, "absent") is None
        assert await size_of(server.url) is None


@pytest.mark.anyio
async def test_a_run_takes_the_context_that_its_server_states() -> None:
    async with serving(VLLM) as server:
        models = {
            "default": Model(endpoint=server.url, name="m"),
            "set": Model(endpoint=server.url, name="m", context=512),
        }
        chosen = (await choose(models, environ={})).models
        assert server.listed == 1
    assert (chosen["default"].context, chosen["default"].calls) == (8192, None)
    assert chosen["set"].context == 512
