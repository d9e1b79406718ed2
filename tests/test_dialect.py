"""Dialects: how a request is written, and what they learn from rejections."""

import json
from typing import Any

import pytest

from swarm.attempt.loop import carry_out
from swarm.endpoints.wire.dialect import Dialect
from swarm.endpoints.wire.learnt import Learnt
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.spec.chat import Form, Message, Reply, Request, Text, ToolSpec, says
from swarm.spec.providers import quirks_of
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer, reply
from swarm.testing.fake import Received, error
from swarm.tools import Toolbox
from tests.attempts import attempt

URL = "http://127.0.0.1:1/v1"
FORM = Form(name="answer", json_schema={"type": "object", "properties": {"n": {"type": "integer"}}})
ASK = Request(model="default", messages=(says("user", "hello"),))
FORMED = ASK.model_copy(update={"form": FORM})
TOOL = ToolSpec(name="look", description="", parameters={"type": "object"})


def dialect(**settings: Any) -> Dialect:
    return Dialect(Model.model_validate({"endpoint": URL, **settings}), name="m", quirks=quirks_of(URL))


def written_at(rung: str) -> tuple[Dialect, dict[str, Any]]:
    spoken = dialect()
    while (written := spoken.write(FORMED)).form != rung:
        assert spoken.learn(written, "response_format, tools: not supported")
    return spoken, json.loads(written.body)


@pytest.mark.parametrize(
    ("rung", "fields"),
    [
        ("json_schema", {"response_format"}),
        ("tool", {"tools", "tool_choice"}),
        ("json_object", {"response_format"}),
        ("prompt", set[str]()),
    ],
)
def test_each_rung_has_its_own_fields_and_no_other_s(rung: str, fields: set[str]) -> None:
    spoken, body = written_at(rung)
    assert {"response_format", "tools", "tool_choice"} & set(body) == fields
    with_tools = json.loads(spoken.write(FORMED.model_copy(update={"tools": (TOOL,)})).body)
    assert "response_format" not in with_tools, "never tools and a form in one request"
    assert "tool_choice" not in with_tools
    assert [tool["function"]["name"] for tool in with_tools["tools"]] == ["look"]


def test_the_arguments_of_the_forced_call_are_the_answer() -> None:
    spoken, body = written_at("tool")
    assert body["tool_choice"] == {"type": "function", "function": {"name": "answer"}}
    assert body["tools"][0]["function"]["parameters"] == FORM.json_schema
    called = reply(calls=[("answer", {"n": 3})])
    raw = {"reasoning": "since", "tool_calls": [{"extra_content": 1}]}
    called = called.model_copy(update={"message": called.message.model_copy(update={"raw": raw})})
    seen = spoken.see(spoken.write(FORMED), called)
    expected = Message(role="assistant", parts=(Text(text='{"n":3}'),), raw={"reasoning": "since"})
    assert (seen.message, seen.finish) == (expected, "stop")


@pytest.mark.parametrize(
    ("said", "finish", "moves"),
    [
        ('{"n": 1}', "stop", False),
        ('```json\n{"n": 1}\n```', "stop", False),
        ("It is one.", "stop", True),
        ('{"n": 1', "stop", True),
        ('{"n": 1', "length", False),
        ("", "stop", False),
        ("I must not say.", "refused", False),
    ],
)
def test_what_is_no_json_takes_the_form_a_rung_down(said: str, finish: Any, moves: bool) -> None:
    spoken = dialect()
    spoken.see(spoken.write(FORMED), reply(said).model_copy(update={"finish": finish}))
    assert spoken.write(FORMED).form == ("tool" if moves else "json_schema")


def test_many_answers_to_one_rung_move_it_once() -> None:
    spoken = dialect()
    written = spoken.write(FORMED)
    for _ in range(5):
        spoken.see(written, reply("no JSON"))
    assert spoken.write(FORMED).form == "tool"


