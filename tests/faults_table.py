"""Writes `docs/faults.md` out of the cases of the fault matrix: `python tests/faults_table.py`."""

import sys
from collections import defaultdict
from pathlib import Path

import test_faults_matrix_body as body
import test_faults_matrix_model as model
import test_faults_matrix_status as status
import test_faults_matrix_transport as transport
from faults import Case, cases_in

DOCUMENT = Path(__file__).parent.parent / "docs" / "faults.md"
MODULES = (status, transport, body, model)

HEAD = """\
# Faults

What an endpoint, or a model, may do wrong; what must then happen; and what is seen when it really does. Each row is a
test of that number (`pytest -k fault-52`) against a server of raw sockets, or in virtual time where waiting is what
matters. The last column is not prose: it is what the tests assert, and a test holds this page to it.

*Retried*: tried again by the endpoint, with exponential backoff and full jitter, as often as the number of calls says,
and answered if the fault came once. *Refused*: this step fails, and nothing is tried again. *Endpoint stopped*: no
other call goes to that model; with no other in its pool, the run stops, exits 1 and can be resumed. *Looked at*: at the
first call of a run, the other models that it will need; one that cannot serve stops the run before anything is spent.

| # | Fault | What must happen | Seen |
| --: | --- | --- | --- |
"""

