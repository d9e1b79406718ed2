"""Finish reasons: the words by which endpoints say how an answer ended, as tables. Pure.

An answer is whole only if its word says so. A word that is in no table is unknown: the answer is
requested again, and accepted with a note if the same comes back.
"""

import re
from typing import Literal

Ending = Literal["whole", "cut", "refused", "broken", "unknown"]
"""How an answer ended, as its finish reason says."""

WHOLE = frozenset(
    {
        "",
        "complete",
        "completed",
        "done",
        "end",
        "end_of_sequence",
        "end_of_text",
        "end_of_turn",
        "end_turn",
        "eos",
        "eos_token",
        "eot",
        "eot_id",
        "finished",
        "function_call",
        "normal",
        "normal_end",
        "stop",
        "stop_sequence",
        "stop_str",
        "stop_token",
        "stop_word",
        "stop_words",
        "stopped",
        "tool_call",
        "tool_calls",
        "tool_use",
    }
)
"""Words of a normal end. A complete answer, or a stream with `[DONE]`, may have none."""

CUT = frozenset(
    {
        "context_length_exceeded",
        "incomplete",
        "length",
        "length_limit",
        "max_completion_tokens",
        "max_length",
        "max_new_tokens",
        "max_output_tokens",
        "max_output_tokens_exceeded",
        "max_tokens",
        "max_tokens_reached",
        "model_context_window",
        "model_context_window_exceeded",
        "model_length",
        "output_limit",
        "token_limit",
        "truncated",
    }
)
"""Words of an answer that reached an output cap or the context size."""

REFUSED = frozenset(
    {
        "blocked",
        "blocklist",
        "content_filter",
        "content_filtered",
        "content_moderation",
        "content_policy",
        "content_policy_violation",
        "error_toxic",
        "guardrail_intervened",
        "harmful",
        "image_prohibited_content",
        "image_safety",
        "language",
        "moderation",
        "policy_violation",
        "prohibited_content",
        "recitation",
        "refusal",
        "refused",
        "safety",
        "sensitive",
        "sensitive_words",
        "spii",
    }
)
"""Words of an answer that the model, or a filter, refused."""

BROKEN = frozenset(
    {
        "abort",
        "aborted",
        "cancel",
        "canceled",
        "cancelled",
        "disconnected",
        "error",
        "exception",
        "failed",
        "failure",
        "insufficient_system_resource",
        "internal_error",
        "interrupted",
        "malformed_function_call",
        "malformed_response",
        "model_error",
        "network_error",
        "overloaded",
        "server_error",
        "timed_out",
        "timeout",
        "unexpected_tool_call",
    }
)
"""Words of an answer that was interrupted. It is never used."""

_TABLES: tuple[tuple[Ending, frozenset[str]], ...] = (
    ("whole", WHOLE),
    ("cut", CUT),
    ("refused", REFUSED),
    ("broken", BROKEN),
)
_BREAKS = re.compile(
    r"(?:^|_)(?:error|fail\w*|abort\w*|cancel\w*|time_?out|time_limit|disconnect\w*|interrupt\w*|terminated"
    r"|preempted|killed|oom|crash\w*|overload\w*|rate_limit\w*|unavailable)(?:_|$)|^(?:malformed|unexpected)_"
)
"""Parts of words of an answer that was interrupted."""
_INNER = re.compile(r"(?<=[a-z])(?=[A-Z])|[\s-]+")
"""Between the parts of a word: `endTurn`, `end-turn`."""
_PREFIX = re.compile(r"^finish_?reason[._]+")


def ending_of(word: str | None) -> Ending:
    """Return how an answer with this finish reason ended; None is no finish reason."""
    plain = _PREFIX.sub("", _INNER.sub("_", (word or "").strip()).lower())
    for ending, words in _TABLES:
        if plain in words:
            return ending
    return "broken" if _BREAKS.search(plain) else "unknown"
