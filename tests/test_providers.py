"""Each provider as it documents itself, played by a server of ours, through the whole loop: tools, forms, refusals.

The shapes are written from what the providers document (fields, spellings, refusals); nobody's answers were copied.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from swarm.attempt.loop import carry_out
from swarm.base.errors import EndpointError
from swarm.base.values import Json
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.record.events import TurnTaken
from swarm.spec.chat import Request, says
from swarm.spec.providers import PROVIDERS, Quirks, provider_named
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer
from swarm.testing.fake import STREAM_HEAD, Received, chunks, error, piece, sse
from tests.attempts import FIGURE, Library, attempt

pytestmark = pytest.mark.anyio

USAGE: dict[str, Json] = {"prompt_tokens": 90, "completion_tokens": 9, "total_tokens": 99}
ANSWER = "A needs 5 MB."


def cached(name: str, count: int) -> dict[str, Json]:
    return {**USAGE, name: count}


NESTED: dict[str, Json] = {**USAGE, "prompt_tokens_details": {"cached_tokens": 64}}


@dataclass(frozen=True)
class Shape:
    """How one provider speaks."""

    thought: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Fields beside the words of a message."""
    call: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Fields beside a tool call's own."""
    returns: bool = False
    """Whether it refuses a tool turn whose thought, or signature, does not come back as it was."""
    usage: Json = field(default_factory=lambda: dict(USAGE))
    cached: int = 0
    refuses: Mapping[str, str] = field(default_factory=dict[str, str])
    """Fields of a request, and what it says to them, with status 400."""
    ignores: tuple[str, ...] = ()
    """Fields that it takes and does not heed."""
    params: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What the task sets, and should not have."""
    dropped: tuple[str, ...] = ()
    forms: tuple[str, ...] = ("json_schema",)
    """How a schema is asked for: each way in turn, the last one accepted."""
    comments: bytes = b""
    """What stands between the events of its streams."""
    leads: str = ""
    """What it writes before its words."""
    errors: tuple[tuple[int, Json, str], ...] = ()
    """Status, body, and what it means."""


def said(message: str, **fields: Json) -> Json:
    return {"error": {"message": message, **fields}}


THINKS = {"reasoning_content": "The notes say so."}
FIXED = "invalid temperature: only 1 is allowed for this model"
NO_SCHEMA = "This response_format type is unavailable now"
SHAPES: dict[str, Shape] = {
    "openai": Shape(
        usage=NESTED,
        cached=64,
        refuses={
            "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "temperature": "Unsupported value: 'temperature' does not support 0.2 with this model.",
        },
        params={"temperature": 0.2},
        dropped=("temperature",),
        errors=(
            (
                429,
                said("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"),
                "quota",
            ),
            (429, said("Rate limit reached for requests", type="requests", code="rate_limit_exceeded"), "rate_limited"),
        ),
    ),
    "kimi": Shape(
        thought=THINKS,
        returns=True,
        usage=cached("cached_tokens", 64),
        cached=64,
        refuses={"temperature": FIXED},
        params={"temperature": 0.2},
        dropped=("temperature",),
        errors=(
            (429, said("Your account is suspended", type="exceeded_current_quota_error"), "quota"),
            (429, said("The engine is currently overloaded", type="engine_overloaded_error"), "overloaded"),
            (401, said("Invalid Authentication", type="invalid_authentication_error"), "auth"),
        ),
    ),
    "qwen": Shape(
        thought=THINKS,
        usage=NESTED,
        cached=64,
        refuses={"enable_thinking": "parameter.enable_thinking must be set to false for non-streaming calls"},
        params={"enable_thinking": True},
        dropped=("enable_thinking",),
        errors=(
            (400, said("Access denied, please check your account", code="Arrearage", type="Arrearage"), "quota"),
            (
                400,
                said("Output data may contain inappropriate content.", code="data_inspection_failed"),
                "content_filter",
            ),
        ),
    ),
    "deepseek": Shape(
        thought=THINKS,
        returns=True,
        usage=cached("prompt_cache_hit_tokens", 64),
        cached=64,
        refuses={"json_schema": NO_SCHEMA},
        forms=("json_object",),
        comments=b": keep-alive\n\n",
        errors=(
            (402, said("Insufficient Balance", type="unknown_error", code="invalid_request_error"), "quota"),
            (503, said("Service is too busy. The server is overloaded"), "overloaded"),
        ),
    ),
    "gemini": Shape(
        call={"extra_content": {"google": {"thought_signature": "c2lnbmF0dXJl"}}},
        returns=True,
        errors=((429, [said("Resource has been exhausted", code=429, status="RESOURCE_EXHAUSTED")], "rate_limited"),),
    ),
    "claude": Shape(
        ignores=("response_format",),
        forms=("tool",),
        errors=(
            (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded"),
            (400, said("Your credit balance is too low to access the API", type="invalid_request_error"), "quota"),
        ),
    ),
    "openrouter": Shape(
        thought={"reasoning": "So it is.", "reasoning_details": [{"type": "reasoning.text", "text": "So it is."}]},
        returns=True,
        usage=NESTED,
        cached=64,
        comments=b": OPENROUTER PROCESSING\n\n",
        errors=(
            (200, said("Rate limit exceeded: free-models-per-min", code=429), "rate_limited"),
            (402, said("This request requires more credits", code=402), "quota"),
            (403, said("Input was flagged by moderation", code=403), "content_filter"),
        ),
    ),
    "ollama": Shape(
        leads="<think>\nThe notes say so.\n</think>\n\n",
        errors=((404, said('model "m" not found, try pulling it first', type="api_error"), "model_not_found"),),
    ),
    "vllm": Shape(
        thought={"reasoning": "The notes say so."},
        returns=True,
        errors=((400, said("This model's maximum context length is 4096 tokens.", code=400), "context_length"),),
    ),
    "sglang": Shape(thought=THINKS, forms=("json_schema",)),
    "lmstudio": Shape(
        refuses={"json_object": "'response_format.type' must be 'json_schema' or 'text'"},
        errors=((404, said("model_not_found: no such model `m`", code="model_not_found"), "model_not_found"),),
    ),
    "llamacpp": Shape(
        thought=THINKS,
        errors=(
            (
                400,
                said("the request exceeds the available context size", type="exceed_context_size_error"),
                "context_length",
            ),
            (503, said("Loading model", type="unavailable_error", code=503), "overloaded"),
        ),
    ),
    "minimax": Shape(
        thought={"reasoning_details": [{"type": "reasoning.text", "text": "So it is."}]},
        returns=True,
        refuses={"response_format": "invalid params, response_format is not supported (2013)"},
        forms=("json_schema", "tool"),
    ),
    "stepfun": Shape(
        thought={"reasoning": "So."},
        refuses={
            "response_format": "response_format is not supported",
            "tool_choice": "tool_choice is not supported",
        },
        forms=("json_schema", "tool", "json_object", "prompt"),
    ),
}
"""By name; those that are not in the table of providers are strangers, and speak the common dialect."""


class Played:
    """A provider, played."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __call__(self, received: Received) -> Answer:
        body = received.body
        wrong = self.wrong_with(body)
        if wrong:
            return Answer(status=400, body=error(wrong, kind="invalid_request_error"))
        answer = self.answer_to(body)
        answer = replace(answer, message={**self.shape.thought, **answer.message}, usage=self.shape.usage)
        return streamed(answer, self.shape.comments) if body.get("stream") else answer

    def wrong_with(self, body: dict[str, Any]) -> str:
        form = body.get("response_format", {}).get("type", "")
        for name, message in self.shape.refuses.items():
            if name in body or name == form:
                return message
        if "tools" in body and "response_format" in body:
            return "tools and response_format do not go together"
        if self.shape.returns:
            return next((wrong for said in body["messages"] if (wrong := self.lacks(said))), "")
        return ""

    def lacks(self, said: dict[str, Any]) -> str:
        if said["role"] != "assistant" or "tool_calls" not in said:
            return ""
        there = all(said.get(name) == value for name, value in self.shape.thought.items())
        signed = all(said["tool_calls"][0].get(name) == value for name, value in self.shape.call.items())
        return "" if there and signed else "the thought of a tool turn must be passed back"

    def answer_to(self, body: dict[str, Any]) -> Answer:
        if "tool_choice" in body:
            return self.call("answer", {"mb": 5})
        if "tools" in body and body["messages"][-1]["role"] != "tool":
            return self.call("look_up", {"word": "a"})
        formed = "response_format" in body and "response_format" not in self.shape.ignores
        wanted = formed or "mb" in str(body["messages"])
        return Answer(text=self.shape.leads + ('{"mb": 5}' if wanted else ANSWER))

    def call(self, name: str, arguments: Json) -> Answer:
        function = {"name": name, "arguments": json.dumps(arguments)}
        call: dict[str, Json] = {"index": 0, "id": "call_0", "type": "function", "function": function}
        return Answer(text="", message={"tool_calls": [{**call, **self.shape.call}]}, finish="tool_calls")