def test_words_without_a_form_or_at_the_last_rung_teach_nothing() -> None:
    spoken = dialect()
    spoken.see(spoken.write(ASK), reply("words"))
    assert spoken.write(FORMED).form == "json_schema"
    last, _ = written_at("prompt")
    assert last.see(last.write(FORMED), reply("words")).text == "words"
    assert last.write(FORMED).form == "prompt"


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        ("invalid temperature: only 1 is allowed for this model", {"temperature"}),
        ("Unsupported parameter: 'top_p' is not supported with this model.", {"top_p"}),
        ("Unknown field `seed`", {"seed"}),
        ("temperature and top_p cannot both be given", {"temperature", "top_p"}),
        ("messages must stop with a user's", set[str]()),
        ("the parameter 'stop' is not supported", {"stop"}),
        ("my_temperature_probe failed", set[str]()),
        ("thinking is not supported", {"thinking"}),
        ("max_tokens is too large", set[str]()),
    ],
)
def test_a_parameter_that_is_refused_is_left_out_from_then_on(said: str, dropped: set[str]) -> None:
    given: dict[str, Any] = {"temperature": 0.2, "top_p": 0.9, "seed": 1, "stop": ["x"], "max_tokens": 7}
    spoken = dialect(params=given, extra={"thinking": {"type": "disabled"}})
    first = spoken.write(ASK)
    assert {*given, "thinking"} <= set(json.loads(first.body))
    assert spoken.learn(first, said) == bool(dropped)
    assert ({*given, "thinking"} - set(json.loads(spoken.write(ASK).body))) == dropped
    assert spoken.dropped == dropped


@pytest.mark.anyio
async def test_a_dropped_parameter_costs_one_call_and_is_written_down() -> None:
    def respond(received: Received) -> str | Answer:
        if "temperature" in received.body:
            return Answer(status=400, body=error("invalid temperature: only 1 is allowed for this model"))
        return "ok"

    async with FakeServer(respond=respond) as server:
        model = Model(endpoint=server.url, name="m", params={"temperature": 0.3})
        async with OpenAIEndpoint(model) as endpoint:
            turns: list[Any] = []
            await carry_out(attempt(), endpoint=endpoint, tools=Toolbox(()), note=turns.append)
            second: Reply = await endpoint.complete(ASK)
        assert [(turn.dropped, turn.usage.calls) for turn in turns] == [(("temperature",), 2)]
        assert (second.dropped, second.usage.calls, len(server.requests)) == ((), 1, 3)


@pytest.mark.anyio
async def test_a_server_that_ignores_the_schema_is_asked_another_way_when_asked_again() -> None:
    async with FakeServer("It is three.", Answer(text="", calls=(("answer", {"n": 3}),))) as server:
        async with OpenAIEndpoint(Model(endpoint=server.url, name="m")) as endpoint:
            first = await endpoint.complete(FORMED)
            second = await endpoint.complete(FORMED)
        asked = [sorted({"response_format", "tools"} & set(received.body)) for received in server.requests]
    assert asked == [["response_format"], ["tools"]]
    assert [(each.form, each.text) for each in (first, second)] == [
        ("json_schema", "It is three."),
        ("tool", '{"n":3}'),
    ]


# What an endpoint does not accept, in each provider's words

SYSTEM_WORDS = (
    "System role not supported at row 1, column 40",
    "Only user, assistant and tool roles are supported, got system.",
    "Developer instruction is not enabled for models/gemma-3-27b-it",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "This model does not support the system role",
)


@pytest.mark.parametrize("words", SYSTEM_WORDS)
def test_fault_119_system_text_goes_in_front_of_the_first_user_s(words: str) -> None:
    learnt = Learnt()
    spoken = Dialect(Model.model_validate({"endpoint": URL}), name="m", quirks=quirks_of(URL), learnt=learnt)
    messages = (says("system", "Be brief."), says("user", "hi"), says("user", "again"), says("assistant", "yes"))
    request = Request(model="default", messages=messages)
    first = spoken.write(request)
    assert spoken.learn(first, words, status=500)
    second = spoken.write(request)
    assert json.loads(second.body)["messages"] == [
        {"role": "user", "content": "Be brief.\n\nhi\n\nagain"},
        {"role": "assistant", "content": "yes"},
    ]
    assert not spoken.learn(second, words), "there is nothing more to learn"
    assert "no system role" in learnt.words


