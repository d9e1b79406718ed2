"""Faults: their kinds, their errors, and how long an endpoint asks to wait."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.error_kinds import FAULTS
from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.endpoints.wire.error_bodies import error_in
from swarm.endpoints.wire.faults import Fault, fault_of, retry_after
from swarm.endpoints.wire.judge import judge
from swarm.endpoints.wire.kinds import kind_of
from swarm.spec.chat import Request, says

ASK = Request(model="default", messages=(says("user", "hi"),))


def fault(
    status: int | None = None,
    text: str = "",
    code: str = "",
    type: str = "",  # noqa: A002 - the wire's word
    **headers: str,
) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, text=text, code=code, type=type, headers=named)


VERDICT_TABLE = [
    # by status
    (fault(400), "bad_request"),
    (fault(401), "auth"),
    (fault(402), "quota"),
    (fault(403), "auth"),
    (fault(404, '{"detail":"Not Found"}'), "wrong_path"),
    (fault(405), "wrong_path"),
    (fault(408), "timeout"),
    (fault(409), "server_error"),
    (fault(413), "too_large"),
    (fault(418), "bad_request"),
    (fault(422), "bad_request"),
    (fault(429), "rate_limited"),
    (fault(500), "server_error"),
    (fault(502, "<html><h1>502 Bad Gateway</h1></html>"), "server_error"),
    (fault(503), "server_error"),
    (fault(504), "server_error"),
    (fault(529), "overloaded"),
    (fault(301), "redirect"),
    (fault(307), "redirect"),
    # 429 is two things
    (fault(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "quota"),
    (fault(429, "You exceeded your current quota, please check your plan and billing details."), "quota"),
    (fault(429, "You exceeded your current quota. Please retry in 34.1s.", "429"), "rate_limited"),
    (fault(429, "You exceeded your current quota", retry_after="20"), "rate_limited"),
    (fault(429, "billing hard limit has been reached", "billing_hard_limit_reached"), "quota"),
    (fault(429, "account suspended", type="exceeded_current_quota_error"), "quota"),
    (fault(429, "Rate limit reached for m on tokens per min", "rate_limit_exceeded", "tokens"), "rate_limited"),
    (fault(429, "Request too large for m on tokens per min (TPM): Limit 10000", "rate_limit_exceeded"), "too_large"),
    (fault(429, "The engine is currently overloaded", type="engine_overloaded_error"), "overloaded"),
    (fault(402, "This request requires more credits", "402"), "quota"),
    (fault(400, "Your credit balance is too low to access the API"), "quota"),
    # the context, in everybody's words
    (fault(400, "", "context_length_exceeded"), "context_length"),
    (fault(400, "This model's maximum context length is 8192 tokens, however you requested 9000"), "context_length"),
    (fault(400, "the request exceeds the available context size. try increasing it"), "context_length"),
    (fault(500, "exceeds the available context size", type="exceed_context_size_error"), "context_length"),
    (fault(400, "prompt is too long: 210000 tokens > 200000 maximum", type="invalid_request_error"), "context_length"),
    (fault(400, "Range of input length should be [1, 30720]", "invalid_parameter_error"), "context_length"),
    (fault(413, "input is too long: too many tokens"), "context_length"),
    # models, keys, filters
    (fault(404, "The model `m` does not exist.", type="NotFoundError"), "model_not_found"),
    (fault(404, 'model "m" not found, try pulling it first'), "model_not_found"),
    (fault(404, "No endpoints found for m."), "model_not_found"),
    (fault(400, "m is not a valid model ID", "400"), "model_not_found"),
    (fault(403, "You do not have access to model m", "model_not_found"), "model_not_found"),
    (fault(400, "API key not valid. Please pass a valid API key.", type="INVALID_ARGUMENT"), "auth"),
    (fault(400, "filtered by the content management policy", "content_filter"), "content_filter"),
    (fault(403, "Your input was flagged by moderation"), "content_filter"),
    (fault(400, "inappropriate content", "data_inspection_failed"), "content_filter"),
    (fault(400, "invalid temperature: only 1 is allowed", type="invalid_request_error"), "bad_request"),
    # a model that lacks something is not a model that is not there, and stops nothing
    (fault(400, "The model m does not support tools. Parameter tools is not supported by this model"), "bad_request"),
    (fault(400, "Invalid model parameter temperature"), "bad_request"),
    (fault(422, "model 'm': field top_k unknown"), "bad_request"),
    (fault(400, "Model m does not support image inputs"), "bad_request"),
    (fault(404, "unknown model in field `model`"), "model_not_found"),
    # in the words of the providers of the table
    (fault(402, "Insufficient Balance", type="invalid_request_error"), "quota"),
    (fault(400, "Access denied, please make sure your account is in good standing.", "Arrearage"), "quota"),
    (fault(403, "Your chosen model requires moderation and your input was flagged for x", "403"), "content_filter"),
    (fault(429, "Resource has been exhausted (e.g. check quota).", "429", "RESOURCE_EXHAUSTED"), "rate_limited"),
    (fault(429, "Your account reached its max request concurrency", type="rate_limit_reached_error"), "rate_limited"),
    (fault(400, "text content is empty"), "bad_request"),
    # errors in a 200, and in a stream
    (fault(200, "upstream exploded", "502"), "server_error"),
    (fault(200, "slow down", "rate_limit_exceeded"), "rate_limited"),
    (fault(200, "overloaded", "overloaded_error"), "overloaded"),
    (fault(200, "Provider returned error"), "server_error"),
    # an article about a quota is no quota error
    (fault(500, "while answering a question on content policy and rate limits"), "server_error"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "kind"), VERDICT_TABLE, ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_has_one_name(seen: Fault, kind: str) -> None:
    assert kind_of(seen) == kind


def test_only_what_holds_for_every_call_stops() -> None:
    assert {kind for kind, verdict in FAULTS.items() if verdict.stops} == {
        "quota", "auth", "model_not_found", "wrong_path", "tls",
    }  # fmt: skip
    assert not [kind for kind, verdict in FAULTS.items() if verdict.stops and verdict.may_help]


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (500, "false", EndpointRefused),
        (400, "true", EndpointBusy),
        (400, "perhaps", EndpointRefused),
        (401, "true", EndpointRefused),
    ],
)
def test_the_endpoint_may_say_whether_to_try_again(status: int, header: str, expected: type[Exception]) -> None:
    assert type(judge(fault(status, x_should_retry=header))) is expected


def test_a_message_says_who_what_and_what_next() -> None:
    error = judge(
        fault(401, "bad key sk-1"), endpoint="api.example.com", model="m", clean=lambda s: s.replace("sk-1", "*")
    )
    assert str(error) == (
        "api.example.com, model m: the key was not accepted; check the variable that `key:` names, "
        "then run `swarm resume` (status 401). Details: bad key *"
    )
    assert (error.kind, error.stops, error.status) == ("auth", True, 401)


@given(st.text(), st.sampled_from([200, 400, 404, 429, 500]))
def test_a_message_is_short_and_printable_whatever_was_said(text: str, status: int) -> None:
    message = str(judge(fault(status, text * 50)))
    assert len(message.encode()) <= 2048
    assert message.isprintable()


@pytest.mark.parametrize("text", ["model " * 200_000, "<" * 1_000_000, "<script" * 150_000, "model\n" * 200_000])
def test_a_hostile_body_is_judged_in_no_time(text: str) -> None:
    judge(fault(404, text))  # the suite's timeout is the assertion: nothing here may be quadratic


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        ({"error": {"message": "no", "code": "c"}}, "no", "c"),
        ({"error": {"message": "no", "code": 402}}, "no", "402"),
        ({"error": "no"}, "no", ""),
        ({"message": "no", "code": "c"}, "no", "c"),
        ({"detail": "no"}, "no", ""),
        ({"errors": [{"message": "no"}]}, "no", ""),
        ([{"error": {"message": "no"}}][0], "no", ""),
    ],
)
def test_an_error_object_is_found_in_every_shape(body: Any, text: str, code: str) -> None:
    found = error_in(body)
    assert found is not None
    assert (found.text, found.code) == (text, code)


@pytest.mark.parametrize("body", [None, [], 1, "x", {}, {"error": None}, {"choices": []}])
def test_no_error_object_is_no_fault(body: Any) -> None:
    assert error_in(body) is None


class ConnectError(Exception):
    """An exception of an HTTP client, by its name."""


class ReadError(Exception):
    """Another one."""


def test_an_exception_is_read_through_all_its_causes() -> None:
    def chained(*links: Exception) -> Exception:
        for outer, inner in pairwise(links):
            outer.__cause__ = inner
        return links[0]

    assert fault_of(chained(Exception("API"), ReadError("lost"))).kind == "disconnected"
    assert fault_of(chained(Exception("API"), ConnectError(""), OSError("refused"))).kind == "unreachable"
    assert fault_of(chained(Exception("API"), ConnectError("certificate verify failed"))).kind == "tls"
    assert fault_of(chained(Exception("API"), TimeoutError())).kind == "timeout"
    assert fault_of(chained(Exception("API"), ConnectError(""), OSError("refused"))).text == "refused"


NOW = "Tue, 22 Sep 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "9" * 35}, 1e35),
        ({"retry-after": "Tue, 22 Sep 2026 10:00:30 GMT", "date": NOW}, 30.0),
        ({"retry-after": "Tue, 22 Sep 2026 09:00:30 GMT", "date": NOW}, None),
        ({"retry-after": "Tue, 22 Sep 2026 10:00:30 GMT"}, None),
        ({"retry-after": "Tue, 99 Sep 2026 10:00:30 GMT", "date": NOW}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "a while"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_or_ignored(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == (pytest.approx(seconds) if seconds is not None else None)
