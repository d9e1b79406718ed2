"""Dialects: how a request is written, and what they learn from rejections."""

import json
from typing import Any

import pytest

from swarm.attempt.loop import carry_out
from swarm.endpoints.wire.dialect import Dialect
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