def streamed(answer: Answer, comments: bytes) -> Answer:
    """Write a streamed answer with comments between its events."""
    events = [piece(comments + sse([chunk], done=False)) for chunk in chunks(answer, model="m")]
    return Answer(pieces=(STREAM_HEAD, *events, piece(sse([])), piece(b"")))


def quirks_of(name: str) -> Quirks:
    provider = provider_named(name)
    return Quirks() if provider is None else provider.quirks


def wire(name: str, server: FakeServer, *, stream: bool = False) -> OpenAIEndpoint:
    model = Model(endpoint=server.url, name="m", stream=stream, params=dict(SHAPES[name].params))
    return OpenAIEndpoint(model, quirks=quirks_of(name))


def test_every_provider_of_the_table_is_played() -> None:
    assert {provider.name for provider in PROVIDERS} <= set(SHAPES)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", SHAPES)
async def test_an_attempt_with_tools_goes_through(name: str, stream: bool) -> None:
    shape, library = SHAPES[name], Library()
    turns: list[Any] = []
    async with (
        FakeServer(respond=Played(shape)) as server,
        wire(name, server, stream=stream) as endpoint,
    ):
        tried = attempt(tools=("look_up",))
        outcome = await carry_out(tried, endpoint=endpoint, tools=library.box, note=turns.append)
        replayed = server.requests[-1].body["messages"]
    assert outcome.output == ANSWER
    assert library.asked == ["a"]
    calls: list[TurnTaken] = [turn for turn in turns if turn.usage.calls]
    assert [turn.usage.cached_tokens for turn in calls] == [shape.cached, shape.cached]
    assert [turn.dropped for turn in calls] == [shape.dropped, ()]
    assert [turn.usage.input_tokens for turn in calls] == [90, 90]
    said = next(message for message in replayed if message["role"] == "assistant")
    assert {key: said.get(key) for key in shape.thought} == shape.thought, "verbatim"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", SHAPES)
