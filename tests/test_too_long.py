"""A refusal of a too long request teaches the context size, and the step is asked again."""

from pathlib import Path
from typing import Any

import pytest

from swarm.attempt.too_long import LEAST_CONTEXT, smaller_context
from swarm.base.errors import EndpointRefused
from swarm.endpoints.route import routes_of
from swarm.endpoints.wire.error_bodies import error_in
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.judge import judge
from swarm.endpoints.wire.too_long import context_in
from swarm.lifecycle.prepare import contexts_of
from swarm.record import events as e
from swarm.record.events import EVENT
from swarm.record.steps import Status
from swarm.scheduling.scheduler import RESIZED
from swarm.spec.chat import Request, request_tokens, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model as ModelSettings
from swarm.spec.task import Task
from tests.attempts import attempt
from tests.models import Model, Said, data_in, events_of, resume_with, run_with
from tests.test_scheduler import scheduler_of

MANY = 60_000


@pytest.mark.parametrize(
    ("words", "context"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (5000 in the"
            " messages, 4000 in the completion). Please reduce the length of the messages or completion.",
            8192,
        ),
        (
            "'max_tokens' is too large: 4096. This model's maximum context length is 8,192 tokens and it has 5000",
            8192,
        ),
        ("The input (9000 tokens) is longer than the model's context length (32768 tokens).", 32768),
        (
            "Requested token count exceeds the model's maximum context length of 40960 tokens. You requested 50000",
            40960,
        ),
        ("Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)", 262144),
        ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("the model is loaded with context length of only 4096 tokens, which is not enough", 4096),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200000),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length", 200000),
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 1048576),
        ("Range of input length should be [1, 129024]", 129024),
        ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 32768),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens", 4096),
        ("`inputs` must have less than 2048 tokens. Given: 5000", 2048),
        ("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000", 4081),
        ("Request body too large for gpt-4o model. Max size: 8000 tokens.", 8000),
        ("Please reduce the length of the messages. Current length is 9000 while limit is 8192", 8192),
        ("The prompt is too long: 140000, model maximum context length: 131072", 131072),
        ("the number of tokens to keep is greater than the context length", None),
        ("Input is too long for requested model.", None),
        ("maximum context length is 12 tokens", None),
        ("", None),
    ],
)
def test_the_words_of_a_refusal_state_the_size(words: str, context: int | None) -> None:
    assert context_in(words) == context


def test_llama_cpp_states_the_size_in_a_field() -> None:
    body = {"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error", "n_ctx": 4096}}
    fault = error_in(body)
    assert fault is not None
    refused = judge(fault)
    assert isinstance(refused, EndpointRefused)
    assert (refused.kind, refused.context) == ("context_length", 4096)


def test_other_refusals_teach_nothing() -> None:
    refused = judge(Fault(status=404, text="model m with context length of 8192 tokens does not exist"))
    assert smaller_context(attempt(), EndpointRefused("no", kind="auth"), Request(model="m", messages=())) is None
    assert isinstance(refused, EndpointRefused)


@pytest.mark.parametrize(
    ("assumed", "stated", "smaller"),
    [
        (None, 8192, 8192),
        (32_000, 8192, 8192),
        (8192, 8192, 6144),
        (8192, 100_000, 6144),
        (700, 700, 525),
        (600, 600, None),
    ],
)
def test_a_size_is_smaller_than_what_was_assumed(assumed: int | None, stated: int, smaller: int | None) -> None:
    error = EndpointRefused("too long", kind="context_length")
    error.context = stated
    assert smaller_context(attempt(context=assumed), error, Request(model="m", messages=())) == smaller


def test_without_a_stated_size_half_of_the_request_is_assumed() -> None:
    request = Request(model="m", messages=(says("user", "x" * 30_000),), max_tokens=1000)
    error = EndpointRefused("too long", kind="context_length")
    assert smaller_context(attempt(), error, request) == (request_tokens(request) + 1000) // 2
    assert smaller_context(attempt(context=2 * LEAST_CONTEXT), error, request) == LEAST_CONTEXT


