"""An outcome: one value in memory, flat on disk."""

import json

import pytest
from pydantic import ValidationError

from swarm.record import events as e
from swarm.record.cache import Entry
from swarm.record.outcome import Opened, Outcome, Unread
from swarm.spec.chat import Usage
from swarm.spec.plan import Step

FULL = Outcome(
    output={"a": [1.0, None]},
    artifact="0" * 64,
    spawned=(Step(id="b"),),
    usage=Usage(calls=1, input_tokens=3),
    cached=True,
    unread=(Unread(of="input", name="a.md", read=1, total=2),),
    opened=(Opened(of="output", name="b", pages=(1, 3), read=9, total=20),),
    notes=("fixed",),
    doubts=("cut",),
    unfounded=("7",),
)
EVENT = e.StepFinished(step="a", attempt=1, outcome=FULL)
ENTRY = Entry(key="k", parts={}, step="a", agent="worker", run="r", outcome=FULL)


@pytest.mark.parametrize("record", [EVENT, ENTRY])
def test_the_fields_of_an_outcome_are_written_next_to_those_of_its_record(record: e.StepFinished | Entry) -> None:
    line = json.loads(record.model_dump_json())
    assert "outcome" not in line
    assert set(Outcome.model_fields) - set(line) == record.NOT_WRITTEN
    assert (line["step"], line["output"], line["spawned"][0]["id"]) == ("a", {"a": [1.0, None]}, "b")


@pytest.mark.parametrize("record", [EVENT, ENTRY])
def test_a_record_equals_the_one_that_is_read_back(record: e.StepFinished | Entry) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record


def test_a_record_has_the_default_of_what_it_does_not_write() -> None:
    assert EVENT.outcome.usage == Usage()
    assert (ENTRY.outcome.artifact, ENTRY.outcome.cached, ENTRY.outcome.usage) == (None, False, FULL.usage)


@pytest.mark.parametrize("extra", [{"outcome": {"output": "x"}}, {"usage": {"calls": 1}}, {"unknown": 1}])
def test_a_line_with_other_fields_is_refused(extra: dict[str, object]) -> None:
    line = {"event": "StepFinished", "step": "a", "attempt": 1, "output": "x"}
    assert e.EVENT.validate_python(line) == e.StepFinished(step="a", attempt=1, outcome=Outcome(output="x"))
    with pytest.raises(ValidationError):
        e.EVENT.validate_python(line | extra)


def test_an_outcome_is_loaded_from_its_artifact_and_marked_when_it_is_reused() -> None:
    loaded = FULL.loaded({"0" * 64: "long"}.__getitem__)
    assert (loaded.output, loaded.artifact) == ("long", None)
    assert Outcome(output="x").loaded(lambda _: pytest.fail("there is no artifact")) == Outcome(output="x")
    assert Outcome(output="x", usage=FULL.usage).reused() == Outcome(output="x", cached=True)