async def test_a_schema_is_had_from_each_and_the_way_to_it_is_remembered(name: str, stream: bool) -> None:
    shape = SHAPES[name]
    ways: list[str] = []

    def respond(received: Received) -> Answer:
        body = received.body
        form = body.get("response_format", {}).get("type") or ("tool" if "tool_choice" in body else "prompt")
        if not set(shape.dropped) & set(body):
            ways.append(form)
        return Played(shape)(received)

    async with FakeServer(respond=respond) as server, wire(name, server, stream=stream) as endpoint:
        for _ in range(2):
            turns: list[Any] = []
            outcome = await carry_out(attempt(output=FIGURE), endpoint=endpoint, tools=Library().box, note=turns.append)
            assert outcome.output == {"mb": 5}
            assert turns[-1].form == shape.forms[-1]
    assert tuple(ways) == (*shape.forms, shape.forms[-1])


@pytest.mark.parametrize(
    ("name", "status", "body", "kind"),
    [(name, *case) for name, shape in SHAPES.items() for case in shape.errors],
)
async def test_what_it_says_when_it_refuses_is_understood(name: str, status: int, body: Json, kind: str) -> None:
    async with FakeServer(Answer(status=status, body=body)) as server, wire(name, server) as endpoint:
        with pytest.raises(EndpointError) as raised:
            await endpoint.complete(Request(model="default", messages=(says("user", "hello"),)))
    assert raised.value.kind == kind