ROWS: dict[int, tuple[str, str]] = {
    1: ("429 without `Retry-After`", "tried again; the limit of calls goes down once an episode"),
    2: ("429, `Retry-After: 1`", "everybody who calls that endpoint waits"),
    3: ("429, `retry-after-ms`", "honoured before `Retry-After`"),
    4: ("429, `Retry-After` as a date, past, or nonsense", "honoured where it means something, else backoff"),
    5: ("429, `Retry-After: 86400`", "no sleep past the deadline; the wait is told"),
    6: ("429 for a spent quota", "no retry; the endpoint is stopped"),
    7: ("429, tokens a minute", "too large for any minute: the step fails; else tried again"),
    8: ("429 for ten minutes", "no storm, progress all the time"),
    9: ("500, 502, 503, 504", "tried again"),
    10: ("529, or 503 `overloaded_error`", "tried again, with longer waits"),
    11: ("408, 409", "tried again"),
    12: ("400, 418, 422", "the step fails; what was said is kept, cut to 2 kB"),
    13: ("400, context too long, in anybody's words", "a larger model if there is one, else the step fails"),
    14: ("401, 403", "stopped after the first; the key is never printed"),
    15: (
        "404, no such model",
        "looked for before the plan is paid for; stopped at the first call",
    ),
    16: ("404, wrong path", "stopped; the URL is named"),
    17: ("413", "the step fails"),
    18: ("500, `x-should-retry: false`", "obeyed"),
    19: ("400, `x-should-retry: true`", "obeyed, within bounds"),
    20: ("502 with a web page", "tried again; tags and control characters stay out of messages"),
    21: ("307 to another path or host", "not followed; prompt and key never leave"),
    22: ("redirects in a circle", "one request"),
    23: ("500 for every other of 1,000 calls", "all end, at most 3 tries a call, nothing latches"),
    24: ("connection refused", "tried again; stopped if no call ever succeeded"),
    25: ("no such host", "the same"),
    26: ("reset before the answer", "tried again"),
    27: ("closed before the answer; not HTTP", "tried again"),
    28: ("accepted, never answered", "ends at the deadline of the call; the step tries again"),
    29: ("a head, then nothing", "the same"),
    30: ("a body that trickles", "the deadline is total"),
    31: ("shorter than its `Content-Length`", "tried again"),
    32: ("more calls than connections", "cannot be: connections are not bounded, calls are"),
    33: ("connections closed between calls", "nobody notices"),
    34: ("1,000 calls cancelled in flight", "the next ones are answered, nothing is left behind"),
    35: ("TLS fails", "stopped"),
    36: ("proxies in the environment", "honoured, but never for this machine"),
    37: ("an error object with status 200", "judged as if by its status"),
    38: ("a web page with status 200", "tried again once"),
    39: ("a page as JSON, an empty body, a cut one", "tried again once"),
    40: ("`null`, `[]`", "tried again once"),
    41: ("no choices, no message", "tried again once"),
    42: ("content of the wrong type", "tried again once"),
    43: ("invalid UTF-8", "tried again once"),
    44: ("half a surrogate pair", "replaced by U+FFFD"),
    45: (
        "usage missing, negative, NaN, text",
        "estimated, and marked so; a budget is charged the larger",
    ),
    46: ("an unknown `finish_reason`", "accepted if there is content"),
    47: ("a body that fills the memory", "compressed ones are not unpacked; 8 MB are the most"),
    48: ("corrupt gzip", "tried again once"),
    49: ("JSON 100,000 levels deep", "tried again once; the process lives"),
    50: ("the answer of another request, again", "accepted, recorded once for each attempt"),
    51: ("a stream without `[DONE]`", "the `finish_reason` is what counts"),
    52: ("a stream without `finish_reason`", "the whole call is tried again"),
    53: ("a stream that is cut", "the whole call is tried again; half an answer is dropped"),
    54: ("bad JSON in a stream", "tried again"),
    55: ("an error in a stream", "judged by its code"),
    56: ("`event: error` in any shape", "a fault"),
    57: ("silence after a chunk", "a timeout for idleness"),
    58: ("keep-alive comments for ever", "only content is progress"),
    59: ("a whole answer where a stream was asked for", "taken if it is one"),
    60: ("a stream of nothing", "`empty`"),
    61: ("an endless event, an endless stream", "capped"),
    62: ("a word now and then, for ever", "the deadline is total"),
    63: ("tool calls in pieces", "any split of the bytes gives the same calls"),
    64: ("an empty answer", "asked for once more, then the step fails"),
    65: ("an answer that hit its cap", "never used, however whole it looks; the cap is raised once"),
    66: ("a content filter, a refusal", "the step fails, without a storm"),
    67: ("no JSON", "told and asked for, twice"),
    68: ("JSON that does not fit", "the same, with what is wrong"),
    69: ("JSON in fences, in prose", "accepted"),
    70: ("a tool that does not exist", "told; three turns in a row end the attempt"),
    71: ("arguments that are not JSON", "told"),
    72: ("arguments as an object", "accepted"),
    73: ("a call without an id", "it gets one"),
    74: ("two calls with one id", "ids made unique, both run once"),
    75: ("the same id in every turn", "ids are ours"),
    76: ("the same call for ever", "told, then the attempt ends"),
    77: (
        "words for ever",
        "a cap is always sent; what hits it is not used, but for what goes round in circles: that is said once",
    ),
    78: ("500 calls in a turn", "32 run, the others are told so"),
    79: ("a tool that is not granted", "refused by the registry, not by the prompt"),
    80: ("a plan with a cycle", "back to the planner once, with the cycle named"),
    81: ("unknown needs, duplicate ids, no step, one step", "back once; one step runs"),
    82: ("a plan far too large, or too deep", "refused while it is read; told in few words"),
    83: ("a planner that plans for ever", "`limits.rounds`, then the report"),
    84: ("more than the reducer reads", "cut by share, and what was left out is listed"),
    85: ("a worker that is done with nothing", "`empty`, as 64"),
}
"""Each row: what goes wrong, and what must happen."""


def cases() -> list[Case]:
    """Give the cases of all tests, by row."""
    return sorted((case for module in MODULES for case in cases_in(module)), key=lambda case: case.row)


def written() -> str:
    """Write the page."""
    ways: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for case in cases():
        ways[case.row][case.seen].append(case.what)
    lines = [f"| {row} | {fault} | {wanted} | {_seen(ways[row])} |" for row, (fault, wanted) in ROWS.items()]
    return HEAD + "\n".join(lines) + "\n"


def _seen(ways: dict[str, list[str]]) -> str:
    parts = [f"{', '.join(whats)}: {_cell(seen)}" for seen, whats in ways.items()]
    return "<br>".join(_cell(part) if "|" in part else part for part in parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(f"{DOCUMENT.write_text(written(), encoding='utf-8')} characters\n")
