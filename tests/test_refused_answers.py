"""Answers that an endpoint refuses and quotes: read where they are whole, else asked for again."""

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.base.values import Json
from swarm.endpoints.wire.error_bodies import error_in
from swarm.endpoints.wire.refused import NOTE, read_refused
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record.outcome import Outcome
from swarm.spec.chat import Form, Request, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.testing.fake import Answer, FakeServer, Received

SHAPE: dict[str, Json] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
ASK = Request(model="m", messages=(says("user", "How many?"),), form=Form(name="answer", json_schema=SHAPE))


def refused(written: Any, *, code: str = "json_validate_failed") -> dict[str, Any]:
    """An error of Groq with what the model wrote."""
    words = "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details."
    return {"error": {"message": words, "code": code, "failed_generation": written}}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{"n": 836}', '{"n": 836}'),
        ('\n{"n": "836"}\n', '{"n": "836"}'),
        ('```json\n{"n": 836}\n```', '{"n": 836}'),
        ('<think>Eight…</think>{"n": 836}', '{"n": 836}'),
        ({"n": 836}, '{"n":836}'),
        ('{"n": 83', None),
        ('{"n": 836} and more', None),
        ("", None),
        ("{}", None),
        ("I cannot say.", None),
        (None, None),
    ],
)
def test_fault_123_a_quoted_answer_is_read_if_it_is_one_whole_value(written: Any, read: str | None) -> None:
    fault = error_in(refused(written))
    assert fault is not None
    found = read_refused(fault, ASK)
    assert (None if found is None else found.reply(ASK).text) == read
    assert read_refused(fault, ASK.model_copy(update={"form": None})) is None, "words are no whole value"


async def run(folder: Path, *answers: Answer) -> tuple[Outcome, list[Received]]:
    """Run one step with a schema against these answers; return its outcome, and the calls for it."""
    left, asked = list(answers), list[Received]()

    def respond(received: Received) -> Answer:
        if b"How many?" not in received.raw:
            return Answer("It is 836 [count].")
        asked.append(received)
        return left.pop(0) if left else Answer("too many calls")

    async with FakeServer(respond=respond) as server:
        step = Step(id="count", prompt="How many?", inputs=(), output=SHAPE)
        models = {"default": Model(endpoint=server.url, name="m", max_tokens=500)}
        task = Task(goal="Count.", plan=Plan(steps=(step,)), models=models, folder=folder)
        async with Run(task, options=Options(cache=False)) as running:
            pass
    return running.state.steps["count"].outcome, asked


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 200])
async def test_fault_123_a_quoted_answer_costs_no_second_call_and_is_noted(tmp_path: Path, status: int) -> None:
    outcome, asked = await run(tmp_path, Answer(status=status, body=refused('{"n": "836"}')))
    assert len(asked) == 1
    assert outcome.output == {"n": 836}
    assert NOTE in outcome.doubts


@pytest.mark.anyio
async def test_fault_123_a_quoted_answer_that_does_not_fit_is_asked_for_again_with_the_reason(tmp_path: Path) -> None:
    outcome, asked = await run(tmp_path, Answer(status=400, body=refused('{"m": "many"}')), Answer('{"n": 836}'))
    assert outcome.output == {"n": 836}
    assert len(asked) == 2
    assert "'n' is a required property" in json.loads(asked[1].raw)["messages"][-1]["content"]
    assert not outcome.doubts