def test_fault_120_reasoning_is_not_sent_back_if_it_is_refused() -> None:
    spoken = dialect()
    said = says("assistant", "5").model_copy(update={"raw": {"reasoning": "hm"}})
    request = Request(model="default", messages=(says("user", "hi"), said, says("user", "and?")))
    first = spoken.write(request)
    assert not spoken.learn(first, "reasoning_content is missing and must be passed back"), "it must be sent"
    assert spoken.learn(first, "'messages.1': property 'reasoning' is unsupported")
    assert "reasoning" not in json.loads(spoken.write(request).body)["messages"][1]


@pytest.mark.parametrize(
    ("words", "cap"),
    [
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 1024]", 1024),
        ("`max_tokens` must be less than or equal to `1024`, the maximum value for `max_tokens`", 1024),
        ("max_tokens is too large: 4096. This model supports at most 1024 completion tokens", 1024),
        ("'max_tokens' is too large: 4096. Your request has 3072 input tokens (4096 > 4096 - 3072).", 1024),
        (
            "maximum context length is 4096 tokens. However, you requested 4096 output tokens and your prompt contains "
            "at least 3072 input tokens",
            1024,
        ),
        ("max_tokens: 4096 > 1024, which is the maximum allowed number of output tokens", 1024),
        ("Range of max_tokens should be [1, 1024]", 1024),
        ("Input should be less than or equal to 1024: max_tokens", 1024),
        ("maximum context length is 4096 tokens, you requested 9000 tokens (4904 in the messages)", None),
        ("max_tokens must be at least 1", None),
        ("the prompt has 1024 tokens too many", None),
    ],
)
def test_fault_121_a_cap_is_lowered_to_what_the_endpoint_names(words: str, cap: int | None) -> None:
    spoken = dialect()
    first = spoken.write(ASK)
    assert spoken.learn(first, words) is (cap is not None)
    assert json.loads(spoken.write(ASK).body)["max_tokens"] == (cap or 4096)
    raised = spoken.write(ASK.model_copy(update={"max_tokens": 8192}))
    assert json.loads(raised.body)["max_tokens"] == (cap or 8192), "our own raise obeys it"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "No endpoints found that can handle response_format"),
        (500, "JSON schema conversion failed"),
        (501, "response_format is not implemented"),
        (400, "The specified schema has too many states for serving."),
        (400, "Unknown name at 'generation_config.response_schema'"),
        (400, "response_format.json_schema Invalid value."),
    ],
)
def test_fault_122_a_refused_form_goes_one_rung_down_with_any_status(status: int, words: str) -> None:
    spoken = dialect()
    request = ASK.model_copy(update={"form": Form(name="answer", json_schema={"type": "object"})})
    first = spoken.write(request)
    assert spoken.learn(first, words, status=status)
    assert spoken.write(request).form == "tool"
    assert not spoken.learn(spoken.write(request), "internal function error", status=500)


def test_fault_123_bad_json_of_the_model_leaves_a_rung_the_second_time() -> None:
    spoken = dialect()
    request = ASK.model_copy(update={"form": Form(name="answer", json_schema={"type": "object"})})
    first = spoken.write(request)
    assert not spoken.learn(first, "Failed to generate JSON", code="json_validate_failed")
    assert spoken.learn(first, "Failed to generate JSON", code="json_validate_failed")
    assert spoken.write(request).form == "tool"


def test_fault_124_answers_are_streamed_after_a_gateway_gave_up() -> None:
    learnt = Learnt()
    spoken = Dialect(Model.model_validate({"endpoint": URL}), name="m", quirks=quirks_of(URL), learnt=learnt)
    assert "stream" not in json.loads(spoken.write(ASK).body)
    spoken.learn_to_stream()
    assert json.loads(spoken.write(ASK).body)["stream"] is True
    assert learnt.words == "streamed"
    other = dialect()
    assert other.learn(other.write(ASK), "enable_thinking must be set to false for non-streaming calls")
