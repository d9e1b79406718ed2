"""Kinds of errors: for each, the meaning, what a retry or another call can expect, and a hint.

The kind is one word for machines. It is in `errors` of `--json` and in `StepFailed` of the journal.
An exception may know better than the table in two cases: an endpoint that says with
`x-should-retry` whether a retry may help, and a server that was never reached, which stops an
endpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorKind:
    """A kind of error."""

    meaning: str
    """What happened."""
    hint: str = ""
    """What to do next, in the imperative; empty if nothing can be done, or if the message says
    it."""
    may_help: bool = False
    """True if a retry may help."""
    stops: bool = False
    """True if no other step with that model can succeed either: nothing new starts."""
    may_be_billed: bool = False
    """True if the provider may charge for the failed try. Its status decides; without one, the
    worst is assumed."""

    @property
    def text(self) -> str:
        """The meaning and the hint, as a message writes them."""
        return f"{self.meaning}; {self.hint}" if self.hint else self.meaning


FAULTS: Mapping[str, ErrorKind] = {
    "rate_limited": ErrorKind("rate limit reached", "lower `calls`, or set `rpm`", may_help=True),
    "overloaded": ErrorKind("overloaded", "try again later, or add a spare model with `use:`", may_help=True),
    "server_error": ErrorKind(
        "server error",
        "if it persists, check the server's log or its status page",
        may_help=True,
        may_be_billed=True,
    ),
    "unreachable": ErrorKind(
        "no connection",
        "check that the server runs, and the address in `endpoint:`",
        may_help=True,
    ),
    "disconnected": ErrorKind(
        "the connection was lost before the answer was complete",
        may_help=True,
        may_be_billed=True,
    ),
    "timeout": ErrorKind(
        "no answer in time",
        "raise `deadline`, or lower `max_tokens`",
        may_help=True,
        may_be_billed=True,
    ),
    "malformed": ErrorKind(
        "the answer is not a chat completion",
        "check that `endpoint:` is the API's base URL",
        may_help=True,
        may_be_billed=True,
    ),
    "truncated_stream": ErrorKind(
        "the answer ended before it was complete",
        may_help=True,
        may_be_billed=True,
    ),
    "empty": ErrorKind("the stream ended without an answer", may_help=True, may_be_billed=True),
    "too_large_response": ErrorKind(
        "the answer exceeds the size limit",
        "lower `max_tokens`",
        may_be_billed=True,
    ),
    "bad_request": ErrorKind(
        "the request was refused",
        "check `name`, `params` and `extra` of the model",
        may_be_billed=True,
    ),
    "context_length": ErrorKind(
        "the prompt exceeds the model's context size",
        "use smaller inputs or a larger model",
        may_be_billed=True,
    ),
    "too_large": ErrorKind(
        "the request exceeds the endpoint's size limit",
        "use smaller inputs",
        may_be_billed=True,
    ),
    "content_filter": ErrorKind(
        "refused by the endpoint's content filter",
        "change the wording or the inputs",
        may_be_billed=True,
    ),
    "redirect": ErrorKind(
        "the endpoint redirects, and prompts are not sent to other addresses",
        "set the final address in `endpoint:`",
    ),
    "quota": ErrorKind(
        "the quota or the credit is exhausted",
        "top it up, then run `swarm resume`",
        stops=True,
    ),
    "auth": ErrorKind(
        "the key was not accepted",
        "check the variable that `key:` names, then run `swarm resume`",
        stops=True,
    ),
    "model_not_found": ErrorKind(
        "the endpoint has no such model",
        "check `name` (`swarm models` lists the models)",
        stops=True,
        may_be_billed=True,
    ),
    "wrong_path": ErrorKind(
        "nothing answers at that path",
        "check `endpoint:` (usually it ends in /v1)",
        stops=True,
        may_be_billed=True,
    ),
    "tls": ErrorKind(
        "the secure connection failed",
        "check the certificate, and http or https in `endpoint:`",
        stops=True,
    ),
}
"""Kinds of faults of an endpoint."""

ERROR_KINDS: Mapping[str, ErrorKind] = {
    **FAULTS,
    # Requests that are not sent
    "unknown_model": ErrorKind("no model has that alias", "add it to `models:`"),
    "unknown_agent": ErrorKind("the agent of a step is missing", "add its file to `agents:` again"),
    "label": ErrorKind(
        "no model may read the labelled data of a step",
        "list a model in `labels:`, or split the step",
    ),
    "media": ErrorKind(
        "no model accepts the images, audio or videos of a step",
        "set `takes:` on a model that accepts them, or remove the input",
    ),
    "local_model": ErrorKind(
        "the server of a local model did not start, or stopped",
        "use a smaller model or a smaller `context`",
        stops=True,
    ),
    # Answers
    "turns": ErrorKind("the attempt used all its turns", "raise `limits.turns`"),
    "loop": ErrorKind("the model repeats the same tool calls", "check the tools, or use another model"),
    "refused": ErrorKind("the model, or the endpoint, refused", "change the wording or the inputs"),
    "unopened": ErrorKind(
        "the model looked nothing up in the long texts that its step opens, so they are read in parts",
        "remove `open`, or use a model that calls tools",
        may_help=True,
    ),
    "schema": ErrorKind("the output of a step is not a usable JSON Schema", "correct the step's `output`"),
    "truncated": ErrorKind("the answer reached `max_tokens`", "raise `max_tokens`, or make the step smaller"),
    "form": ErrorKind(
        "the answer does not have the output format, after two corrections",
        "simplify `output`, or use a stronger model",
        may_help=True,
    ),
    "plan": ErrorKind(
        "the planner's plan is invalid, after one correction",
        "use a stronger model, or a smaller goal",
    ),
    "citations": ErrorKind("the report does not cite its steps", may_help=True),
    # Tools
    "tool": ErrorKind("a tool failed"),
    "arguments": ErrorKind("the arguments of a tool call are invalid"),
    "unparsed_call": ErrorKind(
        "the model writes tool calls as text",
        "use a server that parses the model's tool calls, or a model without them",
    ),
    "unknown_tool": ErrorKind("the model called a tool that it may not use", "grant the tool, or use another model"),
    # The run
    "limit": ErrorKind("a limit of the task was reached", "raise it with `swarm resume --limit`"),
    "cancelled": ErrorKind("the run was interrupted", "run `swarm resume`"),
    "no_list": ErrorKind(
        "the output that `each` runs over is not a list",
        "set the `output` of that step to an array",
    ),
    "merge": ErrorKind(
        "no output of the steps before it can be merged",
        "give those steps an `output`, or choose another `merge`",
    ),
    "nothing_found": ErrorKind(
        "no step gave an output, so there is nothing to report",
        "run `swarm resume --failed` when the cause is removed",
    ),
    "bug": ErrorKind("internal error", "report it with the traceback file"),
    "simulated": ErrorKind("an attempt failed in a simulation", may_help=True),
    # Exceptions of callers' endpoints and tools that set no kind
    "failed": ErrorKind("an attempt failed"),
    "endpoint": ErrorKind("an endpoint failed"),
    "busy": ErrorKind("the endpoint did not complete the request", may_help=True, may_be_billed=True),
    "answer": ErrorKind("the answer cannot be used", may_help=True),
}
"""Every kind of error, by its word."""

WAITS = frozenset({"rate_limited", "overloaded"})
"""Kinds with which an endpoint asks every caller to wait. Other faults concern one call."""