def test_such_attempts_are_no_failures_and_their_number_is_limited() -> None:
    scheduler = scheduler_of(Step(id="a", retries=0))
    for n in range(1, RESIZED + 2):
        s = scheduler.take()
        assert s is not None
        scheduler.state.apply(e.StepStarted(step="a", attempt=n, span="", model="m"))
        failure = e.Failure(kind="context_length", message="too long", context=9000 - n)
        assert scheduler.failed("a", n, failure) == (0.0 if n <= RESIZED else None)
        assert (s.failures, s.resized, scheduler.state.contexts) == (0, n, {"m": 9000 - n})
        if n <= RESIZED:
            scheduler.wake("a")
    assert scheduler.state.steps["a"].status is Status.FAILED
    assert scheduler.over


def test_a_failure_without_a_size_is_written_as_before() -> None:
    failed = e.StepFailed(step="a", attempt=1, error=e.Failure(kind="empty", message="no"))
    assert b"context" not in EVENT.dump_json(failed)


class Small(Model):
    """A model with a small context that nobody knows until it refuses."""

    def __init__(self, context: int, **more: Any) -> None:
        super().__init__(**more)
        self.context = context
        self.refused = 0

    def _answer(self, request: Request) -> Said:
        if request_tokens(request) + (request.max_tokens or 4096) > self.context:
            self.refused += 1
            return judge(Fault(status=400, text=f"maximum context length is {self.context} tokens"))
        return super()._answer(request)


def one_step(folder: Path, **more: Any) -> Task:
    (folder / "long.txt").write_text("word " * (MANY // 5), encoding="utf-8")
    plan = Plan(
        steps=(
            Step(id="a", prompt="First.", inputs=()),
            Step(id="b", prompt="Second.", inputs=("long.txt",), needs=("a",)),
        )
    )
    return Task(goal="Long.", inputs=("long.txt",), plan=plan, folder=folder, **more)


@pytest.mark.anyio
async def test_a_step_is_asked_again_with_the_size_that_a_refusal_taught(tmp_path: Path) -> None:
    model = Small(8192)
    result = await run_with(model, one_step(tmp_path))
    assert result.report is not None
    assert result.status in ("done", "partial")
    assert model.refused == 1
    sizes = [event.error.context for event in events_of(result.folder) if isinstance(event, e.StepFailed)]
    assert sizes == [8192]


@pytest.mark.anyio
async def test_a_size_that_was_learnt_reruns_nothing_on_resume(tmp_path: Path) -> None:
    model = Small(8192)
    result = await run_with(model, one_step(tmp_path))
    asked = len(model.requests)
    again = await resume_with(model, result.folder)
    assert len(model.requests) == asked
    assert again.report == result.report


@pytest.mark.anyio
async def test_a_planner_is_asked_again_with_a_shorter_brief(tmp_path: Path) -> None:
    for n in range(400):
        (tmp_path / f"note-with-a-long-name-{n:03}.md").write_text(
            f"Note {n} says something in its first line.", encoding="utf-8"
        )
    model = Small(
        12_000, plan={"steps": [{"id": "read", "prompt": "Read.", "inputs": ["note-with-a-long-name-001.md"]}]}
    )
    result = await run_with(model, Task(goal="Long.", inputs=("*.md",), folder=tmp_path, swarm="always"))
    briefs = [
        len(data_in(request, "brief").get("brief", "")) for request in model.requests if request.purpose == "plan"
    ]
    assert result.report is not None
    assert len(briefs) == 2
    assert briefs[1] < briefs[0]


def test_the_context_of_a_pool_is_that_of_its_smallest_member() -> None:
    models = {
        "small": ModelSettings(endpoint="http://127.0.0.1:9/v1", name="s", context=4096),
        "large": ModelSettings(endpoint="http://127.0.0.1:9/v1", name="l", context=32_768),
        "unknown": ModelSettings(endpoint="http://127.0.0.1:9/v1", name="u"),
        "both": ModelSettings(use=("large", "small", "unknown")),
        "all": ModelSettings(use=("both", "large")),
    }
    assert contexts_of(routes_of(models)) == {"small": 4096, "large": 32_768, "both": 4096, "all": 4096}
